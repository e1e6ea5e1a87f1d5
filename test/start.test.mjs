// npm start: the examples on the emulated board, as a user meets them.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join, parse } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { buildExamples, exampleSources } from '../tools/build.mjs';
import { Board } from './board/index.mjs';
import { Program, runToEnd } from './helpers/program.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const START = join(ROOT, 'tools', 'start.mjs');
const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
const EXAMPLES = exampleSources().map((file) => parse(file).name);
const READY = /runs on an emulated Pico W with (\w+) firmware: (http:\/\/127\.0\.0\.1:\d+\/) .*\n(?:.*\n)*?Open (\S+)\n/;

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
  const [, firmware, url, printed] = await program.prints(READY);
  return { program, firmware, url, printed };
}

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
    assert.deepEqual(await get(url), { status: 200, type: 'text/plain; charset=utf-8', text: 'Hello from the Pico W!' });
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, '');
  });

  test('runs plain on routed firmware', async () => {
    const { program, firmware, url } = await start('plain', '--firmware', 'routed');
    assert.equal(firmware, 'routed');
    assert.equal((await get(url)).text, 'Try /uptime and /hello/Ada');
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

  test('prints what the program prints, errors on the error output', async () => {
    const program = new Program(process.execPath, [START, '--port', '0', temporaryFile('talk.js', `
      console.log('one', 2);
      console.error('three');
      setTimeout(() => console.log('four'), 1);
    `)]);
    started.push(program);
    await program.prints(/^one 2\nfour\n/);
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr, 'three\n');
  });

  test('says what would have hurt a real board', async () => {
    const program = new Program(process.execPath, [START, '--port', '0', temporaryFile('hurt.js', `
      setInterval(() => { console.log('now'); throw new Error('bang'); }, 0);
    `)]);
    started.push(program);
    await program.prints(/now/);
    assert.equal(await program.stop(), 0);
    assert.match(program.stderr, /This would have hurt a real board: exception out of a callback: .*bang/);
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
    assert.match(stdout, /^Usage: npm start -- \[example\] \[--port 8080\] \[--firmware stock\]\n/);
    for (const name of EXAMPLES) assert.match(stdout, new RegExp(`\\b${name}\\b`));
    assert.equal(stderr, '');
  });

  test('is what npm start runs', async () => {
    const { code, stdout } = await runToEnd('npm', ['start', '--silent', '--', '--help'], { cwd: ROOT, shell: process.platform === 'win32' });
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: /);
  });
});

describe('npm start refuses in one line, exit code 1:', () => {
  const list = EXAMPLES.join(', ');
  const throwing = () => temporaryFile('throwing.js', 'null.length');
  const cases = [
    ['an unknown example', () => ['nope'], `Unknown example nope. There are: ${list}`],
    ['a program that is not there', () => ['./nope.js'], 'There is no file ./nope.js'],
    ['two examples', () => ['hello', 'plain'], 'One example at a time, please, not also: plain'],
    ['an unknown option', () => ['--prot', '1'], "Unknown option '--prot'. See npm start -- --help"],
    ['an option without its value', () => ['--port'], "Option '--port <value>' argument missing. See npm start -- --help"],
    ['an unknown firmware', () => ['--firmware', 'new'], 'Unknown firmware new. There are: stock, routed'],
    ['a port that is no number', () => ['--port', '80a'], '--port must be a number from 0 to 65535, not 80a'],
    ['a port that is too high', () => ['--port', '65536'], '--port must be a number from 0 to 65535, not 65536'],
    ['a program that throws when it is loaded', () => ['--port', '0', throwing()],
      "throwing.js failed when it was loaded: TypeError: Cannot read properties of null (reading 'length')"],
  ];
  for (const [name, args, message] of cases) {
    test(name, async () => {
      assert.deepEqual(await refused(...args()), { code: 1, stdout: '', stderr: `${message}\n` });
    });
  }

  test('a port that is in use', async () => {
    const other = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = /** @type {net.AddressInfo} */ (other.address());
    const result = await refused('--port', String(port));
    await new Promise((resolve) => other.close(resolve));
    assert.deepEqual(result, { code: 1, stdout: '', stderr: `Port ${port} is in use. Choose another one: --port 0 takes any\n` });
  });
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
