// What a client can make the board hold is bounded: nothing can tell it to wait, so one that runs too far ahead is dropped.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { holdings } from '../board/holdings.mjs';
import { FIRMWARES } from '../support/serve.mjs';
import { BINARY, frame, openPeer, PING, serveWebSocket, TEXT } from '../support/websocket.mjs';

/** What may wait to be parsed (maxBodyBytes and a TCP window), one message, and what is under way. */
const BOUND = 16384 + 11680 + 16384 + 12000;

/** An open socket; `take` says whether its handler takes a message in this step. */
function setUp({ firmware, take = () => true, callback = false, options, board: boardOptions }) {
  const seen = { count: 0, bytes: 0, codes: [] };
  const note = (message) => {
    seen.count++;
    seen.bytes += message.length;
  };
  const { board } = serveWebSocket({
    firmware,
    options: { pingSeconds: 0, ...options },
    board: { passMicros: 1000, ...boardOptions },
    handler: (path, headers, ws) => {
      ws.onclose = (code) => { seen.codes.push(code); };
      if (callback) {
        ws.onmessage = note;
        return undefined;
      }
      return (function* () {
        for (;;) {
          while (!take()) yield;
          const message = yield* ws.recv();
          if (message === null) return;
          note(message);
        }
      })();
    },
  });
  return { board, seen, peer: openPeer(board) };
}

/** Sends `data` once a pass until the connection ends, or so many times. Returns how many bytes went out. */
function flood({ board, peer, seen }, data, times) {
  let sent = 0;
  while (times-- > 0 && !seen.codes.length && !peer.over) {
    peer.send(data);
    sent += data.length;
    board.pass();
  }
  return sent;
}

const join = (count, piece) => Buffer.concat(Array.from({ length: count }, () => piece));

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware`, () => {
    for (const callback of [false, true]) {
      const how = callback ? 'onmessage' : 'recv()';

      test(`a message every pass is taken by ${how} as it comes, for long`, () => {
        for (const size of [0, 1, 100, 1454]) {
          const set = setUp({ firmware, callback });
          flood(set, frame(BINARY, Buffer.alloc(size, 1)), 2000);
          set.board.run(50);
          assert.deepEqual(set.seen, { count: 2000, bytes: 2000 * size, codes: [] });
          assert.ok(set.board.vitals().peak <= 12000, `${set.board.vitals().peak} bytes of segments waited for the collector`);
          set.board.check();
        }
      });

      test(`segments full of small messages, faster than ${how} takes them: all are seen, or the client is dropped`, () => {
        for (const size of [0, 1, 30]) {
          const set = setUp({ firmware, callback });
          const piece = frame(TEXT, 'x'.repeat(size));
          const perSegment = Math.floor(1460 / piece.length);
          const sent = flood(set, join(perSegment, piece), 500);
          set.board.run(2000);
          const { seen } = set;
          if (seen.codes.length) {
            assert.deepEqual(seen.codes, [1006]);
            assert.ok(sent - seen.count * piece.length <= BOUND, `${sent - seen.count * piece.length} bytes were held`);
          } else {
            assert.equal(seen.count, sent / piece.length);
          }
          set.board.check();
        }
      });
    }

    test('a client that floods a handler that takes nothing is dropped', () => {
      for (const size of [0, 100, 1400, 16384]) {
        const set = setUp({ firmware, take: () => false });
        const sent = flood(set, frame(BINARY, Buffer.alloc(size)), 10000);
        set.board.run(5);
        assert.deepEqual(set.seen.codes, [1006], `messages of ${size} bytes`);
        assert.ok(sent <= BOUND + 2 * size, `${sent} bytes were sent until then`);
        assert.equal(set.seen.count, 0);
        set.board.run(50);
        assert.equal(set.board.vitals().states.ESTABLISHED ?? 0, 0);
        set.board.check();
        // And the board goes on.
        set.board.run(1000);
        assert.equal(openPeer(set.board).status, '101');
      }
    });

    test('a slow handler keeps its client as long as that does not run too far ahead', () => {
      let step = 0;
      const set = setUp({ firmware, take: () => ++step % 50 === 0 });
      let sent = 0;
      for (let n = 0; n < 100; n++) {
        for (let k = 0; k < 10; k++) set.peer.send(frame(BINARY, Buffer.alloc(1000)));
        sent += 10;
        set.board.runUntil(() => set.seen.count === sent, 60000);
      }
      assert.deepEqual(set.seen, { count: 1000, bytes: 1000000, codes: [] });
      set.board.check();
    });

    test('a client that pings without end, and reads nothing, is dropped', () => {
      const set = setUp({ firmware, options: { maxMessageBytes: 4000 } });
      set.peer.client.receiveWindow = 1000;
      set.peer.client.pause();
      const sent = flood(set, frame(PING, 'x'.repeat(125)), 5000);
      assert.deepEqual(set.seen.codes, [1006]);
      assert.ok(sent < BOUND, `${sent} bytes were sent until then`);
      set.board.check();
    });

    test('a client that pings without end, and reads, is answered each time', () => {
      const set = setUp({ firmware });
      flood(set, frame(PING, 'x'), 1000);
      set.board.run(50);
      assert.equal(set.peer.frames.length, 1000);
      assert.deepEqual(set.seen.codes, []);
      set.board.check();
    });

    test('a message in thousands of fragments is one message', () => {
      const set = setUp({ firmware });
      set.peer.send(frame(BINARY, 'a', { fin: false }));
      flood(set, frame(0, 'b', { fin: false }), 1500);
      flood(set, frame(0, '', { fin: false }), 500);
      set.peer.send(frame(0, 'c'));
      set.board.run(50);
      assert.deepEqual(set.seen, { count: 1, bytes: 1502, codes: [] });
      set.board.check();
    });

    test('segments are copied, never held: within a frame, a message, and while nobody takes it', async () => {
      let go = false;
      const set = setUp({ firmware, take: () => go });
      const { board, peer, seen } = set;
      const whole = frame(BINARY, Buffer.alloc(9000, 5));
      peer.send(whole.subarray(0, 4000));
      board.run(20);
      await board.checkHeld();
      peer.send(whole.subarray(4000));
      peer.send(frame(TEXT, 'x'.repeat(5000)));
      board.run(50);
      await board.checkHeld();
      go = true;
      board.run(50);
      assert.deepEqual(seen, { count: 2, bytes: 14000, codes: [] });
      await board.checkHeld();
      board.check();
    });

    test('messages of maxMessageBytes, one after the other, keep the collector going', () => {
      const set = setUp({ firmware });
      for (let n = 0; n < 40; n++) {
        set.peer.send(frame(BINARY, Buffer.alloc(16384, n)));
        set.board.runUntil(() => set.seen.count === n + 1);
      }
      assert.ok(set.board.vitals().peak <= 20480);
      set.board.check();
    });

    test('a message may be larger than a body may be, all of it at once', () => {
      const set = setUp({ firmware, options: { maxMessageBytes: 40000, maxBodyBytes: 1000 }, board: { passMicros: 20000 } });
      set.peer.send(frame(BINARY, Buffer.alloc(40000)));
      set.board.runUntil(() => set.seen.count === 1 || set.seen.codes.length);
      assert.deepEqual(set.seen, { count: 1, bytes: 40000, codes: [] });
      set.board.check();
    });

    test('a message that comes later is no other than it was: handlers may keep theirs', () => {
      const kept = [];
      const { board } = serveWebSocket({ firmware, handler: (path, headers, ws) => { ws.onmessage = (message) => { kept.push(message); }; } });
      const peer = openPeer(board);
      for (let n = 0; n < 10; n++) {
        peer.send(frame(BINARY, Buffer.alloc(100, n), { fin: false })).send(frame(0, Buffer.alloc(100, n)));
        board.run(10);
      }
      board.run(20);
      assert.deepEqual(kept.map((message) => [...new Set(message)]), [...Array(10).keys()].map((n) => [n]));
      board.check();
    });
  });
}

describe('what is no longer needed is not kept', () => {
  /** A routed board with one socket on it, and what the library holds then. */
  const idle = ({ handler, headers }) => {
    const { board, library, extension, server } = serveWebSocket({ firmware: 'routed', options: { pingSeconds: 0 }, handler });
    const peer = openPeer(board, { headers });
    board.run(50);
    return { board, peer, held: () => holdings(board, [library, extension, server]) };
  };
  const taking = (path, headers, ws) => { ws.onmessage = () => {}; };

  test('the headers of its request', () => {
    const long = idle({ handler: taking, headers: { 'X-Long': 'a'.repeat(3000) } }).held();
    const short = idle({ handler: taking }).held();
    assert.ok(long - short < 500, `${long} with 3000 bytes of headers, ${short} without`);
  });

  test('the segments that its messages came in, the empty ones, too', () => {
    for (const payload of ['', 'x'.repeat(100)]) {
      const { board, peer, held } = idle({ handler: taking });
      const before = held();
      peer.send(join(100, frame(TEXT, payload)));
      board.run(200);
      assert.ok(held() - before < 500, `${held() - before} more behind messages of ${payload.length}`);
      board.check();
    }
  });

  test('a frame that recvFrame() gave to the program', () => {
    let count = 0;
    const { board, peer, held } = idle({ handler: function* (path, headers, ws) { for (; yield* ws.recvFrame(); count++); } });
    const before = held();
    peer.send(frame(BINARY, Buffer.alloc(10000)));
    board.run(200);
    assert.equal(count, 1);
    assert.ok(held() - before < 500, `${held() - before} more behind a frame of 10000`);
  });
});

test('routed: half messages in, and what the server sends to clients that take nothing, are held to one bound', () => {
  const sockets = [];
  const { board } = serveWebSocket({ firmware: 'routed', options: { pingSeconds: 0, requestTimeoutSeconds: 60 }, handler: (path, headers, ws) => { sockets.push(ws); } });
  const peers = Array.from({ length: 4 }, () => openPeer(board, { window: 1000 }));
  for (const peer of peers) {
    peer.send(frame(BINARY, Buffer.alloc(10000)).subarray(0, 5000));
    board.run(50);
    peer.client.pause();
  }
  for (let n = 0; n < 40; n++) {
    for (const ws of sockets) if (ws.bufferedAmount < 16300) ws.sendBinary(new Uint8Array(1000));
    board.run(10);
  }
  const open = sockets.filter((ws) => !ws.closed);
  const held = open.reduce((sum, ws) => sum + 10000 + ws.bufferedAmount, 0);
  assert.ok(held <= 16384 + 2 * 16384 + 1024 * open.length, `${held} bytes`);
  assert.ok(open.length > 0);
  board.check();
});

test('routed: what comes behind bytes that were too many is not taken for messages', () => {
  const seen = [];
  const sent = [];
  const { board } = serveWebSocket({
    firmware: 'routed',
    options: { maxMessageBytes: 500 },
    board: { passMicros: 20000 },
    handler: (path, headers, ws) => { ws.onmessage = (message) => { seen.push(message.slice(0, 4)); }; },
  });
  const peer = openPeer(board);
  board.run(100);
  for (let n = 0; n < 400; n++) {
    sent.push(String(1000 + n));
    peer.send(frame(TEXT, sent[n] + 'x'.repeat(100)));
  }
  board.run(3000);
  assert.equal(peer.over, true);
  assert.deepEqual(seen, sent.slice(0, seen.length));
  board.check();
});

test('routed: what waits behind messages that nobody takes is held to one bound, over all sockets', () => {
  const sockets = [];
  const { board } = serveWebSocket({ firmware: 'routed', options: { pingSeconds: 0 }, handler: (path, headers, ws) => { sockets.push(ws); } });
  const peers = Array.from({ length: 4 }, () => openPeer(board));
  for (const length of [16000, 9000]) {
    for (const peer of peers) {
      peer.send(frame(BINARY, Buffer.alloc(length)));
      board.run(100);
    }
  }
  const open = sockets.filter((ws) => !ws.closed).length;
  assert.ok(open > 0);
  assert.ok(open * 25000 <= 16384 + 2 * 16384, `${open} hold 25000 bytes each`);
  board.check();
});
