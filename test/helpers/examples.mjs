// The examples on a board that a browser can visit.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildExamples, exampleSource } from '../../tools/build/build.mjs';
import { siteFiles } from '../../tools/build/www.mjs';
import { Board } from '../board/index.mjs';
import { RESULTS } from './chromium.mjs';
import { Program } from './program.mjs';
import { openProxy } from './socks.mjs';

export const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const START = path('tools/emulator/start.mjs');

export const PHONE = { width: 390, height: 844 };
/** A SYN of a browser may have to be repeated after 1, 3 and 7 seconds. */
export const PATIENCE = 20000;
/** Where the browser finds it. A name, as a browser asks nobody the way to 127.0.0.1. */
export const BOARD = 'http://board/';
const THERMOMETER = 30;
const GP26 = 26;

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
export const seconds = (count) => AbortSignal.timeout(count * 1000);

const bundles = new Map();

/** An example as the one file that the board gets. */
export function bundle(name) {
  if (!bundles.has(name)) bundles.set(name, makeBundle(name));
  return bundles.get(name);
}

async function makeBundle(name) {
  const out = mkdtempSync(join(tmpdir(), 'ehttpserver-test-'));
  try {
    await buildExamples([exampleSource(name)], out);
    return readFileSync(join(out, `${name}.js`), 'utf8');
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** Starts an example on a new board, which then can be visited. */
export async function boot(name, { firmware = 'stock', port = 0, storage = {}, files = {}, degrees = () => 25, volts = () => 1 } = {}) {
  const board = new Board({
    firmware: /** @type {'stock' | 'routed'} */ (firmware), port,
    network: 'node', wifi: 'off', storage: { WIFI_SSID: 'home', ...storage }, files: { ...siteFiles(), ...files },
  });
  Object.defineProperty(board.pins, THERMOMETER, { get: () => (0.706 - (degrees() - 27) * 0.001721) / 3.3 });
  Object.defineProperty(board.pins, GP26, { get: () => volts() / 3.3 });
  board.load(await bundle(name), `${name}.js`);
  await board.start();
  const real = await board.listening;
  return { board, port: real, url: `http://127.0.0.1:${real}/` };
}

/** Boots an example, does something with it, stops it; no rule of the board may be broken. */
export async function withBoard(name, options, use) {
  const started = await boot(name, options);
  try {
    await use(started);
  } finally {
    await started.board.stop();
  }
  assert.deepEqual(started.board.console.filter(({ level }) => level === 'error'), []);
  started.board.check();
}

/**
 * The same with a page that is open in the browser, which finds the board as on the air. `visit()` opens it for somebody else, in a browser
 * that shares nothing with the first. `device` says more of the phone, and `watch` gets the page before it is opened. What is seen at the
 * end is kept as a picture.
 */
export async function withPageIn(browser, name, { device = {}, watch = undefined, ...options }, use, picture = '') {
  let proxy;
  try {
    await withBoard(name, options, async (started) => {
      proxy = await openProxy(started.board);
      const contexts = [];
      const errors = [];
      const visit = async () => {
        const context = await browser.newContext({ viewport: PHONE, deviceScaleFactor: 2, ...device, proxy: { server: proxy.url } });
        contexts.push(context);
        context.setDefaultTimeout(PATIENCE);
        context.on('weberror', (error) => errors.push(error.error().message));
        const page = await context.newPage();
        await watch?.(page);
        await page.goto(BOARD);
        return page;
      };
      try {
        const page = await visit();
        await use({ ...started, context: contexts[0], page, visit });
        if (picture) await page.screenshot({ path: join(RESULTS, `example-${picture}.png`) });
      } finally {
        for (const context of contexts) await context.close();
      }
      assert.deepEqual(errors, []);
    });
  } finally {
    await proxy?.close();
  }
}

/** Waits for a condition; says what there is instead when it does not come. */
export async function eventually(what, probe, wanted) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await probe();
    if (wanted(found)) return found;
    assert.ok(Date.now() < end, `${what}: still ${JSON.stringify(found)}`);
    await pause(50);
  }
}

/** Waits until the page shows a text. */
export const seen = (page, selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor();

/**
 * Runs an example as `npm start` does, asks for its page, does more with it at its URL, and ends it.
 * @param {string} name
 * @param {(url: string) => Promise<void>} [more]
 */
export async function startAndVisit(name, more) {
  const program = new Program(process.execPath, [START, name, '--port', '0']);
  try {
    const [, url] = await program.prints(/Open (http:\S+)\n/);
    const response = await fetch(url, { signal: seconds(20) });
    assert.equal(response.status, 200);
    assert.match(await response.text(), /^<!DOCTYPE html>/);
    await more?.(url);
  } finally {
    assert.equal(await program.stop(), 0);
  }
  assert.equal(program.stderr, '');
}
