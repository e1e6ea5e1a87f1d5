// The globals and modules beside the network: what a program sees, and what it does not.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Board } from '../board/index.mjs';

const file = (board) => board.load('module.exports = require("fs");');

describe('a program', () => {
  test('is CommonJS', () => {
    const board = new Board();
    assert.deepEqual(board.load('exports.a = 1; exports.sum = 1 + 1;'), { a: 1, sum: 2 });
    assert.equal(board.load('module.exports = 5;'), 5);
  });

  test('is strict', () => {
    const board = new Board();
    assert.throws(() => board.load('undeclared = 1;'), ReferenceError);
    assert.equal(board.load('module.exports = (function () { return this; })();'), undefined);
  });

  test('does not see what Node has and Kaluma lacks', () => {
    const board = new Board();
    const missing = ['process', 'Buffer', 'URL', 'setImmediate', 'fetch', 'structuredClone', 'queueMicrotask', 'performance', 'WeakRef', 'crypto', 'WebSocket'];
    for (const name of missing) assert.equal(board.load(`module.exports = typeof ${name};`), 'undefined', name);
  });

  test('sees Kaluma\'s globals, also as properties of global', () => {
    const board = new Board();
    for (const name of ['__netdev', 'millis', 'setInterval', 'console', 'digitalWrite', 'storage', 'Uint8Array', 'btoa', 'Promise']) {
      assert.equal(board.load(`module.exports = typeof ${name} !== 'undefined' && ${name} === global.${name} && globalThis === global;`), true, name);
    }
  });

  test('require knows builtins only', () => {
    const board = new Board();
    assert.throws(() => board.load('require("https");'), { message: 'Failed to load module: https' });
    assert.throws(() => board.load('require("./other");'), { message: 'Failed to load module: ./other' });
    assert.equal(typeof board.load('module.exports = require("fs").open;'), 'function');
  });

  test('require says which modules of Kaluma this board lacks', () => {
    assert.throws(() => new Board().load('require("i2c");'), {
      message: 'The emulated board has no module i2c, a real one has. Here there are: fs, wifi, storage, events, path, led, pico_cyw43',
    });
  });

  test('a test may add modules', () => {
    const board = new Board();
    assert.equal(board.load('module.exports = require("./lib").x;', 'main.js', { modules: { './lib': { x: 7 } } }), 7);
  });

  test('lives in the same realm', () => {
    const board = new Board();
    assert.ok(board.load('module.exports = [];') instanceof Array);
    assert.ok(board.load('module.exports = new Error("x");') instanceof Error);
  });
});

describe('console', () => {
  test('has log and error only, and is collected', () => {
    const board = new Board();
    board.load('console.log("a", 1, {b: 2}); console.error("bad"); module.exports = Object.keys(console);');
    assert.deepEqual(board.console, [{ level: 'log', text: 'a 1 { b: 2 }' }, { level: 'error', text: 'bad' }]);
    assert.deepEqual(Object.keys(board.global.console), ['log', 'error']);
  });

  test('onConsole gets it instead', () => {
    const lines = [];
    const board = new Board({ onConsole: (level, text) => { lines.push(`${level}: ${text}`); } });
    board.load('console.log("hi");');
    assert.deepEqual([lines, board.console], [['log: hi'], []]);
  });
});

describe('text', () => {
  const { TextEncoder: Encoder, TextDecoder: Decoder, btoa: encode, atob: decode, decodeURIComponent: uri } = new Board().global;

  test('TextEncoder makes UTF-8', () => {
    assert.deepEqual(new Encoder().encode('a\u00e9\u20ac'), new Uint8Array([0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac]));
  });

  test('TextDecoder knows utf-8 and ascii, which is Latin-1; others throw', () => {
    const bytes = new Uint8Array([0x61, 0xc3, 0xa9]);
    assert.equal(new Decoder('utf-8').decode(bytes), 'a\u00e9');
    assert.equal(new Decoder().decode(bytes), 'a\u00e9');
    assert.equal(new Decoder('ascii').decode(bytes), 'a\u00c3\u00a9');
    assert.throws(() => new Decoder('latin1').decode(bytes), { message: 'Unsupported encoding.' });
  });

  test('TextDecoder does not validate: invalid bytes make some string or other', () => {
    assert.equal(new Decoder('utf-8').decode(new Uint8Array([0x61, 0xff])), 'a\ufffd');
  });

  test('btoa takes a string or a Uint8Array', () => {
    assert.equal(encode('\u00ff\u0000A'), '/wBB');
    assert.equal(encode(new Uint8Array([255, 0, 65])), '/wBB');
    assert.throws(() => encode(5), TypeError);
  });

  test('btoa breaks the line every 72 characters', () => {
    assert.equal(encode('x'.repeat(54)), 'eHh4'.repeat(18));
    assert.equal(encode('x'.repeat(57)), `${'eHh4'.repeat(18)}\neHh4`);
    assert.equal(encode('x'.repeat(108)), `${'eHh4'.repeat(18)}\n${'eHh4'.repeat(18)}`);
  });

  test('atob gives a Uint8Array', () => {
    assert.deepEqual(decode('/wBB'), new Uint8Array([255, 0, 65]));
    assert.equal(decode('abc'), undefined);
  });

  test('decodeURIComponent does not reject bad escapes', () => {
    assert.equal(uri('a%20b%C3%A9'), 'a b\u00e9');
    assert.equal(uri('100%'), '100%');
    assert.equal(uri('%zz'), '%zz');
  });

  test('Math.random is the same for the same seed', () => {
    assert.equal(new Board({ seed: 4 }).global.Math.random(), new Board({ seed: 4 }).global.Math.random());
    const { Math: math, seed } = new Board().global;
    seed(9);
    const first = math.random();
    seed(9);
    assert.equal(math.random(), first);
    assert.equal(math.floor(1.5), 1);
  });
});

test('new Function() sees the globals of the board', () => {
  const board = new Board();
  const seen = board.load(`
    const add = new Function('a', 'b', 'return a + b + typeof millis + typeof process;');
    module.exports = [add(1, 2), Function('return 7')(), new Function()(), add instanceof Function, Function.prototype === Object.getPrototypeOf(add)];
  `);
  assert.deepEqual(seen, ['3functionundefined', 7, undefined, true, true]);
});

describe('storage', () => {
  test('is a global and a module, for strings', () => {
    const board = new Board({ storage: { WIFI_SSID: 'home' } });
    const { storage } = board.global;
    assert.equal(board.load('module.exports = require("storage");'), storage);
    assert.equal(storage.getItem('WIFI_SSID'), 'home');
    assert.equal(storage.getItem('nothing'), null);
    storage.setItem('a', '1');
    assert.deepEqual([storage.length, storage.key(1), storage.key(2)], [2, 'a', null]);
    storage.removeItem('a');
    assert.equal(storage.length, 1);
    storage.clear();
    assert.equal(storage.length, 0);
    assert.throws(() => storage.setItem('a', 1), { name: 'TypeError', message: '"value" argument must be a string' });
  });

  test('a text must not get shorter: behind it the end of the one before would be read, over other memory', () => {
    const board = new Board();
    const { storage } = board.global;
    for (const text of ['four', 'FOUR', 'longer']) storage.setItem('a', text);
    storage.setItem('b', 'x');
    board.check();
    storage.setItem('a', 'short');
    assert.throws(() => board.check(), { rule: 'storage', message: /^storage: a gets 5 bytes where there were 6: getItem\(\) overruns the C heap/ });
  });
});

describe('wifi', () => {
  const wifi = (board) => board.load('var WiFi = require("wifi").WiFi; module.exports = new WiFi();');

  test('connect without arguments takes name and password from storage, and then sockets work', () => {
    const board = new Board({ wifi: 'off', storage: { WIFI_SSID: 'home', WIFI_PASSWORD: 'secret' } });
    let result;
    const device = wifi(board);
    const events = [];
    device.on('connected', () => { events.push('connected'); });
    device.connect((error, info) => { result = [error, info.ssid, info.password]; });
    assert.deepEqual(result, [null, 'home', 'secret']);
    assert.deepEqual(events, ['connected']);
    board.netdev.socket('AF_INET', 'STREAM');
    assert.equal(board.netdev.ip, '192.168.1.2');
  });

  test('without a name the callback gets an error', () => {
    const board = new Board({ wifi: 'off' });
    let message;
    wifi(board).connect((error) => { message = error.message; });
    assert.equal(message, 'WIFI SSID is required');
    assert.throws(() => board.netdev.socket('AF_INET', 'STREAM'), { message: 'WiFi is not connected.' });
  });

  test('what a callback throws nobody sees, but check() knows', () => {
    for (const [name, options] of [['connect', { storage: { WIFI_SSID: 'home' } }], ['wifiApMode', {}]]) {
      const board = new Board({ wifi: 'off', ...options });
      wifi(board)[name](() => { throw new Error('lost'); });
      assert.deepEqual(board.console, []);
      assert.throws(() => board.check(), {
        rule: 'exception out of a callback', message: new RegExp(`: the callback of ${name}\\(\\) threw Error: lost; a real board says nothing about it`),
      });
    }
  });

  test('without a name the driver is not asked: what the callback throws comes out of connect()', () => {
    assert.throws(() => wifi(new Board({ wifi: 'off' })).connect((error) => { throw error; }), { message: 'WIFI SSID is required' });
  });

  test('an access point is at 192.168.4.1', () => {
    const board = new Board({ wifi: 'off' });
    let called = false;
    wifi(board).wifiApMode({ ssid: 'robot', password: '12345678' }, (error) => { called = error === null; });
    assert.equal(called, true);
    board.netdev.socket('AF_INET', 'STREAM');
    assert.equal(board.netdev.ip, '192.168.4.1');
  });

  test('an access point wants a password of 8 characters', () => {
    assert.throws(() => wifi(new Board({ wifi: 'off' })).wifiApMode({ ssid: 'x', password: 'short' }, () => {}), /at least 8 characters/);
  });

  test('after disconnect sockets throw', () => {
    const board = new Board();
    const device = wifi(board);
    let connection;
    device.getConnection((error, info) => { connection = info; });
    assert.equal(connection.ssid, 'board');
    device.disconnect(() => {});
    device.getConnection((error, info) => { connection = info; });
    assert.equal(connection, undefined);
    assert.throws(() => board.netdev.socket('AF_INET', 'STREAM'), { message: 'WiFi is not connected.' });
  });
});

describe('pins', () => {
  test('writes are seen and logged', () => {
    const board = new Board();
    const { digitalWrite, digitalRead, digitalToggle, pinMode, HIGH, LOW, OUTPUT } = board.global;
    pinMode(25, OUTPUT);
    digitalWrite(25, HIGH);
    board.run(5);
    digitalToggle(25);
    assert.equal(digitalRead(25), LOW);
    assert.deepEqual(board.pinLog, [[0, 25, 1], [5, 25, 0]]);
    assert.deepEqual(board.pins, { 25: 0 });
  });

  test('inputs are what the test puts there', () => {
    const board = new Board();
    board.pins[26] = 0.75;
    board.pins[2] = 1;
    assert.deepEqual([board.global.analogRead(26), board.global.digitalRead(2)], [0.75, 1]);
  });

  test('a watch tells of changes', () => {
    const board = new Board();
    const seen = [];
    const id = board.global.setWatch((pin) => { seen.push(`${pin} ${board.pins[pin]} ${board.now}`); }, 3, board.global.RISING);
    board.run(2);
    board.pins[3] = 1;
    board.run(2);
    board.pins[3] = 0;
    board.run(2);
    board.global.clearWatch(id);
    board.pins[3] = 1;
    board.run(2);
    assert.deepEqual(seen, ['3 1 3']);
  });

  test('the LED of the Pico W is a pin of the Wi-Fi chip, and wants a boolean', () => {
    const board = new Board();
    const { PicoCYW43 } = board.load('module.exports = require("pico_cyw43");');
    const chip = new PicoCYW43();
    chip.putGpio(0, true);
    assert.equal(chip.getGpio(0), true);
    assert.deepEqual(board.pinLog, [[0, 'LED', 1]]);
    assert.throws(() => chip.putGpio(0, 1), { name: 'TypeError', message: '"value" argument must be a boolean' });
    assert.throws(() => chip.putGpio(3, true), { message: 'GPIO pin is not exist' });
  });
});

describe('files', () => {
  test('are there from the beginning', () => {
    const fs = file(new Board({ files: { '/www/index.html': '<p>\u00fc', '/www/raw': new Uint8Array([1, 2, 255]) } }));
    assert.deepEqual(fs.readFile('/www/raw'), new Uint8Array([1, 2, 255]));
    assert.equal(fs.stat('/www/index.html').size, 5);
    assert.deepEqual(fs.readdir('/'), ['www']);
    assert.deepEqual(fs.readdir('/www'), ['index.html', 'raw']);
  });

  test('are read piece by piece; 0 is the end', () => {
    const board = new Board({ files: { '/f': 'abcdef' } });
    const fs = file(board);
    const fd = fs.open('/f', 'r');
    const buffer = new Uint8Array(4);
    const pieces = [];
    for (let count; (count = fs.read(fd, buffer, 0, 4)) > 0;) pieces.push(Buffer.from(buffer.subarray(0, count)).toString());
    assert.deepEqual(pieces, ['abcd', 'ef']);
    assert.equal(board.fs.openFiles, 1);
    fs.close(fd);
    assert.equal(board.fs.openFiles, 0);
  });

  test('a position reads from there', () => {
    const fs = file(new Board({ files: { '/f': 'abcdef' } }));
    const fd = fs.open('/f', 'r');
    const buffer = new Uint8Array(2);
    assert.equal(fs.read(fd, buffer, 0, 2, 3), 2);
    assert.equal(Buffer.from(buffer).toString(), 'de');
  });

  test('read ignores a subarray\'s byteOffset', () => {
    const fs = file(new Board({ files: { '/f': 'ab' } }));
    const whole = new Uint8Array(6);
    fs.read(fs.open('/f', 'r'), whole.subarray(4), 0, 2);
    assert.deepEqual([...whole], [0x61, 0x62, 0, 0, 0, 0]);
  });

  test('write takes arrays only', () => {
    const fs = file(new Board());
    const fd = fs.open('/new', 'w');
    assert.throws(() => fs.write(fd, 'text'), { name: 'TypeError', message: '"buffer" argument must be a TypedArray' });
    assert.equal(fs.write(fd, new Uint8Array([97, 98, 99])), 3);
    fs.close(fd);
    assert.deepEqual(fs.readFile('/new'), new Uint8Array([97, 98, 99]));
    fs.writeFile('/new', new Uint8Array([100]));
    assert.equal(fs.stat('/new').size, 1);
  });

  test('errors have an errno', () => {
    const fs = file(new Board({ files: { '/d/f': 'x' } }));
    assert.throws(() => fs.open('/nothing', 'r'), { errno: -2, message: 'No such file or directory' });
    assert.throws(() => fs.stat('/nothing'), { errno: -2 });
    assert.throws(() => fs.unlink('/nothing'), { errno: -2 });
    assert.throws(() => fs.open('/d', 'r'), { errno: -21 });
    assert.throws(() => fs.mkdir('/d'), { errno: -17 });
    assert.throws(() => fs.rmdir('/d'), { errno: -39 });
    assert.throws(() => fs.readdir('/d/f'), { errno: -20 });
    assert.throws(() => fs.close(9), { errno: -9 });
    assert.equal(fs.exists('/nothing'), false);
    assert.equal(fs.exists('/d/f'), true);
  });

  test('".." is resolved, capped at the root', () => {
    const fs = file(new Board({ files: { '/secret': 's', '/www/a': 'a' } }));
    assert.equal(fs.stat('/www/../secret').size, 1);
    assert.equal(fs.stat('/www/../../../secret').size, 1);
    assert.deepEqual(fs.readdir('/..'), ['secret', 'www']);
  });

  test('stat tells files from directories', () => {
    const fs = file(new Board({ files: { '/d/f': 'x' } }));
    assert.deepEqual([fs.stat('/d').isDirectory(), fs.stat('/d').isFile(), fs.stat('/d').size], [true, false, 0]);
    assert.deepEqual([fs.stat('/d/f').isDirectory(), fs.stat('/d/f').isFile()], [false, true]);
  });

  test('can be renamed and removed', () => {
    const fs = file(new Board({ files: { '/a': 'x' } }));
    fs.mkdir('/d');
    fs.rename('/a', '/d/b');
    assert.deepEqual([fs.exists('/a'), fs.exists('/d/b')], [false, true]);
    fs.unlink('/d/b');
    fs.rmdir('/d');
    assert.deepEqual(fs.readdir('/'), []);
  });

  test('512 KB are full at some time', () => {
    const fs = file(new Board());
    fs.writeFile('/big', new Uint8Array(500 * 1024));
    assert.throws(() => fs.writeFile('/more', new Uint8Array(20 * 1024)), { errno: -28 });
  });

  test('flash reads: stat 18, open and close 12, 1 KB 5', () => {
    const board = new Board({ files: { '/f': new Uint8Array(2048) } });
    const fs = file(board);
    const cost = (action) => {
      const before = board.fs.reads;
      action();
      return board.fs.reads - before;
    };
    assert.equal(cost(() => fs.stat('/f')), 18);
    assert.equal(cost(() => fs.close(fs.open('/f', 'r'))), 12);
    const fd = fs.open('/f', 'r');
    assert.equal(cost(() => fs.read(fd, new Uint8Array(1024))), 5);
  });

  test('none of Node\'s other names', () => {
    const fs = file(new Board());
    for (const name of ['readFileSync', 'createReadStream', 'promises', 'statSync']) assert.equal(fs[name], undefined);
    const fd = fs.open('/f', 'w');
    fs.close(fd);
    assert.equal(fs.stat('/f').mtime, undefined);
  });
});
