import { SystemError } from './globals.mjs';

/**
 * `require('storage')`, also the global `storage`: strings by name, which a real board keeps over restarts.
 * @param {Record<string, string>} [initial]
 * @param {import('./rules.mjs').Rules} [rules]
 */
export function makeStorage(initial = {}, rules = undefined) {
  const items = new Map(Object.entries(initial));
  const string = (value, name) => {
    if (typeof value !== 'string') throw new TypeError(`"${name}" argument must be a string`);
    return value;
  };
  return {
    setItem(key, value) {
      // One flash page holds the name, the value and their lengths.
      if (Buffer.byteLength(string(key, 'key') + string(value, 'value')) > 253) throw new SystemError(-144);
      // The new value is copied over the old one, and getItem() reads up to the end of that into as much memory as the new one takes.
      const [before, now] = [items.get(key) ?? '', value].map((text) => Buffer.byteLength(text));
      if (now < before) rules?.record('storage', `${key} gets ${now} bytes where there were ${before}: getItem() overruns the C heap; keep its length`);
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
