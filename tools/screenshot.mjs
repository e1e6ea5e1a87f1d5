// Makes examples/dashboard.png, the picture in the README: the example on the emulated board as a phone shows it, after a minute.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from '../test/helpers/chromium.mjs';
import { Program } from '../test/helpers/program.mjs';
import { parseOptions, runTool, UserError } from './program.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const PICTURE = join(root, 'examples', 'dashboard.png');
const HELP = `Usage: node tools/screenshot.mjs [--seconds 62] [--to FILE]

  --seconds  how long the example has run by then. Default: 62
  --to       the picture. Default: examples/dashboard.png, which is replaced
  --help     this text`;

function readArguments() {
  const options = {
    seconds: { type: /** @type {const} */ ('string'), default: '62' },
    to: { type: /** @type {const} */ ('string'), default: PICTURE },
    help: { type: /** @type {const} */ ('boolean'), short: 'h', default: false },
  };
  const { values, positionals } = parseOptions(options, 'node tools/screenshot.mjs');
  if (positionals.length > 0) throw new UserError(`What is ${positionals.join(' ')}? See node tools/screenshot.mjs --help`);
  if (!/^\d+$/.test(values.seconds)) throw new UserError(`--seconds must be a number, not ${values.seconds}`);
  return values;
}

async function screenshot({ seconds, to }) {
  const program = new Program(process.execPath, [join(root, 'tools', 'start.mjs'), 'dashboard', '--port', '0']);
  const browser = await launch();
  try {
    const [, url] = await program.prints(/Open (http:\S+)\n/);
    const page = await browser.newPage({ viewport: { width: 340, height: 712 } });
    await page.goto(url);
    await page.getByRole('button', { name: 'On', exact: true }).click();
    await page.waitForTimeout(Number(seconds) * 1000);
    await page.screenshot({ path: to });
  } finally {
    await browser.close();
    await program.stop();
  }
}

await runTool(async () => {
  const options = readArguments();
  if (options.help) console.log(HELP);
  else await screenshot(options);
});
