// What strangers can make the server hold, in the board's two memories: its JavaScript heap, counted by walking everything that the library
// can reach (board/holdings.mjs), and segments in the C heap that wait for the garbage collector.
//
// One connection holds at most, with the default limits:
//   itself                                                              500 bytes
//   half a head       maxRequestLineSize + maxHeaderBytes, as text    6,144
//   a body            maxBodyBytes, beside that                      16,384
//   a WebSocket's     maxMessageBytes that come,                     16,384
//     messages        and one that the program has not taken         16,384
//   output            maxMessageBytes + 1,024; of pages: the answer  17,408
//   what waits to be parsed: maxBodyBytes + a TCP window             28,064   (mostly one window, 11,680: it is parsed at every step)
// The send buffers (11,680 bytes each) are lwIP's, in the C heap.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { holdings } from '../board/holdings.mjs';
import { exchange, FIRMWARES, serve } from '../support/serve.mjs';
import { askUntilAnswered } from '../support/strangers.mjs';
import { BINARY, frame, handshake, PING, serveWebSocket, TEXT } from '../support/websocket.mjs';

const LIMIT = 16384;
const ITSELF = 500;
const HEAD = 2048 + 4096 + ITSELF;
const WAITING = LIMIT + 11680;

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
/** Nearly the longest line and headers that are taken. */
const line = `/slow?${'q'.repeat(2000)}`;
const headers = Array.from({ length: 45 }, (_, n) => `x-${n}: ${'v'.repeat(78)}\r\n`).join('');
const post = (length) => `POST ${line} HTTP/1.1\r\nhost: x\r\n${headers}content-length: ${length}\r\n\r\n`;
const never = () => ({ next: () => ({ done: false }) });
const repeat = (count, piece) => Buffer.concat(Array.from({ length: count }, () => piece));

function setUp(firmware, handler = never) {
  const set = serveWebSocket({
    firmware,
    board: { passMicros: 1000 },
    options: { pingSeconds: 0 },
    handler,
    routes: (server) => {
      server.route('/', 'GET', () => 'hello');
      server.route('/slow', 'POST', never);
      server.route('/echo/.*', 'POST', (path, query, requestHeaders, body) => body);
      server.route('/count', 'POST', (path, query, requestHeaders, body) => String(body.length));
    },
  });
  const { board, library, extension, server } = set;
  const first = board.connect({ port: 80 });
  first.send(get('/', 'connection: close\r\n'));
  board.run(500);
  const count = () => holdings(board, [library, extension, server]);
  const idle = count();
  return { ...set, held: () => count() - idle };
}

/** Does `act` with so many new clients, at one port after the other; returns the most that was held meanwhile. */
function most({ board, held }, { act, ports = [80] }, count) {
  let top = 0;
  const look = (milliseconds) => {
    board.run(milliseconds);
    top = Math.max(top, held());
  };
  const clients = [];
  for (let n = 0; n < count; n++) {
    const client = board.connect({ port: ports[n % ports.length], window: 2000 });
    clients.push(client);
    act(client);
    for (let k = 0; k < 40; k++) look(3);
  }
  for (let k = 0; k < 20; k++) look(20);
  return { top, clients };
}

/** Sends frames once the socket is open. */
function socket(client, frames, deaf = false) {
  client.send(handshake());
  client.onData = () => {
    if (client.switched || !client.text.startsWith('HTTP/1.1 101')) return;
    client.switched = true;
    if (deaf) client.pause();
    client.send(frames);
  };
}

const ports = [81, 82, 83];
const situations = {
  'half a head': { act: (client) => client.send(post(LIMIT).slice(0, -2)), bound: HEAD + 11680 },
  'a body but for a byte': { act: (client) => client.send(post(LIMIT) + 'x'.repeat(LIMIT - 1)), bound: HEAD + LIMIT + WAITING },
  'a body, while its handler works': { act: (client) => client.send(post(LIMIT) + 'x'.repeat(LIMIT)), bound: HEAD + LIMIT + WAITING },
  'a message but for a byte': { ports, act: (client) => socket(client, frame(BINARY, Buffer.alloc(LIMIT - 1), { fin: false })), bound: HEAD + LIMIT + WAITING },
  'a message that nobody takes, and another': {
    ports, act: (client) => socket(client, Buffer.concat([frame(TEXT, 'é'.repeat(LIMIT / 2)), frame(BINARY, Buffer.alloc(LIMIT))])), bound: HEAD + 2 * LIMIT + WAITING,
  },
  'answers to pings that it does not read': { ports, act: (client) => socket(client, repeat(135, frame(PING, 'x'.repeat(125))), true), bound: HEAD + LIMIT + 1024 + WAITING },
};

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware: a connection with`, () => {
    for (const [name, situation] of Object.entries(situations)) {
      const { bound } = situation;
      test(`${name} holds at most ${bound} bytes, and nothing after the next request`, (context) => {
        const set = setUp(firmware);
        const { top, clients: [client] } = most(set, situation, 1);
        context.diagnostic(`${top} bytes`);
        assert.ok(top > 2000, `${top} bytes: it did not get there`);
        assert.ok(top <= bound, `${top} bytes`);
        client.end();
        client.resume();
        set.board.run(31000);
        askUntilAnswered(set.board, 'c7z');
        set.board.run(1000);
        assert.ok(set.held() < ITSELF, `${set.held()} bytes are left`);
        set.board.check();
      });
    }

    test('half a head, five times, holds under 100 KB', () => {
      const set = setUp(firmware);
      const { top } = most(set, situations['half a head'], 5);
      assert.ok(top < 100000, `${top} bytes`);
      set.board.check();
    });
  });

  describe(`${firmware} firmware: under 8 KB of segments wait for the collector`, () => {
    const atMost8K = (board) => {
      assert.ok(board.vitals().peak < 8192, `${board.vitals().peak} bytes`);
      board.check();
    };

    test('in 64 uploads of 16 KB, one after the other', () => {
      const { board } = setUp(firmware);
      for (let n = 0; n < 64; n++) {
        const client = board.connect({ port: 80, delay: 0.5 });
        client.send(`POST /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${LIMIT}\r\n\r\n${'x'.repeat(LIMIT)}`);
        board.runUntil(() => client.ended);
        assert.ok(client.text.endsWith(`\r\n\r\n${LIMIT}`));
        board.run(50);
      }
      atMost8K(board);
    });

    test('or at most all that the C heap has, where whole windows come at once behind lost segments', () => {
      for (let seed = 1; seed <= 30; seed++) {
        const { board } = serve({ firmware, board: { passMicros: 1000, mergedReads: true, seed }, routes: (server) => {
          server.route('/count', 'POST', (path, query, requestHeaders, body) => String(body.length));
        } });
        for (const length of [LIMIT, 60000]) {
          const client = board.connect({ port: 80, delay: 0.4, loss: 0.05 });
          client.send(`POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n${'x'.repeat(length)}`);
          board.runUntil(() => client.state === 'closed', 30000);
        }
        board.check();
      }
    });

    for (const delay of [0.1, 1, 20]) {
      test(`in an upload of 1 MB that is refused, ${delay} ms away`, () => {
        const { board } = setUp(firmware);
        const client = board.connect({ port: 80, delay });
        client.send(`POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(1000000)}`);
        board.runUntil(() => client.state === 'closed');
        assert.equal(client.text.slice(0, 12), 'HTTP/1.1 413');
        atMost8K(board);
      });
    }

    for (const taken of [true, false]) {
      for (const size of [0, 1, 125, 1454, 16384]) {
        test(`in a flood of 1 MB of messages of ${size} bytes, ${taken ? 'taken as they come' : 'which nobody takes'}`, () => {
          const { board } = setUp(firmware, taken ? (path, requestHeaders, ws) => { ws.onmessage = () => {}; } : never);
          const client = board.connect({ port: 81, delay: 0.5 });
          const piece = frame(BINARY, Buffer.alloc(size));
          const segment = repeat(Math.max(1, Math.floor(1460 / piece.length)), piece);
          socket(client, '');
          board.runUntil(() => client.switched);
          for (let sent = 0; sent < 1000000 && client.state === 'open'; sent += segment.length) {
            client.send(segment);
            board.run(Math.max(1, segment.length / 1460));
          }
          atMost8K(board);
        });
      }
    }
  });
}

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware: five connections`, () => {
    for (const [name, situation] of Object.entries(situations)) {
      test(`each with ${name} hold under 100 KB`, () => {
        const set = setUp(firmware);
        const { top } = most(set, situation, 5);
        assert.ok(top < 100000, `${top} bytes`);
        set.board.check();
      });
    }

    test('twenty that reset, one after the other: nothing that they had is kept', () => {
      const set = setUp(firmware);
      for (let n = 0; n < 20; n++) {
        const client = set.board.connect({ port: 80, delay: 0.5 });
        client.send(post(LIMIT) + 'x'.repeat(LIMIT));
        set.board.run(100);
        client.reset();
        set.board.run(100);
        assert.ok(set.held() < 12 * ITSELF, `${set.held()} bytes`);
      }
      set.board.check();
    });
  });
}

test('stock: a body that does not fit beside what others hold gets 503, and what still comes of it is not a request', () => {
  const seen = [];
  const { board } = serve({
    firmware: 'stock',
    board: { passMicros: 5000 },
    options: { maxBodyBytes: 30000 },
    routes: (server) => {
      server.route('/slow', 'POST', () => { seen.push('slow'); return never(); });
      server.route('/up', 'POST', () => { seen.push('up'); });
      server.route('/inside', 'GET', () => { seen.push('inside'); });
    },
  });
  const connected = () => {
    const client = board.connect({ port: 80 });
    board.runUntil(() => client.state === 'open', 12000);
    return client;
  };
  const request = (path, length) => `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`;
  for (let n = 1; n <= 2; n++) {
    connected().send(request('/slow', 29500) + 'a'.repeat(29500));
    board.runUntil(() => seen.length === n, 3000);
  }
  const client = connected();
  board.run(50);
  client.send(request('/up', 30000));
  board.run(30);
  client.send('b'.repeat(9000));
  board.run(60);
  client.send(get('/inside'));
  board.runUntil(() => client.ended);
  assert.equal(client.text, 'HTTP/1.1 503 \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\nconnection: close\r\n\r\n503');
  assert.deepEqual(seen, ['slow', 'slow']);
  board.check();
});

test('routed: of five bodies at the limit the first two are answered, and the others are told 503, until they come alone', () => {
  const { board } = setUp('routed');
  const clients = Array.from({ length: 5 }, () => {
    const client = board.connect({ port: 80, delay: 0.5 });
    client.send(`POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: ${LIMIT}\r\n\r\n`);
    board.run(50);
    return client;
  });
  for (const client of clients.slice(0, 2)) {
    client.send('x'.repeat(LIMIT));
    board.run(50);
  }
  assert.deepEqual(clients.map((client) => client.text.slice(9, 12)), ['200', '200', '503', '503', '503']);
  assert.deepEqual(clients.slice(0, 2).map((client) => client.text.split('\r\n\r\n')[1]), Array(2).fill(String(LIMIT)));
  for (let n = 0; n < 3; n++) {
    const again = board.connect({ port: 80, delay: 0.5 });
    again.send(`POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: ${LIMIT}\r\n\r\n${'x'.repeat(LIMIT)}`);
    board.run(300);
    assert.ok(again.text.endsWith(`\r\n\r\n${LIMIT}`));
  }
  board.check();
});

describe('routed: beside uploads that are under way', () => {
  const LONG = `a: ${'y'.repeat(1800)}`;

  /** A board with uploads of so many bytes, of which two have come. */
  function withUploads(sizes) {
    const { board } = serve({ firmware: 'routed', routes: (server) => {
      server.route('/', 'POST', (path, query, headers, body) => `${body.length}`).route('/', 'GET', () => 'got');
    } });
    const uploads = sizes.map((size) => {
      const client = board.connect({ delay: 0.5 });
      client.send(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${size}\r\n\r\nxx`);
      board.run(20);
      return client;
    });
    return { board, uploads };
  }

  /** Sends a head in pieces, its end alone, and returns the client. */
  const inPieces = (board, head) => exchange(board, [head.slice(0, 1000), head.slice(1000), '\r\n\r\n'], 1000, { ms: 100, gap: 20 });

  test('a line that comes in pieces is counted once, when the body is asked for', () => {
    // 3 x 16,384 bytes may be held, less two bodies and this head.
    for (const [size, status] of [[14479, ''], [14480, '503']]) {
      const { board, uploads } = withUploads([16384, 16384]);
      const client = inPieces(board, `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${size}\r\n${LONG}`);
      assert.equal(client.text.slice(9, 12), status, String(size));
      assert.deepEqual(uploads.map(({ text, state }) => [text, state]), [['', 'open'], ['', 'open']]);
      board.check();
    }
  });

  test('a body of no bytes is no reason to drop one of them', () => {
    for (const size of [11000, 14900]) {
      const { board, uploads } = withUploads([16384, 16384, size]);
      assert.match(inPieces(board, `GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n${LONG}`).text, /^HTTP\/1\.1 200 [^]*got$/);
      assert.deepEqual(uploads.map(({ text, state }) => [text, state]), Array(3).fill(['', 'open']), String(size));
      board.check();
    }
  });
});
