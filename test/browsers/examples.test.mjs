// The examples with pages, used as a person would use them: with Chromium, in the size of a phone.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Board } from '../board/index.mjs';
import { CHROMIUM, launch, RESULTS } from '../helpers/chromium.mjs';
import {
  boot, BOARD, bundle, eventually, PATIENCE, path, pause, PHONE, seconds, seen, startAndVisit, withBoard, withPageIn,
} from '../helpers/examples.mjs';
import { unlessFound } from '../helpers/program.mjs';

const skip = unlessFound(CHROMIUM, 'Chromium');
const NAMES = ['button', 'thermometer', 'static', 'async', 'events', 'settings', 'upload'];
const FIRMWARES = /** @type {const} */ (['stock', 'routed']);
/** @type {import('playwright-core').Browser} */
let browser;

/** Boots an example, and opens its page in the browser. */
const withPage = (...args) => withPageIn(browser, ...args);

/** One request in exactly this form; a URL of fetch() would be tidied up. */
async function raw(port, method, target, { headers = {}, body = undefined } = {}) {
  return await new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path: target, headers, agent: false, signal: seconds(20) }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      // When the connection is over: the next one would find the board occupied, and try again after a second.
      response.socket.on('close', () => {
        const content = Buffer.concat(chunks);
        setTimeout(resolve, 5, { status: response.statusCode, headers: response.headers, content, text: content.toString() });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

describe('npm start', () => {
  for (const name of NAMES) {
    test(`runs ${name}`, () => startAndVisit(name));
  }
});

describe('the examples in Chromium', { skip, timeout: 10 * 60000 }, () => {
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  for (const firmware of FIRMWARES) {
    describe(`on ${firmware} firmware`, () => {
      test('button: switches the LED, and says what it will do next', () => testButton(firmware));
      test('thermometer: three pages show each reading', () => testThermometer(firmware));
      test('static: a page of four files, whose script comes packed and runs', () => testStatic(firmware));
      test('async: a slow answer, while the LED and other answers go on', () => testAsync(firmware));
      test('events: a chart that moves, others are served meanwhile, and it goes on after a break', () => testEvents(firmware));
      test('settings: a form whose settings survive a restart', () => testSettings(firmware));
      test('upload: files to the board and back', () => testUpload(firmware));
    });
  }

  test('events: goes on when the board has been switched off and on', testRestart);
  test('events: a viewer too many waits until another one leaves', testViewers);
});

// -------------------------------------------------------------------------------------------------------------- button

async function testButton(firmware) {
  await withPage('button', { firmware }, async ({ page, board, port }) => {
    const led = async () => JSON.parse((await raw(port, 'GET', '/led')).text);
    for (const [now, next] of [[false, 'on'], [true, 'off'], [false, 'on']]) {
      const button = page.getByRole('button', { name: `Switch the LED ${next}`, exact: true });
      await button.waitFor();
      assert.deepEqual([board.pins.LED ?? 0, await led()], [+now, { on: now }]);
      await button.click();
      await button.waitFor({ state: 'detached' });
    }
  });
}

for (const firmware of FIRMWARES) {
  test(`button: only {"on": true} and {"on": false} do something, ${firmware} firmware`, async () => {
    await withBoard('button', { firmware }, async ({ board, port }) => {
      const put = async (body) => (await raw(port, 'PUT', '/led', { body })).status;
      assert.equal(await put('{"on": true}'), 204);
      for (const body of [
        '', 'null', 'on', '{', '{"on":1}', '{"on":null}', '[true]', '"on"', '{"on":false', Buffer.from('{"on":false}\xff', 'latin1'),
        `{"on":false,"more":${'['.repeat(8)}${']'.repeat(8)}}`, '['.repeat(16000),
      ]) assert.equal(await put(body), 400, `${body.slice(0, 40)}`);
      assert.equal(board.pins.LED, 1);
      assert.equal(await put('{ "on": false }'), 204);
      assert.equal(board.pins.LED, 0);
    });
  });
}

// --------------------------------------------------------------------------------------------------------- thermometer

async function testThermometer(firmware) {
  let celsius = 20;
  await withPage('thermometer', { firmware, degrees: () => celsius }, async ({ page, context, port }) => {
    const pages = [page];
    for (let count = 1; count < 3; count++) {
      pages.push(await context.newPage());
      await pages[count].goto(BOARD);
    }
    for (celsius of [21.5, -3]) for (const each of pages) await seen(each, '#now', `${celsius.toFixed(1)} °C`);
    assert.equal((await raw(port, 'GET', '/')).status, 200);
  });
}

// -------------------------------------------------------------------------------------------------------------- static

/** The picture on the canvas. */
const globe = (page) => page.evaluate(() => /** @type {HTMLCanvasElement} */ (document.getElementById('globe')).toDataURL());

/** Waits until the globe turns, or stands still. */
const globeComesTo = (page, wanted) => eventually('the globe', async () => {
  const before = await globe(page);
  await pause(250);
  return await globe(page) === before ? 'stand still' : 'turn';
}, (found) => found === wanted);

async function testStatic(firmware) {
  const script = readFileSync(path('examples/www-src/app.js'));
  const packed = readFileSync(path('examples/www/app.js.gz'));
  const kilobytes = ({ length }) => (length / 1024).toFixed(1);

  await withPage('static', { firmware, files: { '/secret.txt': 'secret' } }, async ({ page, port, board }) => {
    const words = `The globe is drawn by app.js: ${kilobytes(script)} KB of script, which `;
    await seen(page, '#script', `${words}came from the board as ${kilobytes(packed)} KB.`);
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('header')).backgroundColor), 'rgb(20, 83, 45)');
    assert.equal(await page.evaluate(() => document.images[0].naturalWidth), 246);

    await globeComesTo(page, 'turn');
    await page.mouse.move(195, 500);
    await page.mouse.down();
    await globeComesTo(page, 'stand still');
    const held = await globe(page);
    await page.mouse.move(255, 470);
    await globeComesTo(page, 'stand still');
    assert.notEqual(await globe(page), held, 'the globe does not follow the finger');
    await page.mouse.up();
    await globeComesTo(page, 'turn');
    await page.screenshot({ path: join(RESULTS, `example-static-${firmware}.png`) });

    const { headers, content } = await raw(port, 'GET', '/app.js', { headers: { 'accept-encoding': 'gzip' } });
    assert.deepEqual([headers['content-encoding'], headers['cache-control']], ['gzip', 'max-age=86400']);
    assert.deepEqual(content, packed);
    const plain = await raw(port, 'GET', '/app.js'); // there is nothing else to send
    assert.deepEqual([plain.status, plain.headers['content-encoding']], [200, 'gzip']);
    for (const target of ['/nothing.html', '/..%2Fsecret.txt', '/../secret.txt']) {
      assert.equal((await raw(port, 'GET', target)).status, 404, target);
    }

    await page.goto(BOARD);
    await seen(page, '#script', `${words}your browser still had.`);
    assert.equal(board.vitals().openFiles, 0);
  });
}

test('static: the packed script is made of its source', () => {
  assert.deepEqual(gunzipSync(readFileSync(path('examples/www/app.js.gz'))), readFileSync(path('examples/www-src/app.js')));
});

// --------------------------------------------------------------------------------------------------------------- async

async function testAsync(firmware) {
  await withPage('async', { firmware, degrees: () => 31.5 }, async ({ page }) => {
    const count = async () => Number(await page.locator('#toggles').textContent());
    await eventually('times that the LED was switched', count, (found) => found > 0);

    await page.getByRole('button', { name: 'Measure' }).click();
    assert.ok(await page.locator('#measure').isDisabled());
    const counts = new Set();
    const began = Date.now();
    while (await page.locator('#measure').isDisabled()) {
      counts.add(await count());
      await pause(50);
      assert.ok(Date.now() - began < PATIENCE, 'no answer');
    }
    assert.ok(Date.now() - began > 1500, `measured in only ${Date.now() - began} ms`);
    assert.equal(await page.locator('#celsius').textContent(), '31.5');
    assert.ok(counts.size >= 2, `numbers that were seen meanwhile: ${[...counts]}`);
  }, `async-${firmware}`);
}

for (const firmware of FIRMWARES) {
  test(`async: the LED keeps its rhythm while slow and quick answers are made, ${firmware} firmware`, async () => {
    const board = new Board({ firmware, wifi: 'off', storage: { WIFI_SSID: 'home' } });
    board.load(await bundle('async'), 'async.js');
    const ask = async (target) => {
      const client = board.connect();
      client.send(`GET ${target} HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n`);
      await board.until(() => client.state === 'closed');
      return client.text;
    };
    await board.runAsync(10);
    const began = board.now;
    const slow = ask('/temperature').then((answer) => ({ answer, took: board.now - began }));
    for (let i = 0; i < 5; i++) assert.match(await ask('/toggles'), new RegExp(`\r\n\r\n${board.pinLog.length}$`));
    const quick = board.now - began;
    const { answer, took } = await slow;
    assert.match(answer, /^HTTP\/1\.1 200 [^]*\r\n\r\n437\.2$/); // no volts at all: 27 + 0.706 / 0.001721
    assert.ok(took > 2000 && took < 2200 && quick < took, `the slow answer took ${took} ms, five quick ones ${quick} ms`);
    const gaps = board.pinLog.slice(1).map(([at], i) => at - board.pinLog[i][0]);
    assert.ok(gaps.length >= 19 && gaps.every((gap) => gap >= 100 && gap < 104), gaps.join(' '));
    board.check();
  });
}

// -------------------------------------------------------------------------------------------------------------- events

/** A thermometer whose readings count: one hundredth of a degree more each time. So a reading that is lost or comes twice shows. */
function counter(from = 2000) {
  let hundredths = from;
  return () => hundredths++ / 100;
}

/** What the chart is made of, in hundredths of a degree. */
const readings = (page) => page.evaluate('values.map((value) => Math.round(value * 100))');
const points = async (page) => ((await page.locator('#line').getAttribute('points')) ?? '').split(' ').length;

/** Waits for so many more readings. */
async function more(page, count) {
  const last = (await readings(page)).at(-1);
  return eventually('readings', () => readings(page), (found) => (last === undefined ? found.length >= count : found.at(-1) >= last + count));
}

function assertConsecutive(values) {
  values.slice(1).forEach((value, i) => assert.equal(value, values[i] + 1, `a gap, or a reading that came twice: ${values}`));
}

async function testEvents(firmware) {
  await withPage('events', { firmware, degrees: counter() }, async ({ page, board, port }) => {
    await seen(page, '#state', 'Live');
    await eventually('points of the chart', () => points(page), (found) => found >= 12);
    assert.equal(Number(await page.locator('#now').textContent()) * 100 >= 2005, true);

    const began = performance.now();
    for (let i = 0; i < 5; i++) assert.equal((await raw(port, 'GET', '/')).status, 200);
    assert.ok(performance.now() - began < 10000, `five pages beside the stream took ${performance.now() - began} ms`);

    const requests = [];
    page.on('request', (request) => requests.push(request));
    for (const { socket } of board.network.wires) socket.resetAndDestroy();
    await seen(page, '#state', 'No connection, trying again...');
    await seen(page, '#state', 'Live');
    const values = await more(page, 8);
    assertConsecutive(values);
    const [again] = requests.filter((request) => request.url().endsWith('/events'));
    assert.match((await again.allHeaders())['last-event-id'], /^\d+$/);
  }, `events-${firmware}`);
}

async function testRestart() {
  const first = await boot('events', { degrees: counter(2000) });
  const page = await browser.newPage({ viewport: PHONE });
  let second;
  try {
    page.setDefaultTimeout(PATIENCE);
    await page.goto(first.url);
    await more(page, 24); // six seconds: longer than the browser needs to come back
    await first.board.stop();
    first.board.check();
    await seen(page, '#state', 'No connection, trying again...');
    const before = await readings(page);
    second = await boot('events', { degrees: counter(5000), port: first.port });
    await seen(page, '#state', 'Live');
    const values = await eventually('readings', () => readings(page), (found) => found.at(-1) >= 5008);
    assert.deepEqual(values.slice(0, before.length), before);
    assert.equal(values[before.length], 5000, `not from the beginning: ${values}`);
    assertConsecutive(values.slice(before.length));
  } finally {
    await page.close();
    await first.board.stop();
    await second?.board.stop();
  }
  second.board.check();
}

async function testViewers() {
  await withPage('events', { degrees: counter() }, async ({ page, context }) => {
    await seen(page, '#state', 'Live');
    const others = [];
    for (let i = 0; i < 3; i++) {
      others[i] = await context.newPage();
      await others[i].goto(BOARD);
      if (i < 2) await seen(others[i], '#state', 'Live');
    }
    await seen(others[2], '#state', 'No connection, trying again...');
    await others[0].close();
    await seen(others[2], '#state', 'Live');
    assertConsecutive(await more(page, 2));
  });
}

// ------------------------------------------------------------------------------------------------------------ settings

const DEFAULTS = { name: 'My Pico W', blink: true, interval: 500 };

/** What the board keeps while it is switched off. */
function stored({ storage }) {
  const keys = Array.from({ length: storage.length }, (_, i) => storage.key(i));
  return Object.fromEntries(keys.map((key) => [key, storage.getItem(key)]));
}

async function fillIn(page, { name, blink, interval }) {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('The LED blinks').setChecked(blink);
  await page.getByLabel('Milliseconds between on and off').fill(interval);
  await page.getByRole('button', { name: 'Save' }).click();
}

async function filledIn(page) {
  return {
    name: await page.getByLabel('Name').inputValue(),
    blink: await page.getByLabel('The LED blinks').isChecked(),
    interval: await page.getByLabel('Milliseconds between on and off').inputValue(),
  };
}

async function testSettings(firmware) {
  const chosen = { name: '<i>"Küche" & Co</i> 😀', blink: true, interval: 100 };
  const typed = { ...chosen, interval: '100' };
  const api = async (port) => JSON.parse((await raw(port, 'GET', '/api/settings')).text);
  let storage;

  await withPage('settings', { firmware }, async ({ page, board, port }) => {
    assert.deepEqual(await filledIn(page), { ...DEFAULTS, interval: '500' });
    await fillIn(page, { name: 'x'.repeat(25), blink: true, interval: '7 "' });
    await seen(page, 'em', 'Please give it a name of 1 to 24 characters.');
    await seen(page, 'em', 'Please choose a whole number from 50 to 5000.');
    assert.deepEqual(await filledIn(page), { name: 'x'.repeat(25), blink: true, interval: '7 "' });
    await page.screenshot({ path: join(RESULTS, `example-settings-errors-${firmware}.png`) });
    assert.deepEqual(await api(port), DEFAULTS);
    assert.equal(board.storage.getItem('SETTINGS'), null);

    await fillIn(page, typed);
    await seen(page, 'form', 'Saved.');
    assert.equal(page.url(), `${BOARD}?saved`);
    assert.equal(await page.locator('h1').textContent(), chosen.name);
    assert.equal(await page.title(), chosen.name);
    assert.equal(await page.locator('i').count(), 0, 'the name has become HTML');
    assert.deepEqual(await filledIn(page), typed);
    assert.deepEqual(await api(port), chosen);

    const [before, began] = [board.pinLog.length, board.now];
    await pause(1000);
    const [changes, took] = [board.pinLog.length - before, board.now - began];
    assert.ok(changes >= took / 200 && changes <= took / 100 + 1, `the LED changed ${changes} times in ${took} ms`);
    storage = stored(board);
    assert.equal(Buffer.byteLength(storage.SETTINGS), 200);
  }, `settings-${firmware}`);

  await withPage('settings', { firmware, storage }, async ({ page, board, port }) => {
    assert.equal(await page.locator('h1').textContent(), chosen.name);
    assert.deepEqual(await filledIn(page), typed);

    await fillIn(page, { ...typed, name: 'Off', blink: false });
    await seen(page, 'form', 'Saved.');
    await pause(300);
    assert.equal(board.pins.LED, 0);
    assert.equal(Buffer.byteLength(board.storage.getItem('SETTINGS')), 200);
    await testSettingsApi(board, port);
  });

  await withBoard('settings', { firmware, storage: { SETTINGS: '{"name":' } }, async ({ port }) => assert.deepEqual(await api(port), DEFAULTS));
}

async function testSettingsApi(board, port) {
  const put = (body) => raw(port, 'PUT', '/api/settings', { body, headers: { 'content-type': 'application/json' } });
  const post = (body, headers) => raw(port, 'POST', '/', { body, headers });
  const unchanged = { name: 'Off', blink: false, interval: 100 };
  const form = 'name=A&interval=100';
  const noJson = { json: 'Please send {"name": "...", "blink": true, "interval": 500}.' };

  for (const [body, errors] of [
    ['{"name":"","blink":1,"interval":"100"}', {
      name: 'Please give it a name of 1 to 24 characters.',
      blink: 'Please say true or false.',
      interval: 'Please choose a whole number from 50 to 5000.',
    }],
    ['{"name":"A","blink":true,"interval":49}', { interval: 'Please choose a whole number from 50 to 5000.' }],
    ['{"name":"A","blink":true,"interval":99.5}', { interval: 'Please choose a whole number from 50 to 5000.' }],
    ...['', '{', 'null', '[[[[[[[[[[[[', Buffer.of(0x22, 0xFF, 0x22)].map((body) => [body, noJson]),
  ]) {
    const { status, text } = await put(body);
    assert.deepEqual([body, status, JSON.parse(text)], [body, 400, { errors }]);
  }
  assert.equal((await put(' '.repeat(1025))).status, 413);
  assert.equal((await post('name=%zz&interval=100')).status, 400);
  assert.equal((await post(Buffer.of(0xFF))).status, 400);
  assert.equal((await post(form, { origin: 'http://elsewhere.example' })).status, 403);
  assert.deepEqual(JSON.parse((await raw(port, 'GET', '/api/settings')).text), unchanged);

  const { status, text } = await put('{"name":"From a program","blink":true,"interval":50,"more":1}');
  assert.deepEqual([status, JSON.parse(text)], [200, { name: 'From a program', blink: true, interval: 50 }]);
  assert.deepEqual(JSON.parse(board.storage.getItem('SETTINGS')), { name: 'From a program', blink: true, interval: 50 });
  const { status: found, headers } = await post(`${form}0&blink=on`, { origin: `http://127.0.0.1:${port}` });
  assert.deepEqual([found, headers.location], [303, '/?saved']);
}

// -------------------------------------------------------------------------------------------------------------- upload

const LIMIT = 16384;
const bytes = (length) => Buffer.from(Uint8Array.from({ length }, (_, at) => (at ^ at >> 8) & 255));
const chosenFile = (name, buffer) => ({ name, mimeType: 'application/octet-stream', buffer });
const fileOf = (board, name) => board.fs.files.get(`/upload/${name}`);
const rows = (page) => page.locator('li').allTextContents();

async function testUpload(firmware) {
  const hello = Buffer.from('Grüße!\n');
  const three = [chosenFile('Grüße & <b>.txt', hello), chosenFile('full.bin', bytes(LIMIT)), chosenFile('page.html', Buffer.from('<h1>x'))];
  await withPage('upload', { firmware }, async ({ page, board, port }) => {
    await seen(page, '#none', 'There are no files yet.');
    await page.locator('#chosen').setInputFiles(three);
    await seen(page, '#news div', 'page.html is on the board.');
    await eventually('files in the list', () => rows(page), (found) => found.length === 3);
    assert.deepEqual(await rows(page), ['Grüße & <b>.txt9 BDelete', 'full.bin16.0 KBDelete', 'page.html5 BDelete']);
    assert.deepEqual(await page.locator('#news div').allTextContents(), three.map(({ name }) => `${name} is on the board.`));
    for (const { name, buffer } of three) {
      assert.deepEqual(Buffer.from(fileOf(board, name).data), buffer, name);
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name }).click()]);
      assert.deepEqual(readFileSync(await download.path()), buffer, name);
    }

    for (const size of [LIMIT + 1, 300000]) {
      await page.locator('#chosen').setInputFiles([chosenFile('large.bin', bytes(size)), chosenFile('small.txt', Buffer.from('' + size))]);
      await seen(page, '#news .bad', 'large.bin is too large: the board takes up to 16 KB.');
      await seen(page, '#news div', 'small.txt is on the board.');
      assert.equal(fileOf(board, 'large.bin'), undefined);
      assert.equal(Buffer.from(fileOf(board, 'small.txt').data).toString(), '' + size);
    }
    await page.screenshot({ path: join(RESULTS, `example-upload-${firmware}.png`) });

    await page.locator('#chosen').setInputFiles([chosenFile(`${'n'.repeat(60)}.txt`, hello)]);
    await seen(page, '#news .bad', `The board takes no file of the name ${'n'.repeat(60)}.txt.`);
    await page.locator('li').filter({ hasText: 'page.html' }).getByRole('button', { name: 'Delete' }).click();
    await eventually('files in the list', () => rows(page), (found) => found.length === 3 && !found.some((row) => row.includes('page.html')));
    assert.equal(fileOf(board, 'page.html'), undefined);
    await testNames(board, port);
    assert.equal(board.vitals().openFiles, 0);
  });

  await withPage('upload', { firmware, files: { '/big.bin': bytes(500000) } }, async ({ page, board }) => {
    await page.locator('#chosen').setInputFiles([chosenFile('late.bin', bytes(LIMIT)), chosenFile('note.txt', hello)]);
    await seen(page, '#news .bad', 'There is no room left for late.bin.');
    await seen(page, '#news div', 'note.txt is on the board.');
    assert.equal(fileOf(board, 'late.bin'), undefined);
  });
}

/** Names that could mean something else than a file in the folder. */
async function testNames(board, port) {
  const before = [...board.fs.files.keys()];
  const outside = ['.', '..', '%2e%2e', '..%2Fwww%2Findex.html', '../www/index.html', 'a/b', 'a%2Fb', 'a%5Cb', 'a..b'];
  for (const name of [...outside, '', 'a%00b', 'n'.repeat(61), '%F0%9F%98%80']) {
    assert.equal((await raw(port, 'PUT', `/files/${name}`, { body: 'x' })).status, 400, name);
    assert.equal((await raw(port, 'GET', `/files/${name}`)).status, 404, name);
    assert.equal((await raw(port, 'DELETE', `/files/${name}`)).status, 404, name);
  }
  assert.deepEqual([...board.fs.files.keys()], before);
  assert.equal((await raw(port, 'PUT', `/files/${'n'.repeat(60)}`, { body: 'x' })).status, 201);
  assert.equal((await raw(port, 'GET', '/files/small.txt')).headers['content-disposition'], 'attachment');
}
