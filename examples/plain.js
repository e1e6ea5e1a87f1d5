// In plain JavaScript, without decorators: a text, an answer in JSON, and a page that has a part of its address as a parameter.
// lib/wifi.ts, which brings the board on the network, goes with it: to run this program elsewhere, copy the folder lib, too.
const { Server } = require('../ehttpserver');
const { address, online } = require('./lib/wifi');

const server = new Server();

server.route('/', 'GET', () => 'Try /uptime and /hello/Ada');

// Whatever is not text or bytes is sent as JSON.
server.route('/uptime', 'GET', () => ({ seconds: millis() / 1000 }));

// A route is a regular expression; what its groups matched is in match[1], match[2], ...
server.route('/hello/(\\w+)', 'GET', (path, query, headers, body, match) => 'Hello ' + match[1] + '!');

online(() => {
  server.listen(80, () => console.log('Open ' + address()));
});
