// Runs a program on an emulated Pico W, so that browsers on this computer can visit it: npm start -- [example] [options]
import { parse } from 'node:path';
import { Board } from '../test/board/index.mjs';
import { bundle, EXAMPLES, findSource, parseOptions, runTool, UserError } from './program.mjs';
import { siteFiles } from './www.mjs';

const FIRMWARES = ['stock', 'routed'];
/** What a program on the emulated board believes to be its address: port 80, which is another one on this computer. */
const BOARD_URL = 'http://127.0.0.1/';

const HELP = `Usage: npm start -- [example] [--port 8080] [--firmware stock]

  example      one of: ${EXAMPLES}; or the path of your own program. Default: hello
  --port       where to find it on 127.0.0.1, 0 for any free port. Default: 8080
  --firmware   stock: what Kaluma's releases do; routed: received data comes to the connection
               that it belongs to. Default: stock
  --help       this text

The board has the files of examples/www in its folder /www. Analog input 30, the temperature
of its processor, goes up and down a little; at input 26 somebody turns a potentiometer.

Ctrl-C ends it.`;

function readArguments() {
  const options = {
    port: { type: /** @type {const} */ ('string'), default: '8080' },
    firmware: { type: /** @type {const} */ ('string'), default: 'stock' },
    help: { type: /** @type {const} */ ('boolean'), short: 'h', default: false },
  };
  const { values: { port, firmware, help }, positionals: [example = 'hello', ...more] } = parseOptions(options, 'npm start');
  if (more.length > 0) throw new UserError(`One example at a time, please, not also: ${more.join(' ')}`);
  if (!/^\d{1,5}$/.test(port) || +port > 65535) throw new UserError(`--port must be a number from 0 to 65535, not ${port}`);
  if (!FIRMWARES.includes(firmware)) throw new UserError(`Unknown firmware ${firmware}. There are: ${FIRMWARES.join(', ')}`);
  return { example, port: +port, firmware: /** @type {'stock' | 'routed'} */ (firmware), help };
}

/** Prints what the program prints; its own address as the one that works here, so that is kept back until it is known. */
class Console {
  #url = '';
  #early = [];

  print(level, text) {
    if (!this.#url && text.includes(BOARD_URL)) this.#early.push([level, text]);
    else console[level](text.replaceAll(BOARD_URL, this.#url));
  }

  listening(url) {
    this.#url = url;
    for (const [level, text] of this.#early.splice(0)) this.print(level, text);
  }
}

/** What the analog inputs have, as a part of 3.3 volts. */
function connectInputs(board) {
  const wave = (seconds) => Math.sin(board.now / 1000 * 2 * Math.PI / seconds);
  // The processor's thermometer: some 27 degrees, a degree more and less in the course of 40 seconds.
  const degrees = () => 27 + 0.8 * wave(40) + 0.3 * wave(13) + 0.1 * Math.random();
  Object.defineProperty(board.pins, 30, { get: () => (0.706 - (degrees() - 27) * 0.001721) / 3.3 });
  // A potentiometer, which is turned, and left alone for a while.
  Object.defineProperty(board.pins, 26, { get: () => 0.5 + 0.3 * Math.tanh(4 * wave(27)) + 0.1 * Math.tanh(4 * wave(11)) });
}

function load(board, code, source) {
  try {
    board.load(code, parse(source).base);
  } catch (error) {
    throw new UserError(`${parse(source).base} failed when it was loaded: ${String(error).split('\n')[0]}`);
  }
}

async function start({ example, port, firmware }) {
  const source = findSource(example);
  const code = await bundle(source);
  const output = new Console();
  const board = new Board({
    firmware, port,
    network: 'node',
    wifi: 'off', // as after a reset: the program has to connect
    storage: { WIFI_SSID: 'emulated', WIFI_PASSWORD: 'emulated' },
    files: siteFiles(),
    onConsole: (level, text) => output.print(level, text),
  });
  connectInputs(board);
  const ended = new Promise((done) => { for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, done); });
  try {
    load(board, code, source);
    await board.start();
    const listening = board.listening.then((real) => {
      const url = `http://127.0.0.1:${real}/`;
      console.log(`${parse(source).name} runs on an emulated Pico W with ${firmware} firmware: ${url}  (Ctrl-C ends it)`);
      output.listening(url);
      return ended;
    });
    await Promise.race([listening, ended]);
  } catch (error) {
    throw error.code === 'EADDRINUSE' ? new UserError(`Port ${port} is in use. Choose another one: --port 0 takes any`) : error;
  } finally {
    await board.stop();
    for (const { message } of board.violations) console.error(`This would have hurt a real board: ${message}`);
  }
}

await runTool(async () => {
  const options = readArguments();
  if (options.help) console.log(HELP);
  else await start(options);
});
