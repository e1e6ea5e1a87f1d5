// Where two things meet: the socket and a reader of stock firmware whose segments come in one pass, handlers that change how they listen,
// clients that leave at that moment, limits of one beside those of others.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BROWSER, FIRMWARES } from '../support/serve.mjs';
import { BINARY, bytes, CLOSE, frame, openPeer, serveWebSocket, TEXT } from '../support/websocket.mjs';

const get = (path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n${BROWSER}\r\n`;
const head = (length) => `POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`;
const bodyOf = (client) => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);
function stock() {
  const seen = { messages: [], codes: [], requests: [], ws: undefined };
  const set = serveWebSocket({
    firmware: 'stock', board: { passMicros: 500 },
    *handler(path, headers, ws) {
      seen.ws = ws;
      ws.onclose = (code) => { seen.codes.push(code); };
      for (let message; (message = yield* ws.recv()) !== null;) seen.messages.push(message);
    },
    routes: (server) => {
      server.route('/n/(.*)', 'GET', (path, query, headers, body, match) => { seen.requests.push(path); return 'page ' + match[1]; });
      server.route('/big', 'GET', () => 'b'.repeat(50000));
      server.route('/echo', 'POST', (path, query, headers, body) => body);
    },
  });
  const peer = openPeer(set.board);
  set.board.run(5);
  const client = set.board.connect({ port: 80, delay: 0.5 });
  set.board.runUntil(() => client.state === 'open', 12000);
  set.board.run(2);
  return { ...set, seen, peer, client };
}

describe('stock: segments of one pass, when one of the two ends in it', () => {
  test('the socket ends between the segments of a body: they stay in order', () => {
    const { board, client, peer } = stock();
    client.send(head(9)); client.send('AAA'); client.send('BBB'); peer.client.end(); client.send('CCC');
    board.run(50);
    assert.equal(bodyOf(client), 'AAABBBCCC');
  });
  test('the socket says good-bye between them: no byte of that is in the body', () => {
    const { board, client, peer, seen } = stock();
    client.send(head(6)); client.send('AAA'); peer.client.send(frame(CLOSE, bytes('03e9'))); peer.client.end(); client.send('BBB');
    board.run(50);
    assert.equal(bodyOf(client), 'AAABBB');
    assert.deepEqual(seen.codes, [1001]);
  });
  test('a page is asked for while the socket says good-bye: the next page on that connection is answered', () => {
    const { board, client, peer, seen } = stock();
    client.send(get('/n/1')); peer.client.send(frame(CLOSE, bytes('03e9'))); peer.client.end();
    board.run(50);
    client.send(get('/n/2'));
    board.run(100);
    assert.deepEqual(seen.requests, ['/n/1', '/n/2']);
    assert.ok(!client.text.includes(' 400 '));
  });
  for (const [name, act] of [['two requests', (c) => { c.send(get('/n/1')); c.send(get('/n/2')); c.end(); }], ['a head, a body', (c) => { c.send(head(6)); c.send('abcdef'); c.end(); }],
    ['a long answer, and a request behind', (c) => { c.send(get('/big')); c.send(get('/n/2')); }]]) {
    test(`a visitor leaves at once (${name}): the socket goes on`, () => {
      const { board, client, peer, seen } = stock();
      act(client);
      board.run(100);
      peer.text('still');
      board.run(50);
      assert.deepEqual([seen.messages, seen.codes], [['still'], []]);
    });
  }
  test('a body of bytes while a closed socket is drained', () => {
    const { board, client, seen } = stock();
    seen.ws.sendClose();
    board.run(20);
    client.send(head(3000));
    board.run(20);
    client.send(Buffer.alloc(3000, 0xf3));
    board.run(200);
    assert.equal(bodyOf(client).length, 3000);
  });
  for (const [size, parts] of [[600, 2], [3000, 2], [3000, 7], [5, 11], [0, 2]]) {
    test(`a socket is closed within a message of ${size} bytes: none of what it still sends (in ${parts} parts) is in an upload`, () => {
      const { board, client, peer, seen } = stock();
      const message = frame(BINARY, Buffer.alloc(size, 7));
      const rest = Buffer.concat([message.subarray(3), message, message, frame(CLOSE, bytes('03e8'))]);
      client.send(head(20));
      client.send('0123456789');
      board.run(5);
      peer.send(message.subarray(0, 3));
      board.run(5);
      seen.ws.sendClose();
      board.run(5);
      for (let n = 0; n < parts; n++) {
        peer.send(rest.subarray(n * rest.length / parts, (n + 1) * rest.length / parts));
        board.run(20);
      }
      client.send('abcdefghij');
      board.run(50);
      assert.equal(bodyOf(client), '0123456789abcdefghij');
    });
  }
  test('a long text message and an upload of bytes, segment by segment', () => {
    const { board, client, peer, seen } = stock();
    const text = 'abcdefghij'.repeat(500);
    const message = frame(TEXT, text);
    const body = Buffer.from(Array.from({ length: 5000 }, (_, i) => i * 89 + (i >> 5) * 7 & 255));
    client.send(head(body.length));
    for (let at = 0; at < 5006; at += 1460) {
      board.run(2); peer.send(message.subarray(at, at + 1460));
      board.run(2); client.send(body.subarray(at, at + 1460));
    }
    board.run(50);
    assert.deepEqual(seen.messages, [text]);
    assert.equal(bodyOf(client), body.toString('latin1'));
  });
});

for (const paused of [true, false]) {
  test(`stock: behind bytes that make a text invalid, the rest of its frame is not another client's (${paused ? 'the close frame waits' : 'at once'})`, () => {
    let ws;
    const { board } = serveWebSocket({
      firmware: 'stock', board: { passMicros: 500 },
      handler: (path, headers, socket) => { ws = socket; ws.onmessage = () => {}; },
      routes: (server) => server.route('/echo', 'POST', (path, query, headers, body) => body),
    });
    const peer = openPeer(board, { window: 400 });
    board.run(20);
    const client = board.connect({ port: 80, delay: 0.5 });
    board.runUntil(() => client.state === 'open', 12000);
    client.send('POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n');
    board.run(5);
    client.send('0123456789');
    board.run(5);
    if (paused) {
      peer.client.pause();
      ws.send(new Uint8Array(16000));
      board.run(20);
    }
    const message = frame(TEXT, Buffer.concat([Buffer.alloc(60, 97), Buffer.from([255]), Buffer.alloc(339, 97)]), { mask: Buffer.from([129, 130, 131, 132]) });
    for (let at = 0; at < message.length; at += 70) {
      peer.send(message.subarray(at, at + 70));
      board.run(paused ? 20 : 0.5);
    }
    board.run(20);
    client.send('abcdefghij');
    board.run(50);
    assert.equal(ws.closeCode, 1007);
    assert.equal(bodyOf(client), '0123456789abcdefghij');
    board.check();
  });
}

for (const firmware of FIRMWARES) {
  describe(firmware, () => {
    const run = (handler, act, options) => {
      const set = serveWebSocket({ firmware, handler, options });
      const peer = openPeer(set.board);
      set.board.run(20);
      act(peer, set.board);
      set.board.run(500);
      return { ...set, peer };
    };
    test('recvFrame() after a message came: it is the first frame', () => {
      const got = [];
      run(function* (path, headers, ws) {
        while (got.length < 500) { got.push(0); yield; }
        for (let each; (each = yield* ws.recvFrame());) got.push(Buffer.from(each.payload).toString());
      }, (peer) => { peer.text('one'); peer.text('two'); });
      assert.deepEqual(got.slice(500), ['one', 'two']);
    });
    test('recvFrame() within a fragmented message', () => {
      const got = [];
      run(function* (path, headers, ws) {
        yield* ws.recv();
        for (let n = 0; n < 200; n++) yield;
        for (let each; (each = yield* ws.recvFrame());) got.push([each.opcode, each.fin, Buffer.from(each.payload).toString()]);
      }, (peer, board) => { peer.text('login'); peer.send(frame(TEXT, 'abcde', { fin: false })); board.run(100); peer.send(frame(0, '0123456789')); });
      assert.deepEqual(got, [[1, false, 'abcde'], [0, true, '0123456789']]);
    });
    test('onmessage that is set later gets the message that waits', () => {
      const got = [];
      let socket;
      run((path, headers, ws) => { socket = ws; }, (peer, board) => { peer.text('one'); board.run(100); socket.onmessage = (message) => { got.push(message); }; peer.text('two'); });
      assert.deepEqual(got, ['one', 'two']);
    });
    test('onmessage throws for the last message of a client that has left: onclose is called', () => {
      const codes = [];
      run((path, headers, ws) => { ws.onmessage = () => { throw new Error('no'); }; ws.onclose = (code) => { codes.push(code); }; }, (peer) => { peer.text('bad'); peer.client.end(); });
      assert.equal(codes.length, 1);
    });
    test('a message in fragments has a buffer of its own size', () => {
      const got = [];
      run((path, headers, ws) => { ws.onmessage = (message) => { got.push(message.buffer.byteLength); }; }, (peer) => { peer.send(frame(BINARY, 'ab', { fin: false })); peer.send(frame(0, 'cd')); });
      assert.deepEqual(got, [4]);
    });
    test('close() where a handler throws at the end, and from within a handler that is a generator', () => {
      const { server, board } = run(function* (path, headers, ws) { (yield* ws.recv()).length; }, () => {});
      server.close();
      assert.equal(board.vitals().fds - board.vitals().held <= 1, true);
      const inner = run(function* (path, headers, ws) { yield* ws.recv(); this.close(); }, (peer) => { peer.text('off'); });
      assert.equal(inner.server.next().done, true);
    });
    test('a message that is too large drops the client; a small one behind it changes nothing', () => {
      const { peer } = run(function* (path, headers, ws) { yield* ws.recv(); ws.send('x'.repeat(20000)); ws.send('small'); yield* ws.recv(); }, (peer) => { peer.text('go'); });
      assert.deepEqual([peer.messages, peer.over], [[], true]);
    });
    test('a message behind the close frame is dropped, and nothing else', () => {
      const { peer } = run(function* (path, headers, ws) { yield* ws.recv(); ws.send('y'.repeat(10000)); ws.sendClose(); ws.send('x'.repeat(10000)); }, (peer) => { peer.text('go'); });
      assert.deepEqual(peer.frames.map(({ opcode, payload }) => [opcode, payload.length]), [[1, 10000], [8, 2]]);
    });
    test('a large body beside a socket with small messages', () => {
      let socket;
      const { board } = serveWebSocket({ firmware, options: { maxBodyBytes: 50000, maxMessageBytes: 1000 }, handler: (path, headers, ws) => { socket = ws; }, routes: (server) => { server.route('/up', 'POST', (path, query, headers, body) => String(body.length)); } });
      openPeer(board);
      const client = board.connect({ port: 80, delay: 0.5 });
      board.runUntil(() => client.state === 'open', 12000);
      client.send('POST /up HTTP/1.1\r\nhost: x\r\ncontent-length: 40000\r\n\r\n');
      for (let n = 0; n < 40; n++) { client.send('x'.repeat(1000)); board.run(100); socket.send(`reading ${n}`); }
      board.run(100);
      assert.equal(bodyOf(client), '40000');
    });
  });
}
