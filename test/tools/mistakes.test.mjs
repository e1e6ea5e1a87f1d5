// What somebody meets who does it wrong: npm start and npm run flash name the mistake and its line.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, parse, relative } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildProgram, exampleSources } from '../../tools/build/build.mjs';
import { findMissing } from '../../tools/build/language.mjs';
import { folderOf, unlessInstalled } from '../helpers/installed.mjs';
import { Program, runToEnd, unlessFound } from '../helpers/program.mjs';
import { BoardTerminal, socat } from '../helpers/terminal.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START = join(ROOT, 'tools', 'emulator', 'start.mjs');
const FLASH = join(ROOT, 'tools', 'board', 'flash.mjs');

const temporary = mkdtempSync(join(tmpdir(), 'ehttpserver-mistakes-'));
const started = [];
after(async () => {
  for (const program of started) await program.stop('SIGKILL');
  rmSync(temporary, { recursive: true });
});

function file(name, content) {
  const path = join(mkdtempSync(join(temporary, 'file-')), name);
  writeFileSync(path, content);
  return path;
}

/** What is missing of a program: line:column and message; what no board runs has a ! before it. */
async function missingIn(text, name = 'program.ts') {
  const found = await findMissing(await buildProgram(file(name, text)));
  return found.map(({ place, message, fatal }) => `${fatal ? '!' : ''}${place.replace(/^.*program\.[jt]s:/, '')} ${message}`);
}

/** Runs a program on the emulated board until it has printed to stderr what matches. */
async function start(source) {
  const program = new Program(process.execPath, [START, source, '--port', '0'], { cwd: ROOT });
  started.push(program);
  await program.prints(/ runs on an emulated Pico W: /);
  return program;
}

async function says(program, pattern, milliseconds = 15000) {
  for (const end = Date.now() + milliseconds; !pattern.test(program.stderr) && Date.now() < end;) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.match(program.stderr, pattern);
}

describe('what the board\'s JavaScript lacks', () => {
  for (const [code, expected] of [
    ['[1].at(-1);', '1:5 the board has no at(): use it[it.length - 1]'],
    ['const list: number[] = [];\nlist.at(-2);', '2:6 the board has no at(): use list[list.length - 2]'],
    ['import { WiFi } from \'wifi\';\nexport const n = (text: string) => new WiFi() && text.at(3);', '2:55 the board has no at(): use text[index]'],
    ['[1].findLast((n) => n > 1);', '1:5 the board has no findLast(): use it.slice().reverse().find()'],
    ['Object.hasOwn({}, \'x\');', '1:1 the board has no Object.hasOwn(): use Object.prototype.hasOwnProperty.call(object, name)'],
    ['Promise.allSettled([]);', '1:1 the board has no Promise.allSettled(): use Promise.all() of promises with a catch()'],
    ['structuredClone({});', '1:1 the board has no structuredClone: use JSON.parse(JSON.stringify(value))'],
    ['console.log(window);', '1:13 the board has no window: it belongs into a page: a program runs on the board'],
    ['\n\nconsole.warn(1);', '3:1 the board has no console.warn(): use console.error()'],
    ['new Response();', '1:5 the board has no Response: use const { Response } = require(\'./ehttpserver\')'],
    ['new RegExp(\'(?<name>x)\');', '1:1 the board has no named groups, (?<name>...): use a plain group, and its number'],
    ['/(?<=x)y/.test(\'xy\');', '!1:1 the board has no lookbehind, (?<=...) or (?<!...): use a group, and the match without it'],
    ['\'\'.match(/\\p{L}/u);', '!1:10 the board has no Unicode properties, \\p{...}: use a class such as [A-Za-z]'],
    ['\'\'.match(/x/d);', '!1:10 the board has no regular expressions with the flags d'],
    ['/(?i:x)y/.test(\'xy\');', '!1:1 the board has no flags in a group, (?i:...): use a flag for the whole expression'],
    ['print(process.env.NAME);', '1:7 the board has no process.env: use storage.getItem(name)'],
    ['throw new Error(\'x\', { cause: 1 });', '1:22 the board has no cause of an Error: use a message that says it'],
    ['const own = Object;\nprint(own.groupBy([], () => 1));', '2:7 the board has no Object.groupBy(): use reduce()'],
    ['import(\'fs\');', '!1:1 the board has no import(): use require()'],
    ['#!/usr/bin/env node\nprint(1);', '!1:1 the board has no #! line: leave it out'],
  ]) {
    test(JSON.stringify(code), async () => assert.deepEqual(await missingIn(code), [expected]));
  }

  const library = 'const { Response, Server } = require(\'./ehttpserver\');\n';
  for (const [code, expected] of [
    [`${library}print(() => Response('x'));`, '2:13 Response needs new: new Response(...)'],
    ['import { FileResponse } from \'./ehttpserver\';\nexport const page = () => FileResponse(\'/x\');', '2:27 FileResponse needs new: new FileResponse(...)'],
    [`${library}class Site extends Server {\n  next() { return {}; }\n}\nnew Site();`, '3:3 next() is the server\'s own: use another name, or call super.next() in it'],
    ['const own = require(\'./websocket\');\nprint(own.WebSocketServer());', '2:7 WebSocketServer needs new: new WebSocketServer(...)'],
    ['class Site extends require(\'./websocket\').WebSocketServer {}\nnew (class extends Site { listen() {} })();', '2:27 listen() is the server\'s own: use another name, or call super.listen() in it'],
    ['import { Server } from \'./ehttpserver\';\nexport class Site extends Server {\n  override close() {}\n}', '3:12 close() is the server\'s own: use another name, or call super.close() in it'],
  ]) {
    test(JSON.stringify(code), async () => assert.deepEqual(await missingIn(code), [expected]));
  }

  test('says nothing about a right use of the library', async () => {
    const code = `${library}class Site extends Server { next() { return super.next(); } debug() {} } new Site(); new Response('x'); class Own { next() {} }`;
    assert.deepEqual(await missingIn(code), []);
  });

  test('what only a script that is not strict may do, which the board cannot read', async () => {
    assert.deepEqual(await missingIn('exports.x = 1;\nwith ({}) {}', 'program.js'), ['!2:1 the board cannot read this: \'with\' in strict mode']);
  });

  for (const [what, code] of [
    ['what esbuild translates', 'let a: any; a?.b; a ??= 1; a ||= a ** 2; class K { #p = 1; static { K.prototype; } has(x: any) { return #p in x; } } new K().has(a);'],
    ['what the engine has', '"".replaceAll("a", "b"); [[1]].flat(); Object.fromEntries([]); "".matchAll(/a/gs); "".padEnd(3).trimStart(); globalThis; 0 ?? 1n;'],
    ['what is asked for before', 'if (typeof structuredClone === "function") structuredClone({}); const x: any = []; if (x.at) x.at(-1); (Object as any).hasOwn && Object.hasOwn({}, "x");'],
    ['methods of the program', 'class Log { at(n: number) { return n; } } new Log().at(-1); const queue = { findLast() {} }; queue.findLast();'],
    ['what the program adds', 'Object.defineProperty(Array.prototype, "at", { value() {} }); [].at(1); (globalThis as any).fetch = require("http").get; fetch("");'],
    ['fields and functions that become methods', 'class Log { at = (n: number) => n; } new Log().at(1); function findLast() {} const queue = { findLast }; queue.findLast();'],
    ['regular expressions that only look alike', '/[(?<=x]\\\\\\(?<a>(?=b)(?!c)\\p/.test("x"); RegExp("(?:a)", "gimsuy");'],
    ['a program without code', 'interface Unused { n: number }'],
    ['names of the program', 'function fetch() {} fetch(); const show = (window: number, { URL }: any) => window + URL; show(1, {}); ({ Buffer: 1 }).Buffer;'],
    ['methods of Kaluma\'s modules', 'const net = require("net"); net.at(1);'],
    ['what is in texts and comments', '// [].at(-1)\nconsole.log("Object.hasOwn(a) /(?<=a)/");'],
  ]) {
    test(`says nothing about ${what}`, async () => assert.deepEqual(await missingIn(code), []));
  }

  for (const source of exampleSources()) {
    test(`says nothing about the example ${parse(source).name}`, async () => assert.deepEqual(findMissing(await buildProgram(source)), []));
  }

  test('npm start tells it, and runs the program', async () => {
    const source = file('odd.ts', 'const list: number[] = [1];\nsetTimeout(() => console.log(\'last\', list.at(-1)), 1);\n');
    const program = await start(source);
    await program.prints(/^last 1$/m);
    assert.equal(program.stderr, `${relative(ROOT, source)}:2:43: the board has no at(): use list[list.length - 1]\n`);
  });

  test('npm start does not run what no board runs', async () => {
    const source = file('odd.ts', '\nconsole.log(/(?<!x)y/.test(\'y\'));\n');
    const { code, stdout, stderr } = await runToEnd(process.execPath, [START, source, '--port', '0'], { cwd: ROOT });
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
    assert.equal(stderr, `Cannot run ${relative(ROOT, source)}:2:13: the board has no lookbehind, (?<=...) or (?<!...): use a group, and the match without it\n`);
  });

  const skip = process.platform === 'win32' ? 'Windows has no pseudo-terminals of this kind'
    : unlessFound(socat, 'socat') || unlessInstalled('cli');
  test('npm run flash tells it, and sends nothing that no board runs', { skip }, async () => {
    const board = await BoardTerminal.open();
    const bin = mkdtempSync(join(temporary, 'bin-'));
    symlinkSync(join(folderOf('cli'), 'node_modules', '@kaluma', 'cli', 'bin', 'kaluma.js'), join(bin, 'kaluma'));
    const flash = (source) => runToEnd(process.execPath, [FLASH, source, '--port', board.port], { cwd: ROOT, env: { ...process.env, PATH: bin } });
    try {
      const refused = file('odd.js', '/(?<name>x)/.test(\'x\');\n');
      const { code, stdout, stderr } = await flash(refused);
      assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
      assert.equal(stderr, `Cannot run ${relative(ROOT, refused)}:1:1: the board has no named groups, (?<name>...): use a plain group, and its number\n`);
      assert.deepEqual(board.state.history, []);
      const warned = file('odd.js', 'Object.hasOwn({}, \'x\');\n');
      const { code: done, stderr: warning } = await flash(warned);
      assert.equal(done, 0);
      assert.equal(warning, `${relative(ROOT, warned)}:1:1: the board has no Object.hasOwn(): use Object.prototype.hasOwnProperty.call(object, name)\n`);
    } finally {
      await board.close();
    }
  });
});

describe('a program that keeps the processor', () => {
  const served = (handler) => `const { Server } = require('./ehttpserver');
    const server = new Server();
    server.route('/', 'GET', ${handler});
    new (require('wifi').WiFi)().connect(() => setTimeout(() => server.listen(80, () => console.log('Open http://' + __netdev.ip + '/')), 1));`;
  const kept = (source, line) => new RegExp(`^The program keeps the processor at ${relative(ROOT, source).replace(/[.\\\\]/g, '\\$&')}:${line}$`, 'm');

  for (const [when, name, code, line] of [
    ['when it is loaded', 'odd.js', 'const n = 1;\nfor (;;) {\n  n;\n}\n', '[23]'],
    ['in a function of a timer, in TypeScript', 'odd.ts', 'interface Unused {\n  n: number\n}\nfunction wait(n: number): void {\n  while (n > 0) {\n    n++;\n  }\n}\nsetTimeout(() => wait(1), 10);\n', '[56]'],
    ['in another file', 'odd.js', `require(${JSON.stringify(file('other.js', '\nexports.wait = () => { for (;;); };\n'))}).wait();\n`, undefined],
    ['that steps its server itself', 'odd.js', 'const { Server } = require("./ehttpserver");\nnew (require("wifi").WiFi)().connect(() => setTimeout(() => {\n  const server = new Server().start(80);\n  for (;;) server.next();\n}, 1));\n', 4],
  ]) {
    test(`is told with its line: ${when}`, async () => {
      const source = file(name, code);
      const program = await start(source);
      await says(program, line ? kept(source, line) : /^The program keeps the processor at \S+other\.js:2$/m);
      assert.equal(await program.stop('SIGINT', 10000), 1);
      assert.equal(program.stderr.split('keeps the processor').length, 2, program.stderr);
    });
  }

  test('is told again when it does that again, and goes on meanwhile', async () => {
    const source = file('odd.js', served('() => {\n for (const end = Date.now() + 4500; Date.now() < end;);\n return "done";\n }'));
    const program = await start(source);
    const [, url] = await program.prints(/^Open (\S+)$/m);
    for (let times = 1; times < 3; times++) {
      assert.equal(await (await fetch(url)).text(), 'done');
      assert.equal(program.stderr.match(new RegExp(kept(source, 4), 'gm'))?.length, times, program.stderr);
    }
    assert.equal(await program.stop(), 0);
  });

  test('is not told of one that gives control back, or waits', async () => {
    const program = await start(file('odd.js', served('() => "done"')));
    const [, url] = await program.prints(/^Open (\S+)$/m);
    await new Promise((resolve) => setTimeout(resolve, 4000));
    assert.equal(await (await fetch(url)).text(), 'done');
    assert.equal(program.stderr, '');
    assert.equal(await program.stop(), 0);
  });
});

describe('an answer that is not what it should be', () => {
  const served = (reply) => file('odd.js', `const { Server } = require('./ehttpserver');
    const server = new Server();
    server.route('/', 'GET', () => ${reply});
    new (require('wifi').WiFi)().connect(() => setTimeout(() => server.listen(80, () => console.log('Open http://' + __netdev.ip + '/')), 1));`);

  for (const [reply, body, message] of [
    ['new Map([[1, 2]])', '{}', 'A Map became JSON, which is {}: use Object.fromEntries(map)\n'],
    ['new Set([1])', '{}', 'A Set became JSON, which is {}: use [...set]\n'],
    ['new TypeError("odd")', '{}', 'An Error became JSON, which is {}: use error.message\n'],
    ['"x".repeat(500000)', 'x'.repeat(500000), /^This would have hurt a real board: out of memory, which no program survives: it holds some \d+ KB of JavaScript heap, with an answer of 488 KB: use a FileResponse or a stream\n$/],
    ['({ sensor: 20 })', '{"sensor":20}', ''],
  ]) {
    test(`${reply}: ${message ? 'is told' : 'is right'}`, async () => {
      const program = await start(served(reply));
      const [, url] = await program.prints(/^Open (\S+)$/m);
      // Of one kind it is told once; of a heap that was too full, whenever it is again.
      for (let n = typeof message === 'string' ? 2 : 1; n--;) assert.equal(await (await fetch(url)).text(), body);
      assert.equal(await program.stop(), 0);
      if (typeof message === 'string') assert.equal(program.stderr, message);
      else assert.match(program.stderr, message);
    });
  }
});
