// A button for the LED: a page in HTML, and requests in JSON. README.md beside it shows these lines, too.
const { PicoCYW43 } = require('pico_cyw43');
const { address, online } = require('./lib/wifi');
const { Response, Server, text } = require('../ehttpserver');

const chip = new PicoCYW43(); // the LED of the Pico W is pin 0 of its Wi-Fi chip
const page = (on) => `<!DOCTYPE html><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>LED</title>
<button style="padding: 16px; font: 20px sans-serif" onclick="fetch('/led', { method: 'PUT', body: JSON.stringify({ on: ${!on} }) })
.then(() => location.reload())">Switch the LED ${on ? 'off' : 'on'}</button>`;
const parseJson = (json) => { try { return json.split(/[[{]/).length < 9 ? JSON.parse(json) : null; } catch { return null; } };

const server = new Server();
server.route('/', 'GET', () => new Response(page(chip.getGpio(0)), 200, 'text/html'));
server.route('/led', 'GET', () => ({ on: chip.getGpio(0) }));
server.route('/led', 'PUT', (path, query, headers, body) => {
  const wish = parseJson(text(body));
  if (!wish || typeof wish.on !== 'boolean') return new Response('Please send {"on": true}', 400);
  chip.putGpio(0, wish.on);
});

online(() => {
  server.listen(80, () => console.log('Open ' + address()));
});
