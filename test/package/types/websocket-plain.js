// WebSockets in plain JavaScript that an editor checks.
const { WebSocketServer, WS_OPCODE_PING } = require('../../../dist/websocket');

const server = new WebSocketServer({ protocols: ['chat'] });
server.route('/ws', 'WEBSOCKET', function* (path, headers, ws) {
  ws.send(`Welcome to ${path} at ${headers.host}`);
  for (let message; (message = yield* ws.recv()) !== null;) {
    // @ts-expect-error: it may be bytes
    message.trim();
    if (typeof message === 'string') yield* ws.send(message.trim());
  }
  const frame = yield* ws.recvFrame();
  if (frame && frame.opcode === WS_OPCODE_PING) ws.sendPong(frame.payload);
  // @ts-expect-error: there is no such method
  ws.emit('end');
});
// @ts-expect-error: there is no such option
new WebSocketServer({ path: '/ws' });
server.listen(80);
