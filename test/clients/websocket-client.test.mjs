// The `ws` client, which knows nothing of the board, over real sockets: random messages, fragments, pings and closings. What the
// handler sees is what was sent, echoes are equal, close codes are equal. SEED=n repeats a run.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { Board } from '../board/index.mjs';
import { seededRandom } from '../board/random.mjs';
import { FIRMWARES, loadLibrary, loadWebSocket } from '../support/serve.mjs';

const SEED = Number(process.env.SEED) || Date.now() % 1e9;

const SOCKET_PORTS = [81, 82, 83];

/** A board on 127.0.0.1 whose /echo answers all it gets, and does what it is told in a message that begins with "!". */
async function goLive(firmware, options) {
  const board = new Board({ firmware, network: 'node' });
  const library = loadLibrary(board);
  const { WebSocketServer } = loadWebSocket(board, library);
  const server = new WebSocketServer(options);
  const sockets = [];
  server.route('/echo', 'WEBSOCKET', function* (path, headers, ws) {
    const seen = { messages: [], codes: [], ended: false };
    sockets.push(seen);
    ws.onclose = (code) => { seen.codes.push(code); };
    for (let message; (message = yield* ws.recv()) !== null;) {
      seen.messages.push(typeof message === 'string' ? message : Buffer.from(message));
      if (message[0] === '!') {
        const [, code, reason] = message.split(' ');
        if (code === 'throw') throw new Error(reason);
        if (code === 'return') return;
        yield* ws.sendClose(Number(code), reason);
      } else {
        yield* ws.send(message);
      }
    }
    seen.ended = true;
  });
  server.route('/page', 'GET', () => 'page');
  server.listen(80);
  await board.start();
  const [port, ...others] = await Promise.all([80, ...SOCKET_PORTS].map((each) => board.network.realPort(each)));
  const urls = others.map((each) => `ws://127.0.0.1:${each}/echo`);
  return { board, sockets, port, urls, url: urls[0] };
}

/** A client, and all that it sees. */
function connect(url, ...options) {
  const client = new WebSocket(url, ...options);
  const seen = { messages: [], pongs: [], closed: undefined, errors: [] };
  client.on('message', (data, binary) => { seen.messages.push(binary ? data : data.toString()); });
  client.on('pong', (data) => { seen.pongs.push(data.toString()); });
  client.on('error', (error) => { seen.errors.push(error.message); });
  const open = new Promise((resolve, reject) => client.once('open', resolve).once('error', reject));
  const closed = new Promise((resolve) => client.once('close', (code, reason) => resolve(seen.closed = [code, reason.toString()])));
  return { client, seen, open, closed };
}

const until = async (predicate, what, ms = 20000) => {
  for (const end = Date.now() + ms; !predicate();) {
    if (Date.now() > end) throw new Error(`${ms} ms have gone by and still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};

/** On a connection of its own. */
const getPage = (port) => new Promise((resolve, reject) => {
  http.get({ host: '127.0.0.1', port, path: '/page', agent: false }, (answer) => {
    let text = '';
    answer.on('data', (data) => { text += data; }).on('end', () => resolve(text)).on('error', reject);
  }).on('error', reject);
});

const CHARACTERS = ['a', 'Z', '0', ' ', '\n', '\0', 'ä', 'ß', '€', '漢', '\ufeff', '\uffff', '😀', '\u{10ffff}'];

/** A random conversation; leaves the socket open. Returns what was sent. */
async function converse({ client, seen }, pick, count, largest = 16384) {
  const sent = [];
  const pings = [];
  const size = () => Math.min(largest, [0, 1, pick(125), 125, 126, pick(1000), pick(3000), pick(8000), 16384][pick(9)]);
  for (let n = 0; n < count; n++) {
    const binary = pick(2) === 0;
    let payload = binary ? Buffer.from(Array.from({ length: size() }, () => pick(256)))
      : Buffer.from(Array.from({ length: size() / 4 | 0 }, () => CHARACTERS[pick(CHARACTERS.length)]).join(''));
    if (payload[0] === 33) payload = Buffer.from('x');
    sent.push(binary ? payload : payload.toString());
    const pieces = pick(3) ? 1 : 1 + pick(6);
    for (let piece = 0, at = 0; piece < pieces; piece++) {
      const end = piece === pieces - 1 ? payload.length : at + pick(payload.length - at + 1);
      client.send(payload.subarray(at, end), { binary, fin: piece === pieces - 1, compress: false });
      at = end;
      if (pick(4) === 0) {
        pings.push(`${n}.${piece}`);
        client.ping(`${n}.${piece}`);
      }
      if (pick(10) === 0) client.pong('nobody asked');
    }
    // Not further ahead than the board can hold.
    if (pick(3) === 0 || payload.length > 1000) await until(() => seen.messages.length === n + 1, `echo ${n}`);
    else if (n - seen.messages.length > 3) await until(() => seen.messages.length >= n - 1, `echo ${n}`);
  }
  await until(() => seen.messages.length === sent.length && seen.pongs.length === pings.length, 'all echoes and pongs');
  return { sent, pings };
}

for (const firmware of FIRMWARES) {
  describe(`the ws client, ${firmware} firmware, SEED=${SEED}`, () => {
    let site;
    before(async () => { site = await goLive(firmware); });
    after(async () => {
      await site.board.stop();
      site.board.check();
    });

    test('random conversations: the handler sees what was sent, and echoes are equal', async () => {
      for (let round = 0; round < 12; round++) {
        const random = seededRandom(SEED + round);
        const pick = (count) => Math.floor(random() * count);
        const peer = connect(site.url);
        await peer.open;
        const { sent, pings } = await converse(peer, pick, 25);
        peer.client.close(1000);
        await peer.closed;
        const server = site.sockets.at(-1);
        assert.deepEqual(server.messages, sent, `round ${round}`);
        assert.deepEqual(peer.seen, { messages: sent, pongs: pings, closed: [1000, ''], errors: [] }, `round ${round}`);
        assert.deepEqual([server.codes, server.ended], [[1000], true]);
      }
    });

    test('close codes that the client chooses are those that the handler sees', async () => {
      for (const [code, reason] of [[undefined, undefined], [1000, ''], [1000, 'bye'], [1001, 'ü'], [1003], [1011], [1014], [3000, 'x'.repeat(123)], [4999, '😀']]) {
        const peer = connect(site.url);
        await peer.open;
        peer.client.send('a');
        await until(() => peer.seen.messages.length, 'the echo');
        const since = Date.now();
        peer.client.close(code, reason);
        const [closedWith] = await peer.closed;
        assert.equal(closedWith, code ?? 1005);
        assert.ok(Date.now() - since < 2000);
        await until(() => site.sockets.at(-1).codes.length, 'onclose');
        assert.deepEqual(site.sockets.at(-1).codes, [code ?? 1005]);
        assert.deepEqual(peer.seen.errors, []);
      }
    });

    test('close codes that the handler chooses are those that the client sees', async () => {
      for (const [message, code, reason] of [['! 1000 bye', 1000, 'bye'], ['! 1001 ', 1001, ''], ['! 4000 ü', 4000, 'ü'], ['! throw secret', 1011, ''], ['! return', 1000, '']]) {
        const peer = connect(site.url);
        await peer.open;
        const since = Date.now();
        peer.client.send(message);
        assert.deepEqual(await peer.closed, [code, reason]);
        assert.ok(Date.now() - since < 2000, 'the server ends the connection');
        assert.deepEqual(site.sockets.at(-1).codes, [code]);
        assert.deepEqual(peer.seen.errors, []);
      }
    });

    test('a client that breaks off is 1006', async () => {
      const peer = connect(site.url);
      await peer.open;
      peer.client.send('a');
      await until(() => peer.seen.messages.length, 'the echo');
      peer.client.terminate();
      await until(() => site.sockets.at(-1).codes.length, 'onclose');
      assert.deepEqual(site.sockets.at(-1).codes, [1006]);
    });

    test('a message that is too big is 1009', async () => {
      for (const size of [16385, 100000, 1000000]) {
        const peer = connect(site.url);
        await peer.open;
        peer.client.send(Buffer.alloc(size));
        const [code] = await peer.closed;
        // One that sends a megabyte may be cut off before it reads why.
        assert.ok(code === 1009 || (size > 20000 && code === 1006), `${size} bytes: ${code}`);
        assert.deepEqual(site.sockets.at(-1).codes, [1009]);
      }
    });

    test('refusals are what the client is told', async () => {
      const refused = async (url, ...options) => {
        const peer = connect(url, ...options);
        await assert.rejects(peer.open);
        peer.client.terminate();
        return peer.seen.errors[0];
      };
      assert.equal(await refused(site.url.replace('echo', 'nowhere')), 'Unexpected server response: 404');
      assert.equal(await refused(site.url.replace('echo', 'page')), 'Unexpected server response: 404');
      assert.equal(await refused(site.url, { origin: 'http://evil' }), 'Unexpected server response: 403');
      assert.equal(await refused(site.url, { protocolVersion: 8 }), 'Unexpected server response: 426');
      if (firmware === 'stock') assert.equal(await refused(`ws://127.0.0.1:${site.port}/echo`), 'Unexpected server response: 421');
    });

    test(`${firmware === 'stock' ? 'three clients, each at its port,' : 'four clients'} side by side`, async () => {
      const urls = firmware === 'stock' ? site.urls : [`ws://127.0.0.1:${site.port}/echo`, site.urls[0], site.urls[0], site.urls[2]];
      const peers = urls.map((url) => connect(url));
      await Promise.all(peers.map((peer) => peer.open));
      const talks = await Promise.all(peers.map((peer, n) => {
        const random = seededRandom(SEED * 7 + n);
        return converse(peer, (count) => Math.floor(random() * count), 15, 1000); // all of them together may make the board hold 48 KB
      }));
      peers.forEach((peer, n) => assert.deepEqual(peer.seen.messages, talks[n].sent));
      for (const peer of peers) peer.client.close();
      await Promise.all(peers.map((peer) => peer.closed));
      const all = site.sockets.slice(-peers.length).map(({ messages }) => messages);
      for (const { sent } of talks) assert.ok(all.some((messages) => messages.length === sent.length && messages.every((each, n) => Buffer.from(each).equals(Buffer.from(sent[n])))));
    });

    test('it agrees on no extension, and on no protocol that was not offered', async () => {
      const peer = connect(site.url, { perMessageDeflate: true, origin: `http://127.0.0.1:${site.port}` });
      await peer.open;
      assert.equal(peer.client.extensions, '');
      assert.equal(peer.client.protocol, '');
      peer.client.close();
      await peer.closed;
    });

    test('it agrees on the protocol that both know', async () => {
      const other = await goLive(firmware, { protocols: ['b', 'a'] });
      const peer = connect(other.url, ['a', 'c', 'b']);
      await peer.open;
      assert.equal(peer.client.protocol, 'b');
      peer.client.close();
      await peer.closed;
      await other.board.stop();
      other.board.check();
    });

    test('pages are fetched while it talks', async () => {
      const peer = connect(site.url);
      await peer.open;
      const random = seededRandom(SEED * 7);
      const sent = [];
      let pages = 0;
      let done = false;
      const fetching = (async () => {
        while (!done) {
          assert.equal(await getPage(site.port), 'page');
          pages++;
        }
      })();
      while (pages < 10) {
        peer.seen.messages = [];
        peer.seen.pongs = [];
        const talk = await converse(peer, (count) => Math.floor(random() * count), 10);
        assert.deepEqual(peer.seen.messages, talk.sent);
        sent.push(...talk.sent);
      }
      done = true;
      await fetching;
      assert.deepEqual(site.sockets.at(-1).messages, sent);
      peer.client.close();
      await peer.closed;
    });
  });
}
