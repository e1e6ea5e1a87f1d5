// The page of every example on a phone: it is legible, it can be used with a finger, and it asks for nothing that the board does not have.
import assert from 'node:assert/strict';
import { parse } from 'node:path';
import { describe, test } from 'node:test';
import { exampleSources } from '../../tools/build/build.mjs';
import { CHROMIUM, launch } from '../helpers/chromium.mjs';
import { pause, PHONE, withPageIn } from '../helpers/examples.mjs';
import { unlessFound } from '../helpers/program.mjs';

const skip = unlessFound(CHROMIUM, 'Chromium');
const DEVICE = { deviceScaleFactor: 3, isMobile: true, hasTouch: true };
const SMALLEST_TEXT = 14;
const LOWEST_BUTTON = 32;

const pages = exampleSources().map((source) => parse(source).name);

/**
 * Opens the page of an example on a phone, and does something with it; also gives all that went wrong, and all that it asked for. The browser
 * is a new one, as it asks only once for a favicon that is missing.
 */
async function onPhone(name, use) {
  const [wrong, asked] = [[], []];
  const watch = async (page) => {
    page.on('console', (message) => { if (message.type() === 'error') wrong.push(message.text()); });
    const answered = new Set(); // a page may drop the rest of an answer, and one to HEAD has none
    page.on('response', (response) => {
      answered.add(response.request());
      if (response.status() >= 400) wrong.push(`${response.url()}: ${response.status()}`);
    });
    page.on('requestfailed', (request) => {
      if (!answered.has(request)) wrong.push(`${request.method()} ${request.url()}: ${request.failure()?.errorText}`);
    });
    const session = await page.context().newCDPSession(page); // Playwright itself hides requests for a favicon
    session.on('Network.requestWillBeSent', ({ request }) => asked.push(new URL(request.url).pathname));
    await session.send('Network.enable');
  };
  const browser = await launch();
  try {
    await withPageIn(browser, name, { device: DEVICE, watch }, async ({ page }) => await use({ page, wrong, asked }), `phone-${name}`);
  } finally {
    await browser.close();
  }
}

/** What the browser shows; asked for again if the page was just reloading itself. */
async function look(page) {
  for (;;) {
    try {
      return await page.evaluate(measure);
    } catch (error) {
      if (!/context was destroyed/.test(`${error}`)) throw error;
      await page.waitForLoadState();
    }
  }
}

/** Runs in the page. */
function measure() {
  const seen = [...document.querySelectorAll('body, body *')].filter((element) => element.getClientRects().length > 0);
  const ownText = ({ childNodes }) => [...childNodes].filter(({ nodeType }) => nodeType === document.TEXT_NODE).map(({ data }) => data).join('').trim();
  const describe = (element) => {
    const button = element.matches('[type=file]') && getComputedStyle(element, '::file-selector-button'); // what is pressed
    return {
      what: `<${element.localName}> ${(ownText(element) || element.getAttribute('type') || '').slice(0, 40)}`,
      // A unit of a drawing is as large as the drawing makes it.
      size: parseFloat((button || getComputedStyle(element)).fontSize) * (element.getScreenCTM?.().d ?? 1),
      height: button ? parseFloat(button.height) : element.getBoundingClientRect().height,
    };
  };
  const controls = 'button, input:not([type=checkbox]), select, textarea';
  return {
    texts: seen.filter((element) => ownText(element) || element.matches(`a, ${controls}`)).map(describe),
    buttons: seen.filter((element) => element.matches('button, [type=submit], [type=button], [type=file], [role=button]')).map(describe),
    icon: document.querySelector('link[rel=icon]')?.getAttribute('href'),
    width: document.defaultView.innerWidth,
    contentWidth: document.documentElement.scrollWidth,
  };
}

describe('the pages of the examples on a phone', { skip, timeout: 5 * 60000 }, () => {
  for (const name of pages) {
    test(`${name}: is legible and can be used with a finger, and nothing fails`, () => onPhone(name, async ({ page, wrong, asked }) => {
      const { texts, buttons, icon, width, contentWidth } = await look(page);
      assert.equal(width, PHONE.width, 'the page is shrunk: it is too wide, or has no viewport');
      assert.ok(contentWidth <= width, `it is ${contentWidth} px wide`);
      assert.ok(texts.length > 0);
      assert.deepEqual(texts.filter(({ size }) => size < SMALLEST_TEXT), [], 'small text');
      assert.deepEqual(buttons.filter(({ height }) => height < LOWEST_BUTTON), [], 'low buttons');
      await pause(1500); // what the page asks for later
      assert.deepEqual(wrong, []);
      assert.ok(asked.includes('/') && !asked.includes('/favicon.ico'), asked.join(' '));
      assert.equal(icon, 'data:,');
    }));
  }
});
