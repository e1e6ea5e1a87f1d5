/**
 * WebSockets (RFC 6455) for ehttpserver, in the same generator style.
 *
 *     const server = new WebSocketServer();
 *     server.route('/echo', 'WEBSOCKET', function* (path, headers, ws) {
 *       for (let message; (message = yield* ws.recv()) !== null;) yield* ws.send(message);
 *     });
 *     server.listen(80);
 */
import { Connection, Handler, Piece, RequestHeaders, Response, Route, Server, ServerOptions, _seam } from './ehttpserver';

const core = _seam; // a local name is shorter than a module's export
const {
  _checkUtf8, _consume, _drain, _end, _failure, _flush, _HIGH_BITS, _iteratorOf, _limitMemory, _listOf, _log, _NO_BYTES, _piecesOf, _pull,
  _scratch, _scratchWords, _send, _sizeOf, _stepOf, _utf8Bytes,
} = core;

// ---------------------------------------------------------------------------------------------------------- contract

/** RFC 6455, section 5.2. */
const enum Opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 }

/** {@link Frame.opcode}: continues a message. */
export const WS_OPCODE_CONTINUATION = Opcode.CONTINUATION;
/** {@link Frame.opcode}: begins a text message (UTF-8). */
export const WS_OPCODE_TEXT = Opcode.TEXT;
/** {@link Frame.opcode}: begins a binary message. */
export const WS_OPCODE_BINARY = Opcode.BINARY;
/** {@link Frame.opcode}: closes the socket. */
export const WS_OPCODE_CLOSE = Opcode.CLOSE;
/** {@link Frame.opcode}: asks for a pong. */
export const WS_OPCODE_PING = Opcode.PING;
/** {@link Frame.opcode}: answers a ping. */
export const WS_OPCODE_PONG = Opcode.PONG;

/** A received frame, unmasked. */
export interface Frame {
  /** Whether this is the last frame of its message. */
  fin: boolean;
  /** One of the `WS_OPCODE_` numbers. */
  opcode: number;
  /** The bytes of the frame, at most maxMessageBytes. */
  payload: Uint8Array;
}

/** An iterator for `yield*`: it yields until it has its value. */
export interface Steps<T> {
  /** Runs one step: not done, or done with the value. */
  next(): IteratorResult<undefined, T>;
  /** Returns itself, for `yield*`. */
  [Symbol.iterator](): Steps<T>;
}

/** Limits and switches, in addition to those of {@link ServerOptions}. */
export interface WebSocketOptions extends ServerOptions {
  /** Ports after the first, 0 to 4. On stock firmware, each takes one WebSocket at a time. With 0, the first port takes one. Default 3. */
  sockets?: number;
  /** Most bytes of a received message (a larger one closes with 1009), and of output that waits (more drops the client). Default 16384. */
  maxMessageBytes?: number;
  /** Seconds between two pings. A client that does not answer two of them is dropped. 0: no pings. Default 20. */
  pingSeconds?: number;
  /** Origins that may connect in addition to the server's own, such as 'http://example.com', or '*' for all. Default none. */
  origins?: string[];
  /** Subprotocols. The first one that the client also offers is used. Default none. */
  protocols?: string[];
}

/**
 * Serves one WebSocket: a generator, an async function, or a function that sets {@link WebSocket.onmessage}. `this` is the server. When a
 * generator or an async function ends, the socket is closed with 1000. When any of them throws, it is closed with 1011.
 * @param path percent-decoded once, without the query
 * @param headers the headers of the handshake, with names in lower case
 * @param ws the socket
 * @param query raw, without the "?"
 * @param match the match of the route's regular expression: `match[1]` is its first group
 */
export type WebSocketHandler<S = any> = (
  this: S, path: string, headers: RequestHeaders, ws: WebSocket, query: string, match: string[],
) => unknown;

declare function btoa(bytes: Uint8Array): string;
declare function millis(): number;
declare class TextDecoder { decode(bytes: Uint8Array): string; }

type Limits = Required<WebSocketOptions>;

// ----------------------------------------------------------------------------------------------------------- numbers

const enum Max {
  /** A longer message is delivered in a step of its own. Also the room that a message in fragments gets at first. */
  SHORT = 2048,
  /** Blocks of input (a segment at most) that are unmasked in a step. With one, input would pile up when a segment comes in each pass. */
  BLOCKS = 2,
  /** Most bytes in a control frame's payload. */
  CONTROL = 125,
  /** Bytes of control frames that may wait to go out in addition to a message. */
  SLACK = 1024,
}

const enum Code { NORMAL = 1000, PROTOCOL = 1002, NONE = 1005, LOST = 1006, BAD_DATA = 1007, TOO_BIG = 1009, FAILED = 1011 }

const WAIT = { done: false } as IteratorResult<undefined, any>;

/** The options of a socket's server. */
const limitsOf = (ws: WebSocket) => ws._connection._server._limits as Limits;

/** Steps until `value` returns something. */
function steps<T>(value: () => T | undefined): Steps<T> {
  const iterator: any = {
    next: () => {
      const result = value();
      return result === undefined ? WAIT : { done: true, value: result };
    },
  };
  iterator[Symbol.iterator] = () => iterator;
  return iterator;
}

// ----------------------------------------------------------------------------------------------------------- upgrade

/** The members of a comma-separated header: RFC 9110, section 5.6.1. */
const members = (header?: string) => _listOf(header).split(/[ \t,]+/);

const hasToken = (header: string | undefined, token: string) => members(_listOf(header).toLowerCase()).indexOf(token) >= 0;

/** A host without its port: a page from one port of the board opens its socket on another port. */
const hostName = (authority: string) => authority.replace(/:\d*$/, '');

const upgradeRequired = () => _failure(426, { upgrade: 'websocket', 'sec-websocket-version': '13' });

const asksForWebSocket = ({ _method, _keep, _headers }: Connection) =>
  _headers.upgrade && _method === 'GET' && _keep && hasToken(_headers.upgrade, 'websocket') && hasToken(_headers.connection, 'upgrade');

/** RFC 6455, section 4.2: checks the handshake, then answers it. */
function upgrade(server: Server, request: Connection, handler: (ws: WebSocket) => unknown): Response | Steps<Response> {
  if (request._headers['sec-websocket-version'] !== '13') return upgradeRequired();
  const { origins, protocols } = server._limits as Limits;
  const [first] = server._listeners;
  const { host, origin, 'sec-websocket-key': key, 'sec-websocket-protocol': offer } = request._headers;
  const answer: { [name: string]: string } = { upgrade: 'websocket', connection: 'Upgrade' };
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key)) return _failure(400); // 16 bytes in base64
  if (origin && origins.indexOf(origin) < 0 && origins.indexOf('*') < 0
    && hostName(origin.replace(/^https?:\/\//, '')) !== hostName(host.toLowerCase())) return _failure(403);
  if (first._reader === request && server._listeners[1]) {
    // Stock firmware: this port is for pages, and can read one client at a time.
    return _failure(421, undefined, server._listeners.slice(1).map((listener) => listener._port).join(', '));
  }
  request._drainUntil = true; // so that step() does not seal it: it stays the reader
  const hash = [0x67452301, 0xEFCDAB89, ~0x67452301, ~0xEFCDAB89, 0xC3D2E1F0];
  let block = 0;
  return steps(() => { // SHA-1 takes long, so each of its two blocks gets a step of its own
    addBlock(hash, key, block);
    if ((block += 64) < 65) return;
    const protocol = protocols.filter((name) => members(offer).indexOf(name) >= 0)[0];
    answer['sec-websocket-accept'] = base64(hash);
    if (protocol) answer['sec-websocket-protocol'] = protocol;
    const response = new Response('', 101, '', answer);
    response._nextStage = new WebSocket(request, handler);
    return response;
  });
}

// ------------------------------------------------------------------------------------------------------------ socket

/** A WebSocket, as its handler sees it. Defaults are on the prototype, so that an idle socket takes less memory. */
export class WebSocket {
  /** True once either side has sent a close frame, or the connection is lost. */
  declare closed: boolean;
  /** The close code of whoever closed first: 1005 if the client gave none, 1006 if the connection was lost, 0 while the socket is open. */
  declare closeCode: number;
  /** Bytes of output that wait to be sent. */
  declare bufferedAmount: number;
  /** If set, it is called with each whole message: text as a string, binary as a Uint8Array. */
  declare onmessage?: (data: string | Uint8Array) => void;
  /** If set, it is called once when the socket is closed, with {@link closeCode}. */
  declare onclose?: (code: number) => void;

  /** @internal */ declare _connection: Connection;
  /** @internal Bytes of input that may wait: one message. */
  declare _maxBytes: number;
  /** @internal The handler until it is called, then the iterator that it returned. */
  declare _handler?: (ws: WebSocket) => unknown;
  /** @internal */ declare _running?: Iterator<unknown>;
  /** @internal The message is whole and not taken yet. */
  declare _whole: boolean;
  /** @internal Whether the program reads frames itself, and a frame that it has not taken yet. */
  declare _byFrame: boolean;
  /** @internal */ declare _frame?: Frame;

  /**
   * @internal The current frame: its first byte (bit 128: FIN, bit 8: control frame), its mask, where its payload goes, and how many bytes have
   * arrived. Without a target, there is no current frame.
   */
  declare _firstByte: number;
  /** @internal */ declare _mask: Uint8Array;
  /** @internal */ declare _target?: Uint8Array;
  /** @internal */ declare _received: number;
  /** @internal The current message, in the connection's _body: its opcode (0: none), bytes so far, and how many of them are checked UTF-8. */
  declare _type: number;
  /** @internal */ declare _length: number;
  /** @internal */ declare _utf8: number;

  /** @internal Bytes queued since the beginning. */
  declare _queued: number;
  /** @internal */ declare _pingAt: number;
  /** @internal Pings that are not answered yet. */
  declare _pings: number;
  /** @internal What ends the connection once all output is sent. */
  declare _then?: (connection: Connection) => void;

  /** @internal */
  constructor(connection: Connection, handler: (ws: WebSocket) => unknown) {
    this._connection = connection;
    this._handler = handler;
    this._maxBytes = limitsOf(this).maxMessageBytes;
    schedulePing(this);
  }

  /** @internal Runs one bounded step. */
  next(): void {
    const connection = this._connection;
    if (_flush(connection)) {
      if (this._then) {
        this._then(connection);
        return this.return(); // the handler may throw
      }
      connection._deadline = Infinity;
    }
    updateBuffered(this);
    goOn(this);
    if (millis() > this._pingAt) ping(this);
  }

  /** @internal The connection has ended, or the close frame is sent. Reads the input that is left, tells the handler, and ends it. */
  return(): void {
    let left;
    while (!this.closed && left !== this._connection._waiting) {
      left = this._connection._waiting;
      goOn(this);
    }
    const work = this._running;
    this._running = undefined;
    noteClosed(this, Code.LOST);
    if (work && !work.next().done && work.return) work.return();
  }

  /** Use `yield*`. Gives the next whole message, as a string or a Uint8Array, or null once the socket is closed. */
  recv(): Steps<string | Uint8Array | null> {
    return steps(() => {
      return this._whole ? take(this) : this.closed ? null : undefined;
    });
  }

  /**
   * Use `yield*`. Gives the next frame, unmasked, or null once the socket is closed. From the first call on, the program gets every frame and
   * handles pings, fragments and closing itself.
   */
  recvFrame(): Steps<Frame | null> {
    const { _whole, _type, _length, _connection } = this;
    // The part of a message that has arrived becomes its first frame.
    if (_whole || _length) this._frame = { fin: _whole, opcode: _type, payload: _connection._body.subarray(0, _length) };
    this._byFrame = true;
    this._whole = false;
    this._type = this._length = this._utf8 = 0;
    return steps(() => {
      const frame = this._frame;
      if (frame) {
        this._frame = undefined;
        if (!this._target) this._connection._body = _NO_BYTES;
      }
      return !frame && this.closed ? null : frame;
    });
  }

  /**
   * Queues a message at once. On a closed socket, it does nothing.
   * @param data a string is sent as text, a Uint8Array (no other buffer) as binary, any other value as JSON text
   * @returns an iterator that ends when all of the message is sent. `yield*` it for backpressure, or ignore it
   */
  send(data: string | Uint8Array | object | number | boolean | null): Steps<true> {
    return data instanceof Uint8Array ? this.sendBinary(data) : this.sendText(typeof data === 'string' ? data : JSON.stringify(data));
  }

  /** See {@link send}. */
  sendText(text: string): Steps<true> {
    return queue(this, Opcode.TEXT, text);
  }

  /** See {@link send}. */
  sendBinary(bytes: Uint8Array): Steps<true> {
    return queue(this, Opcode.BINARY, bytes);
  }

  /**
   * See {@link send}.
   * @param bytes at most 125. Default none
   * @throws Error when there are more than 125
   */
  sendPing(bytes?: Uint8Array): Steps<true> {
    return queue(this, Opcode.PING, bytes || _NO_BYTES);
  }

  /** Like {@link sendPing}. Only needed with {@link recvFrame}: otherwise pings are answered automatically. */
  sendPong(bytes?: Uint8Array): Steps<true> {
    return queue(this, Opcode.PONG, bytes || _NO_BYTES);
  }

  /**
   * Closes the socket: RFC 6455, section 7. The close frame follows what was queued before.
   * @param code the close code. Default 1000
   * @param reason at most 123 bytes as UTF-8. Default none
   * @returns an iterator that ends at once
   * @throws Error when the reason is longer, or the code must not be sent: RFC 6455, section 7.4
   */
  sendClose(code?: number, reason?: string): Steps<true> {
    if (code && !isCloseCode(code)) throw Error('Bad close code');
    close(this, code || Code.NORMAL, reason);
    return steps(() => true);
  }
}

const defaults = WebSocket.prototype;
defaults.closed = defaults._byFrame = defaults._whole = false;
defaults.closeCode = defaults.bufferedAmount = defaults._received = defaults._type = defaults._length = defaults._utf8 = defaults._queued
  = defaults._pings = 0;

// --------------------------------------------------------------------------------------------------------- frames in

/** Reads the input of a frame: RFC 6455, section 5. Data frames wait until the program has taken the message before. */
function read(ws: WebSocket): void {
  const connection = ws._connection;
  if (ws._whole && ws.onmessage) return ws.onmessage(take(ws)); // a long message gets a step of its own
  _pull(connection);
  const isData = !((ws._target ? ws._firstByte : connection._in[0]) & 8);
  if (ws._frame || (ws._whole && isData) || (!ws._target && !readFrameHead(ws))) return;
  const target = ws._target!;
  for (let blocks = Max.BLOCKS; blocks-- && ws._received < target.length && ws._utf8 >= 0;) {
    _pull(connection);
    const bytes = connection._in.subarray(0, target.length - ws._received);
    const payload = target.subarray(ws._received, ws._received + bytes.length);
    const isAscii = unmask(ws, bytes, payload);
    ws._received += bytes.length;
    _consume(connection, bytes.length);
    if (ws._firstByte & 8) continue;
    const end = ws._length + ws._received;
    if (ws._type === Opcode.TEXT && (!isAscii || ws._utf8 < end - bytes.length)) {
      ws._utf8 = _checkUtf8(connection._body, ws._utf8, end);
      break;
    }
    ws._utf8 = end;
  }
  if (ws._utf8 < 0) close(ws, Code.BAD_DATA);
  else if (ws._received === target.length) endFrame(ws, target);
}

/** Unmasks the next bytes of a frame's payload, a word at a time. Returns whether all of them are ASCII. */
function unmask({ _mask, _received }: WebSocket, bytes: Uint8Array, payload: Uint8Array): boolean {
  const { length } = bytes;
  const words = _scratchWords;
  const end = length + 15 & ~7; // the last word is the mask, which also fills up the one before
  for (let i = end; i > length;) _scratch[--i] = _mask[_received + i & 3];
  let i = end * words.length / _scratch.length;
  const mask = words[i - 1];
  let bits = mask ^ mask;
  _scratch.set(bytes);
  while (i--) bits |= words[i] ^= mask;
  payload.set(_scratch.subarray(0, length));
  return !(bits & _HIGH_BITS);
}

/** Bytes of a frame's head with its mask, from the 7-bit length in it. */
const headSize = (length: number) => length > 126 ? 14 : length > 125 ? 8 : 6;

/** Bytes of a frame, head and payload. -1 when the head is not whole yet, -2 when it is invalid: RFC 6455, section 5.2. */
function frameSize(input: Uint8Array): number {
  const first = input[0];
  let length = input[1] & 127;
  const size = headSize(length);
  if (first & 112 || (first & 7) > 2 || input[1] < 128 || (first & 8 && (first < 128 || length > Max.CONTROL))) return -2;
  if (input.length < size) return -1;
  if (size > 6) {
    length = 0;
    for (let i = 2; i < size - 4; i++) length = length * 256 + input[i];
    // A length in a longer form than needed, or a 64-bit length with the top bit set.
    if (length < (size > 8 ? 65536 : 126) || (size > 8 && input[2] > 127)) return -2;
  }
  return length + size;
}

/** Reads the head of a frame and makes room for its payload. False when it is not whole yet, or invalid: then the socket is closed. */
function readFrameHead(ws: WebSocket): boolean {
  const input = ws._connection._in;
  const first = input[0];
  const size = frameSize(input);
  // Only the first frame of a message has an opcode other than 0. (Without input the remainder is NaN, which is not below 8.)
  if (size < -1 || (first % 16 < 8 && !ws._byFrame && !(first & 15) === !ws._type)) return close(ws, Code.PROTOCOL);
  return size >= 0 && beginFrame(ws, first, size, input);
}

/** @param input the frame, `size` bytes long with its head, and what follows it */
function beginFrame(ws: WebSocket, first: number, size: number, input: Uint8Array): boolean {
  const connection = ws._connection;
  const head = headSize(input[1] & 127);
  const length = size - head;
  const end = ws._length + length;
  if ((!(first & 8) && end > ws._maxBytes) || !_limitMemory(length)) return close(ws, Code.TOO_BIG);
  ws._firstByte = first;
  if (first & 8) {
    ws._target = new Uint8Array(length);
  } else {
    if (first & 15 && !ws._byFrame) ws._type = first & 15;
    if (ws._byFrame || end > connection._body.length) {
      // The length of a message in fragments is unknown. First it gets room for a short one, then for the longest.
      const body = new Uint8Array(ws._byFrame || first > 127 ? end : end > Max.SHORT ? ws._maxBytes : Math.min(Max.SHORT, ws._maxBytes));
      if (ws._length) body.set(connection._body.subarray(0, ws._length));
      connection._body = body;
    }
    ws._target = connection._body.subarray(ws._length, end);
  }
  ws._received = 0;
  ws._mask = new Uint8Array(input.subarray(head - 4, head));
  _consume(connection, head);
  return true;
}

function endFrame(ws: WebSocket, payload: Uint8Array): void {
  const opcode = ws._firstByte & 15;
  ws._target = undefined;
  if (opcode === Opcode.PONG) ws._pings = 0;
  if (ws._byFrame) ws._frame = { fin: ws._firstByte > 127, opcode, payload };
  else if (opcode === Opcode.CLOSE) receiveClose(ws, payload);
  else if (opcode === Opcode.PING) ws.sendPong(payload);
  else if (opcode < 8) endData(ws, payload.length);
}

// ---------------------------------------------------------------------------------------------------------- messages

function endData(ws: WebSocket, length: number): void {
  ws._length += length;
  if (ws._firstByte < 128) return;
  if (ws._utf8 < ws._length) close(ws, Code.BAD_DATA); // the message ends within a character
  else if (ws.onmessage && ws._length <= Max.SHORT) ws.onmessage(take(ws));
  else ws._whole = true;
}

/** Takes the whole message. */
function take(ws: WebSocket): string | Uint8Array {
  const { _body } = ws._connection;
  // A message in fragments may have got more room than it needed.
  const bytes = ws._length < _body.length ? new Uint8Array(_body.subarray(0, ws._length)) : _body;
  const message = ws._type === Opcode.TEXT ? new TextDecoder().decode(bytes) : bytes;
  ws._connection._body = _NO_BYTES;
  ws._type = ws._length = ws._utf8 = 0;
  ws._whole = false;
  return message;
}

// ----------------------------------------------------------------------------------------------------------- handler

/** Steps the handler, then reads what the client sent. */
function goOn(ws: WebSocket): void {
  try {
    stepHandler(ws);
    if (!ws.closed) read(ws);
  } catch (error) {
    _log(ws._connection._server, error);
    close(ws, Code.FAILED);
  }
}

function stepHandler(ws: WebSocket): void {
  const connection = ws._connection;
  const handler = ws._handler;
  if (handler) {
    ws._handler = undefined;
    const work = _iteratorOf(handler(ws));
    connection._headers = null!; // an idle socket takes less memory without them
    if (work) ws._running = work;
  } else if (ws._running) {
    const work = ws._running;
    ws._running = undefined; // it may close the server, which would end it while it runs; and when it throws, it is over
    if (_stepOf(work).done) close(ws, Code.NORMAL);
    else ws._running = work;
  }
}

// -------------------------------------------------------------------------------------------------------- frames out

/** Queues a whole frame. A client that leaves more than a message waiting is dropped. */
function queue(ws: WebSocket, opcode: number, payload: string | Uint8Array): Steps<true> {
  const connection = ws._connection;
  const pieces = typeof payload === 'string' ? _piecesOf(payload) : [new Uint8Array(payload)]; // the program may change its bytes
  const length = _sizeOf(pieces);
  const head = length > 65535 ? [0, 127, 0, 0, 0, 0, length >> 24, length >> 16, length >> 8, length]
    : length > 125 ? [0, 126, length >> 8, length] : [0, length];
  if (opcode > 7 && length > Max.CONTROL) throw Error('More than 125 bytes');
  head[0] = 128 | opcode;
  if (!ws.closed) {
    if (ws.bufferedAmount + length > ws._maxBytes + Max.SLACK) connection._deadline = 0;
    if (connection._deadline) { // 0: the client is being dropped
      _send(connection, ([new Uint8Array(head)] as Piece[]).concat(pieces));
      ws._queued += head.length + length;
      updateBuffered(ws);
      _limitMemory(0);
    }
  }
  const end = ws._queued;
  return steps(() => ws.closed || ws._queued - ws.bufferedAmount >= end || undefined);
}

const updateBuffered = (ws: WebSocket) => ws.bufferedAmount = ws._connection._unsent;

function schedulePing(ws: WebSocket): void {
  ws._pingAt = millis() + (limitsOf(ws).pingSeconds * 1000 || Infinity);
}

function ping(ws: WebSocket): void {
  schedulePing(ws);
  if (ws._pings++ > 1) ws._connection._deadline = 0;
  else ws.sendPing();
}

// ----------------------------------------------------------------------------------------------------------- closing

/** Whether a close frame may have this code: RFC 6455, section 7.4. */
const isCloseCode = (code: number) => code > 2999 ? code < 5000 : code > 999 && code < 1015 && (code < 1004 || code > 1006);

/** The client has sent its close frame: RFC 6455, section 5.5.1. */
function receiveClose(ws: WebSocket, payload: Uint8Array): void {
  const { length } = payload;
  const code = length ? payload[0] << 8 | payload[1] : Code.NONE;
  if (length === 1 || (length && !isCloseCode(code))) {
    close(ws, Code.PROTOCOL);
  } else if (_checkUtf8(payload, 2, length) < length) {
    close(ws, Code.BAD_DATA);
  } else {
    queue(ws, Opcode.CLOSE, payload.subarray(0, 2));
    ws._then = _end;
    noteClosed(ws, code);
  }
}

/** Sends the close frame, after which the client's input is discarded. Always returns false. */
function close(ws: WebSocket, code: number, reason?: string): false {
  if (!ws.closed) {
    const payload = _utf8Bytes('\0\0' + (reason || ''));
    payload[0] = code >> 8;
    payload[1] = code;
    queue(ws, Opcode.CLOSE, payload);
    ws._then = _drain;
    noteClosed(ws, code);
  }
  return false;
}

/** From now on the socket is closed for the program. */
function noteClosed(ws: WebSocket, code: number): void {
  if (ws.closed) return;
  ws.closed = true;
  ws.closeCode = code;
  try {
    if (ws.onclose) ws.onclose(code);
  } catch (error) {
    _log(ws._connection._server, error);
  }
}

// ----------------------------------------------------------------------------------------------------------- server

/** A {@link Server} that also has routes with the method 'WEBSOCKET' and a {@link WebSocketHandler}. */
export interface WebSocketServer extends Server {
  /**
   * Adds a handler for WebSockets to this server only.
   * @param path a regular expression; a string must match the whole path
   * @param method 'WEBSOCKET'
   * @param handler see {@link WebSocketHandler}
   * @returns this
   */
  route(path: string | RegExp, method: 'WEBSOCKET', handler: WebSocketHandler<this>): this;
  /** See {@link Server.route}. */
  route(path: string | RegExp, method: string, handler: Handler<this>): this;
}

export const WebSocketServer = function (this: any, options?: WebSocketOptions) {
  // Not Server.call(this, ...): if the source is compiled to native classes, a class cannot be called.
  const { _limits } = new (Server as any)(options, { sockets: 3, maxMessageBytes: 16384, pingSeconds: 20, origins: [], protocols: [] });
  if ([0, 1, 2, 3, 4].indexOf(_limits.sockets) < 0) throw Error('sockets: 0 to 4');
  this._limits = _limits;
  this._listeners = [];
} as any as new (options?: WebSocketOptions) => WebSocketServer;

const base = Server.prototype;
const proto: Server = WebSocketServer.prototype = Object.create(base);

proto.route = function (this: Server, path: string | RegExp, method: string, handler: any) {
  return base.route.call(this, path, method, method !== 'WEBSOCKET' || typeof handler !== 'function' ? handler
    : function (this: Server, path: string, query: string, headers: RequestHeaders, _body: Uint8Array, match: string[], request: Connection) {
      return upgrade(this, request, (ws) => handler.call(this, path, headers, ws, query, match));
    });
} as any;

proto._find = function (this: Server, connection: Connection): Route | Response {
  const asks = asksForWebSocket(connection);
  if (asks) connection._method = 'WEBSOCKET';
  else if (connection._method === 'WEBSOCKET') connection._method = ''; // a request cannot use it as a method
  const found = base._find.call(this, connection);
  // A WebSocket gets 404 for a path with other methods only. A request that is no handshake gets 426 for a path with WebSockets only.
  return !(found instanceof Response) || found.status !== 405 ? found : asks ? _failure(404)
    : found.headers.allow === 'WEBSOCKET' ? upgradeRequired() : found;
};

// ------------------------------------------------------------------------------------------------------------ SHA-1

/**
 * Adds a block of 64 bytes to a SHA-1 hash: FIPS 180-4. The text, a key and RFC 6455's GUID, has 60 bytes, and so two blocks.
 * @param block where it begins: 0 or 64
 */
function addBlock(hash: number[], key: string, block: number): void {
  const text = key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11\x80';
  const w = new Int32Array(80);
  let [a, b, c, d, e] = hash;
  for (let i = 0; i < 80; i++) {
    let word = 0;
    if (i > 15) {
      word = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
      word = word << 1 | word >>> 31;
    } else {
      for (let at = 0; at < 4; at++) word = word << 8 | text.charCodeAt(block + i * 4 + at); // after the text NaN, which becomes 0
      if (block && i > 14) word = 480; // bits
    }
    w[i] = word;
    word += (i < 20 ? (b & c | ~b & d) + 0x5A827999 : i < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
      : i < 60 ? (b & c | b & d | c & d) + 0x8F1BBCDC : (b ^ c ^ d) + 0xCA62C1D6) + (a << 5 | a >>> 27) + e | 0;
    e = d;
    d = c;
    c = b << 30 | b >>> 2;
    b = a;
    a = word;
  }
  hash[0] += a; // it may become longer than 32 bits: bit operations use the lower ones
  hash[1] += b;
  hash[2] += c;
  hash[3] += d;
  hash[4] += e;
}

/** sec-websocket-accept: the hash in base64. */
function base64(hash: number[]): string {
  const bytes = new Uint8Array(20);
  for (let i = 0; i < 20; i++) bytes[i] = hash[i >> 2] >> 24 - i % 4 * 8;
  return btoa(bytes);
}
