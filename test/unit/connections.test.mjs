// Who is heard, how long, and what becomes of connections: the one-reader rule, timeouts, keep-alive, ends.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BROWSER, FIRMWARES, serve, TURNED_AWAY } from '../support/serve.mjs';
import { openPeer, Peer, serveWebSocket } from '../support/websocket.mjs';

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
/** A browser's request: on stock firmware its connection is kept. */
const browse = (path) => get(path, BROWSER);
const statusOf = (client) => client.text.slice(9, 12);
const bodyOf = (client) => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);

/** An iterator that gives `pieces` one by one, undefined included, and tells when it was ended early. */
function pieces(list, onReturn = () => {}) {
  let at = 0;
  return {
    next: () => (at < list.length ? { done: false, value: list[at++] } : { done: true, value: undefined }),
    return: () => { onReturn(); return { done: true, value: undefined }; },
  };
}

/** A board with routes for every kind of answer. `state.go` lets the slow ones go on. */
function setUp(setup) {
  const state = { go: false, returned: 0 };
  const waitFor = (value, done) => ({
    next: () => (state.go ? { done, value } : { done: false, value: undefined }),
    return: () => { state.returned++; return { done: true, value: undefined }; },
  });
  const routes = (server, { Response }) => {
    server.route('/', 'GET', () => 'hello');
    server.route('/n/(.*)', 'GET', (path, query, headers, body, match) => match[1]);
    server.route('/echo', 'POST', (path, query, headers, body) => body);
    server.route('/slow', 'GET', () => waitFor('slow', true));
    server.route('/stream', 'GET', () => new Response(waitFor(undefined, true), 200, 'text/event-stream'));
    server.route('/pieces', 'GET', () => new Response(pieces(['a', undefined, '', new Uint8Array([98, 99]), 'é'])));
    server.route('/wide', 'GET', () => new Response(pieces(['w'.repeat(1500), 'é'.repeat(750)])));
    server.route('/wrong/(.*)', 'GET', (path, query, headers, body, [, what]) => new Response(pieces(['a', { number: 1, object: {}, array: [1] }[what]])));
    server.route('/breaks', 'GET', () => new Response({ next: pieces(['a']).next, ...{ next: (() => { let n = 0; return () => { if (n++) throw new Error('x'); return { done: false, value: 'a' }; }; })() } }));
    server.route('/big', 'GET', () => 'b'.repeat(60000));
    server.route('/medium', 'GET', () => 'm'.repeat(9000));
  };
  return { state, ...serve({ routes, ...setup }) };
}

/** What a client above the number of connections is told. */
const FULL = 'HTTP/1.1 503 \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\nconnection: close\r\n\r\n503';

const connected = (board, options) => {
  const client = board.connect({ port: 80, ...options });
  board.runUntil(() => client.state === 'open', 12000);
  return client;
};

describe('stock firmware: one reader', () => {
  test('with nobody connected one PCB is free, the rest are held, whatever their number', () => {
    for (let pcbs = 1; pcbs <= 8; pcbs++) {
      const { board } = setUp({ firmware: 'stock', board: { pcbs } });
      board.run(500);
      assert.equal(board.vitals().held, pcbs - 1);
      board.check();
    }
  });

  test('a second client is kept out while the first is heard, and served by its retry', () => {
    const { board } = setUp({ firmware: 'stock' });
    const first = connected(board);
    first.send('GET /n/first HTTP/1.1\r\n');
    const second = board.connect({ port: 80 });
    second.send(get('/n/second'));
    board.run(400);
    assert.equal(second.state, 'connecting');
    first.send('host: x\r\nconnection: close\r\n\r\n');
    board.run(700);
    assert.equal(bodyOf(first), 'first');
    assert.equal(bodyOf(second), 'second');
    board.check();
  });

  test('five clients one after another all get their own answer, by their retries', () => {
    const { board } = setUp({ firmware: 'stock' });
    const clients = [...'abcde'].map((name) => {
      const client = board.connect({ port: 80 });
      client.send(get(`/n/${name}`));
      board.run(150);
      return client;
    });
    board.run(8000);
    assert.deepEqual(clients.map(bodyOf), [...'abcde']);
    board.check();
  });

  test('a client that sends nothing is closed after 500 ms, and the next one is served', () => {
    const { board } = setUp({ firmware: 'stock' });
    const silent = connected(board);
    const since = board.now;
    board.runUntil(() => silent.ended);
    assert.ok(Math.abs(board.now - since - 500) < 20, `${board.now - since} ms`);
    assert.equal(silent.text, '');
    const next = connected(board);
    next.send(get('/'));
    board.run(50);
    assert.equal(bodyOf(next), 'hello');
    board.check();
  });

  test('a kept connection is closed after 250 ms without a request', () => {
    const { board } = setUp({ firmware: 'stock' });
    const client = connected(board);
    client.send(browse('/'));
    board.run(200);
    assert.equal(bodyOf(client), 'hello');
    assert.equal(client.ended, false);
    client.send(browse('/n/2'));
    board.run(240);
    assert.equal(client.ended, false);
    board.run(30);
    assert.equal(client.ended, true);
    board.check();
  });

  test('a kept connection is told to close after 3 s', () => {
    const { board } = setUp({ firmware: 'stock' });
    const client = connected(board);
    const since = board.now;
    let answers = 0;
    while (!client.text.includes('connection: close')) {
      client.send(browse('/'));
      board.run(100);
      assert.equal(client.text.split('hello').length - 1, ++answers);
    }
    assert.ok(board.now - since >= 3000 && board.now - since < 3300, `${board.now - since} ms`);
    board.run(10);
    assert.equal(client.ended, true);
    board.check();
  });

  test('a kept connection is told to close at its 100th request', () => {
    const { board } = setUp({ firmware: 'stock' });
    const client = connected(board);
    for (let n = 1; n <= 100; n++) {
      assert.equal(client.text.includes('connection: close'), false);
      client.send(browse(`/n/${n}.`));
      board.runUntil(() => client.text.endsWith(`\r\n\r\n${n}.`));
    }
    assert.equal(client.text.includes('connection: close'), true);
    board.run(10);
    assert.equal(client.ended, true);
    board.check();
  });

  test('an answer up to the send buffer keeps the connection; a longer one seals and ends it', () => {
    const { board } = setUp({ firmware: 'stock' });
    const client = connected(board);
    client.send(browse('/medium'));
    board.run(100);
    assert.equal(bodyOf(client), 'm'.repeat(9000));
    assert.equal(client.ended, false);
    client.send(browse('/big'));
    board.run(1000);
    assert.equal(client.text.endsWith('b'.repeat(60000)), true);
    assert.equal(client.ended, true);
    board.check();
  });

  test('a long answer, an event stream and a slow handler are sealed, and a fourth client is answered at once', () => {
    const { board, state } = setUp({ firmware: 'stock' });
    const open = (path) => {
      const client = connected(board, { window: 2000 });
      if (path === '/big') client.pause();
      client.send(get(path));
      board.run(20);
      return client;
    };
    const [big, stream, slow] = ['/big', '/stream', '/slow'].map(open);
    const since = board.now;
    const fourth = board.connect({ port: 80 });
    fourth.send(get('/'));
    board.runUntil(() => bodyOf(fourth) === 'hello');
    assert.ok(board.now - since < 50, `${board.now - since} ms`);
    state.go = true;
    big.resume();
    board.run(3000);
    assert.equal(bodyOf(big).length, 60000);
    assert.equal(stream.ended, true);
    assert.equal(bodyOf(slow), 'slow');
    board.check();
  });

  test('what a sealed client still sends reaches nobody, and resets only that client', () => {
    const { board } = setUp({ firmware: 'stock' });
    const slow = connected(board);
    slow.send(get('/slow'));
    board.run(20);
    const reader = connected(board);
    reader.send('GET /n/mine HTTP/1.1\r\n');
    board.run(20);
    slow.send('host: evil\r\n\r\n');
    board.run(20);
    assert.equal(slow.wasReset, true);
    reader.send('host: x\r\n\r\n');
    board.run(20);
    assert.equal(bodyOf(reader), 'mine');
    board.check();
  });

  /** A client that is still open when its PCB was expected to be taken: it comes back unseen, and a newcomer gets in. */
  const newcomer = (board) => {
    const before = connected(board, { autoClose: false });
    before.send(get('/', 'connection: close\r\n'));
    board.run(700); // its PCB waits for its FIN, and a held one was given up instead
    assert.equal(before.ended, true);
    return before;
  };

  test('a newcomer takes the place of a reader that is between two requests', () => {
    const { board } = setUp({ firmware: 'stock' });
    const before = newcomer(board);
    const reader = connected(board);
    reader.send(browse('/n/reader'));
    board.run(20);
    const next = board.connect({ port: 80, delay: 0.4 });
    next.send(get('/n/next'));
    before.end(); // its PCB is free before the server looks for free ones again
    board.runUntil(() => bodyOf(next) === 'next', 2000);
    assert.equal(bodyOf(reader), 'reader');
    board.run(20);
    board.check();
  });

  test('a newcomer beside a busy reader is turned away at once', () => {
    const { board } = setUp({ firmware: 'stock', options: { reserve: 1 } });
    const reader = connected(board);
    reader.send('GET /n/reader HTTP/1.1\r\n');
    board.run(20);
    const next = connected(board);
    board.run(5);
    assert.deepEqual([next.text, next.ended, next.wasReset], [TURNED_AWAY, true, false]);
    reader.send('host: x\r\n\r\n');
    board.run(20);
    assert.equal(bodyOf(reader), 'reader');
    board.check();
  });

  test('a client that never ends its connection delays the next one by 300 ms at most', () => {
    const { board } = setUp({ firmware: 'stock' });
    const first = connected(board, { autoClose: false });
    first.send(get('/', 'connection: close\r\n'));
    board.runUntil(() => first.ended);
    const since = board.now;
    board.run(310 + 50);
    const next = connected(board);
    assert.ok(board.now - since < 400, `${board.now - since} ms`);
    next.send(get('/'));
    board.run(20);
    assert.equal(bodyOf(next), 'hello');
    board.check();
  });

  test('PCBs of ended connections are held again', () => {
    const { board } = setUp({ firmware: 'stock' });
    for (let n = 0; n < 20; n++) {
      const client = connected(board, { autoClose: n % 3 > 0 });
      client.send(n % 2 ? browse('/') : get('/'));
      board.run(30);
      assert.equal(bodyOf(client), 'hello');
      client.end();
      board.run(60);
    }
    board.run(30000);
    assert.deepEqual(board.vitals().states, { BOUND: 4 });
    assert.equal(board.vitals().fds, 5);
    board.check();
  });

  test('reserve leaves PCBs to the program', () => {
    const { board } = setUp({ firmware: 'stock', options: { reserve: 2 } });
    board.run(200);
    assert.equal(board.vitals().held, 2);
    const reader = connected(board);
    reader.send('GET / HTTP/1.1\r\n');
    board.run(200);
    assert.equal(board.vitals().held, 2);
    board.check();
  });

  test('maxParallelConnections counts the sealed ones, too', () => {
    const { board } = setUp({ firmware: 'stock', options: { maxParallelConnections: 2 } });
    for (let n = 0; n < 2; n++) {
      connected(board).send(get('/slow'));
      board.run(20);
    }
    const third = connected(board);
    third.send(get('/'));
    board.run(20);
    assert.equal(third.text, FULL);
    board.run(260); // it may be sending still
    assert.deepEqual([third.ended, third.wasReset], [true, false]);
    board.check();
  });

  test('a reset while a request is read is noticed at once, and the next client is served', () => {
    const { board } = setUp({ firmware: 'stock' });
    for (let n = 0; n < 5; n++) {
      const client = connected(board);
      client.send('GET / HT');
      board.run(10);
      client.reset();
      board.run(10);
      const next = connected(board);
      next.send(get('/', 'connection: close\r\n'));
      board.run(50);
      assert.equal(bodyOf(next), 'hello');
    }
    board.check();
  });

  test('a hundred resets in a row cost no fd for good', () => {
    const { board } = setUp({ firmware: 'stock' });
    for (let n = 0; n < 100; n++) {
      const client = connected(board);
      client.send(n % 3 ? get('/big') : 'GET / HT');
      board.run(n % 7);
      client.reset();
      board.run(20);
      const next = connected(board);
      next.send(get(`/n/${n}`, 'connection: close\r\n'));
      board.runUntil(() => next.ended);
      assert.equal(bodyOf(next), String(n));
    }
    board.run(30000);
    assert.ok(board.vitals().fds <= 6, JSON.stringify(board.vitals()));
    board.check();
  });

  test('no byte of an answer goes to the client that has the PCB of one that was reset', () => {
    const { board } = setUp({ firmware: 'stock' });
    const big = connected(board, { window: 3000 });
    big.pause();
    big.send(get('/big'));
    board.run(50);
    big.reset();
    board.run(10);
    const next = connected(board);
    next.send(get('/n/next'));
    board.run(100);
    assert.equal(bodyOf(next), 'next');
    board.check();
  });

  test('a client that sends without end while it waits is not listened to any more', () => {
    const { board } = setUp({ firmware: 'stock' });
    const client = connected(board);
    client.send(get('/n/first'));
    client.send('x'.repeat(100000));
    board.run(3000);
    assert.equal(client.state, 'closed');
    const next = connected(board);
    next.send(get('/'));
    board.run(50);
    assert.equal(bodyOf(next), 'hello');
    board.check();
  });
});

describe('routed firmware', () => {
  test('the first bytes on an accepted socket release the held PCBs', () => {
    const { board } = setUp({ firmware: 'routed' });
    const client = connected(board);
    assert.equal(board.vitals().held, 4);
    client.send(get('/'));
    board.run(20);
    assert.equal(board.vitals().held, 0);
    board.check();
  });

  /** A board whose server knows that its firmware is routed. */
  const proven = (options) => {
    const set = setUp({ firmware: 'routed', options });
    const first = connected(set.board);
    first.send(get('/'));
    set.board.run(50);
    return set;
  };

  test('five clients are read side by side, in any order of their bytes', () => {
    const { board } = proven();
    const clients = [...'abcde'].map(() => connected(board));
    [...'abcde'].forEach((name, at) => clients[at].send(`GET /n/${name} HT`));
    board.run(30);
    clients.reverse().forEach((client) => client.send('TP/1.1\r\nhost: x\r\n\r\n'));
    board.run(50);
    assert.deepEqual(clients.reverse().map(bodyOf), [...'abcde']);
    board.check();
  });

  test('above maxParallelConnections: 503', () => {
    const { board } = proven({ maxParallelConnections: 2 });
    connected(board);
    connected(board);
    const third = connected(board);
    third.send(get('/'));
    board.run(20);
    assert.equal(third.text, FULL);
    board.run(260); // it may be sending still
    assert.deepEqual([third.ended, third.wasReset], [true, false]);
    board.check();
  });

  test('a client that sends nothing is closed after requestTimeoutSeconds', () => {
    const { board } = proven();
    const silent = connected(board);
    const since = board.now;
    board.runUntil(() => silent.ended, 11000);
    assert.ok(Math.abs(board.now - since - 10000) < 20, `${board.now - since} ms`);
    board.check();
  });
});

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware`, () => {
    test('408 when the request is not whole within requestTimeoutSeconds of its first byte, however it drips', () => {
      for (const [request, every] of [[get('/'), 1000], [`POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n${'x'.repeat(99)}`, 130], ['\r\n'.repeat(99), 200]]) {
        const { board } = setUp({ firmware, board: { passMicros: 1000 } });
        const client = connected(board);
        const since = board.now;
        for (let at = 0; at < request.length && !client.text; at++) {
          client.send(request[at]);
          board.run(every);
        }
        board.runUntil(() => client.text);
        assert.equal(statusOf(client), '408');
        assert.ok(board.now - since > 9950 && board.now - since < 11100, `${board.now - since} ms`);
        board.runUntil(() => client.ended);
        board.check();
      }
    });

    test('a request that came while the program blocked is answered, however little time was left for it', () => {
      for (const idle of [0, 1]) { // a new connection, on stock firmware one that is kept, too
        const { board } = setUp({ firmware, options: { requestTimeoutSeconds: 0.5 }, board: { passMicros: 1000 } });
        const client = connected(board);
        if (idle && firmware === 'stock') {
          client.send(browse('/'));
          board.run(20);
        }
        const before = client.text.length;
        board.run(firmware === 'stock' && idle ? 150 : 420);
        client.send(get('/n/late'));
        board.pass(); // it comes, after the server's step
        board.passMicros = 100000; // and then the program takes its time, until the client's is over
        board.pass();
        board.passMicros = 1000;
        board.run(50);
        assert.equal(client.text.slice(before).slice(-4), 'late');
        board.check();
      }
    });

    test('requestTimeoutSeconds is an option', () => {
      const { board } = setUp({ firmware, options: { requestTimeoutSeconds: 2 } });
      const client = connected(board);
      client.send('GET /');
      const since = board.now;
      board.runUntil(() => client.text);
      assert.ok(Math.abs(board.now - since - 2000) < 20, `${board.now - since} ms`);
      assert.equal(statusOf(client), '408');
      board.check();
    });

    test('408 within a body ends the connection: what still comes of the body is not the next request', () => {
      const { board } = setUp({ firmware, options: { requestTimeoutSeconds: 1 } });
      const client = connected(board);
      client.send('POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n0123456789');
      board.runUntil(() => client.text);
      client.send(get('/n/inside'));
      board.runUntil(() => client.ended);
      assert.equal(client.text, 'HTTP/1.1 408 \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\nconnection: close\r\n\r\n408');
      board.check();
    });

    test('a client that does not take its answer is closed after requestTimeoutSeconds without progress', () => {
      const { board } = setUp({ firmware });
      const client = connected(board, { window: 5000 });
      client.pause();
      client.send(get('/big'));
      board.run(6000);
      client.resume();
      board.run(5);
      client.pause(); // some progress
      const since = board.now;
      assert.equal(board.vitals().states.ESTABLISHED, 1);
      board.runUntil(() => !board.vitals().states.ESTABLISHED, 11000);
      assert.ok(board.now - since > 9900 && board.now - since < 10100, `${board.now - since} ms`);
      board.check();
    });

    test('a client that is still sending gets its error answer, and is heard out for 250 ms of quiet', () => {
      const { board } = setUp({ firmware });
      const client = connected(board);
      client.send('POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n');
      for (let n = 0; n < 10; n++) {
        client.send('x'.repeat(1000));
        board.run(100);
      }
      assert.equal(statusOf(client), '413');
      assert.equal(client.wasReset, false);
      assert.equal(client.ended, false);
      board.run(140);
      assert.equal(client.ended, false);
      board.run(30);
      assert.equal(client.ended, true);
      assert.equal(client.wasReset, false);
      board.check();
    });

    test('a client that never stops sending is heard out for 2 s', () => {
      const { board } = setUp({ firmware });
      const client = connected(board);
      client.send('nonsense\r\n\r\n');
      board.runUntil(() => client.text);
      const since = board.now;
      while (client.state === 'open') {
        client.send('x'.repeat(100));
        board.run(50);
      }
      assert.ok(board.now - since > 1950 && board.now - since < 2150, `${board.now - since} ms`);
      board.check();
    });

    const STREAM = `HTTP/1.1 200 \r\ncontent-type: text/plain; charset=utf-8\r\n`;

    test('a body that is an iterator is sent as it comes, in chunks, of which none is empty but the last one', () => {
      const { board } = setUp({ firmware });
      const client = connected(board);
      client.send(get('/pieces'));
      board.run(100);
      assert.equal(client.text, `${STREAM}transfer-encoding: chunked\r\nconnection: close\r\n\r\n1\r\na\r\n2\r\nbc\r\n2\r\n\xc3\xa9\r\n0\r\n\r\n`);
      assert.equal(client.ended, true);
      board.check();
    });

    test('to HTTP/1.0, which knows no chunks, it is ended by closing; to HEAD there is nothing of it', () => {
      for (const [request, expected] of [
        ['GET /pieces HTTP/1.0\r\n\r\n', `${STREAM}connection: close\r\n\r\nabc\xc3\xa9`],
        ['HEAD /pieces HTTP/1.1\r\nhost: x\r\n\r\n', `${STREAM}connection: close\r\n\r\n`],
      ]) {
        const { board } = setUp({ firmware });
        const client = connected(board);
        client.send(request);
        board.run(100);
        assert.deepEqual([client.text, client.ended], [expected, true]);
        board.check();
      }
    });

    test('a piece of a body longer than a write is a chunk of its own length', () => {
      const { board } = setUp({ firmware });
      const client = connected(board);
      client.send(get('/wide'));
      board.run(100);
      assert.equal(bodyOf(client), `5dc\r\n${'w'.repeat(1500)}\r\n5dc\r\n${'é'.repeat(750).replaceAll('é', '\xc3\xa9')}\r\n0\r\n\r\n`);
      board.check();
    });

    test('a body that throws ends its connection before its last chunk, so that it does not look whole, and not the server', () => {
      const { board } = setUp({ firmware });
      const client = connected(board);
      client.send(get('/breaks'));
      board.run(100);
      assert.equal(bodyOf(client), '1\r\na\r\n');
      assert.equal(client.ended, true);
      const next = connected(board);
      next.send(get('/'));
      board.run(50);
      assert.equal(bodyOf(next), 'hello');
      board.check();
    });

    test('a piece that is neither text nor bytes is an error that is printed, and ends its connection', () => {
      for (const piece of ['number', 'object', 'array']) {
        const { board } = setUp({ firmware });
        const client = connected(board);
        client.send(get(`/wrong/${piece}`));
        board.run(100);
        assert.deepEqual([bodyOf(client), client.ended], ['1\r\na\r\n', true]);
        assert.match(board.console.map(({ text }) => text).join(), /text or bytes/);
        board.check();
      }
    });

    test('a handler that returns an iterator is stepped until it has its reply, longer than any timeout', () => {
      const { board, state } = setUp({ firmware });
      const client = connected(board);
      client.send(get('/slow'));
      board.run(15000);
      assert.equal(client.text, '');
      state.go = true;
      board.run(50);
      assert.equal(bodyOf(client), 'slow');
      assert.equal(client.ended, true);
      board.check();
    });

    test('return() is called when the client of a handler or of a stream leaves or is reset', () => {
      const { board, state } = setUp({ firmware });
      let expected = 0;
      for (const path of ['/slow', '/stream']) {
        for (const leave of ['end', 'reset']) {
          const client = connected(board);
          client.send(get(path));
          board.run(50);
          client[leave]();
          board.run(50);
          assert.equal(state.returned, ++expected, `${path} ${leave}`);
        }
      }
      board.check();
    });

    test('a half-closing client gets no answer and harms nobody', () => {
      const { board } = setUp({ firmware });
      const client = connected(board);
      client.send('GET / HTTP/1.1\r\n');
      client.end();
      board.run(100);
      const next = connected(board);
      next.send(get('/'));
      board.run(50);
      assert.equal(bodyOf(next), 'hello');
      board.check();
    });

    test('segments are copied, never held', async () => {
      const { board } = setUp({ firmware });
      const client = connected(board);
      client.send('POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 16384\r\n\r\n' + 'x'.repeat(16000));
      board.run(100);
      await board.checkHeld();
      client.send('x'.repeat(384));
      board.run(500);
      assert.equal(bodyOf(client).length, 16384);
      board.check();
    });

    test('close() ends connections and listening; the port can be used again', () => {
      const { board, server, state } = setUp({ firmware });
      const reader = connected(board);
      reader.send(get('/slow'));
      board.run(20);
      const other = connected(board);
      other.send('GET');
      board.run(20);
      server.close();
      board.run(50);
      assert.equal(reader.ended, true);
      assert.equal(other.ended, true);
      assert.equal(state.returned, 1);
      assert.equal(board.vitals().fds, 0);
      assert.equal(server.next().done, true);
      const late = board.connect({ port: 80 });
      board.run(200);
      assert.notEqual(late.state, 'open');
      board.run(125000); // lwIP: not while a connection of that port is in TIME_WAIT
      server.listen(80);
      const client = connected(board);
      client.send(get('/'));
      board.run(50);
      assert.equal(bodyOf(client), 'hello');
      board.check();
    });
  });
}

test('stock: a client that seemed dead for a moment, and leaves like any other, is not counted among the dead', () => {
  const { board } = serve({ firmware: 'stock', routes: (server) => { server.route('/', 'GET', () => 'ok'); } });
  const first = board.connect({ port: 80 });
  board.runUntil(() => first.state === 'open');
  board.run(5);
  const { write } = board.netdev;
  let down = true;
  board.netdev.write = (fd, data, callback) => {
    write(fd, data, callback);
    if (down && data === '') {
      board.netdev.errno = -1;
      down = false;
    }
  };
  board.run(5);
  assert.equal(down, false);
  first.end();
  board.run(100);
  // Connections are kept only where none is dead.
  const client = board.connect({ port: 80 });
  client.send(browse('/'));
  board.run(3500);
  assert.equal(client.text, 'HTTP/1.1 200 \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n\r\nok');
  board.check();
});

describe('stock firmware: connections are kept for browsers only', () => {
  const post = (n, headers = '') => `POST /echo HTTP/1.1\r\nhost: x\r\n${headers}content-length: ${`${n}.`.length}\r\n\r\n${n}.`;

  test('who does not say that it is one is told to close, whatever it asks for', () => {
    for (const agent of ['', 'user-agent: curl/8.5.0\r\n', 'user-agent: python-requests/2.31.0\r\n', 'user-agent: NotMozilla/5.0\r\n', 'x-agent: Mozilla/5.0\r\n', 'connection: keep-alive\r\n']) {
      for (const request of [get('/', agent), get('/nowhere', agent), post(1, agent), get('/', agent).replace('GET', 'HEAD')]) {
        const { board } = setUp({ firmware: 'stock' });
        const client = connected(board);
        client.send(request);
        board.run(20);
        assert.match(client.text, /\r\nconnection: close\r\n/, request);
        assert.deepEqual([client.ended, client.wasReset], [true, false], request);
        board.check();
      }
    }
  });

  test('browsers keep theirs after a GET, unless they say that they will not', () => {
    for (const agent of [BROWSER, 'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0\r\n']) {
      for (const request of [post(1, agent), get('/', agent).replace('GET', 'HEAD')]) {
        const { board } = setUp({ firmware: 'stock' });
        const client = connected(board);
        client.send(request);
        board.run(20);
        assert.match(client.text, /\r\nconnection: close\r\n/, request);
        assert.equal(client.ended, true);
        board.check();
      }
      for (const request of [get('/', agent), get('/nowhere', agent)]) {
        const { board } = setUp({ firmware: 'stock' });
        const client = connected(board);
        client.send(request);
        board.run(20);
        assert.doesNotMatch(client.text, /connection: close/, request);
        assert.equal(client.ended, false);
        const before = client.text.length;
        client.send(get('/n/last', `${agent}connection: close\r\n`));
        board.run(20);
        assert.match(client.text.slice(before), /\r\nconnection: close\r\n\r\nlast$/);
        assert.equal(client.ended, true);
        board.check();
      }
    }
  });

  test('a client that reuses its connection whenever it may, every 200 to 300 ms, loses nothing', () => {
    const heard = [];
    const { board } = serve({ firmware: 'stock', board: { passMicros: 1000 }, routes: (server) => {
      server.route('/echo', 'POST', (path, query, headers, body) => { heard.push(Buffer.from(body).toString()); return body; });
      server.route('/n/(.*)', 'GET', (path, query, headers, body, match) => { heard.push(match[1]); return match[1]; });
    } });
    const ways = [[post, 0.5], [post, 15], [(n) => get(`/n/${n}.`), 0.5], [(n) => get(`/n/${n}.`), 15]];
    for (const [request, delay] of ways) {
      let client;
      for (let n = 200; n <= 300; n++) {
        // As requests, aiohttp and fetch do: on the connection that they have, if nothing has told them that it ends.
        if (!client || client.ended || client.state === 'closed' || /connection: close/.test(client.text)) client = board.connect({ port: 80, delay });
        const before = client.text.length;
        client.send(request(n));
        board.runUntil(() => client.text.slice(before).endsWith(`\r\n\r\n${n}.`), 3000);
        board.run(n);
      }
    }
    const all = Array.from({ length: 101 }, (_, n) => `${200 + n}.`);
    assert.deepEqual(heard, ways.flatMap(() => all));
    board.check();
  });

  test('six requests of one that is no browser, each on a connection of its own: none waits for the ones before', () => {
    const { board } = setUp({ firmware: 'stock', board: { passMicros: 1000 } });
    const clients = [...'abcdef'].map((name) => {
      const client = board.connect({ port: 80, delay: 0.5 });
      const since = board.now;
      client.onData = () => { client.took = board.now - since; };
      client.send(get(`/n/${name}`));
      board.run(15);
      return client;
    });
    board.run(100);
    assert.deepEqual(clients.map(bodyOf), [...'abcdef']);
    for (const { took } of clients) assert.ok(took < 50, `${took} ms`);
    board.check();
  });

  test('they are kept while PCBs are to spare: not while four that were ended wait for their clients\' FINs', () => {
    for (const count of [0, 1, 2, 3, 4]) {
      const { board } = setUp({ firmware: 'stock' });
      const lingering = Array.from({ length: count }, () => {
        const client = connected(board, { autoClose: false });
        client.send(get('/'));
        board.run(400);
        assert.equal(client.ended, true);
        return client;
      });
      const ask = () => {
        const browser = connected(board);
        browser.send(browse('/'));
        board.run(20);
        assert.equal(bodyOf(browser), 'hello');
        assert.equal(browser.ended, /connection: close/.test(browser.text));
        browser.end();
        return browser.ended;
      };
      assert.equal(ask(), count === 4, `${count} wait`);
      board.run(100);
      for (const client of lingering) client.end();
      board.run(100);
      assert.equal(ask(), false);
      board.check();
    }
  });

  test('they are kept again once nobody is waited for, whoever was turned away or has reset before', () => {
    const { board } = serveWebSocket({ firmware: 'stock', board: { passMicros: 1000 }, routes: (server) => server.route('/', 'GET', () => 'hello') });
    const reset = board.connect({ port: 80 }).send('GET');
    board.run(30);
    reset.reset();
    board.run(30);
    openPeer(board).polite(); // has its PCB now
    board.run(500);
    for (const request of ['', get('/'), get('/')]) { // at the socket's port; without waiting, as pages do
      board.connect({ port: 81, delay: 0.5 }).send(request);
      board.run(500);
    }
    board.run(25000);
    for (let n = 0; n < 3; n++) {
      const browser = connected(board);
      browser.send(browse('/'));
      board.run(20);
      assert.equal(bodyOf(browser), 'hello');
      assert.doesNotMatch(browser.text, /connection: close/);
      browser.end();
      board.run(50);
    }
    board.check();
  });

  test('five clients that leave their ended connections half open keep nobody out for long', () => {
    const { board } = setUp({ firmware: 'stock', board: { passMicros: 1000 } });
    for (let n = 0; n < 5; n++) {
      const client = connected(board, { autoClose: false });
      client.onEnd = () => board.global.setTimeout(() => client.end(), 2000); // as pools do, which look at a connection before they use it again
      client.send(browse(`/n/${n}`));
      board.run(400);
      assert.equal(bodyOf(client), String(n));
    }
    const next = board.connect({ port: 80 });
    const since = board.now;
    next.send(get('/'));
    board.runUntil(() => bodyOf(next) === 'hello', 20000);
    assert.ok(board.now - since < 3100, `${board.now - since} ms`);
    board.check();
  });
});

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware: something stays free`, () => {
    /** A board whose streams never end, which any number of sockets may ask for; its firmware is known. */
    const setUpStreams = (options) => {
      const set = serveWebSocket({ firmware, options, board: { passMicros: 500 }, routes: (server, { Response }) => {
        server.route('/', 'GET', () => 'hello');
        server.route('/n/(.*)', 'GET', (path, query, headers, body, match) => match[1]);
        server.route('/events', 'GET', () => new Response({ next: () => ({ done: false, value: undefined }) }, 200, 'text/event-stream'));
        server.route('/slow', 'GET', () => ({ next: () => ({ done: false }) }));
      } });
      const first = connected(set.board);
      first.send(get('/'));
      set.board.run(100);
      return set;
    };
    const stream = (board) => {
      const client = connected(board);
      client.send(get('/events'));
      board.runUntil(() => client.text, 12000);
      return client;
    };
    /** Pages are answered, one after the other. */
    const assertPages = (board, count = 10) => {
      for (let n = 0; n < count; n++) {
        const client = connected(board);
        client.send(n % 2 ? get(`/n/${n}`) : browse(`/n/${n}`));
        board.run(20);
        assert.equal(bodyOf(client), String(n));
        client.end();
        board.run(10);
      }
    };

    test('four event streams are open, a fifth is told 503 and to come back, and pages go on', () => {
      const { board } = setUpStreams();
      const streams = [1, 2, 3, 4].map(() => stream(board));
      assert.deepEqual(streams.map(statusOf), ['200', '200', '200', '200']);
      for (let n = 0; n < 3; n++) {
        const fifth = stream(board);
        board.run(20);
        assert.equal(fifth.text, FULL);
        assert.deepEqual([fifth.ended, fifth.wasReset], [true, false]);
        assertPages(board);
      }
      assert.deepEqual(streams.map(({ state, ended }) => [state, ended]), Array(4).fill(['open', false]));
      streams[2].end();
      board.run(100);
      assert.equal(statusOf(stream(board)), '200');
      assert.equal(stream(board).text, FULL);
      board.check();
    });

    test('three sockets and one event stream are open, another of either is told 503, and pages go on', () => {
      const { board } = setUpStreams({ sockets: 4 });
      const peers = [81, 82, 83].map((port) => openPeer(board, { port }).polite());
      const open = stream(board);
      assert.equal(statusOf(open), '200');
      for (let n = 0; n < 3; n++) {
        const another = stream(board);
        board.run(20);
        assert.equal(another.text, FULL);
        const peer = new Peer(board, { port: 84 });
        board.runUntil(() => peer.answered, 5000);
        board.run(20);
        assert.equal(peer.client.text, FULL);
        assert.equal(peer.client.ended, true);
        assertPages(board);
      }
      assert.equal(peers.some((peer) => peer.over) || open.ended, false);
      peers[1].close();
      board.runUntil(() => peers[1].over);
      board.run(100);
      openPeer(board, { port: 84 });
      assert.equal(stream(board).text, FULL);
      board.check();
    });

    test('four sockets are open: pages go on, and an event stream is told 503', () => {
      const { board } = setUpStreams({ sockets: 4 });
      const peers = [81, 82, 83, 84].map((port) => openPeer(board, { port }).polite());
      assert.equal(stream(board).text, FULL);
      assertPages(board);
      for (const peer of peers) assert.equal(peer.over, false);
      board.check();
    });

    test('their number follows from maxParallelConnections, and that from reserve', () => {
      for (const [options, count] of [[{ maxParallelConnections: 2 }, 1], [{ maxParallelConnections: 4 }, 3], [{ reserve: 1 }, 3], [{ reserve: 2 }, 2], [{ reserve: 1, maxParallelConnections: 3 }, 2]]) {
        const { board } = setUpStreams(options);
        for (let n = 0; n < count; n++) assert.equal(statusOf(stream(board)), '200', JSON.stringify(options));
        assert.equal(stream(board).text, FULL, JSON.stringify(options));
        assertPages(board);
        board.check();
      }
    });

    test('answers of known length are no streams: beside four slow ones the fifth client is answered', () => {
      const { board } = setUpStreams();
      for (let n = 0; n < 4; n++) {
        connected(board).send(get('/slow'));
        board.run(20);
      }
      assertPages(board);
      board.check();
    });
  });
}
