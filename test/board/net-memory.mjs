// The network in memory: packets on a virtual clock, between the board and scripted clients. Nothing is real and nothing is
// random but for a seeded generator, so every run is like every other.
import { Endpoint } from './endpoint.mjs';
import { seededRandom } from './random.mjs';

const BOARD_TIMERS = { rto: 1000, retries: 12, synRetries: 6 };
/** SYNs go out at 0, 1, 3 and 7 s; at 15 s the client gives up. */
const CLIENT_TIMERS = { rto: 200, retries: 15, synRetries: 3 };

/** An answer never arrives in the phase in which its question was sent: otherwise a dialogue without delay would not end. */
const SHORTEST_DELAY = 0.001;
const NOTHING = new Uint8Array(0);

/** Text to bytes, one byte a character. */
export function latin1(text) {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export class MemoryNetwork {
  /**
   * @param {object} parts
   * @param {{now: number}} parts.clock
   * @param {import('./lwip.mjs').Lwip} parts.lwip
   * @param {number} parts.seed
   * @param {boolean} parts.mergedReads
   */
  constructor({ clock, lwip, seed, mergedReads }) {
    this.clock = clock;
    this.lwip = lwip;
    this.random = seededRandom(seed);
    this.mergedReads = mergedReads;
    /** @type {Client[]} every client there ever was */
    this.clients = [];
    /** Look at, drop or delay packets: return 'deliver', 'drop' or extra milliseconds; undefined leaves it to the client's `loss`. */
    /** @type {(packet: import('./endpoint.mjs').Packet) => 'deliver' | 'drop' | number | undefined | void} */
    this.onPacket = (packet) => undefined;
    /** @type {((client: Client, address: string, port: number) => void) | undefined} answers connections that the board opens */
    this.onOutgoing = undefined;
    /** @type {{time: number, order: number, onBoard: boolean, action: () => void, cancelled: boolean}[]} what will happen, by time */
    this.agenda = [];
    this.order = 0;
    /** The moment that is being worked on; clients react when a packet arrives, not when the board gets round to it. */
    this.moment = undefined;
    this.link = { delay: 1, loss: 0 };
  }

  get now() {
    return this.moment ?? this.clock.now;
  }

  /** Puts an action on the agenda. The board's actions happen when the board runs, so they see the board's time. */
  at(time, onBoard, action) {
    const entry = { time: Math.round(time * 1000) / 1000, order: this.order++, onBoard, action, cancelled: false };
    let index = this.agenda.length;
    while (index > 0 && this.agenda[index - 1].time > entry.time) index--;
    this.agenda.splice(index, 0, entry);
    return entry;
  }

  /** The network phase: everything that is due, in the order of its time. */
  phase() {
    const { now } = this.clock;
    while (this.agenda.length > 0 && this.agenda[0].time <= now) {
      const { time, onBoard, action, cancelled } = this.agenda.shift();
      if (cancelled) continue;
      this.moment = onBoard ? now : time;
      try {
        action();
      } finally {
        this.moment = undefined;
      }
    }
    this.lwip.timers();
  }

  /** Sends a packet on its way, unless it gets lost. */
  transmit(from, client, fields) {
    if (client.vanished) return;
    const packet = { from, client, ...fields, length: fields.data.length, at: this.now };
    const fate = this.onPacket(packet);
    if (fate === 'drop' || (fate === undefined && client.loss > 0 && this.random() < client.loss)) return;
    const delay = Math.max(SHORTEST_DELAY, client.delay) + (typeof fate === 'number' ? fate : 0);
    const toBoard = from === 'client';
    this.at(this.now + delay, toBoard, () => (toBoard ? this.arriveAtBoard(packet) : client.arrive(packet)));
  }

  arriveAtBoard(packet) {
    const { client, flags } = packet;
    if (client.boardEnd?.alive) return client.boardEnd.receive(packet);
    if (flags.rst) return;
    const listener = flags.syn && !flags.ack ? this.lwip.listenerOn(client.port) : undefined;
    if (listener) this.synArrived(listener, packet);
    else this.refuse(packet);
  }

  /** No such connection, no such port: RST. */
  refuse({ client, flags, seq, ack, length }) {
    const next = seq + length + (flags.syn || flags.fin ? 1 : 0);
    this.transmit('board', client, { flags: { syn: false, ack: true, fin: false, rst: true }, seq: flags.ack ? ack : 0, ack: next, window: 0, data: NOTHING });
  }

  synArrived(listener, packet) {
    const { client } = packet;
    const end = new Endpoint(this.boardHost(client), BOARD_TIMERS);
    const pcb = this.lwip.syn(listener, end);
    if (!pcb) return;
    Object.assign(client, { boardEnd: end, pcb });
    end.acceptSyn(packet);
  }

  boardHost(client) {
    return {
      transmit: (fields) => this.transmit('board', client, fields),
      now: () => this.now,
      after: (ms, action) => this.at(this.now + ms, true, action),
      window: () => client.pcb.receiveWindow,
      segment: (event) => this.lwip.input(client.pcb, event),
      merge: this.mergedReads,
      resetReceived: () => this.lwip.resetReceived(client.pcb),
      gaveUp: () => this.lwip.freePcb(client.pcb),
    };
  }

  /** The board connects to somebody: to the client that `onOutgoing` is given to script, or to nobody, who does not answer. */
  connectOut(pcb, address, port) {
    const client = new Client(this, { ...this.link, port });
    if (this.onOutgoing) this.onOutgoing(client, address, port);
    else client.vanished = true;
    this.clients.push(client);
    client.boardEnd = new Endpoint(this.boardHost(client), BOARD_TIMERS);
    client.pcb = pcb;
    pcb.wire = client.boardEnd;
    client.boardEnd.open();
  }

  /** @param {ClientOptions} options */
  connect(options) {
    const client = new Client(this, { ...this.link, ...options });
    this.clients.push(client);
    client.start();
    return client;
  }
}

/**
 * @typedef {object} ClientOptions
 * @property {number} [port] of the board
 * @property {number} [delay] one way, ms
 * @property {number} [loss] share of packets that get lost, each way
 * @property {boolean} [autoClose] answers the server's FIN with its own at once, as browsers and curl do
 * @property {number} [segment] most bytes in a segment
 * @property {number} [window] bytes it takes in while paused
 * @property {number} [synRetries] SYNs go out at 0, 1, 3, 7, 15, ... s; behind the last one it waits as long again
 */

/** A scripted client. */
export class Client {
  /**
   * @param {MemoryNetwork} network
   * @param {ClientOptions} options
   */
  constructor(network, { port = 80, delay = 1, loss = 0, autoClose = true, segment = 1460, window = 65535, synRetries = CLIENT_TIMERS.synRetries }) {
    this.network = network;
    this.port = port;
    /** One way, ms. */
    this.delay = delay;
    this.loss = loss;
    this.autoClose = autoClose;
    this.segment = segment;
    this.receiveWindow = window;

    /** @type {'connecting' | 'open' | 'closed'} */
    this.state = 'connecting';
    /** The server's FIN was received. */
    this.ended = false;
    this.wasReset = false;
    /** No answer to four SYNs, or none to many retransmissions. */
    this.timedOut = false;
    this.vanished = false;
    /** @type {number | undefined} */
    this.connectedAt = undefined;
    /** @type {number | undefined} */
    this.endedAt = undefined;
    /** @type {number | undefined} */
    this.closedAt = undefined;
    this.onConnect = () => {};
    this.onData = (bytes) => {};
    this.onEnd = () => {};
    this.onReset = () => {};
    this.onTimeout = () => {};

    /** @type {Uint8Array[]} */
    this.received = [];
    this.paused = false;
    /** @type {Uint8Array[]} received while paused */
    this.waiting = [];
    /** The server's FIN came, behind what is waiting. */
    this.finWaits = false;
    /** @type {{data: Uint8Array, fin: boolean}[]} segments to send */
    this.queue = [];
    /** end() was called. */
    this.finished = false;
    this.finAcked = false;
    /** This client's end. */
    this.tcp = new Endpoint(this.host(), { ...CLIENT_TIMERS, synRetries });
    /** @type {Endpoint | null} the board's end, once its SYN was taken */
    this.boardEnd = null;
    /** @type {import('./lwip.mjs').Pcb | null} its PCB */
    this.pcb = null;
  }

  host() {
    const { network } = this;
    return {
      transmit: (fields) => network.transmit('client', this, fields),
      now: () => network.now,
      after: (ms, action) => network.at(network.now + ms, false, action),
      window: () => Math.max(0, Math.min(65535, this.receiveWindow - this.waitingBytes())),
      segment: (event) => this.segmentReceived(event),
      resetReceived: () => this.resetReceived(),
      gaveUp: () => this.giveUp(),
    };
  }

  start() {
    this.tcp.open();
  }

  // ---- what a test does

  /** Queues bytes (a string is Latin-1); every call makes segments of its own. */
  send(data) {
    const bytes = typeof data === 'string' ? latin1(data) : Uint8Array.from(data);
    for (let i = 0; i < bytes.length; i += this.segment) this.queue.push({ data: bytes.slice(i, i + this.segment), fin: false });
    this.pump();
    return this;
  }

  /** FIN behind what is queued. The client still receives. */
  end() {
    if (this.finished) return this;
    this.finished = true;
    this.queue.push({ data: NOTHING, fin: true });
    this.pump();
    return this;
  }

  /** RST at once. */
  reset() {
    if (this.state === 'closed') return this;
    this.tcp.reset();
    this.close();
    return this;
  }

  /** Power off: nothing more comes from it, nothing reaches it. */
  vanish() {
    this.vanished = true;
    this.tcp.detach();
    this.close();
    return this;
  }

  /** Takes nothing more; its window fills up. */
  pause() {
    this.paused = true;
    return this;
  }

  resume() {
    this.paused = false;
    const waiting = this.waiting.splice(0);
    for (const data of waiting) this.take(data);
    if (waiting.length > 0 && this.tcp.alive && !this.vanished) this.tcp.acknowledge();
    if (this.finWaits) this.finTaken();
    return this;
  }

  /** Everything received, as bytes. */
  get bytes() {
    const all = new Uint8Array(this.received.reduce((sum, chunk) => sum + chunk.length, 0));
    let offset = 0;
    for (const chunk of this.received) {
      all.set(chunk, offset);
      offset += chunk.length;
    }
    return all;
  }

  /** Everything received, as a Latin-1 string. */
  get text() {
    return this.received.map((chunk) => Buffer.from(chunk).toString('latin1')).join('');
  }

  // ---- what the network does

  arrive(packet) {
    if (this.vanished) return;
    // The board opens a connection to us.
    if (packet.flags.syn && !packet.flags.ack && this.tcp.receiveNext === 0) return this.tcp.acceptSyn(packet);
    if (this.tcp.alive) return this.tcp.receive(packet);
    // What comes for a connection that is no more is answered with RST.
    if (packet.flags.rst) return;
    this.network.transmit('client', this, { flags: { syn: false, ack: false, fin: false, rst: true }, seq: packet.ack, ack: 0, window: 0, data: NOTHING });
  }

  segmentReceived({ established, finAcked, data, fin }) {
    if (established) this.connected();
    if (finAcked) this.finAcked = true;
    if (data) this.dataReceived(data);
    if (fin) this.finReceived();
    this.pump();
    if (this.ended && this.finAcked) this.close();
  }

  connected() {
    this.state = 'open';
    this.connectedAt = this.network.now;
    this.onConnect();
  }

  pump() {
    const { tcp } = this;
    if (this.state !== 'open' || !tcp.alive) return;
    while (this.queue.length > 0) {
      const { data, fin } = this.queue[0];
      if (data.length > tcp.room()) return tcp.blocked();
      this.queue.shift();
      const next = this.queue[0];
      const carriesFin = fin || (next?.fin ?? false);
      if (carriesFin && !fin) this.queue.shift();
      tcp.send(data, carriesFin);
    }
  }

  dataReceived(data) {
    if (this.paused) this.waiting.push(data);
    else this.take(data);
  }

  waitingBytes() {
    return this.waiting.reduce((sum, data) => sum + data.length, 0);
  }

  take(data) {
    this.received.push(data);
    this.onData(data);
  }

  /** A program that does not read does not see the end either. */
  finReceived() {
    if (this.waiting.length > 0) this.finWaits = true;
    else this.finTaken();
  }

  finTaken() {
    this.finWaits = false;
    this.ended = true;
    this.endedAt = this.network.now;
    this.onEnd();
    if (this.autoClose) this.end();
    if (this.finAcked) this.close();
  }

  resetReceived() {
    this.wasReset = true;
    this.tcp.detach();
    this.close();
    this.onReset();
  }

  giveUp() {
    this.timedOut = true;
    this.tcp.detach();
    this.close();
    this.onTimeout();
  }

  close() {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.closedAt = this.network.now;
  }
}
