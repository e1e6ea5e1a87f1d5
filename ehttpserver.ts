/**
 * ehttpserver: a non-blocking HTTP/1.1 server for Kaluma on the Raspberry Pi Pico W.
 *
 *     const server = new Server();
 *     server.route('/hello/(.*)', 'GET', (path, query, headers, body, match) => 'Hello ' + match[1]);
 *     server.listen(80);
 *
 * A handler returns text, bytes, an object (sent as JSON), a {@link Response} or a {@link FileResponse}. A slow handler is a
 * generator or an async function, so it blocks nobody. The server is an iterator too: {@link run} steps it beside the program's own generators.
 */

// This file reads from top to bottom, in the order in which data flows. A section calls a later one only to pass data on.

// ---------------------------------------------------------------------------------------------------------- contract

/**
 * Request headers. Names are in lower case, and repeated headers are joined with ", " (`cookie` with "; ").
 * The object has no prototype: `constructor` is a name like any other.
 */
export type RequestHeaders = { [name: string]: string };

/** Yields the pieces of a streamed body. `undefined` means: nothing yet, ask again at the next step. */
export type BodyIterator = Iterator<string | Uint8Array | undefined>;

/** What a handler may return: a Response, text (sent as text/plain), bytes, nothing (204), or any other value, which is sent as JSON. */
export type Reply = Response | string | Uint8Array | object | number | boolean | null | undefined | void;

/**
 * Answers one request. `this` is the server.
 * @param path percent-decoded once, without the query
 * @param query raw, without the "?"; see {@link urlDecode}
 * @param headers the request's headers, with names in lower case
 * @param body the whole body of the request
 * @param match the match of the route's regular expression: `match[1]` is its first group
 * @returns the reply; or an iterator (such as a generator), which is stepped until it returns the reply; or a promise of the reply
 * @throws anything: {@link Server.debug} reports it, and the client gets 500
 */
export type Handler<S = any> = (
  this: S, path: string, query: string, headers: RequestHeaders, body: Uint8Array, match: string[],
) => Reply | Iterator<unknown, Reply> | PromiseLike<Reply>;

/** @internal */
type Limits = Required<ServerOptions> & { sockets?: number };

/** What `__netdev.get(fd)` returns. The driver calls the callbacks that are set on it. */
export interface NetdevSocket {
  /** A client has connected. */
  accept_cb?: (fd: number) => void;
  /** Bytes have arrived. Stock firmware gives them to the listening socket, without saying which client sent them. */
  read_cb?: (data: Uint8Array) => void;
  /** The socket is closed. */
  close_cb?: () => void;
}

/** Kaluma's network driver, `global.__netdev`. Every call returns at once. */
export interface Netdev {
  /** 0 when the last call succeeded, -1 when it failed. */
  errno: number;
  /** The board's address. */
  ip: string;
  /** Opens a socket and returns its file descriptor (fd). Throws when none is left, or Wi-Fi is not connected. */
  socket(domain: string, protocol: string): number;
  /** Returns the object for a socket's callbacks. */
  get(fd: number): NetdevSocket;
  /** Gives a socket its port. 0 means any. */
  bind(fd: number, address: string, port: number): void;
  /** Accepts clients from now on. */
  listen(fd: number): void;
  /** Queues one byte per character: either all of them or none. */
  write(fd: number, data: string): void;
  /** Stops receiving (0) or sending (1). */
  shutdown(fd: number, how: number): void;
  /** Closes a socket. Its fd is free at once. */
  close(fd: number): void;
}

/** Limits and switches. These limits bound the memory that a client can make the server use. */
export interface ServerOptions {
  /** Most characters in a request line. A longer one gets 414. Default 2048. */
  maxRequestLineSize?: number;
  /** Most header fields in a request. More get 431. Default 50. */
  maxHeaderCount?: number;
  /** Most bytes in all header lines together. More get 431. Default 4096. */
  maxHeaderBytes?: number;
  /** Most bytes in a request body. A larger one gets 413. Default 16384. */
  maxBodyBytes?: number;
  /** Seconds from the first byte of a request to its last (then 408), and without progress of an answer (then it is closed). Default 10. */
  requestTimeoutSeconds?: number;
  /** Most connections at a time. Streams and WebSockets take at most one less, the next gets 503. Default 5 (lwIP has no more) minus `reserve`. */
  maxParallelConnections?: number;
  /** Connections (PCBs of lwIP) to leave free for the program's own outgoing connections. Default 0. */
  reserve?: number;
  /** Also print requests, and tell clients why a handler failed. Default false. */
  debug?: boolean;
  /** The network driver. Default `global.__netdev`. */
  netdev?: Netdev;
}

declare const global: { __netdev: Netdev, BigUint64Array?: unknown };
declare function millis(): number;
declare function setInterval(callback: () => void, ms: number): number;
declare function clearInterval(id: number): void;
declare const console: { log(message: unknown): void; error(message: unknown): void };
declare class TextEncoder { encode(text: string): Uint8Array; }
declare class TextDecoder { decode(bytes: Uint8Array): string; }

// ----------------------------------------------------------------------------------------------------------- numbers

/** Milliseconds. */
const enum Ms {
  /** How often the server looks for free PCBs: one that became free unnoticed must not stay free while there is a reader. */
  CHECK = 50,
  /** How long the server waits for the PCB of a reader that ended. Then it releases a held PCB instead. */
  COME_BACK = 300,
  /** How long a reader may send nothing at first: browsers open connections that they never use. */
  SILENT = 500,
  /** How long a kept connection may be idle between two requests. */
  IDLE = 250,
  /** The age from which a kept connection is told `connection: close`. */
  KEEP = 3000,
  /** A drained client that sends nothing for this long has nothing more to send. */
  QUIET = 250,
  /** No client is drained longer than this. */
  DRAIN = 2000,
  /** How long a client with a full send buffer keeps the next one waiting: when it acknowledges nothing, and when it is only slow. */
  FILLED = 2000,
  TURN = 10000,
  /** The most that one pass of the event loop adds to the server's clock. */
  PASS = 100,
}

const enum Max {
  /** Bytes of one write. The driver copies them to a C stack of 8 KB as UTF-8, where a byte above 127 takes two. */
  CHUNK = 1024,
  /** Bytes of a head that are converted to text at a time. */
  LINES = 800,
  /** The work of one step, for all clients together: bytes converted to text and characters of lines. A line counts for LINE more. */
  WORK = 2000,
  LINE = 64,
  /** A smaller body fits into lwIP's send buffer (8 segments) together with its head. */
  AT_ONCE = 10240,
  /** Bytes of a segment. Input is kept in blocks of this size, because a fragmented heap has no larger ones. */
  SEGMENT = 1460,
  /** The most bytes that unmask() pads, which are a block with the rest of one before, and a multiple of latin1()'s four words. */
  SCRATCH = 1504,
  /** Bytes that may wait in addition to one body: a TCP window, all of which lwIP can deliver at once after a lost segment. */
  AHEAD = 11680,
  /** Heap that a block of input takes in addition to its bytes. */
  BLOCK = 90,
  /** Bytes that must be in one block: the longest head of a WebSocket frame. */
  FRAME_HEAD = 14,
  /** Less waiting input than this is not checked against MEMORY: five connections with it are no danger. */
  SMALL = 2920,
  /** Bytes that all clients together may make the server hold, in addition to two of the largest body or message. */
  MEMORY = 16384,
  /** Most zombies and listeners with which every client is served. With more, a client with a zombie's PCB is ended at once, which frees both fds. */
  ZOMBIES = 5,
  /** Characters of a header's name. */
  NAME = 99,
  /** Characters that are read of a list in a header: more than any client needs, and few enough for one step. */
  LIST = 256,
  /** Requests on one kept connection. */
  REQUESTS = 100,
  /**
   * Most fds that listen, are parked or are zombies. With more, the oldest parked ones are closed early. Of the driver's 16 fds, this leaves one
   * for each PCB, one to look for free PCBs, and one to spare.
   */
  FDS = 9,
}

/** How an answer is sent. */
const enum Mode {
  /** In chunks. Before there is an answer: the client understands chunks. */
  CHUNKED = 1,
  /** It will fill the send buffer, so it waits for its turn. */
  WAITS = 2,
  /** It has begun to fill the send buffer. */
  FILLS = 4,
  /** A stream or an upgraded connection, which may last for ever. */
  LASTS = 8,
}

/** Where a request is, in protocol order. UPGRADED: the 101 has been sent, and its stage runs the connection. */
const enum State { IDLE, REQUEST_LINE, FIELDS, BODY, HANDLER, ANSWER, UPGRADED, DRAIN }

/** One shared constant for "not done yet", so that a step makes no garbage. */
const NOT_DONE = { done: false } as IteratorResult<undefined>;
const DONE = { done: true } as IteratorResult<undefined>;
const NO_BYTES = new Uint8Array(0);
const BINARY = 'application/octet-stream';
/** Room to look at bytes, or to unmask them, a word at a time. A new array each time would be garbage. */
const scratch = new Uint8Array(Max.SCRATCH);
/** The same room as words: of eight bytes where the engine has them, else of four. And a word in which bit 7 of every byte is set. */
const scratchWords = new (global.BigUint64Array || Int32Array as any)(scratch.buffer);
for (let i = 8; i--;) scratch[i] = 128;
const HIGH_BITS = scratchWords[0];
const ZEROS = new Uint8Array(32);
/**
 * RFC 9112, section 3: method, scheme and host (of an absolute form, section 3.2.2, which is skipped), path, query, version. Whatever follows a
 * long repetition is optional, here and below. Otherwise an engine that does not find it would go back over the whole repetition. For the same
 * reason a method and a header's name have at most 99 characters.
 */
const REQUEST_LINE
  = /^([\w\-!#-'*+.^`|~]{1,99}) ([Hh][Tt][Tt][Pp]:\/\/[^/? ]+)?(\/[!->@-~]*|\*|)(?:\?([!-~]*))?(?: HTTP\/(\d)\.(\d)$)?/;
/** RFC 9110, sections 5.1 and 5.5: a header's name; and the characters that no line contains. */
const NAME = /^[\w\-!#-'*+.^`|~]+$/;
const NOT_IN_LINE = /[^\t -~\x80-\xff]/;

// ------------------------------------------------------------------------------------------------------ text and bytes

const utf8Bytes = (text: string) => new TextEncoder().encode(text);

const isString = (value: unknown): value is string => typeof value === 'string';

const isIterator = (value: any): value is Iterator<any, any> => value && typeof value.next === 'function';

/** The part of a list in a header that is read. */
const listOf = (header?: string) => ('' + header).slice(0, Max.LIST);

/**
 * A promise as an iterator, or an iterator as it is. For any other value it returns a falsy one. Once the promise is settled, its iterator is
 * done with its value, or throws. Nobody steps it after that.
 */
function iteratorOf(value: any): Iterator<unknown, any> | false {
  let result: any = NOT_DONE;
  let rejected = false;
  if (!value || typeof value.then !== 'function') return isIterator(value) && value;
  value.then((settled: unknown) => {
    result = { done: true, value: settled };
  }, (error: unknown) => {
    rejected = true;
    result = error;
  });
  return {
    next() {
      if (rejected) throw result;
      return result;
    },
  };
}

/** One step of a program's iterator. */
function stepOf(iterator: Iterator<any, any>): IteratorResult<any, any> {
  const result: any = iterator.next();
  if (result.then) throw Error('Async generators do not work');
  return result;
}

/** The bytes after the first `count`. When there are none, the result does not keep the others in memory. */
const after = (bytes: Uint8Array, count: number) => bytes.length > count ? bytes.subarray(count) : NO_BYTES;

/**
 * Converts at most 1,024 bytes to one character each. The native decoder is much faster than fromCharCode.apply, but Kaluma's does not check its
 * bytes, so only ASCII may reach it. To look for bytes above 127, a word at a time, takes less than the decoder saves.
 */
function latin1(bytes: Uint8Array): string {
  const { length } = bytes;
  const words = scratchWords; // the engine finds a local variable twenty times as fast
  const high = HIGH_BITS;
  scratch.set(bytes);
  scratch.set(ZEROS, length);
  let bits = words[0];
  for (let i = (length + 31 & ~31) * words.length / Max.SCRATCH; i && !(bits & high);) bits |= words[--i] | words[--i] | words[--i] | words[--i];
  work += length;
  return bits & high ? String.fromCharCode.apply(null, bytes as any) : new TextDecoder().decode(bytes);
}

/** @internal Bytes to send, or text with one character per byte. */
export type Piece = string | Uint8Array;

/**
 * Cuts text into pieces, because the heap may have no large block. A piece of ASCII stays text, any other becomes UTF-8 bytes. Bytes are one
 * piece.
 * @throws Error for anything else
 */
function piecesOf(data: string | Uint8Array): Piece[] {
  if (data instanceof Uint8Array) return [data];
  if (!isString(data)) throw Error('A body is text or bytes');
  const pieces: Piece[] = [];
  for (let at = 0, end; at < data.length; at = end) {
    end = at + Max.CHUNK;
    let piece = data.slice(at, end);
    if ((piece.charCodeAt(Max.CHUNK - 1) & 0xFC00) === 0xD800) piece = data.slice(at, ++end); // a surrogate pair stays together
    const bytes = utf8Bytes(piece);
    pieces.push(bytes.length > piece.length ? bytes : piece);
  }
  return pieces;
}

function sizeOf(pieces: Piece[]): number {
  let size = 0;
  for (let i = pieces.length; i--;) size += pieces[i].length;
  return size;
}

/**
 * Checks that bytes are UTF-8 (RFC 3629). decodeURI does the work. An incomplete character at the end is completed for the check, so that it
 * fails as soon as no further byte can make it valid.
 * @param from the first byte that has not been checked yet
 * @param length where the bytes end
 * @returns where the last complete character ends, or -1 when the bytes are not UTF-8
 */
function checkUtf8(bytes: Uint8Array, from: number, length: number): number {
  for (let end = from; end < length;) {
    end = Math.min(from + Max.CHUNK, length);
    let part = latin1(bytes.subarray(from, end));
    from = end;
    for (let count = 3; count; count--) {
      const first: any = bytes[end - count];
      let missing = 1 + <any>(first > 0xBF) + (first > 0xDF) + (first > 0xEF) - count;
      if (missing > 0) from = end - count;
      // After 0xE0 and 0xF0 the next byte has a least value, after 0xED and 0xF4 a greatest.
      while (missing-- > 0) part += first & 15 ? '\x80' : '\xBF';
    }
    try {
      decodeURI(escape(part));
    } catch {
      return -1;
    }
  }
  return from;
}

/**
 * Decodes UTF-8.
 * @param bytes such as the body of a request
 * @returns the text, or null when the bytes are not valid UTF-8 (RFC 3629)
 */
export function text(bytes: Uint8Array): string | null {
  return checkUtf8(bytes, 0, bytes.length) < bytes.length ? null : new TextDecoder().decode(bytes);
}

/**
 * RFC 3986, section 2.1. Returns null for an escape that lacks hex digits or is not UTF-8: decodeURI checks that, Kaluma's decodeURIComponent
 * does not. decodeURI leaves escapes of `#$&+,/:;=?@` to unescape. "%25" is escaped again first, so that nothing is decoded twice.
 */
function percentDecode(escaped: string): string | null {
  try {
    return escaped.indexOf('%') < 0 ? escaped : unescape(decodeURI(escaped.split('%25').join('%2525')));
  } catch {
    return null;
  }
}

/**
 * Decodes a part of a query or of a form (`application/x-www-form-urlencoded`): %XX, and + for a space.
 * @param text a name or a value, as it was received
 * @returns the decoded text, or null when it is malformed: "%" without two hex digits, or bytes that are not UTF-8
 */
export function urlDecode(text: string): string | null {
  return percentDecode(text.replace(/\+/g, ' '));
}

// ----------------------------------------------------------------------------------------------- driver and admission

// Stock firmware gives received bytes to the listening socket, without saying which client sent them. So at most one connection of a port, its
// reader, may be able to send. The others are sealed (their answers go on) or kept out: sockets bound to port 0 hold the PCBs that they would
// need.
// A board has one driver and one pool of PCBs, so all servers share this state.
//
// Terms in this file:
//   fd       file descriptor, the driver's number of a socket; there are 16
//   PCB      protocol control block, lwIP's record of a connection; there are five
//   reader   on stock firmware, the one connection of a port that may send
//   sealed   a connection whose client still receives its answer, but can no longer send
//   held     a PCB that the server keeps from clients with a socket of its own, until the next client may connect
//   parked   an fd that stays out of use after its connection, because the driver would apply a late FIN to its next owner
//   zombie   an fd whose client has reset the connection, which the driver does not notice
//   kept     a connection that stays open for its client's next request (keep-alive)

let dev: Netdev;
/** The server's clock, in milliseconds. It stands still while the program blocks the event loop, so that no client times out then. */
let now = 0;
let lastMillis = 0;
/** The work that this step has done so far, see Max.WORK. */
let work = 0;
const connections: Connection[] = [];
/** Of all servers. */
const listeners: Listener[] = [];
/** Bytes to allocate so that the garbage collector runs, which frees the segments that arrived all at once after a lost one. */
let uncollected = 0;
/** True once bytes have come to an accepted socket itself: this firmware says which client sent them. */
let routed = false;
/** Fds of the server's own bound sockets, each of which holds a PCB. */
const held: number[] = [];
/** When to look for free PCBs, and when to release a held one although no PCB has become free. */
let checkAt = 0;
let releaseAt = 0;
/** Fds that the server has closed and the client has not. A slow client's FIN comes when it has read everything, however late. */
const parked: number[] = [];
/** Fds that must not be written to or closed, except in end(). */
const zombies: number[] = [];
/** The fd whose send buffer may be full; until when others wait for it; and the latest time until which they may have to. */
let fillingFd = -1;
let fillingUntil = 0;
let fillingEnd = 0;

function remove<T>(list: T[], item: T): void {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
}

/** Opens a socket. Returns its fd, or -1 when all are in use or Wi-Fi is not connected. */
function socket(): number {
  try {
    return dev.socket('AF_INET', 'STREAM');
  } catch {
    return -1;
  }
}

/** Whether an fd can send now. The probe sends nothing. */
function writable(fd: number): boolean {
  dev.write(fd, '');
  return !dev.errno;
}

/** Keeps an fd out of use until the driver closes it. Its callbacks no longer refer to the connection. */
function setAside(fds: number[], fd: number): void {
  const object = dev.get(fd);
  fds.push(fd);
  object.read_cb = undefined;
  object.close_cb = () => {
    remove(fds, fd);
    checkAt = 0;
  };
}

/** Reports an error or a request. Returns what the client is told about the error. debug() may throw, and an error may have no text. */
function log(server: Server, message: unknown): string {
  try {
    server.debug(message);
    return server._limits.debug ? String(message) : '';
  } catch (e) {
    console.error(e);
    return '';
  }
}

/** @internal A port on which a server listens. */
export interface Listener {
  readonly _port: number;
  readonly _fd: number;
  /** Whether this is the server's first port. Pages come from it, and while it has no reader, one client can connect. */
  readonly _first: boolean;
  /** On stock firmware, the connection whose bytes come to this port. */
  _reader: Connection | null;
}

/**
 * Listens on a port of the server.
 * @throws Error with the port, when it is in use, no fd is left, or there is no Wi-Fi
 */
function listenOn(server: Server, port: number): void {
  const fd = socket();
  if (fd >= 0) {
    const object = dev.get(fd);
    const listener: Listener = { _port: port, _fd: fd, _first: !server._listeners.length, _reader: null };
    listeners.push(listener);
    server._listeners.push(listener);
    object.accept_cb = (accepted) => { accept(server, listener, accepted); };
    object.read_cb = (data) => {
      if (listener._reader) onSegment(listener._reader, data);
    };
    dev.bind(fd, dev.ip, port);
    dev.listen(fd);
    if (!dev.errno && port < 65536) return;
  }
  server.close();
  throw Error('Port ' + port + (fd < 0 ? ': WiFi is not connected, or no socket is left' : ': in use'));
}

/** A client has connected. It is served, or it is turned away with 421. */
function accept(server: Server, listener: Listener, fd: number): void {
  const connection = newConnection(server, listener, fd);
  if (fd === fillingFd) fillingUntil = 0; // the connection that had this fd has ended, so its client has the whole answer
  // A zombie that can send now has the PCB of a connection. If it is no other connection's, it is this one's: end() frees its fd, too.
  connection._zombies = zombies.filter((zombie) => writable(zombie) && !connections.some((each) => each._zombies.indexOf(zombie) >= 0));
  if (connections.push(connection) >= server._limits.maxParallelConnections) {
    // No connection is free. The oldest one that has not sent anything gets as little time as on stock firmware.
    connections.some((each) => !each._state && !each._waiting && (each._deadline = each._since + Ms.SILENT));
  }
  if (listener._reader) alive(listener._reader); // if it is not, it stops being the reader
  const reader = listener._reader;
  if ((connection._zombies.length && zombies.length + listeners.length > Max.ZOMBIES) || (reader && (reader._state || reader._requests < 2 || reader._waiting))) {
    // When a connection ends, Chromium repeats its request only if it had used the connection before. After a 421 it always repeats it once.
    answer(connection, failure(421));
    flush(connection);
    end(connection);
  } else if (!routed) {
    if (reader) end(reader); // it is idle between two requests, and its client will reconnect by itself
    listener._reader = connection;
    if (!listener._first) checkAt = releaseAt = 0; // the first port needs a free PCB for another client
  }
}

function newConnection(server: Server, listener: Listener, fd: number): Connection {
  const connection = {
    _listener: listener, _since: now, _requests: 0, _body: NO_BYTES, _segments: [], _queue: [], _out: '', _unsent: 0, _in: NO_BYTES, _waiting: 0,
    _server: server, _fd: fd,
  } as Partial<Connection> as Connection;
  const accepted = dev.get(fd);
  accepted.read_cb = (data) => {
    if (!routed) {
      routed = true; // from now on, nobody is kept out
      listeners.forEach((each) => { each._reader = null; });
      releaseHeld(Infinity);
    }
    onSegment(connection, data);
  };
  accepted.close_cb = () => { onClosed(connection); };
  resetRequest(connection);
  restartTimeout(connection);
  if (!routed) connection._deadline = now + Ms.SILENT;
  return connection;
}

/** Whether the connection is its port's reader. */
const isReader = (connection: Connection) => connection._listener._reader === connection;

/** From now on, lwIP refuses what the client sends. Its answer goes on, and the next client may connect. */
function seal(connection: Connection): void {
  if (connection._fd >= 0) dev.shutdown(connection._fd, 0);
  releaseReader(connection, 0);
}

/** The connection has lost its fd: either side has closed it, or it is a zombie. The next step disposes of the connection. */
function onClosed(connection: Connection): void {
  connection._fd = -1;
  releaseReader(connection, Ms.COME_BACK);
}

/** The connection stops being its port's reader. If it was the reader, its PCB may take `ms` to become free for the next client. */
function releaseReader(connection: Connection, ms: number): void {
  checkAt = 0;
  if (isReader(connection)) {
    connection._listener._reader = null;
    releaseAt = now + ms;
  }
}

/** Leaves as many PCBs free as clients may connect. It takes all PCBs and then releases these, so it need not know how many there are. */
function admit(reserve: number): void {
  if (now < checkAt) return;
  checkAt = now + Ms.CHECK;
  while (parked.length && parked.length + zombies.length + listeners.length > Max.FDS) dev.close(parked[0]); // its close_cb removes it
  if (routed) return;
  const wanted = reserve + +listeners.some((listener) => listener._first && !listener._reader);
  let free = 0; // PCBs: first those found, then those to release
  for (let fd; (fd = socket()) >= 0; free++) {
    dev.bind(fd, dev.ip, 0);
    dev.shutdown(fd, 1);
    if (!dev.errno) { // the driver's result is inverted: no error means no PCB
      dev.close(fd);
      break;
    }
    held.push(fd);
  }
  if (free >= wanted || now >= releaseAt) { // otherwise wait for the PCB of the reader that ended
    free = Math.min(free + 1, wanted);
    releaseAt = now + Ms.COME_BACK;
  }
  releaseHeld(free);
}

function releaseHeld(count: number): void {
  while (count-- > 0 && held.length) dev.close(held.pop()!); // the last one taken: if it was a zombie's PCB, end() frees the zombie's fd
}

// --------------------------------------------------------------------------------------------------------- connection

/** @internal The protocol that a connection speaks after a 101. The 101 response carries it. */
export interface Stage {
  /** One bounded step. */
  next(): void;
  /** Called when the connection has ended. */
  return(): void;
  /** Bytes of input that may wait, in addition to a TCP window. */
  _maxBytes: number;
}

/** @internal What {@link Server.route} adds. */
export interface Route {
  readonly _path: RegExp;
  /** The path was given as text. Then an empty match does not count. */
  readonly _isText: boolean;
  readonly _method: string;
  readonly _handler: Handler;
}

/** @internal One client and its current request. */
export interface Connection {
  readonly _server: Server;
  readonly _listener: Listener;
  /** -1 once the connection has ended. */
  _fd: number;
  /** Fds of zombies that had its PCB before. */
  _zombies: number[];
  /** When it was accepted. */
  readonly _since: number;
  /** When the current state times out. Infinity: the client waits for the program. 0: the connection is dropped. */
  _deadline: number;
  /** Number of requests, including the one that is awaited. */
  _requests: number;
  /** Input that is not parsed yet: the first bytes, the blocks after them, and the number of bytes in both. */
  _in: Uint8Array;
  _segments: Uint8Array[];
  _waiting: number;
  /** More input came than may wait, and was discarded. So this is the last request that can be read. */
  _overrun?: boolean;
  /** Output: the next bytes as characters, the pieces after them, and the number of bytes in both. */
  _out: string;
  _queue: Piece[];
  _unsent: number;

  _state: State;
  /** The part of the current line that has arrived. */
  _line: string;
  /** Bytes and number of the header fields so far. */
  _headBytes: number;
  _fields: number;
  _method: string;
  _path: string;
  _query: string;
  _headers: RequestHeaders;
  /** What answers the request: a route and its match, or an error. */
  _found: Route | Response;
  _match: string[];
  _body: Uint8Array;
  /** Bytes of the body that have arrived. */
  _got: number;
  /** What is stepped: the handler, then the body of the answer, if they are iterators. */
  _work: Iterator<any, any> | null;
  /** The client allows keep-alive: HTTP/1.1 without "connection: close". Once there is an answer: the connection is kept. */
  _keep: boolean;
  /** True: the answer came before the end of the request, so the client may still be sending. In DRAIN: when that ends. */
  _drainUntil?: boolean | number;
  _stage?: Stage;
  _mode: Mode;
}

/**
 * Copies a segment, because the driver's memory must soon be free again. Only the garbage collector frees that memory, and only allocations
 * make it run. So a segment that is not kept is copied, too. The driver has no backpressure: when a client runs too far ahead of its answers,
 * the rest of its input is discarded.
 */
function onSegment(connection: Connection, data: Uint8Array): void {
  if (data.length > Max.SEGMENT) uncollected = 4 * Max.SEGMENT;
  if (connection._state === State.DRAIN) {
    connection._deadline = Math.min(now + Ms.QUIET, connection._drainUntil as number);
  } else if (connection._waiting + data.length + connection._segments.length * Max.BLOCK > largestInput(connection) + Max.AHEAD) {
    connection._overrun = true;
    if (connection._stage) {
      drop(connection);
      seal(connection);
    }
  }
  const kept = connection._deadline && !connection._overrun && connection._state !== State.DRAIN;
  for (let at = 0; at < data.length; at += Max.SEGMENT) {
    const block = new Uint8Array(data.subarray(at, at + Max.SEGMENT));
    if (kept) connection._segments.push(block);
  }
  if (kept && (connection._waiting += data.length) > Max.SMALL) limitMemory(0);
}

/** Joins the next block of input to the rest of the one before, if that rest is too short to be read. */
function pull(connection: Connection): void {
  const { _in, _segments } = connection;
  const { length } = _in;
  if (length >= Max.FRAME_HEAD || !_segments.length) return;
  let bytes = _segments.shift()!;
  if (length) {
    const block = bytes;
    bytes = new Uint8Array(length + block.length);
    bytes.set(_in);
    bytes.set(block, length);
  }
  connection._in = bytes;
}

/** Removes the bytes that have been read from the input. */
function consume(connection: Connection, count: number): void {
  connection._in = after(connection._in, count);
  connection._waiting -= count;
}

/** Discards the connection's input. The next step ends the connection, with 503 if a request was coming in. */
function drop(connection: Connection): void {
  connection._in = NO_BYTES;
  connection._segments = [];
  connection._waiting = connection._deadline = 0;
}

/** Bytes that a client makes the server hold. An answer does not count, as it is the program's. */
const memoryOf = ({ _deadline, _waiting, _body, _stage, _unsent, _headBytes, _line }: Connection) =>
  _deadline && _waiting + _body.length + (_stage ? _unsent : _headBytes + _line.length);

/** Most bytes of one body or message. */
const largestInput = (connection: Connection) => connection._stage ? connection._stage._maxBytes : connection._server._limits.maxBodyBytes;

/**
 * Five clients at their limits do not fit into the memory. When all clients together hold too much, the one that holds most is dropped. Of
 * equals it is the last one.
 * @param more bytes that a client asks for. If they are too many, nobody is dropped
 * @returns whether there is room for them
 */
function limitMemory(more: number): boolean {
  let sum = more;
  let most = 0;
  let largest = connections[0];
  connections.forEach((connection) => {
    sum += memoryOf(connection);
    most = Math.max(most, largestInput(connection));
    if (memoryOf(connection) >= memoryOf(largest)) largest = connection;
  });
  if (sum <= Max.MEMORY + 2 * most) return true;
  if (!more) drop(largest);
  return false;
}

/**
 * Returns false when the client has reset the connection, which nothing else reports. Each pass of the loop asks this before it uses the
 * connection: a call on a dead connection would hit the next client that gets its PCB.
 */
function alive(connection: Connection): boolean {
  if (writable(connection._fd)) return true;
  // If it is alive after all (Wi-Fi may have been down for a moment), its input must not arrive.
  dev.shutdown(connection._fd, 0);
  setAside(zombies, connection._fd);
  onClosed(connection);
  return false;
}

/** Gives the client its full time again. */
function restartTimeout(connection: Connection): void {
  connection._deadline = now + connection._server._limits.requestTimeoutSeconds * 1000;
}

/** Appends pieces to the output. If nothing waited, its client has its full time. */
function send(connection: Connection, pieces: Piece[]): void {
  if (!connection._unsent) restartTimeout(connection);
  connection._unsent += sizeOf(pieces);
  connection._queue = connection._queue.concat(pieces);
}

/** Takes from the queue as much as one write may contain. */
function fill(connection: Connection): void {
  const { _queue } = connection;
  for (let room; (room = Max.CHUNK - connection._out.length) > 0 && _queue.length;) {
    const data = _queue.shift()!;
    const isText = isString(data);
    connection._out += isText ? data.slice(0, room) : latin1(data.subarray(0, room));
    if (data.length > room) _queue.unshift(isText ? data.slice(room) : data.subarray(room));
  }
}

/** Whether a connection must still wait for its turn: another has waited longer, or another's send buffer may be full. */
const isEarly = (connection: Connection) => connections.some(({ _mode, _since, _fd }) => _mode & Mode.WAITS
  ? _since < connection._since
  : now < fillingUntil && _fd === fillingFd && _mode & Mode.FILLS) || (now < fillingUntil && parked.indexOf(fillingFd) >= 0);

/**
 * Writes until nothing is left (then it returns true), the send buffer is full, or the step has done its work. Two full send buffers do not
 * fit into the board's C heap. So answers that fill the send buffer go out one after the other. The next one begins when the client before it
 * has closed, and so has received everything, or has taken too long. (Streams, and many short answers that nobody reads, can still fill
 * buffers: the driver does not report what a client has acknowledged.)
 */
function flush(connection: Connection): boolean {
  const fd = connection._fd;
  if (fd < 0) return false;
  while (connection._unsent) {
    if (work >= Max.WORK) return false;
    if (connection._mode & Mode.WAITS) {
      if (isEarly(connection)) {
        restartTimeout(connection); // the delay is not its client's fault
        return false;
      }
      connection._mode = Mode.FILLS;
      fillingFd = fd;
      fillingEnd = now + Ms.TURN;
    }
    fill(connection);
    dev.write(fd, connection._out);
    if (dev.errno) return false;
    connection._unsent -= connection._out.length;
    connection._out = '';
    restartTimeout(connection);
    if (connection._mode & Mode.FILLS && fd === fillingFd) fillingUntil = Math.min(now + Ms.FILLED, fillingEnd);
  }
  return true;
}

/**
 * The only way to end a connection: lwIP sends what was written, then FIN. When the client's FIN comes, the driver closes whatever socket has
 * the fd by then. So the fd is parked until that FIN.
 */
function end(connection: Connection): void {
  const fd = connection._fd;
  if (fd < 0) return;
  // A zombie that could send before this close and cannot after it has the same PCB. Closing it in the same pass does nothing more to the
  // PCB, and frees the zombie's fd.
  const reused = zombies.filter(writable);
  const lower = [];
  let taken;
  dev.close(fd); // calls close_cb
  reused.forEach((zombie) => {
    if (!writable(zombie)) dev.close(zombie); // its close_cb removes it
  });
  while ((taken = socket()) >= 0 && taken !== fd) lower.push(taken);
  if (taken === fd) setAside(parked, fd);
  while (lower.length) dev.close(lower.pop()!);
}

/** Forgets a connection that has ended, and ends its iterators. */
function dispose(connection: Connection): void {
  const left = connection._stage || connection._work;
  remove(connections, connection);
  try {
    if (left && left.return) left.return();
  } catch (error) {
    log(connection._server, error);
  }
}

/** Prepares a connection for its next request. */
function resetRequest(connection: Connection): void {
  connection._requests++;
  connection._state = State.IDLE;
  connection._line = connection._method = connection._path = '';
  connection._got = connection._headBytes = connection._fields = 0;
  connection._keep = false;
}

// ------------------------------------------------------------------------------------------------------------ request

/** Reads the input, as far as the step's work allows. True when the handler may be called, or there is already an answer. */
function readRequest(connection: Connection): boolean {
  while (connection._waiting && connection._state < State.HANDLER && work < Max.WORK) {
    pull(connection);
    if (connection._state === State.BODY) readBody(connection);
    else readLines(connection);
  }
  if (connection._overrun && !connection._waiting && connection._state < State.HANDLER) answer(connection, failure(503)); // the rest was discarded
  return connection._state > State.HANDLER || (connection._state === State.HANDLER && work < Max.WORK);
}

/**
 * Reads the lines that have arrived. Nearly all of them are plain: they have no character that JSON escapes (control characters, quotes and
 * backslashes), so JSON.stringify makes the text longer only by its line breaks. That check is faster than a pattern. JSON does not escape
 * "\x7f", which is a control character.
 */
function readLines(connection: Connection): void {
  const limits = connection._server._limits;
  const text = connection._line + latin1(connection._in.subarray(0, Max.LINES));
  const lines = text.split('\r\n');
  const isPlain = text.indexOf('\x7f') < 0 && JSON.stringify(text).length === text.length + 2 * lines.length;
  let room = Max.WORK - work;
  let read = -connection._line.length;
  let status;
  let line;
  let isWhole;
  let i = 0;
  connection._line = '';
  do {
    line = lines[i++];
    isWhole = i < lines.length;
    read += line.length + (isWhole ? 2 : 0);
    room -= line.length + Max.LINE;
    status = readLine(connection, limits, isWhole || line.slice(-1) !== '\r' ? line : line.slice(0, -1), isWhole, isPlain);
  } while (isWhole && !status && room > 0);
  work = Max.WORK - room;
  if (!isWhole) connection._line = line;
  consume(connection, read);
  if (status > 0) answer(connection, failure(status));
}

/**
 * Checks and reads a line. A malformed line is refused before its end, which may never come. Characters that an earlier step has checked are
 * not checked again. This function and those below return 0, the status of an error, or -1 at the end of the head.
 */
function readLine(connection: Connection, limits: Limits, line: string, isWhole: boolean, isPlain: boolean): number {
  return (!isPlain && NOT_IN_LINE.test(line.slice(-Max.LINES - 1))) || (!isWhole && !NAME.test(line[0])) ? 400 // "undefined" is a name, too
    : connection._state === State.REQUEST_LINE
      ? line.length > limits.maxRequestLineSize ? 414
        : isWhole && line ? readRequestLine(connection, line) : 0 // RFC 9112, section 2.2: ignore empty lines before a request
      : line && connection._headBytes + line.length + 2 > limits.maxHeaderBytes ? 431
        : !isWhole ? 0 : line ? readField(connection, limits, line) : endHead(connection);
}

function readRequestLine(connection: Connection, line: string): number {
  const request = REQUEST_LINE.exec(line);
  if (!request || !request[5] || !(request[2] || request[3])) return request && request[1] === 'CONNECT' ? 501 : 400;
  if (request[5] !== '1') return 505;
  const path = percentDecode(request[3] || '/');
  if (!path) return 400;
  connection._method = request[1];
  connection._path = path;
  connection._query = request[4] || '';
  connection._headers = Object.create(null);
  connection._keep = request[6] !== '0';
  connection._state = State.FIELDS;
  return 0;
}

/** RFC 9112, section 5: no space before the colon, no folded lines (obs-fold). */
function readField(connection: Connection, limits: Limits, line: string): number {
  const { _headers } = connection;
  const colon = line.indexOf(':');
  const name = line.slice(0, colon);
  const key = name.toLowerCase();
  connection._headBytes += line.length + 2;
  if (++connection._fields > limits.maxHeaderCount) return 431;
  // Only a name is left as it is by both functions. (Some names are not.) Together they are as fast as a pattern on the board, elsewhere faster.
  if (colon < 1 || colon > Max.NAME || !(escape(encodeURIComponent(name)) === name || NAME.test(name))) return 400;
  const repeated = key in _headers;
  if (repeated && key === 'host') return 400; // content-length: "1, 1" is no number
  // Nearly all values have one space before them. trim() alone would take U+00A0 away, too, which is the last byte of an "à" in UTF-8.
  const value = line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
  _headers[key] = (repeated ? _headers[key] + (key === 'cookie' ? '; ' : ', ') : '')
    + (value === value.trim() ? value : /[\t ]*(.*[^\t ]|)/.exec(value)![1]);
  return 0;
}

/** RFC 9112, sections 3.2, 6 and 9.3: host, the length of the body, and whether the connection may be kept. */
function endHead(connection: Connection): number {
  const { _headers, _server } = connection;
  const limits = _server._limits;
  const length = _headers['content-length'];
  const http11 = connection._keep;
  if (connections.length > limits.maxParallelConnections) return 503;
  if (http11 && !('host' in _headers)) return 400;
  if ('transfer-encoding' in _headers) return 501;
  if (length != null) {
    if (!/^\d+$/.test(length)) return 400;
    if (+length > limits.maxBodyBytes) return 413;
    if (+length && !limitMemory(+length)) return 503;
  }
  connection._mode = +http11;
  connection._keep = http11 && !/(^|[\t ,])close($|[\t ,])/i.test(listOf(_headers.connection));
  connection._found = _server._find(connection);
  if (!+length) { // not there, or zero
    connection._state = State.HANDLER;
    connection._deadline = Infinity; // the client waits for the handler, which may take any time
  } else if (connection._found instanceof Response) {
    answer(connection, connection._found); // the body makes no difference
  } else {
    connection._body = new Uint8Array(+length);
    connection._state = State.BODY;
    if (http11 && /100-continue/i.test(_headers.expect)) dev.write(connection._fd, 'HTTP/1.1 100 Continue\r\n\r\n');
  }
  return -1;
}

function readBody(connection: Connection): void {
  const { _body } = connection;
  for (let bytes; connection._got < _body.length; connection._got += bytes.length) {
    pull(connection);
    bytes = connection._in.subarray(0, _body.length - connection._got);
    if (!bytes.length) return;
    _body.set(bytes, connection._got);
    consume(connection, bytes.length);
  }
  connection._state = State.HANDLER;
  connection._deadline = Infinity; // as above
}

/** Calls the handler. */
function dispatch(connection: Connection): unknown {
  const { _found } = connection;
  // The last argument is for the WebSocket extension, and is not documented.
  return _found instanceof Response ? _found : (_found._handler as any).call(
    connection._server, connection._path, connection._query, connection._headers, connection._body, connection._match, connection,
  );
}

/** Runs one step of the handler. True when there is an answer. */
function handle(connection: Connection): boolean {
  const result = connection._work ? stepOf(connection._work) : { done: true, value: dispatch(connection) };
  if (!result.done) return false;
  const iterator = iteratorOf(result.value);
  if (!iterator) {
    answer(connection, result.value);
    return true;
  }
  connection._work = iterator;
  connection._keep = false; // a slow handler's connection is sealed, see step()
  return false;
}

// -------------------------------------------------------------------------------------------------------------- reply

/** An answer to a request. */
export class Response {
  /** The body, as it was given or as JSON. */
  body: string | Uint8Array | BodyIterator;
  /** The status code: RFC 9110, section 15. */
  status: number;
  /** The type of the body, without the charset that is added. */
  contentType: string;
  /** Additional headers. The object has no prototype; one that you give to the constructor is copied. */
  headers: { [name: string]: string | number };
  /** @internal */
  declare _nextStage?: Stage;
  /** @internal The length in bytes of a body that is an iterator, if it is known. */
  declare _length?: number;
  /** @internal Makes the response that is sent, from the request's headers. */
  declare _resolve?: (requestHeaders: RequestHeaders) => Response;

  /**
   * @param body text (sent as UTF-8), bytes, an iterator that yields either (a stream, see {@link BodyIterator}), or any other value, which is
   *   sent as JSON. Default ''
   * @param status three digits: RFC 9110, section 15. Default 200
   * @param contentType default 'text/plain', for JSON 'application/json'. If it has no parameter, "; charset=utf-8" is added to a text type
   *   and to the type of a string or JSON
   * @param headers additional headers. A content-type among them replaces contentType. Default none
   * @throws Error when a header has a line break, another control character or a character above U+00FF, or the status does not have three
   *   digits (all of it is checked again when the response is sent); TypeError for a value that JSON cannot express
   */
  constructor(body?: unknown, status?: number, contentType?: string, headers?: { [name: string]: string | number }) {
    if (body === undefined) body = '';
    if (!isString(body) && !(body instanceof Uint8Array) && !isIterator(body)) {
      body = JSON.stringify(body);
      contentType = contentType || 'application/json';
    }
    this.body = body as string;
    this.status = status || 200;
    this.contentType = contentType || 'text/plain';
    this.headers = headers || Object.create(null);
    if (status || contentType || headers) check(this);
  }
}

/** Checks a response and converts its headers' names to lower case. Of two spellings of a name, the later one counts. */
function check(response: Response): void {
  const { status, contentType, headers } = response;
  let bad = !(status > 99 && status < 1000 && status === (status | 0)) || NOT_IN_LINE.test(contentType);
  response.headers = Object.create(null);
  for (const name in headers) {
    if (headers[name] == null) continue;
    bad = bad || !NAME.test(name) || NOT_IN_LINE.test('' + headers[name]);
    response.headers[name.toLowerCase()] = headers[name];
  }
  if (bad) throw Error('Bad status or header');
}

/** The response to everything that fails. */
const failure = (status: number, headers?: { [name: string]: string }, message?: string) =>
  new Response(message || '' + status, status, '', headers);

const lasts = (connection: Connection) => connection._mode & Mode.LASTS;

/** Queues the head of an answer. Its body follows. */
function answer(connection: Connection, reply: Reply): void {
  const isOwn = reply instanceof Response;
  let response = isOwn ? reply : new Response(reply, reply === undefined ? 204 : 0, reply instanceof Uint8Array ? BINARY : '');
  if (response._resolve) response = response._resolve(connection._headers);
  if (isOwn && !response._nextStage) check(response); // the program may have changed it since its constructor
  const { body, status } = response;
  const hasNoContent = status < 200 || status === 204 || status === 304;
  const sendsNoContent = hasNoContent || connection._method === 'HEAD';
  const streamed = isIterator(body);
  const pieces = streamed ? [] : piecesOf(body);
  const length = streamed ? response._length : sizeOf(pieces);
  connection._mode = length! >= Max.AT_ONCE && !sendsNoContent ? Mode.WAITS
    : response._nextStage ? Mode.LASTS
    : !streamed || sendsNoContent || length != null ? 0
    : Mode.LASTS | (response.headers['content-length'] == null ? connection._mode : 0);
  // One connection stays free for short requests.
  const isFull = lasts(connection) && connections.filter(lasts).length >= connection._server._limits.maxParallelConnections;
  if (streamed && (isFull || sendsNoContent) && body.return) body.return();
  if (isFull) return answer(connection, failure(503));
  connection._drainUntil = connection._state < State.HANDLER || connection._overrun;
  // Only browsers repeat a request that meets the end of a kept connection. They leave that connection half open, which keeps its PCB busy for
  // 20 s. So no connection is kept when half-open ones have taken all other PCBs, nor on the ports for WebSockets. A connection with a zombie's
  // PCB has to be ended by the server, see end().
  connection._keep = connection._keep && connection._method === 'GET' && !connection._drainUntil && isReader(connection)
    && connection._listener._first && length! < Max.AT_ONCE && !connection._zombies.length && (held.length > 0 || !parked.length)
    && connection._requests < Max.REQUESTS && now - connection._since < Ms.KEEP
    && /^Mozilla\//.test(connection._headers['user-agent']);
  send(connection, ([headOf(response, hasNoContent, length, connection)] as Piece[]).concat(sendsNoContent ? [] : pieces));
  connection._state = State.ANSWER;
  connection._stage = response._nextStage;
  connection._work = streamed && !sendsNoContent ? body : null;
  connection._body = NO_BYTES;
  connection._match = null!;
  if (connection._server._limits.debug) log(connection._server, connection._method + ' ' + connection._path + ' ' + status);
}

/** RFC 9112, section 4. There is no reason phrase, because no client reads it. */
function headOf(
  { body, status, contentType, headers }: Response, hasNoContent: boolean, length: number | undefined, connection: Connection,
): string {
  let head = 'HTTP/1.1 ' + status + ' ';
  let own = connection._mode & Mode.CHUNKED ? '\r\ntransfer-encoding: chunked' : '';
  if (!hasNoContent && length != null) own = '\r\ncontent-length: ' + length;
  if (status > 199 && !connection._keep) own += '\r\nconnection: close';
  for (const name in headers) if (own.indexOf('\n' + name + ':') < 0) head += '\r\n' + name + ': ' + headers[name];
  if (!hasNoContent && headers['content-type'] == null) {
    const isText = contentType.indexOf(';') < 0 && (isString(body) || /^text/.test(contentType));
    head += '\r\ncontent-type: ' + contentType + (isText ? '; charset=utf-8' : '');
  }
  return head + own + '\r\n\r\n';
}

/** Writes what there is, then asks the body for more. True when all of it is written. */
function continueAnswer(connection: Connection): boolean {
  if (!flush(connection)) {
    if (dev.errno) connection._keep = false;
    return false;
  }
  if (!connection._work) return true;
  const { done, value } = stepOf(connection._work);
  if (!done && value === undefined) {
    connection._deadline = Infinity; // the client waits for the program
    return false;
  }
  if (done) connection._work = null;
  const pieces = done ? [] : piecesOf(value);
  const size = sizeOf(pieces);
  // RFC 9112, section 7.1: a chunk of no bytes is the last one.
  send(connection, connection._mode & Mode.CHUNKED && (size || done) ? ([size.toString(16) + '\r\n'] as Piece[]).concat(pieces, '\r\n') : pieces);
  return !!done && flush(connection);
}

function finish(connection: Connection): void {
  if (connection._stage) {
    connection._state = State.UPGRADED;
  } else if (connection._keep) {
    resetRequest(connection);
    connection._deadline = now + Ms.IDLE;
  } else if (connection._drainUntil) {
    drain(connection);
  } else {
    end(connection);
  }
}

/** Discards what the client still sends for a while. A reset would make it lose the part of the answer that it has not read yet. */
function drain(connection: Connection): void {
  drop(connection);
  connection._state = State.DRAIN;
  connection._drainUntil = now + Ms.DRAIN;
  connection._deadline = now + Ms.QUIET;
}

// -------------------------------------------------------------------------------------------------------------- files

declare function require(name: 'fs'): {
  stat(path: string): { size: number, isFile(): boolean };
  open(path: string, flags: string): number;
  read(fd: number, buffer: Uint8Array, offset: number, length: number): number;
  close(fd: number): void;
};

/** Content types, each followed by the extensions that differ from its subtype. An object would also have the extension "constructor". */
const CONTENT_TYPES = ' text/html/ text/css/ text/plain/txt/ text/javascript/js/mjs/ application/json/ application/wasm/ image/png/ image/gif/ '
  + 'image/webp/ image/svg+xml/svg/ image/jpeg/jpg/ image/x-icon/ico/ font/woff2/';

function contentTypeOf(path: string): string {
  const at = CONTENT_TYPES.indexOf('/' + path.slice(path.lastIndexOf('.') + 1) + '/');
  return at < 0 ? BINARY : /\w+.[^/]+/.exec(CONTENT_TYPES.slice(CONTENT_TYPES.lastIndexOf(' ', at)))![0];
}

/** The size of a file in bytes, or -1 when there is no such file. */
function fileSize(path: string): number {
  try {
    const stat = require('fs').stat(path);
    return stat.isFile() ? stat.size : -1;
  } catch {
    return -1;
  }
}

/** Yields the bytes of a file, `bufferSize` at a time. The file is open from the first step to the last, or until the client leaves. */
function fileBody(path: string, left: number, bufferSize: number): BodyIterator {
  const buffer = new Uint8Array(bufferSize);
  const fs = require('fs');
  let fd = -1;
  const close = () => {
    if (fd >= 0) fs.close(fd);
    fd = -1;
    return DONE;
  };
  return {
    next() {
      if (!left) return close();
      if (fd < 0) fd = fs.open(path, 'r');
      const count = fs.read(fd, buffer, 0, Math.min(left, bufferSize));
      if (!count) throw Error(path + ' got shorter');
      left -= count;
      return { done: false, value: buffer.subarray(0, count) };
    },
    return: close,
  };
}

/**
 * A response with a file. If there is a file NAME.gz and the client accepts gzip, or if there is only NAME.gz, that is sent instead. The client
 * gets 404 when there is neither, or when a segment of the path is "..".
 * @param path the file's path on the board
 * @param headers additional headers, such as cache-control. Default none
 * @param contentType default: the type for the extension, or 'application/octet-stream'
 * @param bufferSize bytes to read at a step. Default 1024
 */
export const FileResponse = function (path: string, headers?: { [name: string]: string | number }, contentType?: string, bufferSize?: number) {
  const response = new Response('', 200, contentType || contentTypeOf(path), headers);
  response._resolve = (requestHeaders) => {
    let zipped = /(^|[ ,])gzip *(,|$|; *q=(1|0\.0*[1-9]))/i.test(listOf(requestHeaders['accept-encoding']));
    let name = zipped ? path + '.gz' : path;
    let size = fileSize(name);
    if (size < 0) { // send the other file, whatever the client accepts: RFC 9110, section 12.5.3
      zipped = !zipped;
      name = zipped ? path + '.gz' : path;
      size = fileSize(name);
    }
    if (size < 0 || /(^|\/)\.\.(\/|$)|\0/.test(path)) return failure(404);
    const answer = new Response(fileBody(name, size, bufferSize || 1024), response.status, response.contentType, response.headers);
    const { vary } = answer.headers;
    answer._length = size;
    if (zipped) {
      answer.headers['content-encoding'] = 'gzip';
      answer.headers.vary = (vary ? vary + ', ' : '') + 'accept-encoding';
    }
    return answer;
  };
  return response;
} as any as new (path: string, headers?: { [name: string]: string | number }, contentType?: string, bufferSize?: number) => Response;

// ------------------------------------------------------------------------------------------------------------- server

/** Runs one bounded step of a connection. */
function step(connection: Connection): void {
  if (now > connection._deadline && (connection._state || !connection._waiting)) {
    if (connection._state && connection._state < State.HANDLER) answer(connection, failure(connection._deadline ? 408 : 503));
    else end(connection);
    return;
  }
  switch (connection._state) {
    case State.IDLE:
      if (!connection._waiting) return;
      connection._state = State.REQUEST_LINE;
      restartTimeout(connection);
      // falls through
    case State.REQUEST_LINE:
    case State.FIELDS:
    case State.BODY:
      if (!readRequest(connection)) return;
      // falls through
    case State.HANDLER:
      if (connection._state === State.HANDLER && !handle(connection)) break;
      // falls through
    case State.ANSWER:
      if (!continueAnswer(connection)) break;
      return finish(connection);
    case State.UPGRADED:
      return connection._stage!.next();
    // DRAIN: nothing to do until its time is over
  }
  // The answer takes more steps, so the next client may connect meanwhile. finish() handles connections that are drained, kept or upgraded.
  if (isReader(connection) && !connection._drainUntil && !connection._keep && !connection._stage) seal(connection);
}

/**
 * The web server. Add handlers with {@link Server.route}, or make a subclass and mark its methods with {@link route}. Then call
 * {@link Server.listen}, or pass {@link Server.start} to {@link run}.
 */
export class Server {
  /** @internal */
  _limits: Limits;
  /** @internal Its ports in order; none when it does not listen. */
  _listeners: Listener[] = [];
  // Only declared: some compilers would otherwise make it an own field, which would hide the routes of the class.
  private declare _routes?: Route[];

  /**
   * @param options limits and switches, see {@link ServerOptions}
   * @throws Error for an option that does not exist
   */
  constructor(options?: ServerOptions);
  constructor(options?: ServerOptions, more?: object) {
    const limits: any = this._limits = more as any || {};
    limits.maxRequestLineSize = 2048;
    limits.maxHeaderCount = 50;
    limits.maxHeaderBytes = 4096;
    limits.maxBodyBytes = 16384;
    limits.requestTimeoutSeconds = 10;
    limits.maxParallelConnections = 5 - (options && options.reserve || 0);
    limits.reserve = 0;
    limits.debug = false;
    limits.netdev = global.__netdev;
    const given: any = options;
    for (const name in given) {
      if (!(name in limits)) throw Error('No option ' + name);
      if (given[name] !== undefined) limits[name] = given[name];
    }
  }

  /**
   * Adds a handler to this server only. The first route that matches answers. A GET route also answers HEAD.
   * @param path a regular expression; a string must match the whole path
   * @param method 'GET', 'POST' and so on, in capitals
   * @param handler see {@link Handler}
   * @returns this
   * @throws Error with the route, when the method is not in capitals or the handler is not a function
   */
  route(path: string | RegExp, method: string, handler: Handler<this>): this {
    if (!/^[A-Z]+$/.test(method) || typeof handler !== 'function') throw Error('Bad route: ' + method + ' ' + path);
    const isText = isString(path);
    // Always a new list, because the old one may belong to the class or to its parent. A string that does not match gives the empty match:
    // without that alternative, an engine would try every character of the path.
    this._routes = (this._routes || []).concat({
      _path: isText ? RegExp('^(?:' + path + ')$|') : path as RegExp, _isText: isText, _method: method, _handler: handler,
    });
    return this;
  }

  /** @internal Finds the route of a request and stores its match in the request. Returns the error response when there is none. */
  _find(request: Connection): Route | Response {
    const method = request._method;
    const routes = this._routes || [];
    let allow = '';
    for (let i = 0; i < routes.length; i++) {
      const route = routes[i];
      const match = request._path.match(route._path);
      if (match && (match[0] || !route._isText)) {
        request._match = match;
        if (route._method === method || (route._method === 'GET' && method === 'HEAD')) return route;
        allow += (allow && ', ') + route._method + (route._method === 'GET' ? ', HEAD' : '');
      }
    }
    return allow ? failure(405, { allow }) : failure(404);
  }

  /**
   * Listens, and returns the server as a generator: each `next()` is one bounded step, plus the time of your handlers.
   * @param port the port to listen on. Default 80
   * @returns the iterator, which is this server
   * @throws Error with the port, when it is in use, no socket is left or Wi-Fi is not connected; Error when this server is already listening
   */
  start(port?: number): Iterator<undefined> {
    if (this._listeners.length) throw Error('Listening already');
    dev = this._limits.netdev;
    lastMillis = millis();
    releaseHeld(1); // a listening socket needs a PCB for a moment
    checkAt = 0;
    for (let i = 0; i <= (this._limits.sockets || 0); i++) listenOn(this, (port || 80) + i);
    return this;
  }

  /** Runs one bounded step of the server, after {@link Server.start}. */
  next(): IteratorResult<undefined> {
    if (!this._listeners.length) return DONE;
    const time = millis();
    now += Math.min(time - lastMillis, Ms.PASS);
    lastMillis = time;
    admit(this._limits.reserve);
    // Two TCP windows in a row would not fit into the C heap's 20 KB. The blocks are small, because the heap may have no large one.
    while (uncollected > 0) uncollected -= new Uint8Array(Max.SEGMENT).length;
    for (let i = connections.length; i--;) {
      const connection = connections[i];
      // A handler may have closed a server, and with it connections.
      if (!connection || connection._server !== this) continue;
      try {
        if (connection._fd < 0) {
          dispose(connection);
        } else if (alive(connection) && work < Max.WORK) {
          step(connection);
          if (work >= Max.WORK && connections[i] === connection) connections.unshift(connections.splice(i++, 1)[0]); // last in the next step
        }
      } catch (error) {
        const message = log(this, error);
        if (connection._state === State.ANSWER) end(connection);
        else if (connection._state < State.ANSWER && connection._fd >= 0) answer(connection, failure(500, undefined, message));
      }
    }
    work = 0; // here, because a client that connects between two steps may get its 421 at once
    return NOT_DONE;
  }

  /**
   * Listens, and lets the event loop step the server.
   * @param port the port to listen on. Default 80
   * @param ready called when the server is listening
   * @returns this
   * @throws Error as start() does
   */
  listen(port?: number, ready?: () => void): this {
    run(this.start(port));
    if (ready) ready();
    return this;
  }

  /** Ends all connections of this server and stops listening. */
  close(): void {
    connections.slice().forEach((connection) => {
      if (connection._server !== this) return;
      if (connection._fd >= 0 && alive(connection)) end(connection);
      dispose(connection);
    });
    releaseHeld(Infinity);
    this._listeners.forEach((listener) => {
      remove(listeners, listener);
      dev.close(listener._fd);
    });
    this._listeners = [];
  }

  /**
   * Prints a message on the console. Override it to log elsewhere. The server calls it for errors and, with options.debug, for requests.
   * @param message what was thrown, or a request's method, path and status
   */
  debug(message: unknown): void {
    console.log(message);
  }
}

/** What {@link route} returns: a decorator (legacy or standard) for methods with the signature of a {@link Handler}. */
export interface RouteDecorator {
  /** Legacy decorators: the class's prototype. */
  <T extends Handler>(target: object, name: string | symbol, descriptor: TypedPropertyDescriptor<T>): void;
  /** Standard decorators: the method. */
  (target: Handler, context: { addInitializer(initializer: (this: any) => void): void }): void;
}

/**
 * Decorator that makes a method of a {@link Server} subclass the handler of a route.
 * @param path a regular expression; a string must match the whole path
 * @param method 'GET', 'POST' and so on, in capitals. Default 'GET'. With 'WEBSOCKET', the method is a WebSocketHandler
 */
export function route(path: string | RegExp, method: 'WEBSOCKET'): (target: any, name: any) => void;
export function route(path: string | RegExp, method?: string): RouteDecorator;
export function route(path: string | RegExp, method?: string): any {
  method = method || 'GET';
  return (target: any, name: any) => {
    if (name.addInitializer) name.addInitializer(function (this: Server) { this.route(path, method!, target); });
    else target.route(path, method, target[name]);
  };
}

/**
 * Steps iterators side by side from the event loop until each is done, as asyncio.gather does in Python. If one throws, the error is printed
 * and the others go on.
 */
export function run(...iterators: Iterator<unknown>[]): void;
export function run(): void {
  const iterators: Iterator<unknown>[] = [].slice.call(arguments);
  const timer = setInterval(() => {
    for (let i = iterators.length; i--;) {
      try {
        if (!iterators[i].next().done) continue;
      } catch (error) {
        console.error(error);
      }
      iterators.splice(i, 1);
    }
    if (!iterators.length) clearInterval(timer);
  }, 0);
}

/** @internal What websocket.ts uses of this file. */
export const _seam = {
  _consume: consume,
  _limitMemory: limitMemory,
  _listOf: listOf,
  _checkUtf8: checkUtf8,
  _drain: drain,
  _end: end,
  _failure: failure,
  _flush: flush,
  _HIGH_BITS: HIGH_BITS,
  _iteratorOf: iteratorOf,
  _log: log,
  _NO_BYTES: NO_BYTES,
  _piecesOf: piecesOf,
  _pull: pull,
  _scratch: scratch,
  _scratchWords: scratchWords,
  _send: send,
  _sizeOf: sizeOf,
  _stepOf: stepOf,
  _utf8Bytes: utf8Bytes,
};
