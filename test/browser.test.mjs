// Chromium loads a page of nine parts again and again, from one browser and from three at once. Every part names itself and the
// load that it belongs to, so an answer that went to the wrong request, or is left over from another load, shows.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { goLive } from './helpers/live.mjs';
import { findProgram, unlessFound } from './helpers/program.mjs';
import { openProxy } from './helpers/socks.mjs';

const CHROMIUM = findProgram('CHROMIUM', ['chromium', 'chromium-browser', 'google-chrome']);
const skip = unlessFound(CHROMIUM, 'Chromium');
const RESULTS = fileURLToPath(new URL('../test-results', import.meta.url));

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];

const LOADS = 20;
const BOUND = 30000;

/** The parts, and how large they are: some fit into the board's send buffer (11,680 bytes), one is twice as large. */
const SIZES = {
  'index.html': 1500, 'a.css': 3000, 'b.css': 700, 'a.js': 6000, 'b.js': 24000, '1.svg': 500, '2.svg': 1000, '3.svg': 2000, '4.svg': 9000,
};
const NAMES = Object.keys(SIZES);
const TYPES = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' };

/** What a part is made of: its name and its load's nonce from the beginning to the end. */
function contentOf(name, nonce) {
  const [id, type] = name.split('.');
  const filler = `${name} ${nonce}\n`;
  const fill = (begin, end) => begin + filler.repeat(Math.ceil((SIZES[name] - begin.length - end.length) / filler.length)) + end;
  switch (type) {
    case 'html': return fill(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${nonce}</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="a.css"><link rel="stylesheet" href="b.css"><script src="a.js"></script></head>
<body><h1>Nine parts</h1><p>${[1, 2, 3, 4].map((n) => `<img src="${n}.svg" alt="${n}">`).join('\n')}</p><pre>
`, '</pre><script src="b.js"></script></body></html>\n');
    case 'css': return fill(`:root { --${id}: "${name} ${nonce}"; }\nh1 { color: #06c }\n/*\n`, '*/\n');
    case 'js': return fill(`(window.ran = window.ran || []).push('${name} ${nonce}');\n/*\n`, '*/\n');
    default: return fill(`<svg xmlns="http://www.w3.org/2000/svg" width="${40 + +id}" height="40"><circle cx="20" cy="20" r="${4 * +id}"/><!--\n`, '--></svg>\n');
  }
}

function routes(server, { Response }) {
  server.route('/([\\w-]+)/([\\w.]+)', 'GET', (path, query, headers, body, [, nonce, name]) => (
    name in SIZES ? new Response(contentOf(name, nonce), 200, TYPES[name.split('.')[1]], { 'cache-control': 'no-store' }) : new Response('', 404)
  ));
}

/** Loads the page once and checks all of it. Returns how long the load took, in ms. */
async function load(page, origin, nonce) {
  const got = [];
  const trouble = [];
  const onResponse = (response) => got.push(partOf(response, origin, nonce));
  const onFailed = (request) => trouble.push(`${request.url()} failed: ${request.failure()?.errorText}`);
  const onError = (error) => trouble.push(`the page: ${error.message}`);
  page.on('response', onResponse).on('requestfailed', onFailed).on('pageerror', onError);
  const began = performance.now();
  await page.goto(`${origin}/${nonce}/index.html`, { waitUntil: 'load', timeout: BOUND });
  const took = performance.now() - began;
  const parts = Object.fromEntries(await Promise.all(got));
  page.off('response', onResponse).off('requestfailed', onFailed).off('pageerror', onError);

  assert.deepEqual(trouble, [], `load ${nonce}`);
  assert.deepEqual(Object.keys(parts).sort(), [...NAMES].sort(), `load ${nonce}`);
  assert.equal(got.length, NAMES.length, `load ${nonce}: a part came twice`);
  for (const name of NAMES) assert.deepEqual(parts[name], { status: 200, body: contentOf(name, nonce) }, `${name} of load ${nonce}`);
  assert.deepEqual(await seenBy(page), {
    title: nonce,
    ran: [`a.js ${nonce}`, `b.js ${nonce}`],
    styles: [`"a.css ${nonce}"`, `"b.css ${nonce}"`],
    widths: [41, 42, 43, 44],
  });
  return took;
}

async function partOf(response, origin, nonce) {
  const url = response.url();
  const start = `${origin}/${nonce}/`;
  const name = url.startsWith(start) ? url.slice(start.length) : url;
  try {
    return [name, { status: response.status(), body: (await response.body()).toString('utf8') }];
  } catch (error) {
    return [name, { status: response.status(), body: `no body: ${error.message}` }];
  }
}

/** What the browser made of it. */
function seenBy(page) {
  return page.evaluate(() => {
    const style = getComputedStyle(document.documentElement);
    return {
      title: document.title,
      ran: window.ran,
      styles: ['--a', '--b'].map((name) => style.getPropertyValue(name)),
      widths: [...document.images].map((image) => image.naturalWidth),
    };
  });
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

describe('Chromium', { skip, timeout: 20 * 60000 }, () => {
  /** @type {import('playwright-core').Browser[]} */
  const browsers = [];
  before(async () => {
    mkdirSync(RESULTS, { recursive: true });
    for (let i = 0; i < 3; i++) browsers.push(await chromium.launch({ executablePath: CHROMIUM, args: ARGS }));
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
