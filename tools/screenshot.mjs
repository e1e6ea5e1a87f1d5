// Makes the pictures in examples/screenshots/: the pages of the examples, on the emulated board, as a phone shows them.
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from '../test/helpers/chromium.mjs';
import { Program } from '../test/helpers/program.mjs';
import { parseOptions, runTool, UserError } from './build/program.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const FOLDER = join(root, 'examples', 'screenshots');
const WIDTH = 340;

const press = (page, name) => page.getByRole('button', { name, exact: true }).click();

/** Opens the chat in a second browser: what somebody else says comes from there. */
async function chat(page, { browser, url }) {
  const other = await browser.newPage();
  await other.goto(url);
  const say = async (who, name, words) => {
    await who.fill('#me', name);
    await who.locator('#send:enabled').waitFor({ timeout: 20000 });
    await who.fill('#words', words);
    await press(who, 'Send');
    await page.getByText(words).waitFor();
  };
  await say(other, 'Ada', 'Hello, is anybody there?');
  await say(page, 'Grace', 'Yes, on my phone.');
  await say(other, 'Ada', 'The Pico W passes it on!');
}

/** @type {Record<string, {height: number, scale?: number, seconds?: number, act?: (page: import('playwright-core').Page, more: any) => Promise<unknown>}>} */
const PICTURES = {
  async: { height: 400, seconds: 3, act: (page) => press(page, 'Measure') },
  blink: { height: 90, seconds: 3 },
  button: { height: 80, act: (page) => press(page, 'Switch the LED on') },
  chat: { height: 480, seconds: 1, act: chat },
  dashboard: { height: 712, seconds: 62, act: (page) => press(page, 'On') },
  events: { height: 470, seconds: 32 },
  hello: { height: 90 },
  plain: { height: 80 },
  recipes: { height: 310 },
  settings: { height: 420, act: (page) => page.fill('[name=name]', 'Ada\'s board') },
  static: { height: 712, seconds: 2, scale: 0.5 },
  thermometer: { height: 160, seconds: 2 },
  upload: {
    height: 380,
    act: async (page) => {
      const files = [['notes.txt', 900], ['garden.jpg', 13500]].map(([name, size]) => (
        { name: String(name), mimeType: 'application/octet-stream', buffer: Buffer.alloc(Number(size), 'x') }));
      await page.setInputFiles('#chosen', files);
      await page.getByRole('link', { name: 'notes.txt' }).waitFor({ timeout: 20000 });
    },
  },
  websocket: {
    height: 300,
    seconds: 1,
    act: async (page) => {
      await page.locator('#send:enabled').waitFor({ timeout: 20000 });
      await page.fill('#words', 'Hello, board!');
      await press(page, 'Send');
    },
  },
};

const HELP = `Usage: node tools/screenshot.mjs [example ...] [--seconds N] [--to FOLDER]

  example    those to photograph. Default: all of ${Object.keys(PICTURES).join(', ')}
  --seconds  how long the page has been open by then. Default: as long as its example needs
  --to       the folder of the pictures. Default: examples/screenshots, where they are replaced
  --help     this text`;

function readArguments() {
  const options = {
    seconds: { type: /** @type {const} */ ('string') },
    to: { type: /** @type {const} */ ('string'), default: FOLDER },
    help: { type: /** @type {const} */ ('boolean'), short: 'h', default: false },
  };
  const { values, positionals } = parseOptions(options, 'node tools/screenshot.mjs');
  for (const name of positionals) {
    if (!Object.hasOwn(PICTURES, name)) throw new UserError(`There is no picture of ${name}. See node tools/screenshot.mjs --help`);
  }
  if (values.seconds && !/^\d+$/.test(values.seconds)) throw new UserError(`--seconds must be a number, not ${values.seconds}`);
  return { ...values, names: positionals.length > 0 ? positionals : Object.keys(PICTURES) };
}

async function screenshot(name, browser, { seconds, to }) {
  const { height, scale = 1, act, seconds: needed = 0 } = PICTURES[name];
  const program = new Program(process.execPath, [join(root, 'tools', 'emulator', 'start.mjs'), name, '--port', '0']);
  const page = await browser.newPage({ viewport: { width: WIDTH, height }, deviceScaleFactor: scale });
  try {
    const [, url] = await program.prints(/Open (http:\S+)\n/);
    await page.goto(url);
    await act?.(page, { browser, url });
    await page.waitForTimeout(Number(seconds ?? needed) * 1000 + 500);
    await page.screenshot({ path: join(to, `${name}.png`) });
  } finally {
    await page.close();
    await program.stop();
  }
}

await runTool(async () => {
  const { names, help, ...options } = readArguments();
  if (help) return console.log(HELP);
  mkdirSync(resolve(options.to), { recursive: true });
  const browser = await launch();
  try {
    for (const name of names) await screenshot(name, browser, options);
  } finally {
    await browser.close();
  }
});
