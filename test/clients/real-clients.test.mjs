// The libraries with which programs ask a board, and ab, as clients that know nothing of it, on real sockets: what each loses, and for how
// long it keeps others out. What they do is in test/clients/.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { goLive } from '../helpers/live.mjs';
import { findProgram, findPython, Program, runToEnd, unlessFound } from '../helpers/program.mjs';

const FIRMWARES = /** @type {const} */ (['stock', 'routed']);
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64)';
/** When Linux sends a SYN again, since version 6.5. */
const SYN_RETRIES = [1000, 2000, 3000, 4000, 5000, 7000, 11000];

const AB = findProgram('AB', ['ab']);
const CURL = findProgram('CURL', ['curl', 'curl.exe']);
const GO = findProgram('GO', ['go']);
const JAVA = findProgram('JAVAC', ['javac']) && findProgram('JAVA', ['java']);

const source = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'ehttpserver-clients-'));
const program = join(folder, 'session');
after(() => rmSync(folder, { recursive: true }));

const python = (library) => {
  const path = findPython(library);
  return { skip: unlessFound(path, `Python's ${library}`), command: [path, source('session.py'), library] };
};
const node = (library) => ({ skip: false, command: [process.execPath, source('session.mjs'), library] });

/** Each with the command that runs it. */
const CLIENTS = {
  'requests': python('requests'),
  'aiohttp': python('aiohttp'),
  'httpx': python('httpx'),
  'Go': { skip: unlessFound(GO, 'Go'), command: [program] },
  'Java': { skip: unlessFound(JAVA, 'a JDK'), command: [JAVA, source('Session.java')] },
  'fetch of Node.js': node('fetch'),
  'http.Agent of Node.js': node('agent'),
};

/** Nothing that goes to the board goes through a proxy. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/proxy$/i.test(name)));

/** Runs a client to its end: what it says that came. */
async function resultsOf({ command: [path, ...args] }, ...more) {
  const { code, stdout, stderr } = await runToEnd(path, [...args, ...more], { env });
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return JSON.parse(stdout);
}

function routes(server) {
  server.route('/', 'GET', () => 'hello');
  server.route('/n/(.*)', 'GET', (path, query, headers, body, match) => match[1]);
  server.route('/post', 'POST', (path, query, headers, body) => {
    server.posted.push(Buffer.from(body).toString());
    return body;
  });
  server.posted = [];
}

/** Does something with a board that is reached at an URL, and makes sure that the board has not suffered. */
async function withBoard(firmware, act, link = {}) {
  const site = await goLive({ firmware, routes });
  site.board.network.synRetries = SYN_RETRIES;
  site.board.setLink(link);
  try {
    await act(site);
    site.board.check();
  } finally {
    await site.stop();
  }
}

/** One more client: what it gets, and after how many milliseconds. */
async function ask(url) {
  const since = performance.now();
  const text = await new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false }, (answer) => {
      let body = '';
      answer.on('data', (chunk) => { body += chunk; }).on('end', () => resolve(body)).on('error', reject);
    });
    request.on('error', reject);
  });
  return { text, ms: performance.now() - since };
}

before(async () => {
  if (!GO) return;
  const settings = { ...env, GOCACHE: join(folder, 'cache'), GOFLAGS: '-mod=mod', GOPROXY: 'off', GOTOOLCHAIN: 'local' };
  const { code, stderr } = await runToEnd(GO, ['build', '-o', program, source('session.go')], { env: settings });
  assert.equal(code, 0, stderr);
});

describe('real clients', { concurrency: 4, timeout: 120000 }, () => {
  for (const [name, client] of Object.entries(CLIENTS)) {
    const { skip } = client;

    // The end of a connection that is idle for 250 ms and a request that comes just then would meet on the way, which takes 15 ms here.
    test(`stock: ${name} posts on one session, with pauses from 200 to 300 ms: nothing is lost, nothing comes twice`, { skip }, () =>
      withBoard('stock', async ({ url, server }) => {
        const all = Array.from({ length: 11 }, (_, n) => String(n));
        assert.deepEqual(await resultsOf(client, 'post', url, ''), all);
        assert.deepEqual(server.posted, all);
      }, { delay: 15 }));

    for (const firmware of FIRMWARES) {
      test(`${firmware}: ${name} asks for six things at once, and gets them all`, { skip }, () =>
        withBoard(firmware, async ({ url }) => {
          assert.deepEqual(await resultsOf(client, 'parallel', url, ''), ['0', '1', '2', '3', '4', '5']);
        }));
    }

    if (name.startsWith('fetch')) continue; // has one pool
    for (const agent of ['', BROWSER]) {
      test(`stock: five pools of ${name}${agent && ', which says that it is a browser,'} are idle: the sixth client does not wait`, { skip }, () =>
        withBoard('stock', async ({ url }) => {
          const [path, ...args] = client.command;
          const pools = new Program(path, [...args, 'pools', url, agent], { env });
          try {
            const [line] = await pools.prints(/^\[.*\]\n/);
            assert.deepEqual(JSON.parse(line), Array(5).fill('hello'));
            // At once, while a browser's last connection is kept: when its SYN comes again after a second, it is let in.
            for (const [pause, limit] of [[0, 1500], [400, 900], [100, 900]]) {
              await new Promise((resolve) => setTimeout(resolve, pause));
              const { text, ms } = await ask(url);
              assert.equal(text, 'hello');
              assert.ok(ms < limit, `${Math.round(ms)} ms`);
            }
          } finally {
            await pools.stop('SIGKILL');
          }
        }));
    }
  }

  for (const firmware of FIRMWARES) {
    test(`${firmware}: ab asks for a page fifty times, five times at once, and each is answered`, { skip: unlessFound(AB, 'ab') }, () =>
      withBoard(firmware, async ({ url }) => {
        const { code, stdout, stderr } = await runToEnd(AB, ['-q', '-c', '5', '-n', '50', '-s', '30', `${url}/`], { env });
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^Complete requests: +50\nFailed requests: +0\n/m);
        assert.doesNotMatch(stdout, /^Non-2xx/m);
      }));
  }

  describe('curl', { skip: unlessFound(CURL, 'curl') }, () => {
    const curl = (args, input) => runToEnd(CURL, ['--disable', '--silent', '--show-error', '--max-time', '20', ...args], { input, env });
    /** What curl says of one request: status, bytes of the body that it sent, seconds. */
    const sent = async (args, input) => {
      const { code, stdout, stderr } = await curl(['-o', join(folder, 'nothing'), '-w', '%{http_code} %{size_upload} %{time_total}', ...args], input);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      const [status, upload, seconds] = stdout.split(' ').map(Number);
      return { status, upload, seconds };
    };
    const EXPECT = ['-H', 'Expect: 100-continue', '--expect100-timeout', '10', '--data-binary', '@-'];

    for (const firmware of FIRMWARES) {
      for (const [name, args, path, status, upload] of [
        ['a path that is there', [], '/post', 200, 10000],
        ['an unknown path', [], '/nowhere', 404, 0],
        ['a path that has no such method', ['-X', 'PUT'], '/post', 405, 0],
      ]) {
        test(`${firmware}: curl asks whether it may send 10 KB to ${name}: ${status}, and it sends ${upload} bytes`, () =>
          withBoard(firmware, async ({ url }) => {
            const result = await sent([...EXPECT, ...args, url + path], 'x'.repeat(10000));
            assert.deepEqual([result.status, result.upload], [status, upload]);
            assert.ok(result.seconds < 2, `${result.seconds} s`);
          }));
      }

      for (const [name, args, size] of [['which it would ask for first', [], 300000], ['which it sends without asking', ['-H', 'Expect:'], 300000], ['of 3 bytes', ['-H', 'Expect:'], 3]]) {
        test(`${firmware}: curl -T - uploads what has no length yet, ${name}: it is told 501 at once, and so is the next`, () =>
          withBoard(firmware, async ({ url }) => {
            for (let n = 0; n < 2; n++) {
              const { status, seconds } = await sent([...args, '-T', '-', `${url}/post`], 'x'.repeat(size));
              assert.equal(status, 501);
              assert.ok(seconds < 2, `${seconds} s`);
            }
            assert.equal((await ask(url)).text, 'hello');
          }));
      }
    }
  });
});
