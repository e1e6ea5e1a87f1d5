// The examples with a WebSocket, used as a person would use them: with Chromium, in the size of a phone.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import vm from 'node:vm';
import { WebSocket } from 'ws';
import { Board } from '../board/index.mjs';
import { CHROMIUM, launch, RESULTS } from '../helpers/chromium.mjs';
import { boot, bundle, eventually, PATIENCE, path, pause, PHONE, seconds, seen, startAndVisit, withPageIn } from '../helpers/examples.mjs';
import { unlessFound } from '../helpers/program.mjs';
import { BINARY, frame, openPeer } from '../support/websocket.mjs';

const skip = unlessFound(CHROMIUM, 'Chromium');
const FIRMWARES = /** @type {const} */ (['stock', 'routed']);
/** @type {import('playwright-core').Browser} */
let browser;

/** Boots an example, and opens its page in the browser. */
const withPage = (...args) => withPageIn(browser, ...args);

const photograph = (page, name) => page.screenshot({ path: join(RESULTS, `example-${name}.png`) });

/** One message from a board, perhaps as an answer to one. */
function answerTo(url, message) {
  return new Promise((resolve, reject) => {
    const client = new WebSocket(url, { signal: seconds(20) });
    client.on('error', reject);
    client.on('open', () => message && client.send(message));
    client.on('message', (data) => {
      client.close();
      client.on('close', () => resolve(data.toString()));
    });
  });
}

describe('npm start', () => {
  for (const [name, path, message, answer] of [
    ['websocket', '/ws', 'Grüße', /^Grüße$/], ['dashboard', '/live', '', /^\{"ms":\d+,.*\}$/], ['chat', '/room', '', /^\n1$/],
  ]) {
    test(`runs ${name}`, () => startAndVisit(name, async (url) => {
      for (const n of [1, 2, 3]) assert.match(await answerTo(`ws://127.0.0.1:${+new URL(url).port + n}${path}`, message), answer);
    }));
  }
});

describe('the examples with a WebSocket in Chromium', { skip, timeout: 10 * 60000 }, () => {
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  for (const firmware of FIRMWARES) {
    describe(`on ${firmware} firmware`, () => {
      test('websocket: what is typed comes back, also after a break', () => testEcho(firmware));
      test('websocket: goes on when the board has been switched off and on', () => testEchoRestart(firmware));
      test('dashboard: values and curves that move, and a LED to switch', () => testDashboard(firmware));
      test('dashboard: goes on after a break, and after a silence', () => testDashboardBreaks(firmware));
      test('dashboard: goes on when the board has been switched off and on', () => testDashboardRestart(firmware));
      test('chat: what is typed in each of three browsers appears in all of them', () => testChat(firmware));
      test('chat: goes on after a break', () => testChatBreak(firmware));
    });
  }

  test('websocket: on stock firmware three browsers get their own words back; a fourth one waits until one of them has gone', testEchoFour);
  test('dashboard: on stock firmware three browsers watch; a fourth one waits until one of them has gone', () => testDashboardViewers('stock', 3));
  test('dashboard: on routed firmware four browsers watch; a fifth one waits until one of them has gone', () => testDashboardViewers('routed', 4));
});

// --------------------------------------------------------------------------------------------------------- keepSocket

/** Runs the script that pages have, with a clock of its own. What it does is written down with the time. */
function keepSocket(location) {
  const [, script] = /KEEP_SOCKET = `([^]*)`;/.exec(readFileSync(path('examples/lib/socket.ts'), 'utf8'));
  const done = [];
  const sockets = [];
  const timers = [];
  let now = 0;
  class FakeSocket extends EventTarget {
    readyState = 0;

    constructor(url) {
      super();
      done.push([now, url]);
      sockets.push(this);
    }

    close() {
      done.push([now, 'close']);
      this.end();
    }

    end() {
      this.readyState = 3;
      this.dispatchEvent(new Event('close'));
    }
  }
  const fetch = async (url, { method }) => {
    done.push([now, `${method} ${url}`]);
    throw new TypeError('Failed to fetch');
  };
  const setTimeout = (run, ms) => timers.push({ at: now + ms, run });
  const used = [];
  vm.runInNewContext(`${script}keepSocket('/ws', use);`, {
    location, fetch, setTimeout, AbortSignal, WebSocket: FakeSocket, Date: { now: () => 3 }, use: (ws) => used.push(ws),
  });
  /** Lets time pass. */
  const run = async (ms) => {
    for (const end = now + ms; ; now++) {
      await new Promise(setImmediate); // what was promised is done
      for (const timer of timers.filter(({ at }) => at === now)) timer.run();
      await new Promise(setImmediate);
      if (now === end) return;
    }
  };
  return { done, sockets, used, run };
}

/** When the script makes a request for nothing but that the browser drops dead connections. */
const TIDIES = [2000, 4000, 8000, 16000, 32000];

test("the page's script makes a request 2, 4, 8, 16 and 32 seconds after the page was loaded", async () => {
  const { done, sockets, run } = keepSocket({ hostname: 'board', port: '' });
  await run(100);
  sockets[0].readyState = 1;
  await run(100000);
  assert.deepEqual(done, [[0, 'HEAD /'], [100, 'ws://board:81/ws'], ...TIDIES.map((ms) => [ms, 'HEAD /'])]);
});

for (const [port, ports] of /** @type {[string, number[]][]} */ ([['', [81, 82, 83]], ['8080', [8081, 8082, 8083]]])) {
  test(`the page's script goes over ports ${ports.join(', ')} and over again, a second after each end, each time with a request before`, async () => {
    const { done, sockets, used, run } = keepSocket({ hostname: '192.168.1.5', port });
    const expected = [];
    for (let n = 0; n < 5; n++) {
      await run(100);
      const now = n * 1400 + 100;
      expected.push([now - 100, 'HEAD /'], [now, `ws://192.168.1.5:${ports[n % 3]}/ws`]);
      const tidied = TIDIES.filter((ms) => ms <= now).map((ms) => [ms, 'HEAD /']);
      assert.deepEqual(done, [...expected, ...tidied].sort(([a], [b]) => a - b));
      sockets[n].readyState = 1;
      await run(1000);
      sockets[n].end();
      await run(300);
    }
    assert.deepEqual(used, sockets);
  });
}

test("the page's script gives up a socket that does not open in 4 seconds, and takes the next port", async () => {
  const { done, run } = keepSocket({ hostname: 'board', port: '' });
  await run(5000);
  assert.deepEqual(done, [
    [0, 'HEAD /'], [100, 'ws://board:81/ws'], [2000, 'HEAD /'], [4000, 'HEAD /'], [4100, 'close'], [4400, 'HEAD /'], [4500, 'ws://board:82/ws'],
  ]);
});

/** Every connection is reset, at both ends. */
function breakAll(board) {
  for (const wire of board.network.wires) {
    wire.put({ reset: true });
    wire.socket.resetAndDestroy();
  }
}

/** Does something with a page of an example, then with a new board in its place. */
async function withRestart(name, firmware, useFirst, useSecond, settings = [{}, {}]) {
  const first = await boot(name, { firmware, ...settings[0] });
  const context = await browser.newContext({ viewport: PHONE, deviceScaleFactor: 2 });
  context.setDefaultTimeout(PATIENCE);
  let second;
  try {
    const page = await context.newPage();
    await page.goto(first.url);
    await useFirst(page, first);
    await first.board.stop();
    first.board.check();
    await useSecond(page, async () => {
      second = await boot(name, { firmware, port: first.port, ...settings[1] });
      return second;
    });
  } finally {
    await context.close();
    await first.board.stop();
    await second?.board.stop();
  }
  second.board.check();
}

// ----------------------------------------------------------------------------------------------------------- websocket

const lines = (page) => page.locator('#log div').evaluateAll((all) => all.map((line) => [line.className, line.textContent]));
const echoed = (messages) => messages.flatMap((text) => [['me', text], ['board', text]]);

async function type(page, text, how = 'click') {
  await page.getByLabel('Message').fill(text);
  if (how === 'click') await page.getByRole('button', { name: 'Send' }).click();
  else await page.getByLabel('Message').press('Enter');
}

/** Types messages and waits for each one's echo. */
async function converse(page, messages, how) {
  const before = await lines(page);
  for (const [n, text] of messages.entries()) {
    await type(page, text, how);
    await eventually('lines', () => lines(page), (found) => found.length === before.length + 2 * n + 2);
    assert.equal(await page.getByLabel('Message').inputValue(), '');
  }
  assert.deepEqual(await lines(page), [...before, ...echoed(messages)]);
}

async function testEcho(firmware) {
  await withPage('websocket', { firmware }, async ({ page, url, board }) => {
    await seen(page, '#state', 'Connected');
    await converse(page, ['Hello, board!', '<b>Grüße</b> & 漢字 😀', 'x'.repeat(2000)]);
    await converse(page, ['by the Enter key', ' '], 'enter');
    await type(page, '');
    for (let i = 0; i < 3; i++) assert.equal((await fetch(url, { signal: seconds(20) })).status, 200);
    await converse(page, ['still here']);

    breakAll(board);
    await seen(page, '#state', 'No connection, trying again...');
    assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
    await seen(page, '#state', 'Connected');
    await converse(page, ['again']);

    await page.reload();
    await seen(page, '#state', 'Connected');
    await converse(page, ['Hello, board!', 'How are you?', 'It is nice to hear that everything that I say comes back to me.']);
  }, `websocket-${firmware}`);
}

async function testEchoRestart(firmware) {
  await withRestart('websocket', firmware, async (page) => {
    await seen(page, '#state', 'Connected');
    await converse(page, ['one']);
  }, async (page, restart) => {
    await seen(page, '#state', 'No connection, trying again...');
    await photograph(page, `websocket-lost-${firmware}`);
    await pause(1500);
    await restart();
    await seen(page, '#state', 'Connected');
    await converse(page, ['two']);
  });
}

async function testEchoFour() {
  await withPage('websocket', {}, async ({ page, visit }) => {
    const pages = [page, await visit(), await visit()];
    for (const each of pages) await seen(each, '#state', 'Connected');
    const fourth = await visit();
    await Promise.all(pages.map((each, n) => converse(each, [1, 2, 3, 4].map((count) => `page ${n} says ${count}`))));
    await seen(fourth, '#state', 'No connection, trying again...');
    await converse(page, ['mine']);
    await pages[1].close();
    await seen(fourth, '#state', 'Connected');
    await converse(fourth, ['now mine']);
    await converse(pages[2], ['still mine']);
  });
}

// ----------------------------------------------------------------------------------------------------------- dashboard

const value = (page, name) => page.locator(`[data-value=${name}] .now`).textContent();
const ledIsOn = (page) => page.locator('#led').evaluate((led) => led.classList.contains('on'));
const readings = (page) => page.evaluate('readings');
const button = (page, name) => page.getByRole('button', { name, exact: true });

/** How many of a curve's pixels have its colour: those of the line, not those of the area below it. */
const inked = (page, name) => page.locator(`[data-value=${name}]`).evaluate((card) => {
  const canvas = card.querySelector('canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] === 255) count++;
  return count;
});

/** Waits for so many more readings. */
async function more(page, count) {
  const { length } = await readings(page);
  return await eventually('readings', () => readings(page), (found) => found.length >= length + count);
}

/** Switches the LED, and waits until the board has done it and the pages have heard of it. */
async function switchLed(board, page, to, pages = [page]) {
  await button(page, to).click();
  const on = to === 'On';
  await eventually('the LED', () => board.pins.LED === 1, (found) => found === on);
  for (const each of pages) await eventually('the LED on the page', () => ledIsOn(each), (found) => found === on);
}

async function testDashboard(firmware) {
  let volts = 0.25;
  await withPage('dashboard', { firmware, degrees: () => 31.5, volts: () => volts }, async ({ page, board, url }) => {
    const source = await page.evaluate(async () => (await fetch('/', { cache: 'no-store' })).text()); // as it is before there are values
    for (const part of [/>--\.-</, />-\.--</, /<button [^>]*disabled/]) assert.match(source, part);
    await seen(page, '#state', 'Live');
    await eventually('degrees', () => value(page, 'celsius'), (found) => found === '31.5');
    await eventually('volts', () => value(page, 'volts'), (found) => found === '0.25');
    volts = 3.2;
    await eventually('volts', () => value(page, 'volts'), (found) => found === '3.20');
    assert.equal(await page.locator('[data-value=volts] .range').textContent(), '0.25 to 3.20\nlast minute');

    await more(page, 20);
    const before = await inked(page, 'volts');
    await more(page, 20);
    assert.ok(before > 50 && await inked(page, 'volts') > before, 'the curve does not grow');
    const all = await readings(page);
    for (const [i, { ms, at }] of all.entries()) {
      assert.ok(!i || (ms > all[i - 1].ms && at > all[i - 1].at), `reading ${i} is not newer than the one before`);
    }

    for (const to of ['On', 'Off', 'On']) await switchLed(board, page, to);
    assert.match(await page.locator('#up').textContent(), /^Running for 0:00:\d\d$/);
    assert.equal(await page.locator('#watching').textContent(), '');
    const { length } = await readings(page);
    for (let i = 0; i < 5; i++) assert.equal((await fetch(url, { signal: seconds(20) })).status, 200);
    assert.ok((await more(page, 1)).length > length);
  }, `dashboard-${firmware}`);
}

async function testDashboardBreaks(firmware) {
  await withPage('dashboard', { firmware }, async ({ page, board }) => {
    await more(page, 10);
    breakAll(board);
    await seen(page, '#state', 'Connection lost, trying again...');
    assert.ok(await button(page, 'On').isDisabled());
    await photograph(page, `dashboard-lost-${firmware}`);
    const before = await readings(page);
    await seen(page, '#state', 'Live');
    const after = await more(page, 5);
    assert.deepEqual(after.slice(0, before.length), before, 'the curve from before the break is not there any more');

    // Nothing arrives any more, on either side. The page notices it by itself, and takes another port.
    board.setLink({ delay: 600000 });
    await seen(page, '#state', 'Connection lost, trying again...');
    board.setLink({ delay: 0 });
    await seen(page, '#state', 'Live');
    await switchLed(board, page, 'On');
  });
}

async function testDashboardRestart(firmware) {
  await withRestart('dashboard', firmware, async (page, { board }) => {
    await more(page, 30);
    await switchLed(board, page, 'On');
  }, async (page, restart) => {
    for (const what of ['Connection lost', 'No connection']) await seen(page, '#state', `${what}, trying again...`);
    await page.waitForTimeout(1500); // it is off for longer than the curve takes for a break
    const { board } = await restart();
    await seen(page, '#state', 'Live');
    await eventually('volts', () => value(page, 'volts'), (found) => found === '3.00');
    assert.equal(await ledIsOn(page), false);
    await switchLed(board, page, 'On');
    await more(page, 30);
    const all = await readings(page);
    const first = all.findIndex(({ volts }) => volts === 3);
    assert.ok(all[first].ms < all[first - 1].ms, "the board's clock began anew");
    assert.ok(all[first].at - all[first - 1].at > 1500, 'the curve goes on at once, as if there had been no break');
    assert.equal(await page.evaluate('lines().length'), 2);
    await photograph(page, `dashboard-restarted-${firmware}`);
  }, [{ volts: () => 1 }, { volts: () => 3 }]);
}

async function testDashboardViewers(firmware, most) {
  await withPage('dashboard', { firmware }, async ({ page, board, visit }) => {
    const pages = [page];
    while (pages.length < most) pages.push(await visit());
    for (const each of pages) await seen(each, '#watching', `${most} are watching`);
    const another = await visit();
    await seen(another, '#state', 'Others are watching, trying again...');
    await photograph(another, `dashboard-taken-${firmware}`);

    await Promise.all(pages.map((each) => more(each, 20)));
    const all = await Promise.all(pages.map(readings));
    const last = all[0].at(-5).ms;
    for (const [n, each] of all.entries()) assert.ok(each.some(({ ms }) => ms === last), `browser ${n} does not have the reading of ${last}`);
    for (const [n, each] of pages.entries()) await switchLed(board, each, n % 2 ? 'Off' : 'On', pages);
    await photograph(pages[2], `dashboard-three-${firmware}`);

    await pages.shift().close();
    await seen(another, '#state', 'Live');
    pages.push(another);
    await switchLed(board, another, board.pins.LED ? 'Off' : 'On', pages);
    await Promise.all(pages.map((each) => more(each, 10)));
  });
}

for (const firmware of FIRMWARES) {
  test(`dashboard: ten readings a second; a viewer who is slow gets fewer, and then the newest, ${firmware} firmware`, async () => {
    const board = new Board({ firmware, wifi: 'off', storage: { WIFI_SSID: 'home' } });
    board.load(await bundle('dashboard'), 'dashboard.js');
    board.run(10);
    const peer = openPeer(board, { path: '/live', window: 1000 }).polite();
    const received = () => peer.messages.map((message) => JSON.parse(message).ms);
    board.run(10500); // so that it has just been pinged
    assert.ok(Math.abs(received().length - 105) <= 1, `${received().length} readings in 10.5 seconds`);

    peer.client.pause();
    board.run(25000); // more than fits into the board's send buffer, less than makes the server give up
    peer.client.resume();
    const resumed = board.now;
    board.run(3000);
    const all = received();
    const gaps = all.slice(1).map((ms, i) => ms - all[i]);
    assert.ok(gaps.every((gap) => gap > 0));
    assert.ok(Math.max(...gaps) > 3000 && gaps.filter((gap) => gap > 110).length === 1, `gaps: ${gaps}`);
    assert.ok(board.now - all.at(-1) < 120 && all.filter((ms) => ms > resumed).length > 25, 'it does not keep up any more');
    assert.equal(peer.over, false);
    board.check();
  });
}

// ---------------------------------------------------------------------------------------------------------------- chat

/** The lines in a browser: who, what, and whether the browser takes them for its own. */
const chatLines = (page) => page.locator('#log div').evaluateAll((all) => all.map((line) => [line.firstChild.textContent, line.lastChild.textContent, line.className]));

async function rename(page, name) {
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('Your name').blur();
}

/** What all pages are to show: each its own lines as its own. */
async function allShow(pages, names, lines) {
  for (const [n, page] of pages.entries()) {
    const wanted = lines.map(([name, text]) => [name, text, name === names[n] ? 'mine' : '']);
    await eventually(`lines in ${names[n]}'s browser`, () => chatLines(page), (found) => found.length >= wanted.length);
    assert.deepEqual(await chatLines(page), wanted);
  }
}

async function testChat(firmware) {
  await withPage('chat', { firmware }, async ({ page, visit }) => {
    await seen(page, '#state', 'Nobody else is in the room');
    const pages = [page, await visit(), await visit()];
    const names = ['Ada', 'Grüße 😀', '<b>Bob</b>'];
    for (const [n, each] of pages.entries()) {
      await seen(each, '#state', '3 are in the room');
      await rename(each, names[n]);
    }
    const lines = [];
    for (const text of ['x'.repeat(200), '<i>Hello</i> & 漢字', 'How are you?']) {
      for (const [n, each] of pages.entries()) {
        await type(each, text, n ? 'click' : 'enter');
        lines.push([names[n], text]);
        await allShow(pages, names, lines);
      }
    }
    await photograph(pages[1], `chat-full-${firmware}`);

    await pages[2].close();
    for (const each of pages.slice(0, 2)) await seen(each, '#state', '2 are in the room');
    pages[2] = await visit(); // somebody new, who finds what was said
    await rename(pages[2], names[2] = 'Carla');
    await allShow(pages, names, lines);
    for (const each of pages) await seen(each, '#state', '3 are in the room');
    for (const text of ['Hello! I am late', 'What have I missed?']) await type(pages[2], text);
    lines.push(['Carla', 'Hello! I am late'], ['Carla', 'What have I missed?']);
    await allShow(pages, names, lines);
    const [form, last] = await Promise.all([pages[2].locator('form'), pages[2].locator('#log div').last()].map((part) => part.boundingBox()));
    assert.ok(last.y + last.height <= form.y && form.y + form.height <= PHONE.height, 'the last line and the form are not both to be seen');

    await page.reload(); // its name is the same
    assert.equal(await page.getByLabel('Your name').inputValue(), 'Ada');
    await allShow([page], names, lines.slice(-10));
  }, `chat-${firmware}`);
}

async function testChatBreak(firmware) {
  await withPage('chat', { firmware }, async ({ page, visit, board }) => {
    const pages = [page, await visit()];
    for (const each of pages) await seen(each, '#state', '2 are in the room');
    for (const [n, each] of pages.entries()) await rename(each, `Guest ${n}`);
    await type(page, 'before');
    await allShow(pages, ['Guest 0', 'Guest 1'], [['Guest 0', 'before']]);
    breakAll(board);
    for (const each of pages) await seen(each, '#state', 'No connection, trying again...');
    assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
    for (const each of pages) await seen(each, '#state', '2 are in the room');
    await type(pages[1], 'after');
    await allShow(pages, ['Guest 0', 'Guest 1'], [['Guest 0', 'before'], ['Guest 1', 'after']]);
  });
}

for (const firmware of FIRMWARES) {
  test(`chat: hands on what its page sends and nothing else, and keeps ten lines, ${firmware} firmware`, async () => {
    const board = new Board({ firmware, wifi: 'off', storage: { WIFI_SSID: 'home' } });
    board.load(await bundle('chat'), 'chat.js');
    board.run(10);
    const visitors = [81, 82].map((port) => openPeer(board, { path: '/room', port }).polite());
    board.run(50);
    assert.deepEqual(visitors.map(({ messages }) => messages), [['\n1', '\n2'], ['\n2']]);
    const said = (visitor) => visitor.messages.filter((message) => !/^\n\d$/.test(message));

    const good = ['n\n', `${'n'.repeat(20)}\n${'t'.repeat(200)}`, `${'漢'.repeat(20)}\n${'字'.repeat(200)}`, 'a\nb\nc'];
    for (const text of ['', '\n', '\ntext', 'no name', `${'n'.repeat(21)}\ntext`, `n\n${'t'.repeat(201)}`, ...good]) visitors[0].text(text);
    visitors[0].send(frame(BINARY, 'n\ntext'));
    board.run(500);
    for (const visitor of visitors) assert.deepEqual(said(visitor), good);

    const many = Array.from({ length: 12 }, (_, n) => `n\n${n} ${'字'.repeat(190)}`);
    for (const line of many) {
      visitors[1].text(line);
      board.run(50);
    }
    const late = openPeer(board, { path: '/room', port: 83 }).polite();
    board.run(500);
    assert.deepEqual(late.messages, [...many.slice(-10), '\n3']);
    for (const visitor of visitors) assert.deepEqual(said(visitor), [...good, ...many]);
    visitors[0].close();
    board.run(500);
    assert.deepEqual(late.messages.slice(-1), ['\n2']);
    board.check();
  });
}
