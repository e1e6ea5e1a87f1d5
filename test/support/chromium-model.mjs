// Chromium towards a board, on the memory network: which connections it opens, when, what it does with them, and what it repeats.
// Each behaviour says where it comes from: a file of Chromium's net/, or "measured": Chromium 156 on Linux against a server on node:net.
import { seededRandom } from '../board/random.mjs';
import { frame, framesOf, handshake, CLOSE, PING, PONG, TEXT } from './websocket.mjs';

/** ClientSocketPoolManager, kDefaultMaxSocketsPerGroup: to one host and port. Measured: a page with eight pictures opens six. */
const PER_HOST = 6;
/** transport_client_socket_pool.cc, kMaxConnectRetryIntervalMs: then a second connection is tried beside the first. Measured: 244 to 256 ms. */
const BACKUP_MS = 250;
/** websocket_endpoint_lock_manager.cc, kUnlockDelay is 10 ms. Measured: the next SYN leaves 11 to 15 ms after the handshake before it. */
const UNLOCK_MS = 12;
/** Measured: from the connection that a navigation opens at its start to its request, ms from and to; 300 when the browser has just started. */
const NAVIGATION_MS = [10, 25];
/** Measured: from the connection to the request that waited for it, up to 1 ms. So the handshake's last ACK leaves by itself, before the request. */
const HAND_OVER_MS = [0.2, 1];
/** Measured: from the page to the requests for its parts. */
const PARSE_MS = [5, 25];
/** Measured: from the page to the end of the WebSockets of the page before it. */
const LEAVE_MS = [10, 45];
/** Linux, net.ipv4.tcp_syn_retries: SYNs at 0, 1, 3, 7, 15, 31 and 63 s. Chromium itself waits 4 minutes (transport_connect_job.cc). */
const SYN_RETRIES = 6;
const GOING_AWAY = Buffer.from([3, 233]);

const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36';

/** One request, and what comes of it. */
class Exchange {
  constructor({ port, method, path, body = '', onDone = () => {} }) {
    Object.assign(this, { port, method, path, body, onDone });
    /** Connections that it was sent, or was to be sent, on. */
    this.tries = 0;
    this.repeated421 = false;
    /** @type {number | undefined} */
    this.status = undefined;
    this.text = '';
    /** @type {string | undefined} why there is no answer */
    this.failed = undefined;
    this.done = false;
  }

  get bytes() {
    const { method, path, port, body } = this;
    const host = port === 80 ? 'board' : `board:${port}`;
    const length = method === 'GET' ? '' : `content-length: ${body.length}\r\n`;
    return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive\r\nUser-Agent: ${USER_AGENT}\r\nAccept: */*\r\n${length}Accept-Encoding: gzip, deflate\r\n` +
      `Accept-Language: en-US,en;q=0.9\r\n\r\n${body}`;
  }

  end(result) {
    Object.assign(this, result, { done: true });
    this.onDone(this);
  }

  get ok() {
    return this.status === 200;
  }
}

/** What has come on a connection, as an answer; undefined while it is not whole. */
function answerOf(text, ended) {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = text.slice(0, headEnd);
  const status = Number(head.slice(9, 12));
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  const empty = status === 204 || status === 304;
  if (!empty && length === undefined && !ended) return undefined;
  const body = text.slice(headEnd + 4);
  const size = empty ? 0 : length === undefined ? body.length : Number(length);
  if (body.length < size) return undefined;
  const keep = /^HTTP\/1\.1/.test(head) && !/^connection: .*close/im.test(head) && (empty || length !== undefined) && body.length === size;
  return { status, text: body.slice(0, size), keep };
}

/** The connections to one port. */
class Group {
  constructor() {
    /** @type {any[]} connecting */
    this.jobs = [];
    /** @type {any[]} connected, with no request on them: used ones and spare ones */
    this.idle = [];
    /** @type {Set<any>} a request is on them */
    this.active = new Set();
    /** @type {Exchange[]} that wait for a connection */
    this.waiting = [];
    /** Jobs that a navigation has begun before its request: they are nobody's. */
    this.unasked = 0;
    this.backup = { cancelled: true };
  }

  get isEmpty() {
    return this.jobs.length + this.idle.length + this.active.size + this.waiting.length === 0;
  }

  get hasRoom() {
    return this.jobs.length + this.idle.length + this.active.size < PER_HOST;
  }
}

export class Chromium {
  /**
   * @param {import('../board/index.mjs').Board} board
   * @param {import('../board/net-memory.mjs').ClientOptions} [link]
   * @param {number} [seed] of how long it takes for what takes it some milliseconds
   */
  constructor(board, link = {}, seed = 1) {
    this.board = board;
    this.link = link;
    this.random = seededRandom(seed);
    /** @type {Map<number, Group>} */
    this.groups = new Map();
    /** @type {Map<number, {busy: boolean, queue: PageSocket[]}>} */
    this.locks = new Map();
    /** Connections that were opened, those of WebSockets as well. */
    this.opened = 0;
    /** Spare connections: they were connected when nobody needed them any more. */
    this.spares = 0;
  }

  after(milliseconds, action) {
    const { network } = this.board;
    return network.at(network.now + milliseconds, false, action);
  }

  /** After some time between these. */
  soon([least, most], action) {
    this.after(least + this.random() * (most - least), action);
  }

  connect(port) {
    this.opened++;
    const client = this.board.connect({ ...this.link, port, autoClose: false, synRetries: SYN_RETRIES });
    return Object.assign(client, { used: false, unread: '', exchange: undefined, gone: false });
  }

  group(port) {
    if (!this.groups.has(port)) this.groups.set(port, new Group());
    return /** @type {Group} */ (this.groups.get(port));
  }

  // ---- requests

  /** @returns {Exchange} */
  fetch(path, { port = 80, method = 'GET', body = '', onDone = () => {} } = {}) {
    const exchange = new Exchange({ port, method, path, body, onDone });
    this.request(exchange);
    return exchange;
  }

  /** transport_client_socket_pool.cc, RequestSocketInternal. */
  request(exchange) {
    exchange.tries++;
    this.flush();
    const group = this.group(exchange.port);
    if (this.giveIdle(group, exchange)) return;
    const { isEmpty } = group;
    if (group.unasked > 0) group.unasked--;
    else if (group.hasRoom) this.startJob(exchange.port, group);
    group.waiting.push(exchange);
    if (isEmpty) this.startBackupTimer(exchange.port, group);
  }

  /** Of used ones the newest, else of spare ones the oldest: AssignIdleSocketToRequest. */
  giveIdle(group, exchange) {
    const client = group.idle.findLast(({ used }) => used) ?? group.idle[0];
    if (!client) return false;
    group.idle.splice(group.idle.indexOf(client), 1);
    this.give(group, exchange, client, true);
    return true;
  }

  /**
   * RequestSocket calls CleanupIdleSockets: with each request, to whatever port, those that have ended meanwhile are closed. Until then they
   * stay as they are. Measured: six idle connections that the server ended sent their FINs 6 s later, all within 2 ms, when the next fetch
   * began, also when that went to another port; none when a WebSocket was opened (websocket_transport_client_socket_pool.cc has no idle ones).
   */
  flush() {
    for (const group of this.groups.values()) {
      const dead = group.idle.filter((client) => client.ended || client.state === 'closed' || (client.used && client.unread));
      group.idle = group.idle.filter((client) => !dead.includes(client));
      for (const client of dead) this.close(client);
    }
  }

  /** A navigation opens a connection before it has a request, if it has none. Measured. */
  preconnect(port) {
    const group = this.group(port);
    this.flush();
    if (group.idle.length > 0 || group.jobs.length > 0 || !group.hasRoom) return;
    group.unasked++;
    this.startJob(port, group);
  }

  // ---- connecting

  startJob(port, group) {
    const client = this.connect(port);
    group.jobs.push(client);
    client.onConnect = () => this.connected(group, client);
    client.onReset = () => this.notConnected(group, client, 'ERR_CONNECTION_REFUSED');
    client.onTimeout = () => this.notConnected(group, client, 'ERR_CONNECTION_TIMED_OUT');
  }

  /**
   * StartBackupJobTimer: only for the first job of an empty group, and once. Whoever of the two connects first serves the request; the other
   * goes on connecting, and becomes a spare. Measured: its SYN leaves after 250 ms; when the server came back both were accepted.
   */
  startBackupTimer(port, group) {
    group.backup.cancelled = true;
    group.backup = this.after(BACKUP_MS, () => {
      if (group.jobs.length === 0) return;
      if (!group.hasRoom) return this.startBackupTimer(port, group);
      if (group.waiting.length > 0) this.startJob(port, group);
    });
  }

  endJob(group, client) {
    group.jobs.splice(group.jobs.indexOf(client), 1);
    group.unasked = Math.min(group.unasked, group.jobs.length);
    if (group.jobs.length === 0) group.backup.cancelled = true;
  }

  /** OnConnectJobComplete: the request that waits longest gets it, whichever it was opened for. */
  connected(group, client) {
    client.onData = (data) => this.received(group, client, data);
    client.onEnd = () => this.ended(group, client);
    client.onReset = client.onTimeout = () => this.broken(group, client, 'ERR_CONNECTION_RESET');
    this.soon(HAND_OVER_MS, () => {
      this.endJob(group, client);
      const exchange = group.waiting.shift();
      if (exchange) return this.give(group, exchange, client, false);
      this.spares++;
      group.idle.push(client);
    });
  }

  notConnected(group, client, why) {
    this.endJob(group, client);
    group.waiting.shift()?.end({ failed: why });
    this.next(client.port, group);
  }

  // ---- a request on a connection

  /** @param {boolean} wasIdle the connection was there before the request: used (REUSED_IDLE) or spare (UNUSED_IDLE) */
  give(group, exchange, client, wasIdle) {
    group.active.add(client);
    Object.assign(client, { exchange, wasIdle });
    client.used = true;
    client.send(exchange.bytes);
    if (client.unread) this.look(group, client);
    if (client.exchange && (client.ended || client.state === 'closed')) this.broken(group, client, 'ERR_SOCKET_NOT_CONNECTED');
  }

  received(group, client, data) {
    if (client.gone) return client.reset(); // nobody reads it any more
    client.unread += Buffer.from(data).toString('latin1');
    if (client.exchange) this.look(group, client);
  }

  /** What came before the request was sent counts as its answer. Measured: a 503 that was sent at once to a fresh connection. */
  look(group, client) {
    const { exchange } = client;
    const answer = answerOf(client.unread, client.ended);
    if (!answer) return;
    client.unread = '';
    // http_network_transaction.cc, DoReadHeadersComplete: HTTP_MISDIRECTED_REQUEST. Measured: GET and POST are repeated, on another
    // connection, once; the second 421 is the answer. Neither 408, 425 nor 503 is repeated.
    const repeated = answer.status === 421 && !exchange.repeated421;
    this.release(group, client, answer.keep && !client.ended && !repeated);
    if (!repeated) return exchange.end({ status: answer.status, text: answer.text });
    exchange.repeated421 = true;
    this.request(exchange);
  }

  /** The server's FIN. On an idle connection nothing happens: see flush(). */
  ended(group, client) {
    if (!client.exchange) return;
    this.look(group, client);
    if (client.exchange) this.broken(group, client, 'ERR_EMPTY_RESPONSE');
  }

  /**
   * http_network_transaction.cc, ShouldResendRequest: a request is repeated when not a byte of its answer has come and its connection was
   * there before it. Measured with FIN and RST, after the request: GET and POST are repeated on a connection that was used before.
   * On a fresh one that a request waited for neither is, whether FIN or RST comes at once or after the request: of 100 that were ended so
   * at once under pages of nine parts 90 parts were lost (ERR_EMPTY_RESPONSE, ERR_SOCKET_NOT_CONNECTED, ERR_CONNECTION_RESET).
   */
  broken(group, client, why) {
    const { exchange, wasIdle, unread } = client;
    if (!exchange) return this.drop(group, client);
    this.release(group, client, false);
    if (wasIdle && !unread) this.request(exchange);
    else exchange.end({ failed: unread ? 'ERR_CONTENT_LENGTH_MISMATCH' : why });
  }

  /** A reset idle one is not noticed before it is needed, and costs the server nothing. */
  drop(group, client) {
    group.idle = group.idle.filter((each) => each !== client);
  }

  /** ReleaseSocket: the connection is kept for the next request, or closed; then the next may be sent. */
  release(group, client, keep) {
    group.active.delete(client);
    client.exchange = undefined;
    if (keep) group.idle.push(client);
    else this.close(client);
    this.next(client.port, group);
  }

  /** OnAvailableSocketSlot. */
  next(port, group) {
    if (group.waiting.length === 0) return;
    if (group.idle.length > 0) this.giveIdle(group, group.waiting.shift());
    else if (group.hasRoom && group.waiting.length > group.jobs.length) this.startJob(port, group);
  }

  /** close(2): FIN; or, when something that came was not read, RST. */
  close(client) {
    client.gone = true;
    if (client.unread) client.reset();
    else client.end();
  }

  // ---- pages

  /** Opens a page: its text names its parts as src="…". */
  open(path, { port = 80 } = {}) {
    this.page = new Page(this, path, port);
    return this.page;
  }
}

/** A page, its parts, and what its script does. */
class Page {
  constructor(browser, path, port) {
    Object.assign(this, { browser, path, port });
    /** @type {Exchange[]} the page, then its parts */
    this.exchanges = [];
    /** @type {PageSocket[]} */
    this.sockets = [];
    this.loadedAt = undefined;
    this.onLoad = () => {};
    this.previous = browser.page;
    this.open = true;
    browser.preconnect(port);
    browser.soon(NAVIGATION_MS, () => this.ask(path, () => this.arrived()));
  }

  ask(path, onDone) {
    this.exchanges.push(this.browser.fetch(path, { port: this.port, onDone }));
  }

  /** The page before this one ends when this one has come. Measured: at a reload its WebSockets send a close frame (1001) and FIN then. */
  arrived() {
    const { previous } = this;
    if (previous) this.browser.soon(LEAVE_MS, () => previous.end());
    this.previous = undefined;
    const parts = [...this.exchanges[0].text.matchAll(/ src="([^"]*)"/g)].map(([, path]) => path);
    this.browser.soon(PARSE_MS, () => {
      for (const path of parts) this.ask(path, () => this.partCame());
      this.partCame();
    });
  }

  partCame() {
    if (this.loadedAt !== undefined || this.exchanges.some(({ done }) => !done)) return;
    this.loadedAt = this.browser.board.network.now;
    // Measured: when all is there.
    this.browser.fetch('/favicon.ico', { port: this.port });
    this.onLoad();
  }

  /** Parts that did not come, and why. */
  get lost() {
    return this.exchanges.filter(({ done, ok }) => done && !ok).map(({ path, status, failed }) => `${path} ${failed ?? status}`);
  }

  // ---- its script

  fetch(path, onDone) {
    return this.browser.fetch(path, { port: this.port, onDone: (exchange) => { if (this.open) onDone?.(exchange); } });
  }

  after(milliseconds, action) {
    this.browser.after(milliseconds, () => { if (this.open) action(); });
  }

  socket(port, path = '/ws') {
    const socket = new PageSocket(this.browser, port, path);
    this.sockets.push(socket);
    return socket;
  }

  end() {
    this.open = false;
    for (const socket of this.sockets) socket.leave();
  }
}

/**
 * A WebSocket of a page. Its connections are no part of the groups (websocket_transport_client_socket_pool.cc): always new ones, not counted
 * among the six, no second try after 250 ms. To one address and port one handshake at a time (websocket_endpoint_lock_manager.cc).
 * Measured: of three to one port each sends its SYN when the handshake before it is answered; two to two ports go at the same time.
 */
class PageSocket {
  constructor(browser, port, path) {
    Object.assign(this, { browser, port, path });
    /** @type {'waiting' | 'connecting' | 'open' | 'closed'} */
    this.state = 'waiting';
    this.openedAt = undefined;
    /** @type {string[]} */
    this.messages = [];
    this.onopen = () => {};
    this.onclose = () => {};
    this.onmessage = () => {};
    this.frames = 0;
    if (!browser.locks.has(port)) browser.locks.set(port, { busy: false, queue: [] });
    this.lock = browser.locks.get(port);
    this.lock.queue.push(this);
    this.takeLock();
  }

  takeLock() {
    const { lock } = this;
    if (lock.busy || lock.queue.length === 0) return;
    lock.busy = true;
    lock.queue.shift().begin();
  }

  giveLock() {
    if (this.unlocked) return;
    this.unlocked = true;
    this.browser.after(UNLOCK_MS, () => {
      this.lock.busy = false;
      this.takeLock();
    });
  }

  begin() {
    const { browser, port, path } = this;
    if (this.state === 'closed') return this.giveLock();
    this.state = 'connecting';
    const client = browser.connect(port);
    this.client = client;
    client.onConnect = () => client.send(handshake({ path, Host: `board:${port}`, Origin: 'http://board', 'User-Agent': USER_AGENT }));
    client.onData = () => this.look();
    // Nothing is repeated: measured with FIN at once, and with a 421.
    client.onEnd = client.onReset = client.onTimeout = () => this.end();
  }

  look() {
    const { client } = this;
    if (this.state === 'connecting') {
      if (!client.text.includes('\r\n\r\n')) return;
      this.giveLock();
      if (!client.text.startsWith('HTTP/1.1 101')) return this.end();
      this.state = 'open';
      this.openedAt = this.browser.board.network.now;
      this.onopen();
    }
    if (this.state === 'open') this.lookAtFrames();
  }

  lookAtFrames() {
    const { client } = this;
    const all = Buffer.from(client.bytes);
    const frames = framesOf(all.subarray(all.indexOf('\r\n\r\n') + 4));
    for (const { opcode, payload } of frames.slice(this.frames)) {
      this.frames++;
      if (opcode === TEXT) {
        this.messages.push(payload.toString());
        this.onmessage(payload.toString());
      }
      if (opcode === PING) client.send(frame(PONG, payload));
      if (opcode === CLOSE) {
        client.send(frame(CLOSE, payload.subarray(0, 2)));
        this.end();
      }
    }
  }

  send(text) {
    if (this.state === 'open') this.client.send(frame(TEXT, text));
  }

  /** The connection ends, from whichever side. */
  end() {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.giveLock();
    if (this.client.state === 'connecting') this.client.giveUp(); // its SYN is not sent again; what answers it gets a RST
    else this.client.end();
    this.onclose();
  }

  /** Its page goes away: no onclose. */
  leave() {
    if (this.state === 'closed') return;
    this.onclose = () => {};
    if (this.state === 'open') this.client.send(frame(CLOSE, GOING_AWAY));
    if (this.client) this.end();
    else this.state = 'closed';
  }
}
