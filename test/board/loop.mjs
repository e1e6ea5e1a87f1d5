// Kaluma's endless loop (src/io.c), without tty, uart and idle handlers.

/**
 * @typedef {object} Timer
 * @property {number} id
 * @property {() => void} callback
 * @property {number} deadline whole milliseconds; due when it lies *before* the loop's time
 * @property {number} interval
 * @property {boolean} repeat
 * @property {boolean} listed false once it was moved to the list of closing handles
 */

export class Loop {
  /**
   * @param {object} parts
   * @param {import('./clock.mjs').Clock} parts.clock
   * @param {import('./rules.mjs').Rules} parts.rules
   * @param {(error: unknown, note: string) => void} parts.report prints what a timer callback threw, and what becomes of the timer
   * @param {() => void} parts.watches looks at the watched pins
   * @param {() => void} parts.network the network phase
   */
  constructor({ clock, rules, report, watches, network }) {
    this.clock = clock;
    this.rules = rules;
    this.report = report;
    this.watches = watches;
    this.network = network;
    /** The time of this pass, in whole milliseconds: deadlines count from it, not from the moment of the call. */
    this.time = 0;
    /** @type {Timer[]} */
    this.timers = [];
    this.lastId = 0;
    /** @type {Timer | null} the timer whose callback runs now */
    this.running = null;
  }

  /** One pass: timers, watches, network. (Promise jobs run by themselves, when the caller returns to Node.) */
  pass() {
    this.time = Math.floor(this.clock.now);
    this.runTimers();
    this.watches();
    this.network();
  }

  runTimers() {
    for (let i = 0; i < this.timers.length; i++) {
      const timer = this.timers[i];
      if (timer.deadline >= this.time) continue;
      this.fire(timer);
      // A timer that ended is in the list of closing handles now, and the walk through the timers goes on from its new place:
      // there it ends. Timers behind it have to wait for the next pass.
      if (!timer.listed) return;
      i = this.timers.indexOf(timer);
    }
  }

  fire(timer) {
    if (timer.repeat) timer.deadline += timer.interval;
    const { callback } = timer;
    this.running = timer;
    try {
      callback.call(undefined);
      if (!timer.repeat) this.remove(timer);
    } catch (error) {
      this.failed(timer, error);
    } finally {
      this.running = null;
    }
  }

  failed(timer, error) {
    this.report(error, timer.repeat ? 'Its interval is cancelled.' : '');
    if (timer.repeat) this.rules.printed('an interval callback', error, ', and cancels the interval');
    else this.rules.printed('a timer callback', error, '');
    if (!timer.listed) this.rules.record('timer closed twice', `timer ${timer.id} cleared itself and threw: its memory is freed twice`);
    this.remove(timer);
  }

  start(callback, delay, repeat) {
    const timer = { id: ++this.lastId, callback, deadline: this.time + delay, interval: delay, repeat, listed: true };
    this.timers.push(timer);
    return timer.id;
  }

  clear(id) {
    const timer = this.timers.find((candidate) => candidate.id === id);
    if (!timer) return;
    if (timer === this.running && !timer.repeat) {
      this.rules.raise('clearTimeout of itself', `timer ${id} is one-shot and was cleared inside its own callback: this corrupts the timer list`);
    }
    this.remove(timer);
  }

  remove(timer) {
    timer.listed = false;
    const index = this.timers.indexOf(timer);
    if (index >= 0) this.timers.splice(index, 1);
  }

  /** The functions of this part that a program sees. */
  globals() {
    const number = (value) => {
      if (typeof value === 'number') return Math.max(0, Math.trunc(value));
      this.rules.record('timer without a delay', `the delay is ${String(value)}`);
      throw new TypeError('"delay" argument must be a number');
    };
    const callable = (value) => {
      if (typeof value !== 'function') throw new TypeError('"callback" argument must be a function');
      return value;
    };
    const clear = (id) => {
      if (typeof id !== 'number') throw new TypeError('"id" argument must be a number');
      this.clear(id);
    };
    return {
      setTimeout: (callback, delay) => this.start(callable(callback), number(delay), false),
      setInterval: (callback, delay) => this.start(callable(callback), number(delay), true),
      clearTimeout: clear,
      clearInterval: clear,
      delay: (milliseconds = 0) => this.clock.advance(milliseconds * 1000),
      delayMicroseconds: (microseconds = 0) => this.clock.advance(microseconds),
      millis: () => Math.floor(this.clock.now),
      micros: () => Math.floor(this.clock.microseconds),
    };
  }
}
