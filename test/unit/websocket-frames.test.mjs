// Frames in, RFC 6455 section 5 check by check: literal bytes in, literal bytes out, and what the handler sees of them. Each row at
// once, byte by byte and cut in two at every point, on both firmwares.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../board/random.mjs';
import { cutsOf, FIRMWARES } from '../support/serve.mjs';
import { BINARY, bytes, frame, hex, latin1, openPeer, PING, recorder, serveWebSocket, TEXT } from '../support/websocket.mjs';

/** The mask of the RFC's examples; where it would only hide what is meant, frames have a mask of zeros. */
const M = '37fa213d';
const Z = '00000000';

const utf8 = (text) => Buffer.from(text).toString('hex');
const a = (length) => '61'.repeat(length);

/** [what it is, bytes in, bytes out, messages that the handler gets (binary as hex), options]. The socket stays open. */
const GOOD = [
  ['the text of the RFC', `8185 ${M} 7f9f4d5158`, '', ['Hello']],
  ['an empty text', `8180 ${M}`, '', ['']],
  ['a binary message', `8285 ${Z} 00807fff0a`, '', ['00807fff0a']],
  ['an empty binary message', `8280 ${M}`, '', ['']],
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((length) =>
    [`a mask over ${length} bytes`, `82${(128 + length).toString(16)} 01020408 ${'0000000000000000'.slice(0, 2 * length)}`, '', ['0102040801020408'.slice(0, 2 * length)]]),
  ['125 bytes', `81fd ${Z} ${a(125)}`, '', ['a'.repeat(125)]],
  ['126 bytes, the first with a length of 16 bits', `81fe 007e ${Z} ${a(126)}`, '', ['a'.repeat(126)]],
  ['200 bytes', `81fe 00c8 ${Z} ${a(200)}`, '', ['a'.repeat(200)]],
  ['16384 bytes, maxMessageBytes', `81fe 4000 ${Z} ${a(16384)}`, '', ['a'.repeat(16384)]],
  ['65535 bytes', `81fe ffff ${Z} ${a(65535)}`, '', ['a'.repeat(65535)], { maxMessageBytes: 70000 }],
  ['65536 bytes, the first with a length of 64 bits', `81ff 0000000000010000 ${Z} ${a(65536)}`, '', ['a'.repeat(65536)], { maxMessageBytes: 70000 }],
  ['two messages', `8185 ${M} 7f9f4d5158 8181 ${Z} 61`, '', ['Hello', 'a']],
  ['a text and a binary message', `8181 ${Z} 61 8281 ${Z} 61`, '', ['a', '61']],
  ['five messages', `8181 ${Z} 61 8180 ${Z} 8281 ${Z} 62 8180 ${Z} 8181 ${Z} 63`, '', ['a', '', '62', '', 'c']],

  ['a text in two fragments', `0183 ${M} 7f9f4d 8082 ${M} 5b95`, '', ['Hello']],
  ['a binary message in three', `0281 ${Z} 01 0082 ${Z} 0203 8081 ${Z} 04`, '', ['01020304']],
  ['empty fragments', `0180 ${M} 0080 ${M} 8080 ${M}`, '', ['']],
  ['empty fragments before and after', `0180 ${M} 0082 ${Z} 4869 8080 ${M}`, '', ['Hi']],
  ['fragments of 126 bytes', `01fe 007e ${Z} ${a(126)} 80fe 007e ${Z} ${a(126)}`, '', ['a'.repeat(252)]],
  ['fragments of 10 bytes, maxMessageBytes together', `0186 ${Z} ${a(6)} 8084 ${Z} ${a(4)}`, '', ['a'.repeat(10)], { maxMessageBytes: 10 }],
  ['a fragmented message, then whole ones', `0181 ${Z} 61 8081 ${Z} 62 8181 ${Z} 63 0181 ${Z} 64 8081 ${Z} 65`, '', ['ab', 'c', 'de']],
  ['a ping between fragments', `0182 ${Z} 4869 8981 ${Z} 70 8082 ${Z} 2121`, '8a0170', ['Hi!!']],
  ['pings and pongs between many fragments', `0181 ${Z} 48 8980 ${Z} 0080 ${Z} 8a82 ${Z} 7878 0081 ${Z} 69 8982 ${Z} 6162 8080 ${Z}`, '8a00 8a026162', ['Hi']],
  ['a mask of its own for each fragment', `0281 01000000 00 0081 02000000 00 8081 03000000 00`, '', ['010203']],
  ['a ping with a mask of its own between fragments', `0282 01000000 0000 8981 ff000000 00 8082 02000000 0000`, '8a01ff', ['01000200']],

  ['an empty ping', `8980 ${M}`, '8a00', []],
  ['a ping with data', `8985 ${M} 7f9f4d5158`, '8a0548656c6c6f', []],
  ['a ping that is no UTF-8', `8982 ${Z} ff00`, '8a02ff00', []],
  ['a ping of 125 bytes', `89fd ${Z} ${a(125)}`, `8a7d ${a(125)}`, []],
  ['pings of 125 bytes where messages have 120', `89fd ${Z} ${a(125)} 01bc ${Z} ${a(60)} 89fd ${Z} ${a(125)} 80bc ${Z} ${a(60)}`,
    `8a7d ${a(125)} 8a7d ${a(125)}`, ['a'.repeat(120)], { maxMessageBytes: 120 }],
  ['three pings, answered in order', `8981 ${Z} 31 8981 ${Z} 32 8981 ${Z} 33`, '8a0131 8a0132 8a0133', []],
  ['a pong that nobody asked for', `8a80 ${M} 8a84 ${Z} 70707070`, '', []],
  ['a ping before and behind a message', `8980 ${M} 8181 ${Z} 61 8981 ${Z} 62`, '8a00 8a0162', ['a']],

  ...['\0', '\x7f', '\x80', '\u07ff', '\u0800', '\ud7ff', '\ue000', '\ufeff', '\ufffd', '\uffff', '\u{10000}', '\u{10ffff}', 'κόσμε', 'aä€😀'].map((text) =>
    [`the text ${JSON.stringify(text)} (${utf8(text)})`, `81${(128 + utf8(text).length / 2).toString(16)} ${Z} ${utf8(text)}`, '', [text]]),
  ['a character of two bytes in two fragments', `0181 ${Z} c3 8081 ${Z} a4`, '', ['ä']],
  ['a character of four bytes in five fragments, one empty', `0181 ${Z} f0 0081 ${Z} 9f 0080 ${Z} 0081 ${Z} 98 8081 ${Z} 80`, '', ['😀']],
  ['a ping in the midst of a character', `0181 ${Z} c3 8981 ${Z} ff 8081 ${Z} a4`, '8a01ff', ['ä']],
  ['a character, masked', `8183 ${M} d5788d`, '', ['€']],
  ['bytes that are no UTF-8, as binary', `8284 ${Z} c3c0ff80`, '', ['c3c0ff80']],
  ['the same in fragments', `0281 ${Z} c3 8081 ${Z} c3`, '', ['c3c3']],
];

/** [what it is, bytes in, the status code that the socket is closed with, options]. `exact`: it is certain with the last byte, and not before. */
const BAD = [
  // Section 5.1: a client masks.
  ['a text without mask', '8105 48656c6c6f', 1002],
  ['an empty text without mask', '8100', 1002],
  ['a ping without mask', '8900', 1002],
  ['a pong without mask', '8a00', 1002],
  ['a close frame without mask', '8802 03e8', 1002],
  ['a fragment without mask', '0101 61', 1002],
  ['a second fragment without mask', `0181 ${Z} 61 8001 62`, 1002, { before: 1 }],
  ['a long frame without mask', `817e 007e`, 1002],
  // Section 5.2: RSV.
  ...[['c1', 'RSV1'], ['a1', 'RSV2'], ['91', 'RSV3'], ['f1', 'all RSV'], ['c2', 'RSV1, binary'], ['41', 'RSV1, a fragment'], ['c9', 'RSV1, ping'], ['aa', 'RSV2, pong'], ['98', 'RSV3, close']].map(([first, name]) =>
    [name, `${first}80`, 1002]),
  ['RSV1 in the second fragment', `0181 ${Z} 61 c080`, 1002],
  // Section 5.2: opcodes.
  ...['3', '4', '5', '6', '7', 'b', 'c', 'd', 'e', 'f'].flatMap((opcode) =>
    [[`opcode ${opcode}`, `8${opcode}80`, 1002], [`opcode ${opcode} within a message`, `0181 ${Z} 61 8${opcode}80`, 1002]]),
  ['opcode 3, a fragment', '0380', 1002],
  // Section 5.2: lengths in their shortest form.
  ['125 in 16 bits', `81fe 007d ${Z}`, 1002],
  ['0 in 16 bits', `81fe 0000 ${Z}`, 1002],
  ['65535 in 64 bits', `82ff 000000000000ffff ${Z}`, 1002],
  ['125 in 64 bits', `82ff 000000000000007d ${Z}`, 1002],
  ['0 in 64 bits', `82ff 0000000000000000 ${Z}`, 1002],
  ['the top bit of 64', `82ff 8000000000000000 ${Z}`, 1002],
  ['all 64 bits', `82ff ffffffffffffffff ${Z}`, 1002],
  // Section 5.4: the order of fragments.
  ['a continuation of nothing', '8080', 1002],
  ['a fragment that continues nothing', '0080', 1002],
  ['a continuation behind a whole message', `8181 ${Z} 61 8080`, 1002, { messages: ['a'] }],
  ['a continuation behind a fragmented message', `0181 ${Z} 61 8081 ${Z} 62 8080`, 1002, { messages: ['ab'] }],
  ['a whole message within one', `0181 ${Z} 61 8180`, 1002],
  ['a binary message within a text', `0181 ${Z} 61 8280`, 1002],
  ['a second first fragment', `0181 ${Z} 61 0180`, 1002],
  ['a second first fragment after an empty one', `0280 ${Z} 0280`, 1002],
  // Section 5.5: control frames.
  ['a ping in fragments', '0980', 1002],
  ['a pong in fragments', '0a80', 1002],
  ['a close frame in fragments', '0880', 1002],
  ['a ping of 126 bytes', '89fe', 1002],
  ['a pong of 126 bytes', '8afe', 1002],
  ['a close frame of 126 bytes', '88fe', 1002],
  ['a ping with a length of 64 bits', '89ff', 1002],
  // Section 5.5.1: close.
  ['a close frame of one byte', `8881 ${Z} 03`, 1002, { exact: true }],
  // Section 8.1: UTF-8, as soon as it is certain.
  ...[
    '80', 'bf', 'c0', 'c1', 'f5', 'f8', 'fc', 'fe', 'ff', 'c341', 'c3c3', 'e080', 'e09f', 'eda0', 'edbf', 'e28241', 'e282c3', 'f080', 'f08f', 'f490', 'f4bf',
    'f09f41', 'f09f9841', 'f09f98c3', '61ff', `${utf8('aä€😀')}80`,
  ].flatMap((text) => [
    [`the text ${text}, and more to come`, `81fd ${Z} ${text}`, 1007, { exact: true }],
    [`the text ${text}, masked`, `81fd ffffffff ${hex(bytes(text).map((byte) => byte ^ 255))}`, 1007, { exact: true }],
  ]),
  ...['c3', 'e2', 'e282', 'f0', 'f09f98', '61e282'].map((text) =>
    [`the text ${text}, and no more`, `81${(128 + text.length / 2).toString(16)} ${Z} ${text}`, 1007, { exact: true }]),
  ['a character that the second fragment breaks', `0181 ${Z} c3 00fd ${Z} 41`, 1007, { exact: true }],
  ['a character that an empty last fragment leaves unfinished', `0181 ${Z} c3 8080 ${Z}`, 1007, { exact: true }],
  ['a surrogate in two fragments', `0181 ${Z} ed 0081 ${Z} a0`, 1007, { exact: true }],
  ['a bad third fragment, with a ping before it', `0181 ${Z} 61 0081 ${Z} 62 8980 ${Z} 0085 ${Z} ff`, 1007, { exact: true, out: '8a00' }],
  ['a bad text in a frame of 16 bits', `81fe 2000 ${Z} ${a(3000)} ff`, 1007, { exact: true }],
  ['a reason that is no UTF-8', `8883 ${Z} 03e8ff`, 1007, { exact: true }],
  ['a reason that ends in a character', `8884 ${Z} 03e8e282`, 1007, { exact: true }],
  // Section 7.4.1: too big, before it is taken in.
  ['16385 bytes', `81fe 4001 ${Z}`, 1009],
  ['16385 binary bytes', `82fe 4001 ${Z}`, 1009],
  ['65536 bytes', `81ff 0000000000010000 ${Z}`, 1009],
  ['2^32 bytes', `82ff 0000000100000000 ${Z}`, 1009],
  ['2^63 - 1 bytes', `82ff 7fffffffffffffff ${Z}`, 1009],
  ['11 bytes where 10 are the most', `828b ${Z}`, 1009, { options: { maxMessageBytes: 10 } }],
  ['fragments that are 11 together', `0285 ${Z} 0000000000 0086 ${Z}`, 1009, { options: { maxMessageBytes: 10 } }],
  ['a fragment that is too big', `018b ${Z}`, 1009, { options: { maxMessageBytes: 10 } }],
  ['a last empty fragment cannot help', `0281 ${Z} 00 008a ${Z}`, 1009, { options: { maxMessageBytes: 10 } }],
];

/** Close frames of a client: [bytes in, bytes out, the code that the handler sees]. */
const CLOSES = [
  ['no code', `8880 ${M}`, '8800', 1005],
  ['1000', `8882 ${M} 3412`, '880203e8', 1000],
  ['a reason', `8885 ${Z} 03e8 627965`, '880203e8', 1000],
  ['a reason of 123 bytes', `88fd ${Z} 03e9 ${a(123)}`, '880203e9', 1001],
  ['a reason in UTF-8', `8885 ${Z} 0fa0 e282ac`, '88020fa0', 4000],
  ['in the midst of a message', `0181 ${Z} 61 8882 ${Z} 03e8`, '880203e8', 1000],
  ['behind a ping', `8980 ${Z} 8882 ${Z} 03e8`, '8a00 880203e8', 1000],
  ['with more behind it, which is ignored', `8882 ${Z} 03e8 8981 ${Z} 61 8181 ${Z} 61`, '880203e8', 1000],
  ['twice', `8882 ${Z} 03e8 8882 ${Z} 03e9`, '880203e8', 1000],
  ['behind a message', `8181 ${Z} 61 8882 ${Z} 03e8`, '880203e8', 1000, ['a']],
  ['behind three messages', `8181 ${Z} 61 8181 ${Z} 62 8181 ${Z} 63 8880 ${Z}`, '8800', 1005, ['a', 'b', 'c']],
];

/** The ways in which bytes come. Long ones are not sent byte by byte, and cut only around where something changes. */
function* deliveries(data) {
  yield ['at once', [data]];
  if (data.length < 500) yield ['byte by byte', [...data]];
  for (const at of cutsOf(data)) if (data.length < 20000 || at < 20) yield [`cut at ${at}`, [data.slice(0, at), data.slice(at)]];
}

/** A board whose sockets write down what they see: `next()` opens one. */
function setUp(firmware, options) {
  const set = { seen: undefined, peer: undefined };
  const { board } = serveWebSocket({ firmware, options, board: { passMicros: 400 }, * handler(...args) {
    const { seen, handler } = recorder();
    set.seen = seen;
    yield* handler(...args);
  } });
  set.board = board;
  set.next = () => {
    if (set.peer && !set.peer.over) {
      set.peer.client.end();
      board.run(3);
    }
    set.peer = openPeer(board);
    board.run(1);
    return set;
  };
  return set;
}

function sendAll(board, peer, pieces) {
  for (const piece of pieces) {
    peer.client.send(piece);
    board.run(0.8);
  }
}

/** Runs until the client has so many bytes of frames, and a little longer. */
function receive(board, peer, hexText, ms = 400) {
  const until = board.now + ms;
  while (peer.data.length < bytes(hexText).length && !peer.over && board.now < until) board.pass();
  board.run(3);
}

const closing = (code) => `8802${code.toString(16).padStart(4, '0')}`;
const spaceless = (hexText) => hexText.replaceAll(' ', '');

for (const firmware of FIRMWARES) {
  describe(`${firmware} firmware: taken`, () => {
    for (const [name, input, output, messages, options] of GOOD) {
      test(name, () => {
        const set = setUp(firmware, options);
        for (const [how, pieces] of deliveries(latin1(input))) {
          const { board, seen, peer } = set.next();
          sendAll(board, peer, pieces);
          const until = board.now + 400;
          while (board.now < until && (seen.messages.length < messages.length || peer.hex.length < spaceless(output).length)) board.pass();
          board.run(3);
          assert.deepEqual(seen.messages, messages, how);
          assert.equal(peer.hex, spaceless(output), how);
          assert.equal(peer.over, false, how);
          board.check();
        }
      });
    }
  });

  describe(`${firmware} firmware: the socket is closed because of`, () => {
    for (const [name, input, code, { options, exact, messages = [], out = '' } = {}] of BAD) {
      const output = spaceless(out) + closing(code);
      const check = ({ board, seen, peer }, how) => {
        receive(board, peer, output);
        assert.equal(peer.hex, output, how);
        assert.deepEqual(seen.messages, messages, how);
        assert.deepEqual(seen.codes, [code], how);
        const since = board.now;
        board.runUntil(() => peer.over, 2500);
        assert.ok(board.now - since < 400, `${how}: ended after ${board.now - since} ms`);
        assert.equal(peer.client.wasReset, false, how);
        assert.equal(peer.hex, output, how);
        assert.equal(seen.ended, true, how);
        board.check();
      };

      test(name, () => {
        const set = setUp(firmware, options);
        for (const [how, pieces] of deliveries(latin1(input))) {
          set.next();
          sendAll(set.board, set.peer, pieces);
          check(set, how);
        }
      });

      if (exact) {
        test(`${name}: not a byte too early`, () => {
          const set = setUp(firmware, options).next();
          sendAll(set.board, set.peer, [latin1(input).slice(0, -1)]);
          set.board.run(20);
          assert.equal(set.peer.hex, spaceless(out));
          assert.deepEqual(set.seen.codes, []);
          sendAll(set.board, set.peer, [latin1(input).slice(-1)]);
          check(set, 'its last byte');
        });
      }

      test(`${name}, by a client that goes on sending`, () => {
        const set = setUp(firmware, options).next();
        sendAll(set.board, set.peer, [latin1(input)]);
        for (let n = 0; n < 5; n++) sendAll(set.board, set.peer, [a(1000)]);
        check(set, 'and on');
      });
    }
  });

  describe(`${firmware} firmware: a client's close frame`, () => {
    const checkClose = (input, output, code, messages = []) => {
      const set = setUp(firmware);
      for (const [how, pieces] of deliveries(latin1(input))) {
        const { board, seen, peer } = set.next();
        sendAll(board, peer, pieces);
        receive(board, peer, output);
        assert.equal(peer.hex, spaceless(output), how);
        assert.deepEqual(seen, { messages, codes: [code], ended: true, ws: seen.ws }, how);
        const since = board.now;
        board.runUntil(() => peer.over, 2500);
        assert.ok(board.now - since < 400, `${how}: ended after ${board.now - since} ms`);
        board.check();
      }
    };

    for (const [name, input, output, code, messages] of CLOSES) {
      test(name, () => checkClose(input, output, code, messages));
    }

    // All of them once; the edges of their classes on the other firmware.
    const CODES = firmware === 'stock' ? [...Array(5001).keys(), 5999, 32768, 65535]
      : [0, 1, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1011, 1014, 1015, 1016, 1100, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65535];

    test(`${CODES.length} status codes`, () => {
      const allowed = (code) => (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
      const set = setUp(firmware);
      for (const code of CODES) {
        const { board, seen, peer } = set.next();
        peer.polite().close(code.toString(16).padStart(4, '0'));
        board.runUntil(() => peer.data.length === 4);
        const expected = allowed(code) ? code : 1002;
        assert.equal(peer.hex, closing(expected), `code ${code}`);
        assert.deepEqual(seen.codes, [expected], `code ${code}`);
        if (expected === 1002) peer.client.end(); // not to wait for the server
        board.runUntil(() => peer.client.state === 'closed');
        assert.equal(peer.client.wasReset, false);
        board.network.clients.length = 0;
      }
      set.board.check();
    });
  });

  describe(`${firmware} firmware: UTF-8`, () => {
    test('thousands of random texts, whole or broken, are judged as TextDecoder judges them, at the byte', () => {
      const random = seededRandom(Number(process.env.SEED) || 20240611);
      const set = setUp(firmware);
      const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
      const PARTS = ['61', 'c3a4', 'e282ac', 'f09f9880', 'ed9fbf', 'ee8080', 'f48fbfbf', 'e0a080', 'f0908080', 'c280', 'ff', '80', 'c0af', 'eda080', 'f4908080', 'e08080', 'f0808080', 'c3', 'e282', 'f09f98', 'f8', 'c3e2'];
      const pick = (count) => Math.floor(random() * count);
      for (let round = 0; round < 1500; round++) {
        const { board, seen, peer } = set.next();
        const broken = 10 + pick(PARTS.length * 2);
        const text = bytes(Array.from({ length: 1 + pick(20) }, () => PARTS[pick(Math.min(PARTS.length, broken))]).join(''));
        // The first byte with which no text can begin any more: a decoder that knows of more to come throws there.
        let failing = [...text.keys()].find((at) => throws(() => new TextDecoder('utf-8', { fatal: true }).decode(text.subarray(0, at + 1), { stream: true })));
        const whole = failing === undefined && !throws(() => strict.decode(text));
        const mask = Buffer.from([pick(256), pick(256), pick(256), pick(256)]);
        const data = frame(TEXT, text, { mask });
        if (failing === undefined) failing = text.length - 1;
        peer.client.send(data.subarray(0, 6 + failing));
        board.run(3);
        assert.equal(peer.hex, '', text.toString('hex'));
        peer.client.send(data.subarray(6 + failing));
        board.run(3);
        assert.equal(peer.hex, whole ? '' : closing(1007), text.toString('hex'));
        assert.deepEqual(seen.messages, whole ? [text.toString()] : [], text.toString('hex'));
        board.check();
      }
    });
  });

  describe(`${firmware} firmware: a program that reads frames itself`, () => {
    const setUpFrames = (options) => {
      const seen = { frames: [], codes: [], ended: false };
      const { board } = serveWebSocket({
        firmware,
        options,
        * handler(path, headers, ws) {
          ws.onclose = (code) => seen.codes.push(code);
          for (let each; (each = yield* ws.recvFrame()) !== null;) {
            seen.frames.push([each.fin, each.opcode, hex(each.payload)]);
            if (each.opcode === 8) yield* ws.sendClose(4001);
          }
          seen.ended = true;
        },
      });
      return { board, seen, peer: openPeer(board) };
    };

    test('sees every frame as it came, and nothing is answered for it', () => {
      const input = `0183 ${M} 7f9f4d 8985 ${M} 7f9f4d5158 0080 ${Z} 8a81 ${Z} 70 8082 ${Z} 6c6f 8282 ${Z} ffff 8181 ${Z} c3`;
      const frames = [
        [false, 1, '48656c'], [true, 9, '48656c6c6f'], [false, 0, ''], [true, 10, '70'], [true, 0, '6c6f'], [true, 2, 'ffff'], [true, 1, 'c3'],
      ];
      for (const [how, pieces] of deliveries(latin1(input))) {
        const { board, seen, peer } = setUpFrames();
        sendAll(board, peer, pieces);
        board.run(5);
        assert.deepEqual(seen, { frames, codes: [], ended: false }, how);
        assert.equal(peer.hex, '', how);
        board.check();
      }
    });

    test('closes the socket itself, and gets null then', () => {
      const { board, seen, peer } = setUpFrames();
      peer.close('03e8');
      board.run(5);
      assert.equal(peer.hex, closing(4001));
      assert.deepEqual(seen, { frames: [[true, 8, '03e8']], codes: [4001], ended: true });
      board.runUntil(() => peer.over, 400);
      assert.equal(peer.client.wasReset, false);
      board.check();
    });

    test('is spared frames that no client may send', () => {
      for (const [input, code] of [['8105', 1002], ['c180', 1002], ['8380', 1002], ['0980', 1002], ['89fe', 1002], [`81fe 007d ${Z}`, 1002], [`81fe 4001 ${Z}`, 1009]]) {
        const { board, seen, peer } = setUpFrames();
        peer.send(input);
        board.run(5);
        assert.equal(peer.hex, closing(code), input);
        assert.deepEqual(seen, { frames: [], codes: [code], ended: true }, input);
        board.check();
      }
    });

    test('gets null when the client leaves or is reset', () => {
      for (const leave of ['end', 'reset']) {
        const { board, seen, peer } = setUpFrames();
        peer.client[leave]();
        board.run(5);
        assert.deepEqual(seen, { frames: [], codes: [1006], ended: true }, leave);
        board.check();
      }
    });
  });

  test(`${firmware}: a long frame is taken in as it comes, and pings between long fragments are answered at once`, () => {
    const { board, seen, peer } = setUp(firmware).next();
    const part = Buffer.alloc(4000, 'p');
    for (let n = 0; n < 4; n++) {
      peer.send(frame(n ? 0 : BINARY, part, { fin: n === 3 }));
      if (n < 3) peer.send(frame(PING, String(n)));
      board.run(10);
      assert.equal(peer.frames.length, Math.min(n + 1, 3));
    }
    assert.deepEqual(seen.messages, ['70'.repeat(16000)]);
    board.check();
  });
}

function throws(action) {
  try {
    action();
    return false;
  } catch {
    return true;
  }
}
