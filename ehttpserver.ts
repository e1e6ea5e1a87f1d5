/**
 * ehttpserver: a non-blocking HTTP/1.1 server for Kaluma on the Raspberry Pi Pico W.
 *
 *     const server = new Server();
 *     server.route('/hello/(.*)', 'GET', (path, query, headers, body, match) => 'Hello ' + match[1]);
 *     server.listen(80);
 *
 * A handler returns text, bytes, an object (sent as JSON), a {@link Response} or a {@link FileResponse}. A handler that takes its time is a
 * generator or an async function, and blocks nobody. The server is an iterator, too: {@link run} steps it beside the program's own generators.
 */

// The file reads top to bottom in the order in which data flows; a section calls a later one only to hand on what flows.

// ---------------------------------------------------------------------------------------------------------- contract

/** Request headers: lower-case names; repeated ones joined with ", ". It has no prototype: every name is just a name. */
export type RequestHeaders = { [name: string]: string };

/** Pieces of a streamed body; `undefined` means "nothing yet, ask again at the next step". */
export type BodyIterator = Iterator<string | Uint8Array | undefined>;

/** What a handler may answer: a Response, text (text/plain), bytes, any other value as JSON, or nothing (204). */
export type Reply = Response | string | Uint8Array | object | number | boolean | null | undefined | void;

/**
 * Answers one request; called with the server as `this`.
 * @param path percent-decoded once, without the query
 * @param query raw, without the "?"; see {@link urlDecode}
 * @param headers of the request, names in lower case
 * @param body of the request, whole
 * @param match of the route's regular expression: `match[1]` is its first group
 * @returns the reply; or an iterator (a generator) that is stepped until it returns the reply; or a promise of it (an async function)
 * @throws anything: it goes to {@link Server.debug}, and is answered with 500
 */
export type Handler<S = any> = (
  this: S, path: string, query: string, headers: RequestHeaders, body: Uint8Array, match: string[],
) => Reply | Iterator<unknown, Reply> | PromiseLike<Reply>;

/** What `__netdev.get(fd)` gives: the driver calls what is set on it. */
export interface NetdevSocket {
  /** A client has connected. */
  accept_cb?: (fd: number) => void;
  /** Bytes came; on stock firmware to the listening socket, whosever they are. */
  read_cb?: (data: Uint8Array) => void;
  /** The socket is closed. */
  close_cb?: () => void;
}

/** Kaluma's network device driver, `global.__netdev`. Calls complete at once; `errno` is 0 or -1 after each. */
export interface Netdev {
  /** Of the last call: 0, or -1 when it failed. */
  errno: number;
  /** The board's address. */
  ip: string;
  /** A new socket's number (fd); throws when there is none, or no Wi-Fi. */
  socket(domain: string, protocol: string): number;
  /** Where to set a socket's callbacks. */
  get(fd: number): NetdevSocket;
  /** Gives a socket its port; 0 for any. */
  bind(fd: number, address: string, port: number): void;
  /** Lets clients connect. */
  listen(fd: number): void;
  /** Sends one byte per character: all of them or none. */
  write(fd: number, data: string): void;
  /** Ends receiving (0) or sending (1). */
  shutdown(fd: number, how: number): void;
  /** Ends a socket; its number is free at once. */
  close(fd: number): void;
}

/** Limits and switches. What a client can make the server hold is bounded by these limits alone. */
export interface ServerOptions {
  /** Characters of the request line; above it 414. Default 2048. */
  maxRequestLineSize?: number;
  /** Header fields; above it 431. Default 50. */
  maxHeaderCount?: number;
  /** Bytes of all header lines; above it 431. Default 4096. */
  maxHeaderBytes?: number;
  /** Bytes of the request body; above it 413. Default 16384. */
  maxBodyBytes?: number;
  /** Seconds for a request from its first byte to its last (else 408), and for an answer without progress (else it ends). Default 10. */
  requestTimeoutSeconds?: number;
  /** Connections served at a time; above it 503. Streams and WebSockets take at most one less. Default 5, all that lwIP has, less `reserve`. */
  maxParallelConnections?: number;
  /** lwIP's connections (PCBs) to leave alone for the program's own outgoing ones. Default 0. */
  reserve?: number;
  /** Print requests, too, not only errors; and tell clients why a handler failed. Default false. */
  debug?: boolean;
  /** The network driver. Default `global.__netdev`. */
  netdev?: Netdev;
}

declare const global: { __netdev: Netdev };
declare function millis(): number;
declare function setInterval(callback: () => void, ms: number): number;
declare function clearInterval(id: number): void;
declare const console: { log(message: unknown): void; error(message: unknown): void };
declare class TextEncoder { encode(text: string): Uint8Array; }
declare class TextDecoder { decode(bytes: Uint8Array): string; }

// ----------------------------------------------------------------------------------------------------------- numbers

/** Milliseconds. */
const enum Ms {
  /** How often free PCBs are looked for: what comes back unseen must not stay free beside a reader. */
  CHECK = 50,
  /** How long the PCB of a reader that ended may take to be free again before a held one is released instead. */
  COME_BACK = 300,
  /** A reader that has not sent a byte: browsers open connections that they never use. */
  SILENT = 500,
  /** A kept connection between two requests. */
  IDLE = 250,
  /** The age from which a kept connection is told `connection: close`. */
  KEEP = 3000,
  /** A client that is drained has nothing more to send after this long without a byte. */
  QUIET = 250,
  /** No client is drained longer than this. */
  DRAIN = 2000,
  /** How long a client that takes nothing of what fills its send buffer keeps the next one waiting; and one that takes it slowly. */
  FILLED = 2000,
  TURN = 10000,
  /** What one pass of the loop may add to the time in which clients are heard. */
  PASS = 100,
}

const enum Max {
  /** Bytes of one write (the driver puts them on a C stack of 8 KB as UTF-8, those above 127 as two). */
  CHUNK = 1024,
  /** Bytes of a head that become text at a time. */
  LINES = 800,
  /** The work of a step, for all clients together: bytes that become text, characters of lines; and what a line counts for beside those. */
  WORK = 2000,
  LINE = 64,
  /** A body below this fits into lwIP's send buffer (8 segments) together with its head. */
  AT_ONCE = 10240,
  /** Bytes of a segment. Input is kept in blocks of this size: after a while the heap has no large ones any more. */
  SEGMENT = 1460,
  /** Bytes that may wait beside one body: a TCP window, which lwIP can hand over at once after a lost segment. */
  AHEAD = 11680,
  /** What a block of input takes beside its bytes. */
  BLOCK = 90,
  /** Bytes that must be in one block to be read: the longest head of a WebSocket frame. */
  FRAME_HEAD = 14,
  /** Bytes of input that need not be counted: five times that is little. */
  SMALL = 2920,
  /** Bytes that all clients together may make the server hold, beside two of the largest body or message. */
  MEMORY = 16384,
  /** Zombies and listeners beside which clients are served. With more, one that has a zombie's PCB is ended at once, which frees the fds of both. */
  ZOMBIES = 5,
  /** Characters of a field's name. */
  NAME = 99,
  /** Characters of a list in a header that are looked at: more than any client needs, and few enough for one step. */
  LIST = 256,
  /** Requests on one kept connection. */
  REQUESTS = 100,
  /**
   * Fds that listen or are out of use (parked, zombies); above it the oldest parked are closed early. Of the driver's 16 they leave one for
   * each PCB, one to look for free PCBs, and one to spare.
   */
  FDS = 9,
}

/** How an answer goes out. */
const enum Mode {
  /** In chunks. Before there is an answer: the client understands them. */
  CHUNKED = 1,
  /** It will fill the send buffer, and waits for its turn. */
  WAITS = 2,
  /** It has begun to fill the send buffer. */
  FILLS = 4,
  /** A stream or an upgraded connection: it may go on for ever. */
  LASTS = 8,
}

/** Where a request is, in the order of the protocol. UPGRADED: its 101 is out, and the stage that it brought has the connection. */
const enum State { IDLE, REQUEST_LINE, FIELDS, BODY, HANDLER, ANSWER, UPGRADED, DRAIN }

/** One constant for "not done yet": no garbage per step. */
const NOT_DONE = { done: false } as IteratorResult<undefined>;
const DONE = { done: true } as IteratorResult<undefined>;
const NO_BYTES = new Uint8Array(0);
const BINARY = 'application/octet-stream';
/**
 * RFC 9112, section 3: method, scheme and host of an absolute form (section 3.2.2), which are skipped, path, query, version. What follows a
 * long repetition is optional, here and below: an engine that does not find it would go back over all that was repeated. Nor may a method or a
 * name have more than 99 characters.
 */
const REQUEST_LINE
  = /^([!-~]{1,99}) ([Hh][Tt][Tt][Pp]:\/\/[^/? ]+)?(\/[!->@-~]*|\*|)(?:\?([!-~]*))?(?: HTTP\/(\d)\.(\d)$)?/;
/** RFC 9110, sections 5.1 and 5.5: a field's name; and what is in no line. */
const NAME = /^[\w\-!#-'*+.^`|~]+$/;
const NOT_IN_LINE = /[^\t -~\x80-\xff]/;

// ------------------------------------------------------------------------------------------------------ text and bytes

const utf8Bytes = (text: string) => new TextEncoder().encode(text);

const isString = (value: unknown): value is string => typeof value === 'string';

const isIterator = (value: any): value is Iterator<any, any> => value && typeof value.next === 'function';

/** As much of a header that is a list as is looked at. */
const listOf = (header?: string) => ('' + header).slice(0, Max.LIST);

/** A promise as an iterator: done with its value, or throws, once it is settled. Nobody steps it any more after that. */
function stepsOf(promise: PromiseLike<any>): Iterator<undefined, any> {
  let result: any = NOT_DONE;
  let rejected = false;
  promise.then((value) => {
    result = { done: true, value };
  }, (error) => {
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
  if (result.then) throw Error('Async generators are not supported');
  return result;
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

/** What follows the first bytes. When that is nothing, the bytes need not be kept for it. */
const after = (bytes: Uint8Array, count: number) => bytes.length > count ? bytes.subarray(count) : NO_BYTES;

/**
 * One character per byte; the bytes are arguments, so they must be few. What is ASCII takes half of that time: as bytes above 127 are
 * negative in an Int8Array, and a Uint8ClampedArray makes those 0, a text without "\0" is all of it. (Compressed files and pictures are
 * told by their first bytes.)
 */
function latin1(bytes: Uint8Array): string {
  work += bytes.length;
  if ((bytes[0] | bytes[1] | bytes[2] | bytes[3]) < 128) {
    const ascii = new Uint8ClampedArray(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length));
    const text = new TextDecoder().decode(new Uint8Array(ascii.buffer));
    if (text.indexOf('\0') < 0) return text;
  }
  return String.fromCharCode.apply(null, bytes as any);
}

/** Bytes to be sent, or text of one character a byte. */
type Piece = string | Uint8Array;

/**
 * Text in pieces, as the heap may have no large block: what is ASCII stays text, the rest becomes UTF-8. Bytes stay as they are.
 * @throws Error for anything else
 */
function piecesOf(data: string | Uint8Array): Piece[] {
  if (data instanceof Uint8Array) return [data];
  if (!isString(data)) throw Error('A body is text or bytes');
  const pieces: Piece[] = [];
  for (let at = 0, end; at < data.length; at = end) {
    end = at + Max.CHUNK;
    if ((data.charCodeAt(end - 1) & 0xFC00) === 0xD800) end++; // a surrogate pair stays together
    const piece = data.slice(at, end);
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
 * Checks that a text is UTF-8 (RFC 3629). decodeURI does it for us; a character that is not whole yet is filled up for that, so that it fails as
 * soon as no byte could mend it.
 * @param from the first byte that has not been checked
 * @param length where the bytes end
 * @returns where the characters that are whole end, or -1
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
      // Behind 0xE0 and 0xF0 the next byte has a least value, behind 0xED and 0xF4 a greatest.
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
 * Bytes as text.
 * @param bytes UTF-8
 * @returns the text, or null when the bytes are not valid UTF-8 (RFC 3629)
 */
export function text(bytes: Uint8Array): string | null {
  return checkUtf8(bytes, 0, bytes.length) < bytes.length ? null : new TextDecoder().decode(bytes);
}

/**
 * RFC 3986, section 2.1; null for an escape that lacks hex digits or is not UTF-8. (decodeURI checks that, Kaluma's decodeURIComponent does
 * not.) decodeURI leaves escapes of `#$&+,/:;=?@` to unescape; "%25" is escaped again, so that none is decoded twice.
 */
function percentDecode(escaped: string): string | null {
  try {
    return unescape(decodeURI(escaped.split('%25').join('%2525')));
  } catch {
    return null;
  }
}

/**
 * Decodes a part of a query or of a form (`application/x-www-form-urlencoded`): %XX, and + for a space.
 * @param text the part between "&" and "=", as it came
 * @returns the text, or null when it is malformed: "%" without two hex digits, or bytes that are not UTF-8
 */
export function urlDecode(text: string): string | null {
  return percentDecode(text.replace(/\+/g, ' '));
}

// ----------------------------------------------------------------------------------------------- driver and admission

// Stock firmware hands received bytes to the socket that listens on their port, without saying whose they are. So there at most one
// connection of a port, its reader, may be able to send. The others are sealed (their answers go on) or kept out: sockets bound to
// port 0 hold the PCBs that they would need.
// A board has one driver and one pool of PCBs, whatever the number of servers: so all of this is kept once.
//
// Words of this file:
//   fd       the driver's number of a socket; it has 16
//   PCB      lwIP's record of a connection; it has five
//   reader   the one client of a port that may send, where the driver does not say whose bytes it hands over
//   sealed   a connection whose client can receive its answer, but not send any more
//   held     a PCB that a socket of ours has, so that no client gets it; released when one may come in
//   parked   an fd that is kept out of use, as a late FIN would close whoever has it by then
//   zombie   an fd whose client has reset the connection, which the driver does not notice
//   kept     a connection that stays for its client's next request (keep-alive)

let dev: Netdev;
/** Milliseconds in which clients could be heard: while the program blocks the loop nobody can, and nobody's time runs out. */
let now = 0;
let lastMillis = 0;
/** What this step has done so far. */
let work = 0;
const connections: Connection[] = [];
/** Of all servers. */
const listeners: Listener[] = [];
/** Bytes to allocate, so that the garbage collector frees what came in one piece behind a lost segment. */
let uncollected = 0;
/** True once bytes have come to an accepted socket itself: this firmware says whose bytes they are. */
let routed = false;
/** Fds of our bound sockets, each with a PCB. */
const held: number[] = [];
/** When to look for free PCBs; and from when on a held one is released although none has come back. */
let checkAt = 0;
let releaseAt = 0;
/** Closed by us, but not yet by the client: a slow one's FIN comes when it has read all, however long after. */
const parked: number[] = [];
/** Never to be written to or closed, but for what end() does. */
const zombies: number[] = [];
/** The fd whose send buffer may be full, until when it is waited for, and until when at most. */
let fillingFd = -1;
let fillingUntil = 0;
let fillingEnd = 0;

function remove<T>(list: T[], item: T): void {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
}

/** A new fd, or -1 when all are in use or Wi-Fi is gone. */
function socket(): number {
  try {
    return dev.socket('AF_INET', 'STREAM');
  } catch {
    return -1;
  }
}

/** Whether an fd could send now: a probe that sends nothing. */
function writable(fd: number): boolean {
  dev.write(fd, '');
  return !dev.errno;
}

/** Keeps an fd out of use until the driver closes it. The driver keeps nothing that refers to its connection. */
function setAside(fds: number[], fd: number): void {
  const object = dev.get(fd);
  fds.push(fd);
  object.read_cb = undefined;
  object.close_cb = () => {
    remove(fds, fd);
    checkAt = 0;
  };
}

/** Reports an error, or a request. Returns what the client is told of an error. debug() may throw, and an error may have no text. */
function log(server: Server, message: unknown): string {
  try {
    server.debug(message);
    return server._limits.debug ? String(message) : '';
  } catch (e) {
    console.error(e);
    return '';
  }
}

/** @internal A port that is listened on. */
export interface Listener {
  readonly _port: number;
  readonly _fd: number;
  /** The server's first port: pages come from it, and one client is let in while it has no reader. */
  readonly _first: boolean;
  /** On stock firmware the connection whose bytes come to this port. */
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

/** A client has connected: it is heard, or ended without a byte, which it could take for an answer. */
function accept(server: Server, listener: Listener, fd: number): void {
  const connection = newConnection(server, listener, fd);
  if (fd === fillingFd) fillingUntil = 0; // the one that had this number has ended, and so has all of its answer
  // Zombies that can send now, and have no other connection's PCB, have this one's: their fds come back with it.
  connection._zombies = zombies.filter((zombie) => writable(zombie) && !connections.some((each) => each._zombies.indexOf(zombie) >= 0));
  if (connections.push(connection) >= server._limits.maxParallelConnections) {
    // All are taken: the one that has been silent longest gives way as soon as on stock firmware, where nobody may be silent for long.
    connections.some((each) => !each._state && !each._waiting && !!(each._deadline = each._since + Ms.SILENT));
  }
  if (listener._reader) alive(listener._reader); // if not, it is the reader no more
  const reader = listener._reader;
  if ((connection._zombies.length && zombies.length + listeners.length > Max.ZOMBIES) || (reader && (reader._state || reader._requests < 2 || reader._waiting))) {
    // Chromium repeats a request whose connection ends only where it used that before; but 421, even unasked, it repeats once.
    fail(connection, 421);
    flush(connection);
    end(connection);
  } else if (!routed) {
    if (reader) end(reader); // between two requests it makes room: its client connects again by itself
    listener._reader = connection;
    if (!listener._first) checkAt = releaseAt = 0; // another client may come to the first port
  }
}

function newConnection(server: Server, listener: Listener, fd: number): Connection {
  const connection = {
    _server: server, _listener: listener, _fd: fd, _since: now, _requests: 0, _in: NO_BYTES, _segments: [], _waiting: 0,
    _out: '', _queue: [], _unsent: 0, _body: NO_BYTES,
  } as Partial<Connection> as Connection;
  const accepted = dev.get(fd);
  accepted.read_cb = (data) => {
    if (!routed) {
      routed = true; // from now on nobody has to be kept out
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

/** From now on lwIP refuses what the client sends. Its answer goes on, and the next client may come in. */
function seal(connection: Connection): void {
  if (connection._fd >= 0) dev.shutdown(connection._fd, 0);
  releaseReader(connection, 0);
}

/** Its fd is not ours any more: closed by either side, or a zombie's. The next step disposes of the connection. */
function onClosed(connection: Connection): void {
  connection._fd = -1;
  releaseReader(connection, Ms.COME_BACK);
}

/** Not the reader any more. If it was, its PCB may take `ms` to be free for the next one. */
function releaseReader(connection: Connection, ms: number): void {
  checkAt = 0;
  if (isReader(connection)) {
    connection._listener._reader = null;
    releaseAt = now + ms;
  }
}

/** Lets as many PCBs be free as clients may come in. It takes all, and releases these: so it need not know how many there are. */
function admit(reserve: number): void {
  if (now < checkAt) return;
  checkAt = now + Ms.CHECK;
  while (parked.length && parked.length + zombies.length + listeners.length > Max.FDS) dev.close(parked[0]); // its close_cb removes it
  if (routed) return;
  const wanted = reserve + +listeners.some((listener) => listener._first && !listener._reader);
  let free = 0; // found, then to be released
  for (let fd; (fd = socket()) >= 0; free++) {
    dev.bind(fd, dev.ip, 0);
    dev.shutdown(fd, 1);
    if (!dev.errno) { // upside down: no error means no PCB
      dev.close(fd);
      break;
    }
    held.push(fd);
  }
  if (free >= wanted || now >= releaseAt) { // else one that is on its way back will do
    free = Math.min(free + 1, wanted);
    releaseAt = now + Ms.COME_BACK;
  }
  releaseHeld(free);
}

function releaseHeld(count: number): void {
  while (count-- > 0 && held.length) dev.close(held.pop()!); // the last one taken: if that was a zombie's, end() gets its fd back
}

// --------------------------------------------------------------------------------------------------------- connection

/** @internal The protocol that a connection speaks after a 101, the answer that brings it. */
export interface Stage {
  /** One bounded step. */
  next(): void;
  /** The connection is gone. */
  return(): void;
  /** Bytes of input that may wait, beside a window. */
  _maxBytes: number;
}

/** @internal What {@link Server.route} adds. */
export interface Route {
  readonly _path: RegExp;
  /** It was given as text: then an empty match is none. */
  readonly _isText: boolean;
  readonly _method: string;
  readonly _handler: Handler;
}

/** @internal One client, and its current request. */
export interface Connection {
  readonly _server: Server;
  readonly _listener: Listener;
  /** -1 once it is gone. */
  _fd: number;
  /** Those that had its PCB before. */
  _zombies: number[];
  /** When it was accepted. */
  readonly _since: number;
  /** When what goes on now has had its time. Infinity: the client waits for the program. 0: it is dropped. */
  _deadline: number;
  /** Requests, the one that is awaited included. */
  _requests: number;
  /** Received and not yet parsed: the first bytes, what came behind them, and how many bytes that is together. */
  _in: Uint8Array;
  _segments: Uint8Array[];
  _waiting: number;
  /** More came than may wait, and was discarded: this is the last request that can be read. */
  _overrun?: boolean;
  /** To be written: the next bytes as characters, what follows them, and how many bytes that is together. */
  _out: string;
  _queue: Piece[];
  _unsent: number;

  _state: State;
  /** The line that comes, as far as it has come. */
  _line: string;
  /** Bytes of the header fields so far, and how many fields. */
  _headBytes: number;
  _fields: number;
  _method: string;
  _path: string;
  _query: string;
  _headers: RequestHeaders;
  /** What answers the request: a route, with what its path matched; or an error. */
  _found: Route | Response;
  _match: string[];
  _body: Uint8Array;
  /** Bytes of the body that have come. */
  _got: number;
  /** The handler, then the body of the answer, where it is an iterator. */
  _work: Iterator<any, any> | null;
  /** The client lets the connection be kept: HTTP/1.1, and no "connection: close". Once there is an answer: it is kept. */
  _keep: boolean;
  /** 0: the answer came after the request's end. 1: before, so that the client may still be sending. While it is drained: until when. */
  _drainUntil: number;
  _stage?: Stage;
  _mode: Mode;
}

/**
 * Copies a segment: the driver's memory must be free again soon. What is not kept is copied, too: to allocate is the one way to have the
 * garbage collector called, which frees that memory. Nothing can tell a client to wait: of one that runs too far ahead of its answers no
 * more is kept.
 */
function onSegment(connection: Connection, data: Uint8Array): void {
  if (data.length > Max.SEGMENT) uncollected = 4 * Max.SEGMENT;
  if (connection._state === State.DRAIN) {
    connection._deadline = Math.min(now + Ms.QUIET, connection._drainUntil);
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

/** Joins the next block of the input with what is left of the one before, if that is too little to be read. */
function pull(connection: Connection): void {
  const { _in, _segments } = connection;
  if (_in.length < Max.FRAME_HEAD && _segments.length) connection._in = _in.length ? concat(_in, _segments.shift()!) : _segments.shift()!;
}

/** So many bytes of the input have been read. */
function consume(connection: Connection, count: number): void {
  connection._in = after(connection._in, count);
  connection._waiting -= count;
}

/** From now on nothing is taken in. The next step ends it, with 503 where a request is coming. */
function drop(connection: Connection): void {
  connection._in = NO_BYTES;
  connection._segments = [];
  connection._waiting = connection._deadline = 0;
}

/** Bytes that a client makes the server hold. An answer is the program's. */
const memoryOf = ({ _deadline, _waiting, _body, _stage, _unsent, _headBytes, _line }: Connection) =>
  _deadline && _waiting + _body.length + (_stage ? _unsent : _headBytes + _line.length);

/** Bytes of one body or message. */
const largestInput = (connection: Connection) => connection._stage ? connection._stage._maxBytes : connection._server._limits.maxBodyBytes;

/**
 * Five clients at their limits would not fit into the memory. When all together hold too much, the one with most is dropped, of equals
 * the last.
 * @param more bytes that are asked for. If they are too many, nobody is dropped
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
 * False when the client has reset the connection, which nothing else reports. To be asked before anything is done to the
 * connection in this turn of the loop: what is done to a dead one hits the next client that gets its PCB.
 */
function alive(connection: Connection): boolean {
  if (writable(connection._fd)) return true;
  // Should it be alive after all (the Wi-Fi may have been down for a moment), it must not be heard.
  dev.shutdown(connection._fd, 0);
  setAside(zombies, connection._fd);
  onClosed(connection);
  return false;
}

/** The client has all its time again. */
function restartTimeout(connection: Connection): void {
  connection._deadline = now + connection._server._limits.requestTimeoutSeconds * 1000;
}

/** Puts something behind what is to be sent. */
function send(connection: Connection, pieces: Piece[]): void {
  connection._unsent += sizeOf(pieces);
  connection._queue = connection._queue.concat(pieces);
}

/** Takes as much from the queue as one write may have. */
function fill(connection: Connection): void {
  const { _queue } = connection;
  for (let room; (room = Max.CHUNK - connection._out.length) > 0 && _queue.length;) {
    const data = _queue.shift()!;
    const isText = isString(data);
    connection._out += isText ? data.slice(0, room) : latin1(data.subarray(0, room));
    if (data.length > room) _queue.unshift(isText ? data.slice(room) : data.subarray(room));
  }
}

/** Whether it is not yet the turn of a connection: others wait for longer, or somebody's send buffer may be full. */
const isEarly = (connection: Connection) => connections.some(({ _mode, _since, _fd }) => _mode & Mode.WAITS
  ? _since < connection._since
  : now < fillingUntil && _fd === fillingFd && _mode & Mode.FILLS) || (now < fillingUntil && parked.indexOf(fillingFd) >= 0);

/**
 * Writes until nothing is left (then true), the send buffer is full, or the step has done its work. Answers that fill it go out one after the
 * other, the next when the client has ended, and so has all of it, or takes too long: two full ones do not fit into the board's C heap. (Those
 * of streams, and of many short answers that nobody reads, may: nothing tells what a client has acknowledged.)
 */
function flush(connection: Connection): boolean {
  const fd = connection._fd;
  if (fd < 0) return false;
  while (connection._unsent) {
    if (work >= Max.WORK) return false;
    if (connection._mode & Mode.WAITS) {
      if (isEarly(connection)) {
        restartTimeout(connection); // it is not its client that takes so long
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
 * The only way to end a connection: what was written is sent, then FIN. The driver accounts the client's late FIN to the
 * fd's number, and closes whoever has it by then; so the number is parked until then.
 */
function end(connection: Connection): void {
  const fd = connection._fd;
  if (fd < 0) return;
  // A zombie that could send until this connection ended, and cannot now, has the very same PCB: to close it, too, in this
  // same turn does nothing to the PCB any more, and gives its fd back.
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

/** Forgets a connection that is gone; its iterators are told. */
function dispose(connection: Connection): void {
  const left = connection._stage || connection._work;
  remove(connections, connection);
  try {
    if (left && left.return) left.return();
  } catch (error) {
    log(connection._server, error);
  }
}

/** Makes a connection ready for its next request. */
function resetRequest(connection: Connection): void {
  connection._requests++;
  connection._state = State.IDLE;
  connection._line = connection._method = connection._path = '';
  connection._got = connection._headBytes = connection._fields = 0;
  connection._keep = false;
}

// ------------------------------------------------------------------------------------------------------------ request

/** Reads what has come, as far as the step's work allows. True when the handler may be called, or there is an answer already. */
function readRequest(connection: Connection): boolean {
  while (connection._waiting && connection._state < State.HANDLER && work < Max.WORK) {
    pull(connection);
    if (connection._state === State.BODY) readBody(connection);
    else readLines(connection);
  }
  if (connection._overrun && !connection._waiting && connection._state < State.HANDLER) fail(connection, 503); // the rest was discarded
  return connection._state > State.HANDLER || (connection._state === State.HANDLER && work < Max.WORK);
}

/**
 * Reads the lines that have come. Nearly always all of that is plain, which native functions tell in an eighth of a pattern's time: what JSON
 * escapes, quotes and line breaks among them, makes the text longer. (It does not escape "\x7f".)
 */
function readLines(connection: Connection): void {
  const text = connection._line + latin1(connection._in.subarray(0, Max.LINES));
  const lines = text.split('\r\n');
  const isPlain = (JSON.stringify(text) + '\x7f').indexOf('\x7f') === text.length + 2 * lines.length;
  let read = -connection._line.length;
  let status;
  let i = 0;
  connection._line = '';
  if (!isPlain) work += Max.LINES;
  do {
    const line = lines[i++];
    const isWhole = i < lines.length;
    if (!isWhole) connection._line = line;
    read += line.length + (isWhole ? 2 : 0);
    work += line.length + Max.LINE;
    status = readLine(connection, isWhole || line.slice(-1) !== '\r' ? line : line.slice(0, -1), isWhole, isPlain);
  } while (i < lines.length && !status && connection._state < State.BODY && work < Max.WORK);
  consume(connection, read);
  if (status) fail(connection, status);
}

/**
 * Reads a line, and checks it. What cannot become one is refused before its end, which may never come; what was there at the step before
 * has been looked at. These functions return the status to fail with, or 0.
 */
function readLine(connection: Connection, line: string, isWhole: boolean, isPlain: boolean): number {
  const limits = connection._server._limits;
  return (!isPlain && NOT_IN_LINE.test(line.slice(-Max.LINES - 1))) || (!isWhole && line && !NAME.test(line[0])) ? 400
    : connection._state === State.REQUEST_LINE
      ? line.length > limits.maxRequestLineSize ? 414
        : isWhole && line ? readRequestLine(connection, line) : 0 // RFC 9112, section 2.2: empty lines before a request are ignored
      : line && connection._headBytes + line.length + 2 > limits.maxHeaderBytes ? 431
        : !isWhole ? 0 : line ? readField(connection, line) : endHead(connection);
}

function readRequestLine(connection: Connection, line: string): number {
  const request = REQUEST_LINE.exec(line);
  if (!request || !request[5] || !(request[2] || request[3]) || !NAME.test(request[1])) return request && request[1] === 'CONNECT' ? 501 : 400;
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
function readField(connection: Connection, line: string): number {
  const { _headers } = connection;
  const colon = line.indexOf(':');
  const name = line.slice(0, colon);
  connection._headBytes += line.length + 2;
  if (++connection._fields > connection._server._limits.maxHeaderCount) return 431;
  // Nearly all names are plain, too.
  const isPlain = escape(name) === name && name.indexOf('@') < 0 && name.indexOf('/') < 0;
  if (colon < 1 || colon > Max.NAME || !(isPlain || NAME.test(name))) return 400;
  const key = name.toLowerCase();
  const repeated = key in _headers;
  if (repeated && key === 'host') return 400; // content-length: "1, 1" is no number
  _headers[key] = (repeated ? _headers[key] + (key === 'cookie' ? '; ' : ', ') : '') + line.slice(colon + 1).trim();
  return 0;
}

/** RFC 9112, sections 3.2, 6 and 9.3: the fields that say how long the request is, and what follows it. */
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
    if (!limitMemory(+length)) return 503;
  }
  connection._mode = +http11;
  connection._keep = http11 && !/(^|[\t ,])close($|[\t ,])/i.test(listOf(_headers.connection));
  connection._found = _server._find(connection);
  if (!length || !+length) {
    endBody(connection);
  } else if (connection._found instanceof Response) {
    answer(connection, connection._found); // the body makes no difference
  } else {
    connection._body = new Uint8Array(+length);
    connection._state = State.BODY;
    if (http11 && /100-continue/i.test(_headers.expect)) dev.write(connection._fd, 'HTTP/1.1 100 Continue\r\n\r\n');
  }
  return 0;
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
  endBody(connection);
}

function endBody(connection: Connection): void {
  connection._state = State.HANDLER;
  connection._deadline = Infinity; // the client waits for the handler, not the other way round
}

/** Calls the handler. */
function dispatch(connection: Connection): unknown {
  const { _found } = connection;
  // The last argument is for the extension: nobody else is told of it.
  return _found instanceof Response ? _found : (_found._handler as any).call(
    connection._server, connection._path, connection._query, connection._headers, connection._body, connection._match, connection,
  );
}

/** One step of the handler. True when there is an answer. */
function handle(connection: Connection): boolean {
  const result = connection._work ? stepOf(connection._work) : { done: true, value: dispatch(connection) };
  if (!result.done) return false;
  let reply = result.value;
  if (reply && typeof reply.then === 'function') reply = stepsOf(reply);
  if (isIterator(reply)) {
    connection._work = reply;
    connection._keep = false; // it takes its time, and so will not be the reader any more
    return false;
  }
  answer(connection, reply);
  return true;
}

// -------------------------------------------------------------------------------------------------------------- reply

/** An answer to a request. */
export class Response {
  /** What is sent. */
  body: string | Uint8Array | BodyIterator;
  /** RFC 9110, section 15. */
  status: number;
  /** Of the body, without the charset that is added. */
  contentType: string;
  /** More headers than those of the body. */
  headers: { [name: string]: string | number };
  /** @internal */
  declare _stage?: Stage;
  /** @internal Bytes of a body that is an iterator, if they are known. */
  declare _length?: number;
  /** @internal Makes the response that is sent, when the request's headers are known. */
  declare _resolve?: (requestHeaders: RequestHeaders) => Response;

  /**
   * @param body text (sent as UTF-8), bytes, an iterator of both that is sent as it comes and ended by closing, or any other
   *   value, sent as JSON. Default ''
   * @param status RFC 9110, section 15. Default 200
   * @param contentType default 'text/plain', for JSON 'application/json'; "; charset=utf-8" is added to a text type, and to whatever
   *   is sent from a string or as JSON, unless it has a parameter
   * @param headers more of them; a content-type among them is sent instead of contentType. Default none
   * @throws Error when a header has a line break, another control character, or a character above U+00FF (checked again when the
   *   response goes out), or the status has not three digits; TypeError for what cannot be JSON
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
    this.headers = headers || {};
    if (status || contentType || headers) check(this);
  }
}

/** Whether a text can be sent in a line. Many have nothing to escape, which is told in half of a pattern's time. */
const isText = (text: string) => encodeURI(text) === text || !NOT_IN_LINE.test(text);

/** Checks a response, and makes its headers' names lower case: of one name in two spellings the later one counts. */
function check(response: Response): void {
  const { status, contentType, headers } = response;
  let bad = !(status > 99 && status < 1000 && status === (status | 0)) || !isText(contentType);
  response.headers = {};
  for (const name in headers) {
    if (headers[name] == null) continue;
    bad = bad || !NAME.test(name) || !isText('' + headers[name]);
    response.headers[name.toLowerCase()] = headers[name];
  }
  if (bad) throw Error('Bad status or header');
}

/** What all that fails is answered with. */
const failure = (status: number, headers?: { [name: string]: string }, message?: string) =>
  new Response(message || '' + status, status, '', headers);

/** Fails a request that has not reached its handler. */
function fail(connection: Connection, status: number): void {
  answer(connection, failure(status, status === 503 ? { 'retry-after': '1' } : undefined));
}

const lasts = (connection: Connection) => connection._mode & Mode.LASTS;

/** Puts the head of an answer on its way, and lets the body follow. */
function answer(connection: Connection, reply: Reply): void {
  const isOwn = reply instanceof Response;
  let response = isOwn ? reply : new Response(reply, reply === undefined ? 204 : 0, reply instanceof Uint8Array ? BINARY : '');
  if (response._resolve) response = response._resolve(connection._headers);
  if (isOwn && !response._stage) check(response); // a program may have changed it since it was made
  const { body, status } = response;
  const hasNoContent = status < 200 || status === 204 || status === 304;
  const sendsNoContent = hasNoContent || connection._method === 'HEAD';
  const streamed = isIterator(body);
  const pieces = streamed ? [] : piecesOf(body);
  const length = streamed ? response._length : sizeOf(pieces);
  connection._mode = length! >= Max.AT_ONCE && !sendsNoContent ? Mode.WAITS
    : response._stage ? Mode.LASTS
    : !streamed || sendsNoContent || length != null ? 0
    : Mode.LASTS | (response.headers['content-length'] == null ? connection._mode : 0);
  // One connection stays free of them, for short requests.
  const isFull = lasts(connection) && connections.filter(lasts).length >= connection._server._limits.maxParallelConnections;
  if (streamed && (isFull || sendsNoContent) && body.return) body.return();
  if (isFull) return fail(connection, 503);
  connection._drainUntil = connection._state < State.HANDLER || connection._overrun ? 1 : 0;
  // Only browsers repeat a request that meets the end of a kept connection. They leave that half open, which keeps its PCB for 20 s: so none is
  // kept when no other PCB is to spare because of such ones, nor on the ports that are for WebSockets. One that has a zombie's PCB has to be
  // ended by the server, see end().
  connection._keep = connection._keep && connection._method === 'GET' && !connection._drainUntil && isReader(connection)
    && connection._listener._first && length! < Max.AT_ONCE && !connection._zombies.length && (held.length > 0 || !parked.length)
    && connection._requests < Max.REQUESTS && now - connection._since < Ms.KEEP
    && /^Mozilla\//.test(connection._headers['user-agent']);
  send(connection, [headOf(response, hasNoContent, length, connection)]);
  if (!sendsNoContent) send(connection, pieces);
  connection._state = State.ANSWER;
  connection._stage = response._stage;
  connection._work = streamed && !sendsNoContent ? body : null;
  connection._body = NO_BYTES;
  connection._match = null!;
  restartTimeout(connection);
  if (connection._server._limits.debug) log(connection._server, connection._method + ' ' + connection._path + ' ' + status);
}

/** RFC 9112, section 4; without a reason phrase, which nobody reads. */
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

/** Writes what there is, then asks for more. True when that was all. */
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
  restartTimeout(connection);
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

/** What the client still sends is discarded for a while: a reset would take from it what it has not read yet. */
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

/** Content types, each with the extensions that are not its subtype. One text: in an object the extension "constructor" would be found. */
const CONTENT_TYPES = ' text/html/ text/css/ text/plain/txt/ text/javascript/js/mjs/ application/json/ application/wasm/ image/png/ image/gif/ '
  + 'image/webp/ image/svg+xml/svg/ image/jpeg/jpg/ image/x-icon/ico/ font/woff2/';

function contentTypeOf(path: string): string {
  const at = CONTENT_TYPES.indexOf('/' + path.slice(path.lastIndexOf('.') + 1) + '/');
  return at < 0 ? BINARY : /\w+.[^/]+/.exec(CONTENT_TYPES.slice(CONTENT_TYPES.lastIndexOf(' ', at)))![0];
}

/** Bytes of a file; -1 when there is none of that name. */
function fileSize(path: string): number {
  try {
    const stat = require('fs').stat(path);
    return stat.isFile() ? stat.size : -1;
  } catch {
    return -1;
  }
}

/** The bytes of a file, `bufferSize` at a step. Opened at the first step, closed after the last, or when the client leaves. */
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
      if (!count) throw Error(path + ' became shorter');
      left -= count;
      return { done: false, value: buffer.subarray(0, count) };
    },
    return: close,
  };
}

/**
 * An answer with a file. NAME.gz goes out in its place where it exists and the client accepts gzip. 404 when there is no such
 * file, or a segment of the path is "..".
 * @param path in the board's file system
 * @param headers more headers, such as cache-control. Default none
 * @param contentType default: by the extension, else 'application/octet-stream'
 * @param bufferSize bytes read at a step. Default 1024
 */
export const FileResponse = function (path: string, headers?: { [name: string]: string | number }, contentType?: string, bufferSize?: number) {
  const response = new Response('', 200, contentType || contentTypeOf(path), headers);
  response._resolve = (requestHeaders) => {
    let zipped = /(^|[ ,])gzip *(,|$|; *q=(1|0\.0*[1-9]))/i.test(listOf(requestHeaders['accept-encoding']));
    let name = zipped ? path + '.gz' : path;
    let size = fileSize(name);
    if (size < 0) { // the other one, whatever the client accepts: RFC 9110, section 12.5.3
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

/** One bounded step of a connection. */
function step(connection: Connection): void {
  if (now > connection._deadline && (connection._state || !connection._waiting)) {
    if (connection._state && connection._state < State.HANDLER) fail(connection, connection._deadline ? 408 : 503);
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
    case State.DRAIN:
      return;
  }
  // The answer takes its time: the next client may be heard meanwhile. Of those that are drained, kept or upgraded finish() takes care.
  if (isReader(connection) && !connection._drainUntil && !connection._keep && !connection._stage) seal(connection);
}

/**
 * The web server. Subclass it and mark methods with {@link route}, or add handlers with {@link Server.route}; then give
 * {@link Server.start} to {@link run}, or call {@link Server.listen}.
 */
export class Server {
  /** @internal */
  _limits: Required<ServerOptions> & { sockets?: number };
  /** @internal Its ports, the first one first; none when it does not listen. */
  _listeners: Listener[] = [];
  // Declared only: as a field of its own, which some compilers make of it, it would hide the routes of the class.
  private declare _routes?: Route[];

  /**
   * @param options limits and switches; see there for the defaults
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
   * Adds a handler, to this server only. The first route that fits answers; GET routes answer HEAD, too.
   * @param path a regular expression; text is anchored at both ends
   * @param method 'GET', 'POST', ... (case matters, as in HTTP)
   * @param handler see {@link Handler}
   * @returns this
   * @throws Error that names the route, when the method is not in capitals, or the handler is no function
   */
  route(path: string | RegExp, method: string, handler: Handler<this>): this {
    if (!/^[A-Z]+$/.test(method) || typeof handler !== 'function') throw Error('Bad route: ' + method + ' ' + path);
    const isText = isString(path);
    // A new list: the one so far may be the class's, or of the class above it. For text that does not fit there is the empty match: without it
    // an engine tries every character of the path.
    this._routes = (this._routes || []).concat({
      _path: isText ? RegExp('^(?:' + path + ')$|') : path as RegExp, _isText: isText, _method: method, _handler: handler,
    });
    return this;
  }

  /** @internal The route of a request, which gets its match; or what it is answered with when there is none. */
  _find(request: Connection): Route | Response {
    const method = request._method;
    let allow = '';
    for (let i = 0; this._routes && i < this._routes.length; i++) {
      const route = this._routes[i];
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
   * The server as a generator: every `next()` is one bounded step, never longer than your handlers are.
   * @param port to listen on. Default 80
   * @returns the iterator: this server itself
   * @throws Error with the port, when it is in use, no socket is left, or Wi-Fi is not connected; Error when this server listens already
   */
  start(port?: number): Iterator<undefined> {
    const first = port || 80;
    if (this._listeners.length) throw Error('Listening already');
    dev = this._limits.netdev;
    lastMillis = millis();
    releaseHeld(1); // a listening socket needs a PCB for a moment
    checkAt = 0;
    for (let i = 0; i <= (this._limits.sockets || 0); i++) listenOn(this, first + i);
    return this;
  }

  /** One bounded step of the server, once {@link Server.start} was called. */
  next(): IteratorResult<undefined> {
    if (!this._listeners.length) return DONE;
    const time = millis();
    now += Math.min(time - lastMillis, Ms.PASS);
    lastMillis = time;
    admit(this._limits.reserve);
    // Two windows in a row would not fit into the driver's 20 KB. Small blocks, as the heap may have no large one.
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
          if (work >= Max.WORK && connections[i] === connection) connections.unshift(connections.splice(i++, 1)[0]); // it is the last at the next step
        }
      } catch (error) {
        const message = log(this, error);
        if (connection._state === State.ANSWER) end(connection);
        else if (connection._state < State.ANSWER && connection._fd >= 0) answer(connection, failure(500, undefined, message));
      }
    }
    work = 0; // here, as a client that connects between two steps may have to be answered at once
    return NOT_DONE;
  }

  /**
   * {@link Server.start}, driven by the event loop.
   * @param port to listen on. Default 80
   * @param ready called when the server listens
   * @returns this
   * @throws Error as start() does
   */
  listen(port?: number, ready?: () => void): this {
    run(this.start(port));
    if (ready) ready();
    return this;
  }

  /** Ends this server's connections and stops listening. */
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
   * Prints on the console; override it to log elsewhere. It is called for errors and, with options.debug, for requests.
   * @param message what was thrown; or a request's method, path and status
   */
  debug(message: unknown): void {
    console.log(message);
  }
}

/** What {@link route} gives: a decorator, legacy or standard, for methods with the signature of a {@link Handler}. */
export interface RouteDecorator {
  /** Legacy decorators: the class's prototype. */
  <T extends Handler>(target: object, name: string | symbol, descriptor: TypedPropertyDescriptor<T>): void;
  /** Standard decorators: the method. */
  (target: Handler, context: { addInitializer(initializer: (this: any) => void): void }): void;
}

/**
 * Decorator for methods of a {@link Server} subclass: makes the method the handler of a route.
 * @param path a regular expression; text is anchored at both ends
 * @param method 'GET', 'POST', ... Default 'GET'; for 'WEBSOCKET' the method is a WebSocketHandler
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
 * Steps iterators side by side from the event loop, until each is done: what asyncio.gather is in Python. One that
 * throws is reported on the console and dropped.
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

/** @internal What websocket.ts builds upon. */
export const _seam = {
  _consume: consume,
  _limitMemory: limitMemory,
  _listOf: listOf,
  _checkUtf8: checkUtf8,
  _concat: concat,
  _drain: drain,
  _end: end,
  _failure: failure,
  _flush: flush,
  _isIterator: isIterator,
  _log: log,
  _NO_BYTES: NO_BYTES,
  _piecesOf: piecesOf,
  _pull: pull,
  _restartTimeout: restartTimeout,
  _send: send,
  _sizeOf: sizeOf,
  _stepOf: stepOf,
  _stepsOf: stepsOf,
  _utf8Bytes: utf8Bytes,
};
