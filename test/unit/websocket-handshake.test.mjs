// What each request for a WebSocket gets, in literal bytes, on both firmwares.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deliveries, exchange, FIRMWARES, TURNED_AWAY } from '../support/serve.mjs';
import { acceptOf, frame, handshake, KEY, openPeer, Peer, recorder, serveWebSocket, SWITCHED, TEXT } from '../support/websocket.mjs';

const routes = (server) => {
  server.route('/page', 'GET', () => 'page');
  server.route('/both', 'GET', () => 'plain');
  server.route('/both', 'WEBSOCKET', function* (path, headers, ws) { yield* ws.recv(); });
  server.route('/room/(\\w+)', 'WEBSOCKET', function* (path, headers, ws) { yield* ws.recv(); });
};

/** To one that is no browser. */
const refusal = (status, headers = '') =>
  `HTTP/1.1 ${status} \r\n${headers}content-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\nconnection: close\r\n\r\n${status}`;
/** Where sockets are, on both firmwares. */
const atSockets = { port: 81 };
const NOT_ASKED = refusal(426, 'upgrade: websocket\r\nsec-websocket-version: 13\r\n');
const OTHER_VERSION = NOT_ASKED;
const withProtocol = (name) => SWITCHED.replace(/\r\n$/, `sec-websocket-protocol: ${name}\r\n\r\n`);

const TABLE = [
  ['the sample of the RFC', handshake(), SWITCHED],
  ['what Firefox sends', handshake({ Connection: 'keep-alive, Upgrade', Origin: 'http://x', 'Sec-WebSocket-Extensions': 'permessage-deflate' }), SWITCHED],
  ['tokens in other case', handshake({ Upgrade: 'WebSocket', Connection: 'UPGRADE' }), SWITCHED],
  ['tokens last in their lists', handshake({ Upgrade: 'foo/2 , websocket', Connection: 'foo ,bar,upgrade' }), SWITCHED],
  ['tokens first in their lists', handshake({ Upgrade: 'websocket,foo', Connection: 'upgrade, keep-alive' }), SWITCHED],
  ['tokens in repeated headers', handshake({ Upgrade: ['foo', 'websocket'], Connection: ['keep-alive', 'Upgrade'] }), SWITCHED],
  ['lists with empty members', handshake({ Upgrade: ',websocket,', Connection: ', ,Upgrade' }), SWITCHED],
  ['header names in other case', handshake().replace(/^[\w-]+:/gm, (name) => name.toUpperCase()), SWITCHED],
  ['a query', handshake({ path: '/ws?a=b' }), SWITCHED],
  ['a path that is a regular expression', handshake({ path: '/room/kitchen' }), SWITCHED],
  ['a path that has a page, too', handshake({ path: '/both' }), SWITCHED],
  ['a later minor version of HTTP', handshake({ version: '1.2' }), SWITCHED],

  ['a page beside the sockets', 'GET /both HTTP/1.1\r\nhost: x\r\n\r\n', 'HTTP/1.1 200 \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\nconnection: close\r\n\r\nplain'],
  ['a plain GET', 'GET /ws HTTP/1.1\r\nhost: x\r\n\r\n', NOT_ASKED],
  ['no Upgrade', handshake({ Upgrade: undefined }), NOT_ASKED],
  ['no Connection', handshake({ Connection: undefined }), NOT_ASKED],
  ['Upgrade to something else', handshake({ Upgrade: 'h2c' }), NOT_ASKED],
  ['Upgrade to something longer', handshake({ Upgrade: 'websockets' }), NOT_ASKED],
  ['Connection with something longer', handshake({ Connection: 'no-upgrade' }), NOT_ASKED],
  ['Connection without the token', handshake({ Connection: 'keep-alive' }), NOT_ASKED],
  ['HTTP/1.0', handshake({ version: '1.0' }), NOT_ASKED],
  ['a method of the name WEBSOCKET', handshake({ method: 'WEBSOCKET' }), NOT_ASKED],

  ...[undefined, '', '8', '12', '14', '013', '13.0', ['13', '13']].map((version) =>
    [`version ${version}`, handshake({ 'Sec-WebSocket-Version': version }), OTHER_VERSION]),
  ...[
    undefined, '', 'AAAA', 'dGhlIHNhbXBsZSBub25jZQ', 'dGhlIHNhbXBsZSBub25j', 'dGhlIHNhbXBsZSBub25jZTE=', 'dGhlIHNhbXBsZSBub25jZTEy', 'dGhlIHNhbXBsZSBub25jZ===',
    'dGhlIHNhbXBsZS!ub25jZQ==', 'dGhlIHNhbXBsZS-ub25jZQ==', 'dGhlIHNhbXBs ZSBub25jZQ==', `${KEY}${KEY}`, [KEY, KEY],
  ].map((key) => [`the key ${key}`, handshake({ 'Sec-WebSocket-Key': key }), refusal(400)]),

  ['an unknown path', handshake({ path: '/nowhere' }), refusal(404)],
  ['a path that only has a page', handshake({ path: '/page' }), refusal(404)],
  ['a path that is longer', handshake({ path: '/ws/' }), refusal(404)],
  ['an unknown path with everything else wrong', handshake({ path: '/nowhere', 'Sec-WebSocket-Version': '1', 'Sec-WebSocket-Key': 'x', Origin: 'http://evil' }), refusal(404)],

  ['its own origin', handshake({ Host: 'board.local', Origin: 'http://board.local' }), SWITCHED],
  ['its own origin over TLS', handshake({ Host: 'board.local', Origin: 'https://board.local' }), SWITCHED],
  ['its own origin with a port', handshake({ Host: '192.168.4.1:8080', Origin: 'http://192.168.4.1:8080' }), SWITCHED],
  ['its own origin, Host in capitals', handshake({ Host: 'PICO', Origin: 'http://pico' }), SWITCHED],
  ['the origin of a page that came from the first port', handshake({ Host: 'x:81', Origin: 'http://x' }), SWITCHED],
  ['its own origin, both with ports', handshake({ Host: 'x:8081', Origin: 'http://x:8080' }), SWITCHED],
  ['its own origin at another port', handshake({ Origin: 'http://x:81' }), SWITCHED],
  ['a foreign origin, both with ports', handshake({ Host: 'x:81', Origin: 'http://evil:81' }), refusal(403)],
  ['a foreign origin that ends like a port', handshake({ Host: 'x:81', Origin: 'http://x:81.evil' }), refusal(403)],
  ...['http://evil', 'http://evil/x', 'http://x.evil', 'http://evil.x', 'http://xx', 'http://xx:80', 'http://evil:80', 'http://x:80@evil', 'http://evil/:80', 'http://x:evil', 'null', 'http://', 'file://', 'ftp://x', 'http://x@evil', 'http://http://x', 'evil http://x'].map((origin) =>
    [`the origin ${origin}`, handshake({ Origin: origin }), refusal(403)]),
];

/** Cut at every point where the row is one of these; the rest differ from them in a header's value only. */
const CUT = ['the sample of the RFC', 'a plain GET', 'version 12', 'an unknown path'];

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware`, () => {
    for (const [name, request, expected] of TABLE) {
      test(name, () => {
        for (const { how, pieces } of deliveries(request)) {
          if (how.startsWith('cut') && !CUT.includes(name)) break;
          const { board } = serveWebSocket({ firmware, routes });
          const client = exchange(board, pieces, expected.length, atSockets);
          assert.equal(client.text, expected, how);
          assert.equal(client.wasReset, false, how);
          assert.equal(client.ended, expected.includes('connection: close'), how);
          board.check();
        }
      });
    }

    test('POST with all the headers of a handshake is refused', () => {
      const { board } = serveWebSocket({ firmware, routes });
      const client = exchange(board, [handshake({ method: 'POST' })], 1000, { ms: 20, ...atSockets });
      assert.match(client.text, /^HTTP\/1.1 (405|426) /);
      board.check();
    });

    test('200 random keys are accepted as node:crypto says', () => {
      const { board } = serveWebSocket({ firmware });
      for (let n = 0; n < 200; n++) {
        const key = Buffer.from(Array.from({ length: 16 }, (_, i) => (n * 131 + i * i * 29 + (n * i) ** 3) & 255)).toString('base64');
        const peer = openPeer(board, { headers: { 'Sec-WebSocket-Key': key } });
        assert.equal(peer.client.text, SWITCHED.replace(acceptOf(KEY), acceptOf(key)));
        peer.close();
        board.runUntil(() => peer.over);
        board.run(5);
      }
      board.check();
    });

    test('the options origins and "*" let others in, and only those', () => {
      const statusWith = (origins, origin) => {
        const { board } = serveWebSocket({ firmware, options: { origins } });
        const client = exchange(board, [handshake({ Origin: origin })], 1000, { ms: 20, ...atSockets });
        board.check();
        return client.text.slice(9, 12);
      };
      assert.equal(statusWith(['http://a', 'https://b:1'], 'http://a'), '101');
      assert.equal(statusWith(['http://a', 'https://b:1'], 'https://b:1'), '101');
      assert.equal(statusWith(['http://a', 'https://b:1'], 'http://x'), '101');
      assert.equal(statusWith(['http://a', 'https://b:1'], 'http://b:1'), '403');
      assert.equal(statusWith(['http://a', 'https://b:1'], 'http://a.b'), '403');
      assert.equal(statusWith(['*'], 'http://anything'), '101');
      assert.equal(statusWith(['*'], 'null'), '101');
    });

    test('the first of the option protocols that the client offers, too, is taken', () => {
      const answerWith = (protocols, offer) => {
        const { board } = serveWebSocket({ firmware, options: { protocols } });
        const client = exchange(board, [handshake({ 'Sec-WebSocket-Protocol': offer })], 1000, { ms: 20, ...atSockets });
        board.check();
        return client.text;
      };
      assert.equal(answerWith(['chat', 'json'], 'json, chat'), withProtocol('chat'));
      assert.equal(answerWith(['chat', 'json'], 'xml,json'), withProtocol('json'));
      assert.equal(answerWith(['chat', 'json'], ['xml', 'json']), withProtocol('json'));
      assert.equal(answerWith(['chat'], 'superchat'), SWITCHED);
      assert.equal(answerWith(['chat'], 'Chat'), SWITCHED);
      assert.equal(answerWith(['chat'], undefined), SWITCHED);
      assert.equal(answerWith(undefined, 'chat'), SWITCHED);
    });

    test('the handler gets the decoded path, the headers and the server as `this`', () => {
      const calls = [];
      const { board, server } = serveWebSocket({
        firmware,
        routes: (each) => each.route('/r/(.*)', 'WEBSOCKET', function (path, headers, ws) { calls.push([this, path, headers['sec-websocket-protocol'], headers.cookie, typeof ws.send]); }),
      });
      openPeer(board, { path: '/r/k%C3%BCche', headers: { 'Sec-WebSocket-Protocol': 'a, b', Cookie: 'id=1' } });
      board.run(5);
      assert.equal(calls.length, 1);
      assert.equal(calls[0][0], server);
      assert.deepEqual(calls[0].slice(1), ['/r/küche', 'a, b', 'id=1', 'function']);
      board.check();
    });

    test('no handler runs for a handshake that is refused', () => {
      let calls = 0;
      const { board } = serveWebSocket({ firmware, handler: () => { calls++; } });
      for (const headers of [{ 'Sec-WebSocket-Version': '12' }, { 'Sec-WebSocket-Key': 'x' }, { Origin: 'http://evil' }, { Upgrade: undefined }]) {
        exchange(board, [handshake(headers)], 1000, { ms: 20, ...atSockets }).end();
        board.run(100);
      }
      assert.equal(calls, 0);
      board.check();
    });

    test('frames in the same segment as the handshake, or right behind it, are not lost', () => {
      for (const cut of [0, 1, 7, 20]) {
        const { seen, handler } = recorder();
        const { board } = serveWebSocket({ firmware, handler });
        const request = Buffer.concat([Buffer.from(handshake()), frame(TEXT, 'early'), frame(TEXT, 'bird')]).toString('latin1');
        exchange(board, cut ? [request.slice(0, -cut), request.slice(-cut)] : [request], SWITCHED.length, atSockets);
        assert.deepEqual(seen.messages, ['early', 'bird']);
        board.check();
      }
    });

    test('pages are served as without sockets', () => {
      const { board } = serveWebSocket({ firmware, routes });
      const text = exchange(board, ['GET /page HTTP/1.1\r\nhost: x\r\n\r\n'], 1000, { ms: 20, ...atSockets }).text;
      assert.match(text, /\r\n\r\npage$/);
      board.check();
    });
  });
}

for (const firmware of FIRMWARES) {
  test(`${firmware}: a handler gets the path, decoded, the headers, the socket, the query, and the groups of its route`, () => {
    let got;
    const { board } = serveWebSocket({ firmware, routes: (server) => {
      server.route('/room/(.*)', 'WEBSOCKET', function (...all) { got = [this === server, ...all]; });
    } });
    openPeer(board, { path: '/room/living%20room?name=Ada&x=%20' });
    board.run(20);
    const [isServer, path, headers, ws, query, match, ...more] = got;
    assert.deepEqual([isServer, path, headers.host, typeof ws.send, query, match[1], more],
      [true, '/room/living room', 'x', 'function', 'name=Ada&x=%20', 'living room', []]);
    board.check();
  });
}

test('route() of a WebSocketServer refuses what is no handler of WebSockets', () => {
  const { server } = serveWebSocket({ firmware: 'stock' });
  for (const wrong of [undefined, 'hi', {}]) assert.throws(() => server.route('/x', 'WEBSOCKET', wrong), Error, String(wrong));
});

test('stock: a second socket at the same port is turned away, finds room at the next, and at that one when the first has closed', () => {
  const { board } = serveWebSocket({ firmware: 'stock' });
  const first = openPeer(board);
  const second = new Peer(board, { delay: 1 });
  board.runUntil(() => second.client.state === 'closed', 5000);
  assert.ok(['', TURNED_AWAY].includes(second.client.text));
  assert.equal(openPeer(board, { port: 82 }).client.text, SWITCHED);
  first.close();
  board.runUntil(() => first.over);
  assert.equal(openPeer(board).client.text, SWITCHED);
  board.check();
});

test('stock: a refused handshake leaves room for a good one, at once', () => {
  const { board } = serveWebSocket({ firmware: 'stock' });
  const refused = exchange(board, [handshake({ 'Sec-WebSocket-Version': '8', 'User-Agent': 'Mozilla/5.0' })], OTHER_VERSION.length, atSockets);
  assert.equal(refused.text, OTHER_VERSION);
  assert.equal(exchange(board, [handshake()], SWITCHED.length, atSockets).text, SWITCHED);
  board.check();
});

test('routed: several sockets are open side by side, on any of the ports, the first one included', () => {
  const { board } = serveWebSocket({ firmware: 'routed' });
  const peers = [80, 82, 82, 80].map((port) => openPeer(board, { port }));
  board.run(100);
  assert.deepEqual(peers.map((peer) => peer.client.text), [SWITCHED, SWITCHED, SWITCHED, SWITCHED]);
  assert.deepEqual(peers.map((peer) => peer.client.ended), [false, false, false, false]);
  board.check();
});
