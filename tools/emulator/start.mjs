// Runs a program on an emulated Pico W, so that browsers on this computer can visit it: npm start -- [example] [options]
import { fork } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname, join, parse, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { buildProgram } from '../build/build.mjs';
import { HEAP_SIZE, kilobytes, makeLines, portsLine } from './lines.mjs';
import { framesOf, makeLocate } from './locate.mjs';
import { reportMissing } from '../build/language.mjs';
import { bundle, EXAMPLES, findSource, parseOptions, runTool, UserError } from '../build/program.mjs';
import { siteFiles } from '../build/www.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const FIRMWARES = {
  stock: 'each port hears one client at a time, the others wait',
  routed: 'each connection has its own data: five clients are heard at once',
};
const SYN_RETRIES = ['quick', 'real'];
/** What the board's driver throws, and what the library makes of it. */
const NO_NETWORK = /\bWiFi is not connected\b/;
/** Bytes of JavaScript heap that a board takes that does nothing, and that a byte of a program's text takes. */
const HEAP = { idle: 14100, perByte: 1.5 };
/** Bytes of the board's file system. */
const FILE_SYSTEM = 524288;
/** A board that has not ended so many ms after Ctrl-C never will: its program keeps the processor. */
const PATIENCE = 1000;
/** The board's process is heard several times a second. So many looks, and ms between them, without that: its program keeps the processor. */
const SILENCE = { looks: 9, every: 250 };
/** npm passes on the signal that the terminal has sent here, too: within so many ms it is the same Ctrl-C. */
const SAME_SIGNAL = 300;

const HINTS = {
  network: () => 'There is no network yet: call listen() in the callback of connect() or wifiApMode(), or later',
  listening: (name) => `${name} does not listen after 3 s, so nobody can visit it. What to check:
  - is there a server.listen(80), or a run(server.start(80))?
  - is it called once the board is on the network, as from the callback of connect()?
  - does every function* that the program runs come to a yield?`,
  steps: (name) => `${name} listens, but nothing calls next(): run(server.start(80)) or server.listen(80)`,
  silence: (name) => `${name} has not given control back for 2 s: nobody is served meanwhile (an endless loop? delay()?)`,
};

const HELP = `Usage: npm start -- [example] [options]

  example          or the path of your own program. Default: hello. There are:
                   ${EXAMPLES.replace(/(.{45,58},) /g, '$1\n                   ')}
  --port 8080      where to find it on 127.0.0.1, 0 for any free port. That is
                   the board's port 80; 81 is at the next one, and so on
  --firmware stock | routed
                   stock, what Kaluma's releases do: ${FIRMWARES.stock.replace(' at a', '\n                   at a')};
                   routed: ${FIRMWARES.routed.replace(' five', '\n                   five')}. Default: stock
  --latency MS     a slow link: so many milliseconds more each way. Default: 0
  --loss PERCENT   a bad one: so many of its packets are lost; each costs
                   200 ms, as TCP has to send it again. Default: 0
  --syn-retries quick | real
                   what happens to connections that the board has no room for,
                   see below. Default: quick
  --files FOLDER   its files are those in the board's folder /www, in place of
                   the files of examples/www; the library is in /lib
  --help           this text

A line per request tells what its client saw: method, path, status, bytes of
the body, milliseconds from the first byte of the request to the last of the
answer. Those of unknown length begin with a line "stream"; WebSockets (WS)
have a line when they open and one when they are closed, with the code and the
messages in and out. Where it was not the board's first port, that is before
the path: ":81/ws".

The lines "board" come when something has changed for half a second: clients,
the connections that are open; heap, an estimate of what the program holds of
the JavaScript heap; input, the most bytes that waited for the garbage
collector at a time (beyond 20 KB a real board crashes); fds, the driver's
sockets; PCBs, lwIP's connections, of which the server holds some so that
others wait. "busy": the program kept the processor for 250 ms or more at a
time, with delay() or a long loop, and nobody was served meanwhile.

A board that has no room for a connection does not answer. On the air a browser
then uses the connections that it has and tries again after 1, 3 and 7 seconds.
On this computer it believes to be connected at once, puts a request on that
connection, and waits for the board. So by default the emulator does what the
browser cannot do: it sends a request that waits down the connection that the
board has kept for the same browser; if there is none, it lets the request in as
soon as there is room. A page then takes a little less than on the air. With
--syn-retries real each connection waits until it is tried again, after 1, 3
and 7 seconds, and a page takes longer than on the air.

Analog input 30 of the board, the temperature of its processor, goes up and down
a little; at input 26 somebody turns a potentiometer.

Ctrl-C ends it, a second one at once. NO_COLOR=1 keeps a terminal's lines plain.`;

const text = (preset) => ({ type: /** @type {const} */ ('string'), default: preset });

/** The path of a folder whose files the board has room for. */
function findFiles(folder) {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw new UserError(`There is no folder ${folder}`);
  const bytes = Object.values(siteFiles(folder)).reduce((sum, { length }) => sum + length, 0);
  if (bytes > FILE_SYSTEM) throw new UserError(`The files in ${folder} have ${kilobytes(bytes)} KB, the board has room for ${kilobytes(FILE_SYSTEM)}`);
  return resolve(folder);
}

function readArguments() {
  const options = {
    port: text('8080'),
    firmware: text('stock'),
    latency: text('0'),
    loss: text('0'),
    'syn-retries': text('quick'),
    files: { type: /** @type {const} */ ('string') },
    help: { type: /** @type {const} */ ('boolean'), short: 'h', default: false },
  };
  const { values, positionals: [example = 'hello', ...more] } = parseOptions(options, 'npm start --');
  if (more.length > 0) throw new UserError(`One example at a time, please, not also: ${more.join(' ')}`);
  const number = (name, pattern, most) => {
    if (!pattern.test(values[name]) || +values[name] > most) throw new UserError(`--${name} must be a number from 0 to ${most}, not ${values[name]}`);
    return +values[name];
  };
  const choice = (name, what, choices) => {
    if (!choices.includes(values[name])) throw new UserError(`Unknown ${what} ${values[name]}. There are: ${choices.join(', ')}`);
    return values[name];
  };
  return {
    example,
    help: values.help,
    port: number('port', /^\d{1,5}$/, 65535),
    firmware: choice('firmware', 'firmware', Object.keys(FIRMWARES)),
    latency: number('latency', /^\d+$/, 10000),
    loss: number('loss', /^\d+(\.\d+)?$/, 90),
    synRetries: choice('syn-retries', 'choice for --syn-retries', SYN_RETRIES),
    files: values.files && findFiles(values.files),
  };
}

/** Bytes of the board's heap that a program's text takes, without the spaces that nobody needs. */
async function heapOf(code) {
  const { code: dense } = await esbuild.transform(code, { minifyWhitespace: true, target: 'es2017' });
  return dense.length * HEAP.perByte;
}

/** Tells, once, when the board's process has not been heard for a while. On a machine that sleeps, time does not go by here either. */
class Silence {
  #looks = 0;
  #timer;

  /** @param {() => void} report */
  constructor(report) {
    this.report = report;
  }

  heard() {
    this.#looks = 0;
    this.#timer ??= setInterval(() => {
      if (++this.#looks < SILENCE.looks) return;
      this.stop();
      this.report();
    }, SILENCE.every);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** What is known before the first request. */
function introduction({ name, url, firmware, latency, loss, synRetries, takes }) {
  const link = [
    latency > 0 ? `${latency} ms more each way` : '',
    loss > 0 ? `${loss} % of the packets are lost, 200 ms each` : '',
    synRetries === 'real' ? 'SYN retries after 1, 3 and 7 s' : '',
  ].filter(Boolean).join('; ');
  return [
    `${name} runs on an emulated Pico W: ${url}  (Ctrl-C ends it)`,
    `${firmware} firmware: ${FIRMWARES[firmware]}`,
    `program: takes some ${kilobytes(takes.idle + takes.text)} of the board's ${kilobytes(HEAP_SIZE)} KB of JavaScript heap`,
    ...link ? [`link: ${link}`] : [],
  ].join('\n');
}

/** The process that the board is in, with a promise for its end. */
function emulate(program, told) {
  const child = fork(join(root, 'tools', 'emulator', 'emulate.mjs'), [`${process.pid}`], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = new Promise((done, failed) => {
    child.once('error', failed);
    child.once('exit', done);
  });
  child.on('message', told);
  child.send(program);
  return { child, exited };
}

/** Ends the board when it is told to, and by force when it does not end. */
class Ending {
  #child;
  #began = 0;
  #stopped = false;
  #timer;
  /** The program did not let go of the processor. */
  forced = false;

  constructor(child) {
    this.#child = child;
  }

  get begun() {
    return this.#began > 0;
  }

  begin() {
    if (this.begun) return;
    this.#began = performance.now();
    this.#child.send('stop', () => {}); // it may have gone by itself
    this.#timer = setTimeout(() => {
      this.forced = !this.#stopped;
      this.#child.kill('SIGKILL');
    }, PATIENCE);
  }

  signalled() {
    if (this.begun && performance.now() - this.#began > SAME_SIGNAL) {
      this.#child.kill('SIGKILL');
      process.exit(130);
    }
    this.begin();
  }

  /** The board has stopped: its process has nothing left to do. If it stays all the same, that is not the program's doing. */
  stopped() {
    this.#stopped = true;
  }

  /** The process has gone. */
  done() {
    clearTimeout(this.#timer);
  }
}

/** @param {ReturnType<typeof readArguments>} options */
async function start({ example, ...options }) {
  const source = findSource(example);
  const { base, name } = parse(source);
  const program = await bundle(source, buildProgram);
  reportMissing(program);
  const { code } = program;
  const locate = makeLocate(base, program);
  const hint = (about) => console.error(HINTS[about](base));
  const takes = { idle: HEAP.idle, text: await heapOf(code) };
  const lines = makeLines({ colours: process.stdout.hasColors?.() ?? false, width: process.stdout.columns });
  const silence = new Silence(() => { if (!ending.begun) hint('silence'); });
  const ports = new Map();
  let portsTold = 1; // one alone is in the introduction
  let failure;

  const tellPorts = () => {
    if (ports.size <= portsTold) return;
    portsTold = ports.size;
    console.log(portsLine(ports));
  };
  const told = {
    alive: () => silence.heard(),
    console: ({ level, text }) => {
      console[level](locate(text));
      if (NO_NETWORK.test(text)) hint('network');
    },
    traffic: ({ event }) => console.log(lines.traffic(event)),
    vitals: (vitals) => console.log(lines.vitals(vitals)),
    violation: ({ message, stack }) => {
      console.error(`This would have hurt a real board: ${message}${framesOf(locate(stack))}`);
      if (NO_NETWORK.test(stack)) hint('network');
    },
    empty: ({ kind, instead }) => console.error(`${/^E/.test(kind) ? 'An' : 'A'} ${kind} became JSON, which is {}: use ${instead}`),
    busy: (pass) => console.log(lines.busy(pass)),
    hint: ({ about }) => hint(about),
    address: ({ port }) => console.log(introduction({ name, url: `http://127.0.0.1:${port}/`, takes, ...options })),
    port: ({ boardPort, port }) => ports.set(boardPort, port),
    failed: ({ code: why, message, port, boardPort, stack = '' }) => {
      const standsFor = boardPort ? `, which stands for port ${boardPort} of the board,` : '';
      const inUse = why === 'EADDRINUSE' && `Port ${port}${standsFor} is in use. Choose another one: --port 0 takes any`;
      const mendable = NO_NETWORK.test(stack) ? `\n${HINTS.network()}` : '';
      failure = new UserError(inUse || message + framesOf(locate(stack)) + mendable);
      ending.begin();
    },
    ended: () => ending.stopped(),
  };
  const tell = (message) => {
    if (message.type !== 'port') tellPorts(); // of all that were opened together: there are messages all the time
    told[message.type](message);
  };
  // Before there is a process that could stay behind.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => ending.signalled());
  const { child, exited } = emulate({ ...program, name: base, takes, options }, tell);
  const ending = new Ending(child);
  process.stdout.on('error', () => ending.begin()); // nobody reads it any more

  const status = await exited;
  silence.stop();
  ending.done();
  if (failure) throw failure;
  if (ending.forced) throw new UserError(`${base} never gave control back to the board (an endless loop?): it was ended by force`);
  if (!ending.begun) process.exitCode = status || 1; // it has said why
}

await runTool(async () => {
  const options = readArguments();
  if (options.help) console.log(HELP);
  else await start(options);
});
