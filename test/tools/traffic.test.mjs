// What npm start tells of a connection, from the bytes of both directions.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Conversation } from '../../tools/emulator/traffic.mjs';

const bytes = (text) => Buffer.from(text, 'latin1');

/**
 * What is reported of a connection.
 * @param {[from: string, text?: string][]} steps from: client or board, who sends the text; or a method that is called
 * @param {number} [piece] bytes at a time
 */
function told(steps, piece = Infinity) {
  const events = [];
  let now = 0;
  const conversation = new Conversation(({ note, ...event }) => events.push({ ...event, ...note && { note } }), () => now);
  conversation.opened();
  for (const [from, text = ''] of steps) {
    now += 10;
    const take = { client: 'received', board: 'sent' }[from];
    if (!take) conversation[from]();
    for (let i = 0; i < text.length; i += piece) conversation[take](bytes(text.slice(i, i + piece)));
  }
  return events;
}

const request = (method, path, status, count, ms, note) =>
  ({ type: 'request', method, path, status, bytes: count, ms, ...note && { note } });

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const OK = 'HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\nhello';
const CHUNKED = 'HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n';
const STREAM = { type: 'stream', method: 'GET', path: '/', status: 200, bytes: undefined, ms: undefined };
const CLOSE = 'HTTP/1.1 200 \r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello';
const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n';
const WS = { method: 'WS', path: '/ws' };

const cases = [
  ['a request and its answer', [['client', GET], ['board', OK]], [request('GET', '/', 200, 5, 10)]],
  ['requests on a kept connection', [['client', GET], ['board', OK], ['client', GET.replace('/', '/2')], ['board', CLOSE], ['ended'], ['closed']],
    [request('GET', '/', 200, 5, 10), request('GET', '/2', 200, 5, 10)]],
  ['requests that come together', [['client', GET + GET.replace('/', '/2')], ['board', OK], ['board', OK]],
    [request('GET', '/', 200, 5, 10), request('GET', '/2', 200, 5, 20)]],
  ['a body that looks like a request', [['client', `POST /up HTTP/1.1\r\ncontent-length: ${GET.length}\r\n\r\n${GET}`], ['board', OK]],
    [request('POST', '/up', 200, 5, 10)]],
  ['100, and no body in 204 and answers to HEAD',
    [['client', 'POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n'], ['board', 'HTTP/1.1 100 Continue\r\n\r\n'], ['client', 'xy'],
      ['board', 'HTTP/1.1 204 \r\n\r\n'], ['client', 'HEAD /b HTTP/1.1\r\n\r\n'], ['board', OK.slice(0, -5)]],
    [request('POST', '/a', 204, 0, 30), request('HEAD', '/b', 200, 0, 10)]],
  ['an answer that ends with the connection', [['client', GET], ['board', 'HTTP/1.1 200 \r\n\r\nhel'], ['board', 'lo'], ['ended'], ['closed']],
    [STREAM, request('GET', '/', 200, 5, 30)]],
  ['a stream in chunks', [['client', GET], ['board', CHUNKED + '3\r\nhel\r'], ['board', '\n2\r\nlo\r\n0\r\n'], ['board', '\r\n'], ['ended'], ['closed']],
    [STREAM, request('GET', '/', 200, 5, 30)]],
  ['a stream in chunks that breaks', [['client', GET], ['board', CHUNKED + '5\r\nhello\r\n'], ['ended'], ['closed']],
    [STREAM, request('GET', '/', 200, 5, 30, 'cut off')]],
  ['a client that leaves a stream', [['client', GET], ['board', 'HTTP/1.1 200 \r\n\r\nhel'], ['left'], ['ended'], ['closed']],
    [STREAM, request('GET', '/', 200, 3, 40, 'client left')]],
  ['an answer that is not whole', [['client', GET], ['board', OK.slice(0, -2)], ['ended'], ['closed']], [request('GET', '/', 200, 3, 30, 'cut off')]],
  ['a request without an answer', [['client', 'GET /slow HTTP/1.1\r\nHo'], ['left'], ['closed']],
    [request('GET', '/slow', undefined, 0, 20, 'client left')]],
  ['an answer before the request is whole; nothing is a request after it',
    [['client', 'GET /slow HTTP/1.1\r\nHo'], ['board', CLOSE.replace('200', '408')], ['client', GET], ['closed']],
    [request('GET', '/slow', 408, 5, 10)]],
  ['an answer that nobody asked for', [['board', CLOSE.replace('200', '503')], ['client', GET], ['closed']], [request('-', '-', 503, 5, 0)]],
  ['nothing at all', [['left'], ['closed']], []],
  ['what is no HTTP', [['client', '\x16\x03\x01'], ['left'], ['closed']], [request('?', '\x16\x03\x01', undefined, 0, 20, 'client left')]],
  ['a refused WebSocket', [['client', UPGRADE], ['board', CLOSE.replace('200', '403')]], [request('WS', '/ws', 403, 5, 10)]],
  ['a request to upgrade to something else', [['client', UPGRADE.replace('websocket', 'h2c')], ['board', OK]], [request('GET', '/ws', 200, 5, 10)]],
  ['a WebSocket: messages, not frames; not what controls it; the first close code', [
    ['client', UPGRADE], ['board', 'HTTP/1.1 101 \r\n\r\n\x81\x05hello\x02\x7e\x00\x80' + 'x'.repeat(128) + '\x80\x00'],
    ['client', '\x81\x82\x01\x02\x03\x04xy' +
      '\x89\x80\x00\x00\x00\x00\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04' + 'z'.repeat(65536) + '\x82\x80\x00\x00\x00\x00'],
    ['client', '\x88\x82\x01\x02\x03\x04\x02\xea'], ['board', '\x88\x02\x03\xe9'], ['ended'], ['closed'],
  ], [{ type: 'open', ...WS, status: 101, bytes: undefined, ms: undefined },
    { type: 'closed', ...WS, status: 1000, bytes: undefined, ms: 60, note: '3 in, 2 out' }]],
  ['a WebSocket whose first message does not wait for the answer',
    [['client', UPGRADE + '\x81\x81\x00\x00\x00\x00x'], ['board', 'HTTP/1.1 101 \r\n\r\n'], ['closed']],
    [{ type: 'open', ...WS, status: 101, bytes: undefined, ms: undefined },
      { type: 'closed', ...WS, status: 1006, bytes: undefined, ms: 20, note: '1 in, 0 out' }]],
  ['what follows a refused WebSocket', [['client', UPGRADE + GET], ['board', OK.replace('200', '404')], ['board', OK]],
    [request('WS', '/ws', 404, 5, 10), request('GET', '/', 200, 5, 10)]],
  ['empty lines', [['client', '\r\n'], ['client', '\r\n' + GET], ['board', OK], ['client', '\r\n'], ['closed']], [request('GET', '/', 200, 5, 10)]],
  ['a WebSocket whose client has gone', [['client', UPGRADE], ['board', 'HTTP/1.1 101 \r\n\r\n'], ['left'], ['closed']],
    [{ type: 'open', ...WS, status: 101, bytes: undefined, ms: undefined },
      { type: 'closed', ...WS, status: 1006, bytes: undefined, ms: 30, note: '0 in, 0 out' }]],
];

describe('traffic', () => {
  for (const piece of [Infinity, 1, 3]) {
    for (const [name, steps, events] of /** @type {[string, [string, string?][], object[]][]} */ (cases)) {
      // What both sides sent came in one piece, or in several at the same time.
      test(`${name}, ${piece === Infinity ? 'at once' : `${piece} bytes at a time`}`, () => assert.deepEqual(told(steps, piece), events));
    }
  }

  test('a client that was let in late has waited, one that never was has not been heard', () => {
    const events = [];
    let now = 0;
    const make = () => new Conversation(({ note }) => events.push(note), () => now);
    const late = make();
    late.received(bytes(GET));
    now = 1200;
    late.opened();
    late.sent(bytes(OK));
    late.received(bytes(GET));
    late.sent(bytes(OK));
    const never = make();
    never.received(bytes(GET));
    never.closed();
    const far = make();
    far.received(bytes(GET));
    now += 500;
    far.opened(500);
    far.sent(bytes(OK));
    assert.deepEqual(events, ['waited 1.2 s', undefined, 'never let in', undefined]);
  });
});
