// Chromium on the memory network (support/chromium-model.mjs): that it does what Chromium was seen to do; then what visitors of a board see.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Board } from '../board/index.mjs';
import { seededRandom } from '../board/random.mjs';
import { Chromium } from '../support/chromium-model.mjs';
import { serveWebSocket } from '../support/websocket.mjs';

const HTTP = (status, body, headers = '') => `HTTP/1.1 ${status} \r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`;
const KEPT = HTTP(200, 'kept');
const CLOSED = HTTP(200, 'closed', 'connection: close\r\n');
const PARTS = Array.from({ length: 8 }, (_, n) => `/part${n}.svg`);
const PAGE = `<!DOCTYPE html><title>A page</title>${PARTS.map((path) => `<img src="${path}">`).join('')}`;

/** A program that says what it is told to, on connections of which it knows which is which. */
function program(board, { onAccept = () => {}, onRequest = () => {} }, port = 80) {
  const { netdev } = board;
  const fd = netdev.socket('AF_INET', 'STREAM');
  netdev.bind(fd, '0.0.0.0', port);
  netdev.get(fd).accept_cb = (accepted) => {
    netdev.get(accepted).read_cb = (data) => { onRequest(accepted, Buffer.from(data).toString('latin1').split(' ')[1]); };
    onAccept(accepted);
  };
  netdev.listen(fd);
}

/** A board of many PCBs with such a program, and a browser. */
function bare(callbacks, options) {
  const board = new Board({ firmware: 'routed', pcbs: 30, fds: 60, ...options });
  const sent = [];
  board.network.onPacket = ({ from, client, flags, at }) => {
    if (from === 'client') sent.push({ client, at, syn: flags.syn, fin: flags.fin });
  };
  program(board, callbacks);
  const browser = new Chromium(board);
  const say = (fd, text) => { board.netdev.write(fd, text); };
  const started = board.now;
  return {
    board, browser, say,
    /** When SYNs or FINs left the browser, in ms. */
    left: (what) => sent.filter((packet) => packet[what]).map(({ at }) => Math.round(at - started)),
  };
}

describe('Chromium on the memory network', () => {
  test('opens six connections to a port, and the other requests wait for one of them', () => {
    const busy = [];
    const { board, browser, say } = bare({ onRequest: (fd) => { busy.push(fd); } });
    const exchanges = PARTS.map((path) => browser.fetch(path));
    board.run(200);
    assert.equal(browser.opened, 6);
    assert.equal(busy.length, 6);
    say(busy[3], KEPT);
    board.run(20);
    assert.equal(busy[6], busy[3]);
    for (const fd of busy.slice(0, 3)) say(fd, KEPT);
    board.run(20);
    assert.equal(busy.length, 8);
    assert.equal(browser.opened, 6);
    for (const fd of [...busy.slice(4), busy[3]]) say(fd, KEPT);
    board.run(20);
    assert.equal(exchanges.filter(({ ok }) => ok).length, 8);
  });

  test('closes a connection as soon as it has an answer that says so, and opens another for the request that waits', () => {
    const { board, browser, say, left } = bare({ onRequest: (fd) => { say(fd, CLOSED); } });
    const exchanges = PARTS.map((path) => browser.fetch(path));
    board.run(200);
    assert.deepEqual(exchanges.map(({ text }) => text), Array(8).fill('closed'));
    assert.equal(browser.opened, 8);
    assert.equal(left('fin').length, 8);
  });

  test('asks again on a connection that was kept', () => {
    const { board, browser, say } = bare({ onRequest: (fd) => { say(fd, KEPT); } });
    for (let n = 0; n < 3; n++) {
      assert.equal(browser.fetch('/').done, false);
      board.run(50);
    }
    assert.equal(browser.opened, 1);
  });

  test('repeats a SYN after 1, 3 and 7 s; opens a second connection after 250 ms, and keeps both', () => {
    const { board, browser, say, left } = bare({ onRequest: (fd) => { say(fd, KEPT); } }, { pcbs: 1 });
    const held = board.netdev.socket('AF_INET', 'STREAM');
    board.netdev.bind(held, '0.0.0.0', 0);
    const exchange = browser.fetch('/');
    board.run(6000);
    assert.deepEqual(left('syn'), [0, 250, 1000, 1250, 3000, 3250]);
    board.netdev.close(held);
    board.run(2000);
    assert.equal(exchange.ok, true);
    assert.equal(browser.opened, 2);
    assert.equal(browser.spares, 0);
    board.lwip.free.push(...new Board({ pcbs: 1 }).lwip.free);
    board.run(10000);
    assert.equal(browser.spares, 1);
  });

  test('opens no second one beside others', () => {
    const { board, browser } = bare({}, { pcbs: 1 });
    const held = board.netdev.socket('AF_INET', 'STREAM');
    board.netdev.bind(held, '0.0.0.0', 0);
    for (const path of PARTS.slice(0, 3)) browser.fetch(path);
    board.run(900);
    assert.equal(browser.opened, 4);
    for (const path of PARTS.slice(3)) browser.fetch(path);
    board.run(900);
    assert.equal(browser.opened, 6);
  });

  test('a connection that nobody needs any more when it is there is a spare, and serves the next request', () => {
    const { board, browser, say } = bare({ onRequest: (fd) => { say(fd, KEPT); } });
    board.network.onPacket = ({ client, flags, from }) => (from === 'client' && flags.syn && client !== board.network.clients[0] ? 100 : undefined);
    browser.fetch('/a');
    browser.fetch('/b');
    board.run(200);
    assert.equal(browser.spares, 1);
    browser.fetch('/c');
    browser.fetch('/d');
    board.run(50);
    assert.equal(browser.opened, 2);
  });

  test('leaves connections half open that the server ended, until there is a request, to whatever port', () => {
    for (const port of [80, 81]) {
      const fds = [];
      const { board, browser, say, left } = bare({ onRequest: (fd) => { fds.push(fd); say(fd, KEPT); } });
      program(board, { onRequest: (fd) => { say(fd, KEPT); } }, 81);
      for (const path of PARTS.slice(0, 3)) browser.fetch(path);
      board.run(100);
      for (const fd of fds) board.netdev.close(fd);
      board.run(5000);
      assert.deepEqual(board.vitals().states, { FIN_WAIT_2: 3 });
      const now = left('fin').length;
      assert.equal(now, 0);
      browser.fetch('/again', { port });
      board.run(50);
      assert.equal(left('fin').length, 3);
      assert.deepEqual(board.vitals().states, { TIME_WAIT: 3, ESTABLISHED: 1 });
    }
  });

  test('a WebSocket leaves them as they are', () => {
    const fds = new Set();
    const { board, browser, say, left } = bare({ onRequest: (fd) => { fds.add(fd); say(fd, KEPT); } });
    program(board, {}, 81);
    const page = browser.open('/');
    board.run(100);
    for (const fd of fds) board.netdev.close(fd);
    board.run(100);
    page.socket(81);
    board.run(3000);
    assert.deepEqual(board.vitals().states, { FIN_WAIT_2: fds.size, ESTABLISHED: 1 });
    assert.deepEqual(left('fin'), []);
  });

  for (const [how, end] of [['FIN', (board, fd) => { board.netdev.close(fd); }], ['RST', (board, fd) => { board.lwip.abort(board.driver.slots[fd].pcb); }]]) {
    test(`does not repeat a request whose fresh connection ends with ${how}, at once or after the request`, () => {
      for (const when of ['onAccept', 'onRequest']) {
        for (const method of ['GET', 'POST']) {
          const { board, browser } = bare({ [when]: (fd) => { later(board, () => end(board, fd)); } });
          const exchange = browser.fetch('/', { method, body: method === 'POST' ? 'x' : '' });
          board.run(100);
          assert.match(exchange.failed, /^ERR_/);
          assert.equal(exchange.tries, 1);
        }
      }
    });

    test(`repeats a request, a POST as well, when a connection that was used before ends with ${how} before a byte of the answer`, () => {
      for (const method of ['GET', 'POST']) {
        let count = 0;
        const { board, browser, say } = bare({
          onRequest: (fd) => {
            count++;
            if (count === 2) later(board, () => end(board, fd));
            else say(fd, KEPT);
          },
        });
        browser.fetch('/warm');
        board.run(50);
        const exchange = browser.fetch('/', { method });
        board.run(100);
        assert.equal(exchange.status, 200);
        assert.equal(exchange.tries, 2);
      }
    });
  }

  test('takes a 503 that nobody asked for as the answer to its request', () => {
    const { board, browser, say } = bare({ onAccept: (fd) => { say(fd, HTTP(503, 'busy', 'connection: close\r\n')); later(board, () => board.netdev.close(fd)); } });
    const exchange = browser.fetch('/');
    board.run(100);
    assert.equal(exchange.status, 503);
    assert.equal(exchange.tries, 1);
  });

  test('repeats what is answered 421 once, asked for or not; a second 421 is the answer', () => {
    for (const when of ['onAccept', 'onRequest']) {
      for (const times of [1, 2]) {
        let count = 0;
        const { board, browser, say } = bare({
          [when]: (fd) => {
            if (++count > times) return when === 'onRequest' ? say(fd, KEPT) : undefined;
            say(fd, HTTP(421, 'xxx', 'connection: close\r\n'));
            later(board, () => board.netdev.close(fd));
          },
          ...(when === 'onAccept' && { onRequest: (fd) => { if (count > times) say(fd, KEPT); } }),
        });
        const exchange = browser.fetch('/', { method: 'POST', body: 'x' });
        board.run(100);
        assert.equal(exchange.status, times === 1 ? 200 : 421);
        assert.equal(exchange.tries, 2);
      }
    }
  });

  test('begins one handshake of a WebSocket at a time to a port, those to other ports beside it', () => {
    const accepted = [];
    const { board, browser, say } = bare({ onRequest: (fd) => { say(fd, CLOSED); } });
    for (const port of [81, 82]) program(board, { onRequest: (fd) => { accepted.push([port, fd]); } }, port);
    const page = browser.open('/');
    board.run(100);
    const sockets = [81, 81, 82].map((port) => page.socket(port));
    board.run(300);
    assert.deepEqual(accepted.map(([port]) => port), [81, 82]);
    assert.deepEqual(sockets.map(({ state }) => state), ['connecting', 'waiting', 'connecting']);
    say(accepted[0][1], 'HTTP/1.1 101 \r\nupgrade: websocket\r\n\r\n');
    board.run(50);
    assert.deepEqual(accepted.map(([port]) => port), [81, 82, 81]);
    assert.deepEqual(sockets.map(({ state }) => state), ['open', 'connecting', 'connecting']);
  });

  test('shows a page: one connection before the request, its parts when it has come, then the icon', () => {
    const asked = [];
    const { board, browser, say, left } = bare({ onRequest: (fd, path) => { asked.push(path); say(fd, path === '/' ? HTTP(200, PAGE) : KEPT); } });
    const page = browser.open('/');
    board.run(200);
    assert.deepEqual(asked, ['/', ...PARTS, '/favicon.ico']);
    assert.equal(left('syn')[0], 0);
    assert.deepEqual(page.lost, []);
    assert.ok(page.loadedAt > 0);
  });

  test('leaves a page when the next has come: its WebSockets are closed with 1001, and FIN', () => {
    const order = [];
    const { board, browser, say } = bare({ onRequest: (fd, path) => { order.push(path); say(fd, HTTP(200, 'a page')); } });
    program(board, { onRequest: (fd, path) => { if (path) say(fd, 'HTTP/1.1 101 \r\nupgrade: websocket\r\n\r\n'); else order.push('frame'); } }, 81);
    const page = browser.open('/');
    board.run(100);
    const socket = page.socket(81);
    board.run(50);
    assert.equal(socket.state, 'open');
    order.length = 0;
    browser.open('/');
    board.run(100);
    assert.deepEqual(order.filter((each) => each !== '/favicon.ico'), ['/', 'frame']);
    assert.equal(socket.state, 'closed');
    assert.equal(board.vitals().pcbs - (board.vitals().states.TIME_WAIT ?? 0), 1);
  });
});

/** In the next pass of the loop: not within a callback of the driver. */
function later(board, action) {
  board.global.setTimeout(() => action(), 1);
}

// ------------------------------------------------------------------------------------------------------ with the library

/** Twenty situations: how far away the browser is, ms one way, and how long a pass of the loop takes (a GET takes a board some 25 ms). */
const SITUATIONS = Array.from({ length: 20 }, (_, n) => ({ seed: n + 1, delay: 0.3 + n * 0.9, passMicros: [1000, 5000, 10000, 25000][n % 4] }));

/** Packets take up to 8 ms more, each another time; those of a connection do not overtake each other. */
function trembling(network, seed) {
  const random = seededRandom(seed);
  const last = new Map();
  network.onPacket = ({ client, from, at }) => {
    const key = `${from} ${network.clients.indexOf(client)}`;
    const arrival = Math.max(at + random() * 8, (last.get(key) ?? 0) + 0.01);
    last.set(key, arrival);
    return arrival - at;
  };
}

/** A server with a page of nine parts, and sockets. */
function setUp(firmware, { seed, delay, passMicros }) {
  const set = serveWebSocket({
    firmware,
    board: { passMicros },
    handler: (path, headers, ws) => { ws.onmessage = (data) => { ws.send(data); }; },
    routes: (server, library) => {
      server.route('/', 'GET', () => new library.Response(PAGE, 200, 'text/html'));
      server.route('/part\\d.svg', 'GET', () => new library.Response('x'.repeat(3000), 200, 'image/svg+xml'));
      server.route('/small', 'GET', () => 'small');
    },
  });
  trembling(set.board.network, seed);
  set.board.run(50 + 13.7 * seed);
  return { ...set, browser: new Chromium(set.board, { delay }, seed) };
}

/** What a page does to have a socket, as examples/lib/socket.ts has it: HEAD requests before each try, which gives up in time, and for a while. */
function keepSocket(page, onOpen = () => {}) {
  const tidy = (onDone = () => {}) => page.browser.fetch('/small', { port: page.port, method: 'HEAD', onDone });
  let n = 0;
  const open = () => {
    const socket = page.socket(page.port + 1 + n++ % 3);
    page.after(4000, () => { if (socket.state !== 'open') socket.end(); });
    socket.onopen = () => onOpen(socket);
    socket.onclose = () => page.after(300, connect);
  };
  const connect = () => tidy(() => page.after(100, open));
  for (const seconds of [2, 4, 8, 16, 32]) page.after(seconds * 1000, () => tidy());
  connect();
}

/**
 * Opens the page; so long after it was loaded it begins to want a socket.
 * @returns the page, and how long it took it to have one: ms, Infinity when it has none within half a minute
 */
function visit({ board, browser }, wait) {
  const page = browser.open('/');
  let began = Infinity;
  let socket;
  page.onLoad = () => page.after(wait, () => {
    began = board.network.now;
    keepSocket(page, (opened) => { socket = opened; });
  });
  const end = board.now + 30000;
  while (!socket && board.now < end) board.pass();
  return { page, took: socket ? Math.round(socket.openedAt - began) : Infinity };
}

function within3s(context, took) {
  context.diagnostic(`${took} ms`);
  assert.ok(Math.max(...took) <= 3000, `${took} ms`);
}

describe('a page of nine parts on stock firmware', () => {
  for (const wait of [0, 100, 500, 1000]) {
    test(`has a socket within 3 s, wanted ${wait} ms after it was loaded, twenty times of twenty`, (context) => {
      within3s(context, SITUATIONS.map((situation) => {
        const set = setUp('stock', situation);
        const { page, took } = visit(set, wait);
        assert.deepEqual(page.lost, []);
        set.board.check();
        return took;
      }));
    });
  }

  test('has one within 3 s at each of twenty visits to one board, 1 to 20 s apart', (context) => {
    const set = setUp('stock', SITUATIONS[1]);
    within3s(context, Array.from({ length: 20 }, (_, n) => {
      const { page, took } = visit(set, 0);
      assert.deepEqual(page.lost, []);
      set.board.run(1000 * (1 + n));
      return took;
    }));
    set.board.check();
  });

  test('keeps every part at 160 reloads with an open socket', (context) => {
    const lost = [];
    const times = [];
    for (const situation of [...SITUATIONS, ...SITUATIONS.map((each) => ({ ...each, seed: each.seed + 20 }))]) {
      const set = setUp('stock', { ...situation, passMicros: Math.max(10000, situation.passMicros) });
      visit(set, 500);
      for (let n = 0; n < 4; n++) {
        const began = set.board.now;
        const { page, took } = visit(set, 500);
        lost.push(...page.lost);
        times.push(Math.round((page.loadedAt ?? Infinity) - began));
        if (took === Infinity) lost.push('socket');
        set.board.run(300 + 170 * n);
      }
      set.board.check();
    }
    times.sort((a, b) => a - b);
    context.diagnostic(`loaded in ${times[80]} ms, at most ${times.at(-1)} ms; lost: ${lost.join(', ') || 'nothing'}`);
    assert.equal(times.length, 160);
    assert.deepEqual(lost, []);
  });
});

describe('a page of nine parts on routed firmware', () => {
  test('has a socket within 3 s, twenty times of twenty, and loses no part when it is reloaded', (context) => {
    within3s(context, SITUATIONS.flatMap((situation) => {
      const set = setUp('routed', situation);
      const visits = Array.from({ length: 3 }, () => {
        const { page, took } = visit(set, 0);
        assert.deepEqual(page.lost, []);
        set.board.run(500);
        return took;
      });
      set.board.check();
      return visits;
    }));
  });
});
