// On stock firmware each port hears one connection at a time, and what comes to a port is that connection's. So three WebSockets on ports of
// their own and the pages go on side by side; and whatever a stranger sends, no handler sees a byte that its own client has not sent, and no
// client gets an answer that is not its own.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Board } from '../board/index.mjs';
import { seededRandom } from '../board/random.mjs';
import { BROWSER, loadLibrary, loadWebSocket, TURNED_AWAY } from '../support/serve.mjs';
import { BINARY, bytes, CLOSE, frame, handshake, hex, openPatiently, openPeer, Peer, PING, PONG, serveWebSocket, SWITCHED, TEXT } from '../support/websocket.mjs';

const SEED = Number(process.env.SEED) || 1;
const SOCKET_PORTS = [81, 82, 83];

/** A board whose sockets answer every message with "<message>", with pages beside them; `seen`: what came to handlers, that of sockets by query. */
function setUp({ options, port, board: boardOptions } = {}) {
  const seen = { sockets: {}, requests: [] };
  const set = serveWebSocket({
    firmware: 'stock',
    options,
    port,
    board: { passMicros: 500, ...boardOptions },
    handler: function* (path, headers, ws, query) {
      const socket = seen.sockets[query] = { ws, messages: [], codes: [] };
      ws.onclose = (code) => { socket.codes.push(code); };
      for (let message; (message = yield* ws.recv()) !== null;) {
        const text = typeof message === 'string' ? message : hex(message);
        socket.messages.push(text);
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
      server.route('/echo', 'POST', (path, query, headers, body) => noted(hex(body), body));
      server.route('/long', 'GET', () => noted('/long', 'x'.repeat(3800)));
      server.route('/big', 'GET', () => noted('/big', 'b'.repeat(50000)));
      server.route('/slow', 'GET', () => {
        let steps = 200;
        return { next: () => (steps-- ? { done: false } : { done: true, value: noted('/slow', 'slow') }) };
      });
    },
  });
  return { ...set, seen };
}

/** An open socket whose client remembers what it has sent. */
class Talker {
  constructor({ board, seen }, port, name = `at${port}`) {
    Object.assign(this, { board, port, sent: [] });
    this.peer = openPatiently(board, { port, path: `/ws?${name}` }).polite();
    board.run(2);
    this.seen = seen.sockets[name];
  }

  say(text) {
    this.sent.push(text);
    this.peer.text(text);
  }

  /** What its handler got is what it sent, and what it got is what its handler answered; and it is still open. */
  assertWell(what) {
    assert.deepEqual(this.seen.messages, this.sent, what);
    assert.deepEqual(this.peer.messages, this.sent.map((message) => `<${message.slice(0, 20)}>`), what);
    assert.deepEqual(this.seen.codes, [], what);
    assert.equal(this.peer.over, false, what);
  }
}

/** The same with sockets open. */
function setUpOpen({ ports = SOCKET_PORTS, ...setup } = {}) {
  const set = setUp(setup);
  const talkers = ports.map((port) => new Talker(set, port));
  return { ...set, talkers, say: (text) => talkers.forEach((talker) => talker.say(`${text} ${talker.port}`)) };
}

/** The sockets still work, and nothing strange came to them. */
function assertSocketsWork({ board, talkers, say }, what) {
  say('still');
  board.run(20);
  for (const talker of talkers) talker.assertWell(what);
  board.check();
}

const get = (path, headers = BROWSER) => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
const post = (body, headers = BROWSER) => `POST /echo HTTP/1.1\r\nhost: x\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;
const bodyOf = (client) => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);

function connected(board, port = 80) {
  const client = board.connect({ port, delay: 0.5 });
  board.runUntil(() => client.state === 'open', 12000);
  board.run(2);
  return client;
}

/** One that comes again when it is turned away, as it may be where others have reset their connections. */
function letIn(board, port) {
  for (;;) {
    const client = connected(board, port);
    if (!client.ended) return client;
    board.run(20);
  }
}

/** One for which there is no room: it is told so, or reset for what it sent meanwhile. */
const wasTurnedAway = (client) => (client.ended && client.text === TURNED_AWAY) || (client.wasReset && ['', TURNED_AWAY].includes(client.text));

describe('what a stranger sends is no message of anybody else\'s', () => {
  test('a masked text frame as its first bytes, while a socket is open', () => {
    const set = setUpOpen();
    const stranger = connected(set.board);
    stranger.send(frame(TEXT, 'evil'));
    set.board.run(50);
    assertSocketsWork(set);
  });

  test('a cross-site POST whose body is a masked frame, 20 ms behind its head', () => {
    const set = setUpOpen();
    const { board, seen } = set;
    const body = frame(TEXT, 'evil');
    const stranger = connected(board);
    stranger.send(`POST /echo HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\n${BROWSER}Content-Length: ${body.length}\r\n\r\n`);
    board.run(20);
    stranger.send(body);
    board.run(50);
    assert.equal(bodyOf(stranger), body.toString('latin1'));
    assert.deepEqual(seen.requests, [hex(body)]);
    assertSocketsWork(set);
  });

  const text = frame(TEXT, 'evil');
  const EVIL = {
    'a text frame': text,
    'a binary frame': frame(BINARY, 'evil'),
    'ten frames': Buffer.concat(Array(10).fill(text)),
    'a long frame': frame(BINARY, Buffer.alloc(5000, 'e')),
    'a ping': frame(PING, 'evil'),
    'a pong': frame(PONG, 'evil'),
    'a close frame': frame(CLOSE, bytes('03e8')),
    'the first fragment of a text': frame(TEXT, 'evil', { fin: false }),
    'a fragment': frame(0, 'evil', { fin: false }),
    'the last fragment': frame(0, 'evil'),
    'a frame without mask': bytes('8104 6576696c'),
    'one byte of a frame': text.subarray(0, 1),
    'the head of a frame': text.subarray(0, 6),
    'a frame but for a byte': text.subarray(0, -1),
    'the payload of a frame': text.subarray(6),
    'the last byte of a frame': text.subarray(-1),
  };
  const head = (length) => `POST /echo HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\n${BROWSER}Content-Length: ${length}\r\n\r\n`;
  const half = ({ length }) => Math.ceil(length / 2);
  /** What it sends, and after how many ms. `echoed`: what it asks for is the data. */
  const WAYS = {
    'as first bytes': { sends: (data) => [[0, data]] },
    'as first bytes, in two halves': { sends: (data) => [[0, data.subarray(0, half(data))], [5, data.subarray(half(data))]] },
    'as a body, 20 ms behind its head': { sends: (data) => [[0, head(data.length)], [20, data]], echoed: true },
    'as a body, with its head': { sends: (data) => [[0, Buffer.concat([Buffer.from(head(data.length)), data])]], echoed: true },
    'as a body, in two halves': { sends: (data) => [[0, head(data.length)], [5, data.subarray(0, half(data))], [5, data.subarray(half(data))]], echoed: true },
    'as more of a body than there is': { sends: (data) => [[0, head(3)], [5, 'abc'], [0, data]] },
    'behind half a head': { sends: (data) => [[0, 'GET /n/own HTTP/1.1\r\nx-a: '], [5, data]] },
    'behind a request': { sends: (data) => [[0, get('/n/own')], [0, data]] },
    'behind a request that is answered': { sends: (data) => [[0, get('/n/own')], [10, data]] },
    'behind a request whose answer takes its time': { sends: (data) => [[0, get('/slow')], [5, data]] },
    'behind a handshake that is refused': { sends: (data) => [[0, handshake({ path: '/ws?evil', Origin: 'http://evil.example' })], [10, data]] },
  };
  /** What the sockets' clients do before and after. */
  const MOMENTS = {
    'while the sockets are quiet': { before: () => {}, after: () => {} },
    'while the sockets talk': { before: (talker, n) => talker.say(`before ${n}`), after: (talker, n) => talker.say(`after ${n}`) },
    'in the midst of fragmented messages': {
      before: ({ peer }, n) => peer.send(frame(TEXT, `begun ${n}`, { fin: false })),
      after: ({ peer, sent }, n) => {
        peer.send(frame(0, ' ended'));
        sent.push(`begun ${n} ended`);
      },
    },
    'in the midst of half sent frames': {
      before: ({ peer }, n) => peer.send(frame(TEXT, `whole ${n}`).subarray(0, 9)),
      after: ({ peer, sent }, n) => {
        peer.send(frame(TEXT, `whole ${n}`).subarray(9));
        sent.push(`whole ${n}`);
      },
    },
  };
  /** Where the sockets are, and where the stranger comes. */
  const PLACES = [
    ...[80, 81, 82, 83].map((port) => ({ ports: SOCKET_PORTS, port })),
    { ports: [81, 83], port: 82 },
    { ports: [80], port: 80, options: { sockets: 0, reserve: 1 } }, // without the reserve the stranger would not even connect
  ];
  for (const { ports, port, options } of PLACES) {
    for (const [moment, { before, after }] of Object.entries(MOMENTS)) {
      test(`frames and parts of them, sent to port ${port} ${moment} (${ports.join(', ')})`, () => {
        const set = setUpOpen({ ports, options: { pingSeconds: 0, maxMessageBytes: 8192, ...options } }); // a pong would come in the midst of a frame; and all three begin long messages
        const { board, talkers, seen } = set;
        let n = 0;
        for (const [way, { sends, echoed }] of Object.entries(WAYS)) {
          for (const [what, data] of Object.entries(EVIL)) {
            const name = `${what}, ${way}`;
            talkers.forEach((talker) => before(talker, n));
            const stranger = ports.includes(port) ? connected(board, port) : letIn(board, port);
            seen.requests.length = 0;
            for (const [ms, piece] of sends(data)) {
              if (ms) board.run(ms);
              stranger.send(piece);
            }
            talkers.forEach((talker) => after(talker, n));
            board.run(15);
            talkers.forEach((talker) => talker.assertWell(name));
            if (ports.includes(port)) {
              assert.ok(wasTurnedAway(stranger), name);
              assert.deepEqual(seen.requests, [], name);
            } else if (echoed) {
              assert.equal(bodyOf(stranger), data.toString('latin1'), name);
              assert.deepEqual(seen.requests, [hex(data)], name);
            }
            assert.doesNotMatch(stranger.text, /begun|whole|before|after/, name);
            if (n++ % 2) stranger.reset();
            else stranger.end();
            board.run(10);
          }
        }
        assert.deepEqual(Object.keys(seen.sockets), ports.map((each) => `at${each}`));
        assertSocketsWork(set);
      });
    }
  }

  for (const [what, data] of Object.entries({
    'the hello of TLS': Buffer.concat([bytes('1603010700010006fc0303'), Buffer.alloc(1700, 0xA5)]),
    'a request in lower case': 'get / http/1.1\r\n\r\n',
    'the greeting of SSH': 'SSH-2.0-x\r\n',
  })) {
    test(`${what} to any port ends no socket`, () => {
      const set = setUpOpen();
      for (const port of [80, ...SOCKET_PORTS]) {
        connected(set.board, port).send(data);
        set.board.run(11000); // until it has had its time
      }
      assertSocketsWork(set);
    });
  }
});

describe('the ports', () => {
  const failure = (status, body) => `HTTP/1.1 ${status} \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;

  test('a handshake on the first one is told the others, 421', () => {
    for (const [port, sockets, body] of [[80, undefined, '81, 82, 83'], [80, 1, '81'], [80, 4, '81, 82, 83, 84'], [8080, 2, '8081, 8082']]) {
      const { board, seen } = setUp({ options: { sockets }, port });
      const peer = new Peer(board, { port });
      board.run(50);
      assert.equal(peer.client.text, failure(421, body));
      assert.deepEqual([peer.client.ended, peer.client.wasReset], [true, false]);
      assert.deepEqual(seen.sockets, {});
      new Talker({ board, seen }, port + 1).assertWell();
      board.check();
    }
  });

  test('sockets open on all that there are, and pages are served beside them', () => {
    for (const sockets of [1, 2, 3, 4]) {
      const set = setUpOpen({ ports: [81, 82, 83, 84].slice(0, sockets), options: { sockets } });
      const { board } = set;
      set.say('one');
      const page = connected(board);
      page.send(get('/'));
      board.run(20);
      assert.equal(bodyOf(page), 'home');
      assertSocketsWork(set);
      const beyond = board.connect({ port: 81 + sockets });
      board.run(100);
      assert.equal(beyond.wasReset, true, 'nobody listens there');
      board.check();
    }
  });

  test('with sockets: 0 a handshake on the first one is taken, and the port is that WebSocket\'s until it ends', () => {
    const set = setUpOpen({ ports: [80], options: { sockets: 0 } });
    const { board, talkers: [talker] } = set;
    const others = [
      [80, get('/')], [80, handshake()], [80, frame(TEXT, 'evil')],
    ].map(([port, data]) => board.connect({ port }).send(data));
    for (let n = 0; n < 10; n++) {
      talker.say(`m${n}`);
      board.run(500);
    }
    assert.deepEqual(others.map(({ text }) => text), ['', '', '']);
    for (const other of others) other.reset();
    talker.assertWell();
    talker.peer.close();
    board.runUntil(() => talker.peer.over);
    const page = connected(board);
    page.send(get('/', ''));
    board.run(20);
    assert.equal(bodyOf(page), 'home');
    board.run(100);
    new Talker(set, 80, 'again').assertWell();
    board.check();
  });

  test('with sockets: 0 it is taken on the connection that brought a page, too', () => {
    const { board, seen } = setUp({ options: { sockets: 0 } });
    const client = connected(board);
    client.send(get('/'));
    board.runUntil(() => bodyOf(client) === 'home');
    const before = client.text.length;
    client.send(handshake({ path: '/ws?same' }));
    board.runUntil(() => client.text.length > before);
    assert.equal(client.text.slice(before), SWITCHED);
    client.send(frame(TEXT, 'here'));
    board.run(5000);
    assert.equal(client.ended, false, 'it is not a kept connection any more');
    client.send(frame(TEXT, 'still'));
    board.run(5);
    assert.deepEqual(seen.sockets.same.messages, ['here', 'still']);
    board.check();
  });

  test('a page is kept for its browser on the first port only: the others stay free for WebSockets', () => {
    for (const port of [80, ...SOCKET_PORTS]) {
      const { board } = setUp();
      const client = connected(board, port);
      client.send(get('/'));
      board.runUntil(() => bodyOf(client) === 'home');
      assert.equal(client.text.includes('connection: close\r\n'), port !== 80, `port ${port}`);
      board.run(50);
      assert.equal(client.ended, port !== 80, `port ${port}`);
      board.check();
    }
  });

  test('bad values of the option sockets are refused, good ones are not', () => {
    const { extension: { WebSocketServer } } = setUp();
    for (const sockets of [-1, 5, 1.5, 100, NaN, Infinity, 'many']) {
      assert.throws(() => new WebSocketServer({ sockets }), (error) => error instanceof Error && /sockets/.test(error.message), String(sockets));
    }
    for (const sockets of [undefined, 0, 1, 2, 3, 4]) new WebSocketServer({ sockets });
  });

  const NEWCOMERS = {
    'says nothing': [], 'asks for a page': [get('/')], 'asks for a page twice': [get('/'), get('/')], 'wants a socket': [handshake({ path: '/ws?newcomer' })],
    'sends a frame': [frame(TEXT, 'evil')], 'sends a lot': ['x'.repeat(20000)],
  };
  for (const [what, data] of Object.entries(NEWCOMERS)) {
    test(`a newcomer on the port of an open socket that ${what} is turned away, and the socket goes on`, () => {
      const set = setUpOpen();
      const { board, seen } = set;
      for (const port of SOCKET_PORTS) {
        for (const pause of [0, 10]) { // with its acknowledgement of the SYN, or later
          const client = board.connect({ port, delay: 0.5 });
          set.say(`before ${pause}`);
          if (!pause) for (const piece of data) client.send(piece);
          board.runUntil(() => client.state !== 'connecting', 3000);
          if (pause) {
            board.run(pause);
            for (const piece of data) client.send(piece);
          }
          set.say(`after ${pause}`);
          board.run(30);
          assert.ok(wasTurnedAway(client), `port ${port}, ${pause} ms later: ${client.state} ${client.text}`);
          assert.equal(client.wasReset, data.length > 0 && !pause, 'FIN, or RST for what nobody reads');
          if (!client.wasReset) assert.equal(client.text, TURNED_AWAY);
          client.reset();
          board.run(50);
        }
      }
      assert.deepEqual(seen.requests, []);
      assert.deepEqual(Object.keys(seen.sockets), SOCKET_PORTS.map((port) => `at${port}`));
      assertSocketsWork(set);
    });
  }

  test('a thousand newcomers, one after the other, do not end the socket, nor keep pages out', () => {
    const set = setUpOpen({ board: { passMicros: 1000 } });
    const { board } = set;
    for (let n = 0; n < 1000; n++) {
      const client = board.connect({ port: SOCKET_PORTS[n % 3], delay: 0.5, autoClose: n !== 10 });
      if (n % 2) client.send(handshake());
      board.run(20);
      if (n % 50 === 49) {
        const page = connected(board);
        page.send(get('/', ''));
        board.run(30);
        assert.equal(bodyOf(page), 'home');
        set.say(`m${n}`);
      }
    }
    board.run(100);
    assertSocketsWork(set);
  });

  test('the port of a socket that has ended is the next one\'s', () => {
    const set = setUp();
    const { board } = set;
    const leaves = [(peer) => peer.close(), (peer) => peer.client.end(), (peer) => peer.client.reset(), (peer) => peer.send('ffff')];
    for (let n = 0; n < 40; n++) {
      const talker = new Talker(set, 82, `n${n}`);
      talker.say(`m${n}`);
      board.run(20);
      talker.assertWell(`round ${n}`);
      leaves[n % 4](talker.peer);
      board.runUntil(() => talker.peer.over || talker.peer.client.state === 'closed');
      board.run(300);
    }
    board.check();
  });

  test('start() says which port it cannot have, and why, and closes again what it has opened', () => {
    const board = new Board();
    const library = loadLibrary(board);
    const { WebSocketServer } = loadWebSocket(board, library);
    const start = () => new WebSocketServer().start(80);
    for (const taken of [80, 81, 82, 83]) {
      const other = new library.Server();
      other.start(taken);
      assert.throws(start, new RegExp(`^Error: Port ${taken}: in use$`));
      assert.equal(board.vitals().fds, 1, 'the other one\'s');
      other.close();
    }
    for (let left = 0; left < 4; left++) {
      const program = Array.from({ length: 16 - left }, () => board.netdev.socket('AF_INET', 'STREAM'));
      assert.throws(start, new RegExp(`^Error: Port ${80 + left}: .*no socket is left$`));
      assert.equal(board.vitals().fds, 16 - left);
      for (const fd of program) board.netdev.close(fd);
    }
    // And then it can have them all.
    const server = new WebSocketServer();
    server.route('/ws', 'WEBSOCKET', (path, headers, ws) => { ws.onmessage = (message) => { ws.send(message); }; }).listen(80);
    board.run(5);
    const peers = SOCKET_PORTS.map((port) => openPeer(board, { port }).text(`at${port}`));
    board.run(20);
    assert.deepEqual(peers.map(({ messages }) => messages), [['at81'], ['at82'], ['at83']]);
    board.check();
  });

  test('close() ends the sockets on all ports, and every port can be listened on again', () => {
    const { board, library, server, talkers } = setUpOpen();
    server.close();
    board.run(50);
    assert.deepEqual(talkers.map(({ peer, seen }) => [peer.over, seen.codes]), Array(3).fill([true, [1006]]));
    assert.equal(board.vitals().fds, 0);
    board.run(125000); // lwIP: not while a connection of that port is in TIME_WAIT
    for (const port of [80, ...SOCKET_PORTS]) new library.Server().route('/', 'GET', () => 'again').listen(port);
    const client = connected(board, 83);
    client.send(get('/', ''));
    board.run(20);
    assert.equal(bodyOf(client), 'again');
    board.check();
  });

  test('two servers with sockets beside each other: each has its own', () => {
    const { board, extension } = setUp({ options: { sockets: 1 } });
    const seen = [];
    const other = new extension.WebSocketServer({ sockets: 1 });
    other.route('/ws', 'WEBSOCKET', function* (path, headers, ws) { seen.push(yield* ws.recv()); ws.send('of the other'); yield* ws.recv(); });
    other.listen(90);
    board.run(5);
    const [first, second] = [81, 91].map((port) => openPeer(board, { port, path: port === 81 ? '/ws?first' : '/ws' }));
    first.text('to the first');
    second.text('to the second');
    board.run(20);
    assert.deepEqual(seen, ['to the second']);
    assert.deepEqual([first.messages, second.messages], [['<to the first>'], ['of the other']]);
    board.check();
  });
});

describe('pages beside the sockets', () => {
  test('each request is answered while sockets are open, and each message reaches its own', () => {
    const set = setUpOpen();
    const { board } = set;
    for (let n = 0; n < 50; n++) {
      const client = connected(board);
      set.say(`before ${n}`);
      client.send(get(`/n/${n}`, n % 2 ? '' : BROWSER));
      set.say(`after ${n}`);
      board.run(20);
      assert.equal(bodyOf(client), `page ${n} `);
      set.say(`between ${n}`);
      board.run(5);
      client.end();
      board.run(10);
    }
    assertSocketsWork(set);
  });

  test('messages between the requests of a kept connection', () => {
    const set = setUpOpen({ ports: [81, 83] });
    const { board } = set;
    const client = connected(board);
    for (let n = 0; n < 30; n++) {
      const before = client.text.length;
      client.send(get(`/n/${n}`, `x-a: ${'a'.repeat(n)}\r\n${BROWSER}`));
      board.run(n % 8);
      set.say(`m${n}`);
      board.run(20);
      assert.equal(client.text.slice(before).split('\r\n\r\n')[1], `page ${n} ${'a'.repeat(n)}`);
    }
    assertSocketsWork(set);
  });

  test('a request and messages in the same pass, in both orders', () => {
    for (const order of [0, 1]) {
      const set = setUpOpen();
      const { board } = set;
      const client = connected(board);
      const send = [() => client.send(get('/n/1')), () => set.say('m')];
      send[order]();
      send[1 - order]();
      board.run(20);
      assert.equal(bodyOf(client), 'page 1 ');
      assertSocketsWork(set);
    }
  });

  test('a request, and other sockets\' messages, between the segments of long messages', () => {
    for (const gap of [0, 2, 5]) {
      const set = setUpOpen();
      const { board, talkers } = set;
      const client = connected(board);
      const long = talkers.map((_, n) => frame(BINARY, Buffer.alloc(4000, n)));
      talkers.forEach(({ peer, sent }, n) => {
        peer.send(long[n].subarray(0, 1460));
        sent.push(`0${n}`.repeat(4000));
        board.run(gap);
      });
      client.send(get('/n/1'));
      board.run(gap);
      talkers.forEach(({ peer }, n) => peer.send(long[n].subarray(1460)));
      board.run(30);
      assert.equal(bodyOf(client), 'page 1 ', `gap ${gap}`);
      assertSocketsWork(set);
    }
  });

  test('a request, head and body, cut at every point, with messages at the cut', () => {
    for (const [request, expected] of [[get('/n/1', `x-a: b c\r\n${BROWSER}`), 'page 1 b c'], [post('name=value&other=1'), 'name=value&other=1']]) {
      const set = setUpOpen({ ports: [82] });
      const { board } = set;
      for (let at = 1; at < request.length; at++) {
        const client = connected(board);
        client.send(request.slice(0, at));
        board.run(3);
        set.say(`cut at ${at}`);
        board.run(3);
        client.send(request.slice(at));
        board.run(20);
        assert.equal(bodyOf(client), expected, `cut at ${at}`);
        client.end();
        board.run(10);
      }
      assertSocketsWork(set);
    }
  });

  test('messages while the answer of a slow handler, or of a long page, is on its way', () => {
    for (const [path, body] of [['/slow', 'slow'], ['/big', 'b'.repeat(50000)]]) {
      const set = setUpOpen();
      const { board } = set;
      const client = connected(board);
      client.send(get(path));
      for (let n = 0; bodyOf(client) !== body && n < 300; n++) {
        set.say(`m${n}`);
        board.run(1);
      }
      assert.equal(bodyOf(client), body);
      board.run(20);
      assertSocketsWork(set);
    }
  });

  test('a download, a slow page and a third client beside two sockets', () => {
    const set = setUpOpen({ ports: [81, 83] });
    const { board } = set;
    const big = board.connect({ port: 80, window: 2000 });
    big.send(get('/big'));
    board.runUntil(() => big.text, 12000);
    big.pause();
    const slow = connected(board);
    slow.send(get('/slow'));
    board.run(10);
    const third = connected(board);
    third.send(get('/n/3'));
    set.say('m');
    board.run(20);
    assert.equal(bodyOf(third), 'page 3 ');
    big.resume();
    board.run(3000);
    assert.equal(bodyOf(big).length, 50000);
    assert.equal(bodyOf(slow), 'slow');
    assertSocketsWork(set);
  });

  test('a client that connects and is silent, on any port, disturbs nobody, and the next one is served', () => {
    for (const port of [80, 82]) {
      const set = setUpOpen({ ports: [81, 83] });
      const { board } = set;
      const silent = connected(board, port);
      for (let n = 0; n < 60; n++) {
        set.say(`m${n}`);
        board.run(10);
      }
      assert.equal(silent.text, '');
      assert.equal(silent.ended, true);
      const client = connected(board);
      client.send(get('/'));
      board.run(20);
      assert.equal(bodyOf(client), 'home');
      assertSocketsWork(set);
    }
  });

  test('a client that is reset, or leaves, in the midst of its request takes nothing with it', () => {
    for (const leave of ['end', 'reset']) {
      const set = setUpOpen();
      const { board } = set;
      for (let n = 0; n < 5; n++) {
        const client = connected(board);
        client.send('GET /n/1 HTTP/1.1\r\nhos');
        board.run(5);
        client[leave]();
        board.run(5);
        set.say(`m${n}`);
        board.run(10);
        const next = connected(board);
        next.send(get('/n/next', ''));
        board.run(20);
        assert.equal(bodyOf(next), 'page next ', leave);
      }
      assertSocketsWork(set);
    }
  });

  test('a bad request, and what its client still sends, costs no socket a message', () => {
    const set = setUpOpen();
    const { board } = set;
    const client = connected(board);
    client.send('NONSENSE /\r\n\r\n');
    for (let n = 0; n < 30; n++) {
      set.say(`m${n}`);
      board.run(10);
      if (n < 10) client.send('and more');
    }
    assert.match(client.text, /^HTTP\/1.1 400 /);
    board.run(200);
    assert.equal(client.ended, true);
    assertSocketsWork(set);
  });

  test('a client that never finishes its request keeps no message from a socket', () => {
    const set = setUpOpen({ board: { passMicros: 1000 } });
    const { board } = set;
    const client = connected(board);
    client.send('GET /n/1 HTTP/1.1\r\n');
    for (let n = 0; n < 24; n++) {
      board.run(500);
      set.say(`m${n}`);
    }
    assert.match(client.text, /^HTTP\/1.1 408 /);
    board.run(20);
    assertSocketsWork(set);
  });

  test('sockets may be open for long, and each page is served at once', () => {
    const set = setUpOpen({ board: { passMicros: 1000 } });
    const { board } = set;
    for (let n = 0; n < 40; n++) {
      board.run(3000);
      const since = board.now;
      const client = connected(board);
      client.send(get('/'));
      board.runUntil(() => bodyOf(client) === 'home');
      assert.ok(board.now - since < 50, `${board.now - since} ms`);
      set.say(`m${n}`);
    }
    board.run(20);
    assertSocketsWork(set);
  });

  test('sockets keep nobody out: with three open, five clients one after the other are served', () => {
    const set = setUpOpen();
    const { board } = set;
    const clients = [...'abcde'].map((name) => {
      const client = board.connect({ port: 80 });
      client.send(get(`/n/${name}`, ''));
      board.run(100);
      return client;
    });
    board.run(8000);
    assert.deepEqual(clients.map(bodyOf), [...'abcde'].map((name) => `page ${name} `));
    assertSocketsWork(set);
  });

  test('pings of the server go out, and their pongs come in, while pages are loaded', () => {
    const set = setUpOpen({ options: { pingSeconds: 1 }, board: { passMicros: 1000 } });
    const { board, talkers } = set;
    for (let n = 0; n < 60; n++) {
      const client = connected(board);
      client.send(get(`/n/${n}`));
      board.run(190);
      assert.equal(bodyOf(client), `page ${n} `);
    }
    for (const { peer } of talkers) assert.ok(peer.frames.filter(({ opcode }) => opcode === PING).length >= 10);
    assertSocketsWork(set);
  });

  test('messages that look like requests, behind their masks or without, are messages, and a page that waits for its end is not theirs', () => {
    const set = setUpOpen();
    const { board, talkers } = set;
    const client = connected(board);
    client.send(get('/n/1').slice(0, 30));
    set.say(get('/n/evil'));
    for (const { peer, sent } of talkers) {
      peer.send(bytes('8185 00000000 474554202f'));
      sent.push('GET /');
    }
    board.run(20);
    assert.equal(client.text, '');
    client.send(get('/n/1').slice(30));
    board.run(20);
    assert.equal(bodyOf(client), 'page 1 ');
    assertSocketsWork(set);
  });

  test('what comes for a socket that has ended reaches no request, and its port is free again', () => {
    const set = setUp();
    const { board, seen } = set;
    const talker = new Talker(set, 81);
    const client = connected(board);
    client.send('GET /n/1 HTTP/1.1\r\n');
    board.run(5);
    talker.seen.ws.sendClose(1000);
    for (let n = 0; n < 10; n++) {
      talker.peer.text('late');
      board.run(50);
    }
    client.send('host: x\r\n\r\n');
    board.run(50);
    assert.equal(bodyOf(client), 'page 1 ');
    assert.deepEqual(seen.sockets.at81.messages, []);
    board.run(2500);
    new Talker(set, 81, 'next').assertWell();
    board.check();
  });

  test('answers on the same connection that fill the send buffer do not spoil the handshake behind them', () => {
    const { board, seen } = setUp({ options: { sockets: 0 } });
    const client = board.connect({ port: 80, window: 0 });
    board.runUntil(() => client.state === 'open');
    client.pause();
    client.send(get('/long').repeat(3) + handshake({ path: '/ws?late' })); // three answers leave no room for the 101
    board.run(100);
    client.receiveWindow = 65535;
    client.resume();
    board.runUntil(() => client.text.endsWith(SWITCHED), 8000);
    client.send(frame(TEXT, 'm'));
    board.run(20);
    assert.deepEqual(seen.sockets.late.messages, ['m']);
    client.send(frame(TEXT, 'n'));
    board.run(20);
    assert.deepEqual(seen.sockets.late.messages, ['m', 'n']);
    board.check();
  });
});

describe('a page with a socket is reloaded, beside two sockets that talk', () => {
  /** What a browser does for a page: two requests, down one connection if it may. */
  const load = (board, n, kept) => {
    let client = kept && kept.state === 'open' && !kept.ended ? kept : connected(board);
    for (const path of [`/n/page${n}`, `/n/script${n}`]) {
      if (client.ended) client = connected(board);
      const before = client.text.length;
      client.send(get(path));
      board.runUntil(() => client.text.length > before || client.ended || client.wasReset, 12000);
      if (client.text.length === before) { // it was closed for idleness at that moment: a browser asks again
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

  /** Its socket, as the page's script opens it: one port after the other, until one is free. */
  const open = (board, n, first) => {
    for (let tries = 0; tries < 12; tries++) {
      const peer = new Peer(board, { port: SOCKET_PORTS[(first + tries) % 3], path: `/ws?load${n}` });
      board.runUntil(() => peer.answered || peer.over || peer.client.state === 'closed', 16000);
      if (peer.status === '101') return peer;
      assert.ok(['', TURNED_AWAY].includes(peer.client.text));
      peer.client.end();
      board.run(200);
    }
    return assert.fail(`load${n}: no socket`);
  };

  const LEAVES = {
    'with a close frame, and waits': (peer) => peer.polite().close('03e9'),
    'with a close frame and FIN': (peer) => { peer.close('03e9'); peer.client.end(); },
    'with FIN': (peer) => peer.client.end(),
    'with a reset': (peer) => peer.client.reset(),
  };
  for (const [how, leave] of Object.entries(LEAVES)) {
    test(`100 times; it leaves ${how}`, () => {
      const set = setUpOpen({ ports: [81, 82], board: { passMicros: 1000 } });
      const { board, seen } = set;
      const random = seededRandom(SEED);
      let kept;
      for (let n = 0; n < 100; n++) {
        kept = load(board, n, kept);
        set.say(`page ${n}`);
        const peer = open(board, n, Math.floor(random() * 3));
        assert.equal(peer.client.text.slice(0, SWITCHED.length), SWITCHED);
        for (let m = 0; m < 3; m++) {
          peer.text(`${n}.${m}`);
          set.say(`${n}, ${m}`);
          board.run(Math.floor(random() * 10));
        }
        board.run(20);
        assert.deepEqual(peer.messages, [0, 1, 2].map((m) => `<${n}.${m}>`));
        leave(peer);
        board.run(Math.floor(random() * 3));
        assert.deepEqual(seen.sockets[`load${n}`].messages, [0, 1, 2].map((m) => `${n}.${m}`));
      }
      board.run(100);
      for (let n = 0; n < 100; n++) assert.equal(seen.sockets[`load${n}`].codes.length, 1);
      assert.equal(seen.requests.length >= 200, true);
      assertSocketsWork(set);
    });
  }
});

test('a server has 0 to 4 ports for sockets; any other number is an error', () => {
  const { extension } = serveWebSocket({ firmware: 'stock' });
  for (const sockets of [12, 5, -1, 1.5, '2', null, NaN]) {
    assert.throws(() => new extension.WebSocketServer({ sockets }), /^Error: sockets: 0 to 4$/, String(sockets));
  }
  for (const sockets of [0, 4, undefined]) new extension.WebSocketServer({ sockets });
});
