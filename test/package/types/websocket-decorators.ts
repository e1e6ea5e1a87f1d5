// Handlers of WebSockets as methods: the same text for legacy and for standard decorators.
import { RequestHeaders, route } from '../../../dist/ehttpserver';
import { WebSocket, WebSocketServer } from '../../../dist/websocket';

class Chat extends WebSocketServer {
  sockets: WebSocket[] = [];

  @route('/')
  home() {
    return `${this.sockets.length} are here`;
  }

  @route('/ws', 'WEBSOCKET')
  *chat(_path: string, _headers: RequestHeaders, ws: WebSocket) {
    this.sockets.push(ws);
    for (let message; (message = yield* ws.recv()) !== null;) this.say(message);
  }

  say(message: string | Uint8Array) {
    for (const ws of this.sockets) ws.send(message);
    // @ts-expect-error: one at a time
    this.sockets.send(message);
  }

  // @ts-expect-error: the method is text
  @route('/ws', ['GET', 'WEBSOCKET'])
  wrong() {}

  // @ts-expect-error: a path is text or a regular expression
  @route()
  nowhere() {}
}

new Chat({ pingSeconds: 5 }).listen();
