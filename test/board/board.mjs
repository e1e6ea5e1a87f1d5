// The whole board, put together from its parts. From the program downwards:
//   program.mjs, globals.mjs, gpio.mjs, fs.mjs, storage.mjs, wifi.mjs   what a program sees besides the network
//   loop.mjs       the endless loop: timers, then the network
//   netdev.mjs     the network driver, `__netdev`: sockets are numbers, and callbacks are properties of objects
//   lwip.mjs       TCP: five PCBs, their states, the send buffer
//   net-memory.mjs packets on a virtual clock (each end is an Endpoint), or
//   net-node.mjs   real sockets on 127.0.0.1; exchange.mjs follows the HTTP on them
// and across them rules.mjs (what a program must not do), heap.mjs (what input costs) and places.mjs (where it lies).
import { RealClock, VirtualClock } from './clock.mjs';
import { EventEmitter } from './events.mjs';
import { FileSystem, resolvePath } from './fs.mjs';
import { SystemError, makeConsole, makeDate, makeEncodings, makeMath } from './globals.mjs';
import { Gpio } from './gpio.mjs';
import { Heap } from './heap.mjs';
import { textsHeld } from './holdings.mjs';
import { Loop } from './loop.mjs';
import { Lwip } from './lwip.mjs';
import { KALUMA_MODULES } from './modules.mjs';
import { MemoryNetwork } from './net-memory.mjs';
import { NodeNetwork } from './net-node.mjs';
import { Netdev } from './netdev.mjs';
import { languageGlobals, runProgram } from './program.mjs';
import { Rules } from './rules.mjs';
import { makeStorage } from './storage.mjs';
import { Wifi } from './wifi.mjs';

/**
 * @typedef {object} BoardOptions
 * @property {'stock' | 'routed'} [firmware] stock: bytes of all connections go to the listening object
 * @property {'memory' | 'node'} [network] memory: virtual time and scripted clients; node: real sockets on 127.0.0.1
 * @property {number} [port] node network: the real port for the first port that the program listens on, 0 for any; the ports behind it have those behind that
 * @property {number} [pcbs] lwIP's TCP PCBs
 * @property {number} [fds] the driver's sockets
 * @property {'connected' | 'off'} [wifi]
 * @property {Record<string, string>} [storage]
 * @property {Record<string, string | Uint8Array>} [files]
 * @property {number} [passMicros] virtual time that one pass of the loop takes
 * @property {number} [seed] of lost packets and of Math.random
 * @property {boolean} [mergedReads] memory network: as lwIP does it, segments that waited for a lost one are read in one piece with it, which
 *   then is longer than 1460 bytes
 * @property {number} [program] bytes of the JavaScript heap that the program takes, with engine and library: then arrays, long texts and
 *   connections are placed in what is left, and the rule 'out of heap' is broken when one finds no room. Slower; without it all finds room
 * @property {number} [cHeap] bytes of the C heap for segments that wait for the collector and for all send buffers: the rule 'C heap' is broken
 *   when it is more. A board has about 20,480. Default Infinity
 * @property {(level: 'log' | 'error', text: string) => void} [onConsole]
 */

/** A Raspberry Pi Pico W with Kaluma on it. */
export class Board {
  /** @param {BoardOptions} [options] */
  constructor({
    firmware = 'stock', network = 'memory', port = 0, pcbs = 5, fds = 16, wifi = 'connected', storage = {}, files = {},
    passMicros = 1000, seed = 1, mergedReads = false, program = 0, cHeap, onConsole,
  } = {}) {
    this.firmware = firmware;
    this.passMicros = passMicros;
    this.onNode = network === 'node';
    this.clock = this.onNode ? new RealClock() : new VirtualClock();
    /** @type {{level: 'log' | 'error', text: string}[]} */
    this.console = [];
    this.onConsole = onConsole ?? ((level, text) => this.console.push({ level, text }));

    const { clock } = this;
    this.rules = new Rules(() => clock.now);
    this.heap = new Heap(this.rules, { program, cHeap, textsInReach: () => textsHeld(this) });
    this.storage = makeStorage(storage, this.rules);
    this.fs = new FileSystem(files, this.heap.Uint8Array);
    this.wifi = new Wifi({ connected: wifi === 'connected', ip: this.onNode ? '127.0.0.1' : '192.168.1.2', storage: this.storage, rules: this.rules });
    this.gpio = new Gpio({ clock, rules: this.rules, report: (error, note) => this.printError(error, note) });

    this.lwip = new Lwip({ pcbs, now: () => clock.now });
    this.lwip.onOutput = (bytes) => this.heap.noteCPeak(bytes);
    this.heap.outputBytes = () => this.lwip.outputBytes();
    /** @type {any} a MemoryNetwork or a NodeNetwork */
    this.network = this.onNode
      ? new NodeNetwork({ clock, lwip: this.lwip, port, seed })
      : new MemoryNetwork({ clock, lwip: this.lwip, seed, mergedReads });
    this.driver = new Netdev({ lwip: this.lwip, rules: this.rules, heap: this.heap, wifi: this.wifi, firmware, fds, network: this.network });
    /** What programs see as `__netdev`. */
    this.netdev = this.driver.api;
    this.loop = new Loop({
      clock,
      rules: this.rules,
      report: (error, note) => this.printError(error, note),
      watches: () => this.gpio.runWatches(),
      network: () => this.network.phase(),
    });

    this.date = makeDate(clock);
    this.builtins = this.makeBuiltins();
    /** Every global that a program sees. */
    this.global = this.makeGlobal(seed);
  }

  makeBuiltins() {
    return {
      fs: this.fs.module(),
      wifi: this.wifi.module(),
      storage: this.storage,
      events: { EventEmitter },
      path: { sep: '/', resolve: (path) => resolvePath(path, this.fs.cwd), normalize: (path) => resolvePath(path), join: (...parts) => resolvePath(parts.join('/')) },
      led: this.gpio.ledModule(),
      pico_cyw43: this.gpio.cyw43Module(),
    };
  }

  makeGlobal(seed) {
    const write = (level, text) => this.onConsole(level, text);
    const print = (...args) => write('log', args.join(' '));
    /** @type {Record<string, any>} */
    const global = {
      ...languageGlobals(),
      ...this.loop.globals(),
      ...this.gpio.globals(),
      ...makeEncodings(this.heap.Uint8Array, (text) => this.heap.placeText(text)),
      ...makeMath(seed),
      Uint8Array: this.heap.Uint8Array,
      Date: this.date.Date,
      SystemError,
      console: makeConsole(write),
      print,
      storage: this.storage,
      board: { name: 'pico-w', led: (pin) => new this.builtins.led.LED(pin) },
      __netdev: this.netdev,
      require: this.makeRequire(),
    };
    global.global = global;
    return global;
  }

  makeRequire(modules = {}) {
    return (id) => {
      if (Object.hasOwn(modules, id)) return modules[id];
      if (Object.hasOwn(this.builtins, id)) return this.builtins[id];
      if (!KALUMA_MODULES.includes(id)) throw new Error(`Failed to load module: ${id}`);
      throw new Error(`The emulated board has no module ${id}, a real one has. Here there are: ${Object.keys(this.builtins).join(', ')}`);
    };
  }

  /** As the board prints an error that nobody caught. What becomes of it is our own addition. */
  printError(error, note = '') {
    const text = error instanceof Error ? String(error.stack) : String(error);
    this.onConsole('error', note ? `${text}\n${note}` : text);
  }

  /**
   * Runs CommonJS source as Kaluma would.
   * @param {string} code
   * @param {string} [name] for stack traces
   * @param {{modules?: Record<string, unknown>}} [options] what require() finds besides the builtins
   * @returns {any} module.exports
   */
  load(code, name = 'program.js', { modules = {} } = {}) {
    return runProgram(code, name, this.global, this.makeRequire(modules));
  }

  // ---- time

  /** Milliseconds since boot, with fractions. */
  get now() {
    return this.clock.now;
  }

  /** Sets the date, as a program with a clock chip or NTP would: Date jumps, millis() does not. */
  setDate(milliseconds) {
    this.date.offset = milliseconds - this.now;
  }

  /** One pass of the loop. */
  pass() {
    if (!this.onNode) this.clock.advance(this.passMicros);
    this.heap.beginTurn();
    this.loop.pass();
    return this;
  }

  /** Passes until so many ms have gone by. Promise jobs do not run meanwhile. */
  run(milliseconds) {
    this.mustBeVirtual('run()');
    const end = this.now + milliseconds;
    while (this.now < end) this.pass();
    return this;
  }

  /** The same, but promise jobs run in every pass. */
  async runAsync(milliseconds) {
    const end = this.now + milliseconds;
    while (this.now < end) {
      if (!this.onNode) this.pass();
      await nextTurn();
    }
    return this;
  }

  /** Passes until the predicate is truthy, and returns what it gave. */
  runUntil(predicate, maxMs = 10000) {
    this.mustBeVirtual('runUntil()');
    const end = this.now + maxMs;
    for (;;) {
      const result = predicate();
      if (result) return result;
      if (this.now >= end) this.waitedInVain(predicate, maxMs);
      this.pass();
    }
  }

  /** The same for programs with promises, and for the node network, where passes happen by themselves. */
  async until(predicate, maxMs = 10000) {
    const end = this.now + maxMs;
    for (;;) {
      const result = predicate();
      if (result) return result;
      if (this.now >= end) this.waitedInVain(predicate, maxMs);
      if (!this.onNode) this.pass();
      await nextTurn();
    }
  }

  mustBeVirtual(what) {
    if (this.onNode) throw new Error(`${what} is for the memory network; real sockets need runAsync() or until()`);
  }

  waitedInVain(predicate, maxMs) {
    const broken = this.violations.length > 0 ? `; rules broken so far: ${this.violations.map((error) => error.message).join(' | ')}` : '';
    throw new Error(`${maxMs} ms have gone by and still not: ${predicate}${broken}`);
  }

  // ---- memory network

  /**
   * A scripted client; its SYN leaves now.
   * @param {import('./net-memory.mjs').ClientOptions} [options]
   * @returns {import('./net-memory.mjs').Client}
   */
  connect(options = {}) {
    this.mustBeVirtual('connect()');
    return this.network.connect(options);
  }

  /** Delay (ms, one way) and loss (0 to 1) for clients that connect from now on; node network: for all data. */
  setLink(link) {
    Object.assign(this.network.link, link);
  }

  // ---- node network

  /** Starts the endless loop. */
  async start() {
    this.network.start(() => this.pass());
  }

  /** The real port of the first port that the program listens on, once it and the others that it listens on by then can be reached. */
  get listening() {
    return this.network.listening;
  }

  /** Ends the loop and every connection; leaves no handle open. */
  async stop() {
    await this.network.stop?.();
  }

  // ---- what tests look at

  get pins() {
    return this.gpio.pins;
  }

  get pinLog() {
    return this.gpio.pinLog;
  }

  /** Every rule broken so far. */
  get violations() {
    return this.rules.violations;
  }

  /** Throws the first broken rule. */
  check() {
    this.rules.check();
  }

  /** Throws when a delivered segment is still reachable: the program keeps what it must copy. */
  async checkHeld() {
    await this.heap.checkHeld();
  }

  /**
   * Numbers for leak tests. fds and pcbs are in use, states says what the PCBs do, held counts bound sockets that have one, zombies
   * counts fds of dead connections, uncollected and peak are bytes of segments in the C heap, output those of send buffers there, and cPeak the
   * most of both together.
   */
  vitals() {
    const states = this.lwip.states();
    const pcbs = Object.values(states).reduce((sum, count) => sum + count, 0);
    const { uncollected, peak, cPeak } = this.heap;
    return { ...this.driver.vitals(), pcbs, states, uncollected, peak, output: this.lwip.outputBytes(), cPeak, openFiles: this.fs.openFiles, time: this.now };
  }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
