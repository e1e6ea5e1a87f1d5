// The same with WebSockets.
import { WiFi } from 'wifi';
import { FileResponse, RequestHeaders, route } from './ehttpserver';
import { WebSocket, WebSocketServer } from './websocket';

class Chat extends WebSocketServer {
  greeting = 'Hello!';

  @route('/')
  home() {
    return this.greeting;
  }

  @route('/file')
  file() {
    return new FileResponse('/www/page.html');
  }

  @route('/ws', 'WEBSOCKET')
  *chat(_path: string, _headers: RequestHeaders, ws: WebSocket) {
    for (let message; (message = yield* ws.recv()) !== null;) ws.send(`You said ${message}`);
  }
}

new WiFi().connect((error: unknown) => {
  if (error) return console.error(error);
  new Chat().listen(80, () => console.log(`http://${__netdev.ip}/`));
});
