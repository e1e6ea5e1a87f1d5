// TCP as the board's lwIP does it, above the packets: the pool of protocol control blocks (PCBs), their states, the send buffer.
// A PCB is a *place*: after it was freed, the same object serves another connection. Whoever kept a reference to it (the driver
// does, after a reset) then works on a stranger's connection. Comparing `serial` tells.
//
// How bytes travel is the wire's business: `Endpoint` in memory, `NodeWire` on real sockets. A wire has
//   room()           bytes that may be sent now, on top of what is under way
//   send(data, fin)  sends one segment
//   blocked()        there is a segment, but no room for it
//   flush()          sends the acknowledgement that is due, unless a segment carried it
//   reset()          sends RST
//   detach()         the PCB is gone: nothing more is sent or reported

export const MSS = 1460;
export const SEND_BUFFER = 8 * MSS;
export const WINDOW = 8 * MSS;

/** PCBs for listening: a pool of their own. */
export const LISTENERS = 8;

/**
 * What a segment to be sent takes of the C heap, until all of it is acknowledged. lwipopts.h of Kaluma: LWIP_NETIF_TX_SINGLE_PBUF, so
 * tcp_pbuf_prealloc() takes a pbuf of a whole MSS, however little is in it; PBUF_RAM, and MEM_LIBC_MALLOC (as the driver polls), so from malloc:
 * struct pbuf 16, headers 54 rounded up to 56, 1460, and malloc's own 8. The tcp_seg are in a pool of their own (MEMP_NUM_TCP_SEG 32).
 */
const SEGMENT_COST = 16 + 56 + MSS + 8;
/** One without data, a FIN: tcp_enqueue_flags(). */
const FIN_COST = 16 + 56 + 8;

/** lwIP's names for what its functions return. */
export const ERR = { OK: 0, MEM: -1, USE: -8, CONN: -11, ABRT: -13, ARG: -16 };

const SECOND = 1000;
const TIME_WAIT_MS = 120 * SECOND;
const LAST_ACK_MS = 120 * SECOND;
const FIN_WAIT_2_MS = 20 * SECOND;
const SYN_RCVD_MS = 20 * SECOND;

/** States in which tcp_write takes data. */
const WRITABLE = ['ESTABLISHED', 'CLOSE_WAIT', 'SYN_SENT', 'SYN_RCVD'];

/**
 * @typedef {object} Segment
 * @property {Uint8Array} data
 * @property {number} length of data in use
 * @property {boolean} fin
 */

/** One protocol control block. */
export class Pcb {
  constructor(index) {
    this.index = index;
    /** Which user of this place it is; grows with every allocation. */
    this.serial = 0;
    this.allocated = false;
    this.clear();
  }

  clear() {
    /** CLOSED (also: bound), SYN_SENT, SYN_RCVD, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, CLOSING, TIME_WAIT, CLOSE_WAIT, LAST_ACK */
    this.state = 'CLOSED';
    this.localPort = 0;
    /** What the driver gets in its callbacks: its socket. */
    this.arg = null;
    /** @type {((pcb: Pcb, data: Uint8Array | null) => void) | null} called with null for FIN */
    this.recv = null;
    /** @type {((pcb: Pcb) => void) | null} */
    this.connected = null;
    /** @type {Listener | null} */
    this.listener = null;
    /** The receive side was shut: data that still comes resets the connection. */
    this.rxClosed = false;
    this.finQueued = false;
    this.receiveWindow = WINDOW;
    /** Free bytes of the send buffer. */
    this.sendBuffer = SEND_BUFFER;
    /** @type {Segment[]} */
    this.unsent = [];
    /** Bytes (and FIN) under way. */
    this.unacked = 0;
    /** @type {number[]} bytes of each segment under way that are not acknowledged yet; 0 for a FIN alone */
    this.flight = [];
    /** When this state ends by itself, ms. */
    this.expires = Infinity;
    this.lastActivity = 0;
    this.closedAt = 0;
    /** @type {any} */
    this.wire = null;
  }
}

/** What a PCB's send buffer takes of the C heap. */
function outputOf({ unsent, flight }) {
  let bytes = 0;
  for (const { length } of unsent) bytes += length ? SEGMENT_COST : FIN_COST;
  for (const length of flight) bytes += length ? SEGMENT_COST : FIN_COST;
  return bytes;
}

/** A listening PCB: from the other pool, so it does not count among those of connections. */
export class Listener {
  constructor(port) {
    this.state = 'LISTEN';
    this.localPort = port;
    this.arg = null;
    /** @type {((arg: any, pcb: Pcb) => number) | null} */
    this.accept = null;
  }
}

export class Lwip {
  /**
   * @param {object} options
   * @param {number} options.pcbs
   * @param {() => number} options.now ms
   */
  constructor({ pcbs, now }) {
    this.now = now;
    this.pcbs = Array.from({ length: pcbs }, (_, index) => new Pcb(index));
    /** Free PCBs; the one freed last is taken first. */
    this.free = [...this.pcbs];
    /** @type {Set<Listener>} */
    this.listeners = new Set();
    /** @type {Pcb | null} the PCB whose segment is being processed: its output waits until that is done */
    this.inputPcb = null;
    this.inputClosed = false;
    this.nextPort = 49152;
    /** Told about every new listener: the node network has to open a real port. */
    this.onListen = (listener) => {};
    this.onUnlisten = (listener) => {};
    /** Told when more is to be sent: bytes of the C heap that all send buffers take. */
    this.onOutput = (bytes) => {};
  }

  // ---- PCBs

  /** tcp_new: a fresh PCB, if need be one of a connection that is over anyway; null when there is none. */
  newPcb() {
    for (const state of ['TIME_WAIT', 'LAST_ACK', 'CLOSING']) {
      if (this.free.length > 0) break;
      this.killOldest(state);
    }
    const pcb = this.free.pop();
    if (!pcb) return null;
    pcb.clear();
    pcb.serial++;
    pcb.allocated = true;
    pcb.lastActivity = this.now();
    return pcb;
  }

  killOldest(state) {
    const candidates = this.pcbs.filter((pcb) => pcb.allocated && pcb.state === state);
    candidates.sort((a, b) => a.lastActivity - b.lastActivity);
    if (candidates.length > 0) this.freePcb(candidates[0]);
  }

  /** Gives the place back. What was a connection is over without a word to anybody. */
  freePcb(pcb) {
    if (!pcb.allocated) throw new Error(`lwIP's list of free PCBs is corrupt: PCB ${pcb.index} was freed twice`);
    const { wire } = pcb;
    pcb.clear();
    pcb.allocated = false;
    this.free.push(pcb);
    wire?.detach();
  }

  /** tcp_abort: RST to the peer. */
  abort(pcb) {
    pcb.wire?.reset();
    this.freePcb(pcb);
  }

  // ---- what the driver calls

  /** @returns {number} ERR.OK, or ERR.USE while any PCB (TIME_WAIT too) or listener has that port */
  bind(pcb, port) {
    if (port !== 0 && this.portInUse(port)) return ERR.USE;
    pcb.localPort = port || this.nextPort++;
    return ERR.OK;
  }

  portInUse(port) {
    return this.pcbs.some((pcb) => pcb.allocated && pcb.localPort === port) ||
      [...this.listeners].some((listener) => listener.localPort === port);
  }

  /** Turns a bound PCB into a listener; the PCB is free again. Without room for another listener it stays as it is. */
  listen(pcb) {
    if (!pcb || pcb.state !== 'CLOSED' || this.listeners.size === LISTENERS) return null;
    const listener = new Listener(pcb.localPort);
    this.freePcb(pcb);
    this.listeners.add(listener);
    this.onListen(listener);
    return listener;
  }

  /** tcp_close: nothing more is wanted from the peer; what is queued is sent, then FIN. */
  close(pcb) {
    if (pcb instanceof Listener) return this.closeListener(pcb);
    this.seal(pcb);
    const { state } = pcb;
    const unread = pcb.receiveWindow !== WINDOW;
    if (unread && (state === 'ESTABLISHED' || state === 'CLOSE_WAIT')) return this.resetUnread(pcb);
    if (state === 'CLOSED' || state === 'SYN_SENT') this.freePcb(pcb);
    else this.sendFin(pcb);
    return ERR.OK;
  }

  closeListener(listener) {
    this.listeners.delete(listener);
    for (const pcb of this.pcbs) if (pcb.listener === listener) pcb.listener = null;
    this.onUnlisten(listener);
    return ERR.OK;
  }

  /** Closing before everything that came was taken: the peer has to learn that, so it is a RST. */
  resetUnread(pcb) {
    pcb.wire.reset();
    if (this.inputPcb === pcb) this.inputClosed = true;
    else this.freePcb(pcb);
    return ERR.OK;
  }

  /** @returns {number} ERR.CONN when the sending side cannot be shut in this state */
  shutdown(pcb, rx, tx) {
    if (pcb instanceof Listener) return ERR.CONN;
    if (rx && tx) return this.close(pcb);
    if (rx) this.seal(pcb);
    if (!tx) return ERR.OK;
    if (!['SYN_RCVD', 'ESTABLISHED', 'CLOSE_WAIT'].includes(pcb.state)) return ERR.CONN;
    this.sendFin(pcb);
    return ERR.OK;
  }

  /** Shuts the receive side. If only the peer's FIN was missing, it is not waited for without end any more. */
  seal(pcb) {
    pcb.rxClosed = true;
    if (pcb.state === 'FIN_WAIT_2' && pcb.expires === Infinity) pcb.expires = this.now() + FIN_WAIT_2_MS;
  }

  /** tcp_connect, as far as the PCB goes. */
  connect(pcb) {
    pcb.localPort ||= this.nextPort++;
    this.enter(pcb, 'SYN_SENT');
  }

  sendFin(pcb) {
    const next = { SYN_RCVD: 'FIN_WAIT_1', ESTABLISHED: 'FIN_WAIT_1', CLOSE_WAIT: 'LAST_ACK' }[pcb.state];
    pcb.closedAt = this.now();
    if (!next) return;
    const last = pcb.unsent.at(-1);
    if (last) last.fin = true;
    else pcb.unsent.push({ data: new Uint8Array(0), length: 0, fin: true });
    pcb.finQueued = true;
    this.enter(pcb, next);
    this.output(pcb);
  }

  /** tcp_write: all of it goes into the send buffer, or nothing. */
  write(pcb, bytes) {
    if (!pcb) return ERR.ARG;
    if (!WRITABLE.includes(pcb.state)) return ERR.CONN;
    if (bytes.length > pcb.sendBuffer) return ERR.MEM;
    pcb.sendBuffer -= bytes.length;
    let offset = 0;
    while (offset < bytes.length) offset += this.appendTo(pcb, bytes.subarray(offset));
    this.onOutput(this.outputBytes());
    return ERR.OK;
  }

  outputBytes() {
    return this.pcbs.reduce((sum, pcb) => sum + (pcb.allocated ? outputOf(pcb) : 0), 0);
  }

  /** Fills up the last segment that was not sent yet, or begins another. */
  appendTo(pcb, bytes) {
    let last = pcb.unsent.at(-1);
    if (!last || last.length === MSS) {
      last = { data: new Uint8Array(MSS), length: 0, fin: false };
      pcb.unsent.push(last);
    }
    const count = Math.min(bytes.length, MSS - last.length);
    last.data.set(bytes.subarray(0, count), last.length);
    last.length += count;
    return count;
  }

  /** tcp_output: sends what Nagle's rule and the peer's window allow. */
  output(pcb) {
    if (pcb === this.inputPcb || !pcb.wire) return ERR.OK;
    if (pcb.state !== 'SYN_RCVD' && pcb.state !== 'SYN_SENT') {
      while (pcb.unsent.length > 0 && this.nagleAllows(pcb) && this.sendOne(pcb));
    }
    pcb.wire?.flush();
    return ERR.OK;
  }

  /** A small segment waits while anything is unacknowledged, unless more is behind it, the buffer is full or FIN is queued. */
  nagleAllows(pcb) {
    return pcb.unacked === 0 || pcb.finQueued || pcb.unsent.length > 1 || pcb.unsent[0].length >= MSS || pcb.sendBuffer === 0;
  }

  sendOne(pcb) {
    const segment = pcb.unsent[0];
    const room = pcb.wire.room();
    if (segment.length > room) {
      if (room > 0 && pcb.unacked === 0) this.split(pcb, room);
      else return pcb.wire.blocked(), false;
    }
    const { data, length, fin } = /** @type {Segment} */ (pcb.unsent.shift());
    pcb.unacked += length + (fin ? 1 : 0);
    pcb.flight.push(length);
    pcb.wire.send(data.subarray(0, length), fin);
    return true;
  }

  /** The peer takes less than a segment at a time. */
  split(pcb, room) {
    const { data, length, fin } = pcb.unsent[0];
    const rest = { data: new Uint8Array(MSS), length: length - room, fin };
    rest.data.set(data.subarray(room, length));
    pcb.unsent.splice(0, 1, { data, length: room, fin: false }, rest);
  }

  /** tcp_recved: the driver took so many bytes. */
  recved(pcb, count) {
    pcb.receiveWindow = Math.min(WINDOW, pcb.receiveWindow + count);
  }

  // ---- what the wire reports, in the network phase

  /** @returns {Listener | undefined} */
  listenerOn(port) {
    return [...this.listeners].find((listener) => listener.localPort === port);
  }

  /** A SYN came for a listener. Without a PCB it is dropped in silence (null). */
  syn(listener, wire) {
    const pcb = this.newPcb();
    if (!pcb) return null;
    pcb.localPort = listener.localPort;
    pcb.listener = listener;
    pcb.wire = wire;
    this.enter(pcb, 'SYN_RCVD');
    return pcb;
  }

  /**
   * tcp_input: one segment for a connection. The state changes first, then the driver is told: accepted, data, FIN.
   * @param {Pcb} pcb
   * @param {{established?: boolean, acked?: number, finAcked?: boolean, data?: Uint8Array | null, fin?: boolean}} segment
   */
  input(pcb, { established = false, acked = 0, finAcked = false, data = null, fin = false }) {
    const { serial } = pcb;
    const gone = () => !pcb.allocated || pcb.serial !== serial;
    this.inputPcb = pcb;
    this.inputClosed = false;
    if (!pcb.rxClosed || pcb.state === 'TIME_WAIT') pcb.lastActivity = this.now();
    if (established) this.establish(pcb);
    if (!gone()) {
      this.acknowledged(pcb, acked, finAcked);
      if (data) pcb.receiveWindow -= data.length;
      if (fin) this.finReceived(pcb);
      this.deliver(pcb, data, fin, gone);
    }
    this.inputPcb = null;
    if (gone()) return;
    if (this.inputClosed) this.freePcb(pcb);
    else this.output(pcb);
  }

  establish(pcb) {
    const connecting = pcb.state === 'SYN_SENT';
    if (!connecting && pcb.state !== 'SYN_RCVD') return;
    this.enter(pcb, 'ESTABLISHED');
    if (connecting) return pcb.connected?.(pcb);
    const accepted = pcb.listener?.accept?.(pcb.listener.arg, pcb) === ERR.OK;
    if (!accepted && pcb.allocated) this.abort(pcb);
  }

  acknowledged(pcb, acked, finAcked) {
    pcb.sendBuffer += acked;
    pcb.unacked -= acked + (finAcked ? 1 : 0);
    this.release(pcb, acked, finAcked);
    if (!finAcked) return;
    if (pcb.state === 'FIN_WAIT_1') this.enter(pcb, 'FIN_WAIT_2');
    else if (pcb.state === 'CLOSING') this.enter(pcb, 'TIME_WAIT');
    else if (pcb.state === 'LAST_ACK') this.inputClosed = true;
  }

  /** Gives back the segments that were acknowledged to their ends. */
  release({ flight }, acked, finAcked) {
    while (flight.length > 0 && flight[0] > 0 && flight[0] <= acked) acked -= flight.shift();
    if (acked > 0 && flight.length > 0) flight[0] -= acked;
    if (finAcked) flight.length = 0;
  }

  finReceived(pcb) {
    pcb.receiveWindow -= 1;
    if (pcb.state === 'ESTABLISHED') this.enter(pcb, 'CLOSE_WAIT');
    else if (pcb.state === 'FIN_WAIT_1') this.enter(pcb, 'CLOSING');
    else if (pcb.state === 'FIN_WAIT_2') this.enter(pcb, 'TIME_WAIT');
  }

  deliver(pcb, data, fin, gone) {
    if (data) {
      // Data for a side that was shut: the peer is told with RST that it is lost. The driver hears nothing.
      if (pcb.rxClosed) return this.abort(pcb);
      pcb.recv?.(pcb, data);
      if (gone()) return;
    }
    if (!fin) return;
    this.recved(pcb, 1);
    pcb.recv?.(pcb, null);
  }

  /** RST from the peer (or the wire gave up): the PCB is free, and nobody is told. */
  resetReceived(pcb) {
    if (pcb.state !== 'TIME_WAIT') this.freePcb(pcb);
  }

  enter(pcb, state) {
    pcb.state = state;
    const now = this.now();
    pcb.expires = {
      SYN_RCVD: now + SYN_RCVD_MS,
      TIME_WAIT: now + TIME_WAIT_MS,
      LAST_ACK: now + LAST_ACK_MS,
      // After only shutting the sending side the peer may go on for ever.
      FIN_WAIT_2: pcb.rxClosed ? pcb.closedAt + FIN_WAIT_2_MS : Infinity,
    }[state] ?? Infinity;
  }

  /** The timers: ends states that lasted too long. */
  timers() {
    const now = this.now();
    for (const pcb of this.pcbs) if (pcb.allocated && pcb.expires <= now) this.freePcb(pcb);
  }

  /** @returns {Record<string, number>} how many PCBs are in which state; BOUND is CLOSED with a port */
  states() {
    /** @type {Record<string, number>} */
    const states = {};
    for (const { allocated, state } of this.pcbs) {
      if (!allocated) continue;
      const name = state === 'CLOSED' ? 'BOUND' : state;
      states[name] = (states[name] ?? 0) + 1;
    }
    return states;
  }
}
