// Pins, watches, and the LED: on the Pico W that belongs to the Wi-Fi chip, not to a pin.

const LOW = 0;
const HIGH = 1;
const MODES = { INPUT: 0, OUTPUT: 1, INPUT_PULLUP: 2, INPUT_PULLDOWN: 3 };
const EVENTS = { LOW_LEVEL: 1, HIGH_LEVEL: 2, FALLING: 4, RISING: 8, CHANGE: 12 };

export class Gpio {
  /**
   * @param {object} parts
   * @param {import('./clock.mjs').Clock} parts.clock
   * @param {import('./rules.mjs').Rules} parts.rules
   * @param {(error: unknown, note: string) => void} parts.report
   */
  constructor({ clock, rules, report }) {
    this.clock = clock;
    this.rules = rules;
    this.report = report;
    /** @type {Record<string | number, number>} what each pin has; a test may set inputs here (analog ones from 0 to 1) */
    this.pins = {};
    /** @type {[number, string | number, number][]} every write: ms, pin, value */
    this.pinLog = [];
    this.watches = [];
    this.lastWatch = 0;
  }

  set(pin, value) {
    this.pins[pin] = value;
    this.pinLog.push([this.clock.now, pin, value]);
  }

  get(pin) {
    return this.pins[pin] ?? LOW;
  }

  /** Part of every pass of the loop. */
  runWatches() {
    for (const watch of [...this.watches]) {
      const value = this.get(watch.pin);
      const { events } = watch;
      const level = (events === EVENTS.LOW_LEVEL && value === LOW) || (events === EVENTS.HIGH_LEVEL && value === HIGH);
      if (level || this.edge(watch, value)) this.fire(watch);
    }
  }

  edge(watch, value) {
    if (value !== watch.last) watch.changedAt = this.clock.now;
    watch.last = value;
    if (watch.changedAt === undefined || this.clock.now - watch.changedAt < watch.debounce) return false;
    watch.changedAt = undefined;
    if (value === watch.settled) return false;
    watch.settled = value;
    return watch.events === EVENTS.CHANGE || watch.events === (value ? EVENTS.RISING : EVENTS.FALLING);
  }

  fire(watch) {
    try {
      watch.callback.call(undefined, watch.pin);
    } catch (error) {
      this.report(error, 'Its watch is cancelled.');
      this.rules.printed('a watch callback', error, ', and cancels the watch');
      this.clear(watch.id);
    }
  }

  clear(id) {
    this.watches = this.watches.filter((watch) => watch.id !== id);
  }

  watch(callback, pin, events = EVENTS.CHANGE, debounce = 0) {
    if (typeof callback !== 'function') throw new TypeError('"callback" argument must be a function');
    const value = this.get(pin);
    const watch = { id: ++this.lastWatch, callback, pin, events, debounce, last: value, settled: value, changedAt: undefined };
    this.watches.push(watch);
    return watch.id;
  }

  write(pin, value = LOW) {
    const pins = Array.isArray(pin) ? pin : [pin];
    if (!pins.every((each) => typeof each === 'number')) throw new TypeError('"pin" argument must be a number or number[]');
    if (!Array.isArray(pin)) return this.set(pin, value ? HIGH : LOW);
    // Several pins are the bits of the value, the last pin the lowest bit.
    pins.forEach((each, i) => this.set(each, (value >> (pins.length - 1 - i)) & 1));
  }

  globals() {
    return {
      HIGH, LOW, ...MODES, ...EVENTS,
      pinMode: (pin, mode) => {},
      digitalWrite: (pin, value) => this.write(pin, value),
      digitalRead: (pin) => (this.get(pin) ? HIGH : LOW),
      digitalToggle: (pin) => this.set(pin, this.get(pin) ? LOW : HIGH),
      analogRead: (pin) => {
        this.clock.advance(1000);
        return this.get(pin);
      },
      analogWrite: (pin, value = 0.5) => this.set(pin, value),
      setWatch: (callback, pin, events, debounce) => this.watch(callback, pin, events, debounce),
      clearWatch: (id) => this.clear(id),
    };
  }

  /** `require('led')` */
  ledModule() {
    const gpio = this;
    return {
      LED: class LED {
        constructor(pin) { this.pin = pin; }
        on() { gpio.write(this.pin, HIGH); }
        off() { gpio.write(this.pin, LOW); }
        toggle() { gpio.set(this.pin, gpio.get(this.pin) ? LOW : HIGH); }
        read() { return gpio.get(this.pin); }
      },
    };
  }

  /** `require('pico_cyw43')`: the Wi-Fi chip's own pins, 0 is the LED. */
  cyw43Module() {
    const gpio = this;
    const name = (pin) => {
      if (typeof pin !== 'number') throw new TypeError('"gpio" argument must be a number');
      if (pin > 2) throw new TypeError('GPIO pin is not exist');
      return pin === 0 ? 'LED' : `WL_GPIO${pin}`;
    };
    return {
      PicoCYW43: class PicoCYW43 {
        getGpio(pin) {
          return gpio.get(name(pin)) === HIGH;
        }

        putGpio(pin, value) {
          if (typeof value !== 'boolean') throw new TypeError('"value" argument must be a boolean');
          gpio.set(name(pin), value ? HIGH : LOW);
        }
      },
    };
  }
}
