// What clients in the field send, from public reports about servers of this kind, in literal bytes on both firmwares: what can become no
// request, connections that say nothing or are kept for later, rare forms of requests, too much at once, half an end.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deliveries, exchange, FIRMWARES, serve } from '../support/serve.mjs';

/** How browsers name themselves: on stock firmware their connections are kept. */
const BROWSER = 'user-agent: Mozilla/5.0 (X11; Linux x86_64)\r\n';
const CLOSE = 'connection: close\r\n';
const TEXT = 'content-type: text/plain; charset=utf-8\r\n';

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: board.local\r\n${headers}\r\n`;
const answer = (status, body, { headers = '', close = CLOSE } = {}) => `HTTP/1.1 ${status} \r\n${headers}${TEXT}content-length: ${body.length}\r\n${close}\r\n${body}`;
const ok = (body) => answer(200, body);
const error = (status, headers) => answer(status, String(status), { headers });
const bodyOf = (client) => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);

const LONG = Array.from({ length: 3000 }, (_, i) => `line ${i}\n`).join(''); // three times what the board's send buffer holds

function routes(server, { Response }) {
  server.route('/', 'GET', () => 'hello');
  server.route('/query', 'GET', (path, query) => `${path}?${query}`);
  server.route('/cookie', 'GET', (path, query, headers) => headers.cookie);
  server.route('/length', 'POST', (path, query, headers, body) => String(body.length));
  server.route('/long', 'GET', () => LONG);
  server.route('/late', 'GET', function* () { for (let i = 0; i < 50; i++) yield; return 'late'; });
  server.route('/stream', 'GET', () => new Response({ next: () => ({ done: false, value: 'piece ' }) }));
}

const setUp = (firmware, board) => serve({ firmware, routes, board: { passMicros: 1000, ...board } }).board;

function connected(board, options) {
  const client = board.connect({ port: 80, delay: 0.5, ...options });
  board.runUntil(() => client.state === 'open');
  return client;
}

/** On routed firmware everybody is heard at the same time from the first byte on that somebody has sent. */
function prove(board) {
  connected(board).send(get('/'));
  board.run(400);
}

/** A client that comes now and asks for something short; returns how many milliseconds it waited. */
function waitOf(board, ms = 15000) {
  const client = board.connect({ port: 80, delay: 0.5 });
  const since = board.now;
  client.send(get('/'));
  board.runUntil(() => client.text === ok('hello'), ms);
  return board.now - since;
}

/** A client whose SYN is dropped repeats it after a second, which is the first moment at which it can be let in. */
const ONE_RETRY = 1000 + 50;

// ---- what can become no request

/** [what it is, what comes]. Each is refused with its last byte, and not before. */
const NO_REQUESTS = [
  ['mail', 'EHLO me\r\n'],
  ['HTTP/0.9', 'GET /\r\n'],
  ['SSH', 'SSH-2.0-OpenSSH_9.2p1\r\n'],
  ['RTSP', 'OPTIONS rtsp://board/live RTSP/1.0\r\n'],
  ['SIP', 'OPTIONS sip:me SIP/2.0\r\n'],
  ['Redis', '*1\r\n'],
  ['a line of text', 'hello\r\n'],
  ['a line of text that ends with a line feed only', 'hello\n'],
  ['a request behind a space', ' '],
  ['a byte above 127', '\xff'],
  ['a byte of 0', '\0'],
  ['TLS', '\x16'],
  ['JSON', '{'],
  ['a policy file request of Flash', '<'],
];

for (const firmware of FIRMWARES) {
  describe(`${firmware}: bytes that can become no request are refused as soon as that is certain`, () => {
    for (const [name, bytes] of NO_REQUESTS) {
      for (const pieces of bytes.length > 1 ? [[bytes], [...bytes]] : [[bytes]]) {
        test(`${name}${pieces.length > 1 ? ', byte by byte' : ''}`, () => {
          const board = setUp(firmware);
          const client = connected(board, { autoClose: false });
          for (const piece of pieces) {
            assert.equal(client.text, '');
            client.send(piece);
            board.run(20);
          }
          assert.equal(client.text, error(400));
          board.runUntil(() => client.ended, 300); // a quarter of a second in which it sends nothing more
          assert.equal(client.wasReset, false);
          board.check();
        });
      }
    }

    test('eight bytes above 127, byte by byte: the answer follows the first, the others are discarded', () => {
      const board = setUp(firmware);
      const client = connected(board, { autoClose: false });
      for (const byte of '\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8') {
        client.send(byte);
        board.run(20);
        assert.equal(client.text, error(400));
      }
      board.runUntil(() => client.ended, 300);
      assert.equal(client.wasReset, false);
      board.check();
    });

    for (const [name, bytes] of [['mail', 'EHLO me\r\n'], ['HTTP/0.9', 'GET /\r\n'], ['SSH', 'SSH-2.0-x\r\n'], ['eight bytes above 127', '\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8']]) {
      test(`${name}, and the client stays: whoever comes next is served within a second`, () => {
        for (const later of [0, 10, 100, 260, 600]) {
          const board = setUp(firmware);
          const client = connected(board, { autoClose: false }).send(bytes);
          board.run(later);
          const wait = waitOf(board);
          assert.ok(wait < (firmware === 'routed' || later === 600 ? 20 : ONE_RETRY), `${wait} ms, ${later} ms later`);
          assert.equal(client.text, error(400));
          board.check();
        }
      });
    }
  });
}

// ---- connections without requests

describe('routed: five connections that say nothing', () => {
  const five = (board, options) => Array.from({ length: 5 }, () => {
    const client = connected(board, options);
    board.run(10);
    return client;
  });

  test('keep the sixth client out for a second at most: the one that has been silent longest gives way', () => {
    for (const delay of [0.5, 20]) {
      for (const later of [0, 300, 440, 600, 2000, 5000]) {
        const board = setUp('routed');
        prove(board);
        const silent = five(board, { delay });
        board.run(later);
        const wait = waitOf(board);
        assert.ok(wait < (later < 600 ? ONE_RETRY : 20), `${wait} ms, ${later} ms later`);
        board.run(50); // the sixth was the fifth again: so the next one has given way, too, and the seventh will not have to wait
        assert.deepEqual(silent.map(({ ended }) => ended), [true, true, false, false, false]);
        assert.deepEqual(silent.map(({ text, wasReset }) => text + wasReset), Array(5).fill('false'));
        board.check();
      }
    }
  });

  test('and ten clients after them, one by one, are served within a second each', () => {
    const board = setUp('routed');
    prove(board);
    five(board);
    const waits = Array.from({ length: 10 }, () => waitOf(board));
    assert.ok(Math.max(...waits) < ONE_RETRY, `${waits} ms`);
    board.check();
  });

  test('none gives way that has sent a byte, or while there is room', () => {
    const board = setUp('routed');
    prove(board);
    const slow = connected(board).send('G');
    const silent = Array.from({ length: 3 }, () => connected(board));
    board.run(5000);
    assert.deepEqual(silent.map(({ ended }) => ended), [false, false, false]);
    silent.push(connected(board)); // the fifth
    board.run(50);
    assert.deepEqual([slow, ...silent].map(({ ended }) => ended), [false, true, false, false, false]);
    slow.send(get('/').slice(1));
    board.run(20);
    assert.equal(slow.text, ok('hello'));
    board.check();
  });

  test('one of them that sends its request in that half second is answered', () => {
    const board = setUp('routed');
    prove(board);
    const [first] = five(board);
    board.run(440);
    first.send(get('/'));
    board.run(20);
    assert.equal(first.text, ok('hello'));
    board.check();
  });
});

/** A pool of connections: it keeps what it is not told to close, and does not look at a connection before it uses it again. */
function pool(board, headers) {
  const client = board.connect({ port: 80, delay: 0.5, autoClose: false });
  client.onData = () => {
    if (bodyOf(client) === 'hello' && client.text.includes(CLOSE)) client.end();
  };
  return client.send(get('/', headers));
}

for (const [who, headers] of [['a program', 'user-agent: python-requests/2.28.1\r\nconnection: keep-alive\r\n'], ['a browser', BROWSER]]) {
  for (const firmware of FIRMWARES) {
    test(`${firmware}: five pools of ${who} have done one GET each and keep their connections: the sixth client is served within a second`, () => {
      for (const pause of [0, 100, 300, 1000]) {
        for (const later of [0, 200, 400, 1000, 5000]) {
          const board = setUp(firmware);
          const pools = Array.from({ length: 5 }, () => {
            const client = pool(board, headers);
            board.runUntil(() => bodyOf(client) === 'hello', ONE_RETRY);
            board.run(pause);
            return client;
          });
          board.run(later);
          const wait = waitOf(board);
          assert.ok(wait < ONE_RETRY, `${wait} ms; ${pause} ms between them, ${later} ms later`);
          assert.equal(pools.some(({ wasReset }) => wasReset), false);
          board.check();
        }
      }
    });
  }
}

// ---- rare forms

const allow = (methods) => `allow: ${methods}\r\n`;
const absolute = (target) => `GET ${target} HTTP/1.1\r\nhost: board.local\r\n\r\n`;
const expecting = (method, path) => `${method} ${path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n`;

/** [what it is, the request, all that comes back]. */
const FORMS = [
  ['an absolute target', absolute('http://board.local/'), ok('hello')],
  ['one without a path', absolute('http://board.local'), ok('hello')],
  ['one without a path, with a port', absolute('http://board.local:8080'), ok('hello')],
  ['one without a path, with a query', absolute('http://board.local?x=1'), ok('hello')],
  ['one with path and query', absolute('http://board.local/query?x=1'), ok('/query?x=1')],
  ['one with the scheme in capitals', absolute('HTTP://board.local/query?x=1'), ok('/query?x=1')],
  ['one with the scheme in both', absolute('Http://board.local'), ok('hello')],
  ['one without a host', absolute('http://'), error(400)],
  ['one with a path only', absolute('http:///'), error(400)],
  ['a query without a path', absolute('?x=1'), error(400)],
  ['no target', absolute(''), error(400)],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n', error(501)],
  ['CONNECT of HTTP/1.0', 'CONNECT a:443 HTTP/1.0\r\n\r\n', error(501)],
  ['cookies on two lines', get('/cookie', 'cookie: a=1\r\ncookie: session=2\r\n'), ok('a=1; session=2')],
  ['cookies on three lines, in any case', get('/cookie', 'Cookie: a=1\r\naccept: b\r\ncookie: c=2; d=3\r\nCOOKIE: e=4\r\n'), ok('a=1; c=2; d=3; e=4')],
  ['100-continue to an unknown path', expecting('POST', '/nowhere'), error(404)],
  ['100-continue with another method', expecting('PUT', '/length'), error(405, allow('POST'))],
  ['100-continue to a path that is there', expecting('POST', '/length') + '12345', `HTTP/1.1 100 Continue\r\n\r\n${ok('5')}`],
  ['100-continue in capitals', expecting('POST', '/length').replace('100-c', '100-C') + '12345', `HTTP/1.1 100 Continue\r\n\r\n${ok('5')}`],
  ['100-continue of HTTP/1.0, which does not know it', expecting('POST', '/length').replace('1.1', '1.0') + '12345', ok('5')],
  ['100-continue without a body', get('/', 'expect: 100-continue\r\n'), ok('hello')],
  ['a body without a route is not waited for', expecting('POST', '/nowhere').replace('expect: 100-continue\r\n', ''), error(404)],
  ['nor one with another method', expecting('PUT', '/length').replace('expect: 100-continue\r\n', ''), error(405, allow('POST'))],
];

for (const firmware of FIRMWARES) {
  for (const [name, request, expected] of FORMS) {
    test(`${firmware}: ${name}`, () => {
      for (const { how, pieces } of deliveries(request)) {
        const { board } = serve({ firmware, routes });
        const client = exchange(board, pieces, expected.length);
        assert.equal(client.text, expected, how);
        assert.equal(client.wasReset, false, how);
        board.check();
      }
    });
  }

  test(`${firmware}: a client that sends its body all the same, a second after it was told 404, has lost nothing by it`, () => {
    const board = setUp(firmware);
    const client = connected(board);
    client.send(expecting('POST', '/nowhere'));
    board.run(200);
    client.send('12345');
    board.run(20);
    assert.deepEqual([client.text, client.wasReset], [error(404), false]);
    board.runUntil(() => client.ended, 300);
    assert.equal(client.wasReset, false);
    board.check();
  });
}

for (const [value, kept] of [['not-closed', true], ['closed', true], ['keep-alive', true], ['x-close, foo', true], ['close', false], ['Keep-Alive, Close', false], ['close,foo', false]]) {
  test(`stock: connection: ${value} ${kept ? 'keeps' : 'ends'} a browser's connection`, () => {
    const board = setUp('stock');
    const client = connected(board);
    client.send(get('/', `${BROWSER}connection: ${value}\r\n`));
    board.run(50);
    const first = answer(200, 'hello', { close: kept ? '' : CLOSE });
    assert.deepEqual([client.text, client.ended], [first, !kept]);
    if (kept) {
      client.send(get('/query?2', `${BROWSER}${CLOSE}`));
      board.run(50);
      assert.equal(client.text, first + ok('/query?2'));
    }
    board.check();
  });
}

// ---- too much at once

const line = (length) => 'x'.repeat(length);
/** [what it is, what is sent at once, the status]. */
const FLOODS = [
  ['a request line of 200 KB', `GET /${line(200000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 414],
  ['200 KB without an end of a line', line(200000), 414],
  ['a header of 200 KB', get('/', `a: ${line(200000)}\r\n`), 431],
  ['200 KB of headers of 1 KB', get('/', `a: ${line(1000)}\r\n`.repeat(200)), 431],
  ['200 KB of short headers', get('/', 'name: value\r\n'.repeat(15000)), 431],
  ['a body of 300 KB', `POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n${line(300000)}`, 413],
  ['a body of 300 KB to an unknown path', `POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n${line(300000)}`, 413],
  ['a body of 16 KB to an unknown path', `POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 16000\r\n\r\n${line(16000)}`, 404],
  ['a body of 300 KB in chunks', `POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${`400\r\n${line(1024)}\r\n`.repeat(300)}0\r\n\r\n`, 501],
];

for (const firmware of FIRMWARES) {
  for (const [name, bytes, status] of FLOODS) {
    test(`${firmware}: ${name}, all at once: ${status} arrives whole, and there is no reset`, () => {
      for (const [delay, passMicros, mergedReads] of [[0.5, 100, false], [0.5, 1000, false], [0.5, 5000, true], [5, 1000, false], [20, 1000, true]]) {
        const board = setUp(firmware, { passMicros, mergedReads });
        const client = connected(board, { delay });
        const how = `delay ${delay}, pass ${passMicros}`;
        client.pause(); // as many do, it reads when it has sent everything
        client.send(bytes);
        board.runUntil(() => client.queue.length === 0, 5000);
        client.resume();
        board.runUntil(() => client.state === 'closed', 3000);
        assert.deepEqual([client.text, client.ended, client.wasReset], [error(status), true, false], how);
        assert.ok(waitOf(board) < ONE_RETRY, how);
        board.check();
      }
    });
  }
}

// ---- half an end: the driver ends a connection when the client's FIN comes, so what is on its way by then is all that there will be

const WHOLE = ok('hello');
/** [when, what it sends, milliseconds from the request to the FIN (0: in one segment), the answer, its least and most bytes]. */
const HALF_ENDS = [
  ['in the segment of the request', get('/'), 0, WHOLE, 0, 0],
  ['behind a request with a short answer', get('/'), 2, WHOLE, WHOLE.length, WHOLE.length],
  ['right behind a request with a short answer', get('/'), 1, WHOLE, WHOLE.length, WHOLE.length],
  ['right behind what is no request', 'GET /\r\n', 1, error(400), error(400).length, error(400).length],
  ['right behind a request for nothing that there is', get('/none'), 1, error(404), error(404).length, error(404).length],
  ['behind a request with a long answer', get('/long'), 2, ok(LONG), 10000, 11680],
  ['behind a request whose handler takes 50 steps', get('/late'), 2, ok('late'), 0, 0],
  ['behind that answer', get('/late'), 60, ok('late'), ok('late').length, ok('late').length],
  ['in a stream', get('/stream'), 100, `HTTP/1.1 200 \r\n${TEXT}transfer-encoding: chunked\r\n${CLOSE}\r\n${'6\r\npiece \r\n'.repeat(1000)}`, 100, 6000],
];

for (const firmware of FIRMWARES) {
  for (const [when, request, gap, expected, least, most] of HALF_ENDS) {
    test(`${firmware}: a client's FIN ${when}: ${most ? least === expected.length ? 'it has its answer' : 'what was written goes out' : 'there is no answer'}, and nobody waits for it`, () => {
      const board = setUp(firmware);
      prove(board);
      const client = connected(board);
      client.send(request);
      if (gap) board.run(gap);
      client.end();
      board.run(100);
      assert.ok(expected.startsWith(client.text), client.text);
      assert.ok(client.text.length >= least && client.text.length <= most, `${client.text.length} bytes`);
      assert.equal(client.ended, true);
      const wait = waitOf(board);
      assert.ok(wait < 20, `${wait} ms`);
      board.check();
    });
  }
}
