// Runs a program as Kaluma runs what is in its program area: a strict script in a realm of its own, without module or exports. It may
// make code of text, with `new Function`, that finds Kaluma's globals, too.
import vm from 'node:vm';

/**
 * @param {import('../board/index.mjs').Board} board
 * @param {string} code
 * @param {string} name for stack traces
 */
export function runScript(board, code, name = 'usercode') {
  const realm = vm.createContext({});
  // The language itself is the realm's own, where the board has no other.
  const own = Object.entries(board.global).filter(([key, value]) => value !== globalThis[key]);
  Object.assign(realm, Object.fromEntries(own), { global: realm });
  vm.runInContext(`"use strict";${code}`, realm, { filename: name });
}
