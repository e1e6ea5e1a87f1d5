// Chromium's own WebSockets, beside page loads, through the emulated board. Messages are numbered and name the page load that they belong
// to; so one that is lost, comes twice or out of order, or goes to somebody else, shows. So does every wrong byte of a page: see parts.mjs.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CHROMIUM, launch, RESULTS } from '../helpers/chromium.mjs';
import { goLive } from '../helpers/live.mjs';
import { load, routes as pageRoutes, tryToLoad } from '../helpers/parts.mjs';
import { unlessFound } from '../helpers/program.mjs';
import { openProxy } from '../helpers/socks.mjs';

const skip = unlessFound(CHROMIUM, 'Chromium');
const LOADS = 20;
const RELOADS = 100;
const BOUND = 60000;

/** A server that sends every message back, and what its sockets saw. */
async function openSite(firmware) {
  const sockets = [];
  const site = await goLive({
    firmware, webSocket: true,
    routes(server, library) {
      server.route('/echo', 'WEBSOCKET', function* (path, headers, ws) {
        const socket = { messages: [], code: 0 };
        sockets.push(socket);
        ws.onclose = (code) => { socket.code = code; };
        for (let message; (message = yield* ws.recv()) !== null;) {
          socket.messages.push(typeof message === 'string' ? message : `binary ${Buffer.from(message)}`);
          yield* ws.send(message);
        }
      });
      pageRoutes(server, library);
    },
  });
  const proxy = await openProxy(site.board);
  return { ...site, sockets, proxy };
}

/** Does something with a site and a browser, and closes it; no rule of the board may be broken. */
async function withSite(browser, firmware, use) {
  const site = await openSite(firmware);
  const context = await browser.newContext({ viewport: { width: 400, height: 300 }, proxy: { server: site.proxy.url } });
  try {
    await use(site, context);
  } finally {
    await context.close();
    await site.stop();
    await site.proxy.close();
  }
  site.board.check();
  assert.equal(site.board.vitals().misdirected, 0);
}

/** What is said in message n of a page load. In one segment of TCP, in several, and in frames with all lengths of heads that fit. */
function messageOf(nonce, n) {
  const length = [20, 60, 125, 126, 400, 1454, 3000, 90][n % 8];
  const begin = `${n % 5 === 4 ? 'binary' : 'text'} ${nonce} ${n} `;
  return begin + `${n};`.repeat(Math.ceil(length / 3)).slice(0, Math.max(0, length - begin.length));
}

/** Runs in every page that is loaded, before its own scripts: connects as the examples do, and talks. */
function talker() {
  const AHEAD = 3;
  const nonce = location.pathname.split('/')[1];
  const decoder = new TextDecoder();
  let ws;
  const talk = window.talk = {
    limit: 0, sent: 0, received: [], tries: 0, opened: 0, closed: 0,
    /** Sends on until so many messages have been sent. */
    upTo(limit) {
      talk.limit = limit;
      while (ws && ws.readyState === WebSocket.OPEN && talk.sent < talk.limit && talk.sent - talk.received.length < AHEAD) {
        const message = messageOf(nonce, talk.sent++);
        ws.send(message.startsWith('binary') ? new TextEncoder().encode(message) : message);
      }
    },
  };

  const drop = () => fetch('/', { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(4000) }).catch(() => {});

  async function connect() {
    await drop();
    await new Promise((done) => setTimeout(done, 100));
    ws = new WebSocket(`ws://${location.hostname}:${+location.port + 1 + talk.tries++ % 3}/echo`);
    ws.binaryType = 'arraybuffer';
    const attempt = ws;
    setTimeout(() => attempt.readyState === WebSocket.CONNECTING && attempt.close(), 4000); // sooner than its SYN is repeated a third time
    ws.onopen = () => {
      talk.opened++;
      talk.upTo(talk.limit);
    };
    ws.onmessage = ({ data }) => {
      talk.received.push(typeof data === 'string' ? data : `binary ${decoder.decode(data)}`);
      talk.upTo(talk.limit);
    };
    ws.onclose = () => {
      if (talk.opened) talk.closed++; // which it should not be
      else setTimeout(connect, 300);
    };
  }

  addEventListener('load', () => {
    if (document.title !== nonce) return; // an error page of the browser, an empty page, or what the board sent instead of the page
    for (const seconds of [2, 4, 8, 16, 32]) setTimeout(drop, seconds * 1000);
    connect();
    // What came to the very end, for the next page to tell.
    addEventListener('pagehide', () => sessionStorage.setItem('talk', JSON.stringify({ ...talk, nonce })));
  });
}

const SCRIPT = `${messageOf}\n(${talker})();`;

/** The first so many messages of a page load, as either side notes them down. */
const messages = (nonce, count) => Array.from({ length: count }, (_, n) => {
  const message = messageOf(nonce, n);
  return message.startsWith('binary') ? `binary ${message}` : message;
});

const talkOf = (page) => page.evaluate(() => ({ ...window.talk }));
const upTo = (page, count) => page.evaluate((limit) => window.talk.upTo(limit), count);
const opened = (page) => page.waitForFunction(() => window.talk.opened, null, { timeout: BOUND });

/** Until all that was sent has come back. */
const allBack = (page) => page.waitForFunction(() => window.talk.received.length >= window.talk.sent, null, { timeout: BOUND });

let nonces = 0;
const newNonce = (name) => `${name}-${nonces++}-${Math.random().toString(36).slice(2, 10)}`;

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const report = (times) => `median ${Math.round(median(times))} ms, worst ${Math.round(Math.max(...times))} ms`;

describe("Chromium's WebSockets", { skip, timeout: 20 * 60000 }, () => {
  /** @type {import('playwright-core').Browser} */
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  test(`routed firmware: two talk while a page is loaded ${LOADS} times`, (t) => talkWhileLoading(t, 'routed', 2));
  test(`stock firmware: three talk while a page is loaded ${LOADS} times`, (t) => talkWhileLoading(t, 'stock', 3));

  async function talkWhileLoading(t, firmware, count) {
    await withSite(browser, firmware, async (site, context) => {
      const talkers = [];
      for (let i = 0; i < count; i++) {
        const page = await context.newPage();
        const nonce = newNonce('talker');
        await page.addInitScript(SCRIPT);
        await load(page, site.url, nonce);
        await opened(page);
        talkers.push({ page, nonce });
      }
      for (const { page } of talkers) await upTo(page, Infinity);

      const page = await context.newPage();
      const times = [];
      for (let i = 0; i < LOADS; i++) times.push(await load(page, site.url, newNonce('page')));
      await page.screenshot({ path: join(RESULTS, `websocket-browser-${firmware}.png`) });

      let total = 0;
      for (const talker of talkers) {
        await upTo(talker.page, 0);
        await allBack(talker.page);
        const { sent, received, opened, closed } = await talkOf(talker.page);
        assert.deepEqual([opened, closed], [1, 0]);
        assert.ok(sent >= 5 * LOADS, `only ${sent} messages`);
        assert.deepEqual(received, messages(talker.nonce, sent));
        const socket = site.sockets.find(({ messages: [first] }) => first.includes(talker.nonce));
        assert.deepEqual(socket, { messages: received, code: 0 });
        total += sent;
      }
      assert.equal(site.sockets.length, count);
      t.diagnostic(`${total} messages; ${LOADS} loads: ${report(times)}`);
    });
  }

  test(`stock firmware: a page is left ${RELOADS} times for itself with its socket open, while two others talk`, async (t) => {
    await withSite(browser, 'stock', async (site, context) => {
      const others = [];
      for (const name of ['first', 'second']) {
        const other = await browser.newContext({ proxy: { server: site.proxy.url } });
        const talker = { page: await other.newPage(), nonce: newNonce(name), context: other };
        others.push(talker);
        await talker.page.addInitScript(SCRIPT);
        await load(talker.page, site.url, talker.nonce);
        await opened(talker.page);
        talker.socket = site.sockets.pop();
        await talker.page.evaluate(() => { setInterval(() => window.talk.upTo(window.talk.limit + 1), 30); });
      }
      const page = await context.newPage();
      await page.addInitScript(SCRIPT);
      const loads = [];
      const connects = [];
      const refusals = [];
      let total = 0;
      let last = '';
      let lacking = 0; // pages that lacked a part, whose sockets may be among those of the next check
      while (loads.length <= RELOADS) {
        const nonce = newNonce('reload');
        const { took, refused } = await tryToLoad(page, site.url, nonce);
        const lacks = Math.min(refused.length, 1);
        lacking += lacks;
        // If the page itself did not come, the next one tells. (Chromium gives up a connection through a proxy after 30 s, and with it a request.)
        if (last && !refused.some((part) => part.includes('index.html'))) {
          total += await checkLast(page, site, last, lacking);
          lacking = lacks;
          last = '';
        }
        if (refused.length > 0) {
          refusals.push(`${nonce}: ${refused.join()}`); // the next load is the second try
          continue;
        }
        loads.push(took);
        const began = performance.now();
        await opened(page);
        connects.push(performance.now() - began);
        await upTo(page, 24);
        await allBack(page);
        last = nonce;
      }
      t.diagnostic(`${total} messages; ${loads.length} loads: ${report(loads)}; open after ${report(connects)}`);
      for (const refusal of refusals) t.diagnostic(`refused: ${refusal}`);
      assert.ok(refusals.length <= RELOADS / 25, `${refusals.length} of ${RELOADS} loads lacked a part`);
      for (const talker of others) {
        await talker.page.evaluate(() => { window.talk.upTo = () => {}; });
        await allBack(talker.page);
        const { sent, received, opened: opens, closed } = await talkOf(talker.page);
        t.diagnostic(`${talker.nonce}: ${sent} messages`);
        assert.deepEqual([opens, closed], [1, 0]);
        assert.ok(sent >= 5 * RELOADS, `only ${sent} messages`);
        assert.deepEqual(received, messages(talker.nonce, sent));
        assert.deepEqual(talker.socket, { messages: received, code: 0 });
        await talker.context.close();
      }
    });
  });

  /**
   * What the page before saw to its very end, and what the server saw of it. A page that lacked a part was left before it sent anything, but
   * may have opened its socket. Returns how many messages that were.
   */
  async function checkLast(page, site, nonce, lacking) {
    const talk = await page.evaluate(() => JSON.parse(sessionStorage.getItem('talk')));
    assert.deepEqual([talk.nonce, talk.opened, talk.closed], [nonce, 1, 0]);
    assert.deepEqual(talk.received, messages(nonce, talk.received.length), `what ${nonce} received`);
    const all = site.sockets.splice(0);
    const sockets = all.filter((socket) => socket.messages.length > 0);
    assert.equal(sockets.length, 1, 'each page had one socket');
    assert.ok(all.length - 1 <= lacking, `${all.length} sockets, with ${lacking} pages that lacked a part`);
    const [{ messages: seen, code }] = sockets;
    assert.deepEqual(seen, messages(nonce, seen.length), `what ${nonce} sent`);
    assert.deepEqual([seen.length, talk.received.length], [24, 24]);
    assert.ok([1001, 1005, 1006].includes(code), `closed with ${code}`);
    return seen.length;
  }
});
