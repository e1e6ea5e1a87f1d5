// Programs subclass what the library exports, and give names there as they like: the library's private members have other ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Board } from '../board/index.mjs';
import { exchange, FIRMWARES, loadLibrary, loadWebSocket } from '../support/serve.mjs';
import { hex, openPeer } from '../support/websocket.mjs';

const LETTERS = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ$'];
/** Every name of one or two characters that does not begin with "_". */
const NAMES = LETTERS.flatMap((first) => ['', '_', ...LETTERS, ...'0123456789'].map((second) => first + second));
/** What a program has under a name: a function, which nobody calls. */
const OWN = Object.fromEntries(NAMES.map((name) => [name, () => assert.fail(`${name} was called`)]));

/** The names under which something else is found than what the program has put there. */
const changed = (object) => NAMES.filter((name) => object[name] !== OWN[name]);

/** Where a program has its names: each gives a subclass with them. */
const WAYS = {
  fields: (Class) => class extends Class {
    constructor(...args) {
      super(...args);
      Object.assign(this, OWN);
    }
  },
  methods(Class) {
    const Subclass = class extends Class {};
    Object.assign(Subclass.prototype, OWN);
    return Subclass;
  },
};

/** A program whose server, responses and sockets have all these names. @returns what there is to be looked at */
function load(firmware, own, base) {
  const board = new Board({ firmware, passMicros: 100, files: { '/www/a.txt': 'From a file' } });
  const library = loadLibrary(board);
  const extension = loadWebSocket(board, library);
  const Response = own(library.Response);
  const FileResponse = WAYS.fields(library.FileResponse); // what it makes is a Response, not of the subclass
  const server = new (own({ ...library, ...extension }[base]))({ maxBodyBytes: 2000 });
  const objects = { server };
  const keep = (name, object) => (objects[name] = object);
  server.route('/', 'GET', () => keep('response', new Response('Hello')));
  server.route('/echo', 'POST', (path, query, headers, body) => keep('posted', new Response(body)));
  server.route('/file', 'GET', () => keep('file', new FileResponse('/www/a.txt')));
  server.route('/stream', 'GET', () => keep('stream', new Response(['one ', 'two'][Symbol.iterator]())));
  if (own === WAYS.methods) Object.assign(extension.WebSocket.prototype, OWN);
  if (base === 'WebSocketServer') {
    server.route('/ws', 'WEBSOCKET', function* (path, headers, ws) {
      Object.assign(keep('ws', ws), own === WAYS.fields ? OWN : {});
      for (let message; (message = yield* ws.recv()) !== null;) yield* ws.send(`You said ${message}`);
    });
  }
  server.listen(80);
  board.run(5);
  return { board, server, objects };
}

function assertServes(board) {
  const ask = (method, path, body = '') => exchange(board, [`${method} ${path} HTTP/1.0\r\ncontent-length: ${body.length}\r\n\r\n${body}`], 1000, { ms: 50 }).text;
  assert.match(ask('GET', '/'), /^HTTP\/1\.1 200 [^]*\r\n\r\nHello$/);
  assert.match(ask('POST', '/echo', 'a body'), /^HTTP\/1\.1 200 [^]*\r\n\r\na body$/);
  assert.match(ask('GET', '/nothing'), /^HTTP\/1\.1 404 /);
  assert.match(ask('GET', '/file'), /^HTTP\/1\.1 200 [^]*\r\n\r\nFrom a file$/);
  assert.match(ask('GET', '/stream'), /^HTTP\/1\.1 200 [^]*\r\n\r\none two$/);
}

function assertTalks(board) {
  const peer = openPeer(board, { path: '/ws' });
  for (const text of ['Hi', 'x'.repeat(300)]) {
    peer.text(text);
    board.run(50);
  }
  assert.deepEqual(peer.messages, ['You said Hi', `You said ${'x'.repeat(300)}`]);
  peer.close();
  board.run(50);
  assert.equal(hex(peer.frames.at(-1).payload), '03e8');
  assert.ok(peer.over);
}

for (const firmware of FIRMWARES) {
  for (const [way, own] of Object.entries(WAYS)) {
    for (const base of ['Server', 'WebSocketServer']) {
      test(`${firmware}: a ${base}, its responses and sockets serve with ${way} of every name of one or two characters, which stay`, () => {
        const { board, server, objects } = load(firmware, own, base);
        assertServes(board);
        if (base === 'WebSocketServer') assertTalks(board);
        const expected = ['server', 'response', 'posted', 'file', 'stream', ...(base === 'WebSocketServer' ? ['ws'] : [])];
        assert.deepEqual(Object.keys(objects).sort(), expected.sort());
        for (const [name, object] of Object.entries(objects)) assert.deepEqual(changed(object), [], name);
        server.close();
        assert.equal(server.next().done, true);
        assert.deepEqual(board.console, []);
        board.check();
      });
    }
  }
}
