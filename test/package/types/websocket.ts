// What is right, and behind each `@ts-expect-error` what is wrong, with the types of WebSockets.
import { RequestHeaders, Server, run } from '../../../dist/ehttpserver';
import {
  Frame, WS_OPCODE_CLOSE, WS_OPCODE_TEXT, WebSocket, WebSocketHandler, WebSocketOptions, WebSocketServer,
} from '../../../dist/websocket';

const options: WebSocketOptions = { maxMessageBytes: 1024, pingSeconds: 5, origins: ['*'], protocols: ['chat'], maxBodyBytes: 1 };
const server = new WebSocketServer(options);
new WebSocketServer();
// @ts-expect-error: a list of origins
new WebSocketServer({ origins: '*' });
// @ts-expect-error: there is no such option
new WebSocketServer({ pingInterval: 20 });
// @ts-expect-error: a plain server knows no pings
new Server({ pingSeconds: 20 });

server.route('/echo', 'WEBSOCKET', function* (path, headers, ws) {
  const given: [string, RequestHeaders, WebSocket] = [path, headers, ws];
  for (;;) {
    const message = yield* ws.recv();
    if (message === null) return given;
    const kind: string | Uint8Array = message;
    yield* ws.send(kind);
    // @ts-expect-error: it may be bytes
    message.toUpperCase();
  }
});
server.route('/frames', 'WEBSOCKET', function* (_path, _headers, ws) {
  const frame: Frame | null = yield* ws.recvFrame();
  // @ts-expect-error: null once the socket is closed
  frame.payload.length;
  if (frame && frame.fin && frame.opcode !== WS_OPCODE_CLOSE) ws.sendBinary(frame.payload);
  return WS_OPCODE_TEXT;
});
server.route('/push', 'WEBSOCKET', (_path, _headers, ws) => {
  ws.onmessage = (data) => { ws.sendText(typeof data === 'string' ? data : `${data.length} bytes`); };
  ws.onclose = (code) => { code.toFixed(); };
  ws.sendPing();
  ws.sendPong(new Uint8Array(1));
  ws.sendClose(1000, 'enough');
  ws.sendClose();
  const waiting: number = ws.bufferedAmount;
  const why: [boolean, number] = [ws.closed, ws.closeCode];
  return [waiting, why];
});
server.route('/page', 'GET', (_path, query, headers, body, match) => ({ query, host: headers.host, size: body.length, match }));
const handler: WebSocketHandler = (_path, _headers, ws) => ws.send('hello');
server.route('/handler', 'WEBSOCKET', handler);

server.route('/wrong', 'WEBSOCKET', (_path, _headers, ws) => {
  ws.send({ temperature: 27 });
  // @ts-expect-error: text or bytes; an object has to be made text
  ws.sendText({ temperature: 27 });
  // @ts-expect-error: nothing is no message
  ws.send();
  // @ts-expect-error: a code is a number
  ws.sendClose('1000');
  // @ts-expect-error: bytes
  ws.sendPing('text');
  // @ts-expect-error: what is the library's own stays out of reach
  ws._connection;
  // @ts-expect-error: as in a browser, but with a function only
  ws.addEventListener('message', () => {});
});
// @ts-expect-error: only the server makes one
new WebSocket('ws://board/');
server.route('/page', 'GET', (_path, _query, ws) => {
  // @ts-expect-error: the third thing that a page's handler gets is its headers
  ws.send('hello');
});

class Chat extends WebSocketServer {
  sockets: WebSocket[] = [];
}
const chat = new Chat();
chat.sockets.length;
chat.route('/ws', 'WEBSOCKET', function (_path, _headers, ws) {
  this.sockets.push(ws);
  // @ts-expect-error: there is no such property
  this.socket;
});
run(chat.start(80));
