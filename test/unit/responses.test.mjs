// What programs do to a response after they have made it, what they throw, and options that there are not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchange, FIRMWARES, serve } from '../support/serve.mjs';

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
const CLOSE = 'connection: close\r\n';
const ask = (board, request) => exchange(board, [request], 5000, { ms: 100 }).text;
const printed = (board) => board.console.map(({ text }) => text.split('\n')[0]);

/** The answer to a handler that makes a response and changes it. */
function answerTo(firmware, make, { headers = '', options, files, debug } = {}) {
  const { board } = serve({
    firmware, options: { debug, ...options }, board: { files },
    routes: (server, library) => { server.route('/', 'GET', () => make(library)).route('/next', 'GET', () => 'next'); },
  });
  const text = ask(board, get('/', headers));
  assert.match(ask(board, get('/next')), /\r\n\r\nnext$/, 'the next one is served');
  board.check();
  return { text, board };
}

const changed = (response, change) => {
  change(response);
  return response;
};

for (const firmware of FIRMWARES) {
  for (const [what, change, head] of [
    ['content-type', ({ headers }) => { headers['Content-Type'] = 'text/x'; }, `x-a: 1\r\ncontent-type: text/x\r\ncontent-length: 2\r\n`],
    ['content-type over one of the constructor', ({ headers }) => { headers['content-type'] = 'text/y'; headers['CONTENT-TYPE'] = 'text/x'; },
      `x-a: 1\r\ncontent-type: text/x\r\ncontent-length: 2\r\n`],
    ['x-a', ({ headers }) => { headers['X-A'] = 2; }, `x-a: 2\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n`],
    ['content-length', ({ headers }) => { headers['Content-Length'] = 7; headers['content-length'] = 8; },
      `x-a: 1\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n`],
    ['connection', ({ headers }) => { headers.Connection = 'keep-alive'; }, `x-a: 1\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n`],
    ['x-a, in capitals in the end', ({ headers }) => { delete headers['x-a']; headers['X-A'] = 2; headers['x-a'] = 3; },
      `x-a: 3\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n`],
    ['length, which is another header than content-length', ({ headers }) => { headers.length = 5; },
      `x-a: 1\r\nlength: 5\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n`],
  ]) {
    test(`${firmware}: a header that is set late in another spelling goes out once: ${what}`, () => {
      const { text } = answerTo(firmware, ({ Response }) => changed(new Response('hi', 200, '', { 'x-a': 1 }), change));
      assert.equal(text, `HTTP/1.1 200 \r\n${head}${CLOSE}\r\nhi`);
    });
  }

  for (const [what, change] of [
    ['a status as text', (response) => { response.status = '204'; }],
    ['a status of two digits', (response) => { response.status = 99; }],
    ['a line break in a name', ({ headers }) => { headers['a\r\nb'] = 'x'; }],
    ['a space in a name', ({ headers }) => { headers['a b'] = 'x'; }],
    ['no name', ({ headers }) => { headers[''] = 'x'; }],
    ['a line break in a value, in capitals', ({ headers }) => { headers['X-A'] = 'x\r\ny: z'; }],
    ['a line break in the text that a value becomes', ({ headers }) => { headers['x-a'] = { toString: () => 'x', valueOf: () => 'x\r\ny: z' }; }],
    ['a line break in the content type', (response) => { response.contentType = 'a\nb'; }],
    ['a body that is a number', (response) => { response.body = 5; }],
  ]) {
    test(`${firmware}: what cannot go out is 500, and printed: ${what}`, () => {
      const { text, board } = answerTo(firmware, ({ Response }) => changed(new Response('hi'), change));
      assert.equal(text, `HTTP/1.1 500 \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\n${CLOSE}\r\n500`);
      assert.match(printed(board)[0], /Bad status or header|text or bytes/);
    });
  }

  test(`${firmware}: a stream whose program gives its length is not chunked`, () => {
    for (const pieces of [['ab', 'c'], []]) {
      const length = pieces.join('').length;
      const { text } = answerTo(firmware, ({ Response }) => new Response(pieces[Symbol.iterator](), 200, 'text/plain', { 'content-length': length }));
      assert.equal(text, `HTTP/1.1 200 \r\ncontent-length: ${length}\r\ncontent-type: text/plain; charset=utf-8\r\n${CLOSE}\r\n${pieces.join('')}`);
    }
  });

  test(`${firmware}: of one header in two spellings the later one counts, in the constructor, too`, () => {
    for (const headers of [{ 'X-A': 1, 'x-a': 2 }, { 'x-a': 1, 'X-A': 2 }, { 'X-a': 0, 'x-A': 1, 'X-A': 2 }]) {
      const { text } = answerTo(firmware, ({ Response }) => new Response('hi', 200, '', headers));
      assert.equal(text, `HTTP/1.1 200 \r\nx-a: 2\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n${CLOSE}\r\nhi`);
    }
  });

  test(`${firmware}: headers that cannot be changed may have capitals`, () => {
    const headers = Object.freeze({ 'X-A': 1 });
    const { text } = answerTo(firmware, ({ Response }) => changed(new Response('hi'), (response) => { response.headers = headers; }));
    assert.match(text, /^HTTP\/1\.1 200 \r\nx-a: 1\r\n/);
  });

  test(`${firmware}: a stream whose end does not fit into the send buffer is given up after requestTimeoutSeconds`, () => {
    let given = 0;
    const { board } = serve({ firmware, options: { requestTimeoutSeconds: 5 }, routes: (server, { Response }) => {
      // Head 105, eleven chunks of 1,007 and one of 494: 11,676 of 11,680 bytes. The last chunk has 5.
      server.route('/', 'GET', () => new Response({ next: () => {
        const value = ['x'.repeat(1000), 'x'.repeat(487), undefined][+(given > 10) + +(given > 11)];
        given++;
        return given < 200 ? { done: false, value } : { done: true, value: undefined };
      } }));
    } });
    const client = board.connect({ port: 80, delay: 0.5, window: 0 });
    board.runUntil(() => client.state === 'open');
    client.pause();
    client.send(get('/'));
    board.run(4000);
    assert.ok(given >= 200, `${given} pieces`);
    assert.deepEqual(board.vitals().states.ESTABLISHED, 1, 'the end has not gone out');
    board.run(5000);
    assert.equal(board.vitals().states.ESTABLISHED ?? 0, 0);
    board.check();
  });

  const files = { '/404.html': 'none', '/a.js': 'plain', '/a.js.gz': 'zipped' };

  test(`${firmware}: a file goes out with the status, type and headers that are set after it was made`, () => {
    const { text } = answerTo(firmware, ({ FileResponse }) => changed(new FileResponse('/404.html', { 'x-a': 1 }), (response) => {
      response.status = 404;
      response.contentType = 'text/x';
      response.headers['X-A'] = 2;
    }), { files });
    assert.equal(text, `HTTP/1.1 404 \r\nx-a: 2\r\ncontent-type: text/x; charset=utf-8\r\ncontent-length: 4\r\n${CLOSE}\r\nnone`);
  });

  test(`${firmware}: a file's own vary keeps what it had, zipped or not, however often it is sent`, () => {
    let response;
    const { board } = serve({ firmware, board: { files }, routes: (server, { FileResponse }) => {
      response = new FileResponse('/a.js', { Vary: 'cookie' });
      server.route('/', 'GET', () => response);
    } });
    for (let times = 0; times < 2; times++) {
      for (const [headers, vary, body] of [['accept-encoding: gzip\r\n', 'cookie, accept-encoding', 'zipped'], ['', 'cookie', 'plain']]) {
        const text = ask(board, get('/', headers));
        assert.equal(/vary: (.*)\r\n/.exec(text)?.[1], vary);
        assert.ok(text.endsWith(`\r\n\r\n${body}`), text);
      }
    }
    board.check();
  });

  for (const [what, thrown, line] of [
    ['a text', 'why', 'why'], ['a symbol', Symbol('why'), /Symbol\(why\)/], ['an object that is no text', Object.create(null), /./], ['nothing', undefined, /./],
  ]) {
    for (const debug of [false, true]) {
      test(`${firmware}: ${what} that is thrown is printed and answered with 500, ${debug ? 'with' : 'without'} debug`, () => {
        const { text, board } = answerTo(firmware, () => { throw thrown; }, { debug });
        assert.match(text, /^HTTP\/1\.1 500 \r\n/);
        assert.match(printed(board)[0], line instanceof RegExp ? line : new RegExp(`^${line}$`));
      });
    }
  }

  test(`${firmware}: a debug() of the program gets errors, and requests only with options.debug`, () => {
    for (const debug of [false, true]) {
      const seen = [];
      const { board } = serve({ firmware, options: { debug }, routes: (server) => {
        server.debug = (message) => seen.push(String(message));
        server.route('/', 'GET', () => 'hello').route('/throws', 'GET', () => { throw 'why'; });
      } });
      ask(board, get('/'));
      ask(board, get('/throws'));
      assert.deepEqual(seen, debug ? ['GET / 200', 'why', 'GET /throws 500'] : ['why']);
      board.check();
    }
  });

  test(`${firmware}: an async generator is no handler: 500, and a line that says why`, async () => {
    const { board } = serve({ firmware, routes: (server) => server.route('/', 'GET', async function* () { yield 1; }).route('/next', 'GET', () => 'next') });
    const client = board.connect({ port: 80 });
    client.send(get('/'));
    for (let i = 0; i < 50 && !client.ended; i++) {
      board.run(1);
      await null;
    }
    assert.match(client.text, /^HTTP\/1\.1 500 /);
    assert.match(printed(board).join(), /Async generators/);
    assert.match(ask(board, get('/next')), /next$/);
    board.check();
  });

  test(`${firmware}: an async generator is no body: its stream breaks, and a line says why`, async () => {
    const { board } = serve({ firmware, routes: (server, { Response }) => server.route('/', 'GET', () => new Response(async function* () { yield 'a'; }())) });
    const client = board.connect({ port: 80 });
    client.send(get('/'));
    board.runUntil(() => client.ended);
    assert.match(client.text, /chunked\r\nconnection: close\r\n\r\n$/);
    assert.match(printed(board).join(), /Async generators/);
    await null;
    board.check();
  });

  test(`${firmware}: an escape has two hex digits, and no character beside them in ASCII will do`, () => {
    const { board, library } = serve({ firmware, routes: (server) => server.route('/(.*)', 'GET', (path, query, headers, body, [, rest]) => rest) });
    for (let code = 0; code < 128; code++) {
      const character = String.fromCharCode(code);
      const isDigit = /[\da-f]/i.test(character);
      assert.equal(library.urlDecode(`%4${character}`), isDigit ? String.fromCharCode(64 + parseInt(character, 16)) : null, `%4${character}`);
      if (!isDigit) assert.equal(library.urlDecode(`%${character}1`), null, `%${character}1`);
    }
    assert.deepEqual(['%', 'a%', '%4', 'a%4'].map(library.urlDecode), [null, null, null, null]);
    assert.match(ask(board, get('/%4@')), /^HTTP\/1\.1 400 /);
    assert.match(ask(board, get('/%4a%4A')), /\r\n\r\nJJ$/);
    board.check();
  });

  test(`${firmware}: start() of a server that listens throws, and it goes on`, () => {
    const { board, server } = serve({ firmware, routes: (each) => each.route('/', 'GET', () => 'hello') });
    const before = board.vitals();
    assert.throws(() => server.listen(80), /^Error: Listening already$/);
    assert.throws(() => server.start(81), /^Error: Listening already$/);
    assert.equal(board.vitals().fds, before.fds);
    assert.match(ask(board, get('/')), /hello$/);
    server.close();
    server.listen(82);
    board.run(5);
    const client = exchange(board, [get('/')], 5000, { ms: 100, port: 82 });
    assert.match(client.text, /hello$/);
    board.check();
  });

  test(`${firmware}: an option that does not exist is named in an error`, () => {
    const { library } = serve({ firmware });
    assert.throws(() => new library.Server({ maxBodySize: 1 }), /^Error: No option maxBodySize$/);
    assert.throws(() => new library.Server({ sockets: 1 }), /^Error: No option sockets$/);
    new library.Server({ maxBodyBytes: 1, debug: undefined });
  });
}
