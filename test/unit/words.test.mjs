// Bytes are looked at and unmasked a word at a time: eight bytes on the board, four in an engine without BigUint64Array. Neither the length
// of what comes or goes, nor the place of a byte in it, makes a difference.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchange, serve } from '../support/serve.mjs';
import { BINARY, frame, openPeer, recorder, serveWebSocket, TEXT } from '../support/websocket.mjs';

const ENGINES = [['eight', {}], ['four', { BigUint64Array: undefined }]];
/** Around a word, and around the four words that are looked at together. */
const LENGTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40];

/** ASCII of a length; and for each place the same with another byte there. */
const ascii = (length) => Buffer.alloc(length, 'abcdefghijklmnopqrstuvwxyz');
function* withByte(length, byte) {
  for (let at = 0; at < length; at++) {
    const data = ascii(length);
    data[at] = byte;
    yield data;
  }
}

/** Posts a body, and returns what the handler got and what came back. */
function echoed(board, bodies, body) {
  const head = Buffer.from(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n`);
  const { text } = exchange(board, [Buffer.concat([head, body])], 1000, { ms: 20 });
  return { got: Buffer.from(bodies.pop()), back: Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1') };
}

for (const [bytes, globals] of ENGINES) {
  test(`words of ${bytes} bytes: the board has the engine that is meant`, () => {
    const { board } = serve({ firmware: 'routed', globals });
    assert.equal(typeof board.global.BigUint64Array, bytes === 'eight' ? 'function' : 'undefined');
  });

  test(`words of ${bytes} bytes: bytes go out as they are, wherever one above 127 is`, () => {
    const bodies = [];
    const { board } = serve({ firmware: 'routed', globals, routes: (server) => {
      server.route('/', 'POST', (path, query, headers, body) => {
        bodies.push(body);
        return body;
      });
    } });
    for (const length of LENGTHS) {
      for (const body of [ascii(length), ...withByte(length, 0x80), ...withByte(length, 0xff), ...withByte(length, 0)]) {
        const { got, back } = echoed(board, bodies, body);
        assert.deepEqual([got, back], [body, body]);
      }
    }
    board.check();
  });

  test(`words of ${bytes} bytes: a header has the characters of its bytes, wherever one above 127 is`, () => {
    const values = [];
    const { board } = serve({ firmware: 'routed', globals, routes: (server) => {
      server.route('/', 'GET', (path, query, headers) => {
        values.push(headers.a);
        return '';
      });
    } });
    for (const length of LENGTHS) {
      for (const value of [ascii(length), ...withByte(length, 0x80), ...withByte(length, 0xa0), ...withByte(length, 0xff)]) {
        const client = board.connect({ delay: 0.5 });
        client.send(Buffer.concat([Buffer.from('GET / HTTP/1.1\r\nhost: x\r\na: '), value, Buffer.from('\r\n\r\n')]));
        board.runUntil(() => values.length > 0, 1000);
        board.run(5);
        assert.equal(values.pop(), value.toString('latin1'));
      }
    }
    board.check();
  });

  test(`words of ${bytes} bytes: frames of any length are unmasked, and one bad byte anywhere in a text is seen`, () => {
    const { seen, handler } = recorder();
    const { board } = serveWebSocket({ firmware: 'routed', globals, handler });
    const peer = openPeer(board);
    for (const length of [0, ...LENGTHS]) {
      for (const mask of [Buffer.from('37fa213d', 'hex'), Buffer.alloc(4), Buffer.from('80000000', 'hex'), Buffer.from('00ff0080', 'hex')]) {
        peer.send(Buffer.concat([frame(TEXT, ascii(length), { mask }), frame(BINARY, Buffer.alloc(length, 0xd5), { mask })]));
        board.runUntil(() => seen.messages.length === 2, 1000);
        assert.deepEqual(seen.messages.splice(0), [ascii(length).toString(), 'd5'.repeat(length)]);
      }
    }
    for (const length of [1, 4, 8, 9, 17]) {
      for (const bad of withByte(length, 0xff)) {
        const recorded = recorder();
        const other = serveWebSocket({ firmware: 'routed', globals, handler: recorded.handler });
        const client = openPeer(other.board);
        client.send(frame(TEXT, bad));
        other.board.runUntil(() => recorded.seen.codes.length > 0, 1000);
        assert.deepEqual(recorded.seen.codes, [1007], bad.toString('hex'));
        other.board.check();
      }
    }
    board.check();
  });
}
