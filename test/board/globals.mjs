// The globals that Kaluma has and JavaScript does not, or has differently.
import { inspect } from 'node:util';
import { seededRandom } from './random.mjs';

const BASE64_LINE = 72;

/** console: log and error only. */
export function makeConsole(write) {
  const print = (level) => (...args) => {
    if (args.length > 0) write(level, args.map((arg) => (typeof arg === 'string' ? arg : inspect(arg))).join(' '));
  };
  return { log: print('log'), error: print('error') };
}

/** TextEncoder, TextDecoder, btoa, atob, encodeURIComponent, decodeURIComponent. Arrays are of the board's counting kind, and texts are placed. */
export function makeEncodings(Uint8Array, placed = (text) => text) {
  const label = (value) => {
    if (value !== undefined && typeof value !== 'string') throw new TypeError('"label" argument must be a string');
    return value ?? 'utf-8';
  };
  const fromUtf8 = (text) => new Uint8Array(Buffer.from(text, 'utf8'));

  class TextEncoder {
    constructor(name) {
      this.encoding = label(name);
    }

    encode(input) {
      if (typeof input !== 'string') throw new TypeError('"input" argument must be a string');
      if (this.encoding === 'utf-8') return fromUtf8(input);
      if (this.encoding === 'ascii') return new Uint8Array(toLatin1(input));
      throw new Error('Unsupported encoding.');
    }
  }

  class TextDecoder {
    constructor(name) {
      this.encoding = label(name);
    }

    decode(input) {
      if (!(input instanceof Uint8Array)) throw new Error('input must be Uint8Array.');
      if (this.encoding === 'utf-8') return placed(uncheckedUtf8(input));
      if (this.encoding === 'ascii') return placed(Buffer.from(input).toString('latin1'));
      throw new Error('Unsupported encoding.');
    }
  }

  return {
    TextEncoder,
    TextDecoder,
    btoa: (data) => encodeBase64(data),
    atob: (text) => {
      const bytes = decodeBase64(text);
      return bytes && new Uint8Array(bytes);
    },
    encodeURIComponent: encodeComponent,
    decodeURIComponent: decodeComponent,
  };
}

function toLatin1(text) {
  const bytes = Buffer.alloc(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) > 255 ? 0 : text.charCodeAt(i);
  return bytes;
}

/**
 * Decodes without looking whether the bytes are UTF-8, as the board does. There the string is corrupt from then on; here each byte
 * that has no meaning becomes U+FFFD, which a test can see.
 */
function uncheckedUtf8(bytes) {
  return Buffer.from(bytes).toString('utf8');
}

function encodeBase64(data) {
  const isBytes = data instanceof globalThis.Uint8Array;
  if (!isBytes && typeof data !== 'string') throw new TypeError('Unsupported binary data.');
  const text = Buffer.from(isBytes ? data : toLatin1(data)).toString('base64');
  // Nothing in, undefined out.
  if (text === '') return undefined;
  return text.match(new RegExp(`.{1,${BASE64_LINE}}`, 'g')).join('\n');
}

function decodeBase64(text) {
  if (typeof text !== 'string') throw new TypeError('"encodedData" argument must be a string');
  const symbols = text.replace(/[^A-Za-z0-9+/=]/g, '');
  if (symbols.length === 0 || symbols.length % 4 !== 0) return undefined;
  return Buffer.from(symbols, 'base64');
}

function encodeComponent(value) {
  return [...toLatin1(String(value))].map((byte) => {
    const char = String.fromCharCode(byte);
    return /[A-Za-z0-9\-_.!~*'()]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}

/** Good escapes are decoded; bad ones do not throw (on the board they give some byte or other, here they stay). */
function decodeComponent(value) {
  const bytes = String(value).replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return uncheckedUtf8(toLatin1(bytes));
}

/** Date starts near 1970 and jumps when the program sets it. */
export function makeDate(clock) {
  const date = {
    /** Added to the time since boot. */
    offset: 0,
    now: () => Math.floor(clock.now + date.offset),
  };
  date.Date = new Proxy(Date, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length > 0 ? args : [date.now()], newTarget === date.Date ? target : newTarget),
    get: (target, key) => (key === 'now' ? date.now : Reflect.get(target, key)),
  });
  return date;
}

/** Math with a random() that everybody who knows the seed can predict. */
export function makeMath(seed) {
  let random = seededRandom(seed);
  const math = Object.create(Math, { random: { value: () => random(), writable: true, configurable: true } });
  return { Math: math, seed: (value) => { random = seededRandom(value); } };
}

/** Kaluma's SystemError. */
export class SystemError extends Error {
  constructor(errno) {
    const number = errno > 0 ? -errno : errno;
    super(SYSTEM_MESSAGES[number] ?? `System error ${number}`);
    this.errno = number;
  }
}

const SYSTEM_MESSAGES = {
  [-1]: 'Operation not permitted',
  [-2]: 'No such file or directory',
  [-5]: 'I/O error',
  [-6]: 'No such device or address',
  [-9]: 'Bad file number',
  [-12]: 'Out of memory',
  [-17]: 'File exists',
  [-20]: 'Not a directory',
  [-21]: 'Is a directory',
  [-22]: 'Invalid argument',
  [-28]: 'No space left on device',
  [-39]: 'Directory not empty',
};
