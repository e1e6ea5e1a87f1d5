// Chromium loads a page of nine parts again and again, from one browser and from three at once.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CHROMIUM, launch, RESULTS } from '../helpers/chromium.mjs';
import { goLive } from '../helpers/live.mjs';
import { load, routes } from '../helpers/parts.mjs';
import { unlessFound } from '../helpers/program.mjs';
import { openProxy } from '../helpers/socks.mjs';

const skip = unlessFound(CHROMIUM, 'Chromium');
const LOADS = 20;

/** Adds a page that pages of other ports may read, and a WebSocket. */
function addPage(server, { Response }) {
  server.route('/', 'GET', () => new Response('page', 200, 'text/html', { 'access-control-allow-origin': '*' }));
  server.route('/ws', 'WEBSOCKET', (path, headers, ws) => { ws.send('hello'); });
}

/** Runs in the page: asks the first four ports of the board for it, then for a WebSocket, which stays open. */
async function askEachPort() {
  const pages = [];
  const sockets = [];
  const at = (n) => `${location.hostname}:${(+location.port || 80) + n}`;
  for (let n = 0; n < 4; n++) pages.push(await (await fetch(`http://${at(n)}/`)).text());
  for (let n = 0; n < 4; n++) {
    sockets.push(await new Promise((resolve) => {
      const ws = new WebSocket(`ws://${at(n)}/ws`);
      ws.onmessage = ({ data }) => resolve(data);
      ws.onclose = () => resolve('closed');
    }));
  }
  return { pages, sockets };
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

describe('Chromium', { skip, timeout: 20 * 60000 }, () => {
  /** @type {import('playwright-core').Browser[]} */
  const browsers = [];
  before(async () => {
    for (let i = 0; i < 3; i++) browsers.push(await launch());
  });
  after(() => Promise.all(browsers.map((browser) => browser.close())));

  for (const firmware of /** @type {const} */ (['stock', 'routed'])) {
    for (const count of [1, 3]) {
      test(`loads the page ${LOADS} times from ${count === 1 ? 'one browser' : `${count} browsers at once`}, ${firmware} firmware`, async (t) => {
        const site = await goLive({ firmware, routes });
        const proxy = await openProxy(site.board);
        try {
          const times = await Promise.all(browsers.slice(0, count).map((browser, b) =>
            loadAgainAndAgain(site, proxy, browser, `${firmware}-${count}-${b}`)));
          const all = times.flat();
          assert.equal(all.length, LOADS * count);
          t.diagnostic(`${all.length} loads: median ${Math.round(median(all))} ms, worst ${Math.round(Math.max(...all))} ms`);
        } finally {
          await site.stop();
          await proxy.close();
        }
        site.board.check();
        assert.equal(site.board.vitals().misdirected, 0);
      });
    }
  }

  for (const [where, way] of [['by its name', 'name'], ['at the ports of this machine', 'address'], ['at these without the proxy', 'direct']]) {
    test(`reaches each port of the board ${where}, and has a WebSocket at each but the first`, async () => {
      const site = await goLive({ firmware: 'stock', webSocket: true, routes: addPage });
      const proxy = await openProxy(site.board);
      const page = await browsers[0].newPage(way === 'direct' ? {} : { proxy: { server: proxy.url } });
      try {
        await page.goto(way === 'name' ? 'http://board/' : site.url);
        assert.deepEqual(await page.evaluate(askEachPort), {
          pages: ['page', 'page', 'page', 'page'],
          sockets: ['closed', 'hello', 'hello', 'hello'], // pages come from the first one
        });
        const sockets = Array.from({ length: 16 }, (_, fd) => site.board.netdev.get(fd)).filter((object) => object?.state === 2 && object.lport > 80);
        assert.deepEqual(sockets.map(({ lport }) => lport).sort(), [81, 82, 83]);
      } finally {
        await page.close();
        await site.stop();
        await proxy.close();
      }
      site.board.check();
    });
  }

  async function loadAgainAndAgain(site, proxy, browser, name) {
    const page = await browser.newPage({ viewport: { width: 400, height: 300 }, proxy: { server: proxy.url } });
    try {
      const times = [];
      for (let i = 0; i < LOADS; i++) times.push(await load(page, site.url, `${name}-${i}-${Math.random().toString(36).slice(2, 10)}`));
      await page.screenshot({ path: join(RESULTS, `browser-${name}.png`) });
      return times;
    } finally {
      await page.close();
    }
  }
});
