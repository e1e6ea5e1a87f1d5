// The files of examples/www, which the board has under /www; packs the script among them: node tools/www.mjs
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const examples = join(dirname(fileURLToPath(import.meta.url)), '..', 'examples');
const www = join(examples, 'www');

/** The files by their path on the board. */
export function siteFiles() {
  return Object.fromEntries(readdirSync(www).map((name) => [`/www/${name}`, new Uint8Array(readFileSync(join(www, name)))]));
}

/** Only what comes out of it goes to the board: a third of the bytes to store and to send. */
function pack() {
  const packed = gzipSync(readFileSync(join(examples, 'www-src', 'app.js')), { level: 9 });
  packed[9] = 255; // the system that packed it: unknown, so that every system makes the same file
  writeFileSync(join(www, 'app.js.gz'), packed);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) pack();
