// What npm run flash sends: a program, and of the library what it uses.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parse } from 'acorn';
import { exampleSource, exampleSources } from '../../tools/build/build.mjs';
import { allNames, buildSmallest, shakeLibrary, smallest } from '../../tools/build/shake.mjs';
import { Board } from '../board/index.mjs';
import { FIRMWARES } from '../support/serve.mjs';
import { runScript } from '../support/script.mjs';

const temporary = mkdtempSync(join(tmpdir(), 'ehttpserver-shake-'));
after(() => rmSync(temporary, { recursive: true }));

async function build(program, name = 'program.js') {
  const path = join(mkdtempSync(join(temporary, 'program-')), name);
  writeFileSync(path, program);
  return buildSmallest(path);
}

/** A text in each part that a program may do without. */
const PARTS = { FileResponse: 'got shorter', route: 'addInitializer', urlDecode: '/\\+/g', WebSocketServer: 'sec-websocket-accept' };
const partsIn = (code) => Object.keys(PARTS).filter((part) => code.includes(PARTS[part]));

describe('a program gets', () => {
  const program = (names, more = '') => `const { ${names} } = require('./ehttpserver');\n${more}\nnew Server().listen(80); console.log(${names});`;
  /** @type {[string, string, string[]][]} */
  const cases = [
    ['a server and nothing else', program('Server'), []],
    ['files, as it uses them', program('Server, FileResponse'), ['FileResponse']],
    ['decorators, and decoding', program('Server, route, urlDecode'), ['route', 'urlDecode']],
    ['WebSockets without files', "const { WebSocketServer } = require('./websocket'); new WebSocketServer().listen(80);", ['WebSocketServer']],
    ['with import, what it uses of what it imports', "import { FileResponse, Server, route } from './ehttpserver'; new Server().listen(80);", []],
    ['under other names', "const { Server: Site } = require('./ehttpserver'); class Mine extends Site {} new Mine().listen(80);", []],
    ['all, as it takes the library as one object', "const all = require('./ehttpserver'); console.log(all);", ['FileResponse', 'route', 'urlDecode']],
    ['all, as it is a module of CommonJS', `${program('Server')}\nexports.server = 1;`, ['FileResponse', 'route', 'urlDecode']],
  ];
  for (const [name, text, parts] of cases) {
    test(name, async () => {
      const { code, bytes, wholeBytes } = await build(text);
      assert.deepEqual(partsIn(code), parts);
      assert.equal(bytes, Buffer.byteLength(code));
      assert.ok(bytes <= wholeBytes, `${bytes} of ${wholeBytes}`);
    });
  }
});

test('a program without the library stays alone', async () => {
  const { code, bytes, wholeBytes } = await build("console.log('\u00fc');");
  assert.equal(bytes, wholeBytes);
  assert.equal(code, 'console.log("\\xFC");\n');
});

test('a program that has a copy of the library gets that', async () => {
  const folder = mkdtempSync(join(temporary, 'copy-'));
  writeFileSync(join(folder, 'ehttpserver.js'), "exports.Server = 'my own';");
  writeFileSync(join(folder, 'program.js'), "const { Server } = require('./ehttpserver');\nconsole.log(Server);");
  const board = new Board();
  runScript(board, (await buildSmallest(join(folder, 'program.js'))).code);
  assert.deepEqual(board.console, [{ level: 'log', text: 'my own' }]);
});

test('names of a program that the library uses, too, stay apart', async () => {
  const { code } = await build(`
    const { Server, text } = require('./ehttpserver');
    const $library = 'mine', n = 1, Bytes = 2, connections = 3, step = 4;
    console.log([$library, n, Bytes, connections, step, text(new Uint8Array([72, 105])), typeof Server].join());
  `);
  const board = new Board();
  runScript(board, code);
  assert.deepEqual(board.console, [{ level: 'log', text: 'mine,1,2,3,4,Hi,function' }]);
});

test('the smaller one is taken, by its bytes', () => {
  const [one, other] = [{ contains: 'one', code: 'abcd' }, { contains: 'other', code: '\u20ac\u20ac' }];
  assert.deepEqual(smallest([one, other]), { ...one, bytes: 4 });
  assert.deepEqual(smallest([other, one]), { ...one, bytes: 4 });
  assert.deepEqual(smallest([other, { contains: 'none', code: undefined }]), { ...other, bytes: 6 });
});

test('what a program can use is what the library exports', async () => {
  assert.deepEqual(allNames().map(({ name }) => name).sort(), [
    'FileResponse', 'Response', 'Server', 'WS_OPCODE_BINARY', 'WS_OPCODE_CLOSE', 'WS_OPCODE_CONTINUATION', 'WS_OPCODE_PING', 'WS_OPCODE_PONG',
    'WS_OPCODE_TEXT', 'WebSocket', 'WebSocketServer', 'route', 'run', 'text', 'urlDecode',
  ]);
});

for (const firmware of FIRMWARES) {
  test(`${firmware}: each example is loaded, listens and answers a request`, async () => {
    for (const source of exampleSources().filter((path) => !/recipes/.test(path))) {
      const { code } = await buildSmallest(source);
      const board = new Board({ firmware, wifi: 'off', storage: { WIFI_SSID: 'home' }, files: { '/www/index.html': 'A page' } });
      runScript(board, code);
      board.runUntil(() => board.console.length > 0);
      const client = board.connect();
      client.send('GET / HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n');
      for (let pass = 0; pass < 1000 && client.state !== 'closed'; pass++) {
        board.run(1);
        await new Promise(setImmediate); // an async handler goes on in Node's own loop
      }
      assert.match(client.text, /^HTTP\/1\.1 200 /, source);
      board.check();
    }
  });
}

test('the bytes of an example are known without a board', async () => {
  const { bytes, wholeBytes } = await buildSmallest(exampleSource('hello'));
  assert.ok(bytes < wholeBytes - 3000, `${bytes} of ${wholeBytes}`);
});

test('all of it is ES5', async () => {
  assert.ok(parse(await shakeLibrary(allNames()), { ecmaVersion: 5, sourceType: 'script' }).body.length > 0);
});
