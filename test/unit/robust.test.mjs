// What networks, strangers and programs do to a server that nobody watches: resets, blocking, errors in odd places.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Board } from '../board/index.mjs';
import { FIRMWARES, loadLibrary, serve } from '../support/serve.mjs';

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
const bodyOf = (client) => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);
const never = () => ({ next: () => ({ done: false }) });

const routes = (server, { Response }) => {
  server.route('/', 'GET', () => 'hello');
  server.route('/big', 'GET', () => 'b'.repeat(60000));
  server.route('/slow', 'GET', never);
  server.route('/echo', 'POST', (path, query, headers, body) => body);
  server.route('/(204|304)', 'GET', (path, query, headers, body, match) => new Response('not to be sent', +match[1]));
};

/** Asks once, on a connection of its own, for at most so long. Returns the body of the answer. */
function ask(board, path = '/', { port = 80, ms = 9000, closesFirst = false } = {}) {
  const client = board.connect({ port });
  if (closesFirst) client.onData = () => { if (bodyOf(client)) client.end(); };
  const until = board.now + ms;
  while (client.state === 'connecting' && board.now < until) board.pass();
  client.send(get(path));
  while (!bodyOf(client) && client.state !== 'closed' && board.now < until) board.pass();
  board.run(20);
  if (!closesFirst) client.end();
  board.run(20);
  return bodyOf(client);
}

describe('resets', () => {
  const ways = {
    'without a byte': (board, client) => { board.run(10); client.reset(); },
    'at once': (board, client) => client.reset(),
    'in the request': (board, client) => { client.send('GET / H'); board.run(10); client.reset(); },
    'in the answer': (board, client) => { client.send(get('/big')); board.run(10); client.reset(); },
    'in a slow handler': (board, client) => { client.send(get('/slow')); board.run(10); client.reset(); },
    'between two requests': (board, client) => { client.send(get('/')); board.run(20); client.reset(); },
  };
  for (const firmware of FIRMWARES) {
    for (const [how, reset] of Object.entries(ways)) {
      test(`${firmware}: sixty in a row ${how}; the next client may be turned away, then everybody is served`, () => {
        const { board } = serve({ firmware, routes });
        for (let n = 0; n < 60; n++) {
          const client = board.connect({ port: 80 });
          board.run(3);
          if (client.state === 'open') reset(board, client);
          board.run(20);
        }
        assert.match(ask(board), /^(hello|421)?$/);
        for (let n = 0; n < 20; n++) assert.equal(ask(board, '/', { closesFirst: n % 2 === 0 }), 'hello', `client ${n}`);
        assert.equal(board.vitals().misdirected, 0);
        board.check();
      });
    }

    test(`${firmware}: one in six clients resets, the others are all served`, () => {
      const { board } = serve({ firmware, routes });
      for (let n = 0; n < 40; n++) {
        const client = board.connect({ port: 80 });
        client.send(get('/big'));
        board.run(12);
        client.reset();
        board.run(300);
        for (let k = 0; k < 5; k++) assert.equal(ask(board, '/', { closesFirst: true }), 'hello', `round ${n}`);
      }
      assert.equal(board.vitals().misdirected, 0);
      board.check();
    });
  }
});

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware`, () => {
    test('a program that blocks for a second at a time does not cost clients their connection', () => {
      const { board } = serve({ firmware, routes });
      board.global.setInterval(() => board.global.delay(1000), 10);
      for (let n = 0; n < 5; n++) assert.equal(ask(board, '/', { ms: 30000 }), 'hello');
      board.check();
    });

    test('a slow client that ends long after the server closed its connection takes no other with it', () => {
      const { board } = serve({ firmware, routes, board: { passMicros: 1000 } });
      assert.equal(ask(board), 'hello');
      const slow = board.connect({ port: 80, window: 3000 });
      slow.pause();
      slow.send(get('/big'));
      board.run(11000); // it was closed for taking nothing
      board.run(30000);
      const others = [1, 2, 3].map(() => {
        const other = board.connect({ port: 80 });
        other.send(get('/slow'));
        board.run(100);
        return other;
      });
      slow.resume();
      board.run(2000);
      assert.equal(slow.state, 'closed');
      for (const other of others) assert.equal(other.state, 'open');
      board.check();
    });

    test('204 and 304 have no body, whatever the handler gives', () => {
      const { board } = serve({ firmware, routes });
      for (const status of [204, 304]) {
        const client = board.connect({ port: 80 });
        client.send(get(`/${status}`, 'connection: close\r\n'));
        board.run(50);
        assert.equal(client.text, `HTTP/1.1 ${status} \r\nconnection: close\r\n\r\n`);
      }
      board.check();
    });

    test('HTTP/1.0 knows no 100', () => {
      const { board } = serve({ firmware, routes });
      const client = board.connect({ port: 80 });
      client.send('POST /echo HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n');
      board.run(50);
      assert.equal(client.text, '');
      client.send('abc');
      board.run(50);
      assert.equal(bodyOf(client), 'abc');
      board.check();
    });

    test('a debug() that throws stops nothing', () => {
      const { board } = serve({ firmware, routes: (server, library) => {
        routes(server, library);
        server.debug = () => { throw new Error('disk full'); };
        server.route('/throws', 'GET', () => { throw new Error('x'); });
      } });
      assert.equal(ask(board), 'hello');
      assert.equal(ask(board, '/throws'), '500');
      assert.equal(ask(board), 'hello');
      board.check();
    });

    test('a handler may close the server, with others connected', () => {
      const { board } = serve({ firmware, routes: (server, library) => {
        routes(server, library);
        server.route('/stop', 'GET', () => { server.close(); return 'stopped'; });
      } });
      assert.equal(ask(board), 'hello');
      const other = board.connect({ port: 80 });
      other.send(get('/slow'));
      board.run(50);
      const client = board.connect({ port: 80 });
      client.send(get('/stop'));
      board.run(100);
      assert.equal(client.ended, true);
      assert.equal(other.ended, true);
      assert.deepEqual(board.console, []);
      board.check();
    });

    test('two servers: one may be closed, once or twice, and the other goes on; errors are logged by their own', () => {
      const board = new Board({ firmware, passMicros: 500 });
      const library = loadLibrary(board);
      const [a, b] = [new library.Server({ debug: true }), new library.Server({ debug: true })];
      const logs = [];
      a.debug = (message) => logs.push(`a: ${message}`);
      b.debug = (message) => logs.push(`b: ${message}`);
      b.close(); // not yet started
      a.route('/', 'GET', () => 'of a').listen(80);
      b.route('/', 'GET', () => 'of b').route('/throws', 'GET', () => { throw new Error('x'); }).listen(81);
      board.run(5);
      assert.equal(ask(board, '/throws', { port: 81 }), 'Error: x');
      assert.deepEqual(logs, ['b: Error: x', 'b: GET /throws 500']);
      const client = board.connect({ port: 81 });
      client.send(get('/', 'connection: close\r\n').slice(0, 20));
      board.run(50);
      a.close();
      a.close();
      client.send(get('/', 'connection: close\r\n').slice(20));
      board.run(50);
      assert.equal(bodyOf(client), 'of b');
      board.check();
    });

    test('a second server can start while a client is heard', () => {
      const { board, library } = serve({ firmware, routes });
      const client = board.connect({ port: 80 });
      client.send('GET / HTTP/1.1\r\n');
      board.run(50);
      new library.Server().route('/', 'GET', () => 'second').listen(81);
      client.send('host: x\r\nconnection: close\r\n\r\n');
      board.run(50);
      assert.equal(bodyOf(client), 'hello');
      assert.equal(ask(board, '/', { port: 81 }), 'second');
      board.check();
    });

    test('a body arrives whole when lwIP hands over several segments at once after a loss', () => {
      const { board } = serve({ firmware, routes, board: { mergedReads: true, seed: 3 } });
      const body = Array.from({ length: 16384 }, (_, at) => String.fromCharCode(at * 7 & 255)).join('');
      for (let n = 0; n < 5; n++) {
        const client = board.connect({ port: 80, loss: 0.1, delay: 5 });
        client.send(`POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 16384\r\n\r\n${body}`);
        board.runUntil(() => client.state === 'closed' || client.ended, 20000);
        assert.equal(bodyOf(client), body);
        board.run(500);
      }
      board.check();
    });
  });
}

test('routed: a client above maxParallelConnections gets its 503, although it sends at once', () => {
  const { board } = serve({ firmware: 'routed', routes, options: { maxParallelConnections: 1 } });
  assert.equal(ask(board), 'hello');
  const first = board.connect({ port: 80 });
  first.send('GET');
  board.run(20);
  const second = board.connect({ port: 80 });
  second.send(get('/'));
  board.run(20);
  assert.equal(second.text.slice(0, 12), 'HTTP/1.1 503');
  assert.equal(second.wasReset, false);
  board.check();
});
