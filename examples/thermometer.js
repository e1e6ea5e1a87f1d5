// Live readings in plain JavaScript: the temperature of the processor, once a second, in several browsers at once (Server-Sent Events).
const { Response, Server } = require('../ehttpserver');
const { address, online } = require('./lib/wifi');

const PAGE = `<!DOCTYPE html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<title>Thermometer</title><style>h1 { font: 64px sans-serif; text-align: center }</style>
<h1 id="now">...</h1>
<script>
new EventSource('/events').onmessage = ({ data }) => { now.textContent = data + ' °C'; };
</script>`;

/** Events, for ever. A `yield` with nothing means "nothing yet", and gives everybody else their turn. */
function* readings() {
  for (let next = millis(); ; next += 1000) {
    while (millis() < next) yield;
    const celsius = 27 - (analogRead(30) * 3.3 - 0.706) / 0.001721; // analog input 30; the formula is from the processor's data sheet
    yield 'data: ' + celsius.toFixed(1) + '\n\n';
  }
}

const server = new Server();
server.route('/', 'GET', () => new Response(PAGE, 200, 'text/html'));
server.route('/events', 'GET', () => new Response(readings(), 200, 'text/event-stream'));

online(() => {
  server.listen(80, () => console.log('Open ' + address()));
});
