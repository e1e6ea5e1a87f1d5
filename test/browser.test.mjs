// Chromium loads a page of nine parts again and again, from one browser and from three at once.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CHROMIUM, launch, RESULTS } from './helpers/chromium.mjs';
import { goLive } from './helpers/live.mjs';
import { load, routes } from './helpers/parts.mjs';
import { unlessFound } from './helpers/program.mjs';
import { openProxy } from './helpers/socks.mjs';

const skip = unlessFound(CHROMIUM, 'Chromium');
const LOADS = 20;

/** Adds a page that says which port of the board it is from, to all others of its ports, too. */
const addPort = (boardPort) => (server, { Response }) => {
  server.route('/', 'GET', () => new Response(`${boardPort}`, 200, 'text/html', { 'access-control-allow-origin': '*' }));
};

/** Runs in the page. */
async function askEachPort() {
  const said = [];
  for (let n = 0; n < 4; n++) {
    const response = await fetch(`http://${location.hostname}:${(+location.port || 80) + n}/`);
    said.push(await response.text());
  }
  return said;
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

  test('reaches each port of the board: by its name as on the air, and at the ports of this machine', async () => {
    const site = await goLive({ firmware: 'stock', routes: addPort(80) });
    for (const boardPort of [81, 82, 83]) {
      const server = new site.library.Server();
      addPort(boardPort)(server, site.library);
      server.listen(boardPort);
    }
    await site.board.listening;
    const proxy = await openProxy(site.board);
    const page = await browsers[0].newPage({ proxy: { server: proxy.url } });
    try {
      for (const url of ['http://board/', site.url]) {
        await page.goto(url);
        assert.deepEqual(await page.evaluate(askEachPort), ['80', '81', '82', '83'], url);
      }
    } finally {
      await page.close();
      await site.stop();
      await proxy.close();
    }
    site.board.check();
  });

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
