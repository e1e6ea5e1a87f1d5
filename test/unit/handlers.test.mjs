// What handlers may give back at the edges, and what becomes of their iterators.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIRMWARES, serve } from '../support/serve.mjs';

const sent = (board, request) => {
  const client = board.connect({ port: 80, delay: 0.5 });
  client.send(request);
  return client;
};
const ask = (board, request) => {
  const client = sent(board, request);
  board.run(300);
  return client.text;
};
const request = (method, target) => `${method} ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`;

/** The same where promises have to be settled. */
const reply = async (board, path) => {
  const client = sent(board, request('GET', path));
  await board.runAsync(200);
  return client.text;
};
const bodyOf = (text) => text.slice(text.indexOf('\r\n\r\n') + 4);

for (const firmware of FIRMWARES) {
  test(`${firmware}: an iterator that ends with nothing is 204, like a handler that returns nothing`, () => {
    const { board } = serve({ firmware, routes: (server) => {
      server.route('/generator', 'GET', function* () { yield; yield 'not an answer'; });
      server.route('/iterator', 'GET', () => ({ next: () => ({ done: true }) }));
      server.route('/plain', 'GET', () => {});
    } });
    for (const path of ['/generator', '/iterator', '/plain']) {
      assert.equal(ask(board, request('GET', path)), 'HTTP/1.1 204 \r\nconnection: close\r\n\r\n', path);
    }
    board.check();
  });

  test(`${firmware}: a promise is waited for, and others are served meanwhile; one that is rejected is 500, and told on the console`, async () => {
    const waiting = [];
    const { board, server: running } = serve({ firmware, board: { passMicros: 1000 }, routes: (server, { Response }) => {
      server.route('/at-once', 'GET', async () => 'now');
      server.route('/later', 'GET', async function (path, query) {
        await new Promise((resolve) => { waiting.push(resolve); });
        return new Response(`${query} ${this === running}`, 201);
      });
      server.route('/nothing', 'GET', async () => {});
      server.route('/fails', 'GET', async () => { await null; throw new Error('secret'); });
      server.route('/thenable', 'GET', () => ({ then: (done) => { done({ a: 1 }); } }));
      server.route('/', 'GET', () => 'hello');
    } });
    const text = 'content-type: text/plain; charset=utf-8\r\n';
    const begin = async (target) => {
      const client = sent(board, request('GET', target));
      await board.runAsync(500);
      return client;
    };
    const later = await begin('/later?it-is');
    assert.equal(later.text, '');
    assert.equal((await begin('/')).text, `HTTP/1.1 200 \r\n${text}content-length: 5\r\nconnection: close\r\n\r\nhello`);
    waiting[0]();
    await board.runAsync(50);
    assert.equal(later.text, `HTTP/1.1 201 \r\n${text}content-length: 10\r\nconnection: close\r\n\r\nit-is true`);
    assert.equal((await begin('/at-once')).text, `HTTP/1.1 200 \r\n${text}content-length: 3\r\nconnection: close\r\n\r\nnow`);
    assert.equal((await begin('/nothing')).text, 'HTTP/1.1 204 \r\nconnection: close\r\n\r\n');
    assert.ok((await begin('/thenable')).text.endsWith('content-length: 7\r\nconnection: close\r\n\r\n{"a":1}'));
    assert.deepEqual(board.console, []);
    assert.equal((await begin('/fails')).text, `HTTP/1.1 500 \r\n${text}content-length: 3\r\nconnection: close\r\n\r\n500`);
    assert.deepEqual(board.console.map((line) => line.text.split('\n')[0]), ['Error: secret']);
    const left = await begin('/later');
    left.reset();
    await board.runAsync(50);
    waiting[1]();
    await board.runAsync(50);
    assert.equal((await begin('/')).text.slice(-5), 'hello');
    board.check();
  });

  test(`${firmware}: JSON may have a "then"; a promise out of a generator is waited for, an iterator out of a promise stepped`, async () => {
    const { board } = serve({ firmware, routes: (server) => server
      .route('/json', 'GET', () => ({ when: 'dark', then: 'led on' }))
      .route('/generator', 'GET', function* () { yield; return Promise.resolve('hello'); })
      .route('/promise', 'GET', async () => (function* () { yield; return { a: 1 }; })()) });
    assert.equal(bodyOf(await reply(board, '/json')), '{"when":"dark","then":"led on"}');
    assert.equal(bodyOf(await reply(board, '/generator')), 'hello');
    assert.equal(bodyOf(await reply(board, '/promise')), '{"a":1}');
    board.check();
  });

  test(`${firmware}: a status that becomes a header later on is 500, without other headers, too`, async () => {
    const { board } = serve({ firmware, routes: (server, { Response }) => server.route('/', 'GET', () => {
      const response = new Response('hi');
      response.status = '200 \r\nset-cookie: x';
      return response;
    }) });
    assert.equal((await reply(board, '/')).slice(0, 14), 'HTTP/1.1 500 \r');
    board.check();
  });

  test(`${firmware}: one Response answers many requests, and stays as it was`, async () => {
    let shared;
    const { board } = serve({ firmware, routes: (server, { Response }) => {
      shared = new Response('shared', 200, 'text/html', { 'x-a': 1 });
      server.route('/', 'GET', () => shared);
      server.route('/type', 'GET', () => { shared.contentType = 'text/css'; return shared; });
    } });
    await reply(board, '/');
    assert.deepEqual({ ...shared, headers: { ...shared.headers } }, { body: 'shared', status: 200, contentType: 'text/html', headers: { 'x-a': 1 } });
    assert.match(await reply(board, '/type'), /content-type: text\/css/);
    board.check();
  });

  test(`${firmware}: a header without a value is left out, and "connection" is the server's`, async () => {
    const { board } = serve({ firmware, routes: (server, { Response }) => server.route('/', 'GET', () =>
      new Response('', 204, '', { 'x-a': undefined, connection: 'keep-alive' })) });
    assert.equal(await reply(board, '/'), 'HTTP/1.1 204 \r\nconnection: close\r\n\r\n');
    board.check();
  });

  test(`${firmware}: whatever is thrown, with debug the client is told, and the next one is served`, async () => {
    const { board } = serve({ firmware, options: { debug: true }, routes: (server) => server
      .route('/throws/(\\w+)', 'GET', (path, query, headers, body, match) => { throw { text: 'why', number: 7, nothing: undefined }[match[1]]; })
      .route('/', 'GET', () => 'hello') });
    for (const [what, told] of [['text', 'why'], ['number', '7'], ['nothing', 'undefined']]) {
      assert.match(await reply(board, `/throws/${what}`), /^HTTP\/1\.1 500 /);
      assert.equal(bodyOf(await reply(board, `/throws/${what}`)), told);
      assert.equal(bodyOf(await reply(board, '/')), 'hello');
    }
    board.check();
  });

  test(`${firmware}: HEAD of a body that is an iterator ends the iterator, unread`, () => {
    const calls = [];
    const { board } = serve({ firmware, routes: (server, { Response }) => {
      server.route('/stream', 'GET', () => new Response({ next: () => { calls.push('next'); return { done: true }; }, return: () => { calls.push('return'); return { done: true }; } }));
      server.route('/without', 'GET', () => new Response({ next: () => { calls.push('next'); return { done: true }; } }));
    } });
    const head = 'HTTP/1.1 200 \r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n';
    assert.equal(ask(board, request('HEAD', '/stream')), head);
    assert.deepEqual(calls, ['return']);
    assert.equal(ask(board, request('HEAD', '/without')), head);
    assert.deepEqual(calls, ['return']);
    board.check();
  });

  test(`${firmware}: a file is opened and closed once, whether it is sent whole, became shorter, or its client left`, () => {
    const { board } = serve({ firmware, board: { passMicros: 1000, files: { '/a': 'a'.repeat(5000), '/big': 'b'.repeat(90000) } }, routes: (server, { FileResponse }) => {
      server.route('/(a|big)', 'GET', (path) => new FileResponse(path));
    } });
    const fs = board.load('module.exports = require("fs")');
    const opened = [];
    const { open, close, read } = fs;
    fs.open = (...args) => { opened.push('open'); return open.apply(fs, args); };
    fs.close = (...args) => { opened.push('close'); return close.apply(fs, args); };
    assert.equal(ask(board, request('GET', '/a')).slice(-5000), 'a'.repeat(5000));
    assert.deepEqual(opened.splice(0), ['open', 'close']);
    ask(board, request('HEAD', '/a'));
    assert.deepEqual(opened.splice(0), []);
    for (const leave of ['end', 'reset']) {
      const client = board.connect({ port: 80, window: 1000 });
      client.send(request('GET', '/big'));
      board.run(20);
      client[leave]();
      board.run(20);
      assert.deepEqual(opened.splice(0), ['open', 'close'], leave);
    }
    fs.read = () => 0;
    assert.ok(ask(board, request('GET', '/a')).endsWith('\r\n\r\n'));
    fs.read = read;
    assert.deepEqual(opened.splice(0), ['open', 'close']);
    assert.equal(board.fs.openFiles, 0);
    board.check();
  });

  test(`${firmware}: "*", the target of OPTIONS for the whole server, is a path that a route can have`, () => {
    const routes = (server) => server.route('\\*', 'OPTIONS', (path) => `path ${path}`).route('/.*', 'GET', () => 'page');
    const { board } = serve({ firmware, routes });
    assert.ok(ask(board, request('OPTIONS', '*')).endsWith('\r\n\r\npath *'));
    assert.equal(ask(board, request('GET', '*')).slice(0, 12), 'HTTP/1.1 405');
    assert.equal(ask(board, request('OPTIONS', '*a')).slice(0, 12), 'HTTP/1.1 400');
    const { board: other } = serve({ firmware, routes: (server) => server.route('/.*', 'GET', () => 'page') });
    assert.equal(ask(other, request('OPTIONS', '*')).slice(0, 12), 'HTTP/1.1 404');
    board.check();
    other.check();
  });
}
