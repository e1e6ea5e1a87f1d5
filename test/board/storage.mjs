import { SystemError } from './globals.mjs';

/** `require('storage')`, also the global `storage`: strings by name, kept over restarts. */
export function makeStorage(initial = {}) {
  const items = new Map(Object.entries(initial));
  const string = (value, name) => {
    if (typeof value !== 'string') throw new TypeError(`"${name}" argument must be a string`);
    return value;
  };
  return {
    setItem(key, value) {
      // One flash page holds the name, the value and their lengths.
      if (Buffer.byteLength(string(key, 'key') + string(value, 'value')) > 253) throw new SystemError(-144);
      items.set(key, value);
    },
    getItem(key) {
      return items.get(string(key, 'key')) ?? null;
    },
    removeItem(key) {
      items.delete(string(key, 'key'));
    },
    clear() {
      items.clear();
    },
    key(index) {
      if (typeof index !== 'number') throw new TypeError('"index" argument must be a number');
      return [...items.keys()][index] ?? null;
    },
    get length() {
      return items.size;
    },
  };
}
