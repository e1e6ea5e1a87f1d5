// The same with WebSockets.
const { WiFi } = require('wifi');
const { FileResponse } = require('./ehttpserver');
const { WebSocketServer } = require('./websocket');

const server = new WebSocketServer();
server.route('/', 'GET', () => 'Hello!');
server.route('/file', 'GET', () => new FileResponse('/www/page.html'));
server.route('/ws', 'WEBSOCKET', function* (path, headers, ws) {
  for (let message; (message = yield* ws.recv()) !== null;) ws.send('You said ' + message);
});

new WiFi().connect((error) => {
  if (error) return console.error(error);
  server.listen(80, () => console.log('http://' + __netdev.ip + '/'));
});
