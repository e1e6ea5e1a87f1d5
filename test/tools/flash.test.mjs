// npm run flash and npm run put: the way from the repository to the board, through the real command line tool of Kaluma and a
// pseudo-terminal behind which Kaluma's terminal and its YMODEM are modelled.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, parse } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exampleSource, exampleSources } from '../../tools/build/build.mjs';
import { findCli, flashWithCli } from '../../tools/board/kaluma.mjs';
import { buildSmallest } from '../../tools/build/shake.mjs';
import { Board } from '../board/index.mjs';
import { folderOf, unlessInstalled } from '../helpers/installed.mjs';
import { Program, runToEnd, unlessFound } from '../helpers/program.mjs';
import { BoardTerminal, socat } from '../helpers/terminal.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const skip = process.platform === 'win32' ? 'Windows has no pseudo-terminals of this kind'
  : unlessFound(socat, 'socat') || unlessInstalled('cli');

const temporary = mkdtempSync(join(tmpdir(), 'ehttpserver-flash-'));
after(() => rmSync(temporary, { recursive: true }));

const open = [];
afterEach(async () => { for (const terminal of open.splice(0)) await terminal.close(); });

/** A board at the end of a serial line. */
async function connect(options) {
  const terminal = await BoardTerminal.open(options);
  open.push(terminal);
  return terminal;
}

function file(name, content) {
  const path = join(mkdtempSync(join(temporary, 'file-')), name);
  writeFileSync(path, content);
  return path;
}

const nowhere = join(temporary, 'nowhere');
mkdirSync(nowhere);
const realCli = skip ? '' : join(folderOf('cli'), 'node_modules', '@kaluma', 'cli');

/** A folder for PATH in which programs are called like that. */
function path(programs) {
  const folder = mkdtempSync(join(temporary, 'bin-'));
  for (const [name, target] of Object.entries(programs)) symlinkSync(target, join(folder, name));
  return folder;
}

/** Programs that the system has beside Kaluma's: here none, but for what says which ports there are. */
const pathWithCli = skip ? nowhere : path({ kaluma: join(realCli, 'bin', 'kaluma.js') });

/** Runs one of our tools to its end. */
const run = (tool, args, places = [pathWithCli]) => runToEnd(process.execPath, [join(ROOT, 'tools', 'board', `${tool}.mjs`), ...args], {
  cwd: ROOT, env: { ...process.env, PATH: places.join(delimiter) },
});

/** What udevadm prints of serial ports: where Linux' list of ports comes from. */
function portsAre(ports) {
  const lines = ports.flatMap(({ path: name, vendor }, i) =>
    [`P: /devices/${i}`, `N: ${name.slice(1)}`, `E: DEVNAME=${name}`, ...(vendor ? [`E: ID_VENDOR_ID=${vendor}`] : []), '']);
  const program = file('udevadm', `#!/bin/sh\n/bin/cat <<'END'\n${lines.join('\n')}\nEND\n`);
  chmodSync(program, 0o755);
  return dirname(program);
}

const bundled = async (name) => Buffer.from((await buildSmallest(exampleSource(name))).code);

describe('npm run flash', { skip }, () => {
  test('puts an example on the board, to the last byte, and starts it there', async () => {
    const board = await connect();
    const { code, stdout, stderr } = await run('flash', ['hello', '--port', board.port]);
    assert.equal(stderr, '');
    assert.equal(code, 0);
    const expected = await bundled('hello');
    const { wholeBytes } = await buildSmallest(exampleSource('hello'));
    assert.equal(stdout, `hello with the parts of the library that it uses: ${expected.length} bytes; with all of it: ${wholeBytes}\n`
      + `Sending hello, ${expected.length} bytes, to the board at ${board.port} ...\n`
      + `The board has all ${expected.length} bytes, and runs hello.\n`);
    assert.deepEqual(Buffer.from(board.state.program), expected);
    assert.deepEqual(board.state.history, [`header usercode ${expected.length}`, 'flash Done', 'load']);

    const emulated = new Board({ wifi: 'off', storage: { WIFI_SSID: 'home' } });
    emulated.load(board.program, 'usercode');
    emulated.run(10);
    const client = emulated.connect();
    client.send('GET / HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n');
    emulated.runUntil(() => client.state === 'closed');
    assert.match(client.text, /^HTTP\/1\.1 200 [^]*\r\n\r\n<!DOCTYPE html>[^]*Hello from the Pico W!<\/h1>$/);
    emulated.check();
  });

  test('puts a program of one\'s own there, in place of what was there, whatever is in its text', async () => {
    const board = await connect();
    for (const text of [`console.log('${'long '.repeat(1000)}')`, 'console.log("\u00fc \u20ac \ud83d\ude00 \\x03 \x03")']) {
      const { code, stderr } = await run('flash', [file('mine.js', text), '--port', board.port]);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      const said = [];
      const emulated = new Board({ onConsole: (_, line) => said.push(line) });
      emulated.load(board.program, 'usercode');
      new Board({ onConsole: (_, line) => said.push(line) }).load(text, 'mine.js');
      assert.equal(said[0], said[1]);
    }
  });

  test('finds the board among the ports', { skip: process.platform !== 'linux' && 'ports are listed otherwise here' }, async () => {
    const board = await connect();
    const ports = portsAre([{ path: '/dev/ttyS0' }, { path: '/dev/ttyUSB0', vendor: '1a86' }, { path: board.port, vendor: '2e8a' }]);
    const { code, stdout, stderr } = await run('flash', ['plain'], [pathWithCli, ports]);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(stdout, new RegExp(`to the board at ${board.port} `));
    assert.deepEqual(Buffer.from(board.state.program), await bundled('plain'));
  });

  test('stops a program that keeps the board busy', async () => {
    const board = await connect({ busy: true });
    const { code, stderr } = await run('flash', ['plain', '--port', board.port]);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.deepEqual(Buffer.from(board.state.program), await bundled('plain'));
  });

  test('prints what the program prints when it is asked to, until Ctrl-C', async () => {
    const board = await connect({ says: 'Open http://192.168.1.2/\r\n' });
    const program = new Program(process.execPath, [join(ROOT, 'tools', 'board', 'flash.mjs'), 'hello', '--follow', '--port', board.port], {
      cwd: ROOT, env: { ...process.env, PATH: pathWithCli },
    });
    await program.prints(/runs hello\.\n[^]*Open http:\/\/192\.168\.1\.2\/\r\n/);
    assert.equal(await program.stop(), 0);
  });

  test('uses the command flash where the command line tool has it', async () => {
    // Version 1.0.0 under another number, with its command called as later ones call it.
    const folder = join(mkdtempSync(join(temporary, 'later-')), 'cli');
    mkdirSync(join(folder, 'bin'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: '@kaluma/cli', version: '1.4.0', bin: { kaluma: 'bin/kaluma.js' } }));
    symlinkSync(join(realCli, '..', '..'), join(folder, 'node_modules'));
    const log = join(folder, 'log');
    writeFileSync(join(folder, 'bin', 'kaluma.js'), `
      require('fs').writeFileSync(${JSON.stringify(log)}, process.argv[2]);
      if (process.argv[2] !== 'flash') throw new Error('unknown command');
      process.argv[2] = 'write';
      require(${JSON.stringify(join(realCli, 'bin', 'kaluma.js'))});
    `);
    const board = await connect();
    const { code, stderr } = await run('flash', ['plain', '--port', board.port], [path({ kaluma: join(folder, 'bin', 'kaluma.js') })]);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.equal(readFileSync(log, 'utf8'), 'flash');
    assert.deepEqual(Buffer.from(board.state.program), await bundled('plain'));
  });

  describe('refuses in one line, exit code 1:', () => {
    const refused = async (args, places, message) => {
      assert.deepEqual(await run('flash', args, places), { code: 1, stdout: '', stderr: `${message}\n` });
    };

    test('an unknown example', () => refused(['nope'], undefined,
      `Unknown example nope. There are: ${exampleSources().map((source) => parse(source).name).join(', ')}`));
    test('a program that is not there', () => refused(['./nope.js'], undefined, 'There is no file ./nope.js'));
    test('an unknown option', () => refused(['--prot', 'x'], undefined, "Unknown option '--prot'. See npm run flash -- --help"));
    test('two examples', () => refused(['hello', 'plain'], undefined, 'One example at a time, please, not also: plain'));
    test('no command line tool', () => refused(['hello'], [nowhere],
      'The Kaluma CLI is not installed. Install it once: npm install --global @kaluma/cli'));
    test('a port that is not there', () => refused(['hello', '--port', '/dev/nope'], undefined, 'Cannot open /dev/nope: No such file or directory'));

    test('a command line tool without its driver for serial ports', async () => {
      const folder = join(mkdtempSync(join(temporary, 'broken-')), 'cli');
      mkdirSync(join(folder, 'bin'), { recursive: true });
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: '@kaluma/cli', version: '1.0.0', bin: { kaluma: 'bin/kaluma.js' } }));
      writeFileSync(join(folder, 'bin', 'kaluma.js'), '');
      await refused(['hello', '--port', 'x'], [path({ kaluma: join(folder, 'bin', 'kaluma.js') })],
        `The Kaluma CLI in ${folder} cannot use serial ports (Cannot find module 'serialport'). Install it again: npm install --global @kaluma/cli`);
    });

    describe('where the ports are known', { skip: process.platform !== 'linux' && 'ports are listed otherwise here' }, () => {
      test('no board', () => refused(['hello'], [pathWithCli, portsAre([])],
        'No board is connected: plug in a Pico W with Kaluma on it, with a cable that carries data'));
      test('only a port of the computer itself', () => refused(['hello'], [pathWithCli, portsAre([{ path: '/dev/ttyS0' }])],
        'No board is connected: plug in a Pico W with Kaluma on it, with a cable that carries data'));
      test('something else than a board', () => refused(['hello'],
        [pathWithCli, portsAre([{ path: '/dev/ttyS0' }, { path: '/dev/ttyUSB0', vendor: '0403' }])],
        'No board is connected: plug in a Pico W with Kaluma on it, with a cable that carries data, '
        + 'or say which port it is: --port with one of /dev/ttyUSB0'));
      test('two boards', () => refused(['hello'],
        [pathWithCli, portsAre([{ path: '/dev/ttyACM0', vendor: '2e8a' }, { path: '/dev/ttyACM1', vendor: '2e8a' }])],
        'More than one board is connected. Say which one: --port /dev/ttyACM0 or --port /dev/ttyACM1'));
      test('no list of ports', () => refused(['hello'], [pathWithCli],
        'Cannot list the serial ports (spawn udevadm ENOENT). Say which one it is: --port /dev/ttyACM0'));
    });

    test('a board that does not answer', async () => {
      const board = await connect({ silentAfter: 0 });
      await refused(['hello', '--port', board.port], undefined,
        'The board does not answer. Is Kaluma on it? Else unplug it, plug it in, and try again');
    });

    test('a board that does not take all of it, whatever the command line tool says', async () => {
      const board = await connect({ flashFailsAt: 5000 });
      const { code, stderr } = await run('flash', ['hello', '--port', board.port]);
      assert.equal(code, 1);
      assert.match(stderr, /^The board did not take the program: it has \d+ bytes, not \d+\. Unplug it, plug it in, and try again\n$/);
    });

    test('a program that is too large for the board', async () => {
      const size = (await bundled('hello')).length;
      const board = await connect({ capacity: size });
      await refused(['hello', '--port', board.port], undefined, `hello has ${size} bytes, but the board has room for ${size - 1}`);
      assert.equal(board.program, '');
    });
  });

  test('--help tells about itself', async () => {
    const { code, stdout } = await run('flash', ['--help']);
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: npm run flash -- \[example\] \[--port PORT\] \[--follow\]\n/);
  });

  test('is what npm run flash runs', async () => {
    const { code, stdout } = await runToEnd('npm', ['run', '--silent', 'flash', '--', '--help'], { cwd: ROOT });
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: npm run flash /m);
  });
});

describe('the command line tool, given a file of', { skip }, () => {
  const cli = () => {
    const { PATH } = process.env;
    process.env.PATH = pathWithCli;
    try {
      return findCli();
    } finally {
      process.env.PATH = PATH;
    }
  };

  // YMODEM sends 1,024 bytes a packet, whose numbers begin anew after 255; the board writes pages of 256.
  for (const size of [1, 255, 1024, 1025, 270001]) {
    test(`${size} bytes, brings them all`, async () => {
      const board = await connect();
      const content = Buffer.from(Array.from({ length: size }, (_, i) => 1 + (i * i + (i >> 8)) % 255));
      // As text in UTF-8 it would be longer.
      const text = content.map((byte) => byte & 127 || 1);
      await flashWithCli(cli(), file('sized.js', text), board.port);
      assert.deepEqual(Buffer.from(board.state.program), Buffer.from(text));
    });
  }

  test('any length, is not waited for when the board stops answering', async () => {
    const board = await connect({ silentAfter: 3000 });
    await assert.rejects(flashWithCli(cli(), file('long.js', 'x'.repeat(9000)), board.port, 3000),
      /^Error: The board stopped answering while the program was sent\. Unplug it, plug it in, and try again$/);
  });
});

describe('npm run put', { skip }, () => {
  const everyByte = Uint8Array.from({ length: 3 * 256 + 5 }, (_, i) => i & 255);

  test('puts a file of any bytes into /www, and makes that folder', async () => {
    const board = await connect();
    const { code, stdout, stderr } = await run('put', [file('all.bin', everyByte), '--port', board.port]);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '/www/all.bin: 773 bytes\n', stderr: '' });
    assert.deepEqual(Object.keys(board.state.files), ['/www/all.bin']);
    assert.deepEqual(board.state.files['/www/all.bin'], everyByte);
  });

  test('puts several files, in place of older ones', async () => {
    const board = await connect({ files: { '/www/index.html': 'old, and longer than the new one', '/www/keep': 'kept' } });
    const { code, stdout } = await run('put', [file('index.html', 'new'), file('empty.txt', ''), '--port', board.port]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: '/www/index.html: 3 bytes\n/www/empty.txt: 0 bytes\n' });
    const text = Object.fromEntries(Object.entries(board.state.files).map(([name, data]) => [name, Buffer.from(data).toString()]));
    assert.deepEqual(text, { '/www/index.html': 'new', '/www/keep': 'kept', '/www/empty.txt': '' });
  });

  test('puts a file where it is told to', async () => {
    const board = await connect();
    const { code, stdout } = await run('put', [file('a.txt', 'a'), '--to', '/lib/it\'s/here.txt', '--port', board.port]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "/lib/it's/here.txt: 1 bytes\n" });
    assert.deepEqual(Object.keys(board.state.files), ["/lib/it's/here.txt"]);
  });

  test('leaves the terminal as it was: it shows what is typed, and has no names that it had not', async () => {
    const board = await connect();
    await run('put', [file('a.txt', 'a'), '--port', board.port]);
    assert.deepEqual([board.state.echo, board.state.globals], [true, []]);
  });

  describe('refuses in one line, exit code 1:', () => {
    const refused = async (args, message, places) => {
      assert.deepEqual(await run('put', args, places), { code: 1, stdout: '', stderr: `${message}\n` });
    };

    test('nothing', () => refused([], 'Which file? npm run put -- FILE...'));
    test('a file that is not there', () => refused(['nope.txt'], 'There is no file nope.txt'));
    test('a place that is no path', () => refused(['package.json', '--to', 'www/'], '--to must begin with "/", not www/'));
    test('one name for two files', () => refused(['package.json', 'README.md', '--to', '/www'],
      '--to must end with "/" for more than one file: /www/'));
    test('no command line tool', () => refused(['package.json'],
      'The Kaluma CLI is not installed. Install it once: npm install --global @kaluma/cli', [nowhere]));

    test('a file for which there is no room, which leaves the old one as it was', async () => {
      const board = await connect({ files: { '/www/a.txt': 'old', '/big': new Uint8Array(512 * 1024 - 100) } });
      const source = file('a.txt', 'x'.repeat(1000));
      await refused([source, '--port', board.port], `${source} is not on the board: No space left on device`);
      assert.equal(Buffer.from(board.state.files['/www/a.txt']).toString(), 'old');
      assert.deepEqual(Object.keys(board.state.files).sort(), ['/big', '/www/a.txt']);
    });
  });

  test('is what npm run put runs', async () => {
    const { code, stdout } = await runToEnd('npm', ['run', '--silent', 'put', '--', '--help'], { cwd: ROOT });
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: npm run put /m);
  });
});
