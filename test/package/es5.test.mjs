// What ships is ES5: it parses as that, and runs in engines that know nothing newer.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'acorn';
import { allNames, shakeLibrary } from '../../tools/build/shake.mjs';
import { Board } from '../board/index.mjs';
import { handshake } from '../support/websocket.mjs';

const dist = new URL('../../dist/', import.meta.url);
const read = (name) => readFileSync(new URL(name, dist), 'utf8');

for (const name of ['ehttpserver', 'websocket']) {
  test(`${name}.js parses as ES5`, () => {
    assert.ok(parse(read(`${name}.js`), { ecmaVersion: 5, sourceType: 'script' }).body.length > 0);
    assert.throws(() => parse('let a', { ecmaVersion: 5, sourceType: 'script' }));
  });

  test(`no private name is left in ${name}, and none is public by mistake`, () => {
    // A private name as the build gives it, on what programs can subclass: "_" and one digit or capital.
    const code = read(`${name}.js`).replaceAll('__netdev', '').replace(/(?<=[.{,])_[\dA-Z]\b/g, '');
    assert.doesNotMatch(code, /\._[a-z\d]|[{,]_[a-z]\w*:/i);
    assert.doesNotMatch(read(`${name}.d.ts`), /@internal|\b_(?!_netdev)[a-z]+\??:/);
  });
}

const HEAD = 'content-type: text/plain; charset=utf-8|';
const EXPECTED = [
  `HTTP/1.1 200 |${HEAD}content-length: 17||ello w\\xc3\\xb6rld q=1 b`,
  'HTTP/1.1 200 |content-type: application/json; charset=utf-8|content-length: 14|connection: close||{"body":"\\xe2\\x82\\xac"}',
  `HTTP/1.1 200 |${HEAD}content-length: 4|connection: close||a b!`,
  `HTTP/1.1 400 |${HEAD}content-length: 3|connection: close||400`,
  `HTTP/1.1 405 |allow: POST|${HEAD}content-length: 3|connection: close||405`,
  `HTTP/1.1 421 |${HEAD}content-length: 10|connection: close||81, 82, 83`,
  'HTTP/1.1 101 |upgrade: websocket|connection: Upgrade|sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=||',
  '\\x81\\x6Hello!',
  '\\x8a\\x1p\\x81\\x5\\xe2\\x82\\xace!',
  'closed 1001',
  '\\x88\\x2\\x3\\xe9',
];

/** Headers in alphabetical order: ES5 leaves open in which one a loop finds them. */
const inOrder = (answer) => answer.replace(/\|(.+)\|\|/, (all, headers) => `|${headers.split('|').sort().join('|')}||`);

for (const engine of ['duk', 'mujs']) {
  const missing = spawnSync(engine, ['--version']).error && `${engine} is not installed`;
  if (missing && process.env.CI) throw new Error(missing);

  /** Runs ES5 that makes `library` and `websocket`, functions that are called with their exports, and what uses them. */
  const answers = (files) => {
    const folder = mkdtempSync(join(tmpdir(), 'ehttpserver-'));
    try {
      writeFileSync(join(folder, 'program.js'), [...files, readFileSync(new URL('../support/es5-driver.js', import.meta.url), 'utf8')].join('\n'));
      const output = execFileSync(engine, [join(folder, 'program.js')], { encoding: 'utf8', timeout: 60000 });
      assert.deepEqual(output.trim().split('\n').map(inOrder), EXPECTED.map(inOrder));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test(`it answers under ${engine}`, { skip: missing }, () => answers([
    `var library = function (exports) {${read('ehttpserver.js')}};`,
    `var websocket = function (exports, require) {${read('websocket.js')}};`,
  ]));

  test(`what npm run flash takes of it answers under ${engine}`, { skip: missing }, async () => {
    const used = allNames();
    assert.deepEqual(new Set(used.map(({ file }) => file)), new Set(['ehttpserver', 'websocket']));
    // The driver sets its global names first, then calls these.
    const all = `var all; function make() { if (!all) { ${await shakeLibrary(used)} all = $library; } return all; }`;
    const copy = 'function (exports) { var from = make(); for (var name in from) exports[name] = from[name]; }';
    answers([all, `var library = ${copy};`, `var websocket = ${copy};`]);
  });
}

// ---- the minifier changes names, not what happens

const lowered = (name) => readFileSync(new URL(`../../build/${name}.js`, import.meta.url), 'utf8');

/** What clients get from a server that meets whatever a program may do, and what is printed. */
function talk(core, extension) {
  const board = new Board({ firmware: 'stock', passMicros: 500 });
  const library = board.load(core, 'ehttpserver.js');
  const { WebSocketServer } = board.load(extension, 'websocket.js', { modules: { './ehttpserver': library } });
  const { Response, FileResponse, text, urlDecode } = library;
  const server = new WebSocketServer({ debug: true, sockets: 0, maxBodyBytes: 2000 });
  const things = [Symbol('a'), Object.create(null), 'text', 0, null, undefined, new Error('e'), { toString() { throw new Error('no text'); } }, NaN];
  server.route('/throw/(\\d)', 'GET', (path, query, headers, body, [, n]) => { throw things[n]; });
  server.route('/reply/(\\d)', 'GET', (path, query, headers, body, [, n]) => [things[2], 0, null, undefined, NaN, true, [1, 'é'], { then: 1 }, new Uint8Array([0, 255])][n]);
  server.route('/status/(\\w+)', 'GET', (path, query, headers, body, [, n]) => new Response('x', +n, 'text/html', { 'X-A': n }));
  server.route('/stream', 'GET', () => new Response(['a', '', 'é', new Uint8Array([200])][Symbol.iterator]()));
  server.route('/file', 'GET', () => new FileResponse('/none'));
  server.route('/post', 'POST', (path, query, headers, body) => `${text(body)} ${urlDecode(query)} ${headers.constructor}`);
  server.route('/ws', 'WEBSOCKET', function* (path, headers, ws) { while ((yield* ws.recv()) !== null) yield* ws.send('é'); });
  server.listen(80);
  board.run(5);
  const requests = ['/none', '/stream', '/file', ...[0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((n) => [`/throw/${n}`, `/reply/${n}`]), ...['0', '99', '204', '404', 'x'].map((n) => `/status/${n}`)]
    .map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
  requests.push('POST /post?%41+b HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconstructor: c\r\n\r\na\xc3\xa9', 'PUT /post HTTP/1.1\r\nhost: x\r\n\r\n',
    'POST /post HTTP/1.1\r\nhost: x\r\ncontent-length: 2001\r\n\r\n', 'nonsense\r\n', `${handshake()}\x81\x85\x00\x00\x00\x00hello\x88\x82\x00\x00\x00\x00\x03\xe8`);
  const answers = requests.map((request) => {
    const client = board.connect({ port: 80, delay: 0.5 });
    client.send(request);
    board.runUntil(() => client.ended, 20000);
    return client.text;
  });
  board.check();
  return { answers, printed: board.console.map(({ text: line }) => line.split('\n')[0]) };
}

test('what ships does what it does before it is minified', () => {
  const plain = talk(lowered('ehttpserver'), lowered('websocket'));
  assert.deepEqual(talk(read('ehttpserver.js'), read('websocket.js')), plain);
  assert.equal(plain.answers.filter((answer) => /^HTTP\/1\.1 (\d{3}) \r\n/.test(answer)).length, plain.answers.length);
  assert.equal(plain.answers.filter((answer) => answer.startsWith('HTTP/1.1 500')).length, 10);
  assert.ok(plain.answers.at(-1).endsWith('\x81\x02\xc3\xa9\x88\x02\x03\xe8'), 'the socket got its message and the close frame');
});
