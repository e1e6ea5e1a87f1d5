// npm start: the examples on the emulated board, as a user meets them.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, parse } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import WebSocket from 'ws';
import { buildExamples, exampleSources } from '../../tools/build/build.mjs';
import { makeLines, portsLine } from '../../tools/emulator/lines.mjs';
import { Board } from '../board/index.mjs';
import { findRow, occupy } from '../helpers/ports.mjs';
import { findProgram, Program, runToEnd, unlessFound } from '../helpers/program.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START = join(ROOT, 'tools', 'emulator', 'start.mjs');
const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
const CURL = findProgram('CURL', ['curl', 'curl.exe']);
const EXAMPLES = exampleSources().map((file) => parse(file).name);
const READY = /\w+ runs on an emulated Pico W: (http:\/\/127\.0\.0\.1:\d+\/) {2}\(Ctrl-C ends it\)\n(\w+) firmware: .*\n(?:.*\n)*?Open (\S+)\n/;

const started = [];
const folders = [];

after(async () => {
  for (const program of started) await program.stop('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** Starts a program on the emulated board and waits until it can be visited. */
async function start(...args) {
  const program = new Program(process.execPath, [START, ...args, '--port', '0']);
  started.push(program);
  const [, url, firmware, printed] = await program.prints(READY);
  return { program, firmware, url, printed };
}

/** The URL of another port of the board, behind the first one. */
const behind = (url, count, scheme = 'http') => `${scheme}://127.0.0.1:${+new URL(url).port + count}/`;

const refused = (...args) => runToEnd(process.execPath, [START, ...args]);

function temporaryFile(name, text) {
  const folder = mkdtempSync(join(tmpdir(), 'ehttpserver-test-'));
  folders.push(folder);
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

async function get(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(10000) });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

describe('npm start', () => {
  test('runs hello on stock firmware when it is told nothing, at the address that the program prints', async () => {
    const { program, firmware, url, printed } = await start();
    assert.equal(firmware, 'stock');
    assert.equal(printed, url);
    const { text, ...head } = await get(url);
    assert.deepEqual(head, { status: 200, type: 'text/html; charset=utf-8' });
    assert.match(text, /^<!DOCTYPE html>[^]*<h1 [^>]*>Hello from the Pico W!<\/h1>$/);
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, '');
  });

  test('runs plain on routed firmware', async () => {
    const { program, firmware, url } = await start('plain', '--firmware', 'routed');
    assert.equal(firmware, 'routed');
    assert.match((await get(url)).text, / href="\/uptime"[^]* href="\/hello\/Ada"/);
    assert.equal((await get(`${url}hello/Ada`)).text, 'Hello Ada!');
    assert.equal((await get(`${url}hello/Ada/Lovelace`)).status, 404);
    const uptime = await get(`${url}uptime`);
    assert.match(uptime.type, /^application\/json\b/);
    assert.ok(JSON.parse(uptime.text).seconds > 0, uptime.text);
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, '');
  });

  test('runs blink, whose page says how often the LED was switched', async () => {
    const { program, url } = await start('blink');
    const count = async () => +/switched (\d+) times/.exec((await get(url)).text)[1];
    const first = await count();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const more = await count() - first;
    assert.ok(more >= 4 && more <= 8, `${more} times in half a second`);
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, '');
  });

  test('runs a program that is no example', async () => {
    const library = JSON.stringify(join(ROOT, 'dist', 'ehttpserver.js'));
    const { program, url } = await start(temporaryFile('mine.js', `
      const { Server } = require(${library});
      const { WiFi } = require('wifi');
      new WiFi().connect(() => {
        new Server().route('/', 'GET', () => 'mine').listen(80, () => console.log('Open http://' + __netdev.ip + '/'));
      });
    `));
    assert.equal((await get(url)).text, 'mine');
    assert.equal(await program.stop(), 0);
  });

  test('--files: a folder is the board\'s /www', async () => {
    const page = temporaryFile('index.html', '<h1>mine</h1>');
    mkdirSync(join(dirname(page), 'deeper'));
    writeFileSync(join(dirname(page), 'deeper', 'bytes.bin'), Uint8Array.from([3, 255, 0]));
    const { program, url } = await start(temporaryFile('files.js', `
      const { FileResponse, Server } = require('./ehttpserver');
      const server = new Server();
      server.route('/', 'GET', () => new FileResponse('/www/index.html'));
      server.route('/bytes', 'GET', () => require('fs').readFile('/www/deeper/bytes.bin').join() + require('fs').readdir('/www').sort().join());
      new (require('wifi').WiFi)().connect(() => server.listen(80, () => console.log('Open http://' + __netdev.ip + '/')));
    `), '--files', dirname(page));
    assert.deepEqual(await get(url), { status: 200, type: 'text/html; charset=utf-8', text: '<h1>mine</h1>' });
    assert.equal((await get(`${url}bytes`)).text, '3,255,0deeper,index.html');
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, '');
  });

  test('prints what the program prints, errors on the error output', async () => {
    const program = new Program(process.execPath, [START, '--port', '0', temporaryFile('talk.js', `
      console.log('one', 2);
      console.error('three');
      setTimeout(() => console.log('four'), 1);
    `)]);
    started.push(program);
    await program.prints(/^talk runs on an emulated Pico W: http:.*\nstock firmware: .*\nprogram: .*\none 2\nfour\n/);
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, 'three\n');
  });

  /** Runs a program of a few lines until it has printed "now", and returns what it printed on the error output. */
  async function errorsOf(text, endsWith = /now/) {
    const program = new Program(process.execPath, [START, '--port', '0', temporaryFile('wrong.js', text)]);
    started.push(program);
    await program.prints(endsWith);
    assert.equal(await program.stop(), 0);
    return program.stderr;
  }

  test('says what would have hurt a real board', async () => {
    assert.match(await errorsOf("setTimeout(() => __netdev.write(99, ''), 1); setTimeout(() => console.log('now'), 10);"),
      /^This would have hurt a real board: invalid fd: write was called with 99 \(at /);
  });

  test('prints what a timer throws, as the board does', async () => {
    const once = await errorsOf("setTimeout(() => { throw new Error('bang'); }, 1); setTimeout(() => console.log('now'), 10);");
    assert.match(once, /^Error: bang\n/);
    assert.doesNotMatch(once, /hurt|interval/);
    const interval = await errorsOf("setInterval(() => { throw new Error('bang'); }, 0); setTimeout(() => console.log('now'), 10);");
    assert.match(interval, /^Error: bang\n[^]*\nIts interval is cancelled\.\n$/);
    assert.equal(interval.match(/bang/g).length, 1);
  });

  test('prints what the callback of connect() throws, and that a board would not', async () => {
    assert.match(await errorsOf("new (require('wifi').WiFi)().connect(() => { null.length; }); console.log('now');"),
      /: the callback of connect\(\) threw TypeError: Cannot read properties of null \(reading 'length'\); a real board says nothing about it, /);
  });

  test('prints a rejected promise that nobody handles, and goes on', async () => {
    assert.match(await errorsOf(`
      (async () => { throw new Error('bang'); })();
      Promise.reject('text');
      setTimeout(() => console.log('now'), 50);
    `), /^Uncaught \(in promise\) Error: bang\n[^]*^Uncaught \(in promise\) text\n/m);
  });

  test('names the lines of the maker\'s own files in stack traces, and nobody else\'s', async () => {
    const source = temporaryFile('traced.ts', `import { Server } from './ehttpserver';
      import { fail } from './traced-more';
      interface Unused { x: number }
      const caught = () => { try { fail(); } catch (error) { return error; } };
      console.log(caught());
      console.error(Object.assign(caught(), { errno: 5 }));
      setTimeout(() => fail(), 1);
      (async () => fail())();
      new (require('wifi').WiFi)().connect(() => fail());
      setTimeout(() => __netdev.write(99, ''), 5);
      setTimeout(() => console.log('now', typeof Server), 20);`);
    writeFileSync(join(dirname(source), 'traced-more.ts'), "interface Unused { x: number }\n\nexport function fail(): void {\n  throw new Error('bang');\n}\n");
    const program = new Program(process.execPath, [START, '--port', '0', source], { cwd: dirname(source) });
    started.push(program);
    await program.prints(/now function/);
    assert.equal(await program.stop(), 0);
    const inFail = '    at fail (traced-more.ts:4:9)\n';
    assert.ok(program.stdout.includes(`Error: bang\n${inFail}    at caught (traced.ts:4:36)\n    at traced.ts:5:19\nnow`), program.stdout);
    const printed = program.stderr;
    assert.ok(printed.includes(`${inFail}    at caught (traced.ts:4:36)\n    at traced.ts:6:35 {\n  errno: 5\n}\n`), printed);
    assert.ok(printed.includes(`Error: bang\n${inFail}    at traced.ts:7:24\n`), printed);
    assert.ok(printed.includes(`Uncaught (in promise) Error: bang\n${inFail}    at traced.ts:8:20\n`), printed);
    assert.match(printed, /connect\(\) threw Error: bang; .*\n {4}at fail \(traced-more\.ts:4:9\)\n {4}at traced\.ts:9:50\n {4}at traced\.ts:9:36\n/);
    assert.match(printed, /invalid fd: .*\n {4}at traced\.ts:10:33\n/);
    assert.doesNotMatch(printed + program.stdout, /file:|node:/);
  });

  for (const signal of ['SIGINT', 'SIGTERM']) {
    test(`ends at ${signal} at once, with connections open`, async () => {
      const { program, url } = await start();
      const socket = net.connect(+new URL(url).port, '127.0.0.1');
      socket.on('error', () => {}); // it is cut off
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.write('GET / HTTP/1.1\r\n');
      const asked = Date.now();
      assert.equal(await program.stop(signal), 0);
      assert.ok(Date.now() - asked < 2000, `took ${Date.now() - asked} ms`);
      socket.destroy();
    });
  }

  test('--help tells about itself, and starts nothing', async () => {
    const { code, stdout, stderr } = await refused('--help');
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: npm start -- \[example\] \[options\]\n/);
    for (const name of EXAMPLES) assert.match(stdout, new RegExp(`\\b${name}\\b`));
    assert.deepEqual(stdout.split('\n').filter((line) => line.length > 80), []);
    assert.equal(stderr, '');
  });

  test('is what npm start runs', async () => {
    const { code, stdout } = await runToEnd('npm', ['start', '--silent', '--', '--help'], { cwd: ROOT, shell: process.platform === 'win32' });
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: /);
  });
});

/** A program that is served by what ships. */
const served = (routes) => temporaryFile('site.js', `
  const { Response, Server } = require(${JSON.stringify(join(ROOT, 'dist', 'ehttpserver.js'))});
  const { WebSocketServer } = require(${JSON.stringify(join(ROOT, 'dist', 'websocket.js'))});
  const { WiFi } = require('wifi');
  const server = new WebSocketServer();
  ${routes}
  new WiFi().connect(() => server.listen(80, () => console.log('Open http://' + __netdev.ip + '/')));
`);

/** The line of a request as a pattern: what is literal, and how long it took as a group. On a busy machine it may have had to wait. */
const lineOf = (text) => new RegExp(`^${text
  .replace(/[.*+?()[\]/]/g, '\\$&')
  .replace(/TIME$/, '$&(?:  waited [\\d.]+ s)?')
  .replace('TIME', '([ \\d]{6} ms|[ \\d.]{7} s)')}$`, 'm');

/** One request on a connection of its own. */
async function ask(url, method = 'GET', body = '') {
  return await new Promise((resolve, reject) => {
    const request = http.request(url, { method, agent: false, headers: { connection: 'close' } }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

describe('npm start tells', () => {
  test('what runs, and what the firmware and the link mean', async () => {
    const { program, url } = await start('plain', '--latency', '20', '--loss', '1.5', '--syn-retries', 'real');
    assert.match(program.stdout.replace(url, 'URL'), new RegExp(`^${[
      'plain runs on an emulated Pico W: URL  \\(Ctrl-C ends it\\)',
      'stock firmware: each port hears one client at a time, the others wait',
      "program: takes some [1-9]\\d of the board's 180 KB of JavaScript heap",
      'link: 20 ms more each way; 1.5 % of the packets are lost, 200 ms each; SYN retries after 1, 3 and 7 s',
      '(board .*\n)?Open ',
    ].join('\n')}`));
    assert.equal(await program.stop(), 0);

    const routed = await start('plain', '--firmware', 'routed');
    assert.match(routed.program.stdout, /^routed firmware: each connection has its own data: five clients are heard at once$/m);
    assert.doesNotMatch(routed.program.stdout, /^link/m);
    assert.equal(await routed.program.stop(), 0);
  });

  test('each request in a line: what its client saw', async () => {
    const { program, url } = await start('plain');
    assert.equal((await ask(url)).status, 200);
    assert.equal((await ask(`${url}hello/Ada?a=b`)).status, 200);
    assert.equal((await ask(`${url}nothing`)).status, 404);
    assert.equal((await ask(`${url}hello/Ada`, 'POST', 'some body')).status, 405);
    assert.equal((await ask(url, 'HEAD')).status, 200);
    assert.equal((await ask(`${url}hello/${'Ada'.repeat(20)}`)).status, 200);
    await program.prints(lineOf('GET     /                               200     230 B TIME'));
    await program.prints(lineOf('GET     /hello/Ada?a=b                  200      10 B TIME'));
    await program.prints(lineOf('GET     /nothing                        404       3 B TIME'));
    await program.prints(lineOf('POST    /hello/Ada                      405       3 B TIME'));
    await program.prints(lineOf('HEAD    /                               200       0 B TIME'));
    await program.prints(lineOf('GET     /hello/AdaAdaAdaAdaAdaAdaAd...  200      67 B TIME'));
    assert.equal(await program.stop(), 0);
    assert.equal(program.stdout.match(/^(GET|POST|HEAD) /gm).length, 6);
  });

  test('what is no request, without what would move the cursor', async () => {
    const { program, url } = await start('plain');
    const socket = net.connect(+new URL(url).port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume().write('GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n');
    await program.prints(lineOf('GET     /.[31m                          400       3 B TIME'));
    socket.destroy();
    assert.equal(await program.stop(), 0);
    assert.ok(!program.stdout.includes('\x1b'), program.stdout);
  });

  test('when a stream begins and ends', async () => {
    const { program, url } = await start(served(`
      server.route('/ends', 'GET', () => new Response((function* () { yield 'one'; yield 'three'; })()));
      server.route('/goes-on', 'GET', () => new Response((function* () { yield 'one'; for (;;) yield; })()));
    `), '--firmware', 'routed');
    assert.equal((await ask(`${url}ends`)).text, 'onethree');
    await program.prints(lineOf('GET     /ends                           200    stream'));
    await program.prints(lineOf('GET     /ends                           200       8 B TIME'));

    const request = http.get(`${url}goes-on`, { agent: false }, (response) => response.once('data', () => request.destroy()).on('error', () => {}));
    request.on('error', () => {});
    await program.prints(lineOf('GET     /goes-on                        200    stream'));
    await program.prints(lineOf('GET     /goes-on                        200       3 B TIME  client left'));
    assert.equal(await program.stop(), 0);
  });

  test('when a WebSocket opens and is closed, with its messages', async () => {
    const { program, url } = await start(served(`
      server.route('/echo', 'WEBSOCKET', (path, headers, ws) => {
        ws.send('hello');
        ws.onmessage = (message) => ws.send(message);
      });
    `));
    const socket = new WebSocket(`${behind(url, 1, 'ws')}echo`);
    const got = [];
    await new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('open', () => { socket.send('x'.repeat(300)); socket.ping(); socket.send('two'); });
      socket.on('message', (data) => { if (got.push(String(data)) === 3) resolve(); });
    });
    await program.prints(lineOf('WS      :81/echo                        101      open'));
    socket.close(1000, 'enough');
    await program.prints(lineOf('WS      :81/echo                       1000    closed TIME  2 in, 3 out'));

    const other = new WebSocket(`${behind(url, 2, 'ws')}echo`);
    await new Promise((resolve) => other.once('message', resolve));
    other.terminate();
    await program.prints(lineOf('WS      :82/echo                       1006    closed TIME  0 in, 1 out'));
    assert.equal(await program.stop(), 0);
  });

  test('the vitals of the board when they have changed', async () => {
    const { program, url } = await start(served("server.route('/', 'GET', () => new Response((function* () { for (;;) yield; })()));"));
    await program.prints(/^board {3}clients 0 {2}heap 4\d\/180 KB {2}input 0\.0\/20 KB {2}fds 8\/16 {2}PCBs 4\/5, 4 held$/m);
    const socket = net.connect(+new URL(url).port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume().write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await program.prints(/^board {3}clients 1 {2}heap 4\d\/180 KB {2}input 0\.0\/20 KB {2}fds 8\/16 {2}PCBs 4\/5, 3 held$/m);
    socket.destroy();
    await program.prints(/clients 1 [^]*^board {3}clients 0 {2}heap 4\d\/180 KB {2}input 0\.0\/20 KB {2}fds 8\/16 {2}PCBs 4\/5, 4 held$/m);
    assert.equal(await program.stop(), 0);
    assert.equal(program.stdout.match(/^board /gm).length, 3);
  });

  test('how much of the heap the program holds, what it made at its start and what it collects, and when that is too much', async () => {
    const { program, url } = await start(served(`
      const table = new Float32Array(10240);
      const readings = [];
      server.route('/', 'GET', () => String(table.length + readings.push(new Uint8Array(30720))));
    `));
    const heap = async (pattern) => +(await program.prints(new RegExp(`board {3}clients 0 {2}heap (${pattern})/180 KB`)))[1];
    const first = await heap('\\d+');
    const [, text] = /takes some (\d+) of/.exec(program.stdout);
    assert.ok(first - text > 32 && first - text <= 41, `${first} KB, ${text} of it the program's text`);
    for (let n = 1; n <= 4; n++) {
      await ask(url);
      const now = await heap(`${first + 30 * n}|${first + 30 * n + 1}`);
      assert.equal(program.stderr, n < 4 ? '' : `This would have hurt a real board: out of memory, which no program survives: it holds some ${now} KB of JavaScript heap\n`);
    }
    assert.equal(await program.stop(), 0);
  });

  for (const retries of ['quick', 'real']) {
    test(`that a browser's second request ${retries === 'quick' ? 'did not have to wait, as its first connection is kept,' : 'had to wait'} with ${retries} SYN retries`, async () => {
      const { program, url } = await start('plain', ...retries === 'real' ? ['--syn-retries', 'real'] : []);
      const sockets = [0, 1].map(() => net.connect(+new URL(url).port, '127.0.0.1').on('error', () => {}));
      await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
      for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nhost: a\r\nuser-agent: Mozilla/5.0\r\n\r\n');
      const [, waited] = await program.prints(/^GET.*\nGET.* ms(?: {2}waited (\d+\.\d) s)?$/m);
      assert.equal(Number(waited ?? 0) > 0.5, retries === 'real', program.stdout);
      for (const socket of sockets) socket.destroy();
      assert.equal(await program.stop(), 0);
    });
  }

  for (const { retries, least, most } of [{ retries: 'quick', least: 1200, most: 2900 }, { retries: 'real', least: 3000, most: 20000 }]) {
    test(`that a client had to wait, with ${retries} SYN retries`, async () => {
      const { program, url } = await start('plain', ...retries === 'real' ? ['--syn-retries', 'real'] : []);
      const first = net.connect(+new URL(url).port, '127.0.0.1');
      first.on('error', () => {});
      await new Promise((resolve) => first.once('connect', resolve));
      first.write('GET / HTTP'); // and so it is heard, and nobody else
      await new Promise((resolve) => setTimeout(resolve, 200));
      const second = ask(url);
      await new Promise((resolve) => setTimeout(resolve, 1300)); // 1 s is too early
      first.end('/1.0\r\n\r\n');
      assert.equal((await second).status, 200);
      const [, took, waited] = await program.prints(/^GET {5}\/ {31}200 {5}230 B ([ \d]{6}) ms {2}waited (\d+\.\d) s$/m);
      assert.ok(+took >= least && +took < most, `${took} ms`);
      assert.ok(+waited > 0.1 && waited * 1000 < +took + 60, `${took} ms, and ${waited} s of it waiting`);
      assert.equal(await program.stop(), 0);
    });
  }
});

describe('npm start notices', () => {
  /** Starts a program that need not listen. @returns {Promise<[Program, string]>} and its URL */
  async function begin(text) {
    const program = new Program(process.execPath, [START, '--port', '0', temporaryFile('odd.js', text)]);
    started.push(program);
    return [program, (await program.prints(/Pico W: (\S+)/))[1]];
  }

  /** Waits for something on the error output. */
  async function says(program, pattern) {
    for (const end = Date.now() + 20000; !pattern.test(program.stderr);) {
      assert.ok(Date.now() < end, `not said: ${pattern}\n${program.stdout}${program.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  test('that a program does not listen', async () => {
    const [program, url] = await begin("const { Server, run } = require('./ehttpserver'); new Server(); run();");
    await assert.rejects(ask(url), { code: /ECONNRESET|EPIPE/ });
    await says(program, /^odd\.js does not listen after 3 s, so nobody can visit it\. What to check:\n( {2}- .*\n){3}$/);
    assert.equal(await program.stop(), 0);
  });

  for (const firmware of ['stock', 'routed']) {
    test(`that nothing steps the server, ${firmware} firmware`, async () => {
      const { program, url } = await start(temporaryFile('still.js', `
        const { Server } = require('./ehttpserver');
        new (require('wifi').WiFi)().connect(() => { new Server().start(80); console.log('Open http://' + __netdev.ip + '/'); });
      `), '--firmware', firmware);
      const waiting = ask(url);
      waiting.catch(() => {});
      await says(program, /^still\.js listens, but nothing calls next\(\): run\(server\.start\(80\)\) or server\.listen\(80\)\n$/);
      assert.equal(await program.stop(), 0);
    });
  }

  test('none of that where a handler takes its time, whole requests are awaited, or a program answers by itself', async () => {
    const slow = await start(served("server.route('/', 'GET', function* () { for (const end = millis() + 4000; millis() < end;) yield; return 'x'; });"));
    const own = await start(temporaryFile('own.js', `
      new (require('wifi').WiFi)().connect(() => {
        const server = __netdev.socket('AF_INET', 'STREAM');
        __netdev.bind(server, __netdev.ip, 80);
        __netdev.listen(server);
        let client;
        __netdev.get(server).accept_cb = (fd) => { client = fd; };
        __netdev.get(server).read_cb = () => { __netdev.write(client, 'HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\n\\r\\nx'); };
        console.log('Open http://' + __netdev.ip + '/');
      });
    `));
    const plain = await start('plain');
    const half = net.connect(+new URL(plain.url).port, '127.0.0.1');
    half.on('error', () => {}).write('GET / HTTP');
    const idle = new http.Agent({ keepAlive: true });
    await new Promise((resolve) => http.get(own.url, { agent: idle }, (response) => response.resume().on('end', resolve)));
    assert.equal((await ask(slow.url)).text, 'x');
    half.destroy();
    idle.destroy();
    for (const { program } of [slow, own, plain]) {
      assert.equal(await program.stop(), 0);
      assert.equal(program.stderr, '');
      assert.doesNotMatch(program.stdout, /busy/);
    }
  });

  test('that a program keeps the processor, when it does', async () => {
    const [program] = await begin('setTimeout(() => { for (;;); }, 10);');
    await says(program, /^odd\.js has not given control back for 2 s: nobody is served meanwhile \(an endless loop\? delay\(\)\?\)\n$/);
    assert.equal(await program.stop('SIGINT', 10000), 1);
  });

  for (const [what, handler] of [['delay()', '() => { delay(400); }'], ['a long loop', '() => { for (const end = millis() + 1500; millis() < end;); }']]) {
    test(`that a pass took long: ${what}`, async () => {
      const { program, url } = await start(served(`server.route('/', 'GET', ${handler});`));
      await ask(url);
      // Of the loop only the time counts in which it had the processor.
      const [, busy, why] = await program.prints(/^board {3}busy for (\d+) ms: nobody was served \((.*)\?\)$/m);
      assert.equal(why, what);
      assert.ok(+busy >= 250 && +busy < 1800, `${busy} ms`);
      assert.equal(await program.stop(), 0);
    });
  }
});

describe('npm start with several ports', () => {
  const skip = unlessFound(CURL, 'curl');

  /** A program with a server on each of these ports that says its port; it prints where to open them. */
  const servers = (...ports) => temporaryFile('several.js', `
    const { Server } = require('./ehttpserver');
    new (require('wifi').WiFi)().connect(() => [${ports}].forEach((port) => {
      new Server().route('/where', 'GET', () => String(port)).listen(port, () => console.log('Open http://' + __netdev.ip + ':' + port + '/'));
    }));
  `);

  for (const where of ['at any free ports', 'behind the port that was asked for']) {
    test(`says in one line where they are, before the program says more, and all are there, ${where}`, { skip }, async () => {
      const port = where.startsWith('at any') ? 0 : await findRow();
      const program = new Program(process.execPath, [START, served("server.route('/', 'GET', () => 'page');"), '--port', String(port)]);
      started.push(program);
      const pattern = /Pico W: (\S+) .*\n.*\nprogram: .*\nports 80 to 83 of the board are (\d+) to (\d+) on 127\.0\.0\.1\n(?:board .*\n)?Open (\S+)\n/;
      const [, url, first, last, printed] = await program.prints(pattern);
      assert.deepEqual([printed, `http://127.0.0.1:${first}/`, +last], [url, url, +first + 3]);
      if (port) assert.equal(+first, port);
      for (let n = 0; n < 4; n++) {
        assert.deepEqual(await runToEnd(CURL, ['--silent', '--show-error', '--max-time', '20', behind(url, n)]), { code: 0, stdout: 'page', stderr: '' });
      }
      assert.equal(await program.stop(), 0);
      assert.equal(program.stderr, '');
      assert.equal(program.stdout.match(/^ports /gm).length, 1);
    });
  }

  test('opens WebSockets where the example has them, on all but the first at the same time', async () => {
    const { program, url } = await start('websocket');
    const refusal = await new Promise((resolve, reject) => {
      const socket = new WebSocket(`${behind(url, 0, 'ws')}ws`);
      socket.on('error', reject).on('open', reject).on('unexpected-response', (request, response) => resolve(response));
    });
    assert.equal(refusal.statusCode, 421);
    refusal.resume();
    const sockets = [1, 2, 3].map((n) => new WebSocket(`${behind(url, n, 'ws')}ws`));
    const answers = sockets.map((socket, n) => new Promise((resolve, reject) => {
      socket.on('error', reject).on('open', () => socket.send(`message ${n}`)).on('message', (data) => resolve(String(data)));
    }));
    assert.deepEqual(await Promise.all(answers), ['message 0', 'message 1', 'message 2']);
    await program.prints(lineOf('WS      /ws                             421      10 B TIME'));
    for (const port of [81, 82, 83]) await program.prints(lineOf(`WS      :${port}/ws                          101      open`));
    for (const socket of sockets) socket.close();
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, '');
  });

  test('tells two servers apart: in the lines of their requests, and where the program prints their addresses', async () => {
    const { program, url } = await start(servers(80, 81));
    const [, second] = await program.prints(/^Open .*\nports 80 and 81 of the board are .*\nOpen (\S+)$/m);
    assert.equal(second, behind(url, 1));
    assert.equal((await ask(`${url}where`)).text, '80');
    assert.equal((await ask(`${second}where`)).text, '81');
    await program.prints(lineOf('GET     /where                          200       2 B TIME'));
    await program.prints(lineOf('GET     :81/where                       200       2 B TIME'));
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, '');
  });

  test('takes the first one of the program for the first, whatever its number, and finds a place for those that are far from it', async () => {
    const { program, url } = await start(servers(8080, 8081, 80));
    const [, far] = await program.prints(/^ports 80, 8080 and 8081 of the board are (\d+), \d+ and \d+ on 127\.0\.0\.1$/m);
    assert.equal((await ask(`${url}where`)).text, '8080');
    assert.equal((await ask(`${behind(url, 1)}where`)).text, '8081');
    assert.equal((await ask(`http://127.0.0.1:${far}/where`)).text, '80');
    await program.prints(lineOf('GET     :80/where                       200       2 B TIME'));
    assert.equal(await program.stop(), 0);
  });

  test('says so again when the program opens another one later', async () => {
    const { program, url } = await start(served(`
      const second = new Server();
      second.route('/', 'GET', () => 'second');
      setTimeout(() => second.listen(84), 200);
    `));
    const first = +new URL(url).port;
    await program.prints(new RegExp(`^ports 80 to 84 of the board are ${first} to ${first + 4} on 127\\.0\\.0\\.1$`, 'm'));
    assert.equal((await ask(behind(url, 4))).text, 'second');
    assert.equal(await program.stop(), 0);
    assert.equal(program.stdout.match(/^ports /gm).length, 2);
    assert.equal(program.stderr, '');
  });

  test('names the one that is in use, and the port of the board that it stands for; exit code 1', async (t) => {
    const port = await findRow();
    await occupy(t, port + 2);
    const { code, stderr } = await refused('websocket', '--port', String(port));
    const message = `Port ${port + 2}, which stands for port 82 of the board, is in use. Choose another one: --port 0 takes any\n`;
    assert.deepEqual({ code, stderr }, { code: 1, stderr: message });
  });
});

describe('npm start without a bundler', () => {
  test('loads the library from the folder /lib of the board, as examples/README.md shows', async () => {
    const [, loader] = /```js\n( *const loaded = [^]*?)\n *```/.exec(readFileSync(join(ROOT, 'examples', 'README.md'), 'utf8'));
    const { program, url } = await start(temporaryFile('loads.js', `${loader}
      const { WiFi } = require('wifi');
      const server = new Server();
      server.route('/', 'GET', () => 'loaded');
      new WiFi().connect(() => setTimeout(() => server.listen(80, () => console.log('Open http://' + __netdev.ip + '/')), 1));
    `));
    assert.equal((await ask(url)).text, 'loaded');
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, '');
  });
});

describe('npm start on a bad link', () => {
  test('--latency: every byte takes so long, there and back', async () => {
    const { program, url } = await start('plain', '--latency', '150');
    const began = performance.now();
    assert.equal((await ask(`${url}hello/Ada`)).text, 'Hello Ada!');
    assert.ok(performance.now() - began >= 300, `${performance.now() - began} ms`);
    const [, took] = await program.prints(lineOf('GET     /hello/Ada                      200      10 B TIME'));
    assert.ok(parseInt(took, 10) >= 300, took);
    assert.equal(await program.stop(), 0);
  });

  test('--loss: late, but everything comes, and in order', async () => {
    const { program, url } = await start('static', '--loss', '30');
    const script = readFileSync(join(ROOT, 'examples', 'www', 'app.js.gz'));
    const began = performance.now();
    const got = await new Promise((resolve, reject) => {
      http.get(`${url}app.js`, { agent: false, headers: { 'accept-encoding': 'gzip' } }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk)).on('error', reject).on('end', () => resolve(Buffer.concat(chunks)));
      }).on('error', reject);
    });
    assert.deepEqual(got, script);
    const style = readFileSync(join(ROOT, 'examples', 'www', 'style.css'), 'utf8');
    for (let i = 0; i < 5; i++) assert.equal((await ask(`${url}style.css`)).text, style);
    assert.ok(performance.now() - began > 200, 'nothing was lost');
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, '');
  });
});

describe('the lines of npm start', () => {
  const event = { type: /** @type {const} */ ('request'), method: 'GET', path: '/', status: 404, bytes: 12345, ms: 12345, note: 'client left' };

  test('fit into 80 columns', () => {
    const { traffic, vitals } = makeLines();
    assert.equal(traffic(event), 'GET     /                               404   12.1 KB    12.3 s  client left');
    const most = { status: 1006, bytes: 99999999, ms: 99999999, note: '9999 in, 99 out' };
    const long = traffic({ ...event, ...most, method: 'PROPPATCH', path: '/x'.repeat(50) });
    assert.equal(long, 'PROP... /x/x/x/x/x/x/x/x/x/x/x/x/x/... 1006   95.4 MB  1667 min  9999 in, 99 out');
    assert.equal(long.length, 80);
    const board = { open: 5, heap: 143999, peak: 10239, fds: 16, allFds: 16, dead: 0, pcbs: 5, allPcbs: 5, held: 0, ending: 0 };
    assert.equal(vitals(board), 'board   clients 5  heap 141/180 KB  input 10.0/20 KB  fds 16/16  PCBs 5/5');
    assert.equal(vitals({ ...board, heap: 44000, held: 4 }).length, 80);
    assert.ok(vitals({ ...board, dead: 2, held: 3, ending: 1 }).endsWith('fds 16/16, 2 dead  PCBs 5/5, 3 held, 1 ending'), 'what is rare is at the end');
  });

  test('use the columns of a wider terminal for long paths', () => {
    const line = makeLines({ width: 120 }).traffic({ ...event, path: '/x'.repeat(30) });
    assert.ok(line.includes('/x'.repeat(30)) && line.length <= 120, line);
  });

  test('say the port of the board before the path, unless it is the first one', () => {
    const { traffic } = makeLines();
    assert.equal(traffic({ ...event, port: 81, path: '/x'.repeat(50) }), 'GET     :81/x/x/x/x/x/x/x/x/x/x/x/x...  404   12.1 KB    12.3 s  client left');
  });

  test('say where several ports are: as rows, where they are rows, in the order of the board', () => {
    const line = (...ports) => portsLine(new Map(ports));
    assert.equal(line([80, 8080], [81, 8081], [82, 8082], [83, 8083]), 'ports 80 to 83 of the board are 8080 to 8083 on 127.0.0.1');
    assert.equal(line([81, 8081], [80, 8080]), 'ports 80 and 81 of the board are 8080 and 8081 on 127.0.0.1');
    assert.equal(line([80, 8080], [81, 8081], [83, 8083]), 'ports 80, 81 and 83 of the board are 8080, 8081 and 8083 on 127.0.0.1');
    assert.equal(line([80, 8080], [81, 8081], [82, 9000]), 'ports 80, 81 and 82 of the board are 8080, 8081 and 9000 on 127.0.0.1');
  });

  test('have colours where they are wanted, none otherwise', () => {
    const { traffic, vitals } = makeLines({ colours: true });
    assert.equal(traffic(event), 'GET     /                              \x1b[33m 404\x1b[0m   12.1 KB    12.3 s  \x1b[2mclient left\x1b[0m');
    const idle = { open: 0, heap: 40960, peak: 0, fds: 1, allFds: 16, dead: 0, pcbs: 0, allPcbs: 5, held: 0, ending: 0 };
    assert.equal(vitals(idle).replaceAll('\x1b[0m\x1b[2m', ''), '\x1b[2mboard   clients 0  heap 40/180 KB  input 0.0/20 KB  fds 1/16  PCBs 0/5\x1b[0m');
    assert.ok(vitals({ ...idle, heap: 184313, peak: 20481 }).includes('heap \x1b[0m\x1b[31m180/180 KB\x1b[0m\x1b[2m  input \x1b[0m\x1b[31m20.0/20 KB\x1b[0m'), 'too much is red');
    assert.ok(!makeLines().traffic(event).includes('\x1b'));
  });

  // util-linux has a program that gives another one a terminal; elsewhere it has the same name and other options.
  const script = process.platform === 'linux' ? findProgram('SCRIPT', ['script']) : undefined;
  const skip = process.platform === 'linux' ? unlessFound(script, 'script') : 'this needs the script of util-linux';
  for (const { name, noColor, coloured } of [{ name: 'with', coloured: true }, { name: 'with NO_COLOR without', noColor: '1', coloured: false }]) {
    test(`are ${name} colours on a terminal`, { skip }, async () => {
      const env = { ...process.env, TERM: 'xterm-256color', ...noColor && { NO_COLOR: noColor } };
      if (!noColor) delete env.NO_COLOR;
      for (const name of ['CI', 'FORCE_COLOR', 'NODE_DISABLE_COLORS', 'COLORTERM']) delete env[name]; // Node believes them, too
      const program = new Program(script, ['-qefc', `exec '${process.execPath}' '${START}' plain --port 0`, '/dev/null'], { env });
      started.push(program);
      const [, url] = await program.prints(/Open (http:\S+)\s/); // it may be visited no sooner
      await ask(url);
      await program.prints(/GET {5}\/ .* 200.* ms/);
      await program.prints(/board /);
      assert.equal(program.stdout.includes('\x1b[32m 200\x1b[0m'), coloured);
      assert.equal(program.stdout.includes('\x1b[2mboard '), coloured);
      await program.stop('SIGTERM');
    });
  }
});

describe('npm start at Ctrl-C', () => {
  const endless = () => temporaryFile('endless.js', "console.log('begins'); setTimeout(() => { console.log('now'); for (;;); }, 10);");

  /** How npm start ended, once its processes have: by so many ms after the signal. */
  async function goneWithin(program, signal, milliseconds) {
    program.child.kill(signal);
    const timer = new AbortController();
    const late = sleep(milliseconds, 'a process is left', { signal: timer.signal }).catch(() => {});
    try {
      return await Promise.race([program.ended, late]);
    } finally {
      timer.abort();
    }
  }

  test('ends by itself, with clients, streams and WebSockets: exit code 0, and the address is free again', async () => {
    const { program, url } = await start(served(`
      server.route('/stream', 'GET', () => new Response((function* () { for (;;) yield; })()));
      server.route('/ws', 'WEBSOCKET', (path, headers, ws) => { ws.send('x'); });
    `), '--latency', '20');
    const socket = new WebSocket(`${behind(url, 1, 'ws')}ws`);
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('message', resolve));
    const stream = http.get(`${url}stream`, { agent: false }, (response) => response.on('error', () => {}).resume());
    stream.on('error', () => {});
    await program.prints(/\/stream +200 {4}stream/);
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, '');
    await assert.rejects(ask(url), { code: 'ECONNREFUSED' });
    socket.terminate();
    stream.destroy();
  });

  for (const [name, gone] of [['nobody reads its lines any more', 'stdout'], ['it is killed', 'process']]) {
    test(`or when ${name}: nothing stays behind`, async () => {
      const { program, url } = await start();
      if (gone === 'stdout') program.child.stdout.destroy();
      else program.child.kill('SIGKILL');
      for (const end = Date.now() + 10000; ;) { // a request makes a line
        try {
          await ask(url);
        } catch (error) {
          if (error.code === 'ECONNREFUSED') break;
        }
        assert.ok(Date.now() < end, 'the board goes on');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert.equal(await program.ended, gone === 'stdout' ? 0 : 'SIGKILL');
      assert.equal(program.stderr, '');
    });
  }

  test('the same Ctrl-C twice, as npm passes it on, is one', async () => {
    const program = new Program(process.execPath, [START, '--port', '0', endless()]); // it takes a while to end
    started.push(program);
    await program.prints(/now/);
    program.child.kill('SIGINT');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30);
    assert.equal(await program.stop('SIGINT'), 1);
  });

  test('a program that never gives control back is ended all the same, and told from others', async () => {
    const program = new Program(process.execPath, [START, '--port', '0', endless()]);
    started.push(program);
    await program.prints(/now/);
    assert.equal(await program.stop('SIGINT', 10000), 1);
    assert.equal(program.stderr, 'endless.js never gave control back to the board (an endless loop?): it was ended by force\n');
  });

  // All that prints has ended when its output is closed: the process of the board, too.
  for (const [signal, how] of /** @type {[NodeJS.Signals, string | number][]} */ ([['SIGINT', 1], ['SIGTERM', 1], ['SIGKILL', 'SIGKILL'], ['SIGHUP', 'SIGHUP']])) {
    test(`${signal} leaves no process behind that a program keeps busy`, { skip: process.platform === 'win32' }, async () => {
      const program = new Program(process.execPath, [START, '--port', '0', temporaryFile('busy.js', "console.log('now'); while (true) {}")]);
      started.push(program);
      await program.prints(/now/);
      assert.equal(await goneWithin(program, signal, 5000), how);
    });
  }

  test('a process that stays although the board has ended is ended by force, and that is not the program\'s doing', async () => {
    const program = new Program(process.execPath, [START, '--port', '0', temporaryFile('stays.js', `
      const process = console.log.constructor('return process')();
      process.on('exit', () => { for (;;); });
      console.log('now');
    `)]);
    started.push(program);
    await program.prints(/now/);
    assert.equal(await goneWithin(program, 'SIGINT', 5000), 0);
    assert.equal(program.stderr, '');
  });

  test('a second Ctrl-C ends it at once', async () => {
    const program = new Program(process.execPath, [START, '--port', '0', endless()]);
    started.push(program);
    await program.prints(/now/);
    program.child.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(await program.stop('SIGINT'), 130);
    assert.equal(program.stderr, '');
  });
});

describe('npm start refuses in one line, exit code 1:', () => {
  const bigFolder = dirname(temporaryFile('big.bin', 'x'.repeat(512 * 1024 + 1024)));
  const list = EXAMPLES.join(', ');
  const cases = [
    ['an unknown example', () => ['nope'], `Unknown example nope. There are: ${list}`],
    ['a program that is not there', () => ['./nope.js'], 'There is no file ./nope.js'],
    ['two examples', () => ['hello', 'plain'], 'One example at a time, please, not also: plain'],
    ['an unknown option', () => ['--prot', '1'], "Unknown option '--prot'. See npm start -- --help"],
    ['an option without its value', () => ['--port'], "Option '--port <value>' argument missing. See npm start -- --help"],
    ['an unknown firmware', () => ['--firmware', 'new'], 'Unknown firmware new. There are: stock, routed'],
    ['a port that is no number', () => ['--port', '80a'], '--port must be a number from 0 to 65535, not 80a'],
    ['a latency that is no number', () => ['--latency', '5ms'], '--latency must be a number from 0 to 10000, not 5ms'],
    ['a loss that leaves nothing', () => ['--loss', '100'], '--loss must be a number from 0 to 90, not 100'],
    ['a folder that is not there', () => ['--files', './nope'], 'There is no folder ./nope'],
    ['more files than the board has room for', () => ['--files', bigFolder], `The files in ${bigFolder} have 513 KB, the board has room for 512`],
    ['unknown SYN retries', () => ['--syn-retries', 'fast'], 'Unknown choice for --syn-retries fast. There are: quick, real'],
    ['a port that is too high', () => ['--port', '65536'], '--port must be a number from 0 to 65535, not 65536'],
  ];
  for (const [name, args, message] of cases) {
    test(name, async () => {
      assert.deepEqual(await refused(...args()), { code: 1, stdout: '', stderr: `${message}\n` });
    });
  }

  for (const [what, text, place, why] of [
    ['a module that there is not', "\n  require('i2cc');", '2:11', 'Could not resolve "i2cc"'],
    ['a mistake in the language', 'let let;', '1:5', 'Cannot use "let" as an identifier here:'],
  ]) {
    test(`${what}, with the place`, async () => {
      const { code, stdout, stderr } = await refused('--port', '0', temporaryFile('mistake.js', text));
      assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
      assert.ok(/^Cannot build \S+mistake\.js:\d+:\d+: .*\n$/.test(stderr) && stderr.endsWith(`:${place}: ${why}\n`), stderr);
    });
  }

  test('a program that throws when it is loaded', async () => {
    const { code, stdout, stderr } = await refused('--port', '0', temporaryFile('throwing.js', 'null.length'));
    assert.equal(code, 1);
    assert.match(stdout, /^throwing runs on an emulated Pico W: /);
    assert.match(stderr, /^throwing\.js failed when it was loaded: TypeError: Cannot read properties of null \(reading 'length'\)\n {4}at \S+throwing\.js:1:6\n$/);
  });

  test('a program that listens before there is a network, and what to do', async () => {
    const listening = "const { Server } = require('./ehttpserver');\nnew Server().listen(80);";
    const { code, stderr } = await refused('--port', '0', temporaryFile('early.js', listening));
    assert.equal(code, 1);
    const hint = 'There is no network yet: call listen\\(\\) in the callback of connect\\(\\) or wifiApMode\\(\\), or later';
    const why = 'Error: Port 80: WiFi is not connected, or no socket is left';
    assert.match(stderr, new RegExp(`^early\\.js failed when it was loaded: ${why}\n(?: +at .*\n)* +at \\S+early\\.js:2:14\n${hint}\n$`));

    for (const [text, error] of [[listening, why], ["__netdev.socket('AF_INET', 'STREAM');", 'Error: WiFi is not connected\\.']]) {
      const later = new Program(process.execPath, [START, '--port', '0', temporaryFile('early.js', `setTimeout(() => { ${text} }, 5); setTimeout(() => console.log('now'), 20);`)]);
      started.push(later);
      await later.prints(/now/);
      assert.equal(await later.stop(), 0);
      assert.match(later.stderr, new RegExp(`^${error}\n(?: +at .*\n)*${hint}\n$`));
    }
  });

  test('a port that is in use', async () => {
    const other = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = /** @type {net.AddressInfo} */ (other.address());
    const result = await refused('--port', String(port));
    await new Promise((resolve) => other.close(resolve));
    assert.deepEqual(result, { code: 1, stdout: '', stderr: `Port ${port} is in use. Choose another one: --port 0 takes any\n` });
  });
});

describe('the tool that makes the pictures of the examples', () => {
  const folder = join(ROOT, 'examples', 'screenshots');
  const times = () => readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mtimeMs]);

  for (const [args, code] of /** @type {[string[], number][]} */ ([[['--help'], 0], [['help'], 1], [['--seconds', 'x'], 1], [['--nope'], 1]])) {
    test(`does not replace them at ${args.join(' ')}`, async () => {
      const before = times();
      assert.ok(before.length > 10);
      const result = await runToEnd(process.execPath, [join(ROOT, 'tools', 'screenshot.mjs'), ...args]);
      assert.equal(result.code, code);
      assert.match(result.stdout + result.stderr, code ? /^[^\n]*(--help|not x)\n$/ : /^Usage: /);
      assert.deepEqual(times(), before);
    });
  }
});

describe('the examples', async () => {
  const out = mkdtempSync(join(tmpdir(), 'ehttpserver-test-'));
  folders.push(out);
  await buildExamples(exampleSources(), out);

  for (const name of EXAMPLES) {
    test(`${name} is one file that needs nothing but Kaluma`, async () => {
      const code = readFileSync(join(out, `${name}.js`), 'utf8');
      const asked = [];
      const board = new Board({ wifi: 'off', storage: { WIFI_SSID: 'home' } });
      const require = (id) => {
        asked.push(id);
        return board.global.require(id);
      };
      // On the board a program is a script: there is no module and no exports.
      vm.runInNewContext(`"use strict";${code}`, { ...board.global, require }, { filename: `${name}.js` });
      board.run(10);
      assert.deepEqual(board.console, [{ level: 'log', text: 'Open http://192.168.1.2/' }]);
      assert.ok(asked.every((id) => ['wifi', 'pico_cyw43', 'fs'].includes(id)), asked.join());
      board.check();
    });

    test(`${name} opens a network of its own where no other is known`, () => {
      const board = new Board({ wifi: 'off' });
      board.load(readFileSync(join(out, `${name}.js`), 'utf8'), `${name}.js`);
      board.run(10);
      assert.deepEqual(board.console, [{ level: 'log', text: 'Open http://192.168.4.1/' }]);
      board.check();
    });
  }

  test('tries again while there is no connection', () => {
    const board = new Board({ wifi: 'off', storage: { WIFI_SSID: 'home' } });
    const { WiFi } = board.global.require('wifi');
    // As on the board: the callbacks hear of no error, but there is no connection afterwards.
    const { connect } = WiFi.prototype;
    WiFi.prototype.connect = (callback) => callback(null, { ssid: 'home' });
    board.load(readFileSync(join(out, 'hello.js'), 'utf8'), 'hello.js');
    board.run(100);
    assert.deepEqual(board.console, [{ level: 'error', text: 'No Wi-Fi connection to home, trying again.' }]);
    WiFi.prototype.connect = connect;
    board.run(5000);
    assert.deepEqual(board.console[1], { level: 'log', text: 'Open http://192.168.1.2/' });
    board.check();
  });

  test('the LED of blink keeps its rhythm while requests come in', () => {
    const board = new Board({ wifi: 'off', storage: { WIFI_SSID: 'home' } });
    board.load(readFileSync(join(out, 'blink.js'), 'utf8'), 'blink.js');
    board.run(10);
    for (let i = 0; i < 20; i++) {
      const client = board.connect();
      client.send('GET / HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n');
      board.runUntil(() => client.state === 'closed');
      assert.match(client.text, /^HTTP\/1\.1 200 [^]*The LED is (on|off)\. It was switched \d+ times\./);
    }
    board.run(1000);
    const times = board.pinLog.map(([at]) => at);
    const gaps = times.slice(1).map((at, i) => at - times[i]);
    assert.ok(gaps.length >= 10 && gaps.every((gap) => Math.abs(gap - 100) <= 2), gaps.join(' '));
    assert.deepEqual(board.pinLog.map(([, pin, value]) => [pin, value]), times.map((_, i) => ['LED', (i + 1) % 2]));
    board.check();
  });

  test('are correct TypeScript', async () => {
    const config = temporaryFile('tsconfig.json', JSON.stringify({
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: { target: 'ES2017', lib: ['ES2017', 'DOM'], noEmit: true },
      files: exampleSources().filter((file) => file.endsWith('.ts')),
    }));
    const { code, stdout } = await runToEnd(process.execPath, [TSC, '-p', config]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: '' });
  });

  test('have no Wi-Fi password in their source', () => {
    assert.ok(existsSync(join(ROOT, 'examples', 'lib', 'wifi.ts')));
    for (const file of [...exampleSources(), join(ROOT, 'examples', 'lib', 'wifi.ts')]) {
      assert.doesNotMatch(readFileSync(file, 'utf8'), /(password|ssid)['"]?\s*[:=]/i, file);
    }
  });
});
