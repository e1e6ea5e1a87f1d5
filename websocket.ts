/**
 * WebSockets (RFC 6455) for ehttpserver, in the same generator style.
 * The file reads top to bottom in the order in which data flows: upgrade, the socket (whose methods name what follows), frames in,
 * messages, handler, frames out, closing.
 */
import { Connection, Handler, RequestHeaders, Response, Route, Server, ServerOptions, _seam } from './ehttpserver';

const core = _seam; // its name is shorter than that of a module's export
const {
  _checkUtf8, _concat, _consume, _drain, _end, _failure, _flush, _isIterator, _limitMemory, _listOf, _log, _NO_BYTES, _piecesOf, _pull,
  _restartTimeout, _send, _sizeOf, _stepOf, _stepsOf, _utf8Bytes,
} = core;

// ---------------------------------------------------------------------------------------------------------- contract

/** RFC 6455, section 5.2. */
const enum Opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 }

/** {@link Frame.opcode}: more of a message that has begun. */
export const WS_OPCODE_CONTINUATION = Opcode.CONTINUATION;
/** {@link Frame.opcode}: begins a message that is UTF-8. */
export const WS_OPCODE_TEXT = Opcode.TEXT;
/** {@link Frame.opcode}: begins a message of bytes. */
export const WS_OPCODE_BINARY = Opcode.BINARY;
/** {@link Frame.opcode}: closes. */
export const WS_OPCODE_CLOSE = Opcode.CLOSE;
/** {@link Frame.opcode}: asks for a pong. */
export const WS_OPCODE_PING = Opcode.PING;
/** {@link Frame.opcode}: answers a ping. */
export const WS_OPCODE_PONG = Opcode.PONG;

/** A frame as it came, unmasked. */
export interface Frame {
  /** The last one of its message. */
  fin: boolean;
  /** One of the `WS_OPCODE_` numbers. */
  opcode: number;
  /** Its bytes. */
  payload: Uint8Array;
}

/** For `yield*`: yields until it has its value. */
export interface Steps<T> {
  /** One step: not done, or done with the value. */
  next(): IteratorResult<undefined, T>;
  /** Itself, for `yield*`. */
  [Symbol.iterator](): Steps<T>;
}

/** Limits and switches beside those of {@link ServerOptions}. */
export interface WebSocketOptions extends ServerOptions {
  /** Ports behind the first one, each for one WebSocket at a time on stock firmware: 0 to 4. Default 3. With 0 the first port takes one. */
  sockets?: number;
  /** Bytes of one message in, and of all that waits to go out; above it close 1009, or the client is dropped. Default 16384. */
  maxMessageBytes?: number;
  /** Seconds between two pings; a client that leaves two unanswered is dropped. 0: none. Default 20. */
  pingSeconds?: number;
  /** Origins that may connect beside the server's own, such as 'http://example.com'; '*' for all. Default none. */
  origins?: string[];
  /** Subprotocols; the first one that the client offers, too, is taken. Default none. */
  protocols?: string[];
}

/**
 * Serves one WebSocket; called with the server as `this`: a generator, or a function that sets {@link WebSocket.onmessage}.
 * When the generator (or an async function) ends the socket is closed with 1000; when it, or the function, throws, with 1011.
 * @param path percent-decoded once, without the query
 * @param headers of the handshake, names in lower case
 * @param ws the socket
 * @param query raw, without the "?"
 * @param match of the route's regular expression: `match[1]` is its first group
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
  /** Bytes of a message that its handler gets in the step that reads it; of one in fragments there is room for so many at first. */
  SHORT = 2048,
  /** Blocks of input that are unmasked at a step, each of a segment at most: with one, a segment at each pass would be too much. */
  BLOCKS = 2,
  /** Bytes of a control frame's payload. */
  CONTROL = 125,
  /** Bytes that may wait to go out beside a message: control frames. */
  SLACK = 1024,
}

const enum Code { NORMAL = 1000, PROTOCOL = 1002, NONE = 1005, LOST = 1006, BAD_DATA = 1007, TOO_BIG = 1009, FAILED = 1011 }

const WAIT = { done: false } as IteratorResult<undefined, any>;

/** The limits of a socket's server. */
const limitsOf = (ws: WebSocket) => ws._connection._server._limits as Limits;

/** Steps until `value` gives something. */
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

/** Without the port: a page that came from one port of the board opens its socket on another. */
const hostName = (authority: string) => authority.replace(/:\d*$/, '');

const upgradeRequired = () => _failure(426, { upgrade: 'websocket', 'sec-websocket-version': '13' });

const asksForWebSocket = ({ _method, _keep, _headers }: Connection) =>
  _headers.upgrade && _method === 'GET' && _keep && hasToken(_headers.upgrade, 'websocket') && hasToken(_headers.connection, 'upgrade');

/** RFC 6455, section 4.2: a column of guards, then the answer to the handshake. */
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
    // Stock firmware: pages come from this port, which hears one client at a time.
    return _failure(421, undefined, server._listeners.slice(1).map((listener) => listener._port).join(', '));
  }
  request._drainUntil = 1; // it stays the reader
  return steps(() => { // SHA-1 is work for a step of its own
    const protocol = protocols.filter((name) => members(offer).indexOf(name) >= 0)[0];
    answer['sec-websocket-accept'] = acceptKey(key);
    if (protocol) answer['sec-websocket-protocol'] = protocol;
    const response = new Response('', 101, '', answer);
    response._stage = new WebSocket(request, handler);
    return response;
  });
}

// ------------------------------------------------------------------------------------------------------------ socket

/** One WebSocket, as its handler sees it. What has a default is on the prototype: an idle socket takes less memory so. */
export class WebSocket {
  /** True once a close frame went either way, or the connection is lost. */
  declare closed: boolean;
  /** Why: the client's close code (1005 if it gave none), or ours if we were first; 1006 if the connection was lost; 0 while open. */
  declare closeCode: number;
  /** Bytes that wait to go out. */
  declare bufferedAmount: number;
  /** Called with every whole message, if set: text as a string, binary as a Uint8Array. */
  declare onmessage?: (data: string | Uint8Array) => void;
  /** Called once, when the socket is closed, with {@link closeCode}. */
  declare onclose?: (code: number) => void;

  /** @internal */ declare _connection: Connection;
  /** @internal Bytes of input that may wait: those of one message. */
  declare _maxBytes: number;
  /** @internal The handler, until it is called; then what it returned, if that is an iterator. */
  declare _handler?: (ws: WebSocket) => unknown;
  /** @internal */ declare _work?: Iterator<unknown>;
  /** @internal The message is whole, and nobody has taken it yet. */
  declare _whole: boolean;
  /** @internal The program reads frames itself; and one that it has not taken yet. */
  declare _byFrame: boolean;
  /** @internal */ declare _frame?: Frame;

  /**
   * @internal The frame that comes: first byte (its bit 128: FIN, bit 8: a control frame), mask, where its payload goes, bytes so far;
   * without a target there is none.
   */
  declare _first: number;
  /** @internal */ declare _mask: Uint8Array;
  /** @internal */ declare _target?: Uint8Array;
  /** @internal */ declare _got: number;
  /** @internal The message that comes into the connection's _body: opcode (0: none), bytes so far, how far they are UTF-8. */
  declare _type: number;
  /** @internal */ declare _length: number;
  /** @internal */ declare _utf8: number;

  /** @internal Bytes ever queued. */
  declare _queued: number;
  /** @internal */ declare _pingAt: number;
  /** @internal Pings without an answer. */
  declare _pings: number;
  /** @internal What becomes of the connection once everything is out. */
  declare _then?: (connection: Connection) => void;

  /** @internal */
  constructor(connection: Connection, handler: (ws: WebSocket) => unknown) {
    this._connection = connection;
    this._handler = handler;
    this._maxBytes = limitsOf(this).maxMessageBytes;
    schedulePing(this);
  }

  /** @internal One bounded step. */
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

  /** @internal The connection is gone, or the socket closed and all is out: what had come is read, the handler sees the end once, and is ended. */
  return(): void {
    let left;
    while (!this.closed && left !== this._connection._waiting) {
      left = this._connection._waiting;
      goOn(this);
    }
    const work = this._work;
    this._work = undefined;
    noteClosed(this, Code.LOST);
    if (work && !work.next().done && work.return) work.return();
  }

  /** `yield*` it: the next whole message, a string or a Uint8Array; null once the socket is closed. */
  recv(): Steps<string | Uint8Array | null> {
    return steps(() => {
      return this._whole ? take(this) : this.closed ? null : undefined;
    });
  }

  /**
   * `yield*` it: the next frame, unmasked, or null once the socket is closed. From the first call on, the program sees all frames
   * and does the protocol itself, pings, fragments and closing included.
   */
  recvFrame(): Steps<Frame | null> {
    const { _whole, _type, _length, _connection } = this;
    // What has come of a message becomes its first frame.
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
   * Queues a message at once; once the socket is closed, it is dropped.
   * @param data a string goes out as text, a Uint8Array (no other buffer) as binary, any other value as JSON text
   * @returns an iterator that ends when all of it is out: `yield*` it to keep pace with the client, or leave it
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
   * @param bytes at most 125, default none
   * @throws Error when there are more
   */
  sendPing(bytes?: Uint8Array): Steps<true> {
    return queue(this, Opcode.PING, bytes || _NO_BYTES);
  }

  /** As {@link sendPing}. Needed only with {@link recvFrame}: else pings are answered by themselves. */
  sendPong(bytes?: Uint8Array): Steps<true> {
    return queue(this, Opcode.PONG, bytes || _NO_BYTES);
  }

  /**
   * Closes the socket: RFC 6455, section 7.
   * @param code default 1000
   * @param reason at most 123 bytes as UTF-8. Default none
   * @returns an iterator that ends at once: the close frame follows what was queued before
   * @throws Error when the reason is longer, or the code is none that may be sent: RFC 6455, section 7.4
   */
  sendClose(code?: number, reason?: string): Steps<true> {
    if (code && !isCloseCode(code)) throw Error('Bad close code');
    close(this, code || Code.NORMAL, reason);
    return steps(() => true);
  }
}

const defaults = WebSocket.prototype;
defaults.closed = defaults._byFrame = defaults._whole = false;
defaults.closeCode = defaults.bufferedAmount = defaults._got = defaults._type = defaults._length = defaults._utf8 = defaults._queued
  = defaults._pings = 0;

// --------------------------------------------------------------------------------------------------------- frames in

/** Takes in what has come of a frame: RFC 6455, section 5. Data waits for the program to take what came before. */
function read(ws: WebSocket): void {
  const connection = ws._connection;
  if (ws._whole && ws.onmessage) return ws.onmessage(take(ws)); // a long message is work for a step of its own
  _pull(connection);
  const isData = !((ws._target ? ws._first : connection._in[0]) & 8);
  if (ws._frame || (ws._whole && isData) || (!ws._target && !readFrameHead(ws))) return;
  const target = ws._target!;
  for (let blocks = Max.BLOCKS; blocks-- && ws._got < target.length && ws._utf8 >= 0;) {
    _pull(connection);
    const bytes = connection._in.subarray(0, target.length - ws._got);
    const payload = target.subarray(ws._got, ws._got + bytes.length);
    const isAscii = unmask(ws, bytes, payload);
    ws._got += bytes.length;
    _consume(connection, bytes.length);
    if (ws._first & 8) continue;
    const end = ws._length + ws._got;
    if (ws._type === Opcode.TEXT && (!isAscii || ws._utf8 < end - bytes.length)) {
      ws._utf8 = _checkUtf8(connection._body, ws._utf8, end);
      break;
    }
    ws._utf8 = end;
  }
  if (ws._utf8 < 0) close(ws, Code.BAD_DATA);
  else if (ws._got === target.length) endFrame(ws, target);
}

/** Takes the mask from the next bytes of a frame's payload, four at a time. Returns whether all of them are ASCII. */
function unmask({ _mask, _got }: WebSocket, bytes: Uint8Array, payload: Uint8Array): boolean {
  const words = new Int32Array((bytes.length + 7) >> 2); // the last one is the mask itself, and fills up the one before
  const masked = new Uint8Array(words.buffer);
  let bits = 0;
  for (let i = masked.length; i > bytes.length;) masked[--i] = _mask[_got + i & 3];
  const mask = words[words.length - 1];
  masked.set(bytes);
  for (let i = words.length; i--;) bits |= words[i] ^= mask;
  payload.set(masked.subarray(0, bytes.length));
  return !(bits & 0x80808080);
}

/** Bytes of a frame's head, mask included, by the short form of its length. */
const headSize = (length: number) => length > 126 ? 14 : length > 125 ? 8 : 6;

/** Bytes of a frame, head and payload; -1 when the head is not whole, -2 when it is wrong: RFC 6455, section 5.2. */
function frameSize(input: Uint8Array): number {
  const first = input[0];
  let length = input[1] & 127;
  const size = headSize(length);
  if (first & 112 || (first & 7) > 2 || input[1] < 128 || (first & 8 && (first < 128 || length > Max.CONTROL))) return -2;
  if (input.length < size) return -1;
  if (size > 6) {
    length = 0;
    for (let i = 2; i < size - 4; i++) length = length * 256 + input[i];
    // Longer than need be, or with the top bit of 64 set.
    if (length < (size > 8 ? 65536 : 126) || (size > 8 && input[2] > 127)) return -2;
  }
  return length + size;
}

/** Reads the head of a frame and makes room for its payload. False when it is not whole, or wrong: then the socket is closed. */
function readFrameHead(ws: WebSocket): boolean {
  const input = ws._connection._in;
  const first = input[0];
  const size = frameSize(input);
  // The first frame of a message has its type, the others have none. (When nothing has come the remainder is NaN, which is not below 8.)
  if (size < -1 || (first % 16 < 8 && !ws._byFrame && !(first & 15) === !ws._type)) return close(ws, Code.PROTOCOL);
  return size >= 0 && beginFrame(ws, first, size, input);
}

/** @param input the frame, of `size` bytes with its head, and what follows */
function beginFrame(ws: WebSocket, first: number, size: number, input: Uint8Array): boolean {
  const connection = ws._connection;
  const head = headSize(input[1] & 127);
  const length = size - head;
  const end = ws._length + length;
  if ((!(first & 8) && end > ws._maxBytes) || !_limitMemory(length)) return close(ws, Code.TOO_BIG);
  ws._first = first;
  if (first & 8) {
    ws._target = new Uint8Array(length);
  } else {
    if (first & 15 && !ws._byFrame) ws._type = first & 15;
    if (ws._byFrame || end > connection._body.length) {
      // Of a message in fragments the length is not known: first there is room for a short one, then for the longest.
      const body = new Uint8Array(ws._byFrame || first > 127 ? end : end > Max.SHORT ? ws._maxBytes : Math.min(Max.SHORT, ws._maxBytes));
      if (ws._length) body.set(connection._body.subarray(0, ws._length));
      connection._body = body;
    }
    ws._target = connection._body.subarray(ws._length, end);
  }
  ws._got = 0;
  ws._mask = new Uint8Array(input.subarray(head - 4, head));
  _consume(connection, head);
  return true;
}

function endFrame(ws: WebSocket, payload: Uint8Array): void {
  const opcode = ws._first & 15;
  ws._target = undefined;
  if (opcode === Opcode.PONG) ws._pings = 0;
  if (ws._byFrame) ws._frame = { fin: ws._first > 127, opcode, payload };
  else if (opcode === Opcode.CLOSE) receiveClose(ws, payload);
  else if (opcode === Opcode.PING) ws.sendPong(payload);
  else if (opcode < 8) endData(ws, payload.length);
}

// ---------------------------------------------------------------------------------------------------------- messages

function endData(ws: WebSocket, length: number): void {
  ws._length += length;
  if (ws._first < 128) return;
  if (ws._utf8 < ws._length) close(ws, Code.BAD_DATA); // it ends within a character
  else if (ws.onmessage && ws._length <= Max.SHORT) ws.onmessage(take(ws));
  else ws._whole = true;
}

/** The whole message. */
function take(ws: WebSocket): string | Uint8Array {
  const { _body } = ws._connection;
  // Of one that came in fragments, not all that there was room for.
  const bytes = ws._length < _body.length ? new Uint8Array(_body.subarray(0, ws._length)) : _body;
  const message = ws._type === Opcode.TEXT ? new TextDecoder().decode(bytes) : bytes;
  ws._connection._body = _NO_BYTES;
  ws._type = ws._length = ws._utf8 = 0;
  ws._whole = false;
  return message;
}

// ----------------------------------------------------------------------------------------------------------- handler

/** Lets the handler go on, then what the client sent. */
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
    const result: any = handler(ws);
    const work = result && result.then ? _stepsOf(result) : result;
    connection._headers = null!; // an idle socket takes less memory so
    if (_isIterator(work)) ws._work = work;
  } else if (ws._work) {
    const work = ws._work;
    ws._work = undefined; // if it throws, that was all of it; and it may close the server, which steps it
    if (_stepOf(work).done) close(ws, Code.NORMAL);
    else ws._work = work;
  }
}

// -------------------------------------------------------------------------------------------------------- frames out

/** One whole frame, at once; a client that leaves more than a message's worth waiting is dropped. */
function queue(ws: WebSocket, opcode: number, payload: string | Uint8Array): Steps<true> {
  const connection = ws._connection;
  const pieces = typeof payload === 'string' ? _piecesOf(payload) : [new Uint8Array(payload)]; // the program may change its bytes
  const length = _sizeOf(pieces);
  const head = length > 65535 ? [0, 127, 0, 0, 0, 0, length >> 24, length >> 16, length >> 8, length]
    : length > 125 ? [0, 126, length >> 8, length] : [0, length];
  if (opcode > 7 && length > Max.CONTROL) throw Error('More than 125 bytes');
  head[0] = 128 | opcode;
  if (!ws.closed && ws.bufferedAmount + length > ws._maxBytes + Max.SLACK) connection._deadline = 0;
  if (!ws.closed && connection._deadline) { // 0: it is dropped
    if (!ws.bufferedAmount) _restartTimeout(connection);
    _send(connection, [new Uint8Array(head)]);
    _send(connection, pieces);
    ws._queued += head.length + length;
    updateBuffered(ws);
    _limitMemory(0);
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

/** Whether a code may be in a close frame: RFC 6455, section 7.4. */
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

/** Sends a close frame, the last one; what the client still sends is drained. Always false. */
function close(ws: WebSocket, code: number, reason?: string): false {
  if (!ws.closed) {
    queue(ws, Opcode.CLOSE, _concat(new Uint8Array([code >> 8, code]), _utf8Bytes(reason || '')));
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

/** A {@link Server} whose routes may have the method 'WEBSOCKET', with a {@link WebSocketHandler}. */
export interface WebSocketServer extends Server {
  /**
   * Adds a handler of WebSockets, to this server only.
   * @param path a regular expression; text is anchored at both ends
   * @param method 'WEBSOCKET'
   * @param handler see {@link WebSocketHandler}
   * @returns this
   */
  route(path: string | RegExp, method: 'WEBSOCKET', handler: WebSocketHandler<this>): this;
  /** See {@link Server.route}. */
  route(path: string | RegExp, method: string, handler: Handler<this>): this;
}

export const WebSocketServer = function (this: any, options?: WebSocketOptions) {
  // Not Server.call(this, ...): where the source is compiled to native classes, a class cannot be called.
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
  else if (connection._method === 'WEBSOCKET') connection._method = ''; // it is no method of HTTP
  const found = base._find.call(this, connection);
  // Known for something else only: to a WebSocket that is 404. Known for WebSockets only, and this is no handshake: 426.
  return !(found instanceof Response) || found.status !== 405 ? found : asks ? _failure(404)
    : found.headers.allow === 'WEBSOCKET' ? upgradeRequired() : found;
};

// ------------------------------------------------------------------------------------------------------------ SHA-1

/** sec-websocket-accept: base64 of the SHA-1 (FIPS 180-4) of the key and RFC 6455's text, 60 bytes, thus two blocks of 16 words. */
function acceptKey(key: string): string {
  const text = key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11\x80';
  const w = new Int32Array(80);
  const hash = [0x67452301, 0xEFCDAB89, ~0x67452301, ~0xEFCDAB89, 0xC3D2E1F0];
  const bytes = new Uint8Array(20);
  for (let block = 0; block < 128; block += 64) {
    let [a, b, c, d, e] = hash;
    for (let i = 0; i < 80; i++) {
      let word = 0;
      if (i > 15) {
        word = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
        word = word << 1 | word >>> 31;
      } else {
        for (let at = 0; at < 4; at++) word = word << 8 | text.charCodeAt(block + i * 4 + at); // behind the text NaN, which is 0
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
    [a, b, c, d, e].forEach((word, i) => { hash[i] = hash[i] + word | 0; });
  }
  for (let i = 0; i < 20; i++) bytes[i] = hash[i >> 2] >> 24 - i % 4 * 8;
  return btoa(bytes);
}
