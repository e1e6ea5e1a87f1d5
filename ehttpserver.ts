/**
 * ehttpserver: a non-blocking HTTP/1.1 server for Kaluma on the Raspberry Pi Pico W, exposed as a generator.
 * The file reads top to bottom in the order in which data flows.
 */

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
 * @returns the reply, or an iterator (a generator) that is stepped until it returns the reply
 */
export type Handler<S = any> = (
  this: S, path: string, query: string, headers: RequestHeaders, body: Uint8Array, match: string[],
) => Reply | Iterator<unknown, Reply>;

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
  /** Seconds from a request's first byte to its last (else 408), and without progress of an answer. Default 10. */
  requestTimeoutSeconds?: number;
  /** Connections served at a time; above it 503. Default 5, all that lwIP has. */
  maxParallelConnections?: number;
  /** lwIP's connections (PCBs) to leave alone for the program's own outgoing ones. Default 0. */
  reserve?: number;
  /** Log with {@link Server.debug}, and tell clients why a handler failed. Default false. */
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
  /** How long the PCB of a reader that ended may take to come back before a held one is given up for it. */
  COME_BACK = 300,
  /** A reader that has not sent a byte: browsers open connections that they never use. */
  SILENT = 500,
  /** A kept connection between two requests. */
  IDLE = 250,
  /** The age from which a kept connection is told `connection: close`. */
  KEEP = 3000,
  /** A client that was still sending when it got its error answer: this long without a byte, */
  QUIET = 250,
  /** and never longer than this. */
  DRAIN = 2000,
}

const enum Max {
  /** Characters of one write: the driver puts them on a C stack of 8 KB, twice as UTF-8. */
  WRITE = 1024,
  /** An answer up to this size fits into lwIP's send buffer (8 segments), its head included. */
  AT_ONCE = 10240,
  /** Bytes that may wait beside one body: a TCP window, which lwIP can hand over at once after a lost segment. */
  AHEAD = 11680,
  /** Bytes that all clients together may make the server hold, beside three of the largest body or message. */
  HELD = 32768,
  /** Bytes received after which the garbage collector is called: the driver's memory for them is 20 KB, which it does not know of. */
  COLLECT = 6000,
  /** Segments that may wait for it to be clear whose they are; above it the upgraded connection ends. */
  BACKLOG = 16,
  /** Milliseconds of one pass. */
  PASS = 100,
  /** Dead connections beside which new ones are served: more would use up the driver's fds. */
  ZOMBIES = 4,
  /** Requests on one kept connection. */
  REQUESTS = 100,
  /** Fds of the driver's 16 that may be out of use, parked or dead; above it the parked are let go. */
  OUT_OF_USE = 8,
}

/** Where a request is, in the order of the protocol. */
const enum State { IDLE, HEAD, BODY, HANDLER, ANSWER, DRAIN }

/** One constant for "not done yet": no garbage per step. */
const NOT_DONE = { done: false } as IteratorResult<undefined>;
const DONE = { done: true } as IteratorResult<undefined>;
const NO_BYTES = new Uint8Array(0);
const BINARY = 'application/octet-stream';
/** RFC 9112, section 3: method, path, query, version. An absolute form's scheme and host are skipped (section 3.2.2). */
const REQUEST_LINE = /^([!#-'*+\-.0-9A-Z^-z|~]+) (?:http:\/\/[^/? ]+)?(\/[!->@-~]*|\*)(?:\?([!-~]*))? HTTP\/(\d)\.(\d)$/;
/** RFC 9112, section 5: no space before the colon, no folded lines. */
const HEADER_LINE = /^([!#-'*+\-.0-9A-Z^-z|~]+):([\t -~\x80-\xff]*)$/;

// ------------------------------------------------------------------------------------------------------ text and bytes

const utf8Bytes = (text: string) => new TextEncoder().encode(text);

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

/** What follows the first bytes. When that is nothing, the bytes need not be kept for it. */
const after = (bytes: Uint8Array, count: number) => bytes.length > count ? bytes.subarray(count) : NO_BYTES;

/** One character per byte; the bytes are arguments, so they must be few. */
const latin1 = (bytes: Uint8Array): string => String.fromCharCode.apply(null, bytes as any);

/** The range of the second byte (least, greatest) where the first one narrows it: no overlong form, surrogate, or too much. */
const SECOND_BYTE: { [first: number]: number } = { 0xE0: 0xA0BF, 0xED: 0x809F, 0xF0: 0x90BF, 0xF4: 0x808F };

/**
 * Checks the next bytes of a UTF-8 text (RFC 3629).
 * @param state 0 between characters; else what this returned: how many bytes are to come, and the range of the next
 * @returns the state behind the bytes, or -1 as soon as they cannot become valid any more
 */
function checkUtf8(bytes: Uint8Array, state: number): number {
  for (let i = 0, byte; (byte = bytes[i++]) >= 0;) { // behind the last one there is undefined
    if (state) {
      if (byte < (state >> 8 & 255) || byte > (state & 255)) return -1;
      state = state >> 17 ? state - 0x10000 & 0x30000 | 0x80BF : 0;
    } else if (byte > 127) {
      if (byte < 0xC2 || byte > 0xF4) return -1;
      state = (byte > 0xEF ? 3 : byte > 0xDF ? 2 : 1) << 16 | (SECOND_BYTE[byte] || 0x80BF);
    }
  }
  return state;
}

/**
 * Bytes as text.
 * @param bytes UTF-8
 * @returns the text, or null when the bytes are not valid UTF-8 (RFC 3629)
 */
export function text(bytes: Uint8Array): string | null {
  return checkUtf8(bytes, 0) ? null : new TextDecoder().decode(bytes);
}

/** What a hex digit's byte stands for: letters have bit 6 set. */
const hexDigit = (byte: number) => (byte >> 6) * 9 + (byte & 15);

/** RFC 3986, section 2.1; null for an escape that lacks hex digits or is not UTF-8. */
function percentDecode(escaped: string): string | null {
  if (escaped.indexOf('%') < 0) return escaped;
  if (/%(?![\da-f]{2})/i.test(escaped)) return null;
  const bytes = utf8Bytes(escaped);
  let n = 0;
  for (let i = 0; i < bytes.length; i++) {
    bytes[n++] = bytes[i] === 37 ? hexDigit(bytes[++i]) << 4 | hexDigit(bytes[++i]) : bytes[i];
  }
  return text(bytes.subarray(0, n));
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

// Stock firmware hands all received bytes to the listening socket, without saying whose they are. So there at most one
// connection, the reader, may be able to send. The others are sealed (their answers go on) or kept out: sockets bound to
// port 0 hold the PCBs that they would need.
// A board has one driver and one pool of PCBs, whatever the number of servers: so all of this is kept once.

let dev: Netdev;
/** Milliseconds that clients could be heard in: of a pass of the loop in which the program blocked, 100 count. */
let now = 0;
let lastStep = 0;
const connections: Connection[] = [];
/** The connection whose bytes come to the listening socket. */
let reader: Connection | null = null;
/** The one beside it that speaks another protocol since its 101, and is heard on. */
let upgraded: Connection | null = null;
/** Segments for one of the two, until it is clear for which. */
const backlog: Uint8Array[] = [];
/** Bytes received since the garbage collector was called. */
let uncollected = 0;
/** True once bytes have come to an accepted socket itself: a firmware that says whose bytes they are. */
let routed = false;
/** Fds of bound sockets, each with a PCB. */
const held: number[] = [];
/** When to look for free PCBs, and when to give up a held one although there is none. */
let checkAt = 0;
let giveUpAt = 0;
/** Fds whose numbers a late FIN may hit: a slow client's comes when it has read all, however long after. */
const parked: number[] = [];
/** Fds of dead connections: never to be written to or closed. */
const zombies: number[] = [];

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

/** A client has connected: it is heard, or told to come back. */
function accept(server: Server, fd: number): void {
  const connection = newConnection(server, fd);
  const full = connections.push(connection) > server._limits.maxParallelConnections;
  if (reader) alive(reader);
  if (zombies.length > Max.ZOMBIES && zombies.some(writable)) {
    busy(connection);
    end(connection); // at once, which gives back the fds of all that had its PCB
  } else if (routed) {
    if (full) busy(connection);
  } else if (full || (reader && (reader._state || reader._count < 2 || reader._in.length))) {
    seal(connection);
    busy(connection);
  } else {
    if (reader) {
      // Between two requests it gives way: sealed now, ended at the next step; its client connects again by itself.
      reader._deadline = 0;
      seal(reader);
    }
    reader = connection;
  }
}

/** Told at once: a request that comes on a sealed connection resets it. */
function busy(connection: Connection): void {
  fail(connection, 503, { 'retry-after': '1' });
  flush(connection);
}

function newConnection(server: Server, fd: number): Connection {
  const connection = { _server: server, _fd: fd, _since: now, _count: 0, _in: NO_BYTES, _out: '', _rest: NO_BYTES, _body: NO_BYTES } as Connection;
  const accepted = dev.get(fd);
  accepted.read_cb = (data) => {
    if (!routed) {
      routed = true; // nobody has to be kept out
      reader = null;
      giveUp(held.length);
    }
    receive(connection, data);
  };
  accepted.close_cb = () => { over(connection); };
  begin(connection);
  progress(connection);
  if (!routed) connection._deadline = now + Ms.SILENT;
  return connection;
}

/** What the client sends from now on is refused by lwIP; its answer goes on, and the next client may come in. */
function seal(connection: Connection): void {
  if (connection._fd >= 0) dev.shutdown(connection._fd, 0);
  unheard(connection, 0);
}

function over(connection: Connection): void {
  connection._fd = -1;
  unheard(connection, Ms.COME_BACK);
}

/** It cannot be heard any more. If it was the reader, its PCB may take `ms` to come back for the next one. */
function unheard(connection: Connection, ms: number): void {
  checkAt = 0;
  settle(); // what waits is for these two, not for the next
  if (upgraded === connection) upgraded = null;
  if (reader === connection) {
    reader = null;
    giveUpAt = now + ms;
  }
}

/** Bytes came to the listening socket. */
function hear(data: Uint8Array): void {
  // Only when the reader's bytes are parsed it is known whether its request ends with them.
  if (!upgraded || (!backlog.length && !(reader && reader._in.length))) {
    deliver(data);
  } else if (backlog.push(new Uint8Array(data)) > Max.BACKLOG) {
    settle();
  }
}

/** Waits no longer: while the reader's bytes are not parsed, what looks like more of a request is. */
function settle(): void {
  while (backlog.length) deliver(backlog.shift()!);
}

function deliver(data: Uint8Array): void {
  const connection = !upgraded || (reader && isReaders(reader._in.length ? State.BODY : reader._state, upgraded._stage, data)) ? reader : upgraded;
  if (connection) receive(connection, data);
}

/**
 * Beside an upgraded connection the reader's bytes are those that begin a request, what cannot be a frame of a WebSocket, and, where it
 * might be the inside of one, text, if a request has begun: behind its mask a frame has none.
 */
function isReaders(state: State, stage: Stage | undefined, data: Uint8Array): boolean {
  const start = latin1(data.subarray(0, 16));
  const claim = /^[A-Z]+ \//.test(start) ? -1 : stage ? stage._claim(data) : 0;
  return claim < 0 || (!claim && (state ? /^[\t\r -~]*(\n|$)/ : /^[A-Z]+ ?$/).test(start));
}

/** Takes every free PCB, then gives back as many as shall be free: so it need not know how many there are. */
function admit(reserve: number): void {
  if (now < checkAt) return;
  checkAt = now + Ms.CHECK;
  while (parked.length && parked.length + zombies.length > Max.OUT_OF_USE) dev.close(parked[0]);
  if (routed) return;
  const wanted = reader ? reserve : reserve + 1;
  let free = 0;
  for (let fd; (fd = socket()) >= 0; free++) {
    dev.bind(fd, dev.ip, 0);
    dev.shutdown(fd, 1);
    if (!dev.errno) { // upside down: what has no PCB can be shut down
      dev.close(fd);
      break;
    }
    held.push(fd);
  }
  if (free >= wanted || now >= giveUpAt) {
    free = Math.min(free + 1, wanted);
    giveUpAt = now + Ms.COME_BACK;
  }
  giveUp(free);
}

function giveUp(count: number): void {
  while (count-- > 0 && held.length) dev.close(held.pop()!); // the last one taken first: where zombies are, end() frees them
}

// --------------------------------------------------------------------------------------------------------- connection

/** @internal What a connection does after a 101: the answer carries it. */
export interface Stage {
  /** One bounded step. */
  next(): void;
  /** The connection is over. */
  return(): void;
  /** Bytes of input that may wait, beside a window. */
  _maxBytes: number;
  /** Whether received bytes are its own: 1 for yes, -1 for no, 0 when they might be. */
  _claim(data: Uint8Array): number;
}

/** @internal One client, and its current request. */
export interface Connection {
  readonly _server: Server;
  /** -1 once it is over. */
  _fd: number;
  /** When it was accepted. */
  readonly _since: number;
  /** When what goes on now has had its time. */
  _deadline: number;
  /** Requests begun. */
  _count: number;
  /** Received and not yet parsed. */
  _in: Uint8Array;
  /** To be written: these bytes as characters, then the rest. */
  _out: string;
  _rest: Uint8Array;

  _state: State;
  /** The head, as far as it has come; and its size, also when it has been parsed. */
  _head: string;
  _headBytes: number;
  _method: string;
  _path: string;
  _query: string;
  _headers: RequestHeaders;
  _body: Uint8Array;
  /** Bytes of the body that have come. */
  _got: number;
  /** The handler, then the body of the answer, where it is an iterator. */
  _work: Iterator<any, any> | null;
  /** The client can use the connection for another request; once answered: it will. */
  _keep: boolean;
  /** Not 0 when the answer comes before the request's end, so that its client may still be sending; drained no longer than this. */
  _drainUntil: number;
  _stage?: Stage;
}

/**
 * Copies a segment: the driver's memory must be free again soon. Nothing can tell a client to wait: one that runs too far ahead of
 * its answers is heard no more.
 */
function receive(connection: Connection, data: Uint8Array): void {
  // What follows a request is used only where the connection is kept.
  const waiting = connection._state > State.BODY && reader !== connection && !connection._stage ? NO_BYTES : connection._in;
  uncollected += data.length;
  if (!connection._deadline) return;
  connection._in = concat(waiting, data);
  if (connection._in.length > allowed(connection) + Max.AHEAD) {
    drop(connection);
    seal(connection);
  }
  bound();
}

/** It ends at the next step, and until then nothing is taken in. */
function drop(connection: Connection): void {
  connection._in = NO_BYTES;
  connection._deadline = 0;
}

/** What a connection makes the server hold; what is left of its input keeps all of the last segment. Answers are the program's. */
const holds = (connection: Connection) =>
  connection._deadline && connection._in.buffer.byteLength + connection._body.length + (connection._stage ? connection._rest.length : connection._headBytes);

/** Bytes of one body or message. */
const allowed = (connection: Connection) => connection._stage ? connection._stage._maxBytes : connection._server._limits.maxBodyBytes;

/**
 * Five clients at their limits would not fit into the memory: when all of them together hold too much, the one that holds most, of
 * equals the last one, goes.
 */
function bound(): void {
  let sum = 0;
  let most = 0;
  let largest = connections[0];
  connections.forEach((connection) => {
    sum += holds(connection);
    most = Math.max(most, allowed(connection));
    if (holds(connection) >= holds(largest)) largest = connection;
  });
  if (sum > Max.HELD + 3 * most) drop(largest);
}

/**
 * False when the client has reset the connection, which nothing else reports. To be asked before anything is done to the
 * connection in this turn of the loop: what is done to a dead one hits the next client that gets its PCB.
 */
function alive(connection: Connection): boolean {
  if (writable(connection._fd)) return true;
  // Should it be alive and only the Wi-Fi down, nobody must hear it.
  dev.shutdown(connection._fd, 0);
  park(zombies, connection._fd);
  over(connection);
  return false;
}

/** Lets bytes follow when those before have been written. */
function send(connection: Connection, piece: string | Uint8Array): void {
  connection._rest = typeof piece === 'string' ? utf8Bytes(piece) : piece;
  progress(connection);
}

/** From now on the client has its time again. */
function progress(connection: Connection): void {
  connection._deadline = now + connection._server._limits.requestTimeoutSeconds * 1000;
}

/** Writes until nothing is left (then true), or the send buffer is full: after 12 writes at most. */
function flush(connection: Connection): boolean {
  if (connection._fd < 0) return false;
  while (connection._out || connection._rest.length) {
    const room = Max.WRITE - connection._out.length;
    if (room > 0) {
      connection._out += latin1(connection._rest.subarray(0, room));
      connection._rest = after(connection._rest, room);
    }
    dev.write(connection._fd, connection._out.slice(0, Max.WRITE));
    if (dev.errno) return false;
    connection._out = connection._out.slice(Max.WRITE);
    progress(connection);
  }
  return true;
}

/** Whether an fd could send now: a probe that sends nothing. */
function writable(fd: number): boolean {
  dev.write(fd, '');
  return !dev.errno;
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
    if (!writable(zombie)) {
      remove(zombies, zombie);
      dev.close(zombie);
    }
  });
  while ((taken = socket()) >= 0 && taken !== fd) lower.push(taken);
  if (taken === fd) park(parked, fd);
  while (lower.length) dev.close(lower.pop()!);
}

/** Keeps a fd out of use until the driver closes it; of its connection the driver keeps nothing. */
function park(fds: number[], fd: number): void {
  const socket = dev.get(fd);
  fds.push(fd);
  socket.read_cb = undefined;
  socket.close_cb = () => {
    remove(fds, fd);
    checkAt = 0;
  };
}

// ------------------------------------------------------------------------------------------------------------ request

/** A connection is over: its iterators are told. */
function leave(connection: Connection): void {
  const left = connection._stage || connection._work;
  remove(connections, connection);
  try {
    if (left && left.return) left.return();
  } catch (error) {
    log(connection._server, error);
  }
}

/** Makes a connection ready for its next request. */
function begin(connection: Connection): void {
  connection._count++;
  connection._state = State.IDLE;
  connection._head = connection._method = connection._path = '';
  connection._got = connection._headBytes = 0;
  connection._keep = false;
}

/** One bounded step of a connection. */
function step(connection: Connection): void {
  if (!alive(connection)) return;
  if (now > connection._deadline) {
    if (connection._state && connection._state < State.HANDLER) fail(connection, 408);
    else end(connection);
    return;
  }
  if (connection._stage && connection._state < State.DRAIN && reader !== connection) return connection._stage.next();
  switch (connection._state) {
    case State.IDLE:
      if (!connection._in.length) return;
      connection._state = State.HEAD;
      progress(connection);
      // falls through
    case State.HEAD:
      if (!readHead(connection)) return;
      // falls through
    case State.BODY:
      if (!readBody(connection)) return;
      // falls through
    case State.HANDLER:
      if (!handle(connection)) break;
      // falls through
    case State.ANSWER:
      if (!answerOn(connection)) break;
      return finish(connection);
    case State.DRAIN:
      if (connection._in.length) connection._deadline = Math.min(now + Ms.QUIET, connection._drainUntil);
      connection._in = NO_BYTES;
      return;
  }
  // The answer takes its time: another client may be heard meanwhile.
  if (reader === connection && !connection._drainUntil && !connection._keep && !connection._stage) seal(connection);
}

/** Looks for the end of the head in 1,024 more bytes. True when the head is there, and all is well with it. */
function readHead(connection: Connection): boolean {
  const { maxRequestLineSize, maxHeaderBytes } = connection._server._limits;
  const bytes = connection._in.subarray(0, Max.WRITE);
  // Empty lines before the request are ignored: RFC 9112, section 2.2. "*" matches at once, "+" would search the whole head.
  const head = connection._head = (connection._head + latin1(bytes)).replace(/^[\r\n]*/, '');
  const line = (head + '\r').indexOf('\r');
  connection._headBytes = head.length;
  const end = head.indexOf('\r\n\r\n');
  connection._in = after(connection._in, end < 0 ? bytes.length : bytes.length - head.length + end + 4);
  // Without its end, up to three characters of that may have come. In a whole head a line feed alone fits into no line.
  const status = line > maxRequestLineSize ? 414
    : (end < 0 ? head.length - 3 : end) - line > maxHeaderBytes ? 431
    : end >= 0 ? parse(connection, head.slice(0, end).split('\r\n'))
    : /[^\r]\n/.test(head.slice(~bytes.length)) ? 400 : 0; // in the new bytes and the one before them
  if (status) fail(connection, status);
  return connection._state === State.BODY;
}

/** Takes over what the head says. Returns the status to fail with, or 0. */
function parse(connection: Connection, lines: string[]): number {
  const { maxHeaderCount, maxBodyBytes } = connection._server._limits;
  const request = REQUEST_LINE.exec(lines[0]);
  if (!request) return 400;
  if (request[4] !== '1') return 505;
  const path = percentDecode(request[2]);
  if (!path) return 400;
  if (lines.length > maxHeaderCount + 1) return 431;
  const headers = parseHeaders(lines);
  if (!headers) return 400;
  const { 'content-length': length = '0' } = headers;
  const modern = request[5] !== '0';
  if ('transfer-encoding' in headers) return 501;
  if (!/^\d+$/.test(length) || (modern && !('host' in headers))) return 400;
  if (+length > maxBodyBytes) return 413;
  connection._method = request[1];
  connection._path = path;
  connection._query = request[3] || '';
  connection._headers = headers;
  connection._head = '';
  connection._body = new Uint8Array(+length);
  bound();
  if (!connection._deadline) return 503;
  connection._keep = modern && !/close/i.test(headers.connection);
  connection._state = State.BODY;
  if (modern && +length && /100-continue/i.test(headers.expect)) dev.write(connection._fd, 'HTTP/1.1 100 Continue\r\n\r\n');
  return 0;
}

/** The lines behind the first as headers; null when one is malformed, or repeated where that is ambiguous. */
function parseHeaders(lines: string[]): RequestHeaders | null {
  const headers: RequestHeaders = Object.create(null);
  for (let i = 1; i < lines.length; i++) {
    const header = HEADER_LINE.exec(lines[i]);
    if (!header) return null;
    const name = header[1].toLowerCase();
    if (name in headers && name === 'host') return null; // content-length: "1, 1" is no number
    headers[name] = (name in headers ? headers[name] + ', ' : '') + header[2].trim();
  }
  return headers;
}

function readBody(connection: Connection): boolean {
  const { _in, _body, _got } = connection;
  const bytes = _in.subarray(0, _body.length - _got);
  _body.set(bytes, _got);
  connection._in = after(_in, bytes.length);
  connection._got += bytes.length;
  if (connection._got < _body.length) return false;
  connection._state = State.HANDLER;
  connection._deadline = Infinity; // the client waits for the handler, not the other way round
  return true;
}

/** One step of the handler. True when there is an answer. */
function handle(connection: Connection): boolean {
  let reply;
  if (connection._work) {
    const result = connection._work.next();
    if (!result.done) return false;
    reply = result.value;
  } else {
    reply = connection._server._dispatch(connection);
    if (isIterator(reply)) {
      connection._work = reply;
      connection._keep = false;
      return false;
    }
  }
  answer(connection, reply);
  return true;
}

// -------------------------------------------------------------------------------------------------------------- reply

const isIterator = (value: any): value is Iterator<any, any> => value && typeof value.next === 'function';

/** An answer to a request. */
export class Response {
  /** What is sent. */
  body: string | Uint8Array | BodyIterator;
  /** RFC 9110, section 15. */
  status: number;
  /** Of the body, without the charset that is added. */
  contentType: string;
  /** More headers than those of the body. */
  headers: { [name: string]: string | number } = {};
  /** @internal */
  declare _stage?: Stage;
  /** @internal Bytes of a body that is an iterator, if they are known. */
  declare _length?: number;
  /** @internal Makes the answer when the request is known. */
  declare _for?: (requestHeaders: RequestHeaders) => Response;

  /**
   * @param body text (sent as UTF-8), bytes, an iterator of both that is sent as it comes and ended by closing, or any other
   *   value, sent as JSON. Default ''
   * @param status RFC 9110, section 15. Default 200
   * @param contentType default 'text/plain', for JSON 'application/json'; where it is text without a parameter, "; charset=utf-8"
   *   is added
   * @param headers more of them. Default none
   * @throws Error when one of them has a line break, another control character, or a character above U+00FF; TypeError for
   *   what cannot be JSON
   */
  constructor(body?: unknown, status?: number, contentType?: string, headers?: { [name: string]: string | number }) {
    if (body === undefined) body = '';
    if (typeof body !== 'string' && !(body instanceof Uint8Array) && !isIterator(body)) {
      body = JSON.stringify(body);
      contentType = contentType || 'application/json';
    }
    this.body = body as string;
    this.status = status || 200;
    let all = this.contentType = contentType || 'text/plain';
    for (const name in headers) all += name + (this.headers[name] = headers[name]);
    if (/[^\t -~\x80-\xff]/.test(all)) throw new Error('Bad header');
  }
}

const failure = (status: number, headers?: { [name: string]: string }, message?: string) =>
  new Response(message || '' + status, status, '', headers);

/** The one way for a request to fail. */
function fail(connection: Connection, status: number, headers?: { [name: string]: string }): void {
  answer(connection, failure(status, headers));
}

/** Puts the head of an answer on its way, and lets the body follow. */
function answer(connection: Connection, reply: Reply): void {
  let response = reply instanceof Response ? reply
    : new Response(reply, reply === undefined ? 204 : 200, reply instanceof Uint8Array ? BINARY : '');
  if (response._for) response = response._for(connection._headers);
  const { body, status } = response;
  const bytes: any = typeof body === 'string' ? utf8Bytes(body) : body;
  const contentless = status === 204 || status === 304;
  const bodiless = contentless || connection._method === 'HEAD';
  const streamed = isIterator(bytes);
  const length = streamed ? response._length : bytes.length;
  if (streamed && bodiless && bytes.return) bytes.return();
  connection._work = streamed && !bodiless ? bytes : null;
  connection._body = NO_BYTES;
  connection._stage = response._stage;
  connection._drainUntil = +(connection._state < State.HANDLER);
  // Where there are dead connections the server has to end this one, see end().
  connection._keep = connection._keep && reader === connection && length < Max.AT_ONCE && !zombies.length
    && connection._count < Max.REQUESTS && now - connection._since < Ms.KEEP;
  connection._state = State.ANSWER;
  connection._out = headOf(response, contentless, length, connection._keep);
  connection._rest = streamed || bodiless ? NO_BYTES : bytes;
  progress(connection);
  log(connection._server, connection._method + ' ' + connection._path + ' ' + status);
}

/** debug() may be the program's, and throw. */
function log(server: Server, message: unknown): void {
  try {
    server.debug(message);
  } catch (e) {
    console.error(e);
  }
}

/** RFC 9112, section 4; without a reason phrase, which nobody reads. A body of unknown length ends with the connection. */
function headOf({ body, status, contentType, headers }: Response, contentless: boolean, length: number | undefined, keep: boolean): string {
  let head = 'HTTP/1.1 ' + status + ' \r\n';
  for (const name in headers) head += name + ': ' + headers[name] + '\r\n';
  if (status > 199) {
    if (!contentless) {
      if (contentType.indexOf(';') < 0 && (typeof body === 'string' || /^text/.test(contentType))) contentType += '; charset=utf-8';
      head += 'content-type: ' + contentType + '\r\n';
      if (length !== undefined) head += 'content-length: ' + length + '\r\n';
    }
    if (!keep) head += 'connection: close\r\n';
  }
  return head + '\r\n';
}

/** Writes what there is, then asks for more. True when that was all. */
function answerOn(connection: Connection): boolean {
  if (!flush(connection)) {
    connection._keep = false;
  } else if (!connection._work) {
    return true;
  } else {
    const piece = connection._work.next();
    if (piece.done) {
      connection._work = null;
      return true;
    }
    if (piece.value === undefined) connection._deadline = Infinity; // the client waits for the program
    else send(connection, piece.value);
  }
  return false;
}

function finish(connection: Connection): void {
  if (connection._stage) {
    if (reader === connection) {
      unheard(connection, 0);
      upgraded = connection;
    }
  } else if (connection._keep) {
    begin(connection);
    connection._deadline = now + Ms.IDLE;
  } else if (connection._drainUntil) {
    drain(connection);
  } else {
    end(connection);
  }
}

/** What the client still sends is discarded for a while: a reset would take from it what it has not read yet. */
function drain(connection: Connection): void {
  connection._state = State.DRAIN;
  connection._drainUntil = now + Ms.DRAIN;
  connection._deadline = now + Ms.QUIET;
}

/** @internal What websocket.ts builds upon. */
export const _seam = {
  _after: after,
  _bound: bound,
  _checkUtf8: checkUtf8,
  _concat: concat,
  _drain: drain,
  _end: end,
  _failure: failure,
  _flush: flush,
  _isIterator: isIterator,
  _log: log,
  _merge: merge,
  _NO_BYTES: NO_BYTES,
  _progress: progress,
  _utf8Bytes: utf8Bytes,
  /** The connection beside which no other can be upgraded. */
  _upgraded: () => upgraded,
};

// -------------------------------------------------------------------------------------------------------------- files

declare function require(name: 'fs'): {
  stat(path: string): { size: number, isFile(): boolean };
  open(path: string, flags: string): number;
  read(fd: number, buffer: Uint8Array, offset: number, length: number): number;
  close(fd: number): void;
};

/** Each with the extensions that differ from its name: a text, in which no extension can meet a property of Object. */
const CONTENT_TYPES = 'text/html text/css text/plain.txt text/javascript.js.mjs application/json application/wasm image/png image/gif '
  + 'image/webp image/svg+xml.svg image/jpeg.jpg image/x-icon.ico font/woff2';

function contentTypeOf(path: string): string {
  const type = RegExp('\\S+[/.]' + /\.(\w+)$|$/.exec(path)![1] + '(?![^. ])').exec(CONTENT_TYPES);
  return type ? type[0].split('.')[0] : BINARY;
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
      if (!count) throw new Error(path + ' became shorter');
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
  const response = new Response('', 200, contentType, headers);
  response._for = (requestHeaders) => {
    let name = path + '.gz';
    let size = /(^|[ ,])gzip *(,|$|; *q=(1|0\.0*[1-9]))/i.test(requestHeaders['accept-encoding']) ? fileSize(name) : -1;
    const zipped = size >= 0;
    if (!zipped) size = fileSize(name = path);
    if (size < 0 || /(^|\/)\.\.(\/|$)|\0/.test(path)) return failure(404);
    const answer = new Response(fileBody(name, size, bufferSize || 1024), 200, contentType || contentTypeOf(path), headers);
    answer._length = size;
    if (zipped) {
      answer.headers['content-encoding'] = 'gzip';
      answer.headers.vary = 'accept-encoding';
    }
    return answer;
  };
  return response;
} as any as new (path: string, headers?: { [name: string]: string | number }, contentType?: string, bufferSize?: number) => Response;

// ------------------------------------------------------------------------------------------------------------- server

/** Puts into `all` what `more` has. */
function merge(all: any, more: any): any {
  for (const name in more) if (more[name] !== undefined) all[name] = more[name];
  return all;
}

/**
 * The web server. Subclass it and mark methods with {@link route}, or add handlers with {@link Server.route}; then give
 * {@link Server.start} to {@link run}, or call {@link Server.listen}.
 */
export class Server {
  /** @internal */
  _limits: Required<ServerOptions>;
  /** The listening socket; -1 when there is none. */
  private _fd = -1;
  // Declared only: as a field of its own, which some compilers make of it, it would hide the routes of the class.
  private declare _routes?: { _path: RegExp, _method: string, _handler: Handler }[];

  /** @param options limits and switches; see there for the defaults */
  constructor(options?: ServerOptions) {
    this._limits = merge({
      maxRequestLineSize: 2048,
      maxHeaderCount: 50,
      maxHeaderBytes: 4096,
      maxBodyBytes: 16384,
      requestTimeoutSeconds: 10,
      maxParallelConnections: 5,
      reserve: 0,
      debug: false,
      netdev: global.__netdev,
    }, options);
  }

  /**
   * Adds a handler, to this server only. The first route that fits answers; GET routes answer HEAD, too.
   * @param path a regular expression; text is anchored at both ends
   * @param method 'GET', 'POST', ... (case matters, as in HTTP)
   * @param handler see {@link Handler}
   * @returns this
   */
  route(path: string | RegExp, method: string, handler: Handler<this>): this {
    // A new list: the one so far may be the class's, or of the class above it.
    this._routes = (this._routes || []).concat({
      _path: typeof path === 'string' ? RegExp('^(?:' + path + ')$') : path, _method: method, _handler: handler,
    });
    return this;
  }

  /** @internal Finds the handler and calls it. */
  _dispatch(request: Connection): any {
    const method = request._method;
    let allow = '';
    for (const name in this._routes) {
      const route = this._routes[name as any];
      const match = request._path.match(route._path);
      if (match) {
        if (route._method === method || (route._method === 'GET' && method === 'HEAD')) {
          return route._handler.call(this, request._path, request._query, request._headers, request._body, match);
        }
        allow += (allow && ', ') + route._method + (route._method === 'GET' ? ', HEAD' : '');
      }
    }
    return allow ? failure(405, { allow }) : failure(404);
  }

  /**
   * The server as a generator: every `next()` is one bounded step, never longer than your handlers are.
   * @param port to listen on. Default 80
   * @returns the iterator: this server itself
   * @throws Error when Wi-Fi is not connected, or the port is in use
   */
  start(port?: number): Iterator<undefined> {
    port = port || 80;
    dev = this._limits.netdev;
    lastStep = millis();
    giveUp(1); // the listening socket needs a PCB for a moment
    checkAt = 0;
    const fd = dev.socket('AF_INET', 'STREAM');
    const listening = dev.get(fd);
    listening.accept_cb = (accepted) => { accept(this, accepted); };
    listening.read_cb = hear;
    dev.bind(fd, dev.ip, port);
    dev.listen(fd);
    if (dev.errno) {
      dev.close(fd);
      throw new Error('Port ' + port + ' is in use');
    }
    this._fd = fd;
    return this;
  }

  /** One bounded step of the server, once {@link Server.start} was called. */
  next(): IteratorResult<undefined> {
    if (this._fd < 0) return DONE;
    const time = millis();
    now += Math.min(time - lastStep, Max.PASS);
    lastStep = time;
    admit(this._limits.reserve);
    // To allocate is the one way to have the collector called.
    if (uncollected > Max.COLLECT) uncollected = new Uint8Array(Max.COLLECT).length - Max.COLLECT;
    for (let i = connections.length; i--;) {
      const connection = connections[i];
      // A handler may have closed a server, and with it connections.
      if (!connection || connection._server !== this) continue;
      try {
        if (connection._fd >= 0) step(connection);
        else leave(connection);
      } catch (error) {
        log(this, error);
        if (connection._state === State.ANSWER) end(connection);
        else if (connection._fd >= 0) answer(connection, failure(500, undefined, this._limits.debug ? '' + error : ''));
      }
    }
    while (backlog.length && !(reader && reader._in.length)) deliver(backlog.shift()!);
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
    if (this._fd < 0) return;
    connections.slice().forEach((connection) => {
      if (connection._server !== this) return;
      if (connection._fd >= 0 && alive(connection)) end(connection);
      leave(connection);
    });
    giveUp(held.length);
    dev.close(this._fd);
    this._fd = -1;
  }

  /** Logs requests and errors to the console if options.debug is set; override it to log elsewhere. */
  debug(message: unknown): void {
    if (this._limits.debug) console.log(message);
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
export function route(path: string | RegExp, method = 'GET'): any {
  return (target: any, name: any) => {
    if (name.addInitializer) name.addInitializer(function (this: Server) { this.route(path, method, target); });
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
