// In plain JavaScript, without decorators: a page, an answer in JSON, and a text that has a part of its address as a parameter.
// lib/wifi.ts, which brings the board on the network, goes with it: to run this program elsewhere, copy the folder lib, too.
const { Response, Server } = require('../ehttpserver');
const { address, online } = require('./lib/wifi');

const PAGE = `<!DOCTYPE html><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>Pico W</title>
<p style="font: 20px sans-serif">Try <a href="/uptime">/uptime</a> and <a href="/hello/Ada">/hello/Ada</a>.</p>`;

const server = new Server();

server.route('/', 'GET', () => new Response(PAGE, 200, 'text/html'));

// Whatever is not text or bytes is sent as JSON.
server.route('/uptime', 'GET', () => ({ seconds: millis() / 1000 }));

// A route is a regular expression; what its groups matched is in match[1], match[2], ...
server.route('/hello/(\\w+)', 'GET', (path, query, headers, body, match) => 'Hello ' + match[1] + '!');

online(() => {
  server.listen(80, () => console.log('Open ' + address()));
});
