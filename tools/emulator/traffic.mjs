// What clients of the emulated board see, read off their connections: requests and their answers, streams, WebSockets. It only looks: a
// byte is told apart when it comes from a client's socket, and when it goes into it, so what a slow link costs is in the times.

/** A head that has not ended after so many bytes is none. */
const LONGEST_HEAD = 65536;
/** Milliseconds; a client that the board let in faster has not waited. */
const SHORT_WAIT = 100;
/** What a WebSocket's closing is called that came without a close frame: RFC 6455, section 7.1.5. */
const ABNORMAL = 1006;
/** What stands in the place of a method. */
const WEB_SOCKET = 'WS';

/**
 * @typedef {object} Event
 * @property {'request' | 'stream' | 'open' | 'closed'} type an answer that is complete, or never will be; an answer of unknown length
 *   that begins; a WebSocket that opens, or is closed
 * @property {string} method
 * @property {string} path as the client wrote it; not to be printed as it is
 * @property {number} [port] the board's, unless it is the first one
 * @property {number} [status] or a WebSocket's close code; undefined without an answer
 * @property {number} [bytes] of the body, so far as it went out
 * @property {number} [ms] since the request's first byte
 * @property {string} [note]
 */

/** Counts the messages that one side of a WebSocket sends: RFC 6455, section 5.2. */
class Frames {
  messages = 0;
  /** Of the close frame. */
  code = 0;
  #head = [];
  #payload = 0;
  #start = [];

  take(bytes) {
    for (let i = 0; i < bytes.length;) {
      if (this.#payload > 0) {
        const count = Math.min(this.#payload, bytes.length - i);
        if (this.#start.length < 2) this.#start.push(...bytes.subarray(i, i + Math.min(count, 2)));
        this.#payload -= count;
        i += count;
      } else {
        this.#head.push(bytes[i++]);
        if (!this.#headIsWhole()) continue;
        this.#payload = this.#length();
      }
      if (this.#payload === 0) this.#ended();
    }
  }

  #lengthBytes() {
    return { 126: 2, 127: 8 }[this.#head[1] & 127] ?? 0;
  }

  #headIsWhole() {
    const [, second] = this.#head;
    return second !== undefined && this.#head.length === 2 + this.#lengthBytes() + (second > 127 ? 4 : 0);
  }

  #length() {
    const count = this.#lengthBytes();
    return count === 0 ? this.#head[1] & 127 : this.#head.slice(2, 2 + count).reduce((sum, byte) => sum * 256 + byte, 0);
  }

  #ended() {
    const [first, second] = this.#head;
    const mask = second > 127 ? this.#head.slice(-4) : [0, 0];
    if (first > 127 && first % 16 < 8) this.messages++;
    if (first % 16 === 8) this.code ||= this.#start.length > 1 ? (this.#start[0] ^ mask[0]) * 256 + (this.#start[1] ^ mask[1]) : 1005;
    this.#head = [];
    this.#start = [];
  }
}

/** Finds the data and the end of a body in chunks: RFC 9112, section 7.1. The board sends no trailers. */
class Chunks {
  ended = false;
  #line = '';
  #left = 0;
  #last = false;

  /** @returns {{taken: number, data: number}} how many bytes are the body's, and how many of them are data */
  take(bytes) {
    let [taken, data] = [0, 0];
    while (taken < bytes.length && !this.ended) {
      const count = Math.min(this.#left, bytes.length - taken);
      this.#left -= count;
      data += count;
      taken += count;
      if (count === 0) this.#take(bytes[taken++]);
    }
    return { taken, data };
  }

  /** Of the line that says a chunk's length, or of the line end behind its data. */
  #take(byte) {
    this.#line += String.fromCharCode(byte);
    if (!this.#line.endsWith('\r\n')) return;
    const line = this.#line.trim();
    this.#line = '';
    this.ended = this.#last;
    if (line === '') return;
    this.#left = parseInt(line, 16);
    this.#last = this.#left === 0;
  }
}

/** One connection. Give it the bytes of both directions, and tell it when one side has no more. */
export class Conversation {
  #report;
  #now;
  /** Since when the board knows it. */
  #openedAt = Infinity;
  /** What the client sent and is not read yet, and how many bytes of a body are to come before the next head. */
  #unread = Buffer.alloc(0);
  #bodyLeft = 0;
  /** The request whose head is not whole. */
  #beginning = null;
  /** After a request to upgrade it depends on the answer what its bytes are. */
  #held = false;
  /** Requests without an answer. */
  #waiting = [];
  /** The one that is answered now, the head of its answer as far as it came, and bytes to come. */
  #answering = null;
  #answer = Buffer.alloc(0);
  #answerLeft = 0;
  /** @type {Chunks | null} of a body that comes in chunks */
  #chunks = null;
  /** @type {{socket: any, received: Frames, sent: Frames} | null} */
  #webSocket = null;
  /** Nothing more is expected from the client: the board said that it closes. */
  #last = false;
  /** The client ended it, not the board. */
  #left = false;
  /** Not HTTP, or over. */
  #done = false;

  /**
   * @param {(event: Event) => void} report
   * @param {() => number} now ms
   */
  constructor(report, now) {
    this.#report = report;
    this.#now = now;
  }

  /** The board has taken the connection; its first packet was under way for so many ms. */
  opened(underway = 0) {
    this.#openedAt = this.#now() - underway;
  }

  // ---- from the client

  received(bytes) {
    if (this.#webSocket) return this.#webSocket.received.take(bytes);
    if (this.#last || this.#done) return;
    this.#unread = Buffer.concat([this.#unread, this.#skipBody(bytes)]);
    this.#readHeads();
  }

  #skipBody(bytes) {
    const count = Math.min(this.#bodyLeft, bytes.length);
    this.#bodyLeft -= count;
    return bytes.subarray(count);
  }

  #readHeads() {
    while (this.#bodyLeft === 0 && !this.#held && !this.#last && this.#readHead());
  }

  #readHead() {
    while (this.#unread[0] === 13 || this.#unread[0] === 10) this.#unread = this.#unread.subarray(1);
    if (this.#unread.length === 0) return false;
    if (!this.#beginning) this.#waiting.push(this.#beginning = this.#request());
    const end = this.#unread.indexOf('\r\n\r\n');
    const head = this.#unread.toString('latin1', 0, end < 0 ? LONGEST_HEAD : end);
    const [line] = head.split('\r\n');
    [, this.#beginning.method, this.#beginning.path] = /^(\S+) (\S+)/.exec(line) ?? ['', '?', line];
    if (end < 0) {
      this.#last = this.#unread.length > LONGEST_HEAD;
      return false;
    }
    // Whatever becomes of it, it is no request for a page.
    if (/\r\nupgrade: *websocket\b/i.test(head)) this.#beginning.method = WEB_SOCKET;
    this.#beginning = null;
    this.#bodyLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    this.#held = /\r\nupgrade:/i.test(head);
    this.#unread = this.#skipBody(this.#unread.subarray(end + 4));
    return true;
  }

  #request() {
    return { at: this.#now(), method: '-', path: '-', status: undefined, bytes: 0 };
  }

  // ---- from the board

  sent(bytes) {
    for (let rest = bytes; rest.length > 0 && !this.#done;) {
      if (this.#webSocket) return this.#webSocket.sent.take(rest);
      rest = this.#answering ? this.#body(rest) : this.#head(rest);
    }
  }

  #body(bytes) {
    if (this.#chunks) return this.#chunked(bytes, this.#chunks);
    const count = Math.min(this.#answerLeft, bytes.length);
    this.#answering.bytes += count;
    this.#answerLeft -= count;
    if (this.#answerLeft === 0) this.#answered();
    return bytes.subarray(count);
  }

  #chunked(bytes, chunks) {
    const { taken, data } = chunks.take(bytes);
    this.#answering.bytes += data;
    if (chunks.ended) this.#answered();
    return bytes.subarray(taken);
  }

  #head(bytes) {
    this.#answer = Buffer.concat([this.#answer, bytes]);
    const end = this.#answer.indexOf('\r\n\r\n');
    const nothing = Buffer.alloc(0);
    if (end < 0) return nothing;
    const head = this.#answer.toString('latin1', 0, end);
    const rest = this.#answer.subarray(end + 4);
    const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(head)?.[1]);
    this.#answer = nothing;
    if (!status) this.#done = true;
    else if (status === 101) this.#upgrade();
    else if (status > 199) this.#begin(head, status);
    return rest;
  }

  #begin(head, status) {
    const request = this.#answering = this.#waiting.shift() ?? this.#request();
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    request.status = status;
    // An answer that does not wait for its request's end is the last one.
    this.#last ||= request === this.#beginning || request.method === '-' || /\r\nconnection: *close/i.test(head);
    this.#answerLeft = request.method === 'HEAD' || status === 204 || status === 304 ? 0 : Number(length ?? Infinity);
    this.#chunks = this.#answerLeft === Infinity && /\r\ntransfer-encoding: *chunked/i.test(head) ? new Chunks() : null;
    if (this.#answerLeft === Infinity) this.#tell('stream', request, { bytes: undefined, ms: undefined });
    if (this.#answerLeft === 0) this.#answered();
  }

  #answered(note = this.#waited(this.#answering)) {
    this.#tell('request', this.#answering, { note });
    this.#answering = null;
    this.#held = false;
    this.#readHeads();
  }

  #upgrade() {
    const socket = { ...this.#waiting.shift() ?? this.#request(), method: WEB_SOCKET, status: 101 };
    this.#webSocket = { socket, received: new Frames(), sent: new Frames() };
    this.#tell('open', socket, { bytes: undefined, ms: undefined });
    this.#webSocket.received.take(this.#unread);
  }

  #tell(type, { at, ...request }, more) {
    this.#report({ type, ...request, ms: Math.round(this.#now() - at), ...more });
  }

  /** A kept connection's next request, too, began after the board knew it. */
  #waited({ at }) {
    const ms = this.#openedAt - at;
    return ms > SHORT_WAIT && ms < Infinity ? `waited ${(ms / 1000).toFixed(1)} s` : undefined;
  }

  // ---- the end

  /** The client ends it, or has gone: the board has not ended it before. */
  left() {
    this.#left = true;
  }

  /** The board has sent all that it wanted; to a client that has left, nothing more. */
  ended() {
    if (!this.#left && this.#answerLeft === Infinity && this.#answering && !this.#chunks) this.#answered();
  }

  /** It is over. */
  closed() {
    if (this.#done) return;
    this.#done = true;
    if (this.#webSocket) return this.#closedWebSocket(this.#webSocket);
    const note = this.#openedAt === Infinity ? 'never let in' : this.#left ? 'client left' : 'cut off';
    for (const request of this.#answering ? [this.#answering, ...this.#waiting] : this.#waiting) this.#tell('request', request, { note });
  }

  #closedWebSocket({ socket, received, sent }) {
    const status = received.code || sent.code || ABNORMAL;
    this.#tell('closed', socket, { status, bytes: undefined, note: `${received.messages} in, ${sent.messages} out` });
  }
}

/**
 * Reports what happens on every connection to the board from now on.
 * @param {import('../../test/board/index.mjs').Board} board with a network of real sockets
 * @param {(event: Event) => void} report
 */
export function watchTraffic(board, report) {
  const { network } = board;
  const { connected } = network;
  network.connected = (socket, boardPort, opened = () => {}) => {
    const tell = (event) => report(boardPort === network.first ? event : { ...event, port: boardPort });
    const conversation = new Conversation(tell, () => board.now);
    watchSocket(socket, conversation);
    connected.call(network, socket, boardPort, () => {
      conversation.opened(network.link.delay);
      opened();
    });
  };
}

function watchSocket(socket, conversation) {
  const { write, end } = socket;
  const left = () => { if (!socket.writableEnded) conversation.left(); };
  socket.on('data', (bytes) => conversation.received(bytes));
  socket.on('end', left);
  socket.on('error', left);
  socket.on('close', () => conversation.closed());
  socket.write = (bytes, ...more) => {
    conversation.sent(bytes);
    return write.call(socket, bytes, ...more);
  };
  socket.end = (...more) => {
    conversation.ended();
    return end.call(socket, ...more);
  };
}
