// Slow and silent clients: each ends in its time, and a good client waits no longer than that, plus TCP's own retries.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FIRMWARES } from '../support/serve.mjs';
import { askUntilAnswered, idOf, Visitor } from '../support/strangers.mjs';
import { frame, handshake, serveWebSocket, TEXT } from '../support/websocket.mjs';

const get = (path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
const half = 'POST /echo/c1z HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n' + 'x'.repeat(500);

/**
 * What a client sends at once, or a byte every so many ms; `lasts`: milliseconds that the server bears with it, as the table of limits has it
 * (500 ms of silence on stock firmware; else requestTimeoutSeconds, and 250 ms without a byte in which a client that has not sent all is heard
 * out, 2 s at most).
 */
const kinds = {
  'sends nothing': { lasts: { stock: 500, routed: 10000 } },
  'sends a byte a second': { drip: get('/value/c1z').padEnd(99, ' '), every: 1000, lasts: 10250 },
  'sends empty lines without end': { drip: '\r\n'.repeat(99), every: 200, lasts: 12000 },
  'sends half a head': { send: get('/value/c1z').slice(0, 25), lasts: 10250 },
  'sends half a body': { send: half, lasts: 10250 },
  'sends a body a byte a second': { send: half, drip: 'x'.repeat(99), every: 1000, lasts: 10250 },
  'never reads': { send: get('/big'), deaf: true, lasts: 10000, aside: true },
  'never reads an event stream': { send: get('/stream'), deaf: true, lasts: 10000, aside: true },
  'opens a WebSocket and is silent, even when asked': { port: 81, send: handshake(), lasts: 60000, aside: true },
  'sends half a frame': { port: 81, send: handshake(), drip: frame(TEXT, 'x'.repeat(100)).toString('latin1').slice(0, 50), every: 1, lasts: 60000, aside: true },
};

function setUp(firmware) {
  const set = serveWebSocket({
    firmware,
    board: { passMicros: 1000 },
    routes: (server, { Response }) => {
      server.route('/value/(.*)', 'GET', (path, query, headers, body, match) => `<${match[1]}>`);
      server.route('/echo/.*', 'POST', (path, query, headers, body) => body);
      server.route('/big', 'GET', () => 'b'.repeat(60000));
      server.route('/stream', 'GET', () => new Response({ next: () => ({ done: false, value: 's'.repeat(500) }) }));
    },
  });
  askUntilAnswered(set.board, idOf(0)); // a routed firmware has proved itself
  set.board.run(500);
  return set;
}

/** Connects one of that kind. `lasted` is how long the server kept the connection. */
function connect(board, { port = 80, send, deaf, drip = '', every }) {
  const client = board.connect({ port, window: 3000 });
  const one = { client, lasted: undefined, sent: 0 };
  client.onConnect = () => {
    if (deaf) client.pause();
    if (send) client.send(send);
  };
  one.look = () => {
    const { connectedAt, state, pcb } = client;
    if (connectedAt === undefined) return;
    if (one.sent < drip.length && state === 'open' && board.now > connectedAt + one.sent * every) client.send(drip[one.sent++]);
    if (one.lasted === undefined && (!client.boardEnd.alive || !['SYN_RCVD', 'ESTABLISHED'].includes(pcb.state))) one.lasted = board.now - connectedAt;
  };
  return one;
}

/** Clients of a kind, then a good one. Runs until it was answered and they are gone. */
function meet(firmware, kind, count, ms = 100000) {
  const { board } = setUp(firmware);
  const slow = Array.from({ length: count }, () => {
    const one = connect(board, kind);
    board.run(5);
    return one;
  });
  const good = new Visitor(board, idOf(7));
  const isOver = () => good.look() && slow.every(({ lasted, client }) => lasted !== undefined || client.state === 'closed');
  for (const end = board.now + ms; board.now < end && !isOver(); board.pass()) slow.forEach((one) => one.look());
  board.check();
  return { board, slow, good };
}

/** SYNs go out after 0, 1, 3 and 7 s; after 15 s a client gives up, and asks again a second later. */
const nextTry = (ms) => [0, 1000, 3000, 7000, 16000, 17000, 19000, 23000, 32000, 33000, 35000, 39000, 48000, 49000, 51000, 55000, 64000].find((at) => at >= ms);

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware: a client that`, () => {
    for (const [name, kind] of Object.entries(kinds)) {
      const lasts = kind.lasts[firmware] ?? kind.lasts;

      test(`${name} is gone after ${lasts} ms; a good one waits ${kind.aside || firmware === 'routed' ? 'for nothing' : 'for that'}`, () => {
        const { slow: [{ lasted }], good } = meet(firmware, kind, 1);
        assert.ok(lasted > lasts - 300 && lasted < lasts + 120, `${lasted} ms`);
        const bound = (kind.aside || firmware === 'routed' ? 0 : nextTry(lasts)) + 60;
        assert.ok(good.waited <= bound, `${good.waited} ms`);
      });

      // Those that are answered into a full window keep their PCBs: see below.
      if (kind.deaf) continue;
      test(`${name}, five times: each that gets in is gone after ${lasts} ms, a good one is answered`, () => {
        const { slow, good } = meet(firmware, kind, 5);
        const lasting = slow.filter(({ client }) => client.connectedAt !== undefined).map(({ lasted }) => lasted);
        assert.ok(lasting.length >= (firmware === 'routed' ? 5 : 1));
        // Stock: a client that is sealed before it has sent all may be gone at once.
        assert.ok(lasting.every((lasted) => lasted < lasts + 120), `${lasting} ms`);
        // Stock: of those that ask for the one place at the same moments, the others come first: the good one is let in when they have given up.
        const bound = nextTry(firmware === 'stock' && kind.aside ? 10000 : Math.max(lasts, 10000)) + 120;
        assert.ok(good.waited <= bound, `${good.waited} ms`);
      });
    }
  });
}

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware: all five PCBs are lost`, () => {
    /** Five clients that do not take their answers, until the server has closed them all. */
    const lose = (then) => {
      const { board } = setUp(firmware);
      const five = Array.from({ length: 5 }, () => {
        const one = connect(board, kinds['never reads']);
        board.run(100);
        then?.(one.client);
        return one;
      });
      board.run(20000); // their answers go out one after the other
      assert.deepEqual(board.vitals().states, { FIN_WAIT_1: 5 });
      return { board, clients: five.map(({ client }) => client) };
    };

    test('to clients that say again and again that they have no room: nothing in TCP ends that, but when one goes others come in', () => {
      const { board, clients } = lose();
      const good = new Visitor(board, idOf(7));
      for (const end = board.now + 60000; board.now < end; board.pass()) good.look();
      assert.equal(good.answeredAt, undefined);
      clients[2].reset();
      const since = board.now;
      while (!good.look() && board.now < since + 20000) board.pass();
      assert.ok(good.answeredAt - since <= 9000, `${good.answeredAt - since} ms`);
      board.check();
    });

    test('to clients that have vanished: until lwIP gives them up, a quarter of an hour later', (context) => {
      const { board } = lose((client) => client.vanish());
      board.passMicros = 10000;
      const good = new Visitor(board, idOf(7));
      while (!good.look() && board.now < 3e6) board.pass();
      context.diagnostic(`a good client waited ${Math.round(good.waited / 1000)} s`);
      assert.ok(good.waited < 1200000, `${good.waited} ms`);
      board.check();
    });
  });
}
