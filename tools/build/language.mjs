// What programs use that the board's JavaScript lacks, and wrong uses of the library. The engine is JerryScript 2.4 as Kaluma 1.2.1 has it:
// the branch jerry240_for_kaluma of kaluma-project/jerryscript, in whose folder jerry-core/ecma/builtin-objects its globals and methods are.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as acorn from 'acorn';
import { LIBRARY } from './build.mjs';
import { makePlaces } from './places.mjs';
import { UserError } from './program.mjs';
import { declareNames, isGlobal, meaningOf, nodesOf } from './scopes.mjs';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist');
const SHIPPED = LIBRARY.map((name) => join(dist, `${name}.js`));

const forAll = (names, use) => Object.fromEntries(names.split(' ').map((name) => [name, use]));

/** Methods, whatever has them: where `it` is a name, that is put in. */
const METHODS = {
  at: 'use it[index]',
  findLast: 'use it.slice().reverse().find()',
  findLastIndex: 'use a loop from the end',
  toSorted: 'use it.slice().sort()',
  toReversed: 'use it.slice().reverse()',
  toSpliced: 'use it.slice(), and splice() of that',
  with: 'use it.slice(), and set the element of that',
  normalize: 'leave it out, or compare texts as they come',
  ...forAll('isWellFormed toWellFormed', 'leave it out'),
  ...forAll('union intersection difference symmetricDifference isSubsetOf isSupersetOf isDisjointFrom', 'use a loop over the set, with has()'),
};

/** Members of globals. */
const MEMBERS = {
  'Object.hasOwn()': 'use Object.prototype.hasOwnProperty.call(object, name)',
  'Object.groupBy()': 'use reduce()',
  'Map.groupBy()': 'use a loop, and set() of a new Map',
  'Array.fromAsync()': 'use a loop with await',
  'Promise.allSettled()': 'use Promise.all() of promises with a catch()',
  'Promise.any()': 'use a new Promise that the first of them resolves',
  'Promise.withResolvers()': 'use new Promise((resolve, reject) => ...)',
  'Promise.try()': 'use new Promise((resolve) => resolve(...))',
  ...forAll('console.info() console.debug() console.table() console.dir() console.group() console.count()', 'use console.log()'),
  ...forAll('console.warn() console.trace() console.assert()', 'use console.error()'),
  ...forAll('console.time() console.timeEnd()', 'use millis()'),
  'process.env': 'use storage.getItem(name)',
  'process.nextTick()': 'use Promise.resolve().then(callback)',
  ...forAll('process.exit() process.on() process.argv process.cwd()', 'leave it out: a program has the board for itself'),
  ...forAll('performance.now() process.hrtime() process.uptime()', 'use millis() or micros()'),
};

const PAGE = 'it belongs into a page: a program runs on the board';
const GLOBALS = {
  structuredClone: 'use JSON.parse(JSON.stringify(value))',
  queueMicrotask: 'use Promise.resolve().then(callback)',
  setImmediate: 'use setTimeout(callback, 1)',
  clearImmediate: 'use clearTimeout()',
  Buffer: 'use Uint8Array, TextEncoder and TextDecoder',
  fetch: 'use require(\'http\').get()',
  ...forAll('URL URLSearchParams', 'use split(), and urlDecode() of the library'),
  crypto: 'use Math.random(), but not for secrets',
  performance: 'use millis() or micros()',
  ...forAll('__dirname __filename', 'use a path on the board, such as /www/index.html'),
  ...forAll('localStorage sessionStorage', 'use storage.getItem() and storage.setItem()'),
  ...forAll('WeakRef FinalizationRegistry', 'use a WeakMap'),
  ...forAll('SharedArrayBuffer Atomics', 'use an ArrayBuffer: there is one thread'),
  AggregateError: 'use Error',
  Intl: 'put numbers and dates together by hand',
  ...forAll('AbortController AbortSignal', 'use a variable that says so'),
  ...forAll('window document navigator location history screen alert confirm prompt requestAnimationFrame getComputedStyle', PAGE),
  ...forAll('XMLHttpRequest EventSource WebSocket HTMLElement Image Audio Blob File FileReader FormData Headers Request Worker', PAGE),
  ...forAll('Response FileResponse Server urlDecode', (name) => `use const { ${name} } = require('./ehttpserver')`),
  WebSocketServer: 'use const { WebSocketServer } = require(\'./websocket\')',
};

/** Parts of regular expressions; of a pattern from which PLAIN has been taken. */
const PATTERNS = [
  [/\(\?<[=!]/, 'lookbehind, (?<=...) or (?<!...): use a group, and the match without it'],
  [/\(\?<[^=!]/, 'named groups, (?<name>...): use a plain group, and its number'],
  [/\(\?[ims]*-?[ims]+:/, 'flags in a group, (?i:...): use a flag for the whole expression'],
];
const UNICODE = [/\\p\{/i, 'Unicode properties, \\p{...}: use a class such as [A-Za-z]'];
const ESCAPED = /\\(?:[^pP]|[pP](?!\{))/gs;
const CLASS = /\[[^\]]*\]/g;
const FLAGS = 'gimsuy';

/** What needs `new`; and the methods without which a server does not run. */
const CLASSES = /^\.\/\w+\.(Response|FileResponse|Server|WebSocketServer)$/;
const SERVER = /^\.\/\w+\.(Server|WebSocketServer)$/;
const SERVERS_OWN = ['next', 'start', 'listen', 'close', 'route'];

const isFunction = (node) => /Function/.test(node?.type);
const isMember = (node) => node?.type === 'MemberExpression' && !node.computed;
const lacks = (what) => `the board has no ${what}`;

/** The parts of a condition. */
const partsOf = (test) => test.type === 'LogicalExpression' ? [test.left, test.right].flatMap(partsOf)
  : test.type === 'UnaryExpression' ? partsOf(test.argument) : [test];

/** Names that a program asks for: whoever does that knows that there may be none. */
function namesAskedFor({ type, test, left, right, operator, argument }) {
  if (operator === 'typeof' && argument.type === 'Identifier') return [argument.name];
  if (operator === 'in') return [left.value];
  const asked = test ? partsOf(test)
    : type === 'LogicalExpression' ? partsOf(left)
      : /^(!|typeof)$/.test(operator) ? partsOf(argument)
        : /^[!=]==?$/.test(operator) ? [left, right] : [];
  return asked.filter(isMember).map(({ property }) => property.name);
}

/** What a program itself makes of the names: which of them it asks for or sets, and which methods its classes and objects have. */
function namesOf(nodes) {
  const functions = new Set(nodes.flatMap(({ type, id, init }) => type === 'FunctionDeclaration' || isFunction(init) ? [id.name] : []));
  const isMethod = (value) => isFunction(value) || functions.has(value?.name);
  const known = new Set();
  const methods = new Set();
  for (const node of nodes) {
    const { type, key, value, left, right } = node;
    for (const name of namesAskedFor(node)) known.add(name);
    if (type === 'MethodDefinition' || (type === 'Property' && isMethod(value))) methods.add(key.name);
    if (type === 'AssignmentExpression' && isMember(left) && (isMethod(right) || /^global(This)?$/.test(left.object.name))) known.add(left.property.name);
    if (type !== 'CallExpression') continue;
    // Object.defineProperty(object, 'name', {...}), and what esbuild makes of a field: __publicField(this, 'name', () => ...)
    const [, name, set] = node.arguments;
    if (isMethod(set) || set?.type === 'ObjectExpression') known.add(name.value);
  }
  return { known, methods };
}

/** What replaces a method, with the name of the object that has it. */
function replacementOf({ object, property: { name } }, [index]) {
  const it = object.type === 'Identifier' ? object.name : 'it';
  const fromEnd = name === 'at' && index?.operator === '-' && index.argument.value;
  return fromEnd ? `use ${it}[${it}.length - ${fromEnd}]` : METHODS[name].replace(/\bit(?=[[.])/, it);
}

/** Calls of methods that the engine lacks. Kaluma's modules and the library have what they have. */
function findMethod({ type, callee, arguments: list }, { known, methods }) {
  if (type !== 'CallExpression' || !isMember(callee)) return [];
  const { object, property } = callee;
  const { name } = property;
  if (!Object.hasOwn(METHODS, name) || known.has(name) || methods.has(name) || /^(require\.|\.\/)/.test(meaningOf(object))) return [];
  return [{ node: property, message: `${lacks(`${name}()`)}: ${replacementOf(callee, list)}` }];
}

function findMember(node, { known }) {
  if (!isMember(node) || known.has(node.property.name)) return [];
  const meaning = meaningOf(node);
  const name = [meaning, `${meaning}()`].find((each) => Object.hasOwn(MEMBERS, each));
  return name ? [{ node, message: `${lacks(name)}: ${MEMBERS[name]}` }] : [];
}

function findGlobal(node, { known }) {
  const { type, name, parent } = node;
  if (type !== 'Identifier' || !Object.hasOwn(GLOBALS, name) || known.has(name) || !isGlobal(node)) return [];
  if (isMember(parent) && `${meaningOf(parent)}()` in MEMBERS) return []; // which says more
  const use = GLOBALS[name];
  return [{ node, message: `${lacks(name)}: ${typeof use === 'function' ? use(name) : use}` }];
}

/** A regular expression's pattern and flags. esbuild makes a call of a literal that it knows to be too new. */
function regexOf({ type, regex, callee, arguments: list }) {
  if (regex) return [regex.pattern, regex.flags];
  const [pattern, flags] = /^(New|Call)Expression$/.test(type) && meaningOf(callee) === 'RegExp' ? list : [];
  return pattern ? [String(pattern.value ?? ''), String(flags?.value ?? '')] : [];
}

function findRegex(node, { isLiteral }) {
  const [pattern, flags] = regexOf(node);
  if (pattern === undefined) return [];
  const plain = pattern.replace(ESCAPED, '');
  const groups = plain.replace(CLASS, '');
  const found = PATTERNS.filter(([part]) => part.test(groups)).map(([, message]) => message);
  if (/[uv]/.test(flags) && UNICODE[0].test(plain)) found.push(UNICODE[1]);
  const more = [...flags].filter((flag) => !FLAGS.includes(flag));
  if (more.length) found.push(`regular expressions with the flags ${more.join('')}`);
  // An engine refuses a whole file for such a literal. What is made with RegExp fails when the program comes to it, which may catch that.
  return found.map((what) => ({ node, message: lacks(what), fatal: isLiteral(node) }));
}

function findSyntax(node) {
  if (node.type === 'ImportExpression') return [{ node, message: `${lacks('import()')}: use require()`, fatal: true }];
  const [, options] = /^(New|Call)Expression$/.test(node.type) && /^\w*Error$/.test(meaningOf(node.callee)) ? node.arguments : [];
  const hasCause = options?.properties?.some(({ key }) => key?.name === 'cause');
  return hasCause ? [{ node: options, message: `${lacks('cause of an Error')}: use a message that says it` }] : [];
}

function findWrongCall({ type, callee }) {
  const [, name] = (type === 'CallExpression' && CLASSES.exec(meaningOf(callee))) || [];
  const node = callee?.expressions?.at(-1) ?? callee; // what is imported is called as (0, module.name)()
  return name ? [{ node, message: `${name} needs new: new ${name}(...)` }] : [];
}

function isServer(superClass, steps = 9) {
  const meaning = meaningOf(superClass);
  return SERVER.test(meaning) || (steps > 0 && Boolean(meaning?.superClass) && isServer(meaning.superClass, steps - 1));
}

function findHidden({ superClass, body }, { text }) {
  if (!superClass || !isServer(superClass)) return [];
  const hides = ({ type, key, static: isStatic, computed, start, end }) => type === 'MethodDefinition' && !isStatic && !computed
    && SERVERS_OWN.includes(key.name) && !new RegExp(`\\bsuper\\.${key.name}\\b`).test(text.slice(start, end));
  return body.body.filter(hides).map(({ key }) => ({
    node: key, message: `${key.name}() is the server's own: use another name, or call super.${key.name}() in it`,
  }));
}

const RULES = [findMethod, findMember, findGlobal, findRegex, findSyntax, findWrongCall, findHidden];

/** The board reads a program as one strict script. */
const STRICT = '"use strict";\n';

/** Everything that is found in the text of a strict script, each with its node. */
function findIn(text, isLiteral) {
  let nodes;
  try {
    nodes = nodesOf(acorn.parse(text, { ecmaVersion: 'latest', locations: true }));
  } catch (error) {
    if (!error.loc) throw error;
    const message = `the board cannot read this: ${error.message.replace(/ \(\d+:\d+\)$/, '')}`;
    return [{ node: { loc: { start: error.loc } }, message, fatal: true }];
  }
  declareNames(nodes);
  const about = { ...namesOf(nodes), isLiteral, text };
  return nodes.flatMap((node) => RULES.flatMap((rule) => rule(node, about)));
}

/**
 * What of a program the board lacks, and where it uses the library wrongly.
 * @param {{code: string, map: string, folder: string}} program as buildProgram() makes it
 * @returns {{place: string, message: string, fatal: boolean}[]} fatal: no board runs any of the program
 */
export function findMissing(program) {
  const places = makePlaces(program);
  const entry = { path: resolve(program.folder, JSON.parse(program.map).sources.at(-1) ?? ''), line: 1, column: 1 };
  const placeOf = ({ line, column }) => places(line - 1, column + 1); // without the line of STRICT
  const isLiteral = ({ loc }) => {
    const at = placeOf(loc.start);
    // A package may name sources that it does not bring along.
    return at !== undefined && existsSync(at.path) && readFileSync(at.path, 'utf8').split('\n')[at.line - 1]?.[at.column - 1] === '/';
  };
  const found = findIn(STRICT + program.code.replace(/^#!/, '//'), isLiteral)
    .map(({ node, ...finding }) => ({ ...finding, at: placeOf(node.loc.start) }));
  if (/^#!/.test(program.code)) found.unshift({ message: `${lacks('#! line')}: leave it out`, fatal: true, at: entry });
  // What has no place is esbuild's own.
  return found.filter(({ at, fatal }) => (at ? !SHIPPED.includes(at.path) : fatal)).map(({ at, message, fatal = false }) => {
    const { path, line, column } = at ?? entry;
    return { place: `${relative(process.cwd(), path)}:${line}:${column}`, message, fatal };
  });
}

/** Tells all of it; a program that no board runs goes no further. */
export function reportMissing(program) {
  const found = findMissing(program);
  const refused = found.find(({ fatal }) => fatal);
  for (const finding of found) if (finding !== refused) console.error(`${finding.place}: ${finding.message}`);
  if (refused) throw new UserError(`Cannot run ${refused.place}: ${refused.message}`);
}
