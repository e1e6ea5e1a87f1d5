// A thousand clients that reset their connection, at every moment at which that is possible, with good ones in between. The driver does
// not tell of a reset; all that is done to the dead connection afterwards may hit the next client. And its number stays in use, of sixteen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../board/random.mjs';
import { BROWSER, FIRMWARES } from '../support/serve.mjs';
import { askUntilAnswered, idOf, idsIn, keepTwinsApart, Visitor } from '../support/strangers.mjs';
import { BINARY, frame, handshake, openPatiently, serveWebSocket, TEXT } from '../support/websocket.mjs';

const SEED = Number(process.env.SEED) || 1;
const COUNT = 1000;

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
const never = () => ({ next: () => ({ done: false }) });

/** What a client does before it resets: up to `within` ms after its last byte. `quiet`: it has sent nothing that asks for an answer. */
const moments = {
  'its SYN': { within: 1 },
  'connected, without a byte': { within: 30 },
  'in the request line': { send: (id) => get(`/value/${id}`).slice(0, 9), within: 20 },
  'in the head': { send: (id) => get(`/value/${id}`).slice(0, -2), within: 20 },
  'in the body': { send: (id) => `POST /echo/${id} HTTP/1.1\r\nhost: x\r\ncontent-length: 16000\r\n\r\n${id.repeat(500)}`, within: 20 },
  'with the request': { send: (id) => get(`/value/${id}`), within: 2 },
  'in a short answer': { send: (id) => get(`/value/${id}`, 'connection: close\r\n'), within: 6 },
  'in a long answer': { send: (id) => get(`/big/${id}`), within: 40 },
  'in a long answer that it does not read': { send: (id) => get(`/big/${id}`), deaf: true, within: 300 },
  'in a slow handler': { send: (id) => get(`/never/${id}`), within: 40 },
  'in an event stream': { send: (id) => get(`/stream/${id}`), within: 40 },
  'kept, between two requests': { send: (id) => get(`/value/${id}`), within: 300 },
  'kept, in the next request': { send: (id) => get(`/value/${id}`) + get(`/value/${id}`).slice(0, 20), within: 100 },
  'in an error answer, still sending': { send: (id) => `NONSENSE\r\n\r\n${id}`, within: 300 },
  'in the handshake of a WebSocket': { send: (id) => handshake({ path: `/ws/${id}` }), within: 3 },
  'in a WebSocket': { send: (id) => handshake({ path: `/ws/${id}` }), then: (id) => frame(TEXT, id), within: 60 },
  'in a message': { send: (id) => handshake({ path: `/ws/${id}` }), then: (id) => frame(BINARY, id.repeat(300)).subarray(0, 500), within: 30 },
  'after the server has closed': { send: (id) => get(`/value/${id}`, 'connection: close\r\n'), stays: true, within: 300 },
};

for (const firmware of FIRMWARES) {
  test(`${firmware}: ${COUNT} clients reset at every moment, and every good client gets its own answer (seed ${SEED})`, (context) => {
    const mixed = [];
    const { board } = serveWebSocket({
      firmware,
      board: { passMicros: 500, seed: SEED },
      options: { pingSeconds: 5 },
      routes: (server, { Response }) => {
        const handlers = {
          value: (id) => `<${id}>`, echo: (id, body) => body, big: (id) => `<${id}>`.repeat(6000), never, stream: (id) => new Response({ next: () => ({ done: false, value: `<${id}>` }) }),
        };
        for (const [name, handler] of Object.entries(handlers)) {
          for (const method of ['GET', 'POST']) server.route(`/${name}/(\\w+)`, method, (path, query, headers, body, match) => handler(match[1], body));
        }
        server.route('/ws/\\w+', 'WEBSOCKET', function* (path, headers, ws) {
          const id = path.slice(4);
          for (let message; (message = yield* ws.recv()) !== null;) {
            if (!String(message).startsWith(id)) mixed.push(`${message} to ${id}`);
            yield* ws.send(`<${id}>`);
          }
        });
      },
    });
    keepTwinsApart(board);
    const random = seededRandom(SEED);
    const under = (n) => Math.floor(random() * n);
    const names = Object.keys(moments);
    const hostile = [];
    const good = [];
    let most = 0;

    /** One that resets, sooner or later. */
    const send = (n) => {
      const { send: first, then, within, deaf, stays } = moments[names[n % names.length]];
      const id = idOf(n);
      const client = board.connect({ port: 80, delay: 0.4 + random() * 5, autoClose: !stays });
      const one = { id, client, resetAt: Infinity };
      hostile.push(one);
      if (deaf) client.pause();
      if (first) client.send(first(id));
      if (then) client.onData = () => { if (client.text.startsWith('HTTP/1.1 101') && !one.went) client.send(one.went = then(id)); };
      if (within === 1) one.resetAt = board.now + under(4);
      else client.onConnect = () => { one.resetAt = board.now + random() * within + (then ? 10 : 0); };
      if (stays) client.onEnd = () => { one.resetAt = board.now + under(50); };
    };
    const look = () => {
      for (const one of hostile) {
        if (board.now < one.resetAt) continue;
        one.resetAt = Infinity;
        one.client.reset();
      }
      good.forEach((visitor) => visitor.look());
      most = Math.max(most, board.vitals().fds);
    };

    for (let n = 0; n < COUNT; n++) {
      send(n);
      if (n % 5 === 0) good.push(new Visitor(board, idOf(100000 + n), { delay: 1 + under(10) }));
      for (const until = board.now + under(120); board.now < until; board.pass()) look();
    }
    for (const until = board.now + 60000; board.now < until; board.pass()) look();

    for (const { id, client } of hostile) assert.ok(idsIn(client.text).every((other) => other === id), `${id} got bytes of another`);
    for (const { id, answeredAt, foreign } of good) {
      assert.deepEqual(foreign, [], id);
      assert.notEqual(answeredAt, undefined, `${id} was not answered`);
    }
    assert.deepEqual(mixed, []);
    assert.equal(board.vitals().misdirected, 0);
    const waits = good.map((visitor) => visitor.waited).sort((a, b) => a - b);
    context.diagnostic(`good clients waited: median ${waits[waits.length >> 1].toFixed()} ms, worst ${waits.at(-1).toFixed()} ms; at most ${most} fds in use; ${JSON.stringify(board.vitals())}`);

    // What is left are numbers that may still be hit by a late FIN. Whoever comes next gives them back.
    board.passMicros = 20000;
    board.run(200000);
    board.passMicros = 500;
    for (let n = 0; n < 20; n++) assert.ok(askUntilAnswered(board, idOf(200000 + n)) <= 2);
    const { fds, held, zombies } = board.vitals();
    context.diagnostic(JSON.stringify(board.vitals()));
    assert.ok(fds - held - 1 <= 8, `${fds} fds in use, ${held} of them held, ${zombies} dead`);
    board.check();
  });
}

/** What else comes to the board while four sockets are open; each has one PCB for all that. */
const disturbances = {
  'a reset in a request': (client) => client.send('GET /value/x HT'),
  'a reset in an answer': (client) => client.send(get('/big/x')),
  'a reset without a byte': () => {},
  'a reset between two requests': (client) => client.send(get('/value/x', BROWSER)),
  'a reset in a stream': (client) => client.send(get('/stream/x')),
};

for (const firmware of FIRMWARES) {
  test(`${firmware}: with four sockets open, pages and resets for half an hour, a client can always be accepted (seed ${SEED})`, (context) => {
    const { board } = serveWebSocket({
      firmware,
      options: { sockets: 4, pingSeconds: 5 },
      board: { passMicros: 2000, seed: SEED },
      handler: (path, headers, ws, query) => { ws.onmessage = (message) => { ws.send(`<${query} ${message}>`); }; },
      routes: (server, { Response }) => {
        server.route('/value/(\\w+)', 'GET', (path, query, headers, body, match) => `<${match[1]}>`);
        server.route('/big/(\\w+)', 'GET', () => 'b'.repeat(30000));
        server.route('/stream/(\\w+)', 'GET', () => new Response(never()));
      },
    });
    keepTwinsApart(board);
    // Of a client that could get no number nobody is told, and it is reset.
    const { driver } = board;
    const { accepted } = driver;
    let refused = 0;
    let most = 0;
    driver.accepted = (server, pcb) => {
      const error = accepted.call(driver, server, pcb);
      if (error) refused++;
      most = Math.max(most, board.vitals().fds);
      return error;
    };
    const random = seededRandom(SEED);
    const under = (n) => Math.floor(random() * n);
    const talkers = [81, 82, 83, 84].map((port) => {
      const before = board.connect({ port: 80 }); // the socket gets the PCB of one that has reset
      board.run(20);
      before.reset();
      board.run(20);
      return { peer: openPatiently(board, { port, path: `/ws?${port}` }).polite(), port, sent: 0 };
    });
    const pages = [];
    const leaving = [];
    const names = Object.keys(disturbances);
    const end = board.now + 30 * 60000;
    for (let n = 0, next = 0; board.now < end; board.pass()) {
      for (const one of leaving.splice(0)) {
        if (board.now < one.resetAt) leaving.push(one);
        else one.client.reset();
      }
      for (const page of pages) if (page.answeredAt === undefined) page.look();
      if (board.now < next) continue;
      next = board.now + under(1000);
      n++;
      const talker = talkers[under(4)];
      talker.peer.text(String(talker.sent++));
      if (n % 3 === 0) {
        pages.push(new Visitor(board, idOf(n), { delay: 1 + under(10), autoClose: n % 60 > 0 })); // now and then one that never ends its connection
      } else if (n % 10 === 1) {
        leaving.push({ client: board.connect({ port: 81 + under(4) }).send(handshake()), resetAt: board.now + under(50) }); // at a port that is taken
      } else {
        const client = board.connect({ port: 80, delay: 0.5 + under(5) });
        disturbances[names[n % names.length]](client);
        const one = { client, resetAt: board.now + 20000 };
        client.onConnect = () => { one.resetAt = board.now + under(60); };
        leaving.push(one);
      }
    }
    board.runUntil(() => pages.every((page) => page.look()), 120000);
    context.diagnostic(`${pages.length} pages, at most ${most} fds in use; ${JSON.stringify(board.vitals())}`);
    assert.equal(refused, 0);
    assert.deepEqual(pages.flatMap(({ foreign }) => foreign), []);
    for (const { peer, port, sent } of talkers) {
      assert.deepEqual(peer.messages, Array.from({ length: sent }, (_, k) => `<${port} ${k}>`));
      assert.equal(peer.over, false);
    }
    assert.equal(board.vitals().misdirected, 0);
    board.check();
  });
}

test('stock: sockets that have the PCBs of clients that had reset keep nobody out, however many resets come before and after them', () => {
  for (const before of [0, 1, 2, 3]) {
    for (const between of [0, 1, 2, 3]) {
      for (const after of [0, 1, 2, 3]) {
        const { board } = serveWebSocket({ firmware: 'stock', board: { passMicros: 1000 }, routes: (server) => {
          server.route('/value/(\\w+)', 'GET', (path, query, headers, body, match) => `<${match[1]}>`);
          server.route('/never', 'GET', never);
        } });
        /** So many at the same time, and all of them reset. */
        const reset = (count) => {
          const clients = Array.from({ length: count }, () => {
            const client = board.connect({ port: 80, delay: 0.5 }).send(get('/never'));
            board.run(400);
            return client;
          });
          for (const client of clients) client.reset();
          board.run(400);
        };
        reset(before);
        const first = openPatiently(board, { port: 81 }).polite();
        reset(between);
        const second = openPatiently(board, { port: 82 }).polite();
        reset(after);
        const good = new Visitor(board, idOf(1));
        board.runUntil(() => good.look(), 20000);
        assert.ok(good.waited < 5000, `${good.waited} ms behind ${before}, ${between} and ${after} resets`);
        assert.deepEqual([first.over, second.over], [false, false]);
        board.check();
      }
    }
  }
});
