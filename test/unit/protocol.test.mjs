// What each request gets, in literal bytes: at once, byte by byte and cut in two at every point, on both firmwares.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROWSER, deliveries, exchange, FIRMWARES, serve, utf8 } from '../support/serve.mjs';

function routes(server, { Response }) {
  server.route('/', 'GET', () => 'hello');
  server.route('/html', 'GET', () => new Response('<p>hi', 200, 'text/html'));
  server.route('/utf8', 'GET', () => 'Grüße €');
  server.route('/charset', 'GET', () => new Response('x', 200, 'text/plain; charset=ascii'));
  server.route('/json', 'GET', () => ({ a: [1, 'ä', null] }));
  server.route('/null', 'GET', () => null);
  server.route('/number', 'GET', () => 42);
  server.route('/nothing', 'GET', () => undefined);
  server.route('/bytes', 'GET', () => new Uint8Array([0, 127, 128, 255]));
  server.route('/teapot', 'GET', () => new Response('short', 418, 'text/plain', { 'x-a': 1, 'X-B': 'é' }));
  server.route('/echo', 'POST', (path, query, headers, body) => body);
  server.route('/echo', 'PUT', (path, query, headers, body) => 'put ' + body.length);
  server.route('/args/(\\w+)/(.*)', 'GET', (path, query, headers, body, match) =>
    new Response([path, query, body.length, match[1], match[2]].join('|'), 200, 'text/plain'));
  server.route('/header/(.*)', 'GET', (path, query, headers, body, match) => String(headers[match[1]]));
  server.route('/names', 'GET', (path, query, headers) => Object.keys(headers).join(' '));
  server.route('/throws', 'GET', () => { throw new Error('secret'); });
  server.route('/inject', 'GET', () => new Response('', 200, 'text/plain', { location: '/\r\nset-cookie: x' }));
  server.route('/own', 'GET', () => new Response('<p>hi', 200, '', { 'Content-Type': 'text/html', 'Content-Length': 99 }));
  server.route('/late/(header|type|status)', 'GET', (path, query, headers, body, match) => {
    const response = new Response('hi', 200, 'text/plain', { 'x-a': 1 });
    if (match[1] === 'header') response.headers['x-a'] = '1\r\nset-cookie: x';
    if (match[1] === 'type') response.contentType = 'text/html\r\nset-cookie: x';
    if (match[1] === 'status') response.status = '200 \r\nset-cookie: x';
    return response;
  });
  server.route('/fetch', 'GET', () => new Response('hi', { status: 201 }));
  server.route('/circle', 'GET', () => { const a = {}; a.a = a; return a; });
}

const TEXT = 'content-type: text/plain; charset=utf-8\r\n';
const CLOSE = 'connection: close\r\n';
/** {close} stands for the header of an answer that ends the connection, which is every one but to a browser's GET on stock firmware. */
const ok = (body, type = TEXT) => `HTTP/1.1 200 \r\n${type}content-length: ${body.length}\r\n{close}\r\n${body}`;
const error = (status) => `HTTP/1.1 ${status} \r\n${TEXT}content-length: 3\r\n{close}\r\n${status}`;
/** An answer to what is no whole request ends the connection on any firmware. */
const refusal = (status) => `HTTP/1.1 ${status} \r\n${TEXT}content-length: 3\r\nconnection: close\r\n\r\n${status}`;
const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
const post = (body, headers = '') => `POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`;
const echoed = (body) => ok(body, 'content-type: application/octet-stream\r\n');
const fill = (length) => 'x'.repeat(length);
/** Header lines of so many bytes together, the host's line among them. */
const headerLines = (bytes) => {
  let lines = 'host: x\r\n';
  while (lines.length < bytes) {
    const rest = bytes - lines.length;
    const length = rest < 1100 ? rest : 1000;
    lines += `a: ${fill(length - 5)}\r\n`;
  }
  return lines;
};
const ALL_BYTES = String.fromCharCode(...Array(256).keys());

/** [what it is, the request, the answer, `last`: the connection ends with it anyway, `whole`: there is no room for another header]. */
const TABLE = [
  ['GET', get('/'), ok('hello')],
  ['HEAD has the head of GET and no body', 'HEAD /html HTTP/1.1\r\nhost: x\r\n\r\n',
    'HTTP/1.1 200 \r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 5\r\n{close}\r\n'],
  ['a content type', get('/html'), ok('<p>hi', 'content-type: text/html; charset=utf-8\r\n')],
  ['text goes out as UTF-8', get('/utf8'), ok(utf8('Grüße €'))],
  ['a content type with a parameter stays as it is', get('/charset'), ok('x', 'content-type: text/plain; charset=ascii\r\n')],
  ['an object is JSON', get('/json'), ok(utf8('{"a":[1,"ä",null]}'), 'content-type: application/json; charset=utf-8\r\n')],
  ['null is JSON', get('/null'), ok('null', 'content-type: application/json; charset=utf-8\r\n')],
  ['a number is JSON', get('/number'), ok('42', 'content-type: application/json; charset=utf-8\r\n')],
  ['nothing is 204 without content-length', get('/nothing'), 'HTTP/1.1 204 \r\n{close}\r\n'],
  ['bytes', get('/bytes'), ok('\x00\x7f\x80\xff', 'content-type: application/octet-stream\r\n')],
  ['status and headers', get('/teapot'), `HTTP/1.1 418 \r\nx-a: 1\r\nx-b: \xe9\r\n${TEXT}content-length: 5\r\n{close}\r\nshort`],
  ['headers of the body are sent once, in whatever case they are written, and the length is the true one', get('/own'),
    ok('<p>hi', 'content-type: text/html\r\n')],
  ['a header that becomes two later on', get('/late/header'), error(500)],
  ['a content type that becomes a header later on', get('/late/type'), error(500)],
  ['a status that becomes a header later on', get('/late/status'), error(500)],
  ['a status that is none', get('/fetch'), error(500)],
  ['a body', post('name=value'), echoed('name=value')],
  ['an empty body', post(''), echoed('')],
  ['a body of all bytes', post(ALL_BYTES), echoed(ALL_BYTES)],
  ['a body of exactly maxBodyBytes', post(fill(16384)), echoed(fill(16384)), { last: true }],
  ['the method chooses between routes of one path', post('123').replace('POST', 'PUT'), ok('put 3')],
  ['path, query, groups', get('/args/abc/d/e?x=%20&y'), ok('/args/abc/d/e|x=%20&y|0|abc|d/e')],
  ['the path is decoded once', get('/args/a/%C3%A4+%2520%2F?%41'), ok(utf8('/args/a/ä+%20/|%41|0|a|ä+%20/'))],
  ['only the first ? ends the path', get('/args/a/?b?c'), ok('/args/a/|b?c|0|a|')],
  ['an absolute target', 'GET http://x:80/html HTTP/1.1\r\nhost: x\r\n\r\n', ok('<p>hi', 'content-type: text/html; charset=utf-8\r\n')],
  ['header names in any case, values trimmed', get('/header/x-a', 'X-A:  \t b c\t \r\n'), ok('b c')],
  ['repeated headers are joined', get('/header/x-a', 'X-A: 1\r\nx-b: 2\r\nx-a: 3\r\n'), ok('1, 3')],
  ['headers named like properties of Object', get('/names', 'constructor: a\r\n__proto__: b\r\ntoString: c\r\n'),
    ok('host constructor __proto__ tostring'), { whole: true }],
  ['a header that was not sent', get('/header/constructor'), ok('undefined')],
  ['a header value of Latin-1', get('/header/x-a', 'x-a: \xe9\r\n'), ok(utf8('é'))],
  ['a header value that ends with "à" in UTF-8', get('/header/x-a', 'x-a: \tvoil\xc3\xa0 \t\r\n'), ok(utf8('voil\xc3\xa0'))],
  ['a no-break space belongs to a value, blanks around it do not', get('/header/x-a', 'x-a: \t\xa0 "b" \xa0 \r\n'), ok(utf8('\xa0 "b" \xa0'))],
  ['a header value of blanks, after one with quotes', get('/header/x-a', 'x-b: "b"\r\nx-a: \t \r\n'), ok('')],
  ['an empty header value', get('/header/x-a', 'x-a:\r\n'), ok('')],
  ['an empty host', 'GET / HTTP/1.1\r\nhost:\r\n\r\n', ok('hello')],
  ['empty lines before the request', `\r\n\r\n${get('/')}`, ok('hello')],
  ['HTTP/1.0 needs no host, and is closed', 'GET / HTTP/1.0\r\n\r\n', ok('hello'), { last: true }],
  ['a minor version to come', 'GET / HTTP/1.9\r\nhost: x\r\n\r\n', ok('hello')],
  ['connection: close', get('/', 'Connection: Close\r\n'), ok('hello'), { last: true }],

  ['an unknown path', get('/nowhere'), error(404)],
  ['a path is matched whole', get('/html/'), error(404)],
  ['an unknown method on a known path', 'DELETE /echo HTTP/1.1\r\nhost: x\r\n\r\n',
    `HTTP/1.1 405 \r\nallow: POST, PUT\r\n${TEXT}content-length: 3\r\n{close}\r\n405`],
  ['another method on a GET route', 'PUT / HTTP/1.1\r\nhost: x\r\n\r\n',
    `HTTP/1.1 405 \r\nallow: GET, HEAD\r\n${TEXT}content-length: 3\r\n{close}\r\n405`],
  ['a handler that throws, without its message', get('/throws'), error(500)],
  ['a header with a line break is refused where it is made', get('/inject'), error(500)],
  ['a reply that cannot be JSON', get('/circle'), error(500)],

  ...[
    'GET', 'GET /', 'GET / HTTP/1', 'GET / HTTP/1.', 'GET / HTTP/1.1 ', 'GET  / HTTP/1.1', ' GET / HTTP/1.1', 'GET foo HTTP/1.1',
    'GET / HTTP/11', 'GET / http/1.1', 'G(T / HTTP/1.1', 'GET /\x7f HTTP/1.1', 'GET /\xe4 HTTP/1.1', 'GET /\t HTTP/1.1', 'GET\t/ HTTP/1.1',
    'GET / HTTP/1.1\x00', 'GET / HTTP/x.1', 'GET / FTP/1.1', ':', '/',
  ].map((line) => [`the request line ${JSON.stringify(line)}`, `${line}\r\nhost: x\r\n\r\n`, refusal(400)]),
  ...['%', '%4', '%zz', '%4g', '%%41', '%C3', '%ff', '%c0%80', '%ed%a0%80', '%f4%90%80%80', '%e2%82'].map((escape) =>
    [`the escape ${escape}`, get(`/args/a/${escape}`), refusal(400)]),
  ...['nocolon', ': empty name', 'a b: c', 'a : c', ' folded: line', '\tfolded: line', 'a: b\x00c', 'a: b\x7f', 'a: b\rc', 'a: \x00\x00\x7f', 'a: """"""""""\x7f', 'n\xe4me: c', 'a(b): c'].map((line) =>
    [`the header ${JSON.stringify(line)}`, get('/', `${line}\r\n`), refusal(400)]),
  ['a line that ends with LF only', 'GET / HTTP/1.1\nhost: x\n\n', refusal(400)],
  ['a header line that ends with LF only', 'GET / HTTP/1.1\r\nhost: x\n\r\n', refusal(400)],
  ...['', 'x', '-1', '+1', '1.0', '0x1', '1 1', '1,1', '1e1', '\xb2'].map((length) =>
    [`content-length ${JSON.stringify(length)}`, `POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`, refusal(400)]),
  ['content-length twice', 'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\nContent-Length: 1\r\n\r\nx', refusal(400)],
  ['no host', 'GET / HTTP/1.1\r\n\r\n', refusal(400)],
  ['two hosts', get('/', 'Host: x\r\n'), refusal(400)],
  ['a request line of maxRequestLineSize', get(`/args/a/${fill(2048 - 21)}`), ok(`/args/a/${fill(2027)}||0|a|${fill(2027)}`)],
  ['a request line above it', get(`/args/a/${fill(2049 - 21)}`), refusal(414)],
  ['a request line that does not end', `GET /${fill(3000)}`, refusal(414)],
  ['header lines of maxHeaderBytes', `GET / HTTP/1.1\r\n${headerLines(4096)}\r\n`, ok('hello'), { whole: true }],
  ['header lines above it', `GET / HTTP/1.1\r\n${headerLines(4097)}\r\n`, refusal(431)],
  ['a header that does not end', `GET / HTTP/1.1\r\na: ${fill(5000)}`, refusal(431)],
  ['a name of 99 characters', get(`/header/${fill(99)}`, `${fill(99)}: 1\r\n`), ok('1')],
  ['a name of 100', get('/', `${fill(100)}: 1\r\n`), refusal(400)],
  ['a method of 99 characters', `${fill(99)} /nowhere HTTP/1.1\r\nhost: x\r\n\r\n`, refusal(404)],
  ['a method of 100', `${fill(100)} / HTTP/1.1\r\nhost: x\r\n\r\n`, refusal(400)],
  ['maxHeaderCount headers', get('/', 'a: b\r\n'.repeat(49)), ok('hello'), { whole: true }],
  ['one header more', get('/', 'a: b\r\n'.repeat(50)), refusal(431)],
  ['a body above maxBodyBytes', `POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 16385\r\n\r\n`, refusal(413)],
  ['a length without end', `POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: ${'9'.repeat(400)}\r\n\r\n`, refusal(413)],
  ['transfer-encoding', 'POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n', refusal(501)],
  ['transfer-encoding with content-length', post('abc', 'Transfer-Encoding: identity\r\n'), refusal(501)],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nhost: x\r\n\r\n', refusal(505)],
  ['HTTP/0.9', 'GET / HTTP/0.9\r\nhost: x\r\n\r\n', refusal(505)],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', refusal(505)],
];

/** However it comes. */
function assertAnswer(firmware, request, expected) {
  for (const { how, pieces } of deliveries(request)) {
    // A new board each time: nothing of one exchange can hide in the next.
    const { board } = serve({ firmware, routes });
    const client = exchange(board, pieces, expected.length);
    assert.equal(client.text, expected, how);
    assert.equal(client.wasReset, false, how);
    board.check();
  }
}

for (const firmware of FIRMWARES) {
  for (const [name, request, expectation, { last = false, whole = false } = {}] of TABLE) {
    test(`${firmware}: ${name}`, () => {
      assertAnswer(firmware, request, expectation.replace('{close}', CLOSE));
    });
    if (firmware === 'routed' || whole || !expectation.includes('{close}') || !/^\s*GET/.test(request)) continue;
    test(`${firmware}: ${name}, asked for by a browser`, () => {
      const [line] = /^[\r\n]*.*\r\n/.exec(request);
      assertAnswer(firmware, `${line}${BROWSER}${request.slice(line.length)}`, expectation.replace('{close}', last ? CLOSE : ''));
    });
  }
}

for (const firmware of FIRMWARES) {
  test(`${firmware}: Expect: 100-continue gets its 100 before the body is sent`, () => {
    const { board } = serve({ firmware, routes });
    const client = exchange(board, ['POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n'], 25);
    assert.equal(client.text, 'HTTP/1.1 100 Continue\r\n\r\n');
    client.send('abc');
    board.run(50);
    assert.equal(client.text, 'HTTP/1.1 100 Continue\r\n\r\n' + echoed('abc').replace('{close}', CLOSE));
    board.check();
  });

  test(`${firmware}: Expect: 100-continue of a body that is too big gets 413 only`, () => {
    const { board } = serve({ firmware, routes });
    const client = exchange(board, ['POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 30000\r\n\r\n'], 90);
    assert.equal(client.text, refusal(413));
    board.check();
  });

  test(`${firmware}: with debug, a handler's error is told and logged`, () => {
    const { board } = serve({ firmware, routes, options: { debug: true } });
    const client = exchange(board, [get('/throws')], 100);
    assert.equal(client.text, `HTTP/1.1 500 \r\n${TEXT}content-length: 13\r\n${CLOSE}\r\nError: secret`);
    assert.match(board.console.map(({ text }) => text).join('\n'), /secret/);
    board.check();
  });

  test(`${firmware}: without debug, errors are logged and not told, requests are not logged`, () => {
    const { board } = serve({ firmware, routes });
    const client = exchange(board, [get('/throws')], 90);
    assert.ok(client.text.endsWith('\r\n\r\n500'), client.text);
    assert.deepEqual(board.console.map(({ text }) => text.split('\n')[0]), ['Error: secret']);
    board.check();
  });

  test(`${firmware}: limits are options`, () => {
    const options = { maxRequestLineSize: 20, maxHeaderCount: 2, maxHeaderBytes: 40, maxBodyBytes: 4 };
    const ask = (request) => {
      const { board } = serve({ firmware, routes, options });
      const client = exchange(board, [request], 60);
      board.check();
      return client.text.slice(9, 12);
    };
    assert.equal(ask(get('/')), '200');
    assert.equal(ask(get('/234567')), '404');
    assert.equal(ask(get('/2345678')), '414');
    assert.equal(ask(get('/', 'a: b\r\n')), '200');
    assert.equal(ask(get('/', 'a: b\r\nc: d\r\n')), '431');
    assert.equal(ask(get('/', `a: ${fill(26)}\r\n`)), '200');
    assert.equal(ask(get('/', `a: ${fill(27)}\r\n`)), '431');
    assert.equal(ask(`PUT /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n1234`.replace('host: x\r\ncontent', 'host: x\r\ncontent')), '200');
    assert.equal(ask(`PUT /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n12345`), '413');
  });
}

test('stock: requests on one connection are answered in order, however they come', () => {
  const requests = get('/', BROWSER) + get('/args/a/b', BROWSER) + get('/nowhere', BROWSER) + get('/html', BROWSER) + post('last', BROWSER) + get('/html', BROWSER);
  const expected = (ok('hello') + ok('/args/a/b||0|a|b') + error(404) + ok('<p>hi', 'content-type: text/html; charset=utf-8\r\n')).replaceAll('{close}', '')
    + echoed('last').replace('{close}', CLOSE);
  for (const { how, pieces } of deliveries(requests)) {
    const { board } = serve({ firmware: 'stock', routes });
    const client = exchange(board, pieces, expected.length);
    assert.equal(client.text, expected, how);
    assert.equal(client.ended, true, how);
    board.check();
  }
});

for (const [firmware, agent] of [['stock', ''], ['routed', ''], ['routed', BROWSER]]) {
  test(`${firmware}: what follows a request${agent && ' of a browser'} is ignored where the connection ends with its answer`, () => {
    const { board } = serve({ firmware, routes });
    const client = exchange(board, [get('/', agent) + get('/html', agent)], 1000, { ms: 100 });
    assert.equal(client.text, ok('hello').replace('{close}', CLOSE));
    assert.equal(client.ended, true);
    board.check();
  });
}
