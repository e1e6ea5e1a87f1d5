// What would hurt the board is not refused by the board: it corrupts memory, leaks or mixes up connections in silence. The model
// therefore keeps a list of broken rules, so that a test can fail on them.

/** The rule whose breaking the board tells by itself. */
export const UNCAUGHT = 'uncaught exception';

/** A broken rule. `rule` is its short name, the message has the numbers. */
export class RuleError extends Error {
  /**
   * @param {string} rule
   * @param {string} detail
   * @param {{cause?: unknown}} [options]
   */
  constructor(rule, detail, options) {
    super(`${rule}: ${detail}`, options);
    this.name = 'RuleError';
    this.rule = rule;
  }
}

/** The rules broken so far on one board. */
export class Rules {
  /** @param {() => number} now milliseconds since boot, put into every message */
  constructor(now) {
    this.now = now;
    /** @type {RuleError[]} */
    this.violations = [];
  }

  /** Records a broken rule where nobody could catch an exception (in the driver, or in the program's callback). */
  record(rule, detail, options) {
    const error = new RuleError(rule, `${detail} (at ${this.now().toFixed(1)} ms)`, options);
    this.violations.push(error);
    return error;
  }

  /** Records a broken rule and throws it at the program that broke it. */
  raise(rule, detail) {
    throw this.record(rule, detail);
  }

  /** An exception came out of a callback of a driver, which drops it without a word. A broken rule that was thrown is on the list already. */
  swallowed(callback, error) {
    this.threw('exception out of a callback', callback, error, 'a real board says nothing about it, and loses memory');
  }

  /** An exception came out of a callback of the loop, which prints it. */
  printed(callback, error, then) {
    this.threw(UNCAUGHT, callback, error, `the board prints it${then}`);
  }

  threw(rule, callback, error, consequence) {
    if (error instanceof RuleError && this.violations.includes(error)) return;
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.record(rule, `${callback} threw ${text}; ${consequence}`, { cause: error });
  }

  /** Throws the first broken rule, if there is one. */
  check() {
    if (this.violations.length > 0) throw this.violations[0];
  }
}
