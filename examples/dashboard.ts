// A dashboard: the board pushes its readings to all who watch, ten times a second, and they can switch its LED.
import { PicoCYW43 } from 'pico_cyw43';
import { RequestHeaders, Response, route, run } from '../ehttpserver';
import { WebSocket, WebSocketServer } from '../websocket';
import { page } from './lib/page';
import { KEEP_SOCKET } from './lib/socket';
import { address, online } from './lib/wifi';

const LED = 0; // the LED of the Pico W is a pin of its Wi-Fi chip
const THERMOMETER = 30; // analog input 30 of the Pico is the temperature of its processor
const INPUT = 26; // and this one is GP26, to which you can connect what has 0 to 3.3 volts: a potentiometer, a light sensor, ...
const EVERY = 100; // milliseconds
const chip = new PicoCYW43();
const viewers = new Set<WebSocket>();

const measure = () => 27 - (analogRead(THERMOMETER) * 3.3 - 0.706) / 0.001721; // from the processor's data sheet

/** Measures once for all who watch. */
function* publish() {
  let celsius = measure();
  for (let next = millis(); ; next += EVERY) {
    while (millis() < next) yield;
    celsius += (measure() - celsius) / 10; // the mean of about a second: the converter knows only steps of half a degree
    const message = JSON.stringify({
      ms: millis(),
      celsius: +celsius.toFixed(2),
      volts: +(analogRead(INPUT) * 3.3).toFixed(3),
      led: chip.getGpio(LED),
      viewers: viewers.size,
    });
    // One whose connection is slow gets fewer readings, but no old ones.
    viewers.forEach((ws) => { if (!ws.bufferedAmount) ws.send(message); });
  }
}

class Dashboard extends WebSocketServer {
  @route('/')
  home() {
    return new Response(page('Pico W', HOME), 200, 'text/html');
  }

  @route('/live', 'WEBSOCKET')
  live(_path: string, _headers: RequestHeaders, ws: WebSocket) {
    viewers.add(ws);
    ws.onmessage = (message) => chip.putGpio(LED, message === 'on');
    ws.onclose = () => viewers.delete(ws);
  }

  // A browser does not tell its page why a WebSocket was refused. So the page asks here.
  @route('/viewers')
  count() {
    return viewers.size;
  }
}

const HOME = `
<style>
  body { font-variant-numeric: tabular-nums }
  .big { white-space: nowrap }
  h1 { margin-bottom: 0 }
  canvas { display: block; width: 100%; height: 120px; margin-top: 8px }
  .row { display: flex; align-items: center; gap: 12px }
  .row > :first-child { flex: 1 }
  .range { line-height: 1.3; text-align: right; white-space: pre }
  .lamp::before { content: ''; display: inline-block; width: 10px; height: 10px; margin-right: 10px; border-radius: 50%; background: #b42318 }
  #led::before { width: 20px; height: 20px; margin: 0 14px -4px 6px; background: #d5ddd8 }
  .lamp.on::before, #led.on::before { background: #22c55e; box-shadow: 0 0 0 4px #22c55e40 }
</style>
<div class="quiet lamp" id="state">Connecting...</div>
<section data-value="celsius" data-digits="1" data-least="1" data-colour="#ea580c">
  <div class="quiet">Temperature of the processor</div>
  <div class="row"><div class="big"><span class="now">--.-</span> &deg;C</div><div class="quiet range"></div></div>
  <canvas></canvas>
</section>
<section data-value="volts" data-digits="2" data-least=".1" data-colour="#2563eb">
  <div class="quiet">Voltage at GP26</div>
  <div class="row"><div class="big"><span class="now">-.--</span> V</div><div class="quiet range"></div></div>
  <canvas></canvas>
</section>
<section class="row">
  <span class="lamp" id="led">LED</span>
  <button value="on" disabled>On</button>
  <button value="off" disabled>Off</button>
</section>
<div class="quiet row"><span id="up"></span><span id="watching"></span></div>
<script>${KEEP_SOCKET}
  const SHOWN = 60000; // milliseconds
  const buttons = document.querySelectorAll('button');
  const charts = [...document.querySelectorAll('[data-value]')].map((card) => ({ card, canvas: card.querySelector('canvas'), ...card.dataset }));
  let readings = [];
  let skew; // this computer's clock less the board's
  let socket;

  // ---- connection

  onload = () => keepSocket('/live', (ws) => {
    let heard = false;
    let timer;
    const expectMore = () => {
      clearTimeout(timer);
      timer = setTimeout(() => ws.dispatchEvent(new Event('close')), 3000); // a board without power does not even say goodbye
    };
    socket = ws;
    ws.onopen = expectMore;
    ws.onmessage = ({ data }) => {
      if (!heard) skew = Infinity; // the board may have been switched off and on: then its clock begins with 0
      heard = true;
      expectMore();
      show(JSON.parse(data));
    };
    ws.onclose = async () => {
      clearTimeout(timer);
      ws.onopen = ws.onmessage = ws.onclose = null;
      ws.close();
      const others = heard ? 0 : await fetch('viewers', { signal: AbortSignal.timeout(3000) }).then((answer) => answer.json()).catch(() => 0);
      if (ws === socket) say((heard ? 'Connection lost' : others > 2 ? 'Others are watching' : 'No connection') + ', trying again...');
    };
  });

  function say(text, live = false) {
    state.textContent = text;
    state.classList.toggle('on', live);
    for (const button of buttons) button.disabled = !live;
  }

  function show(reading) {
    const now = performance.now();
    // However unevenly they arrive, they were measured evenly. (Two clocks never agree for long, so it may rise, by a little.)
    skew = Math.min(skew + .02, now - reading.ms);
    readings.push({ ...reading, at: reading.ms + skew });
    readings = readings.filter(({ at }) => at > now - SHOWN - 1000);
    for (const chart of charts) write(chart, reading[chart.value]);
    say('Live', true);
    led.classList.toggle('on', reading.led);
    watching.textContent = reading.viewers > 1 ? reading.viewers + ' are watching' : '';
    up.textContent = 'Running for ' + Math.floor(reading.ms / 3600000) + new Date(reading.ms).toISOString().slice(13, 19);
  }

  for (const button of buttons) button.onclick = () => socket.send(button.value);

  // ---- charts

  function write(chart, now) {
    const { card, value, digits, least } = chart;
    const values = readings.map((reading) => reading[value]);
    const low = Math.min(...values), high = Math.max(...values);
    card.querySelector('.now').textContent = now.toFixed(digits);
    card.querySelector('.range').textContent = low.toFixed(digits) + ' to ' + high.toFixed(digits) + '\\nlast minute';
    chart.goal = { middle: (low + high) / 2, height: Math.max(high - low, least) }; // noise is not to look like a storm
    chart.scale = chart.scale || { ...chart.goal };
  }

  function draw({ canvas, value, colour, goal, scale }) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const pen = canvas.getContext('2d');
    canvas.width = width * devicePixelRatio; // this wipes it, too
    canvas.height = height * devicePixelRatio;
    pen.scale(devicePixelRatio, devicePixelRatio);
    pen.strokeStyle = colour;
    pen.fillStyle = colour + '22';
    pen.lineWidth = 2;
    pen.lineJoin = 'round';

    for (const part in goal) scale[part] += (goal[part] - scale[part]) / 10; // it does not jump
    const right = performance.now() - 200; // what is newer waits beyond the edge, so that the line moves evenly
    const x = ({ at }) => width - (right - at) / SHOWN * width;
    const y = (reading) => height / 2 - (reading[value] - scale.middle) / scale.height * (height - 12);
    for (const line of lines()) {
      const path = new Path2D();
      for (const reading of line) path.lineTo(x(reading), y(reading));
      pen.stroke(path);
      path.lineTo(x(line[line.length - 1]), height);
      path.lineTo(x(line[0]), height);
      pen.fill(path);
    }
  }

  /** The readings in lists: where more than a second is missing, a new one begins. */
  function lines() {
    const lists = [];
    readings.forEach((reading, i) => {
      if (!i || reading.at - readings[i - 1].at > 1000) lists.push([]);
      lists[lists.length - 1].push(reading);
    });
    return lists;
  }

  function frame() {
    charts.forEach(draw);
    requestAnimationFrame(frame);
  }
  frame();
</script>
`;

online(() => {
  // A viewer who vanished without a goodbye is noticed within 30 seconds. Until then they keep their port.
  run(new Dashboard({ pingSeconds: 10 }).start(80), publish());
  console.log('Open ' + address());
});
