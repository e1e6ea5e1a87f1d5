// The files of examples/www, which the board has under /www; packs the script among them: node tools/build/www.mjs
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const examples = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'examples');
const www = join(examples, 'www');

/** A folder's files, and those of the folders in it, by their paths on the board. */
export function siteFiles(folder = www, path = '/www') {
  return Object.assign({}, ...readdirSync(folder).map((name) => {
    const [from, to] = [join(folder, name), `${path}/${name}`];
    return statSync(from).isDirectory() ? siteFiles(from, to) : { [to]: new Uint8Array(readFileSync(from)) };
  }));
}

/** Only what comes out of it goes to the board: a third of the bytes to store and to send. */
function pack() {
  const packed = gzipSync(readFileSync(join(examples, 'www-src', 'app.js')), { level: 9 });
  packed[9] = 255; // the system that packed it: unknown, so that every system makes the same file
  writeFileSync(join(www, 'app.js.gz'), packed);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) pack();
