// Live readings: the page draws a chart that moves. It gets them in one answer that never ends (Server-Sent Events).
import { RequestHeaders, Response, Server, route, run } from '../ehttpserver';
import { page } from './lib/page';
import { address, online } from './lib/wifi';

const THERMOMETER = 30; // analog input 30 of the Pico is the temperature of its processor
const EVERY = 250; // milliseconds
const KEPT = 120; // readings: half a minute
const MOST_VIEWERS = 3; // the board has five connections, each viewer keeps one, and pages need some, too

const readings: number[] = [];
let count = 0; // readings so far: reading n is readings[n % KEPT]
let viewers = 0;

/** Measures once for all who watch. */
function* measure() {
  for (let next = millis(); ; next += EVERY) {
    while (millis() < next) yield;
    readings[count++ % KEPT] = 27 - (analogRead(THERMOMETER) * 3.3 - 0.706) / 0.001721; // from the processor's data sheet
  }
}

/** The readings from the n-th on as events, for ever. To yield nothing means: nothing new yet, the others may have their turn. */
function* events(n: number) {
  viewers++;
  try {
    yield 'retry: 1000\n\n'; // when the connection breaks, the browser makes a new one after a second
    for (;;) {
      let news = '';
      for (n = Math.max(n, count - KEPT); n < count; n++) news += 'id: ' + n + '\ndata: ' + readings[n % KEPT].toFixed(2) + '\n\n';
      yield news || undefined;
    }
  } finally {
    viewers--; // also when the browser has gone
  }
}

class Site extends Server {
  @route('/')
  home() {
    return new Response(page('Live temperature', HOME), 200, 'text/html');
  }

  @route('/events')
  stream(_path: string, _query: string, headers: RequestHeaders) {
    if (viewers >= MOST_VIEWERS) return new Response('Too many viewers', 503);
    // A browser that comes back says which event was its last one. A larger number is from before the board was switched off and on.
    const last = parseInt(headers['last-event-id'], 10);
    const next = last < count ? last + 1 : 0;
    return new Response(events(next), 200, 'text/event-stream', { 'cache-control': 'no-store' });
  }
}

const HOME = `
<style>
  svg { display: block; width: 100%; height: 220px }
  polyline { fill: none; stroke: #15803d; stroke-width: 2; vector-effect: non-scaling-stroke }
  .range { display: flex; justify-content: space-between }
</style>
<section>
  <div class="big"><span id="now">--.--</span> &deg;C</div>
  <div class="quiet" id="state">Connecting...</div>
</section>
<section>
  <svg viewBox="0 0 ${KEPT - 1} 100" preserveAspectRatio="none"><polyline id="line"/></svg>
  <div class="quiet range"><span id="range"></span><span>the last ${KEPT * EVERY / 1000} seconds</span></div>
</section>
<script>
  const values = [];

  function draw() {
    const low = Math.min(...values), high = Math.max(...values), first = ${KEPT} - values.length;
    const scale = 94 / Math.max(1, high - low); // a degree at least: noise is not to look like a storm
    line.setAttribute('points', values.map((value, i) => (first + i) + ',' + (50 - (value - (low + high) / 2) * scale)).join(' '));
    range.textContent = low.toFixed(2) + ' to ' + high.toFixed(2) + ' \\u00b0C';
    now.textContent = values[values.length - 1].toFixed(2);
  }

  function connect() {
    const source = new EventSource('events');
    source.onopen = () => { state.textContent = 'Live'; };
    source.onmessage = ({ data }) => {
      values.push(+data);
      if (values.length > ${KEPT}) values.shift();
      draw();
    };
    source.onerror = () => {
      state.textContent = 'No connection, trying again...';
      // It tries again by itself, except after an answer such as "too many viewers".
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
    };
  }
  connect();
</script>
`;

online(() => {
  run(new Site().start(80), measure());
  console.log('Open ' + address());
});
