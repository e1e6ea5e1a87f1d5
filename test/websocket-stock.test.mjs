// Stock firmware does not say whose bytes it hands over. One WebSocket is open beside one HTTP client at a time, and neither may ever get
// a byte of the other's.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from './board/random.mjs';
import { BINARY, bytes, frame, handshake, hex, openPeer, Peer, PING, PONG, serveWebSocket, SWITCHED, TEXT } from './support/websocket.mjs';

/** A segment is judged by its first bytes. */

const SEED = Number(process.env.SEED) || 1;

/** A board whose socket answers every message with "<message>", with pages beside it. */
function setUp({ options, board: boardOptions } = {}) {
  const seen = { messages: [], codes: [], ws: undefined, requests: [] };
  const set = serveWebSocket({
    firmware: 'stock',
    options,
    board: { passMicros: 500, ...boardOptions },
    handler: function* (path, headers, ws) {
      seen.ws = ws;
      ws.onclose = (code) => { seen.codes.push(code); };
      for (let message; (message = yield* ws.recv()) !== null;) {
        const text = typeof message === 'string' ? message : hex(message);
        seen.messages.push(text);
        yield* ws.send(`<${text.slice(0, 20)}>`);
      }
    },
    routes: (server) => {
      const noted = (request, reply) => {
        seen.requests.push(request);
        return reply;
      };
      server.route('/', 'GET', () => noted('/', 'home'));
      server.route('/n/(.*)', 'GET', (path, query, headers, body, match) => noted(path, `page ${match[1]} ${headers['x-a'] || ''}`));
      server.route('/echo', 'POST', (path, query, headers, body) => noted(path, body));
      server.route('/big', 'GET', () => noted('/big', 'b'.repeat(50000)));
      server.route('/slow', 'GET', () => {
        let steps = 200;
        return { next: () => (steps-- ? { done: false } : { done: true, value: 'slow' }) };
      });
    },
  });
  return { ...set, seen };
}

/** The same with the socket open. */
function setUpOpen(setup) {
  const set = setUp(setup);
  const peer = openPeer(set.board);
  set.board.run(5);
  return { ...set, peer };
}

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
const post = (body, headers = '') => `POST /echo HTTP/1.1\r\nhost: x\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;
const bodyOf = (client) => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);

function connected(board) {
  const client = board.connect({ port: 80, delay: 0.5 });
  board.runUntil(() => client.state === 'open', 12000);
  board.run(2);
  return client;
}

/** The socket still works, and nothing strange came to it. */
function assertSocketWorks({ board, peer, seen }, messages) {
  const { length } = peer.messages;
  peer.text('still');
  board.run(10);
  assert.deepEqual(seen.messages, [...messages, 'still']);
  assert.deepEqual(peer.messages.slice(length), ['<still>']);
  assert.deepEqual(seen.codes, []);
  assert.equal(peer.over, false);
  board.check();
}

describe('pages beside the socket', () => {
  test('each request is answered while the socket is open, and each message reaches it', () => {
    const set = setUpOpen();
    const { board, peer } = set;
    const messages = [];
    for (let n = 0; n < 50; n++) {
      const client = connected(board);
      peer.text(`before ${n}`);
      client.send(get(`/n/${n}`, n % 2 ? 'connection: close\r\n' : ''));
      peer.text(`after ${n}`);
      messages.push(`before ${n}`, `after ${n}`);
      board.run(20);
      assert.equal(bodyOf(client), `page ${n} `);
      peer.text(`between ${n}`);
      messages.push(`between ${n}`);
      board.run(5);
      client.end();
      board.run(10);
    }
    assert.deepEqual(peer.messages, messages.map((message) => `<${message}>`));
    assertSocketWorks(set, messages);
  });

  test('messages between the requests of a kept connection', () => {
    const set = setUpOpen();
    const { board, peer } = set;
    const client = connected(board);
    const messages = [];
    for (let n = 0; n < 30; n++) {
      const before = client.text.length;
      client.send(n % 3 ? get(`/n/${n}`) : post(`posted ${n}`));
      board.run(n % 8);
      peer.text(`m${n}`);
      messages.push(`m${n}`);
      board.run(20);
      assert.equal(client.text.slice(before).split('\r\n\r\n')[1], n % 3 ? `page ${n} ` : `posted ${n}`);
    }
    assertSocketWorks(set, messages);
  });

  test('a request and a message in the same pass, in both orders', () => {
    for (const order of [0, 1]) {
      const set = setUpOpen();
      const { board, peer } = set;
      const client = connected(board);
      const send = [() => client.send(get('/n/1')), () => peer.text('m')];
      send[order]();
      send[1 - order]();
      board.run(20);
      assert.equal(bodyOf(client), 'page 1 ');
      assertSocketWorks(set, ['m']);
    }
  });

  test('a request between the segments of a long message', () => {
    for (const gap of [0, 2, 5]) {
      const set = setUpOpen();
      const { board, peer } = set;
      const client = connected(board);
      const long = frame(BINARY, Buffer.alloc(4000, 7));
      peer.send(long.subarray(0, 1460));
      board.run(gap);
      client.send(get('/n/1'));
      board.run(gap);
      peer.send(long.subarray(1460));
      board.run(30);
      assert.equal(bodyOf(client), 'page 1 ', `gap ${gap}`);
      assertSocketWorks(set, ['07'.repeat(4000)]);
    }
  });

  test('a message while the answer of a slow handler, or of a long page, is on its way', () => {
    for (const [path, body] of [['/slow', 'slow'], ['/big', 'b'.repeat(50000)]]) {
      const set = setUpOpen();
      const { board, peer } = set;
      const client = connected(board);
      client.send(get(path));
      const messages = [];
      for (let n = 0; bodyOf(client) !== body && n < 300; n++) {
        peer.text(`m${n}`);
        messages.push(`m${n}`);
        board.run(1);
      }
      assert.equal(bodyOf(client), body);
      board.run(20);
      assertSocketWorks(set, messages);
    }
  });

  test('a download, a slow page and a third client beside the socket', () => {
    const set = setUpOpen();
    const { board, peer } = set;
    const big = board.connect({ port: 80, window: 2000 });
    big.send(get('/big'));
    board.runUntil(() => big.text, 12000);
    big.pause();
    const slow = connected(board);
    slow.send(get('/slow'));
    board.run(10);
    const third = connected(board);
    third.send(get('/n/3'));
    peer.text('m');
    board.run(20);
    assert.equal(bodyOf(third), 'page 3 ');
    big.resume();
    board.run(3000);
    assert.equal(bodyOf(big).length, 50000);
    assert.equal(bodyOf(slow), 'slow');
    assertSocketWorks(set, ['m']);
  });

  test('a client that connects and is silent disturbs nobody', () => {
    const set = setUpOpen();
    const { board, peer } = set;
    const silent = connected(board);
    const messages = [];
    for (let n = 0; n < 60; n++) {
      peer.text(`m${n}`);
      messages.push(`m${n}`);
      board.run(10);
    }
    assert.equal(silent.text, '');
    assert.equal(silent.ended, true);
    const client = connected(board);
    client.send(get('/'));
    board.run(20);
    assert.equal(bodyOf(client), 'home');
    assertSocketWorks(set, messages);
  });

  test('a client that is reset, or leaves, in the midst of its request takes nothing with it', () => {
    for (const leave of ['end', 'reset']) {
      const set = setUpOpen();
      const { board, peer } = set;
      const messages = [];
      for (let n = 0; n < 5; n++) {
        const client = connected(board);
        client.send('GET /n/1 HTTP/1.1\r\nhos');
        board.run(5);
        client[leave]();
        board.run(5);
        peer.text(`m${n}`);
        messages.push(`m${n}`);
        board.run(10);
        const next = connected(board);
        next.send(get('/n/next', 'connection: close\r\n'));
        board.run(20);
        assert.equal(bodyOf(next), 'page next ', leave);
      }
      assertSocketWorks(set, messages);
    }
  });

  test('a bad request, and what its client still sends, costs the socket no message', () => {
    const set = setUpOpen();
    const { board, peer } = set;
    const messages = [];
    const client = connected(board);
    client.send('nonsense /\r\n\r\n'.toUpperCase());
    for (let n = 0; n < 30; n++) {
      peer.text(`m${n}`);
      messages.push(`m${n}`);
      board.run(10);
    }
    assert.match(client.text, /^HTTP\/1.1 400 /);
    assert.equal(client.ended, true);
    assertSocketWorks(set, messages);
  });

  test('the socket may be open for long, and each page is served at once', () => {
    const set = setUpOpen({ board: { passMicros: 1000 } });
    const { board, peer } = set;
    peer.polite();
    const messages = [];
    for (let n = 0; n < 40; n++) {
      board.run(3000);
      const since = board.now;
      const client = connected(board);
      client.send(get('/'));
      board.runUntil(() => bodyOf(client) === 'home');
      assert.ok(board.now - since < 50, `${board.now - since} ms`);
      peer.text(`m${n}`);
      messages.push(`m${n}`);
    }
    board.run(20);
    assertSocketWorks(set, messages);
  });
});

describe('a message while a request is half sent', () => {
  const half = (request, at, message, expected) => {
    const set = setUpOpen();
    const { board, peer, seen } = set;
    const client = connected(board);
    client.send(request.slice(0, at));
    board.run(3);
    peer.send(message);
    board.run(3);
    client.send(request.slice(at));
    board.run(20);
    assert.equal(bodyOf(client), expected, `cut at ${at}`);
    assert.equal(seen.messages.length, 1, `cut at ${at}`);
    assertSocketWorks(set, seen.messages.slice(0, 1));
  };

  test('its head, cut at every point behind "GET /"', () => {
    const request = get('/n/1', 'x-a: b c\r\naccept: */*\r\n');
    for (let at = 5; at < request.length; at++) half(request, at, frame(TEXT, 'message'), 'page 1 b c');
  });

  test('its first segment is only the method, as of clients that print piece by piece', () => {
    for (const at of [1, 2, 3, 4]) half(get('/n/1'), at, frame(TEXT, 'message'), 'page 1 ');
  });

  test('its body, cut at every point', () => {
    const request = post('name=value&other=1');
    for (let at = request.indexOf('\r\n\r\n'); at < request.length; at++) half(request, at, frame(TEXT, 'message'), 'name=value&other=1');
  });

  test('text, binary, an empty one, a long one', () => {
    for (const message of [frame(TEXT, ''), frame(BINARY, Buffer.alloc(100)), frame(TEXT, 'x'.repeat(1000)), Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(0, 'b')])]) {
      half(get('/n/1', 'x-a: b\r\n'), 20, message, 'page 1 b');
      half(post('name=value&other=1'), 60, message, 'name=value&other=1');
    }
  });

  test('a client that never finishes its request does not keep messages from the socket', () => {
    const set = setUpOpen({ board: { passMicros: 1000 } });
    const { board, peer } = set;
    const client = connected(board);
    client.send('GET /n/1 HTTP/1.1\r\n');
    const messages = [];
    for (let n = 0; n < 24; n++) {
      board.run(500);
      peer.text(`m${n}`);
      messages.push(`m${n}`);
    }
    assert.match(client.text, /^HTTP\/1.1 408 /);
    board.run(20);
    assertSocketWorks(set, messages);
  });
});

describe('many interleavings', () => {
  /**
   * One board, one socket, and clients that come one after the other, all sending at random moments.
   * @param {(count: number) => number} pick a random number below count
   * @param {{cut: boolean}} how whether requests come in several segments
   */
  const scene = (pick, { cut }) => {
    const set = setUpOpen();
    const { board, peer, seen } = set;
    const sent = [];
    const wrong = [];
    let client;
    let waiting = []; // pieces that the page's client will send
    let outgoing = []; // segments that the socket's client will send
    let expected = '';
    let count = 0;
    const word = () => Array.from({ length: 1 + pick(12) }, () => 'abcdefghij'[pick(10)]).join('');

    const newRequest = () => {
      const name = `${count++}${word()}`;
      const body = word().repeat(1 + pick(40));
      const posting = pick(3) === 0;
      const request = posting ? post(body, `x-a: ${word()}\r\n`) : get(`/n/${name}`, pick(2) ? `accept: ${word().repeat(10)}\r\n` : '');
      const at = posting ? request.indexOf('\r\n\r\n') + 4 : 6 + pick(request.length - 6);
      waiting = cut && pick(2) ? [request.slice(0, at), request.slice(at)].filter((piece) => piece) : [request];
      expected = posting ? body : `page ${name} `;
      if (!client || client.state !== 'open' || client.ended || pick(4) === 0) {
        client?.end();
        client = connected(board);
      }
      client.base = client.text.length;
    };
    const newMessage = () => {
      const binary = pick(3) === 0;
      const payload = binary ? Buffer.from(Array.from({ length: pick(4) ? pick(60) : pick(3000) }, () => pick(256))) : Buffer.from(word().repeat(1 + pick(30)));
      const mask = Buffer.from(Array.from({ length: 4 }, () => pick(256)));
      sent.push(binary ? hex(payload) : payload.toString());
      const parts = [];
      if (pick(5) === 0) {
        const at = pick(payload.length + 1);
        parts.push(frame(binary ? BINARY : TEXT, payload.subarray(0, at), { fin: false, mask }), frame(0, payload.subarray(at), { mask }));
      } else parts.push(frame(binary ? BINARY : TEXT, payload, { mask }));
      if (pick(8) === 0) parts.push(frame(PONG, 'x', { mask }));
      // A long frame goes out in TCP's segments.
      for (const part of parts) for (let i = 0; i < part.length; i += 1460) outgoing.push(part.subarray(i, i + 1460));
    };

    for (let n = 0; n < 60; n++) {
      if (!waiting.length && (!expected || client.text.length > client.base)) {
        if (expected) {
          board.runUntil(() => bodyOf({ text: client.text.slice(client.base) }).length >= expected.length, 3000);
          const got = bodyOf({ text: client.text.slice(client.base) });
          if (got !== expected) wrong.push([expected, got]);
          expected = '';
        }
        if (pick(2)) newRequest();
      }
      if (!outgoing.length && pick(2)) newMessage();
      if (waiting.length && pick(3)) client.send(waiting.shift());
      for (let k = pick(3); k-- && outgoing.length;) peer.send(outgoing.shift());
      board.run(pick(4) ? pick(6) / 2 : 20);
    }
    for (const piece of waiting) client.send(piece);
    board.run(5);
    for (const piece of outgoing) peer.send(piece);
    board.run(300);
    if (expected) {
      const got = bodyOf({ text: client.text.slice(client.base) });
      if (got !== expected) wrong.push([expected, got]);
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual(seen.messages, sent);
    assert.deepEqual(peer.messages, sent.map((message) => `<${message.slice(0, 20)}>`));
    assert.deepEqual(seen.codes, []);
    board.check();
  };

  for (const [name, how, rounds] of [['requests of one segment', { cut: false }, 300], ['requests in several segments', { cut: true }, 300]]) {
    test(`${name}: no byte is ever given to the wrong one, ${rounds} times`, () => {
      for (let round = 0; round < rounds; round++) {
        const random = seededRandom(SEED * 1000 + round);
        try {
          scene((count) => Math.floor(random() * count), how);
        } catch (error) {
          error.message = `SEED=${SEED}, round ${round}: ${error.message}`;
          throw error;
        }
      }
    });
  }
});

describe('a page with a socket is reloaded', () => {
  /** What a browser does for a page: two requests, then a socket; and what it does with the socket when the page goes. */
  const load = (board, n, { kept }) => {
    let client = kept && kept.state === 'open' && !kept.ended ? kept : connected(board);
    for (const path of [`/n/page${n}`, `/n/script${n}`]) {
      if (client.ended) client = connected(board);
      const before = client.text.length;
      client.send(get(path));
      board.runUntil(() => client.text.length > before || client.ended, 12000);
      if (client.ended && client.text.length === before) { // it was closed for idleness at that moment: a browser asks again
        client = connected(board);
        client.send(get(path));
        board.runUntil(() => client.text, 12000);
        assert.equal(bodyOf(client), `page ${path.slice(3)} `);
        continue;
      }
      board.run(2);
      assert.equal(client.text.slice(before).split('\r\n\r\n')[1], `page ${path.slice(3)} `);
    }
    return client;
  };
  const LEAVES = {
    'with a close frame, and waits': (peer) => peer.polite().close('03e9'),
    'with a close frame and FIN': (peer) => { peer.close('03e9'); peer.client.end(); },
    'with FIN': (peer) => peer.client.end(),
    'with a reset': (peer) => peer.client.reset(),
  };
  for (const [how, leave] of Object.entries(LEAVES)) {
    test(`100 times; it leaves ${how}`, () => {
      const set = setUp({ board: { passMicros: 1000 } });
      const { board, seen } = set;
      const random = seededRandom(SEED);
      const messages = [];
      let kept;
      for (let n = 0; n < 100; n++) {
        kept = load(board, n, { kept });
        let peer;
        for (let tries = 0; ; tries++) { // pages try again
          assert.ok(tries < 5, `load ${n}: no socket: ${peer?.client.text}`);
          peer = new Peer(board);
          board.runUntil(() => peer.answered || peer.client.state === 'closed', 16000);
          if (peer.status === '101') break;
          peer.client.end();
          board.run(500);
        }
        assert.equal(peer.client.text.slice(0, SWITCHED.length), SWITCHED);
        for (let m = 0; m < 3; m++) {
          peer.text(`${n}.${m}`);
          messages.push(`${n}.${m}`);
          board.run(Math.floor(random() * 10));
        }
        board.run(20);
        assert.deepEqual(peer.messages, [0, 1, 2].map((m) => `<${n}.${m}>`));
        leave(peer);
        board.run(Math.floor(random() * 3));
      }
      board.run(100);
      assert.deepEqual(seen.messages, messages);
      assert.equal(seen.codes.length, 100);
      assert.equal(seen.requests.length >= 200, true);
      board.check();
    });
  }
});

describe('whose bytes a segment has, by what cannot be otherwise', () => {
  const zeroMask = Buffer.alloc(4);

  test('the exact rest of a frame is its own, even where it reads like a line of the head that is half there', () => {
    const set = setUpOpen();
    const { board, peer } = set;
    const client = connected(board);
    const message = frame(TEXT, 'name: value\r\n', { mask: zeroMask });
    peer.send(message.subarray(0, 8));
    board.run(5);
    client.send('GET /n/1 HTTP/1.1\r\nhost: x\r\nx-a: ');
    board.run(5);
    peer.send(message.subarray(8));
    board.run(5);
    client.send('b\r\n\r\n');
    board.run(20);
    assert.equal(bodyOf(client), 'page 1 b');
    assertSocketWorks(set, ['name: value\r\n']);
  });

  test('a body of bytes that are no text and no frame is the request\'s, segment by segment', () => {
    const set = setUpOpen();
    const { board, peer } = set;
    const body = Buffer.from(Array.from({ length: 5000 }, (_, i) => 0xf0 | i * 7 & 15)); // reserved bits all along
    const client = connected(board);
    client.send(`POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n`);
    for (let at = 0; at < body.length; at += 1000) {
      board.run(5);
      client.send(body.subarray(at, at + 1000));
      peer.text(`at ${at}`);
    }
    board.run(50);
    assert.equal(hex(Buffer.from(bodyOf(client), 'latin1')), hex(body));
    assertSocketWorks(set, [0, 1000, 2000, 3000, 4000].map((at) => `at ${at}`));
  });

  test('more messages in one pass than may wait behind a request: none is missing before one that arrives, and the request is answered', () => {
    const { board, peer, seen } = setUpOpen();
    const client = connected(board);
    const sent = Array.from({ length: 40 }, (_, n) => `m${n}`);
    client.send(get('/n/1'));
    for (const message of sent) peer.text(message);
    board.run(100);
    assert.equal(bodyOf(client), 'page 1 ');
    assert.deepEqual(seen.messages, sent.slice(0, seen.messages.length));
    if (seen.messages.length < sent.length) assert.deepEqual(seen.codes, [1006]);
    board.check();
  });
});

test('what comes for a socket that has ended reaches no request', () => {
  const { board, peer, seen } = setUpOpen();
  const client = connected(board);
  client.send('GET /n/1 HTTP/1.1\r\n');
  board.run(5);
  seen.ws.sendClose(1000);
  for (let n = 0; n < 10; n++) {
    peer.send(frame(TEXT, 'late'));
    board.run(50);
  }
  client.send('host: x\r\n\r\n');
  board.run(50);
  assert.equal(bodyOf(client), 'page 1 ');
  assert.deepEqual(seen.messages, []);
  board.check();
});

for (const [what, data] of Object.entries({
  'the hello of TLS': Buffer.concat([bytes('1603010700010006fc0303'), Buffer.alloc(1700, 0xA5)]),
  'a request in lower case': Buffer.from('get / http/1.1\r\n\r\n'),
  'the greeting of SSH': Buffer.from('SSH-2.0-x\r\n'),
  'an unmasked frame': bytes('8103616263'),
})) {
  test(`a stranger who sends ${what} does not end the socket`, () => {
    const set = setUpOpen();
    const { board, peer } = set;
    peer.text('before');
    board.run(10);
    connected(board).send(data);
    board.run(3000);
    assertSocketWorks(set, ['before']);
  });
}

test('the socket keeps nobody out: with it open, five clients one after the other are served', () => {
  const set = setUpOpen();
  const { board } = set;
  const clients = [...'abcde'].map((name) => {
    const client = board.connect({ port: 80 });
    client.send(get(`/n/${name}`, 'connection: close\r\n'));
    board.run(100);
    return client;
  });
  board.run(8000);
  assert.deepEqual(clients.map(bodyOf), [...'abcde'].map((name) => `page ${name} `));
  assertSocketWorks(set, []);
});

test('answers on the same connection that fill the send buffer do not spoil the handshake behind them', () => {
  const { board, seen } = setUp();
  const client = board.connect({ port: 80, window: 0 });
  board.runUntil(() => client.state === 'open');
  client.pause();
  const body = 'x'.repeat(3800); // three answers leave no room for the 101
  client.send(post(body) + post(body) + post(body) + handshake());
  board.run(100);
  client.receiveWindow = 65535;
  client.resume();
  board.runUntil(() => client.text.endsWith(SWITCHED), 8000);
  client.send(frame(TEXT, 'm'));
  board.run(20);
  assert.deepEqual(seen.messages, ['m']);
  const other = connected(board);
  other.send(get('/n/other'));
  board.run(20);
  assert.equal(bodyOf(other), 'page other ');
  client.send(frame(TEXT, 'n'));
  board.run(20);
  assert.deepEqual(seen.messages, ['m', 'n']);
  board.check();
});

test('pings of the server go out, and their pongs come in, while pages are loaded', () => {
  const set = setUpOpen({ options: { pingSeconds: 1 }, board: { passMicros: 1000 } });
  const { board, peer } = set;
  peer.polite();
  for (let n = 0; n < 60; n++) {
    const client = connected(board);
    client.send(get(`/n/${n}`));
    board.run(190);
    assert.equal(bodyOf(client), `page ${n} `);
  }
  assert.ok(peer.frames.filter(({ opcode }) => opcode === PING).length >= 10);
  assertSocketWorks(set, []);
});

test('a message that looks like a request, behind its mask, is a message', () => {
  const set = setUpOpen();
  const { board, peer } = set;
  const client = connected(board);
  peer.text('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  peer.send(bytes('8185 00000000 474554202f'));
  board.run(20);
  assert.equal(client.text, '');
  assertSocketWorks(set, ['GET / HTTP/1.1\r\nhost: x\r\n\r\n', 'GET /']);
});
