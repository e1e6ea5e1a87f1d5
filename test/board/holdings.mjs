// What a program holds in the board's JavaScript heap, counted as the board would: everything that can be reached from its timers, its sockets
// and some roots, walked through objects, closures and the variables of its modules, with the prices of JerryScript instead of Node's.
import { Session } from 'node:inspector';

/**
 * Bytes: `{}`, one of its properties, a closure, a typed array without its bytes, an element of an array or a Map, and a number that
 * does not fit into that.
 */
const PRICE = { object: 20, property: 10, closure: 76, view: 40, element: 4, number: 8 };
/** Whole numbers below this fit. */
const DIRECT = 2 ** 27;

/** A text as JerryScript keeps it: ASCII 1 byte a character, others 2. */
const textBytes = (text) => {
  let count = text.length;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) count++;
  return count;
};

/** Looks into closures, which only a debugger can do. */
class Scopes {
  constructor() {
    this.session = new Session();
    this.session.connect();
  }

  ask(method, params) {
    let answer;
    this.session.post(method, params, (error, result) => { answer = { error, result }; });
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  }

  /** The variables that a function or a suspended generator sees, scope by scope, without Node's own. */
  of(fn) {
    globalThis.holdingsProbe = fn;
    const { result } = this.ask('Runtime.evaluate', { expression: 'holdingsProbe' });
    const { internalProperties = [] } = this.ask('Runtime.getProperties', { objectId: result.objectId, ownProperties: true });
    const scopes = internalProperties.find(({ name }) => name === '[[Scopes]]');
    const found = [];
    if (scopes) {
      const { result: list } = this.ask('Runtime.getProperties', { objectId: scopes.value.objectId, ownProperties: true });
      for (const { value } of list) {
        if (!/^(Closure|Block|Local|Catch|With)/.test(value?.description ?? '')) continue;
        globalThis.holdingsSink = undefined;
        this.ask('Runtime.callFunctionOn', { objectId: value.objectId, functionDeclaration: 'function () { globalThis.holdingsSink = this.object; }' });
        found.push(globalThis.holdingsSink);
      }
    }
    delete globalThis.holdingsProbe;
    delete globalThis.holdingsSink;
    return found;
  }

  end() {
    this.session.disconnect();
  }
}

/** Everything that is the board's or the language's, not the program's. */
function foreign(board) {
  const skip = new Set([board, board.netdev, board.global, board.loop, board.driver, board.network, board.lwip, board.rules, board.heap, board.console, globalThis]);
  for (const value of Object.values(board.global)) if (Object(value) === value) skip.add(value);
  for (const value of Object.values(board.builtins)) skip.add(value);
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const value = Object.getOwnPropertyDescriptor(globalThis, name).value;
    if (Object(value) === value) skip.add(value);
  }
  return skip;
}

/**
 * Counts what is reachable.
 * @param {import('./board.mjs').Board} board
 * @param {unknown[]} [roots] beside timers and sockets: the library's exports, servers
 * @param {unknown[]} [ours] what belongs to the test, although a handler of it refers to it
 * @param {(text: string) => void} [onText] told about every text
 * @returns {number} bytes
 */
export function holdings(board, roots = [], ours = [], onText = () => {}) {
  const seen = foreign(board);
  for (const each of ours) seen.add(each);
  const scopes = new Scopes();
  const variables = new Set();
  const stack = [...roots, ...board.loop.timers.map((timer) => timer.callback), ...board.driver.slots.map((slot) => slot.object)];
  let bytes = 0;
  /** A scope's variables: each variable once, however many closures share it. What a test's own module has is not the board's. */
  const visitScope = (scope) => {
    for (const [name, value] of Object.entries(scope)) {
      if (typeof value === 'string') {
        onText(value);
        const key = `${name}:${value}`;
        if (!variables.has(key)) bytes += textBytes(value);
        variables.add(key);
      } else if (Object(value) === value) {
        stack.push(value);
      }
    }
  };
  const addProperty = (value) => {
    bytes += PRICE.property;
    stack.push(value);
  };
  const addElement = (value) => {
    const fits = typeof value !== 'number' || (Number.isInteger(value) && Math.abs(value) < DIRECT);
    bytes += PRICE.element + (fits ? 0 : PRICE.number);
    stack.push(value);
  };
  try {
    while (stack.length > 0) {
      const value = stack.pop();
      if (typeof value === 'string') {
        onText(value);
        bytes += textBytes(value);
      }
      if (Object(value) !== value || seen.has(value)) continue;
      seen.add(value);
      if (value instanceof RegExp || value instanceof ArrayBuffer) {
        bytes += value instanceof ArrayBuffer ? value.byteLength : PRICE.object;
        continue;
      }
      if (ArrayBuffer.isView(value)) {
        bytes += PRICE.view;
        stack.push(value.buffer); // however little of it a view shows, all of it stays
        continue;
      }
      const isFunction = typeof value === 'function';
      bytes += isFunction ? PRICE.closure : PRICE.object;
      if (isFunction || Object.prototype.toString.call(value) === '[object Generator]') scopes.of(value).forEach(visitScope);
      if (value instanceof Map || value instanceof Set) {
        const items = value instanceof Map ? [...value].flat() : [...value];
        items.forEach(addElement);
      }
      const dictionary = Object.getPrototypeOf(value) === null;
      for (const key of Object.keys(value)) {
        if (dictionary) bytes += textBytes(key); // others are the program's own names
        if (Array.isArray(value)) addElement(value[key]);
        else addProperty(value[key]);
      }
      const prototype = Object.getPrototypeOf(value);
      if (prototype && !isFunction) stack.push(prototype);
    }
  } finally {
    scopes.end();
  }
  return bytes;
}

/** Every text that a program can reach from its timers and sockets. */
export function textsHeld(board) {
  const texts = new Set();
  holdings(board, [], [], (text) => texts.add(text));
  return texts;
}
