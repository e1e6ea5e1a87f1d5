// A page of nine parts. Every part names itself and the load that it belongs to, so an answer that went to the wrong request, or is
// left over from another load, shows.
import assert from 'node:assert/strict';

/** Milliseconds for one load. */
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

/** Adds the page to a server. */
export function routes(server, { Response }) {
  server.route('/([\\w-]+)/([\\w.]+)', 'GET', (path, query, headers, body, [, nonce, name]) => (
    name in SIZES ? new Response(contentOf(name, nonce), 200, TYPES[name.split('.')[1]], { 'cache-control': 'no-store' }) : new Response('', 404)
  ));
}

/** Loads the page once and checks all of it. Returns how long the load took, in ms. */
export async function load(page, origin, nonce) {
  const { took, refused } = await tryToLoad(page, origin, nonce);
  assert.deepEqual(refused, [], `load ${nonce}`);
  return took;
}

/**
 * Loads the page once and checks all that came. The board may have refused parts: those are listed, with how.
 * @returns {Promise<{took: number, refused: string[]}>} took: ms
 */
export async function tryToLoad(page, origin, nonce) {
  const got = [];
  const refused = [];
  const errors = [];
  const onResponse = (response) => {
    if (response.request().method() === 'GET') got.push(partOf(response, origin, nonce));
  };
  const onFailed = (request) => {
    if (request.method() === 'GET') refused.push(`${request.url()}: ${request.failure()?.errorText}`); // HEAD is a socket's
  };
  const onError = (error) => errors.push(error.message);
  page.on('response', onResponse).on('requestfailed', onFailed).on('pageerror', onError);
  const began = performance.now();
  const failed = await page.goto(`${origin}/${nonce}/index.html`, { waitUntil: 'load', timeout: BOUND }).catch((error) => error);
  const took = performance.now() - began;
  if (failed instanceof Error) await leaveErrorPage(page);
  const parts = await Promise.all(got);
  page.off('response', onResponse).off('requestfailed', onFailed).off('pageerror', onError);
  assert.deepEqual(errors, [], `load ${nonce}`);

  for (const { name, status, body } of parts) {
    if (status === 421) refused.push(`${name}: 421`);
    else assert.deepEqual({ name, status, body }, { name, status: 200, body: contentOf(name, nonce) }, `load ${nonce}`);
  }
  if (failed instanceof Error && refused.length === 0) throw failed;
  if (refused.length > 0) return { took, refused };
  assert.deepEqual(parts.map(({ name }) => name).sort(), [...NAMES].sort(), `load ${nonce}: every part, once`);
  assert.deepEqual(await seenBy(page), {
    title: nonce,
    ran: [`a.js ${nonce}`, `b.js ${nonce}`],
    styles: [`"a.css ${nonce}"`, `"b.css ${nonce}"`],
    widths: [41, 42, 43, 44],
  });
  return { took, refused };
}

/** After a failed load Chromium shows its own error page a little later. It would interrupt the next load. */
async function leaveErrorPage(page) {
  await page.waitForURL('chrome-error://**', { timeout: 5000 }).catch(() => {}); // a load that timed out has none
  await page.goto('about:blank');
}

async function partOf(response, origin, nonce) {
  const url = response.url();
  const start = `${origin}/${nonce}/`;
  const name = url.startsWith(start) ? url.slice(start.length) : url;
  try {
    return { name, status: response.status(), body: (await response.body()).toString('utf8') };
  } catch (error) {
    return { name, status: response.status(), body: `no body: ${error.message}` };
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
