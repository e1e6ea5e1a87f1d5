// FileResponse: what goes out, and that no file stays open.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROWSER, exchange, FIRMWARES, serve } from '../support/serve.mjs';

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
const bodyOf = (client) => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);
const headOf = (client) => client.text.slice(0, client.text.indexOf('\r\n\r\n') + 4);

/** Bytes that name their place. */
const content = (length) => Uint8Array.from({ length }, (_, at) => (at ^ at >> 8) & 255);
const latin1 = (bytes) => Buffer.from(bytes).toString('latin1');

const FILES = {
  '/www/index.html': '<p>é',
  '/www/both.js': 'plain script',
  '/www/both.js.gz': 'zipped script',
  '/www/only.css.gz': 'zipped style',
  '/www/empty.txt': '',
  '/www/big.bin': content(60000),
  '/www/small.bin': content(5000),
  '/www/folder/inside.txt': 'inside',
  '/secret.txt': 'secret',
};

function setUp(firmware, files = FILES) {
  return serve({
    firmware,
    board: { files },
    routes: (server, { FileResponse }) => {
      server.route('/www/(.*)', 'GET', (path) => new FileResponse(path));
      server.route('/cached', 'GET', () => new FileResponse('/www/both.js', { 'cache-control': 'max-age=60' }));
      server.route('/typed', 'GET', () => new FileResponse('/www/both.js', {}, 'text/x-other'));
      server.route('/slowly', 'GET', () => new FileResponse('/www/small.bin', {}, undefined, 100));
      server.route('/bad', 'GET', () => new FileResponse('/www/index.html', { a: 'b\r\nc' }));
      server.route('/', 'GET', () => 'hello');
    },
  });
}

for (const firmware of FIRMWARES) {
  const close = 'connection: close\r\n';
  const ask = (request, files) => {
    const { board } = setUp(firmware, files);
    const client = exchange(board, [request], 70000, { ms: 300 });
    assert.equal(board.vitals().openFiles, 0);
    board.check();
    return client;
  };

  test(`${firmware}: a file, with its length and type`, () => {
    assert.equal(ask(get('/www/index.html')).text,
      `HTTP/1.1 200 \r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 5\r\n${close}\r\n<p>\xc3\xa9`);
  });

  test(`${firmware}: an empty file`, () => {
    assert.equal(ask(get('/www/empty.txt')).text,
      `HTTP/1.1 200 \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 0\r\n${close}\r\n`);
  });

  test(`${firmware}: content types by extension`, () => {
    const types = {
      html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', mjs: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8',
      json: 'application/json', txt: 'text/plain; charset=utf-8', svg: 'image/svg+xml', png: 'image/png', jpg: 'image/jpeg', gif: 'image/gif',
      ico: 'image/x-icon', webp: 'image/webp', wasm: 'application/wasm', woff2: 'font/woff2', bin: 'application/octet-stream',
      constructor: 'application/octet-stream', 'tar.gz': 'application/octet-stream',
      // Parts of names that are known.
      h: 'application/octet-stream', htm: 'application/octet-stream', tml: 'application/octet-stream', svgz: 'application/octet-stream',
    };
    for (const [extension, type] of Object.entries(types)) {
      const path = `/www/a.b.${extension}`;
      assert.match(headOf(ask(get(path), { [path]: 'x' })), new RegExp(`\r\ncontent-type: ${type.replace('+', '\\+')}\r\n`), extension);
    }
    assert.match(headOf(ask(get('/www/name'), { '/www/name': 'x' })), /content-type: application\/octet-stream/);
  });

  test(`${firmware}: NAME.gz for clients that accept gzip, and only for them`, () => {
    const zipped = `HTTP/1.1 200 \r\ncontent-encoding: gzip\r\nvary: accept-encoding\r\ncontent-type: text/javascript; charset=utf-8\r\ncontent-length: 13\r\n${close}\r\nzipped script`;
    const plain = `HTTP/1.1 200 \r\ncontent-type: text/javascript; charset=utf-8\r\ncontent-length: 12\r\n${close}\r\nplain script`;
    for (const accepted of ['gzip', 'GZIP', 'deflate, gzip', 'br,gzip;q=0.5', 'gzip;q=1', 'gzip ; q=0.001, br', 'deflate;q=0, gzip']) {
      assert.equal(ask(get('/www/both.js', `accept-encoding: ${accepted}\r\n`)).text, zipped, accepted);
    }
    for (const refused of ['', 'identity', 'br', 'gzip;q=0', 'gzip;q=0.0', 'gzip; q=0.000, br', 'gzipped', 'x-gzip2', 'br, gzip ;q=0']) {
      assert.equal(ask(get('/www/both.js', `accept-encoding: ${refused}\r\n`)).text, plain, refused);
    }
    assert.equal(ask(get('/www/both.js')).text, plain);
  });

  test(`${firmware}: a file that exists only as NAME.gz goes out whatever the client accepts`, () => {
    assert.equal(bodyOf(ask(get('/www/only.css', 'accept-encoding: gzip\r\n'))), 'zipped style');
    for (const accepted of ['', 'accept-encoding: br, gzip;q=0\r\n']) {
      assert.match(headOf(ask(get('/www/only.css', accepted))), /\r\ncontent-encoding: gzip\r\nvary: accept-encoding\r\n/);
      assert.equal(bodyOf(ask(get('/www/only.css', accepted))), 'zipped style');
    }
  });

  test(`${firmware}: 404 for what is missing, a folder, and any path with ".."`, () => {
    for (const path of ['/www/nothing', '/www/folder', '/www/', '/www/../secret.txt', '/www/folder/../index.html', '/www/%2e%2e/secret.txt',
      '/www/..%2Fsecret.txt', '/www/..', '/www/folder/..']) {
      assert.match(headOf(ask(get(path))), /^HTTP\/1.1 404 /, path);
    }
    assert.equal(bodyOf(ask(get('/www/..name'), { '/www/..name': 'dots in a name are fine' })), 'dots in a name are fine');
  });

  test(`${firmware}: more headers, another type`, () => {
    assert.equal(ask(get('/cached')).text,
      `HTTP/1.1 200 \r\ncache-control: max-age=60\r\ncontent-type: text/javascript; charset=utf-8\r\ncontent-length: 12\r\n${close}\r\nplain script`);
    assert.match(headOf(ask(get('/typed'))), /content-type: text\/x-other; charset=utf-8/);
    assert.match(headOf(ask(get('/bad'))), /^HTTP\/1.1 500 /);
  });

  test(`${firmware}: HEAD has the head of GET, and the file is not opened`, () => {
    const { board } = setUp(firmware);
    const client = exchange(board, [get('/www/big.bin').replace('GET', 'HEAD')], 1000, { ms: 100 });
    assert.equal(client.text, `HTTP/1.1 200 \r\ncontent-type: application/octet-stream\r\ncontent-length: 60000\r\n${firmware === 'stock' ? 'connection: close\r\n' : close}\r\n`);
    assert.equal(board.fs.reads, 18); // one stat, no open
    board.check();
  });

  test(`${firmware}: a file of any size arrives as it is`, () => {
    for (const size of [1, 1023, 1024, 1025, 2048, 10239, 10240, 11680, 50000]) {
      const bytes = content(size);
      assert.equal(bodyOf(ask(get('/www/file'), { '/www/file': bytes })), latin1(bytes), `${size} bytes`);
    }
  });

  test(`${firmware}: one read of bufferSize a step`, () => {
    const { board } = setUp(firmware);
    const client = board.connect({ port: 80 });
    client.send(get('/slowly'));
    board.runUntil(() => client.text);
    let reads = 0;
    let before = board.vitals().openFiles;
    while (bodyOf(client).length < 5000) {
      const length = bodyOf(client).length;
      board.pass();
      assert.ok(bodyOf(client).length - length <= 1460);
      reads++;
    }
    assert.equal(before, 1);
    assert.ok(reads >= 30, `${reads} steps`);
    board.check();
  });

  for (const [how, leave] of Object.entries({
    'the client has gone': (client) => client.end(),
    'the client was reset': (client) => client.reset(),
    'the client takes no more': (client) => client.vanish(),
  })) {
    test(`${firmware}: the file is closed when ${how}`, () => {
      const { board } = setUp(firmware);
      const client = board.connect({ port: 80, window: 4000 });
      client.pause();
      client.send(get('/www/big.bin'));
      board.run(50);
      assert.equal(board.vitals().openFiles, 1);
      leave(client);
      board.run(10100);
      assert.equal(board.vitals().openFiles, 0);
      board.check();
    });
  }

  test(`${firmware}: a file that becomes shorter ends the connection, and is closed`, () => {
    const { board } = setUp(firmware);
    const client = board.connect({ port: 80, window: 4000 });
    client.pause();
    client.send(get('/www/big.bin'));
    board.run(50);
    board.fs.writeFile('/www/big.bin', new Uint8Array(10));
    client.resume();
    board.run(1000);
    assert.equal(client.ended, true);
    assert.ok(bodyOf(client).length < 60000);
    assert.equal(board.vitals().openFiles, 0);
    const next = exchange(board, [get('/')], 100, { ms: 100 });
    assert.equal(bodyOf(next), 'hello');
    board.check();
  });

  test(`${firmware}: 300 KB over a link with 20 ms delay and 2 % loss arrive as they are, while others are answered`, () => {
    const bytes = content(300000);
    const { board } = serve({
      firmware,
      board: { files: { '/www/large': bytes }, passMicros: 1000, seed: 7 },
      routes: (server, { FileResponse }) => {
        server.route('/www/large', 'GET', (path) => new FileResponse(path));
        server.route('/', 'GET', () => 'hello');
      },
    });
    const download = board.connect({ port: 80, delay: 20, loss: 0.02 });
    download.send(get('/www/large'));
    board.runUntil(() => download.text);
    let others = 0;
    while (!download.ended) {
      const other = board.connect({ port: 80, delay: 5 });
      other.send(get('/', 'connection: close\r\n'));
      board.runUntil(() => other.ended, 5000);
      assert.equal(bodyOf(other), 'hello');
      others++;
      board.run(100);
      assert.ok(board.now < 120000, `${bodyOf(download).length} bytes after ${board.now} ms`);
    }
    assert.equal(bodyOf(download), latin1(bytes));
    assert.ok(others > 5, `${others} others`);
    assert.equal(board.vitals().openFiles, 0);
    board.check();
  });
}

test('stock: small files keep the connection', () => {
  const { board } = setUp('stock');
  const client = exchange(board, [get('/www/index.html', BROWSER) + get('/www/small.bin', BROWSER) + get('/', BROWSER)], 5200, { ms: 200 });
  assert.equal(client.text.endsWith('hello'), true);
  assert.equal(client.text.includes('connection: close'), false);
  board.check();
});
