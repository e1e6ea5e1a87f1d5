// HTTP as the client of a connection sees it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Exchange, requestIn } from '../board/exchange.mjs';

const bytes = (text) => Buffer.from(text, 'latin1');
const GET = 'GET / HTTP/1.1\r\nUser-Agent: Browser/1\r\n\r\n';
const OK = 'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n';

describe('a request that waits', () => {
  for (const [what, text, isWhole] of /** @type {const} */ ([
    ['a GET', GET, true],
    ['a GET and more', `${GET}x`, false],
    ['a POST with its body', 'POST / HTTP/1.1\r\nuser-agent:Browser/1\r\ncontent-length: 2\r\n\r\nab', true],
    ['a POST with a part of its body', 'POST / HTTP/1.1\r\nuser-agent: Browser/1\r\ncontent-length: 2\r\n\r\na', false],
    ['a POST in chunks', 'POST / HTTP/1.1\r\nuser-agent: Browser/1\r\ntransfer-encoding: chunked\r\n\r\n', false],
    ['the handshake of a WebSocket', 'GET / HTTP/1.1\r\nuser-agent: Browser/1\r\nupgrade: websocket\r\n\r\n', false],
  ])) {
    test(`${what} is ${isWhole ? '' : 'not '}one that can go down another connection`, () => {
      const { agent, isWhole: is } = requestIn([...text].map(bytes)) ?? assert.fail();
      assert.deepEqual({ agent, is }, { agent: 'Browser/1', is: isWhole });
    });
  }

  test('is none while its head has not come', () => {
    assert.equal(requestIn([bytes(GET.slice(0, -1))]), undefined);
  });

  test('may have no name', () => {
    assert.equal(requestIn([bytes('GET / HTTP/1.1\r\n\r\n')])?.agent, '');
  });
});

describe('a connection', () => {
  /** After a request and what answered it, which come at once or byte by byte. */
  const after = (answer, request = GET, split = false) => {
    const exchange = new Exchange();
    for (const piece of split ? [...request] : [request]) exchange.sent(bytes(piece));
    for (const piece of split ? [...answer] : [answer]) exchange.received(bytes(piece));
    return exchange;
  };

  for (const [what, answer, isKept, request] of /** @type {const} */ ([
    ['an answer', `${OK}ab`, true],
    ['a part of an answer', `${OK}a`, false],
    ['a part of its head', OK.slice(0, -1), false],
    ['an answer to HEAD', OK, true, GET.replace('GET', 'HEAD')],
    ['204', 'HTTP/1.1 204 \r\n\r\n', true],
    ['100, then an answer', `HTTP/1.1 100 Continue\r\n\r\n${OK}ab`, true],
    ['an answer that says close', OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\nab'), false],
    ['an answer of unknown length', 'HTTP/1.1 200 \r\n\r\nab', false],
    ['an answer that is too long', `${OK}abc`, false],
    ['an answer of HTTP/1.0', `${OK.replace('1.1', '1.0')}ab`, false],
    ['101', 'HTTP/1.1 101 \r\nupgrade: websocket\r\n\r\n', false],
  ])) {
    test(`after ${what} it is ${isKept ? '' : 'not '}kept`, () => {
      for (const split of [false, true]) {
        const exchange = after(answer, request, split);
        assert.equal(exchange.isKept, isKept);
        assert.equal(exchange.staysKept, isKept);
        assert.equal(exchange.agent, 'Browser/1');
      }
    });
  }

  test('is not kept before its first request, nor when it got an answer that it had not asked for', () => {
    const exchange = new Exchange();
    assert.equal(exchange.isKept, false);
    exchange.received(bytes(`${OK}ab`));
    exchange.sent(bytes(GET));
    assert.equal(exchange.isKept, false);
  });

  test('is not kept while its next request comes and is answered, but will be', () => {
    const exchange = after(`${OK}ab`);
    for (const step of [() => exchange.sent(bytes(GET.slice(0, 9))), () => exchange.sent(bytes(GET.slice(9))), () => exchange.received(bytes(OK))]) {
      step();
      assert.deepEqual([exchange.isKept, exchange.staysKept], [false, true]);
    }
    exchange.received(bytes('ab'));
    assert.equal(exchange.isKept, true);
  });

  test('is not followed for ever where it is not HTTP', () => {
    const exchange = new Exchange();
    for (let i = 0; i < 20; i++) exchange.sent(bytes('x'.repeat(1460)));
    exchange.sent(bytes(GET));
    exchange.received(bytes(`${OK}ab`));
    assert.equal(exchange.isKept, false);
  });
});
