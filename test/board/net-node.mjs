// The network on real sockets: node:net on 127.0.0.1, so that curl, browsers and other clients reach the board. The kernel does
// what `Endpoint` does in memory; PCBs, states and the rules are lwIP's, as there.
//
// One thing cannot be had on plain sockets: the kernel accepts a connection before the board does. A client whose SYN the board
// drops believes that it is connected, and puts a request on that connection instead of another one. Where this matters (browsers
// on stock firmware) a proxy has to stand between, which tells the client only when the board has accepted: see `connected()`. Where there can
// be none, as under `npm start`, the network does in the client's place what the client would do on the air: see `playClients()`.
//
// The first port that the program listens on is a real port that was asked for, or any; the ports behind it are those behind that one. So a
// page that was found at a port reaches the next ones as on the air: at the port that it was found at, and one, two or three more.
import { once } from 'node:events';
import net from 'node:net';
import { Exchange, requestIn } from './exchange.mjs';
import { LISTENERS, MSS, WINDOW } from './lwip.mjs';
import { seededRandom } from './random.mjs';

const HOST = '127.0.0.1';
/** A client repeats its SYN so many ms after the first. */
const SYN_RETRIES = [1000, 3000, 7000];
/** Linux goes on for some time. */
const PATIENT_RETRIES = [...SYN_RETRIES, 15000, 31000, 63000];
/** Bytes that may wait for the network phase; beyond it the kernel keeps them, and the client is slowed down. */
const INBOX_LIMIT = 65536;
/** What a lost packet costs: most losses are repaired by fast retransmission, some wait for a timeout. */
const LOSS_DELAY = 200;
/** How long the board's own SYN waits for an answer. */
const CONNECT_TIMEOUT = 21000;
/** So many ports of the board stand in a row here: as many as it can listen on. */
const ROW = LISTENERS;
/** How often free ports in a row are looked for. Each try begins at a port that the kernel chooses. */
const TRIES = 100;

/** A promise that can be settled from outside. Nobody has to wait for it. */
function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  parts.promise.catch(() => {});
  return parts;
}

/** RST. Where end() is under way it comes behind that: Node.js 20 would keep the handle, and spin on it when the process is to exit. */
function resetSocket(socket) {
  if (socket.writableEnded && !socket.writableFinished) socket.once('finish', () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

/** One connection: what lwIP's PCB is connected to. */
class NodeWire {
  /**
   * @param {NodeNetwork} network
   * @param {net.Socket} socket
   * @param {number} boardPort
   * @param {() => void} opened called when the board has taken the SYN
   */
  constructor(network, socket, boardPort, opened) {
    this.network = network;
    this.socket = socket;
    this.boardPort = boardPort;
    this.opened = opened;
    /** @type {import('./lwip.mjs').Pcb | null} */
    this.pcb = null;
    /** The PCB is ours. Later, whatever comes is answered with RST. */
    this.alive = false;
    this.dropped = false;
    /** What came and waits for the network phase, in order. */
    this.inbox = [];
    this.inboxBytes = 0;
    this.lastDueIn = 0;
    /** What goes out after the link's delay, in order. */
    this.outbox = [];
    /** What waits for a PCB, where that is a request. @type {ReturnType<typeof requestIn>} */
    this.request = undefined;
    this.beginConnecting();

    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.dataArrived(chunk));
    socket.on('end', () => this.endArrived());
    socket.on('error', () => this.errorArrived());
    socket.on('close', () => network.forget(this));
  }

  /** The client's SYN leaves. */
  beginConnecting() {
    this.exchange = new Exchange();
    /** When the answer became whole that its client has got on the connection. */
    this.keptSince = 0;
    /** When the SYN came, and how often it was repeated. */
    this.arrivedAt = this.network.now;
    this.synTries = 0;
    this.nextSyn = this.arrivedAt;
  }

  // ---- from the kernel

  put(event) {
    const { link } = this.network;
    const lost = link.loss > 0 && this.network.random() < link.loss;
    this.lastDueIn = Math.max(this.lastDueIn, this.network.now + link.delay + (lost ? LOSS_DELAY : 0));
    this.inbox.push({ due: this.lastDueIn, order: this.network.order++, ...event });
    this.network.wake();
  }

  dataArrived(chunk) {
    if (this.dropped) return resetSocket(this.socket);
    if (this.nextSyn === Infinity) this.beginConnecting();
    for (let i = 0; i < chunk.length; i += MSS) this.put({ data: Uint8Array.from(chunk.subarray(i, i + MSS)) });
    this.inboxBytes += chunk.length;
    if (this.inboxBytes > INBOX_LIMIT) this.socket.pause();
    if (!this.pcb) this.request = requestIn(this.inbox.map(({ data }) => data ?? []));
  }

  endArrived() {
    if (this.dropped) return this.socket.destroy();
    // A client that went away while its SYN was unanswered was never there.
    if (!this.pcb && this.inbox.length === 0) return this.socket.destroy();
    this.request = undefined; // on the air it would not be sent any more
    this.put({ fin: true });
  }

  errorArrived() {
    if (!this.pcb) return this.network.forget(this);
    this.put({ reset: true });
  }

  // ---- in the network phase

  /** Hands an event to lwIP. */
  process(event) {
    const { lwip } = this.network;
    if (event.data) this.processed(event.data.length);
    if (!this.alive || !this.pcb) return;
    if (event.data) this.exchange.sent(event.data);
    if (event.reset) lwip.resetReceived(this.pcb);
    else lwip.input(this.pcb, event);
  }

  processed(count) {
    this.inboxBytes -= count;
    if (this.inboxBytes < INBOX_LIMIT / 2 && this.socket.isPaused()) this.socket.resume();
  }

  // ---- for lwIP

  room() {
    return Infinity;
  }

  send(data, fin) {
    const bytes = Buffer.from(data);
    this.exchange.received(bytes);
    if (this.exchange.isKept) this.keptSince = this.network.now;
    this.later(() => {
      if (this.socket.destroyed) return;
      if (bytes.length > 0) this.socket.write(bytes, (error) => error || this.put({ acked: bytes.length }));
      if (fin) this.socket.end(() => this.put({ finAcked: true }));
    });
  }

  /** After the link's delay, in order. */
  later(action) {
    const { link } = this.network;
    const lost = link.loss > 0 && this.network.random() < link.loss;
    const due = this.network.now + link.delay + (lost ? LOSS_DELAY : 0);
    this.outbox.push({ due, action });
    if (this.outbox.length === 1) this.transmit();
  }

  transmit() {
    while (this.outbox.length > 0) {
      const wait = this.outbox[0].due - this.network.now;
      if (wait > 0) return this.network.timer(Math.ceil(wait), () => this.transmit());
      this.outbox[0].action();
      this.outbox.shift();
    }
  }

  blocked() {}

  flush() {}

  /** RST. After FIN the kernel sends it only when more comes from the peer; the socket is closed all the same. */
  reset() {
    this.detach();
    this.later(() => resetSocket(this.socket));
  }

  detach() {
    this.alive = false;
    this.dropped = true;
    this.pcb = null;
    this.inbox = [];
    this.processed(this.inboxBytes);
    // FIN of the peer was taken, or will be; until then the socket only waits to be ended.
    if (this.socket.readableEnded && this.socket.writableEnded) this.network.forget(this);
  }

  // ---- in the place of its client, see playClients()

  /** It waits for a PCB, and its client has sent something. */
  get wants() {
    return !this.pcb && !this.dropped && this.inbox.length > 0;
  }

  /** On the air that request would come on this connection, now or when it has been answered. */
  staysFor({ boardPort, request }) {
    const { pcb, exchange } = this;
    return pcb?.state === 'ESTABLISHED' && !pcb.rxClosed && this.boardPort === boardPort && exchange.staysKept && exchange.agent === request.agent;
  }

  /** Its client has the whole answer to its last request by now, and nothing is under way: the next one may come. */
  get isFree() {
    const { pcb, exchange, network } = this;
    const isQuiet = this.inbox.length === 0 && this.outbox.length === 0 && pcb.unacked === 0 && pcb.unsent.length === 0;
    return exchange.isKept && isQuiet && network.now >= this.keptSince + 2 * network.link.delay;
  }

  /** Another wire's connection is this one's from here on. That one's client connects again when it sends something. */
  takeOver(other) {
    const { pcb, exchange } = other;
    Object.assign(other, { pcb: null, alive: false, nextSyn: Infinity });
    this.exchange = exchange;
    this.network.adopt(this, pcb);
    this.opened();
    this.process(this.inbox.shift()); // at once: the board might end the connection before the next phase
  }
}

export class NodeNetwork {
  /**
   * @param {object} parts
   * @param {{now: number}} parts.clock
   * @param {import('./lwip.mjs').Lwip} parts.lwip
   * @param {number} parts.port the real port for the first listener, 0 for any
   * @param {number} parts.seed
   */
  constructor({ clock, lwip, port, seed }) {
    this.clock = clock;
    this.lwip = lwip;
    this.port = port;
    this.random = seededRandom(seed);
    this.link = { delay: 0, loss: 0 };
    /** After the last one the client gives up: it is reset. */
    this.synRetries = SYN_RETRIES;
    this.playsClients = false;
    /** @type {Set<NodeWire>} */
    this.wires = new Set();
    /** The first port that the program listened on. @type {number | undefined} */
    this.first = undefined;
    /** The real port for that, which may be opened before. */
    this.firstPort = deferred();
    this.reserved = false;
    /** @type {number | undefined} */
    this.realFirst = undefined;
    /** @type {Map<number, Promise<number>>} the real ports, by the board's */
    this.ports = new Map();
    /** @type {Map<number, number>} the other way round */
    this.boardPorts = new Map();
    /** @type {Set<net.Server>} */
    this.servers = new Set();
    this.timeouts = new Set();
    this.order = 0;
    this.running = false;
    this.busy = false;
    this.sleeping = undefined;
    this.pass = () => {};
    lwip.onListen = (listener) => this.open(listener.localPort);
  }

  get now() {
    return this.clock.now;
  }

  /** The real port of the first listener, once the program listens, and all ports that it listens on by then can be reached. */
  get listening() {
    return this.firstPort.promise.then((port) => Promise.all(this.ports.values()).then(() => port));
  }

  /** @returns {Promise<number> | undefined} the real port of a port that the program listens on */
  realPort(boardPort) {
    return this.ports.get(boardPort);
  }

  /** Opens the real port of the first listener, maybe before there is one: so long its clients get RST. @returns the port */
  async reserve() {
    if (!this.reserved) this.firstPort.resolve(this.port === 0 ? this.openRow() : this.openServer(this.port, () => this.first));
    this.reserved = true;
    this.realFirst = await this.firstPort.promise;
    return this.realFirst;
  }

  /** The real port that a port of the board has, or will have, once the first one is known; undefined for those that get any. */
  expected(boardPort) {
    const place = boardPort - (this.first ?? 80);
    return place >= 0 && place < ROW ? this.realFirst + place : undefined;
  }

  /** The real server of a port stays when the program stops listening: then its clients get RST. */
  open(boardPort) {
    if (this.ports.has(boardPort)) return;
    this.first ??= boardPort;
    const port = this.openFor(boardPort);
    port.catch(() => {}); // said to those who ask for the port
    this.ports.set(boardPort, port);
  }

  async openFor(boardPort) {
    const first = await this.reserve();
    const expected = this.expected(boardPort);
    const isOpen = expected && (this.port === 0 || expected === first);
    const port = isOpen ? expected : await this.openServer(expected ?? 0, () => boardPort);
    this.boardPorts.set(port, boardPort);
    return port;
  }

  /** Opens free ports in a row. They stay open, as the ports of this machine come and go. @returns the first one */
  async openRow() {
    const behind = Array.from({ length: ROW - 1 }, (_, i) => i + 1);
    for (let tries = 0; tries < TRIES; tries++) {
      const first = await this.openServer(0, () => this.first);
      const more = await Promise.allSettled(behind.map((place) => this.openServer(first + place, () => this.first + place)));
      if (more.every(({ status }) => status === 'fulfilled')) return first;
      this.closeServers();
    }
    throw new Error(`${HOST} has no ${ROW} free ports in a row`);
  }

  /**
   * @param {number} wanted a real port, 0 for any
   * @param {() => number | undefined} boardPort where its clients go; while it is not known they get RST
   * @returns {Promise<number>} the real port
   */
  async openServer(wanted, boardPort) {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => this.connected(socket, boardPort()));
    this.servers.add(server);
    try {
      server.listen(wanted, HOST);
      await once(server, 'listening');
    } catch (error) {
      this.servers.delete(server);
      throw this.explain(error, wanted, boardPort());
    }
    return /** @type {net.AddressInfo} */ (server.address()).port;
  }

  explain(error, port, boardPort) {
    const why = {
      EADDRINUSE: 'is taken: another program listens there',
      ERR_SOCKET_BAD_PORT: 'is none: the last one is 65535',
    }[error.code] ?? `cannot be opened: ${error.message}`;
    const standsFor = boardPort === undefined ? "the board's first port" : `the board's port ${boardPort}`;
    const clear = new Error(`port ${port} on ${HOST}, which stands for ${standsFor}, ${why}`, { cause: error });
    return Object.assign(clear, { code: error.code, port, boardPort });
  }

  /** @returns promises for when their connections have ended, too */
  closeServers() {
    const closed = [...this.servers].map((server) => new Promise((resolve) => server.close(resolve)));
    this.servers.clear();
    return closed;
  }

  /**
   * A client wants to connect. A proxy calls this with its client's socket (nothing of the proxy's protocol may be left in it).
   * @param {net.Socket} socket made with `allowHalfOpen`
   * @param {number} boardPort
   * @param {() => void} [opened] called when the board has taken the SYN: the client may be told
   */
  connected(socket, boardPort, opened = () => {}) {
    this.wires.add(new NodeWire(this, socket, boardPort, opened));
    this.wake();
  }

  /** The board connects to somebody: only this machine is reachable. */
  connectOut(pcb, address, port) {
    const { serial } = pcb;
    const waiting = () => pcb.serial === serial && pcb.state === 'SYN_SENT';
    this.timer(CONNECT_TIMEOUT, () => waiting() && this.lwip.freePcb(pcb));
    if (!address.startsWith('127.')) return;
    const socket = net.connect({ host: HOST, port, allowHalfOpen: true });
    const wire = new NodeWire(this, socket, 0, () => {});
    this.adopt(wire, pcb);
    socket.once('connect', () => wire.put({ established: true }));
    this.wires.add(wire);
  }

  adopt(wire, pcb) {
    wire.pcb = pcb;
    wire.alive = true;
    pcb.wire = wire;
  }

  forget(wire) {
    if (wire.pcb) return;
    this.wires.delete(wire);
  }

  /**
   * From now on the network does in the place of clients what they would do on the air, where they know that they are not connected yet:
   * - A request that waits goes down the connection that the board keeps for the same client, when that is free.
   * - If there is none, it is let in as soon as a PCB is free, as if its SYN came just then.
   * - A client that has sent nothing is no hurry: its SYN is repeated as on the air.
   * One thing is left out. On the air the SYN of a connection whose request went down another one is repeated all the same; when the board
   * takes it, nothing comes on it, and after half a second the board ends it.
   */
  playClients() {
    this.playsClients = true;
    this.synRetries = PATIENT_RETRIES;
  }

  // ---- the network phase

  phase() {
    this.busy = false;
    const now = this.now;
    for (const { wire, event } of this.due(now)) {
      this.busy = true;
      wire.process(event);
    }
    // After them: a FIN that came before a SYN has made room for it.
    if (this.playsClients) this.letIn(now);
    for (const wire of this.wires) if (!wire.pcb && !wire.dropped && wire.nextSyn + this.link.delay <= now) this.syn(wire);
    this.lwip.timers();
  }

  /** What has come by now, in order; of each connection at most a window full, as more cannot be under way. */
  due(now) {
    const events = [];
    for (const wire of this.wires) {
      if (!wire.alive) continue;
      let bytes = 0;
      let count = 0;
      while (count < wire.inbox.length && wire.inbox[count].due <= now && bytes < WINDOW) bytes += wire.inbox[count++].data?.length ?? 0;
      for (const event of wire.inbox.splice(0, count)) events.push({ wire, event });
    }
    return events.sort((a, b) => a.event.due - b.event.due || a.event.order - b.event.order);
  }

  /** Lets requests in that wait, those that came first before others. */
  letIn(now) {
    const wires = [...this.wires];
    const waiting = wires.filter((wire) => wire.wants && wire.inbox[0].due <= now).sort((a, b) => a.inbox[0].order - b.inbox[0].order);
    for (const wire of waiting) {
      const kept = wire.request?.isWhole && wire.lastDueIn <= now ? wires.filter((other) => other.staysFor(wire)) : [];
      const free = kept.find(({ isFree }) => isFree);
      if (free) wire.takeOver(free);
      else if (kept.length === 0 && this.lwip.free.length > 0) this.syn(wire);
      else continue;
      this.busy = true;
    }
  }

  /** The SYN of a new connection, or its repetition. */
  syn(wire) {
    const listener = this.lwip.listenerOn(wire.boardPort);
    if (!listener) return this.refuse(wire);
    const pcb = this.lwip.syn(listener, wire);
    if (!pcb) return this.synDropped(wire);
    this.adopt(wire, pcb);
    wire.opened();
    // The client's answer to our SYN comes before everything that it has sent by now.
    const due = this.now + this.link.delay;
    for (const event of wire.inbox) event.due = Math.max(event.due, due);
    wire.lastDueIn = Math.max(wire.lastDueIn, due);
    wire.inbox.unshift({ due, order: -1, established: true });
    this.busy = true;
  }

  synDropped(wire) {
    const wait = this.synRetries[wire.synTries++];
    if (wait === undefined) this.refuse(wire);
    else wire.nextSyn = wire.arrivedAt + wait;
  }

  refuse(wire) {
    wire.dropped = true;
    resetSocket(wire.socket);
  }

  // ---- the endless loop

  /** @param {() => void} pass one pass of the board's loop */
  start(pass) {
    if (this.running) return;
    this.running = true;
    this.pass = pass;
    this.turn();
  }

  turn() {
    this.sleeping = undefined;
    if (!this.running) return;
    this.pass();
    if (this.busy) setImmediate(() => this.turn());
    else this.sleeping = setTimeout(() => this.turn(), 1);
  }

  /** Something came: no need to sleep on. */
  wake() {
    this.busy = true;
    if (this.sleeping === undefined) return;
    clearTimeout(this.sleeping);
    this.sleeping = undefined;
    setImmediate(() => this.turn());
  }

  timer(milliseconds, action) {
    const timeout = setTimeout(() => {
      this.timeouts.delete(timeout);
      action();
    }, milliseconds);
    this.timeouts.add(timeout);
  }

  async stop() {
    this.running = false;
    clearTimeout(this.sleeping);
    if (this.reserved) await Promise.allSettled([this.firstPort.promise, ...this.ports.values()]); // nothing is opened after that
    for (const timeout of this.timeouts) clearTimeout(timeout);
    this.timeouts.clear();
    for (const wire of this.wires) wire.socket.destroy();
    this.wires.clear();
    await Promise.all(this.closeServers());
  }
}
