/**
 * @typedef {object} Clock
 * @property {number} now milliseconds since boot, with fractions
 * @property {number} microseconds since boot, whole
 * @property {(microseconds: number) => void} advance lets time go by while nothing else happens
 */

/** Virtual time: moves only when somebody moves it. Whole microseconds, so that sums stay exact. */
export class VirtualClock {
  constructor() {
    this.microseconds = 0;
  }

  /** Milliseconds since boot, with fractions. */
  get now() {
    return this.microseconds / 1000;
  }

  advance(microseconds) {
    this.microseconds += Math.round(microseconds);
  }
}

/** Real time since the board was made. */
export class RealClock {
  constructor() {
    this.start = performance.now();
  }

  get now() {
    return performance.now() - this.start;
  }

  get microseconds() {
    return Math.floor(this.now * 1000);
  }

  /** Busy waiting, as `delay()` does it: nothing else happens meanwhile. */
  advance(microseconds) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, microseconds / 1000);
  }
}
