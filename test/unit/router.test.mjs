// Routes and handlers as a program meets them: classes, decorators, instances; and the functions beside the server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Board } from '../board/index.mjs';
import { exchange, FIRMWARES, loadLibrary, serve } from '../support/serve.mjs';

const get = (path) => `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`;
const bodyOf = (client) => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);

/** The answer's body of a server that listens on this board. */
function ask(board, path, port = 80) {
  const client = board.connect({ port });
  board.runUntil(() => client.state === 'open', 12000);
  client.send(get(path));
  board.runUntil(() => client.ended, 12000);
  board.run(20);
  return bodyOf(client);
}

/** What TypeScript's experimentalDecorators make of `@route(...)` before a method. */
const legacy = (decorator, target, name) => decorator(target, name, Object.getOwnPropertyDescriptor(target, name));

for (const firmware of FIRMWARES) {
  test(`${firmware}: routes of a class reach its servers and those of its subclasses, and no others`, () => {
    const board = new Board({ firmware });
    const { Server, route } = loadLibrary(board);
    class Base extends Server {
      name = 'base';
      home() { return `home of ${this.name}`; }
      shared() { return 'shared'; }
    }
    legacy(route('/'), Base.prototype, 'home');
    legacy(route('/shared', 'GET'), Base.prototype, 'shared');
    class Sub extends Base {
      name = 'sub';
      own() { return 'own'; }
    }
    legacy(route('/own'), Sub.prototype, 'own');
    class Other extends Server {}
    new Base().listen(80);
    new Sub().route('/extra', 'GET', () => 'extra').listen(81);
    new Other().listen(82);
    board.run(5);
    assert.equal(ask(board, '/'), 'home of base');
    assert.equal(ask(board, '/own'), '404');
    assert.equal(ask(board, '/', 81), 'home of sub');
    assert.equal(ask(board, '/shared', 81), 'shared');
    assert.equal(ask(board, '/own', 81), 'own');
    assert.equal(ask(board, '/extra', 81), 'extra');
    assert.equal(ask(board, '/extra'), '404');
    assert.equal(ask(board, '/', 82), '404');
    board.check();
  });

  test(`${firmware}: the standard decorator works, too`, () => {
    const board = new Board({ firmware });
    const { Server, route } = loadLibrary(board);
    const initializers = [];
    class Site extends Server {
      constructor() {
        super();
        initializers.forEach((initializer) => initializer.call(this));
      }
      home() { return this instanceof Site ? 'home' : 'lost'; }
    }
    route('/')(Site.prototype.home, { kind: 'method', name: 'home', addInitializer: (f) => initializers.push(f) });
    new Site().listen(80);
    board.run(5);
    assert.equal(ask(board, '/'), 'home');
    board.check();
  });

  test(`${firmware}: the first route that fits answers`, () => {
    const { board } = serve({
      firmware,
      routes: (server) => server
        .route('/a.*', 'GET', () => 'first')
        .route('/ab', 'GET', () => 'second')
        .route(/^\/B/i, 'GET', () => 'regular expression')
        .route('/x|/y', 'GET', () => 'either')
        .route(/^\/g/g, 'GET', () => 'global'),
    });
    assert.equal(ask(board, '/ab'), 'first');
    assert.equal(ask(board, '/bcd'), 'regular expression');
    assert.equal(ask(board, '/y'), 'either');
    assert.equal(ask(board, '/yy'), '404');
    assert.equal(ask(board, '/g'), 'global');
    assert.equal(ask(board, '/g'), 'global');
    board.check();
  });
}

test('start() throws when Wi-Fi is not connected, and when the port is in use', () => {
  const off = new Board({ wifi: 'off' });
  const { Server: Offline } = loadLibrary(off);
  assert.throws(() => new Offline().start(80), /^Error: Port 80: WiFi is not connected/);

  const board = new Board();
  const { Server } = loadLibrary(board);
  new Server().start(80);
  assert.throws(() => new Server().start(80), /^Error: Port 80: in use$/);
  assert.equal(board.vitals().fds, 1);
  board.check();
});

test('listen() returns the server and says when it is ready', () => {
  const board = new Board();
  const { Server } = loadLibrary(board);
  const server = new Server();
  let ready = 0;
  assert.equal(server.listen(80, () => { ready++; }), server);
  assert.equal(ready, 1);
});

test('run() steps iterators side by side, drops what is done, and reports what throws', () => {
  const board = new Board();
  const { run } = loadLibrary(board);
  const log = [];
  function* count(name, to) { for (let n = 1; n <= to; n++) { log.push(name + n); yield; } }
  function* fail() { yield; throw new Error('broken'); }
  run(count('a', 3), fail(), count('b', 2));
  board.run(20);
  assert.deepEqual([...log].sort(), ['a1', 'a2', 'a3', 'b1', 'b2']);
  assert.deepEqual(log.slice(0, 2).sort(), ['a1', 'b1']);
  assert.match(board.console.map(({ text }) => text).join(), /broken/);
  assert.equal(board.violations.length, 0);
});

test('text() and urlDecode()', () => {
  const board = new Board();
  const { text, urlDecode } = loadLibrary(board);
  const bytes = (...values) => new Uint8Array(values);
  assert.equal(text(bytes()), '');
  assert.equal(text(new Uint8Array(Buffer.from('aé€😀\u{10ffff}\ufeff'))), 'aé€😀\u{10ffff}\ufeff');
  assert.equal(text(new Uint8Array(Buffer.from('xaéx')).subarray(1, 4)), 'aé');
  const malformed = ['80', 'bf', 'c0 80', 'c1 bf', 'c3', 'c3 28', 'e0 80 80', 'e0 9f bf', 'e2 82', 'e2 28 a1', 'ed a0 80', 'ed bf bf', 'f0 80 80 80',
    'f0 8f bf bf', 'f0 90 80', 'f4 90 80 80', 'f5 80 80 80', 'ff', '61 c3 a9 e2 82 ac f0 9f 98'];
  for (const hex of malformed) assert.equal(text(new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))), null, hex);
  const edges = ['c2 80', 'df bf', 'e0 a0 80', 'ed 9f bf', 'ee 80 80', 'ef bf bf', 'f0 90 80 80', 'f4 8f bf bf'];
  for (const hex of edges) {
    const whole = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    assert.equal(text(new Uint8Array(whole)), whole.toString('utf8'), hex);
  }
  assert.equal(urlDecode('a+b%20c%2B%C3%A9'), 'a b c+é');
  assert.equal(urlDecode(''), '');
  assert.equal(urlDecode('plain é'), 'plain é');
  for (const bad of ['%', 'a%', '%4', '%4x', '%x4', '%ff', '%C3', '%%41']) assert.equal(urlDecode(bad), null, bad);
});

test('text() agrees with the platform on every two bytes and on random ones', () => {
  const board = new Board();
  const { text } = loadLibrary(board);
  const reference = (bytes) => {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return null;
    }
  };
  for (let a = 0x7e; a < 256; a++) for (let b = 0; b < 256; b++) assert.equal(text(new Uint8Array([a, b])), reference(new Uint8Array([a, b])));
  let seed = 1;
  const random = (below) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) / 4294967296 * below | 0;
  const alphabet = [0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff];
  for (let n = 0; n < 30000; n++) {
    const bytes = Uint8Array.from({ length: 3 + random(3) }, () => alphabet[random(alphabet.length)]);
    assert.equal(text(bytes), reference(bytes), Buffer.from(bytes).toString('hex'));
  }
});

test('Response refuses what would break out of its header', () => {
  const board = new Board();
  const { Response } = loadLibrary(board);
  for (const status of ['OK', {}, 99, 1000, 200.5, -200, '200 OK', '200\n']) assert.throws(() => new Response('', status), Error, String(status));
  for (const bad of ['a\rb', 'a\nb', 'a\0b', 'a\x7fb', 'Ā']) {
    assert.throws(() => new Response('', 200, bad), Error, JSON.stringify(bad));
    assert.throws(() => new Response('', 200, 'text/plain', { a: bad }), Error, JSON.stringify(bad));
    assert.throws(() => new Response('', 200, 'text/plain', { [bad]: 'a' }), Error, JSON.stringify(bad));
  }
  const response = new Response('é', 201, 'text/html', { 'x-a': 'tab\tand é', 'x-b': 7 });
  assert.deepEqual({ ...response, headers: { ...response.headers } }, { body: 'é', status: 201, contentType: 'text/html', headers: { 'x-a': 'tab\tand é', 'x-b': 7 } });
});

test('route() refuses what is no path, METHOD and handler', () => {
  const { server } = serve({ firmware: 'stock' });
  for (const wrong of [['/', () => 'hi'], ['/', 'GET'], ['/', 'GET', 'hi'], ['/', 'get', () => 'hi'], ['/', '*', () => 'hi'], ['/', undefined, () => 'hi']]) {
    assert.throws(() => server.route(...wrong), Error, String(wrong));
  }
  assert.throws(() => server.route('/led', 'put', () => 'hi'), /^Error: Bad route: put \/led$/);
  assert.equal(server.route('/', 'GET', () => 'hi'), server);
});

test('two exchanges on a board leave nothing behind', () => {
  const { board } = serve({ firmware: 'routed', routes: (server) => server.route('/', 'GET', () => 'hello') });
  for (let n = 0; n < 2; n++) assert.match(exchange(board, [get('/')], 80).text, /hello$/);
  board.run(1000);
  assert.equal(board.vitals().states.ESTABLISHED, undefined);
});
