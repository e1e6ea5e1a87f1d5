// The emulated board of npm start, in a process of its own: a program that never gives control back can be ended from outside.
// It is told the program and the options once, then to stop; it tells what happens. Its argument is the id of the process that started it.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { holdings } from '../../test/board/holdings.mjs';
import { Board } from '../../test/board/index.mjs';
import { UNCAUGHT } from '../../test/board/rules.mjs';
import { watchProgram } from './hints.mjs';
import { HEAP_SIZE, kilobytes } from './lines.mjs';
import { watchLoops } from './loops.mjs';
import { watchTraffic } from './traffic.mjs';
import { watchJson } from './replies.mjs';
import { siteFiles } from '../build/www.mjs';

/** Vitals are told when they have been the same for so many ms: a connection that comes and goes is in the line of its request. */
const SETTLED = 500;
/** The heap is counted then, and every so many ms; it takes some 10 ms, and what changes by less than so many bytes is not worth a line. */
const HEAP = { every: 5000, step: 1024 };
/** The states of PCBs that are connections. */
const OPEN = ['SYN_SENT', 'SYN_RCVD', 'ESTABLISHED', 'CLOSE_WAIT'];
const BOUND = 'BOUND';
/** The head of an answer, as the server writes it. */
const LENGTH = /^HTTP\/1\.1 \d{3} [^]*?\r\ncontent-length: (\d+)\r\n/;
/** What a program loads that is not bundled with it. */
const library = Object.fromEntries(['ehttpserver.js', 'websocket.js']
  .map((name) => [`/lib/${name}`, new Uint8Array(readFileSync(new URL(`../../dist/${name}`, import.meta.url)))]));
/** What a program on the board believes to be the address of one of its ports. */
const BOARD_URL = /\b(http|ws):\/\/127\.0\.0\.1(?::(\d+))?(?=\/)/g;

/** The board has some lines in each stack trace, which are not shown. */
Error.stackTraceLimit = 30;

let onTheWay = 0;

/** Tells the other process. */
function tell(type, content = {}) {
  if (!process.connected) return;
  onTheWay++;
  process.send({ ...content, type }, () => { onTheWay--; });
}

async function delivered() {
  while (onTheWay > 0 && process.connected) await new Promise((resolve) => setImmediate(resolve));
}

/** Begins to look whether the other process is still there; after this, whatever the program does. */
async function watchStarter() {
  const watchdog = new Worker(new URL('watchdog.mjs', import.meta.url), { workerData: { starter: +process.argv[2] } });
  watchdog.unref();
  await once(watchdog, 'message');
}

const stackOf = (error) => String(error?.stack ?? error);

export function vitalsOf(board) {
  const { fds, zombies, pcbs, states, peak } = board.vitals();
  const open = OPEN.reduce((sum, state) => sum + (states[state] ?? 0), 0);
  const held = states[BOUND] ?? 0;
  return {
    open, held, ending: pcbs - open - held, pcbs, allPcbs: board.lwip.pcbs.length,
    fds, allFds: board.driver.slots.length, dead: zombies, peak,
  };
}

/**
 * Looks at the board after each pass: its vitals and the rules that its program has broken.
 * @param {import('../../test/board/index.mjs').Board} board
 * @param {{idle: number, text: number}} takes bytes of a board that does nothing, and of the program's text with what is made of it
 */
function watchBoard(board, { idle, text }) {
  let current = '';
  let told = '';
  let since = 0;
  let made;
  let heap = 0;
  let countedAt = 0;
  let violations = 0;
  /** Bytes of an answer that may be too large, until the heap is counted with it. */
  let large = 0;

  const { netdev } = board;
  const { write } = netdev;
  netdev.write = (fd, data, ...more) => {
    const [, length = 0] = LENGTH.exec(typeof data === 'string' ? data : Buffer.from(data ?? []).toString('latin1', 0, 2048)) ?? [];
    if (+length > HEAP_SIZE / 2) large = +length;
    return write(fd, data, ...more);
  };
  /** Estimates the heap in use, once the program listens. Whether it has changed. */
  const countHeap = () => {
    const held = holdings(board);
    // Of the examples' text 34 to 38 % are objects; what there is above that at first was made otherwise: tables, buffers.
    made ??= Math.min(held, text * 0.4);
    const bytes = idle + text + held - made;
    countedAt = board.now;
    if (Math.abs(bytes - heap) < HEAP.step) return false;
    if (bytes > HEAP_SIZE && heap <= HEAP_SIZE) {
      const answer = large ? `, with an answer of ${kilobytes(large)} KB: use a FileResponse or a stream` : '';
      tell('violation', { stack: '', message: `out of memory, which no program survives: it holds some ${kilobytes(bytes)} KB of JavaScript heap${answer}` });
    }
    heap = bytes;
    return true;
  };
  const look = () => {
    for (const error of board.violations.slice(violations)) {
      if (error.rule !== UNCAUGHT) tell('violation', { message: error.message, stack: stackOf(error.cause ?? error) });
    }
    violations = board.violations.length;
    if (board.lwip.listeners.size === 0) return;
    const vitals = vitalsOf(board);
    const key = Object.values({ ...vitals, peak: Math.ceil(vitals.peak / 1024) }).join();
    if (key !== current) {
      current = key;
      since = board.now;
    }
    const settled = key !== told && board.now - since >= SETTLED;
    if (!settled && !large && board.now - countedAt < HEAP.every) return;
    const changed = countHeap();
    large = 0;
    if (!changed && !settled) return;
    told = key;
    tell('vitals', { ...vitals, heap });
  };
  const { network } = board;
  const { phase } = network;
  network.phase = () => {
    phase.call(network);
    look();
  };
  return look;
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

function makeBoard({ firmware, port, latency, loss, synRetries, files }) {
  const board = new Board({
    firmware, port,
    network: 'node',
    wifi: 'off', // as after a reset: the program has to connect
    storage: { WIFI_SSID: 'emulated', WIFI_PASSWORD: 'emulated' },
    files: { ...siteFiles(files), ...library },
    onConsole: (level, text) => tell('console', { level, text: text.replace(BOARD_URL, urlHere) }),
  });
  const urlHere = (url, scheme, boardPort = 80) => {
    const port = board.network.expected(+boardPort);
    return port ? `${scheme}://127.0.0.1:${port}` : url;
  };
  connectInputs(board);
  board.setLink({ delay: latency, loss: loss / 100 });
  if (synRetries === 'quick') board.network.playClients(); // see the text of --help
  return board;
}

async function run({ code, map, folder, name, takes, options }) {
  const board = makeBoard(options);
  let stopping = false;
  watchTraffic(board, (event) => { if (!stopping) tell('traffic', { event }); });
  const look = watchBoard(board, takes);
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    await board.stop();
    look();
    tell('ended');
    await delivered();
    if (process.connected) process.disconnect();
  };
  process.on('message', stop);
  process.on('disconnect', stop); // whoever started it has gone
  // Kaluma 1.2.1 prints the first line of it; where it comes from is our own addition.
  process.on('unhandledRejection', (error) => tell('console', {
    level: 'error', text: `Uncaught (in promise) ${stackOf(error)}`,
  }));
  await watchStarter(); // first: whoever reads the address may kill the starter at once
  if (stopping) return;
  try {
    tell('address', { port: await board.network.reserve() });
  } catch (error) {
    tell('failed', { code: error.code, message: error.message, port: error.port });
    return stop();
  }
  watchProgram(board, tell);
  watchJson(tell);
  await watchLoops({ name, map, folder });
  await delivered(); // the program may never let go of the processor
  if (stopping) return;
  try {
    board.load(code, name);
  } catch (error) {
    tell('failed', { message: `${name} failed when it was loaded: ${String(error).split('\n')[0]}`, stack: stackOf(error) });
    return stop();
  }
  await board.start();
}

// Ctrl-C in a terminal reaches both processes; the other one says when to stop.
process.on('SIGINT', () => {});
process.once('message', run);
