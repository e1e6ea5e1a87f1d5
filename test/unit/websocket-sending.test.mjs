// Frames out: their bytes, back-pressure, bounds, pings; and pushing from timers.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../board/random.mjs';
import { FIRMWARES } from '../support/serve.mjs';
import { BINARY, CLOSE, frame, framesOf, hex, openPeer, PING, PONG, serveWebSocket, TEXT } from '../support/websocket.mjs';

/** An open socket, and the server's end of it in `ws`; its handler waits for messages and forgets them. */
function setUp({ firmware, options, handler, client, board: boardOptions }) {
  const codes = [];
  let ws;
  const { board } = serveWebSocket({
    firmware,
    options,
    board: boardOptions,
    handler: function* (path, headers, socket) {
      ws = socket;
      ws.onclose = (code) => { codes.push(code); };
      if (handler) yield* handler(ws);
      while ((yield* ws.recv()) !== null);
    },
  });
  const peer = openPeer(board, client);
  board.runUntil(() => ws);
  return { board, peer, ws, codes };
}

/** Steps an iterator that send() gave, once. */
const isDone = (sending) => sending.next().done;

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware: bytes`, () => {
    const of = (length) => new Uint8Array(length).map((_, i) => i * 7 + (i >> 8));
    const TABLE = [
      ['send() of a string', (ws) => ws.send('Hello'), '810548656c6c6f'],
      ['send() of bytes', (ws) => ws.send(new Uint8Array([0, 128, 255])), '82030080ff'],
      ['send() of an empty string', (ws) => ws.send(''), '8100'],
      ['send() of no bytes', (ws) => ws.send(new Uint8Array(0)), '8200'],
      ['send() of an object: JSON', (ws) => ws.send({ a: ['ä', null] }), '81117b2261223a5b22c3a4222c6e756c6c5d7d'],
      ['send() of a number: JSON', (ws) => ws.send(27.5), '810432372e35'],
      ['sendText()', (ws) => ws.sendText('aä€😀'), '810a61c3a4e282acf09f9880'],
      ['sendBinary()', (ws) => ws.sendBinary(new Uint8Array([1, 2])), '82020102'],
      ['sendBinary() of a part of an array', (ws) => ws.sendBinary(new Uint8Array([1, 2, 3, 4]).subarray(1, 3)), '82020203'],
      ['125 bytes', (ws) => ws.send(of(125)), `827d${hex(of(125))}`],
      ['126 bytes', (ws) => ws.send(of(126)), `827e007e${hex(of(126))}`],
      ['127 bytes', (ws) => ws.send(of(127)), `827e007f${hex(of(127))}`],
      ['16384 bytes', (ws) => ws.send(of(16384)), `827e4000${hex(of(16384))}`],
      ['65535 bytes', (ws) => ws.send(of(65535)), `827effff${hex(of(65535))}`, { maxMessageBytes: 70000 }],
      ['65536 bytes', (ws) => ws.send(of(65536)), `827f0000000000010000${hex(of(65536))}`, { maxMessageBytes: 70000 }],
      ['a text of 126 bytes in 63 characters', (ws) => ws.send('ä'.repeat(63)), `817e007e${'c3a4'.repeat(63)}`],
      ['sendPing()', (ws) => ws.sendPing(), '8900'],
      ['sendPing() with bytes', (ws) => ws.sendPing(new Uint8Array([112])), '890170'],
      ['sendPing() with 125 bytes', (ws) => ws.sendPing(of(125)), `897d${hex(of(125))}`],
      ['sendPong()', (ws) => ws.sendPong(), '8a00'],
      ['sendPong() with bytes', (ws) => ws.sendPong(new Uint8Array([0])), '8a0100'],
      ['sendClose()', (ws) => ws.sendClose(), '880203e8'],
      ['sendClose() with a code', (ws) => ws.sendClose(4999), '88021387'],
      ['sendClose() with a reason', (ws) => ws.sendClose(1001, 'bye'), '880503e9627965'],
      ['sendClose() with a reason in UTF-8', (ws) => ws.sendClose(3000, '€'), '88050bb8e282ac'],
      ['sendClose() with a reason of 123 bytes', (ws) => ws.sendClose(1000, 'r'.repeat(123)), `887d03e8${'72'.repeat(123)}`],
      ['several at once, in order', (ws) => { ws.send('a'); ws.sendPing(); ws.send(new Uint8Array([1])); ws.sendClose(); }, '810161 8900 820101 880203e8'.replaceAll(' ', '')],
    ];
    for (const [name, action, expected, options] of TABLE) {
      test(name, () => {
        // From outside, such as a timer, and in the handler.
        const outside = setUp({ firmware, options });
        action(outside.ws);
        outside.board.runUntil(() => outside.peer.hex.length >= expected.length);
        outside.board.run(20);
        assert.equal(outside.peer.hex, expected);
        outside.board.check();
        const inside = setUp({ firmware, options, * handler(ws) { action(ws); } });
        inside.board.runUntil(() => inside.peer.hex.length >= expected.length);
        inside.board.run(20);
        assert.equal(inside.peer.hex, expected);
        inside.board.check();
      });
    }

    test('control frames above 125 bytes are refused where they are made, and the socket lives on', () => {
      const { board, peer, ws } = setUp({ firmware });
      assert.throws(() => ws.sendPing(new Uint8Array(126)), Error);
      assert.throws(() => ws.sendPong(new Uint8Array(126)), Error);
      assert.throws(() => ws.sendClose(1000, 'r'.repeat(124)), Error);
      assert.throws(() => ws.sendClose(1000, '€'.repeat(42)), Error);
      ws.send('a');
      board.run(5);
      assert.equal(peer.hex, '810161');
      assert.equal(ws.closed, false);
      board.check();
    });

    test('what is sent is what it was at the call', () => {
      const { board, peer, ws } = setUp({ firmware });
      const bytes = new Uint8Array([1, 2, 3]);
      ws.send(bytes);
      bytes.fill(9);
      board.run(5);
      assert.equal(peer.hex, '8203010203');
      board.check();
    });

    test('once closed, nothing more goes out', () => {
      const { board, peer, ws } = setUp({ firmware });
      ws.sendClose(1000);
      const all = [ws.send('a'), ws.sendPing(), ws.sendPong(), ws.sendClose(1001)];
      board.run(20);
      assert.equal(peer.hex, '880203e8');
      board.runUntil(() => peer.over);
      all.push(ws.send('b'));
      board.run(100);
      assert.equal(peer.hex, '880203e8');
      assert.deepEqual(all.map(isDone), [true, true, true, true, true], 'nobody waits for what will never go out');
      board.check();
    });
  });

  describe(`${firmware} firmware: back-pressure`, () => {
    test('the iterator of send() ends when the bytes are out, not before', () => {
      const { board, peer, ws } = setUp({ firmware, client: { window: 1000 } });
      peer.client.pause();
      const first = ws.send(new Uint8Array(3000)); // fits in lwIP's send buffer
      board.run(5);
      assert.equal(isDone(first), true);
      assert.equal(ws.bufferedAmount, 0);
      const second = ws.send(new Uint8Array(14000)); // does not
      board.run(500);
      assert.equal(isDone(second), false);
      assert.ok(ws.bufferedAmount > 4000 && ws.bufferedAmount < 14000, String(ws.bufferedAmount));
      peer.client.resume();
      board.runUntil(() => isDone(second));
      assert.equal(ws.bufferedAmount, 0);
      board.runUntil(() => peer.frames.length === 2);
      board.check();
    });

    test('each send() has its own end', () => {
      const { board, peer, ws } = setUp({ firmware, client: { window: 1000 } });
      peer.client.pause();
      ws.send(new Uint8Array(12000));
      board.run(20);
      const sendings = [ws.send('one'), ws.send('two'), ws.send(new Uint8Array(9000))];
      board.run(20);
      assert.deepEqual(sendings.map(isDone), [false, false, false]);
      peer.client.resume();
      const order = [];
      board.runUntil(() => {
        sendings.forEach((sending, n) => { if (!order.includes(n) && isDone(sending)) order.push(n); });
        return order.length === 3;
      });
      assert.deepEqual(order, [0, 1, 2]);
      board.check();
    });

    test('yield* keeps a handler in step with a slow client: all arrives, and never more than one message waits', () => {
      let most = 0;
      const sent = [];
      const { board, peer } = setUp({
        firmware,
        client: { window: 1500 },
        * handler(ws) {
          for (let n = 0; n < 60; n++) {
            const message = String(n).padStart(4000, '.');
            sent.push(message);
            const sending = ws.send(message);
            most = Math.max(most, ws.bufferedAmount);
            yield* sending;
          }
        },
      });
      for (let n = 0; n < 400 && peer.messages.length < 60; n++) {
        peer.client[n % 2 ? 'pause' : 'resume']();
        board.run(30);
      }
      peer.client.resume();
      board.runUntil(() => peer.messages.length === 60);
      assert.deepEqual(peer.messages, sent);
      assert.ok(most <= 4004, `${most} bytes waited`);
      board.check();
    });

    test('bufferedAmount counts what waits, from the call on', () => {
      const { board, peer, ws } = setUp({ firmware, client: { window: 500 } });
      peer.client.pause();
      assert.equal(ws.bufferedAmount, 0);
      ws.send(new Uint8Array(100));
      assert.equal(ws.bufferedAmount, 102);
      ws.send('aä');
      assert.equal(ws.bufferedAmount, 107);
      board.run(5);
      assert.equal(ws.bufferedAmount, 0);
      board.check();
    });

    test('a client that takes nothing is dropped when more than maxMessageBytes waits, and memory stays bounded', () => {
      const { board, peer, ws, codes } = setUp({ firmware, client: { window: 1000 } });
      peer.client.pause();
      let most = 0;
      for (let n = 0; n < 200; n++) {
        ws.send(new Uint8Array(1000));
        most = Math.max(most, ws.bufferedAmount);
        board.run(1);
      }
      assert.deepEqual(codes, [1006]);
      assert.equal(ws.closed, true);
      assert.ok(most <= 16384 + 1100, `${most} bytes waited`);
      board.run(50);
      assert.equal(board.vitals().states.ESTABLISHED ?? 0, 0, 'it was given up');
      board.check();
    });

    test('the same when all is sent at once, without a step in between', () => {
      const { board, peer, ws, codes } = setUp({ firmware, client: { window: 1000 } });
      peer.client.pause();
      let most = 0;
      for (let n = 0; n < 300; n++) {
        ws.send(new Uint8Array(1000));
        most = Math.max(most, ws.bufferedAmount);
      }
      assert.ok(most <= 16384 + 1100, `${most} bytes waited`);
      board.run(50);
      assert.deepEqual(codes, [1006]);
      board.check();
    });

    test('a client that reads is not dropped for pinging while a message of maxMessageBytes is on its way to it', () => {
      for (const data of ['', 'abc', 'x'.repeat(125)]) {
        const { board, peer, codes } = setUp({ firmware, * handler(ws) { ws.send(yield* ws.recv()); } });
        peer.send(frame(BINARY, Buffer.alloc(16384))).send(frame(PING, data)).send(frame(PING, data));
        board.run(100);
        assert.deepEqual(codes, []);
        assert.deepEqual(peer.frames.map(({ opcode, payload }) => [opcode, payload.length]), [[BINARY, 16384], [PONG, data.length], [PONG, data.length]]);
        board.check();
      }
    });

    test('a slow client is not dropped for the ping that the server sends it while a message of maxMessageBytes waits', () => {
      const { board, peer, ws, codes } = setUp({ firmware, client: { window: 1000 }, options: { pingSeconds: 1 }, board: { passMicros: 1000 } });
      board.run(900);
      peer.polite().client.pause();
      ws.send(new Uint8Array(11676 - 996)); // the two fill lwIP's buffer, but for what the client's window took
      board.run(10);
      ws.send(new Uint8Array(996));
      board.run(10);
      ws.send(new Uint8Array(16384));
      board.run(500);
      peer.client.resume();
      board.run(1000);
      assert.deepEqual(codes, []);
      assert.deepEqual(peer.messages.map(({ length }) => length / 2), [10680, 996, 16384]);
      board.check();
    });

    test('a client that takes nothing of what waits for it is dropped after requestTimeoutSeconds', () => {
      const { board, peer, ws, codes } = setUp({ firmware, client: { window: 1000 }, options: { requestTimeoutSeconds: 4, pingSeconds: 0 }, board: { passMicros: 1000 } });
      board.run(8000); // quiet is no reason
      assert.deepEqual(codes, []);
      peer.client.pause();
      ws.send(new Uint8Array(15000));
      board.run(3900);
      assert.deepEqual(codes, []);
      board.run(200);
      assert.deepEqual(codes, [1006]);
      board.check();
    });

    test('slow is not dead: a client that takes a little every second keeps its socket', () => {
      const { board, peer, ws, codes } = setUp({ firmware, client: { window: 600 }, options: { requestTimeoutSeconds: 4, pingSeconds: 0 }, board: { passMicros: 1000 } });
      peer.client.pause();
      const message = new Uint8Array(16000);
      ws.send(message);
      for (let n = 0; n < 25; n++) {
        board.run(1000);
        peer.client.resume();
        board.run(4);
        peer.client.pause();
      }
      assert.deepEqual(codes, []);
      peer.client.resume();
      board.runUntil(() => peer.messages.length === 1);
      board.check();
    });
  });

  describe(`${firmware} firmware: frames`, () => {
    test('are whole and in order, whoever sends: handler, timers, answers to pings, a slow and lossy link', () => {
      const seed = Number(process.env.SEED) || 7;
      const random = seededRandom(seed);
      const pick = (count) => Math.floor(random() * count);
      for (let round = 0; round < 8; round++) {
        const { board, peer, ws, codes } = setUp({
          firmware,
          client: { window: 2000 + pick(4000), delay: pick(10), loss: round % 2 ? 0.02 : 0 },
          board: { passMicros: 500, seed: round + 1 },
          options: { maxMessageBytes: 40000 },
        });
        const expected = [];
        const pongs = [];
        for (let n = 0; n < 60; n++) {
          const text = String(n).padStart(pick(4) ? pick(200) : pick(6000), 'x');
          if (ws.bufferedAmount < 20000) {
            expected.push(text);
            ws.send(text);
          }
          if (!pick(3)) {
            pongs.push(`p${n}`);
            peer.send(frame(PING, `p${n}`));
          }
          board.run(pick(20));
        }
        const done = () => peer.frames.filter(({ opcode }) => opcode === PONG).length === pongs.length && peer.messages.length === expected.length;
        board.runUntil(done, 60000);
        const { frames, data } = peer;
        assert.equal(frames.reduce((sum, { payload }) => sum + payload.length + (payload.length > 125 ? 4 : 2), 0), data.length, 'nothing but whole frames');
        assert.ok(frames.every(({ fin }) => fin), 'none is a fragment');
        assert.deepEqual(peer.messages, expected, `SEED=${seed}`);
        assert.deepEqual(frames.filter(({ opcode }) => opcode === PONG).map(({ payload }) => payload.toString()), pongs);
        assert.deepEqual(codes, []);
        board.check();
      }
    });
  });

  describe(`${firmware} firmware: pings`, () => {
    const pings = (peer) => peer.frames.filter(({ opcode }) => opcode === PING).length;
    const slow = { passMicros: 5000 };

    test('go out every 20 s, with nothing in them', () => {
      const { board, peer, codes } = setUp({ firmware, board: slow });
      peer.polite();
      board.run(19900);
      assert.equal(peer.hex, '');
      board.run(300);
      assert.equal(peer.hex, '8900');
      board.run(20000 * 4);
      assert.equal(peer.hex, '8900'.repeat(5));
      assert.deepEqual(codes, []);
      board.check();
    });

    test('pingSeconds is an option; 0 is none', () => {
      const some = setUp({ firmware, options: { pingSeconds: 2 }, board: slow });
      some.peer.polite();
      some.board.run(9000);
      assert.equal(pings(some.peer), 4);
      const none = setUp({ firmware, options: { pingSeconds: 0 }, board: slow });
      none.board.run(200000);
      assert.equal(none.peer.hex, '');
      assert.deepEqual(none.codes, []);
      none.peer.text('still there');
      none.board.run(50);
      assert.equal(none.peer.over, false);
      some.board.check();
      none.board.check();
    });

    test('two without an answer, and the client is dropped before a fourth would go out', () => {
      const { board, peer, ws, codes } = setUp({ firmware, options: { pingSeconds: 2 }, board: slow });
      const since = board.now;
      board.run(4300);
      assert.equal(peer.hex, '89008900');
      assert.deepEqual(codes, []);
      board.runUntil(() => codes.length, 4000);
      assert.ok(board.now - since < 8100, `${board.now - since} ms`);
      assert.deepEqual(codes, [1006]);
      assert.equal(ws.closed, true);
      board.run(100);
      assert.equal(board.vitals().states.ESTABLISHED ?? 0, 0);
      board.check();
    });

    test('a client that loses its power is dropped the same way', () => {
      const { board, peer, codes } = setUp({ firmware, options: { pingSeconds: 2 }, board: slow });
      board.run(1000);
      peer.client.vanish();
      board.runUntil(() => codes.length, 9000);
      assert.deepEqual(codes, [1006]);
      board.check();
    });

    test('a pong, whatever is in it, is an answer to all pings so far', () => {
      const { board, peer, codes } = setUp({ firmware, options: { pingSeconds: 2 }, board: slow });
      for (let n = 0; n < 10; n++) {
        board.run(4000); // every second ping is left unanswered
        peer.send(frame(PONG, 'anything'));
      }
      assert.deepEqual(codes, []);
      assert.ok(pings(peer) >= 18, String(pings(peer)));
      board.runUntil(() => codes.length, 9000);
      assert.deepEqual(codes, [1006]);
      board.check();
    });

    test('a pong that waits behind a message that nobody has taken yet counts all the same', () => {
      let go = false;
      const { board, peer, codes } = setUp({
        firmware, options: { pingSeconds: 2 }, board: slow,
        * handler() { while (!go) yield; },
      });
      peer.polite().text('for later');
      board.run(60000);
      assert.deepEqual(codes, []);
      assert.equal(pings(peer), 29);
      go = true;
      board.run(50);
      assert.equal(peer.over, false);
      board.check();
    });
  });

  describe(`${firmware} firmware: pushing from a timer`, () => {
    test('reaches all open sockets, and closed ones do no harm', () => {
      const all = [];
      const { board } = serveWebSocket({ firmware, board: { passMicros: 1000 }, handler: function* (path, headers, ws) {
        all.push(ws);
        while ((yield* ws.recv()) !== null);
      } });
      let count = 0;
      board.global.setInterval(() => {
        count++;
        all.forEach((ws) => ws.send(String(count)));
      }, 50);
      const peers = firmware === 'stock' ? [openPeer(board)] : [1, 2, 3, 4].map(() => openPeer(board));
      board.run(500);
      const before = count;
      if (peers.length > 1) peers[1].close();
      if (peers.length > 2) peers[2].client.reset();
      board.run(500);
      const live = peers.length > 1 ? [peers[0], peers[3]] : peers;
      for (const { messages } of live) {
        const first = Number(messages[0]);
        assert.deepEqual(messages, Array.from({ length: messages.length }, (_, i) => String(first + i)));
        assert.ok(Number(messages.at(-1)) >= count - 1 && messages.length > 15, messages.join());
      }
      if (peers.length > 1) {
        const frames = framesOf(peers[1].data);
        assert.equal(frames.at(-1).opcode, CLOSE, 'nothing follows the close frame');
        assert.ok(frames.length <= before + 2);
      }
      board.check();
    });

    test('a plain function as handler, and onmessage, need no generator', () => {
      const { board } = serveWebSocket({ firmware, handler: (path, headers, ws) => {
        ws.onmessage = (data) => { ws.send(data); };
        ws.send('welcome');
      } });
      const peer = openPeer(board);
      peer.text('a').send(frame(BINARY, 'bc')).send(frame(TEXT, '', { fin: false })).send(frame(0, 'd'));
      board.run(50);
      assert.equal(peer.hex, `8107${Buffer.from('welcome').toString('hex')}8101618202626381016 4`.replaceAll(' ', ''));
      board.run(15000);
      assert.equal(peer.over, false);
      board.check();
    });
  });
}
