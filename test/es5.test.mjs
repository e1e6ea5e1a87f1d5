// What ships is ES5: it parses as that, and runs in engines that know nothing newer.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'acorn';
import { allNames, shakeLibrary } from '../tools/shake.mjs';

const dist = new URL('../dist/', import.meta.url);
const read = (name) => readFileSync(new URL(name, dist), 'utf8');

for (const name of ['ehttpserver', 'websocket']) {
  test(`${name}.js parses as ES5`, () => {
    assert.ok(parse(read(`${name}.js`), { ecmaVersion: 5, sourceType: 'script' }).body.length > 0);
    assert.throws(() => parse('let a', { ecmaVersion: 5, sourceType: 'script' }));
  });

  test(`no private name is left in ${name}, and none is public by mistake`, () => {
    // A private name as the build gives it, on what programs can subclass: "_" and one digit or capital.
    const code = read(`${name}.js`).replaceAll('__netdev', '').replace(/(?<=[.{,])_[\dA-Z]\b/g, '');
    assert.doesNotMatch(code, /\._[a-z\d]|[{,]_[a-z]\w*:/i);
    assert.doesNotMatch(read(`${name}.d.ts`), /@internal|\b_(?!_netdev)[a-z]+\??:/);
  });
}

const HEAD = 'content-type: text/plain; charset=utf-8|';
const EXPECTED = [
  `HTTP/1.1 200 |${HEAD}content-length: 17||ello w\\xc3\\xb6rld q=1 b`,
  'HTTP/1.1 200 |content-type: application/json; charset=utf-8|content-length: 14|connection: close||{"body":"\\xe2\\x82\\xac"}',
  `HTTP/1.1 200 |${HEAD}content-length: 4|connection: close||a b!`,
  `HTTP/1.1 400 |${HEAD}content-length: 3|connection: close||400`,
  `HTTP/1.1 405 |allow: POST|${HEAD}content-length: 3|connection: close||405`,
  `HTTP/1.1 421 |${HEAD}content-length: 10|connection: close||81, 82, 83`,
  'HTTP/1.1 101 |upgrade: websocket|connection: Upgrade|sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=||',
  '\\x81\\x6Hello!',
  '\\x8a\\x1p\\x81\\x5\\xe2\\x82\\xace!',
  'closed 1001',
  '\\x88\\x2\\x3\\xe9',
];

/** Headers in alphabetical order: ES5 leaves open in which one a loop finds them. */
const inOrder = (answer) => answer.replace(/\|(.+)\|\|/, (all, headers) => `|${headers.split('|').sort().join('|')}||`);

for (const engine of ['duk', 'mujs']) {
  const missing = spawnSync(engine, ['--version']).error && `${engine} is not installed`;
  if (missing && process.env.CI) throw new Error(missing);

  /** Runs ES5 that makes `library` and `websocket`, functions that are called with their exports, and what uses them. */
  const answers = (files) => {
    const folder = mkdtempSync(join(tmpdir(), 'ehttpserver-'));
    try {
      writeFileSync(join(folder, 'program.js'), [...files, readFileSync(new URL('support/es5-driver.js', import.meta.url), 'utf8')].join('\n'));
      const output = execFileSync(engine, [join(folder, 'program.js')], { encoding: 'utf8', timeout: 60000 });
      assert.deepEqual(output.trim().split('\n').map(inOrder), EXPECTED.map(inOrder));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test(`it answers under ${engine}`, { skip: missing }, () => answers([
    `var library = function (exports) {${read('ehttpserver.js')}};`,
    `var websocket = function (exports, require) {${read('websocket.js')}};`,
  ]));

  test(`what npm run flash takes of it answers under ${engine}`, { skip: missing }, async () => {
    const used = allNames();
    assert.deepEqual(new Set(used.map(({ file }) => file)), new Set(['ehttpserver', 'websocket']));
    // The driver sets its global names first, then calls these.
    const all = `var all; function make() { if (!all) { ${await shakeLibrary(used)} all = $library; } return all; }`;
    const copy = 'function (exports) { var from = make(); for (var name in from) exports[name] = from[name]; }';
    answers([all, `var library = ${copy};`, `var websocket = ${copy};`]);
  });
}
