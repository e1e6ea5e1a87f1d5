// Makes examples/dashboard.png, the picture in the README: the example on the emulated board as a phone shows it, after a minute.
// node tools/screenshot.mjs [seconds] [file]
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from '../test/helpers/chromium.mjs';
import { Program } from '../test/helpers/program.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [seconds = '62', file = join(root, 'examples', 'dashboard.png')] = process.argv.slice(2);

const program = new Program(process.execPath, [join(root, 'tools', 'start.mjs'), 'dashboard', '--port', '0']);
const browser = await launch();
try {
  const [, url] = await program.prints(/Open (http:\S+)\n/);
  const page = await browser.newPage({ viewport: { width: 340, height: 712 } });
  await page.goto(url);
  await page.getByRole('button', { name: 'On', exact: true }).click();
  await page.waitForTimeout(Number(seconds) * 1000);
  await page.screenshot({ path: file });
} finally {
  await browser.close();
  await program.stop();
}
