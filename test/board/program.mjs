// Runs a program as Kaluma runs it: one strict script that sees Kaluma's globals and no others.
import vm from 'node:vm';

/** What JerryScript has of the language itself. */
const LANGUAGE = new Set([
  'Object', 'Function', 'Array', 'String', 'Boolean', 'Number', 'Symbol', 'BigInt', 'Promise', 'RegExp', 'Proxy', 'Reflect', 'JSON',
  'Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError',
  'Map', 'Set', 'WeakMap', 'WeakSet', 'ArrayBuffer', 'DataView',
  'Int8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array',
  'BigUint64Array',
  'Infinity', 'NaN', 'undefined', 'eval', 'isFinite', 'isNaN', 'parseFloat', 'parseInt', 'encodeURI', 'decodeURI', 'escape', 'unescape',
]);

/** Everything that Node has beside the language: a program must not find it. */
const FOREIGN = Object.getOwnPropertyNames(globalThis).filter((name) => !LANGUAGE.has(name) && /^[A-Za-z_$][\w$]*$/.test(name));

/** The language's own names, for the `global` object. */
export function languageGlobals() {
  return Object.fromEntries([...LANGUAGE].filter((name) => name in globalThis).map((name) => [name, globalThis[name]]));
}

/** `Function` that has Kaluma's globals around what it makes, where Node's own has Node's. */
function makeFunction(names, values) {
  const make = (...parts) => {
    const body = parts.pop() ?? '';
    return vm.compileFunction(`return function (${parts.join()}) {${body}\n};`, names).apply(undefined, values);
  };
  return new Proxy(Function, { construct: (target, parts) => make(...parts), apply: (target, self, parts) => make(...parts) });
}

/**
 * @param {string} code CommonJS source
 * @param {string} name for stack traces
 * @param {Record<string, unknown>} globals
 * @param {(id: string) => unknown} require
 * @returns {any} module.exports
 */
export function runProgram(code, name, globals, require) {
  const module = { exports: {} };
  const own = { ...globals, require, module, exports: module.exports, global: globals.global, globalThis: globals.global };
  const names = [...new Set([...FOREIGN, ...Object.keys(own)])].filter((each) => !LANGUAGE.has(each));
  const values = names.map((each) => own[each]);
  const program = vm.compileFunction(`"use strict";${code}`, ['Function', ...names], { filename: name });
  program.apply(undefined, [makeFunction(names, values), ...values]);
  return module.exports;
}
