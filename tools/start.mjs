// Runs a program on an emulated Pico W, so that browsers on this computer can visit it: npm start -- [example] [options]
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, parse, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Board } from '../test/board/index.mjs';
import { buildExamples, buildLibrary, exampleSource, exampleSources } from './build.mjs';
import { siteFiles } from './www.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const FIRMWARES = ['stock', 'routed'];
/** What a program on the emulated board believes to be its address: port 80, which is another one on this computer. */
const BOARD_URL = 'http://127.0.0.1/';
const EXAMPLES = exampleSources().map((file) => parse(file).name).join(', ');

const HELP = `Usage: npm start -- [example] [--port 8080] [--firmware stock]

  example      one of: ${EXAMPLES}; or the path of your own program. Default: hello
  --port       where to find it on 127.0.0.1, 0 for any free port. Default: 8080
  --firmware   stock: what Kaluma's releases do; routed: received data comes to the connection
               that it belongs to. Default: stock
  --help       this text

The board has the files of examples/www in its folder /www. Analog input 30, the temperature
of its processor, goes up and down a little.

Ctrl-C ends it.`;

/** Something that the user can mend: told in one line. */
class UserError extends Error {}

function readArguments() {
  const options = {
    port: { type: /** @type {const} */ ('string'), default: '8080' },
    firmware: { type: /** @type {const} */ ('string'), default: 'stock' },
    help: { type: /** @type {const} */ ('boolean'), short: 'h', default: false },
  };
  let parsed;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    // Its first sentence says what is wrong; the others are about what nobody wanted.
    throw new UserError(`${error.message.split(/\.\s|\n/)[0]}. See npm start -- --help`);
  }
  const { values: { port, firmware, help }, positionals: [example = 'hello', ...more] } = parsed;
  if (more.length > 0) throw new UserError(`One example at a time, please, not also: ${more.join(' ')}`);
  if (!/^\d{1,5}$/.test(port) || +port > 65535) throw new UserError(`--port must be a number from 0 to 65535, not ${port}`);
  if (!FIRMWARES.includes(firmware)) throw new UserError(`Unknown firmware ${firmware}. There are: ${FIRMWARES.join(', ')}`);
  return { example, port: +port, firmware: /** @type {'stock' | 'routed'} */ (firmware), help };
}

function findSource(example) {
  const isPath = /[/\\.]/.test(example);
  const source = isPath ? resolve(example) : exampleSource(example);
  if (source && statSync(source, { throwIfNoEntry: false })?.isFile()) return source;
  throw new UserError(isPath ? `There is no file ${example}` : `Unknown example ${example}. There are: ${EXAMPLES}`);
}

/** True when a source of the library is newer than what was built from it. */
function libraryIsStale() {
  const age = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = readdirSync(root).filter((file) => file.endsWith('.ts'));
  return sources.some((file) => age(join(root, file)) >= age(join(root, 'dist', `${parse(file).name}.js`)));
}

/** The program as the one file that the board gets. */
async function bundle(source) {
  const out = mkdtempSync(join(tmpdir(), 'ehttpserver-'));
  try {
    if (libraryIsStale()) await buildLibrary();
    await buildExamples([source], out);
    return readFileSync(join(out, `${parse(source).name}.js`), 'utf8');
  } catch (error) {
    throw new UserError(`Cannot build ${source}: ${String(error.message).split('\n')[0]}`);
  } finally {
    rmSync(out, { recursive: true });
  }
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

/** Volts at the processor's thermometer, of the 3.3 that are 1: some 27 degrees, a degree more and less in the course of 20 seconds. */
function warm(board) {
  const degrees = () => 27 + Math.sin(board.now / 3000) + 0.1 * Math.random();
  Object.defineProperty(board.pins, 30, { get: () => (0.706 - (degrees() - 27) * 0.001721) / 3.3 });
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
  warm(board);
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

try {
  const options = readArguments();
  if (options.help) console.log(HELP);
  else await start(options);
} catch (error) {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
}
