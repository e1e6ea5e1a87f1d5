// Answers that fill the send buffer: 11,680 bytes of a C heap of 20 KB. They go out one after the other, and hold up nobody who asks for less.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FIRMWARES, serve } from '../support/serve.mjs';

const C_HEAP = 20480;
const SIZE = 40000;
const get = (path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
const bodyOf = (client) => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);
const KINDS = { text: 't'.repeat(SIZE), bytes: 'b'.repeat(SIZE), file: 'f'.repeat(SIZE) };

const setUp = (firmware, board) => serve({
  firmware,
  board: { passMicros: 1000, files: { '/file': KINDS.file }, ...board },
  routes: (server, { FileResponse, Response }) => {
    server.route('/', 'GET', () => 'hello');
    server.route('/text', 'GET', () => KINDS.text);
    server.route('/bytes', 'GET', () => new Uint8Array(SIZE).fill(98));
    server.route('/file', 'GET', () => new FileResponse('/file'));
    server.route('/page', 'GET', () => 'p'.repeat(9000));
    server.route('/stream', 'GET', () => new Response({ next: () => ({ done: false, value: 'piece ' }) }));
  },
}).board;

function ask(board, path, { deaf = false, delay = 0.5 } = {}) {
  const client = board.connect({ port: 80, delay, window: deaf ? 1000 : undefined });
  if (deaf) client.pause();
  client.send(get(path));
  return client;
}

/** Milliseconds until a client has its whole answer. */
function waitOf(board, path, body) {
  const since = board.now;
  const client = ask(board, path);
  board.runUntil(() => bodyOf(client) === body, 15000);
  return board.now - since;
}

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware`, () => {
    for (const [kind, body] of Object.entries(KINDS)) {
      test(`five slow clients get a ${kind} of 40 KB each, and the C heap holds`, () => {
        const board = setUp(firmware, { cHeap: C_HEAP });
        const clients = Array.from({ length: 5 }, () => {
          const client = ask(board, `/${kind}`, { delay: 40 });
          board.run(100);
          return client;
        });
        board.runUntil(() => clients.every((client) => client.ended), 30000);
        for (const client of clients) assert.equal(bodyOf(client), body);
        board.check(); // that the C heap holds is one of its rules
      });
    }

    test('of five that take nothing one after the other has what fills the send buffer, 2 s after the one before', () => {
      const board = setUp(firmware);
      for (let i = 0; i < 5; i++) {
        ask(board, '/file', { deaf: true });
        board.run(100);
      }
      const full = [];
      for (let seconds = 1; seconds <= 9; seconds += 2) {
        board.run(seconds * 1000 + 200 - board.now);
        full.push(Math.floor(board.vitals().output / 11000));
      }
      assert.deepEqual(full, [1, 2, 3, 4, 5]);
      board.check();
    });

    test('behind one that takes nothing a large answer waits for 2 s, a page of 9 KB and a short answer not at all', () => {
      const board = setUp(firmware);
      assert.ok(waitOf(board, '/', 'hello') < 100);
      ask(board, '/file', { deaf: true });
      board.run(300);
      assert.ok(waitOf(board, '/page', 'p'.repeat(9000)) < 100);
      assert.ok(waitOf(board, '/', 'hello') < 100);
      const wait = waitOf(board, '/file', KINDS.file);
      assert.ok(wait > 500 && wait < 2200, `${wait} ms`);
      board.check();
    });

    test('four that ask again as soon as they have it get as many each', () => {
      const board = setUp(firmware);
      const asked = Array.from({ length: 4 }, () => null);
      const counts = [0, 0, 0, 0];
      for (const end = board.now + 30000; board.now < end; board.pass()) {
        asked.forEach((client, n) => {
          if (client && !client.ended) return;
          if (client && bodyOf(client) === KINDS.text) counts[n]++;
          asked[n] = ask(board, '/text', { delay: 100 });
        });
      }
      assert.ok(Math.min(...counts) >= 5 && Math.max(...counts) <= 2 * Math.min(...counts), `${counts}`);
      board.check();
    });

    test('one that takes nothing is given up after requestTimeoutSeconds, however many others have theirs meanwhile', () => {
      const board = setUp(firmware);
      const deaf = ask(board, '/text', { deaf: true });
      board.run(100);
      for (const end = board.now + 10500; board.now < end;) waitOf(board, '/text', KINDS.text);
      assert.equal(board.vitals().states.ESTABLISHED ?? 0, 0);
      assert.equal(deaf.ended, false, 'it has not taken what came before the FIN');
      board.check();
    });

    test('behind one that takes a little now and then a large answer waits for 10 s', () => {
      const board = setUp(firmware);
      const slow = board.connect({ port: 80, delay: 0.5, window: 1100 });
      slow.pause();
      slow.send(get('/text'));
      board.run(500);
      const client = ask(board, '/text');
      const since = board.now;
      while (bodyOf(client) !== KINDS.text && board.now < since + 30000) {
        board.run(1500);
        slow.resume();
        board.run(3);
        slow.pause();
      }
      const wait = board.now - since;
      assert.ok(wait > 8000 && wait < 12000, `${wait} ms`);
      assert.ok(slow.text.length > 5000 && !slow.ended, 'it goes on meanwhile');
      board.check();
    });

    test('a stream goes on beside a large answer, and a large answer beside a stream', () => {
      const board = setUp(firmware);
      const stream = ask(board, '/stream');
      board.run(300);
      assert.ok(waitOf(board, '/file', KINDS.file) < 1000);
      ask(board, '/file', { deaf: true });
      const before = stream.text.length;
      board.run(300);
      assert.ok(stream.text.length > before + 1000);
      board.check();
    });

    test('who had a large answer holds up nobody when its number serves another client, which leaves its connection half open', () => {
      const board = setUp(firmware);
      const first = ask(board, '/file');
      board.runUntil(() => first.ended, 9000);
      board.run(100);
      const second = board.connect({ port: 80, delay: 0.5, autoClose: false });
      second.send(get('/'));
      board.runUntil(() => second.ended, 9000);
      assert.equal(bodyOf(second), 'hello');
      const wait = waitOf(board, '/file', KINDS.file);
      assert.ok(wait < 1200, `${wait} ms`);
      board.check();
    });

    test('who leaves in the midst of a large answer holds up nobody', () => {
      for (const leave of ['end', 'reset']) {
        const board = setUp(firmware);
        const client = ask(board, '/file', { deaf: true });
        board.run(200);
        client[leave]();
        board.run(20); // a SYN that comes in the very pass of a reset gets its PCB, unseen
        const wait = waitOf(board, '/text', KINDS.text);
        assert.ok(wait < 1200, `${leave}: ${wait} ms`);
        board.check();
      }
    });
  });
}
