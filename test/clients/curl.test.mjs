// curl as a client that knows nothing of the board: every answer to the byte, on both kinds of firmware.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { goLive } from '../helpers/live.mjs';
import { findProgram, runToEnd, unlessFound } from '../helpers/program.mjs';

const CURL = findProgram('CURL', ['curl', 'curl.exe']);
const skip = unlessFound(CURL, 'curl');

const LONG = Array.from({ length: 3000 }, (_, i) => `line ${i}\n`).join(''); // three times what the board's send buffer holds

function routes(server, { Response, urlDecode }) {
  server.route('/', 'GET', () => 'Hello');
  server.route('/html', 'GET', () => new Response('<p>ä</p>', 200, 'text/html', { 'x-made-by': 'board' }));
  server.route('/json', 'GET', () => ({ list: [1, 2.5, 'ä'], none: null }));
  server.route('/nothing', 'GET', () => undefined);
  server.route('/echo', 'POST', (path, query, headers, body) => body);
  server.route('/name', 'POST', (path, query, headers, body) => `${headers['content-type']} ${body.length}`);
  server.route('/query', 'GET', (path, query) => query);
  server.route('/decoded', 'GET', (path, query) => urlDecode(query.split('=')[1]));
  server.route('/(gr..e)/(.*)', 'GET', (path, query, headers, body, match) => `${match[1]}, ${match[2]}!`);
  server.route('/long', 'GET', () => LONG);
  server.route('/drip', 'GET', () => new Response(function* () { yield 'a'; yield; yield 'bc'; }()));
  server.route('/breaks', 'GET', () => new Response(function* () { yield 'a'; throw new Error('secret'); }()));
  server.route('/late', 'GET', function* () { for (let i = 0; i < 50; i++) yield; return 'late'; });
  server.route('/broken', 'GET', () => { throw new Error('secret'); });
}

/** Runs curl; what it prints is bytes as characters. */
function curl(args, input) {
  const options = ['--disable', '--noproxy', '*', '--silent', '--show-error', '--max-time', '30'];
  return runToEnd(CURL, [...options, ...args], { input });
}

/** The same, and it must succeed in silence. */
async function output(args, input) {
  const { code, stdout, stderr } = await curl(args, input);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return stdout;
}

const utf8 = (text) => Buffer.from(text, 'utf8').toString('latin1');

for (const firmware of /** @type {const} */ (['stock', 'routed'])) {
  describe(`curl, ${firmware} firmware`, { skip }, () => {
    let site;
    before(async () => { site = await goLive({ firmware, routes }); });
    after(async () => {
      await site.stop();
      site.board.check();
    });
    const url = (path) => site.url + path;

    const CLOSE = 'connection: close\r\n';
    const asBrowser = ['-A', 'Mozilla/5.0 (X11; Linux x86_64)'];
    const PLAIN = 'content-type: text/plain; charset=utf-8\r\n';
    const answer = (status, headers, body, connection = CLOSE) => `HTTP/1.1 ${status} \r\n${headers}content-length: ${body.length}\r\n${connection}\r\n${body}`;

    test('GET', async () => {
      assert.equal(await output(['-i', url('/')]), answer(200, PLAIN, 'Hello'));
    });

    test(`GET as a browser does it: its connection ${firmware === 'stock' ? 'is kept' : 'ends, as nothing would be gained by keeping it'}`, async () => {
      assert.equal(await output(['-i', ...asBrowser, url('/')]), answer(200, PLAIN, 'Hello', firmware === 'stock' ? '' : CLOSE));
    });

    test('GET with HTTP/1.0', async () => {
      assert.equal(await output(['-i', '--http1.0', url('/')]), answer(200, PLAIN, 'Hello'));
    });

    test('HEAD gets the head of GET', async () => {
      assert.equal(await output(['-I', url('/')]), answer(200, PLAIN, 'Hello').slice(0, -'Hello'.length));
    });

    test('a response with a type and a header of its own', async () => {
      const headers = 'x-made-by: board\r\ncontent-type: text/html; charset=utf-8\r\n';
      assert.equal(await output(['-i', url('/html')]), answer(200, headers, utf8('<p>ä</p>')));
    });

    test('JSON', async () => {
      const body = utf8('{"list":[1,2.5,"ä"],"none":null}');
      assert.equal(await output(['-i', url('/json')]), answer(200, 'content-type: application/json; charset=utf-8\r\n', body));
    });

    test('204 for nothing', async () => {
      assert.equal(await output(['-i', url('/nothing')]), `HTTP/1.1 204 \r\n${CLOSE}\r\n`);
    });

    test('POST: the body comes back, every byte of it', async () => {
      const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
      const body = Buffer.from(bytes).toString('latin1');
      const sent = await output(['-i', '--data-binary', '@-', url('/echo')], bytes);
      assert.equal(sent, answer(200, 'content-type: application/octet-stream\r\n', body));
    });

    test('POST of a form', async () => {
      const form = ['-F', 'a=1', '-F', 'b=2'];
      assert.match(await output([...form, url('/name')]), /^multipart\/form-data; boundary=-+\w+ \d+$/);
    });

    test('404', async () => {
      assert.equal(await output(['-i', url('/nowhere')]), answer(404, PLAIN, '404'));
    });

    test('405 says what is allowed', async () => {
      assert.equal(await output(['-i', '-X', 'DELETE', url('/')]), answer(405, `allow: GET, HEAD\r\n${PLAIN}`, '405'));
      assert.equal(await output(['-i', url('/echo')]), answer(405, `allow: POST\r\n${PLAIN}`, '405'));
    });

    test('500 keeps the reason to itself', async () => {
      assert.equal(await output(['-i', url('/broken')]), answer(500, PLAIN, '500'));
    });

    test('100-continue, then a large body', async () => {
      const body = LONG.slice(0, 16000);
      const sent = await output(['-i', '-H', 'Expect: 100-continue', '--expect100-timeout', '20', '--data-binary', '@-', url('/echo')], body);
      const head = 'HTTP/1.1 100 Continue\r\n\r\n';
      assert.equal(sent, head + answer(200, 'content-type: application/octet-stream\r\n', body));
    });

    test('413 for a body that is too large, before it is sent', async () => {
      const args = ['-i', '-H', 'Expect: 100-continue', '--expect100-timeout', '20', '--data-binary', '@-', '-w', '%{size_upload}', url('/echo')];
      assert.equal(await output(args, 'x'.repeat(16385)), answer(413, PLAIN, '413') + '0');
    });

    for (const size of [16385, 300000, 3000000]) {
      test(`413 for a client that goes on sending all of ${size} bytes`, async () => {
        const sent = await output(['-i', '-H', 'Expect:', '--data-binary', '@-', url('/echo')], 'x'.repeat(size));
        assert.equal(sent, answer(413, PLAIN, '413'));
      });
    }

    test('the largest body that is taken', async () => {
      const body = 'y'.repeat(16384);
      assert.equal(await output(['-H', 'Expect:', '--data-binary', '@-', url('/echo')], body), body);
    });

    test('501 for a body of unknown length', async () => {
      const sent = await output(['-i', '-H', 'Transfer-Encoding: chunked', '--data-binary', '@-', url('/echo')], 'abc');
      assert.equal(sent, answer(501, PLAIN, '501'));
    });

    test('414 and 431 for heads that are too long', async () => {
      assert.equal(await output(['-i', url(`/${'p'.repeat(3000)}`)]), answer(414, PLAIN, '414'));
      assert.equal(await output(['-i', '-H', `X-Long: ${'h'.repeat(5000)}`, url('/')]), answer(431, PLAIN, '431'));
    });

    test('a path in UTF-8, decoded for the route and the handler', async () => {
      const { stdout } = await curl([url('/gr%C3%BC%C3%9Fe/%E2%82%AC%20%F0%9F%91%8B')]);
      assert.equal(stdout, utf8('grüße, € 👋!'));
      assert.equal(await output(['-i', url('/gr%FC%DFe/x')]), answer(400, PLAIN, '400'));
    });

    test('a query, as it came and decoded', async () => {
      assert.equal(await output([url('/query?a=1&b=%20+&c')]), 'a=1&b=%20+&c');
      assert.equal(await output(['-G', '--data-urlencode', 'q=1 + 1 = 2, ä', url('/decoded')]), utf8('1 + 1 = 2, ä'));
    });

    test('an answer that is larger than the send buffer, which is the last one even for a browser', async () => {
      assert.ok(LONG.length > 2 * 11680);
      for (const agent of [[], asBrowser]) assert.equal(await output(['-i', ...agent, url('/long')]), answer(200, PLAIN, LONG));
    });

    test('an answer that comes piece by piece, and one that comes late', async () => {
      assert.equal(await output(['-i', url('/drip')]), `HTTP/1.1 200 \r\n${PLAIN}transfer-encoding: chunked\r\nconnection: close\r\n\r\nabc`);
      assert.equal(await output(['-i', '--http1.0', url('/drip')]), `HTTP/1.1 200 \r\n${PLAIN}connection: close\r\n\r\nabc`);
      assert.equal(await output([url('/late')]), 'late');
    });

    test('an answer that breaks is no whole answer', async () => {
      const { code, stdout } = await curl([url('/breaks')]);
      assert.deepEqual({ code, stdout }, { code: 18, stdout: 'a' }); // CURLE_PARTIAL_FILE
    });

    test(`three requests use one connection each, a browser's ${firmware === 'stock' ? 'use one' : 'do, too'}`, async () => {
      const three = ['-w', ' %{num_connects}\n', url('/query?1'), url('/query?2'), url('/query?3')];
      assert.equal(await output(three), '1 1\n2 1\n3 1\n');
      assert.equal(await output([...asBrowser, ...three]), firmware === 'stock' ? '1 1\n2 0\n3 0\n' : '1 1\n2 1\n3 1\n');
    });

    test('ten requests, three at a time', async () => {
      await parallel(['--parallel-max', '3']);
    });

    // On stock firmware all but one are kept out at first: TCP tries again for them, and then curl does.
    test('ten requests at the same time', async () => {
      await parallel(['--parallel-immediate', '--retry', '10', '--retry-all-errors', '--retry-delay', '1']);
    });

    async function parallel(options) {
      const folder = mkdtempSync(join(tmpdir(), 'ehttpserver-curl-'));
      try {
        // Each answer goes to the file that is named like what was asked for.
        const { code, stderr } = await curl(['--parallel', ...options, url('/query?part-[0-9]'), '-o', join(folder, '#1')]);
        assert.equal(code, 0, stderr);
        const answers = readdirSync(folder).sort().map((name) => readFileSync(join(folder, name), 'latin1'));
        assert.deepEqual(answers, Array.from({ length: 10 }, (_, i) => `part-${i}`));
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
  });
}
