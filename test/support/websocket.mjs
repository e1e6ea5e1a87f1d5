// A board with a WebSocket server on it, and clients that speak RFC 6455 in literal bytes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Board } from '../board/index.mjs';
import { loadLibrary, loadWebSocket, TURNED_AWAY } from './serve.mjs';

/** The sample of RFC 6455, section 1.3. */
export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
/** What it is answered with, all of it. */
export const SWITCHED = 'HTTP/1.1 101 \r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

export const acceptOf = (key) => createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');

/** A client's request. A header that is undefined is left out; an array is one that is repeated. */
export function handshake({ path = '/ws', method = 'GET', version = '1.1', ...headers } = {}) {
  const all = { Host: 'x', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': KEY, 'Sec-WebSocket-Version': '13', ...headers };
  const lines = Object.entries(all).flatMap(([name, value]) => [value ?? []].flat().map((each) => `${name}: ${each}\r\n`));
  return `${method} ${path} HTTP/${version}\r\n${lines.join('')}\r\n`;
}

/** Bytes of a hex text, in which spaces do not count. */
export const bytes = (hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex');
export const hex = (data) => Buffer.from(data).toString('hex');
/** The same as text of one character a byte. */
export const latin1 = (hexText) => bytes(hexText).toString('latin1');

/** The mask of RFC 6455's examples. */
const MASK = Buffer.from('37fa213d', 'hex');

/** A client's frame. */
export function frame(opcode, payload = '', { fin = true, mask = MASK } = {}) {
  const data = Buffer.from(payload);
  const { length } = data;
  const head = length > 65535 ? Buffer.alloc(10) : Buffer.alloc(length > 125 ? 4 : 2);
  head[0] = (fin ? 128 : 0) | opcode;
  head[1] = 128 | (length > 65535 ? 127 : length > 125 ? 126 : length);
  if (length > 65535) head.writeUIntBE(length, 4, 6);
  else if (length > 125) head.writeUInt16BE(length, 2);
  return Buffer.concat([head, mask, data.map((byte, i) => byte ^ mask[i & 3])]);
}

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** A server's bytes as frames; throws when there is anything that RFC 6455 forbids a server. The last one may be unfinished. */
export function framesOf(data) {
  const frames = [];
  let at = 0;
  while (data.length - at >= 2) {
    const opcode = data[at] & 15;
    assert.equal(data[at] & 0x70, 0, `RSV bits in frame ${frames.length}`);
    assert.ok([0, 1, 2, 8, 9, 10].includes(opcode), `opcode ${opcode} in frame ${frames.length}`);
    let length = data[at + 1];
    assert.ok(length < 128, `frame ${frames.length} is masked`);
    let head = 2;
    if (length === 126) [length, head] = [data.readUInt16BE(at + 2), 4];
    else if (length === 127) [length, head] = [data.readUIntBE(at + 4, 6), 10];
    if (data.length < at + head + length) break;
    frames.push({ fin: data[at] > 127, opcode, payload: data.subarray(at + head, at + head + length) });
    at += head + length;
  }
  return frames;
}

/**
 * Starts a WebSocketServer on a new board.
 * @param {object} setup
 * @param {'stock' | 'routed'} setup.firmware
 * @param {object} [setup.options] WebSocketOptions
 * @param {number} [setup.port] the first that it listens on
 * @param {(this: any, path: string, headers: object, ws: any) => unknown} [setup.handler] of /ws
 * @param {(server: any, library: any, board: Board) => void} [setup.routes] adds more routes
 * @param {object} [setup.board] more options of the board
 * @param {object} [setup.globals] what the program finds otherwise than on the board
 */
export function serveWebSocket({
  firmware, options, handler = function* (path, headers, ws) { while ((yield* ws.recv()) !== null); }, routes, port = 80, board: boardOptions, globals,
}) {
  const board = new Board({ firmware, passMicros: 100, ...boardOptions });
  Object.assign(board.global, globals);
  const library = loadLibrary(board);
  const extension = loadWebSocket(board, library);
  const server = new extension.WebSocketServer(options);
  server.route('/ws', 'WEBSOCKET', handler);
  routes?.(server, library, board);
  server.listen(port);
  board.run(5);
  return { board, library, extension, server };
}

/** A handler that writes down what it sees. */
export function recorder() {
  const seen = { messages: [], codes: [], ended: false, ws: undefined };
  return {
    seen,
    *handler(path, headers, ws) {
      seen.ws = ws;
      ws.onclose = (code) => { seen.codes.push(code); };
      for (let message; (message = yield* ws.recv()) !== null;) seen.messages.push(typeof message === 'string' ? message : hex(message));
      seen.ended = true;
    },
  };
}

/** A client on the memory network, from its handshake on: at the first port behind that of the pages, or at the one that is given. */
export class Peer {
  constructor(board, { path, headers, ...options } = {}) {
    this.board = board;
    this.client = board.connect({ port: 81, delay: 0.5, ...options });
    this.client.send(handshake({ path, ...headers }));
  }

  get answered() {
    return this.client.text.includes('\r\n\r\n');
  }

  get status() {
    return this.client.text.slice(9, 12);
  }

  /** What came behind the answer to the handshake. */
  get data() {
    const all = Buffer.from(this.client.bytes);
    return all.subarray(all.indexOf('\r\n\r\n') + 4);
  }

  get hex() {
    return hex(this.data);
  }

  get frames() {
    return framesOf(this.data);
  }

  /** Texts and binaries that came, binary as hex. */
  get messages() {
    return this.frames.filter(({ opcode }) => opcode < 3).map(({ opcode, payload }) => (opcode === TEXT ? payload.toString() : hex(payload)));
  }

  /** Sends hex, or bytes. */
  send(data) {
    this.client.send(typeof data === 'string' ? bytes(data) : data);
    return this;
  }

  text(text) {
    return this.send(frame(TEXT, text));
  }

  /** Answers what a client must answer: pings and the close frame, once each, as they come. */
  polite() {
    let answered = 0;
    this.client.onData = () => {
      if (!this.answered) return;
      for (const { opcode, payload } of this.frames.slice(answered)) {
        answered++;
        if (opcode === PING) this.send(frame(PONG, payload));
        if (opcode === CLOSE && !this.closing) this.send(frame(CLOSE, payload));
      }
    };
    return this;
  }

  /** The client begins to close. */
  close(payload = '03e8') {
    this.closing = true;
    return this.send(frame(CLOSE, bytes(payload)));
  }

  get over() {
    return this.client.ended || this.client.wasReset;
  }
}

/** A client whose socket is open. */
export function openPeer(board, options) {
  const peer = new Peer(board, options);
  board.runUntil(() => peer.answered, 12000);
  assert.equal(peer.status, '101');
  return peer;
}

/** The same, of one that tries again where it is turned away, as pages do. */
export function openPatiently(board, options) {
  for (let tries = 0; ; tries++) {
    assert.ok(tries < 20, `no socket: ${JSON.stringify(board.vitals())}`);
    const peer = new Peer(board, options);
    board.runUntil(() => peer.client.state === 'closed' || peer.status === '101', 20000);
    if (peer.status === '101') return peer;
    assert.ok(['', TURNED_AWAY].includes(peer.client.text), peer.client.text);
    board.run(500);
  }
}
