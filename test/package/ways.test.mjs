// Ways to use the library, each from a folder that has nothing to do with this repository: with our own commands, which need no copy of it;
// beside a program, for the bundler of Kaluma's command line tool; as TypeScript source, for one's own bundler; and from the board's file
// system, without any; and in Node.js.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, parse } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildExamples } from '../../tools/build/build.mjs';
import { buildSmallest } from '../../tools/build/shake.mjs';
import { Board } from '../board/index.mjs';
import { KALUMA_MODULES } from '../board/modules.mjs';
import { folderOf, unlessInstalled } from '../helpers/installed.mjs';
import { runToEnd } from '../helpers/program.mjs';
import { FIRMWARES } from '../support/serve.mjs';
import { runScript } from '../support/script.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = '<h1>From a file</h1>';

const temporary = mkdtempSync(join(tmpdir(), 'ehttpserver-ways-'));
after(() => rmSync(temporary, { recursive: true }));

/** A folder with nothing but copies of these files of the repository. */
function cleanFolder(...files) {
  const folder = mkdtempSync(join(temporary, 'clean-'));
  for (const file of files) copyFileSync(join(ROOT, file), join(folder, basename(file)));
  return folder;
}

const read = (...path) => readFileSync(join(...path), 'utf8');
const programOf = (name) => read(ROOT, 'test', 'package', 'ways', name);

/** Runs the one file that the board gets, and makes sure that it serves. */
function assertServes(code, { files = {}, webSocket = false, firmware = FIRMWARES[0] } = {}) {
  const board = new Board({
    firmware, wifi: 'off', storage: { WIFI_SSID: 'home' }, files: { '/www/page.html': PAGE, ...files },
  });
  runScript(board, code);
  board.run(10);
  assert.deepEqual(board.console, [{ level: 'log', text: 'http://192.168.1.2/' }]);
  const ask = (path) => {
    const client = board.connect();
    client.send(`GET ${path} HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n`);
    board.runUntil(() => client.state === 'closed');
    return client.text;
  };
  assert.match(ask('/'), /^HTTP\/1\.1 200 [^]*\r\n\r\nHello!$/);
  assert.match(ask('/file'), /^HTTP\/1\.1 200 [^]*\r\ncontent-type: text\/html; charset=utf-8\r\n[^]*\r\n\r\n<h1>From a file<\/h1>$/);
  assert.match(ask('/nothing'), /^HTTP\/1\.1 404 /);
  if (webSocket) assertTalks(board);
  assert.equal(board.fs.openFiles, 0);
  board.check();
}

/** RFC 6455's own example of a handshake, and a message of two letters, masked with zeros. */
function assertTalks(board) {
  const client = board.connect({ port: 81 });
  client.send('GET /ws HTTP/1.1\r\nHost: board\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  board.runUntil(() => client.text.endsWith('\r\n\r\n'));
  assert.match(client.text, /^HTTP\/1\.1 101 [^]*\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
  client.send(Uint8Array.from([0x81, 0x82, 0, 0, 0, 0, 0x48, 0x69]));
  board.runUntil(() => client.text.endsWith('\x81\x0bYou said Hi'));
}

describe('a program alone, for npm start and npm run flash', () => {
  async function bundle(path, program) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, program);
    const out = await buildExamples([path], mkdtempSync(join(temporary, 'out-')));
    return read(out, `${parse(path).name}.js`);
  }

  for (const [name, from] of [['beside it', './'], ['a folder higher', '../'], ['two folders higher', '../../']]) {
    test(`that believes the library to be ${name}`, async () => {
      const code = await bundle(join(cleanFolder(), 'my', 'own', 'first.js'), programOf('hello.js').replaceAll("require('./", `require('${from}`));
      for (const firmware of FIRMWARES) assertServes(code, { firmware });
    });
  }

  test('with WebSockets, in TypeScript', async () => {
    assertServes(await bundle(join(cleanFolder(), 'chat.ts'), programOf('chat.ts')), { webSocket: true });
  });

  test('that has a copy of the library: it gets that', async () => {
    const folder = cleanFolder();
    writeFileSync(join(folder, 'ehttpserver.ts'), "export const Server = 'my own';");
    const code = await bundle(join(folder, 'program.js'), "console.log(require('./ehttpserver').Server);");
    const board = new Board();
    runScript(board, code);
    assert.deepEqual(board.console, [{ level: 'log', text: 'my own' }]);
  });

  test('in the repository, beside the sources: it gets what ships', async () => {
    const path = join(ROOT, `test-${process.pid}.js`);
    try {
      const code = await bundle(path, "exports.server = require('./ehttpserver');");
      assert.match(code, /^\s*\/\/ .*\bdist\/ehttpserver\.js$/m);
    } finally {
      rmSync(path);
    }
  });

  test('that uses any module of Kaluma', async () => {
    const code = await bundle(join(cleanFolder(), 'all.js'), KALUMA_MODULES.map((name) => `require('${name}');`).join('\n'));
    for (const name of KALUMA_MODULES) assert.ok(code.includes(`require("${name}")`), name);
  });
});

describe('a program alone, with the parts of the library that it uses, for npm run flash', () => {
  async function build(name, program) {
    const path = join(cleanFolder(), name);
    writeFileSync(path, program);
    const { code, contains } = await buildSmallest(path);
    assert.equal(contains, 'the parts of the library that it uses');
    return code;
  }

  test('in JavaScript', async () => {
    const code = await build('hello.js', programOf('hello.js'));
    for (const firmware of FIRMWARES) assertServes(code, { firmware });
  });

  test('in TypeScript, with decorators', async () => {
    const code = await build('site.ts', programOf('site.ts'));
    for (const firmware of FIRMWARES) assertServes(code, { firmware });
  });

  for (const name of ['chat.js', 'chat.ts']) {
    test(`with WebSockets: ${name}`, async () => {
      const code = await build(name, programOf(name));
      for (const firmware of FIRMWARES) assertServes(code, { webSocket: true, firmware });
    });
  }

  test('that takes the library as one object', async () => {
    const program = programOf('hello.js').replace(/const (\{[^}]+\}) = require\('\.\/ehttpserver'\);/, "const all = require('./ehttpserver');\nconst $1 = all;");
    assert.match(program, /const all/);
    assertServes(await build('hello.js', program));
  });
});

describe('dist/*.js beside a program, for webpack, which kaluma flash --bundle is', { skip: unlessInstalled('webpack') }, () => {
  /** What version 1.4.0 of the command line tool tells webpack; "production" with --minify. */
  const configuration = (mode) => {
    const modules = ['events', 'gpio', 'led', 'button', 'pwm', 'adc', 'i2c', 'spi', 'uart', 'rp2', 'cyw43_arch', 'graphics', 'at', 'stream',
      'net', 'dgram', 'http', 'wifi', 'url', 'path', 'flash', 'fs', 'rtc', 'vfs_lfs', 'vfs_fat', 'sdcard', 'pico_cyw43'];
    const externals = Object.fromEntries(modules.map((name) => [name, `commonjs ${name}`]));
    return { mode, entry: './program.js', node: false, externals };
  };

  async function bundle(mode, program, ...files) {
    const folder = cleanFolder(...files);
    writeFileSync(join(folder, 'program.js'), program);
    writeFileSync(join(folder, 'bundle.cjs'), `
      const webpack = require(${JSON.stringify(join(folderOf('webpack'), 'node_modules', 'webpack'))});
      const output = { path: __dirname, filename: 'bundle.js' };
      webpack({ ...${JSON.stringify(configuration(mode))}, output }).run((error, stats) => {
        if (error || stats.hasErrors() || stats.hasWarnings()) throw error || new Error(stats.toString());
      });
    `);
    const { code, stderr } = await runToEnd(process.execPath, ['bundle.cjs'], { cwd: folder });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    return read(folder, 'bundle.js');
  }

  for (const mode of ['none', 'production']) {
    test(`mode ${mode}`, async () => {
      const code = await bundle(mode, programOf('hello.js'), 'dist/ehttpserver.js');
      for (const firmware of FIRMWARES) assertServes(code, { firmware });
    });

    test(`mode ${mode}, with WebSockets`, async () => {
      assertServes(await bundle(mode, programOf('chat.js'), 'dist/ehttpserver.js', 'dist/websocket.js'), { webSocket: true });
    });
  }
});

describe('the TypeScript source beside a program, for esbuild', () => {
  /** The command that examples/README.md tells. */
  const COMMAND = ['site.ts', '--bundle', '--minify', '--format=cjs', '--platform=neutral', '--target=es2017',
    '--external:fs', '--external:wifi', '--external:pico_cyw43', '--outfile=site.js'];

  async function bundle(program, settings, ...files) {
    const folder = cleanFolder(...files);
    writeFileSync(join(folder, 'site.ts'), program);
    if (settings) writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings));
    const { code, stderr } = await runToEnd(join(ROOT, 'node_modules', '.bin', 'esbuild'), [...COMMAND, '--log-level=warning'], {
      cwd: folder, shell: process.platform === 'win32',
    });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    return read(folder, 'site.js');
  }

  /** @type {[string, object | undefined][]} */
  const settings = [
    ['with standard decorators', undefined],
    ['with legacy decorators', { compilerOptions: { experimentalDecorators: true, target: 'ES2017' } }],
    // Without a target a declaration of a field makes one.
    ['with legacy decorators and today\'s fields', { compilerOptions: { experimentalDecorators: true } }],
  ];
  for (const [name, config] of settings) {
    test(name, async () => {
      const code = await bundle(programOf('site.ts'), config, 'ehttpserver.ts');
      for (const firmware of FIRMWARES) assertServes(code, { firmware });
    });

    test(`${name}, with WebSockets`, async () => {
      assertServes(await bundle(programOf('chat.ts'), config, 'ehttpserver.ts', 'websocket.ts'), { webSocket: true });
    });
  }
});

describe('dist/*.js in the board\'s file system, loaded by the program', () => {
  const loader = programOf('loader.js');
  const files = Object.fromEntries(['ehttpserver', 'websocket'].map((name) => [`/lib/${name}.js`, read(ROOT, 'dist', `${name}.js`)]));
  const loading = (name) => loader + programOf(name).replaceAll("require('./", "load('./");

  test('the server', () => {
    for (const firmware of FIRMWARES) {
      assertServes(loading('hello.js'), { firmware, files: { '/lib/ehttpserver.js': files['/lib/ehttpserver.js'] } });
    }
  });

  test('with WebSockets, on top of the same server', () => {
    const same = "\nif (!(server instanceof load('./ehttpserver').Server)) console.log('another server');\n";
    assertServes(loading('chat.js') + same, { files, webSocket: true });
  });

  test('says which file is missing', () => {
    const board = new Board();
    assert.throws(() => runScript(board, `${loader}load('./ehttpserver')`), /No such file or directory/);
  });
});

describe('dist/*.js in Node.js, imported by names', () => {
  const core = ['FileResponse', 'Response', 'Server', 'route', 'run', 'text', 'urlDecode'];
  const extension = ['WebSocket', 'WebSocketServer', ...['BINARY', 'CLOSE', 'CONTINUATION', 'PING', 'PONG', 'TEXT'].map((name) => `WS_OPCODE_${name}`)];
  const both = ['dist/ehttpserver.js', 'dist/websocket.js'];

  /** What a module prints that Node.js runs in a folder that has only these files. */
  async function run(program, files) {
    const { code, stdout, stderr } = await runToEnd(process.execPath, ['--input-type=module', '--eval', program], { cwd: cleanFolder(...files) });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    return stdout.trim();
  }

  test('every public name of the server', async () => {
    const types = `console.log([${core}].map((each) => typeof each).join());`;
    assert.equal(await run(`import { ${core} } from './ehttpserver.js'; ${types}`, both.slice(0, 1)), core.map(() => 'function').join());
  });

  test('every public name of the WebSockets, on top of the same server', async () => {
    const program = `
      import { Server } from './ehttpserver.js';
      import { ${extension} } from './websocket.js';
      console.log([${extension}].map((each) => typeof each).join());
      console.log(Server.prototype.isPrototypeOf(WebSocketServer.prototype));
    `;
    assert.equal(await run(program, both), `${extension.map((name) => (/^WS_/.test(name) ? 'number' : 'function')).join()}\ntrue`);
  });
});
