// A program in plain JavaScript, with the library beside it.
const { WiFi } = require('wifi');
const { FileResponse, Server } = require('./ehttpserver');

const server = new Server();
server.route('/', 'GET', () => 'Hello!');
server.route('/file', 'GET', () => new FileResponse('/www/page.html'));

new WiFi().connect((error) => {
  if (error) return console.error(error);
  server.listen(80, () => console.log('http://' + __netdev.ip + '/'));
});
