// The recipes, which are for what the library leaves out: they work, and examples/README.md shows them as they are.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { buildExamples, exampleSource } from '../../tools/build/build.mjs';
import { Board } from '../board/index.mjs';
import { exchange, FIRMWARES } from '../support/serve.mjs';

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const source = read('examples/recipes.js');

/** The lines under each mark `// --- name`. */
const recipes = Object.fromEntries(source.split(/^\/\/ ---/m).slice(1, -1).map((part) => {
  const [name, ...lines] = part.split('\n');
  return [name.trim(), lines.join('\n').trim()];
}));

const folder = mkdtempSync(join(tmpdir(), 'ehttpserver-test-'));
after(() => rmSync(folder, { recursive: true }));
await buildExamples([exampleSource('recipes')], folder);
const program = readFileSync(join(folder, 'recipes.js'), 'utf8');

/** A board that has run the example. */
function start(firmware, files) {
  const board = new Board({ firmware, passMicros: 100, files, wifi: 'off', storage: { WIFI_SSID: 'home' } });
  board.load(program, 'recipes.js');
  board.runUntil(() => board.console.length > 0);
  /** The answer to one request, on a connection of its own. */
  const ask = (request, body = '') => {
    const length = body ? `content-length: ${body.length}\r\n` : '';
    const client = exchange(board, [`${request}\r\nhost: pico\r\nconnection: close\r\n${length}\r\n${body}`], Infinity);
    board.check();
    return client.text;
  };
  const stored = (path) => board.fs.files.has(path) && Buffer.from(board.fs.files.get(path).data).toString('latin1');
  return { board, ask, stored };
}

const TEXT = 'content-type: text/plain; charset=utf-8\r\n';
const CLOSE = 'connection: close\r\n\r\n';
const ok = (body, more = '') => `HTTP/1.1 200 \r\n${more}${TEXT}content-length: ${body.length}\r\n${CLOSE}${body}`;
const statusOf = (answer) => Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1]);

/** What browsers and curl send for a form with one file. */
const form = (name, content, boundary = '----WebKitFormBoundary7MA4YWxk') =>
  `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: application/octet-stream\r\n\r\n`
  + `${content}\r\n--${boundary}--\r\n`;

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware`, () => {
    test('queries and forms: fields by name', () => {
      const { ask } = start(firmware);
      const post = (form) => ask('POST /greet HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded', form);
      for (const [pairs, name] of [
        ['name=Ada', 'Ada'],
        ['more=1&name=Ada+Lovelace&name2=2&empty', 'Ada Lovelace'],
        ['name=a%26b%3Dc=d', 'a&b=c=d'], // browsers escape "=", people do not
        ['name=Gr%C3%BC%C3%9Fe', 'Gr\xc3\xbc\xc3\x9fe'],
        ['__proto__=1&constructor=2&name=Ada', 'Ada'],
        ['name=first&name=last', 'last'],
        [`name=Ada&${'x&'.repeat(1000)}`, 'Ada'],
      ]) {
        assert.equal(post(pairs), ok(`Hello ${name}`), pairs);
        if (pairs.length < 2000) assert.equal(ask(`GET /greet?${pairs} HTTP/1.1`), ok(`Hello ${name}`), pairs);
      }
    });

    test('queries and forms: what is malformed, or missing, gets 400', () => {
      const { ask } = start(firmware);
      for (const pairs of ['', 'name', 'name=', 'Name=Ada', 'name=%zz', 'name=Ada&more=%', 'name=%ff', '%ff=x&name=Ada', 'toString=x']) {
        assert.equal(statusOf(ask('POST /greet HTTP/1.1', pairs)), 400, pairs);
        assert.equal(statusOf(ask(`GET /greet?${pairs} HTTP/1.1`)), 400, pairs);
      }
      assert.equal(statusOf(ask('POST /greet HTTP/1.1', 'name=\xff')), 400, 'not UTF-8');
      assert.equal(statusOf(ask('POST /greet HTTP/1.1', `${'x&'.repeat(30)}name=Ada`)), 400, 'more than 30');
    });

    test('basic auth: only who says name and password gets in', () => {
      const { ask } = start(firmware);
      const refused = 'HTTP/1.1 401 \r\nwww-authenticate: Basic realm="Pico"\r\n'
        + `${TEXT}content-length: 25\r\n${CLOSE}Name and password, please`;
      assert.equal(ask('GET /private HTTP/1.1'), refused);
      assert.equal(ask('GET /private HTTP/1.1\r\nauthorization: Basic YWRtaW46d3Jvbmc='), refused, 'admin:wrong');
      assert.equal(ask('GET /private HTTP/1.1\r\nauthorization: Basic'), refused);
      assert.equal(ask('GET /private HTTP/1.1\r\nauthorization: Basic YWRtaW46c2VjcmV0'), ok('Welcome'), 'admin:secret');
    });

    test('cookies: a session is set, and known again', () => {
      const { ask } = start(firmware);
      const first = ask('GET /visits HTTP/1.1');
      const [cookie, session] = /set-cookie: session=(\d+); HttpOnly; SameSite=Lax\r\n/.exec(first);
      assert.equal(first, ok('Visit 1', cookie));
      const next = (cookies) => ask(`GET /visits HTTP/1.1\r\ncookie: ${cookies}`);
      assert.equal(next(`session=${session}`), ok('Visit 2', cookie));
      assert.equal(next(`theme=dark; session=${session}; more=1`), ok('Visit 3', cookie));
      for (const foreign of ['session=12345', `mysession=${session}`, 'session=x', 'session=']) {
        const answer = next(foreign);
        assert.match(answer, /\r\n\r\nVisit 1$/, foreign);
        assert.ok(!answer.includes(cookie) && !answer.includes('session=12345'), `${foreign}: a session of its own`);
      }
      assert.equal(next(`session=${session}`), ok('Visit 4', cookie));
    });

    test('cookies: the board keeps the last 20 sessions', () => {
      const { ask } = start(firmware);
      const sessions = Array.from({ length: 21 }, () => /session=(\d+)/.exec(ask('GET /visits HTTP/1.1'))[1]);
      assert.equal(new Set(sessions).size, 21);
      const visit = (session) => ask(`GET /visits HTTP/1.1\r\ncookie: session=${session}`).split('\r\n\r\n')[1];
      assert.equal(visit(sessions[1]), 'Visit 2');
      assert.equal(visit(sessions[0]), 'Visit 1');
    });

    test('cors: a preflight, and the request after it', () => {
      const { ask } = start(firmware);
      const cors = 'access-control-allow-origin: http://example.com\r\naccess-control-allow-methods: GET, PUT\r\n'
        + 'access-control-allow-headers: content-type\r\n';
      const preflight = 'OPTIONS /api/uptime HTTP/1.1\r\norigin: http://example.com\r\n'
        + 'access-control-request-method: GET\r\naccess-control-request-headers: content-type';
      assert.equal(ask(preflight), `HTTP/1.1 204 \r\n${cors}${CLOSE}`);
      const [head, body] = ask('GET /api/uptime HTTP/1.1\r\norigin: http://example.com').split('\r\n\r\n');
      assert.match(body, /^\{"seconds":\d+(\.\d+)?\}$/);
      assert.equal(`${head}\r\n\r\n`, `HTTP/1.1 200 \r\n${cors}content-type: application/json; charset=utf-8\r\ncontent-length: ${body.length}\r\n${CLOSE}`);
    });

    test('templates: what somebody sends does not become a tag, nor end an attribute', () => {
      const { ask } = start(firmware);
      const hello = (query) => ask(`GET /hello?${query} HTTP/1.1`).split('\r\n\r\n')[1];
      assert.equal(hello('Ada+%26+Bob'), '<p>Hello Ada &#38; Bob!</p>');
      assert.equal(hello('%3Cscript%3Ealert(1)%3C/script%3E'), '<p>Hello &#60;script&#62;alert(1)&#60;/script&#62;!</p>');
      assert.equal(hello('%22onclick=%27'), '<p>Hello &#34;onclick=&#39;!</p>');
      assert.match(ask('GET /hello?Ada HTTP/1.1'), /\r\ncontent-type: text\/html; charset=utf-8\r\n/);
    });

    test('uploads: the body of a PUT is the file', () => {
      const { ask, stored } = start(firmware);
      const bytes = String.fromCharCode(...Array(256).keys()).repeat(32); // 8192
      assert.equal(ask('PUT /files/data.bin HTTP/1.1', bytes), `HTTP/1.1 201 \r\n${TEXT}content-length: 6\r\n${CLOSE}Stored`);
      assert.equal(stored('/files/data.bin'), bytes);
      assert.equal(statusOf(ask('PUT /files/data.bin HTTP/1.1', 'short')), 201);
      assert.equal(stored('/files/data.bin'), 'short');
    });

    test('uploads: 413 above the limit, 404 for a name that leads elsewhere', () => {
      const { board, ask } = start(firmware, { '/secret.txt': 'secret' });
      const before = board.fs.files.size;
      assert.equal(statusOf(ask('PUT /files/data.bin HTTP/1.1', 'x'.repeat(8193))), 413);
      for (const name of ['../secret.txt', '..%2Fsecret.txt', 'a/b.txt', '.txt', 'a.b.txt', 'noextension']) {
        assert.equal(statusOf(ask(`PUT /files/${name} HTTP/1.1`, 'x')), 404, name);
      }
      assert.equal(board.fs.files.size, before);
    });

    test('multipart: the file of a form', () => {
      const { ask, stored } = start(firmware);
      const post = (body) => statusOf(ask('POST /form HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=...', body));
      const bytes = `${String.fromCharCode(...Array(256).keys())}\r\n\r\n--------------\r\n`;
      assert.equal(post(form('data.bin', bytes)), 201);
      assert.equal(stored('/files/data.bin'), bytes);
      assert.equal(post(form('empty.txt', '', 'x')), 201);
      assert.equal(stored('/files/empty.txt'), '');
    });

    test('multipart: what is not one file of a good name gets 400', () => {
      const { board, ask } = start(firmware);
      const good = form('data.bin', 'bytes');
      const bad = {
        'no file chosen': form('', ''), 'a path': form('../data.bin', 'x'), 'cut off': good.slice(0, -1),
        'another end': good.replace(/--\r\n$/, '==\r\n'), 'no form': 'x', 'no line': 'x'.repeat(1000), 'no body': '',
        'a text field': good.replace('; filename="data.bin"', ''), 'only a boundary': '--x\r\n--x--\r\n',
      };
      for (const [what, body] of Object.entries(bad)) assert.equal(statusOf(ask('POST /form HTTP/1.1', body)), 400, what);
      assert.equal(statusOf(ask('POST /form HTTP/1.1', form('data.bin', 'x'.repeat(8192)))), 413);
      assert.equal(board.fs.files.size, 0);
    });
  });
}

test('queries and forms: a field has a value only if it was sent', () => {
  const [code] = recipes['queries and forms'].split('const greet');
  const parse = new Function('urlDecode', `${code}return parse;`)(decodeURIComponent);
  const fields = parse('__proto__=1&a=2&b');
  assert.deepEqual(Object.entries(fields), [['__proto__', '1'], ['a', '2'], ['b', '']]);
  assert.equal(fields.constructor, undefined);
  assert.equal(parse(null), null);
});

describe('examples/README.md', () => {
  const readme = read('examples/README.md');
  const shown = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code.trim());

  test('has the recipes that there are', () => {
    assert.deepEqual(Object.keys(recipes), ['queries and forms', 'basic auth', 'cookies', 'cors', 'templates', 'uploads', 'multipart']);
  });

  for (const [name, code] of Object.entries(recipes)) {
    if (name === 'multipart') continue; // too long for the page, which says where it is
    test(`shows the recipe for ${name} as it is in examples/recipes.js`, () => {
      assert.ok(code.length > 0 && shown.includes(code), `This is not on the page:\n${code}`);
    });
  }
});
