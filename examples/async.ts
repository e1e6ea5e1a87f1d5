// Server and LED as async functions, for programs that are made of them. A handler may be one, too.
import { PicoCYW43 } from 'pico_cyw43';
import { Response, Server, route } from '../ehttpserver';
import { page } from './lib/page';
import { address, online } from './lib/wifi';

const LED = 0; // the LED of the Pico W is a pin of its Wi-Fi chip
const THERMOMETER = 30; // and its analog input 30 is the temperature of the processor
const chip = new PicoCYW43();
let toggles = 0;

// A pause has to be a timer. What `await` gets from anything else is there at once, and then neither the network nor timers have a turn.
const sleep = (ms: number) => new Promise<void>((done) => { setTimeout(done, ms); });

async function blink() {
  for (;;) {
    chip.putGpio(LED, !chip.getGpio(LED));
    toggles++;
    await sleep(100);
  }
}

/** The mean of 20 readings, in degrees Celsius: that takes two seconds. */
async function meanTemperature() {
  let sum = 0;
  for (let i = 0; i < 20; i++) {
    sum += 27 - (analogRead(THERMOMETER) * 3.3 - 0.706) / 0.001721; // from the processor's data sheet
    await sleep(100);
  }
  return sum / 20;
}

class Site extends Server {
  @route('/')
  home() {
    return new Response(page('Async functions', HOME), 200, 'text/html');
  }

  @route('/toggles')
  toggles() {
    return toggles;
  }

  @route('/temperature')
  async temperature() {
    return (await meanTemperature()).toFixed(1);
  }
}

const HOME = `
<section>
  <p>The LED was switched <b id="toggles">...</b> times.</p>
</section>
<section>
  <div class="big"><span id="celsius">--.-</span> &deg;C</div>
  <p><button id="measure">Measure</button></p>
  <p class="quiet">That takes two seconds. The LED goes on blinking and the board goes on answering.</p>
</section>
<script>
  const show = async (id, url) => { document.getElementById(id).textContent = await (await fetch(url)).text(); };
  const forever = async () => {
    await show('toggles', 'toggles').catch(() => {}); // a board that is switched off may come back
    setTimeout(forever, 500);
  };
  measure.onclick = async () => {
    measure.disabled = true;
    await show('celsius', 'temperature').catch(() => {});
    measure.disabled = false;
  };
  forever();
</script>
`;

/** The server is stepped here. A step is short: it never waits for a client. */
async function serve(server: Server) {
  const steps = server.start(80);
  console.log('Open ' + address());
  while (!steps.next().done) await sleep(0);
}

online(() => {
  Promise.all([blink(), serve(new Site())]).catch((error) => console.error(error));
});
