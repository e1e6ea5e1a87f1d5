// The LED keeps its rhythm while requests come in: LED and server take turns, one small step each.
import { PicoCYW43 } from 'pico_cyw43';
import { Response, Server, route, run } from '../ehttpserver';
import { address, online } from './lib/wifi';

const LED = 0; // the LED of the Pico W is a pin of its Wi-Fi chip
const chip = new PicoCYW43();
let toggles = 0;

/** Every `yield` is a pause, in which the server gets its turn. */
function* blink() {
  for (let next = millis(); ; next += 100) {
    while (millis() < next) yield;
    chip.putGpio(LED, !chip.getGpio(LED));
    toggles++;
  }
}

class Site extends Server {
  @route('/')
  page() {
    const state = chip.getGpio(LED) ? 'on' : 'off';
    const html = '<!DOCTYPE html><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>Blink</title>'
      + '<meta http-equiv="refresh" content="1"><style>body { font: 20px sans-serif }</style>'
      + '<p>The LED is ' + state + '. It was switched ' + toggles + ' times.</p>';
    return new Response(html, 200, 'text/html');
  }
}

online(() => {
  run(new Site().start(80), blink());
  console.log('Open ' + address());
});
