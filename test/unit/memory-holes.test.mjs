// A program of 90 KB, and what clients can send: every block that the library makes has to find a hole in what is left of the heap
// (board/places.mjs), which are three of 20 KB and some small ones. A block that finds none ends the program.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FIRMWARES } from '../support/serve.mjs';
import { askUntilAnswered } from '../support/strangers.mjs';
import { BINARY, frame, openPeer, serveWebSocket, TEXT } from '../support/websocket.mjs';

const PROGRAM = 90000;
/** It leaves three holes of 17 KB: three times the largest message. */
const LARGEST_PROGRAM = 94300;
/** The largest body and the largest message. */
const LIMIT = 16384;
/** No other block is larger. */
const LARGEST = 4096;

/** Texts of so many bytes. What a test's own functions hold would count, what its module has does not. */
const TEXTS = { ascii: 'a'.repeat(LIMIT), accents: 'é'.repeat(LIMIT / 2), dice: '🎲'.repeat(LIMIT / 4) };

const HANDLERS = {
  'that the program takes as they come': (path, headers, ws) => { ws.onmessage = () => {}; },
  'that the program waits for': function* (path, headers, ws) { while ((yield* ws.recv()) !== null); },
  'that the program sends back': (path, headers, ws) => { ws.onmessage = (data) => { ws.send(data); }; },
  'that nobody takes': () => ({ next: () => ({ done: false }) }),
};

function setUp(firmware, handler, program = PROGRAM) {
  const set = serveWebSocket({
    firmware,
    board: { passMicros: 1000, program },
    options: { pingSeconds: 0 },
    handler,
    routes: (server) => {
      server.route('/echo/.*', 'POST', (path, query, headers, body) => body);
      server.route('/count', 'POST', (path, query, headers, body) => String(body.length));
    },
  });
  set.board.run(100);
  return set;
}

/** The program goes on, and a well-behaved client is served. */
function survives(board, announced = []) {
  board.check();
  askUntilAnswered(board, 'c7z');
  board.run(3000);
  askUntilAnswered(board, 'c8z');
  board.check();
  const largest = board.heap.largestMade(announced);
  assert.ok(largest <= LARGEST, `a block of ${largest} bytes was made`);
}

/** A client sends a text ten times, and gets it each time. */
function sendBack(board, text) {
  const peer = openPeer(board);
  for (let n = 1; n <= 10; n++) {
    peer.text(text);
    board.runUntil(() => peer.messages.length === n || peer.over || board.violations.length);
    board.check();
    assert.equal(peer.messages.at(-1), text);
  }
}

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware, a program of 90 KB`, () => {
    for (const delay of [0.1, 1, 20]) {
      test(`survives a header of 400 KB, sent as fast as it goes, ${delay} ms away`, () => {
        const { board } = setUp(firmware);
        const client = board.connect({ port: 80, delay });
        client.send(`GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'v'.repeat(400000)}\r\n\r\n`);
        board.runUntil(() => client.state === 'closed');
        survives(board);
      });
    }

    test('survives five of them at once', () => {
      const { board } = setUp(firmware);
      const clients = Array.from({ length: 5 }, (_, n) => {
        const client = board.connect({ port: 80 + n % 4, delay: 0.3 });
        client.send(`GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'v'.repeat(400000)}\r\n\r\n`);
        return client;
      });
      board.runUntil(() => clients.every((client) => client.state === 'closed'), 30000);
      survives(board);
    });

    for (const [which, handler] of Object.entries(HANDLERS)) {
      test(`survives 600 messages of 1.5 KB, one every 3 ms, ${which}`, () => {
        const { board } = setUp(firmware, handler);
        const { client } = openPeer(board);
        const message = frame(BINARY, Buffer.alloc(1500));
        for (let n = 0; n < 600 && client.state === 'open'; n++) {
          client.send(message);
          board.run(3);
        }
        survives(board, [1500]);
      });

      for (const perPass of [1, 3, 8]) {
        test(`survives 300 of them, ${perPass} a pass of the loop, ${which}`, () => {
          const { board } = setUp(firmware, handler);
          const { client } = openPeer(board, { delay: 0.1 });
          const message = frame(BINARY, Buffer.alloc(1500));
          for (let n = 0; n < 300 && client.state === 'open'; n++) {
            client.send(message);
            if (n % perPass === 0) board.pass();
          }
          survives(board, [1500]);
        });
      }
    }

    for (const [name, text] of Object.entries(TEXTS)) {
      test(`sends a text of 16 KB back, ten times: ${name}`, () => {
        const { board } = setUp(firmware, HANDLERS['that the program sends back']);
        sendBack(board, text);
        survives(board, [LIMIT]);
      });

      test(`sends a text of 16 KB back with three times its bytes to spare, ten times: ${name}`, () => {
        const { board } = setUp(firmware, HANDLERS['that the program sends back'], LARGEST_PROGRAM);
        sendBack(board, text);
      });
    }

    test('sends a text of 16 KB back that came in fragments of 1 KB', () => {
      const { board } = setUp(firmware, HANDLERS['that the program sends back']);
      const peer = openPeer(board);
      for (let at = 0; at < LIMIT; at += 1024) peer.send(frame(at ? 0 : TEXT, TEXTS.ascii.slice(at, at + 1024), { fin: at + 1024 === LIMIT }));
      board.runUntil(() => peer.messages.length === 1 || peer.over || board.violations.length);
      board.check();
      assert.equal(peer.messages[0], TEXTS.ascii);
      survives(board, [LIMIT]);
    });

    for (const [how, gap] of [['at once', 0], ['slowly', 20]]) {
      test(`takes an upload of 16 KB beside three others, all of them sent ${how}`, () => {
        const { board } = setUp(firmware);
        const uploads = Array.from({ length: 4 }, () => new Upload(board, gap));
        board.runUntil(() => uploads.map((upload) => upload.look()).every(Boolean) || board.violations.length, 60000);
        board.check();
        assert.deepEqual(uploads.map((upload) => upload.answer), Array(4).fill(String(LIMIT)));
        survives(board, [LIMIT]);
      });
    }

    test('takes an upload of 16 KB beside three WebSockets, each with a message of 16 KB that has come but for a byte', () => {
      const { board } = setUp(firmware, HANDLERS['that the program takes as they come']);
      const peers = [81, 82, 83].map((port) => {
        const peer = openPeer(board, { port });
        peer.send(frame(BINARY, Buffer.alloc(LIMIT)).subarray(0, -1));
        board.run(50);
        return peer;
      });
      const upload = new Upload(board, 0);
      board.runUntil(() => upload.look() || board.now > 5000);
      board.check();
      // If there was no room for it, there is when the others are gone.
      for (const peer of peers) peer.client.reset();
      board.runUntil(() => upload.look() || board.violations.length, 60000);
      board.check();
      assert.equal(upload.answer, String(LIMIT));
      survives(board, [LIMIT]);
    });
  });
}

/** A client that has 16 KB to say, and tries again after 1 s when it is refused, reset or ended. Call look() now and then. */
class Upload {
  constructor(board, gap) {
    Object.assign(this, { board, gap, answer: undefined, at: 0 });
    this.begin();
  }

  begin() {
    this.client = this.board.connect({ port: 80, delay: 0.5 });
    this.client.send(`POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: ${LIMIT}\r\n\r\n`);
    this.sent = 0;
  }

  look() {
    const { client, board } = this;
    if (this.answer !== undefined) return true;
    if (client.state === 'open' && this.sent < LIMIT && board.now >= this.at) {
      const size = Math.min(LIMIT - this.sent, this.gap ? 1460 : LIMIT);
      client.send('x'.repeat(size));
      this.sent += size;
      this.at = board.now + this.gap;
    }
    if (client.text.startsWith('HTTP/1.1 200') && client.ended) this.answer = client.text.split('\r\n\r\n')[1];
    else if (client.state === 'closed') this.again();
    return this.answer !== undefined;
  }

  again() {
    this.againAt ??= this.board.now + 1000;
    if (this.board.now < this.againAt) return;
    this.againAt = undefined;
    this.begin();
  }
}
