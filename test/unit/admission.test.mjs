// Who is let in on stock firmware, at the moments that matter: when PCBs come back, when two clients meet, when something has just died.
// And what happens on both firmwares where two connections share a fate.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BROWSER, FIRMWARES, serve, TURNED_AWAY } from '../support/serve.mjs';

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
const close = 'connection: close\r\n';
const browse = (path) => get(path, BROWSER);
const bodyOf = (client) => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);
const statusOf = (client) => client.text.slice(9, 12);

function setUp({ firmware = 'stock', options, board } = {}) {
  return serve({
    firmware,
    options,
    board: { passMicros: 1000, ...board },
    routes: (server) => {
      server.route('/n/(.*)', 'GET', (path, query, headers, body, match) => match[1]);
      server.route('/bytes/(.*)', 'GET', (path, query, headers, body, match) => 'b'.repeat(+match[1]));
      server.route('/slow', 'GET', () => ({ next: () => ({ done: false }) }));
    },
  }).board;
}

const connected = (board, options) => {
  const client = board.connect({ port: 80, delay: 0.5, ...options });
  board.runUntil(() => client.state === 'open', 12000);
  return client;
};

describe('a PCB that comes back', () => {
  test('is waited for: a client 100 ms away is about to end, and nobody else is let in beside it', () => {
    const board = setUp();
    board.run(200);
    const far = connected(board, { delay: 100 });
    far.send(get('/n/far', close));
    board.runUntil(() => board.vitals().states.FIN_WAIT_1);
    const next = board.connect({ port: 80, delay: 20 });
    next.send(get('/n/next'));
    while (board.vitals().states.FIN_WAIT_1) {
      assert.equal(board.vitals().held, 4);
      assert.equal(next.state, 'connecting');
      board.pass();
    }
    board.runUntil(() => bodyOf(next) === 'next', 1200); // its SYN comes again after a second
    board.check();
  });

  test('is given up for another after 300 ms, one for each 300 ms: a client whose handshake takes 200 ms is not let in twice', () => {
    const board = setUp();
    board.run(1000);
    const far = board.connect({ port: 80, delay: 100 });
    far.send(get('/n/far', close));
    board.run(130); // its SYN has arrived, its acknowledgement has not
    const next = board.connect({ port: 80, delay: 1 });
    next.send(get('/n/next', close));
    board.run(60);
    assert.equal(next.state, 'connecting');
    board.runUntil(() => next.ended, 5000);
    assert.equal(bodyOf(far), 'far');
    assert.equal(bodyOf(next), 'next');
    board.check();
  });

  test('late, while there is a reader, is held again before the next client comes', () => {
    for (let offset = 0; offset < 50; offset += 7) {
      const board = setUp();
      const before = connected(board, { autoClose: false });
      before.send(get('/n/before', close));
      board.run(700 + offset); // its PCB waits for its FIN, and a held one was given up instead
      const reader = connected(board);
      reader.send('GET /n/reader HTTP/1.1\r\n');
      board.run(100);
      before.end();
      board.run(3);
      const next = board.connect({ port: 80, delay: 0.5 });
      next.send(get('/n/next', close));
      board.run(20);
      assert.equal(next.state, 'connecting', `${offset} ms later`);
      reader.send(`host: x\r\n${close}\r\n`);
      board.run(1200);
      assert.deepEqual([reader, next].map(bodyOf), ['reader', 'next']);
      board.check();
    }
  });
});

describe('a newcomer while there is a reader (reserve leaves it a PCB)', () => {
  const withReserve = (more) => setUp({ options: { reserve: 1 }, ...more });

  test('is let in when the reader was reset in the same moment', () => {
    const board = withReserve({ board: { passMicros: 20000 } });
    const reader = connected(board);
    reader.send('GET /n/reader HT');
    board.run(40);
    const next = board.connect({ port: 80, delay: 5 });
    next.send(get('/n/next', close));
    board.runUntil(() => board.vitals().states.SYN_RCVD);
    reader.reset(); // arrives before the newcomer's acknowledgement, but in the same pass
    board.run(200);
    assert.equal(statusOf(next), '200');
    assert.equal(bodyOf(next), 'next');
    board.check();
  });

  test('is turned away at once when the reader has not sent anything yet, which is answered when it does', () => {
    const board = withReserve();
    const reader = connected(board);
    board.run(50);
    const next = connected(board);
    board.run(3);
    assert.deepEqual([next.text, next.ended, next.wasReset], [TURNED_AWAY, true, false]);
    assert.equal(reader.ended, false);
    reader.send(get('/n/reader', close));
    board.run(20);
    assert.equal(bodyOf(reader), 'reader');
    board.check();
  });

  test('is told so in whichever pass it comes, also when that has done all the work of a step', () => {
    const long = Array.from({ length: 12 }, (_, n) => `x-${n}: ${'x'.repeat(60)}\r\n`).join('');
    const told = Array.from({ length: 12 }, (_, ms) => {
      const board = withReserve();
      const reader = connected(board);
      board.run(50 + ms / 4);
      const next = board.connect({ port: 80, delay: 0.2 });
      reader.send(get('/n/reader', BROWSER + long));
      board.runUntil(() => next.ended, 300);
      return next.text;
    });
    assert.deepEqual(new Set(told), new Set([TURNED_AWAY]));
  });

  test('is ended, and what it sends reaches nobody', () => {
    const board = withReserve();
    const reader = connected(board);
    reader.send('GET /n/reader HTTP/1.1\r\n');
    board.run(20);
    const next = board.connect({ port: 80, delay: 0.5 });
    next.send('GET /n/evil HTTP/1.1\r\nhost: y\r\n\r\n');
    board.run(20);
    assert.ok(next.wasReset || next.ended);
    assert.equal(next.text, '');
    reader.send(`host: x\r\n${close}\r\n`);
    board.run(20);
    assert.equal(statusOf(reader), '200');
    assert.equal(bodyOf(reader), 'reader');
    board.check();
  });

  test('takes the place of a reader between two requests, which is ended at once, and whose next request reaches nobody', () => {
    const board = withReserve();
    const reader = connected(board);
    reader.send(browse('/n/reader'));
    board.run(50);
    assert.equal(bodyOf(reader), 'reader');
    const next = connected(board);
    board.pass();
    board.pass();
    assert.equal(board.vitals().states.ESTABLISHED, 1);
    const answered = reader.text;
    reader.send(browse('/n/evil'));
    board.run(20);
    assert.equal(reader.text, answered);
    assert.equal(next.text, '');
    next.send(get('/n/next', close));
    board.run(20);
    assert.equal(bodyOf(next), 'next');
    board.check();
  });

  test('takes it in the very moment in which the reader sends its next request', () => {
    const board = withReserve({ board: { passMicros: 20000 } });
    const reader = connected(board);
    reader.send(browse('/n/reader'));
    board.run(60);
    assert.equal(bodyOf(reader), 'reader');
    const next = board.connect({ port: 80, delay: 5 });
    next.onConnect = () => reader.send(browse('/n/evil')); // arrives behind the newcomer's acknowledgement, in the same pass
    reader.delay = 7;
    board.runUntil(() => next.state === 'open');
    next.send(get('/n/next', close));
    board.run(200);
    assert.equal(bodyOf(next), 'next');
    assert.equal(bodyOf(reader), 'reader');
    board.check();
  });
});

describe('stock firmware: the reader\'s next request', () => {
  test('comes just before a newcomer: it is answered, and the newcomer is turned away', () => {
    const board = setUp({ options: { reserve: 1 }, board: { passMicros: 20000 } });
    const reader = connected(board);
    reader.send(browse('/n/first'));
    board.run(60);
    assert.equal(bodyOf(reader), 'first');
    const next = board.connect({ port: 80, delay: 5 });
    reader.delay = 3;
    next.onConnect = () => reader.send(get('/n/second', close)); // arrives before the newcomer's acknowledgement, in the same pass
    board.runUntil(() => next.ended);
    board.run(200);
    assert.ok(reader.text.endsWith('\r\n\r\nsecond'), reader.text);
    assert.equal(next.text, TURNED_AWAY);
    board.check();
  });
});

describe('stock firmware: an answer', () => {
  test('that does not fit into the send buffer says that it is the last one', () => {
    const board = setUp();
    for (const [length, last] of [[9000, false], [11000, true], [30000, true], [59000, true]]) {
      const client = connected(board);
      client.send(browse(`/bytes/${length}`));
      board.run(200);
      assert.equal(bodyOf(client).length, length);
      assert.equal(client.text.includes('connection: close'), last, `${length} bytes`);
      board.run(500);
    }
    board.check();
  });

  test('with an error waits for room behind others, and its client, which is still sending, is heard out', () => {
    const board = setUp();
    const sample = connected(board);
    sample.send(browse('/bytes/9000'));
    board.run(500);
    const head = sample.text.length - 9000;
    const client = connected(board, { window: 500 });
    client.pause();
    // 60 bytes less than the send buffer and the client's window take.
    client.send(browse('/bytes/9000'));
    board.run(20);
    client.send(browse(`/bytes/${11680 + 500 - 60 - 9000 - 2 * head}`));
    board.run(20);
    client.send('NONSENSE\r\n\r\n');
    board.run(20);
    client.send('and more');
    board.run(20);
    assert.equal(client.state, 'open');
    client.receiveWindow = 65535;
    client.resume();
    board.runUntil(() => client.ended, 9000);
    assert.equal(client.wasReset, false);
    assert.ok(client.text.endsWith('\r\n\r\n400'), client.text.slice(-200));
    board.check();
  });
});

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware`, () => {
    test('a client that sends far more than can be read is told so, and ended when it is quiet', () => {
      const board = setUp({ firmware });
      const first = connected(board);
      first.send(get('/n/first', close));
      board.run(50);
      const client = connected(board, { delay: 0.1 });
      const since = board.now;
      client.send(`GET /n/1 HTTP/1.1\r\nx: ${'x'.repeat(200000)}`);
      board.runUntil(() => client.state === 'closed', 1000);
      assert.equal(statusOf(client), '431');
      assert.deepEqual([client.ended, client.wasReset], [true, false]);
      assert.ok(board.now - since < 300, `${board.now - since} ms`);
      const next = connected(board);
      next.send(get('/n/next', close));
      board.run(20);
      assert.equal(bodyOf(next), 'next');
      board.check();
    });
  });
}

test('routed firmware: two PCBs of dead connections serve two others; when one of these ends, the other does not', () => {
  for (const ends of [0, 1]) {
    const board = setUp({ firmware: 'routed', board: { pcbs: 2 } });
    const first = connected(board);
    first.send(get('/n/first', close));
    board.run(130000); // its TIME_WAIT is over
    const dead = [0, 1].map(() => {
      const client = connected(board);
      client.send(get('/slow'));
      return client;
    });
    board.run(20);
    for (const client of dead) {
      client.reset();
      board.run(5);
    }
    const pair = [0, 1].map(() => connected(board));
    pair.forEach((client) => client.send('GET /n/ok HTTP/1.1\r\n'));
    board.run(20);
    assert.equal(board.vitals().zombies, 2);
    pair[ends].send(`host: x\r\n${close}\r\n`);
    board.run(50);
    assert.equal(bodyOf(pair[ends]), 'ok');
    assert.equal(pair[ends].ended, true);
    assert.equal(pair[1 - ends].state, 'open');
    pair[1 - ends].send(`host: x\r\n${close}\r\n`);
    board.run(50);
    assert.equal(bodyOf(pair[1 - ends]), 'ok');
    assert.equal(board.vitals().zombies, 0);
    board.check();
  }
});
