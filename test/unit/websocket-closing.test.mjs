// How a WebSocket ends: by either side, in order or not; what the handler sees of it, and what is left behind.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FIRMWARES } from '../support/serve.mjs';
import { BINARY, bytes, CLOSE, frame, openPeer, Peer, PING, recorder, serveWebSocket, TEXT } from '../support/websocket.mjs';

/** An open socket, and what its handler sees. `handler(ws, seen)` runs first. */
function setUp({ firmware, options, handler = () => {}, client, board: boardOptions }) {
  const seen = { messages: [], codes: [], ended: false, returned: false, ws: undefined };
  const set = serveWebSocket({
    firmware,
    options,
    board: boardOptions,
    handler: function* (path, headers, ws) {
      seen.ws = ws;
      ws.onclose = (code) => {
        seen.codes.push(code);
        assert.equal(ws.closed, true);
        assert.equal(ws.closeCode, code);
      };
      try {
        const first = handler(ws, seen);
        if (first) yield* first;
        for (let message; (message = yield* ws.recv()) !== null;) seen.messages.push(message);
        seen.ended = true;
      } finally {
        seen.returned = true;
      }
    },
  });
  const peer = openPeer(set.board, client);
  set.board.run(1);
  return { ...set, peer, seen };
}

/** Everything that a socket had is given back: the server is as it was in the beginning. */
function assertNothingLeft(board) {
  board.run(40000);
  const { states, fds, openFiles } = board.vitals();
  assert.equal(states.ESTABLISHED ?? 0, 0);
  assert.equal(states.FIN_WAIT_2 ?? 0, 0);
  assert.ok(fds <= 4 + 5, `${fds} fds`); // those that listen, and one for each PCB
  assert.equal(openFiles, 0);
  // And the next one is served.
  const next = openPeer(board);
  next.close();
  board.runUntil(() => next.over);
  board.check();
}

const SLOW = { passMicros: 1000 };

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware: the client closes`, () => {
    test('its close frame is answered, and the server ends the connection at once', () => {
      const { board, peer, seen } = setUp({ firmware, board: SLOW });
      assert.equal(seen.ws.closed, false);
      assert.equal(seen.ws.closeCode, 0);
      peer.close('03e9');
      const since = board.now;
      board.runUntil(() => peer.over);
      assert.ok(board.now - since < 20, `${board.now - since} ms`);
      assert.equal(peer.hex, '880203e9');
      assert.deepEqual(seen, { ...seen, codes: [1001], ended: true, returned: true, messages: [] });
      assert.equal(peer.client.wasReset, false);
      assertNothingLeft(board);
    });

    test('messages before its close frame are taken first, and what a handler sends for them still goes out', () => {
      const { board } = serveWebSocket({ firmware, handler: function* (path, headers, ws) {
        for (let message; (message = yield* ws.recv()) !== null;) yield* ws.send(`<${message}>`);
      } });
      const peer = openPeer(board);
      peer.text('a').text('b').text('c').close();
      board.runUntil(() => peer.over);
      assert.deepEqual(peer.messages, ['<a>', '<b>', '<c>']);
      assert.equal(peer.frames.at(-1).opcode, CLOSE);
      board.check();
    });

    test('messages, close frame and FIN in one go: as an impatient client does it', () => {
      const { board, peer, seen } = setUp({ firmware });
      peer.text('a').text('b').close();
      peer.client.end();
      board.run(50);
      assert.deepEqual(seen.messages, ['a', 'b']);
      assert.equal(seen.codes.length, 1);
      assert.equal(seen.ended, true);
      board.check();
    });

    test('FIN without a close frame is 1006', () => {
      const { board, peer, seen } = setUp({ firmware, board: SLOW });
      peer.client.end();
      board.run(10);
      assert.deepEqual(seen, { ...seen, codes: [1006], ended: true, returned: true });
      assert.equal(seen.ws.closed, true);
      assertNothingLeft(board);
    });

    test('FIN in the midst of a frame is 1006', () => {
      const { board, peer, seen } = setUp({ firmware });
      peer.send('8185 37fa213d 7f9f');
      board.run(5);
      peer.client.end();
      board.run(10);
      assert.deepEqual(seen, { ...seen, codes: [1006], ended: true, messages: [] });
      board.check();
    });

    test('a reset is 1006', () => {
      const { board, peer, seen } = setUp({ firmware, board: SLOW });
      peer.client.reset();
      board.run(10);
      assert.deepEqual(seen, { ...seen, codes: [1006], ended: true, returned: true });
      assertNothingLeft(board);
    });

    test('reset sockets, 40 in a row, cost nothing for good', () => {
      const { board, peer } = setUp({ firmware, board: SLOW });
      peer.client.reset();
      let served = 0;
      for (let n = 0; n < 40; n++) {
        board.run(20);
        const next = new Peer(board);
        board.run(20);
        if (next.status === '101') served++;
        next.client.reset();
      }
      assert.ok(served >= 20, `${served} of 40 were served`);
      board.run(20);
      // A client that comes now is served, if it tries twice.
      const tries = [0, 1, 2].map(() => {
        const next = new Peer(board);
        board.run(100);
        next.client.end();
        board.run(100);
        return next.status;
      });
      assert.ok(tries.includes('101'), tries.join());
      board.run(40000);
      assert.ok(board.vitals().fds <= 13, JSON.stringify(board.vitals()));
      board.check();
    });

    test('sockets that are closed or left, 60 in a row, cost nothing for good', () => {
      const { board, peer } = setUp({ firmware, board: SLOW });
      peer.close();
      for (let n = 0; n < 60; n++) {
        board.run(20);
        const next = openPeer(board);
        if (n % 3) next.close();
        else next.client.end();
      }
      board.run(20);
      assertNothingLeft(board);
    });

    test('a handler that is not waiting for messages is ended, by return()', () => {
      for (const leave of [(peer) => peer.close(), (peer) => peer.client.end(), (peer) => peer.client.reset()]) {
        const { board, peer, seen } = setUp({ firmware, * handler() { for (;;) yield; } });
        leave(peer);
        board.run(20);
        assert.deepEqual([seen.codes.length, seen.ended, seen.returned], [1, false, true]);
        board.check();
      }
    });

    test('a handler that waits for its bytes to go out is let go', () => {
      for (const leave of [(peer) => peer.close(), (peer) => peer.client.end(), (peer) => peer.client.reset()]) {
        const { board, peer, seen } = setUp({ firmware, client: { window: 1000 }, * handler(ws) { yield* ws.send(new Uint8Array(16000)); } });
        peer.client.pause();
        board.run(50);
        leave(peer);
        board.run(20);
        peer.client.resume();
        board.run(500);
        assert.deepEqual([seen.codes.length, seen.ended, seen.returned], [1, true, true]);
        board.check();
      }
    });

    test('its close frame is seen although a message before it was not taken', () => {
      const { board, peer, seen } = setUp({ firmware, board: SLOW, * handler() { for (;;) yield; } });
      peer.text('nobody wants this').close('03e9');
      board.runUntil(() => peer.over, 3000);
      assert.equal(peer.hex, '880203e9');
      assert.deepEqual([seen.codes, seen.returned], [[1001], true]);
      board.check();
    });
  });

  describe(`${firmware} firmware: the server closes`, () => {
    /** [why, what the handler does, what goes out, the code]. */
    const REASONS = [
      ['the handler ends', function* () {}, '880203e8', 1000],
      ['the handler ends later', function* (ws) { yield* ws.send('a'); yield; }, '810161880203e8', 1000],
      ['the handler returns something', function* () { return 42; }, '880203e8', 1000],
      ['the handler throws', function* () { throw new Error('secret'); }, '880203f3', 1011],
      ['the handler throws later', function* (ws) { yield* ws.send('a'); throw new Error('secret'); }, '810161880203f3', 1011],
      ['the handler throws nothing', function* () { throw undefined; }, '880203f3', 1011],
      ['a plain handler throws', () => { throw new Error('secret'); }, '880203f3', 1011],
      ['the handler closes', function* (ws) { yield* ws.sendClose(4000, 'bye'); }, '88050fa0627965', 4000],
      ['the handler closes and stays', function* (ws) { ws.sendClose(1001); for (;;) yield; }, '880203e9', 1001],
      ['a plain handler closes', (ws) => { ws.sendClose(); }, '880203e8', 1000],
    ];
    for (const [why, handler, output, code] of REASONS) {
      /** @returns what `polite`, a client, sees and does */
      const run = (behave) => {
        const codes = [];
        const set = serveWebSocket({ firmware, board: SLOW, handler: (path, headers, ws) => {
          ws.onclose = (each) => { codes.push(each); };
          return handler(ws);
        } });
        const peer = openPeer(set.board);
        behave(peer, set.board);
        return { ...set, peer, codes };
      };

      test(`${why}: the client answers, and the connection ends soon and without reset`, () => {
        const { board, peer, codes } = run((each) => each.polite());
        board.runUntil(() => peer.hex.length >= output.length);
        const since = board.now;
        board.runUntil(() => peer.over);
        assert.ok(board.now - since < 400, `${board.now - since} ms`);
        assert.equal(peer.hex, output);
        assert.deepEqual(codes, [code]);
        assert.equal(peer.client.wasReset, false);
        assertNothingLeft(board);
      });

      test(`${why}: the client does not answer`, () => {
        const { board, peer, codes } = run(() => {});
        const since = board.now;
        board.runUntil(() => peer.over);
        assert.ok(board.now - since < 400, `${board.now - since} ms`);
        assert.equal(peer.hex, output);
        assert.deepEqual(codes, [code]);
        assert.equal(peer.client.wasReset, false);
        board.check();
      });
    }

    test('a client that never stops sending is heard out for 2 s', () => {
      const { board, peer, seen } = setUp({ firmware, board: SLOW, * handler(ws) { ws.sendClose(1001); } });
      const since = board.now;
      while (!peer.over && board.now < since + 5000) {
        peer.text('and on');
        board.run(50);
      }
      assert.ok(board.now - since > 1900 && board.now - since < 2300, `${board.now - since} ms`);
      assert.equal(peer.hex, '880203e9');
      assert.deepEqual(seen.messages, []);
      assertNothingLeft(board);
    });

    test('a client that takes nothing is given up after requestTimeoutSeconds', () => {
      const { board, peer, seen } = setUp({
        firmware, board: SLOW, client: { window: 1000 }, options: { requestTimeoutSeconds: 3 },
        * handler(ws) { ws.send(new Uint8Array(14000)); },
      });
      peer.client.pause();
      board.run(100);
      seen.ws.sendClose(1001);
      board.run(3500);
      assert.deepEqual(seen.codes, [1001]);
      assert.equal(board.vitals().states.ESTABLISHED ?? 0, 0);
      assert.equal(seen.returned, true);
      board.check();
    });

    test('all that was sent before the close frame goes out before it', () => {
      const { board, peer } = setUp({ firmware, client: { window: 1000, delay: 5 }, * handler(ws) {
        ws.send('x'.repeat(15000));
        ws.sendClose(1000);
      } });
      board.runUntil(() => peer.over);
      assert.deepEqual(peer.messages.map(({ length }) => length), [15000]);
      assert.equal(peer.frames.at(-1).opcode, CLOSE);
      assert.equal(peer.client.wasReset, false);
      board.check();
    });

    test('both close at the same time: one close frame each', () => {
      const { board, peer, seen } = setUp({ firmware, client: { delay: 10 } });
      peer.close('0fa0');
      seen.ws.sendClose(4001);
      board.runUntil(() => peer.over);
      assert.equal(peer.hex, '88020fa1');
      assert.deepEqual(seen.codes, [4001]);
      assert.equal(peer.client.wasReset, false);
      board.check();
    });

    test('messages that come after its close frame are not seen by the handler', () => {
      const { board, peer, seen } = setUp({ firmware });
      peer.text('before');
      board.run(5);
      seen.ws.sendClose(1000);
      peer.text('after').send(frame(PING, 'x'));
      board.runUntil(() => peer.over);
      assert.deepEqual(seen.messages, ['before']);
      assert.equal(peer.hex, '880203e8');
      board.check();
    });

    test('onmessage that throws is 1011', () => {
      const { board } = serveWebSocket({ firmware, handler: (path, headers, ws) => { ws.onmessage = () => { throw new Error('secret'); }; } });
      const peer = openPeer(board);
      peer.polite().text('a');
      board.runUntil(() => peer.over);
      assert.equal(peer.hex, '880203f3');
      assert.deepEqual(board.console.map(({ text }) => text.split('\n')[0]), ['Error: secret']);
      assertNothingLeft(board);
    });

    test('why a handler failed is logged, not told', () => {
      const { board } = serveWebSocket({ firmware, handler: () => { throw new Error('secret'); } });
      const peer = openPeer(board);
      board.runUntil(() => peer.over);
      assert.equal(peer.hex, '880203f3');
      assert.match(board.console.map(({ text }) => text).join('\n'), /secret/);
      board.check();
    });

    test('an async handler closes its socket with 1000 when it ends, and with 1011 when it fails, which is printed', async () => {
      for (const [why, closeFrame, lines] of [['', '880203e8', []], ['secret', '880203f3', ['Error: secret']]]) {
        let settle;
        const { board } = serveWebSocket({ firmware, handler: async (path, headers, ws) => {
          await new Promise((resolve) => { settle = resolve; });
          ws.send('a');
          if (why) throw new Error(why);
        } });
        const peer = openPeer(board).polite();
        board.run(1000);
        assert.equal(peer.hex, '', 'it is open while the handler waits');
        settle();
        for (let i = 0; i < 100 && !peer.over; i++) {
          await null;
          board.run(1);
        }
        assert.equal(peer.hex, `810161${closeFrame}`);
        assert.deepEqual(board.console.map(({ text }) => text.split('\n')[0]), lines);
        assertNothingLeft(board);
      }
    });

    test('a handler that closes its server while it is stepped is not stepped again: 1006, and nothing is printed', () => {
      const codes = [];
      const { board, server } = serveWebSocket({ firmware, handler: function* (path, headers, ws) {
        ws.onclose = (code) => codes.push(code);
        yield* ws.recv();
        server.close();
        yield;
      } });
      const peer = openPeer(board);
      peer.text('a');
      board.run(100);
      assert.deepEqual(codes, [1006]);
      assert.deepEqual(board.console, []);
      board.check();
    });

    test('an async generator is no handler: 1011, and a line that says why', async () => {
      const { board } = serveWebSocket({ firmware, handler: async function* () { yield 1; } });
      const peer = openPeer(board).polite();
      board.runUntil(() => peer.over);
      assert.equal(peer.hex, '880203f3');
      assert.match(board.console.map(({ text }) => text).join(), /Async generators/);
      await null;
      assertNothingLeft(board);
    });

    test('sendClose() throws for a code that may not be sent, and the socket stays open', () => {
      const { board, peer, seen } = setUp({ firmware });
      for (const code of [1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70000, -1]) {
        assert.throws(() => seen.ws.sendClose(code), /^Error: Bad close code$/, String(code));
      }
      assert.equal(seen.ws.closed, false);
      peer.polite().text('still');
      board.run(5);
      assert.deepEqual(seen.messages, ['still']);
      seen.ws.sendClose(4999);
      board.runUntil(() => peer.over);
      assert.equal(peer.hex, '88021387');
      board.check();
    });

    test('onclose that throws does not hurt the server', () => {
      for (const end of [(peer) => peer.close(), (peer) => peer.client.end(), (peer) => peer.client.reset(), (peer) => peer.send('8180 00000000'), (peer) => peer.send('ffff')]) {
        let handlerEnded = 0;
        const { board } = serveWebSocket({ firmware, board: SLOW, handler: function* (path, headers, ws) {
          ws.onclose = () => { throw new Error('x'); };
          try {
            while ((yield* ws.recv()) !== null) return;
          } finally {
            handlerEnded++;
          }
        } });
        const peer = openPeer(board);
        end(peer);
        board.run(500);
        assert.equal(handlerEnded, 1);
        assert.notEqual(peer.client.state, 'open');
        const next = openPeer(board);
        assert.equal(next.status, '101');
        board.check();
      }
    });

    test('a handler that fails while it is ended does not hurt the server', () => {
      for (const end of [(peer) => peer.close(), (peer) => peer.client.end(), (peer) => peer.client.reset()]) {
        const { board } = serveWebSocket({ firmware, board: SLOW, handler: function* (path, headers, ws) {
          if ((yield* ws.recv()) === null) throw new Error('x');
        } });
        const peer = openPeer(board);
        board.run(5);
        end(peer);
        board.run(500);
        assert.notEqual(peer.client.state, 'open');
        const next = openPeer(board);
        assert.equal(next.status, '101');
        board.check();
      }
    });

    test('server.close() ends open sockets, and their handlers see it', () => {
      const { board, server, peer, seen } = setUp({ firmware });
      server.close();
      board.run(20);
      assert.equal(peer.client.ended, true);
      assert.deepEqual([seen.codes, seen.ended, seen.returned], [[1006], true, true]);
      assert.equal(board.vitals().fds, 0);
      board.check();
    });

    test('the connection outlives requestTimeoutSeconds, quiet or not', () => {
      const { board, peer, seen } = setUp({ firmware, board: SLOW, options: { requestTimeoutSeconds: 2, pingSeconds: 0 } });
      board.run(10000);
      peer.send('8185 37fa213d 7f9f');
      board.run(10000);
      peer.send(bytes('4d5158'));
      board.run(10);
      assert.deepEqual(seen.messages, ['Hello']);
      assert.equal(peer.over, false);
      board.check();
    });

    test('a client is drained, not reset, when the handler trips over the null of a socket that the server closed', () => {
      const { board } = serveWebSocket({ firmware, * handler(path, headers, ws) {
        for (;;) ws.send('got ' + (yield* ws.recv()).length);
      } });
      const peer = openPeer(board);
      peer.send('c18000000000');
      for (let n = 0; n < 20; n++) {
        board.run(0.3);
        peer.send(frame(BINARY, Buffer.alloc(600, n)));
      }
      board.run(3000);
      assert.equal(peer.hex, '880203ea');
      assert.deepEqual([peer.client.ended, peer.client.wasReset], [true, false]);
      board.check();
    });

    test('who goes on sending behind what is no frame is drained until 250 ms after the last of it', () => {
      const { board } = serveWebSocket({ firmware });
      const peer = openPeer(board);
      peer.send('c18000000000');
      for (let n = 0; n < 6; n++) {
        board.run(100);
        peer.send('c18000000000');
      }
      board.run(200);
      assert.equal(peer.over, false);
      board.run(200);
      assert.deepEqual([peer.client.ended, peer.client.wasReset], [true, false]);
      board.check();
    });

    test('half the head of a frame does not keep a closed socket', () => {
      let ws;
      const { board } = serveWebSocket({ firmware, handler: (path, headers, socket) => { ws = socket; } });
      const peer = openPeer(board);
      ws.sendClose();
      board.run(20);
      peer.send('82');
      board.run(600);
      assert.deepEqual([peer.client.ended, peer.client.wasReset], [true, false]);
      board.check();
    });

    for (const what of ['an error answer', 'a close frame']) {
      test(`nobody is drained for more than 2 seconds behind ${what}`, () => {
        const { board } = serveWebSocket({ firmware });
        let client;
        let more = 'a'.repeat(50);
        if (what === 'a close frame') {
          const peer = openPeer(board);
          peer.send('c18000000000');
          client = peer.client;
          more = frame(BINARY, Buffer.alloc(50));
        } else {
          client = board.connect({ port: 80, delay: 0.5 });
          client.send('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n');
        }
        for (let n = 0; n < 24; n++) {
          board.run(100);
          if (!client.ended) client.send(more);
          if (n < 16) assert.equal(client.ended, false, n);
        }
        assert.equal(client.ended || client.wasReset, true);
        board.check();
      });
    }
  });
}

test('what a recorder sees is what was sent: the tests look at the right thing', () => {
  const { seen, handler } = recorder();
  const { board } = serveWebSocket({ firmware: 'stock', handler });
  openPeer(board).text('a').send('8281 00000000 ff').close();
  board.run(50);
  assert.deepEqual(seen, { messages: ['a', 'ff'], codes: [1000], ended: true, ws: seen.ws });
});

for (const firmware of FIRMWARES) {
  test(`${firmware}: a message that waits when the client closes is still given, then null`, () => {
    const got = [];
    const { board } = serveWebSocket({
      firmware,
      handler: function* (path, headers, ws) {
        while (!ws.closed) yield;
        got.push(yield* ws.recv(), yield* ws.recv());
      },
    });
    const peer = openPeer(board);
    peer.send(Buffer.concat([frame(TEXT, 'last words'), frame(CLOSE, bytes('03e8'))]));
    board.run(100);
    assert.deepEqual(got, ['last words', null]);
    assert.equal(peer.hex, '880203e8');
    board.check();
  });

  test(`${firmware}: messages that come while the server's close frame waits to go out are given to nobody`, () => {
    const got = [];
    let socket;
    const { board } = serveWebSocket({
      firmware,
      handler: (path, headers, ws) => {
        socket = ws;
        ws.onmessage = (message) => { got.push(message); };
      },
    });
    const peer = openPeer(board, { window: 1000 });
    peer.client.pause();
    socket.send(new Uint8Array(16000));
    board.run(50);
    socket.sendClose();
    peer.text('late');
    board.run(200);
    assert.equal(socket.bufferedAmount > 0, true);
    assert.deepEqual(got, []);
    board.check();
  });
}
