// Chromium at an emulated board of stock firmware without the proxy between them, as everybody meets it who runs npm start. This computer
// accepts every connection at once, so Chromium does not know which of its requests wait. It must not take much longer than on the air: a
// board whose driver ran on lwIP reloaded the page of nine parts in 0.17 to 0.75 s.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { CHROMIUM, launch } from '../helpers/chromium.mjs';
import { goLive } from '../helpers/live.mjs';
import { load, routes } from '../helpers/parts.mjs';
import { unlessFound } from '../helpers/program.mjs';

const skip = unlessFound(CHROMIUM, 'Chromium');
const RELOADS = 20;
/** Milliseconds between them, the least and the most. */
const PAUSES = [100, 8000];

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

/** Runs in the page: fetches so many texts at once. */
async function fetchAtOnce(count) {
  const began = performance.now();
  const texts = await Promise.all(Array.from({ length: count }, (_, n) => fetch(`/small/${n}`, { cache: 'no-store' }).then((response) => response.text())));
  return { texts, took: performance.now() - began };
}

describe('Chromium without a proxy, stock firmware', { skip, timeout: 10 * 60000 }, () => {
  /** @type {import('playwright-core').Browser} */
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  /** A board as npm start makes it, with a browser's window; at the end, what the loads took is told, and that none took longer than a limit. */
  async function visit(t, limit, use) {
    const site = await goLive({
      firmware: 'stock',
      routes: (server, library) => {
        server.route('/small/(\\d+)', 'GET', (path, query, headers, body, [, n]) => `small ${n}`);
        routes(server, library);
      },
    });
    site.board.network.playClients();
    const context = await browser.newContext();
    const times = await use(site, context).finally(async () => {
      await context.close();
      await site.stop();
    });
    site.board.check();
    const took = `median ${Math.round(median(times))} ms, worst ${Math.round(Math.max(...times))} ms`;
    t.diagnostic(`${times.length} times: ${took}`);
    assert.ok(Math.max(...times) < limit, took);
  }

  test(`reloads the page of nine parts ${RELOADS} times, each in less than a second`, async (t) => {
    await visit(t, 1000, async (site, context) => {
      const page = await context.newPage();
      await load(page, site.url, 'plain');
      const times = [];
      for (let i = 0; i < RELOADS; i++) {
        const part = (i * 7 % RELOADS) / (RELOADS - 1); // short and long ones in turn
        await wait(PAUSES[0] * (PAUSES[1] / PAUSES[0]) ** part);
        const refused = [];
        const onFailed = (request) => refused.push(`${request.url()}: ${request.failure()?.errorText}`);
        page.on('requestfailed', onFailed);
        const began = performance.now();
        await page.reload({ waitUntil: 'load' });
        times.push(performance.now() - began);
        page.off('requestfailed', onFailed);
        assert.deepEqual(refused, []);
      }
      return times;
    });
  });

  test('fetches twelve texts at once in less than three seconds', async (t) => {
    await visit(t, 3000, async (site, context) => {
      const page = await context.newPage();
      await page.goto(`${site.url}/small/0`);
      const times = [];
      for (let i = 0; i < 5; i++) {
        const { texts, took } = await page.evaluate(fetchAtOnce, 12);
        assert.deepEqual(texts, Array.from({ length: 12 }, (_, n) => `small ${n}`));
        times.push(took);
        await wait(400);
      }
      return times;
    });
  });

  test('opens the page of nine parts in three tabs at once, each in less than two seconds', async (t) => {
    await visit(t, 2000, async (site, context) => {
      const pages = await Promise.all([1, 2, 3].map(() => context.newPage()));
      const times = [];
      for (let i = 0; i < 5; i++) {
        times.push(...await Promise.all(pages.map((page, n) => load(page, site.url, `tab-${i}-${n}`))));
        await wait(400);
      }
      return times;
    });
  });
});
