// One end of a TCP connection at the level of packets: sequence numbers, acknowledgements, reassembly, retransmission.
// The board's side and the clients' side of the memory network are both of this class; they differ in their timers only.
// Sequence numbers count from 0 on both sides: the SYN is 0, the first byte 1.

/**
 * @typedef {object} Packet
 * @property {'client' | 'board'} from
 * @property {import('./net-memory.mjs').Client} client whose connection it belongs to
 * @property {{syn: boolean, ack: boolean, fin: boolean, rst: boolean}} flags
 * @property {number} seq
 * @property {number} ack the next sequence number that the sender expects
 * @property {number} window bytes that the sender of this packet still takes
 * @property {Uint8Array} data
 * @property {number} length of data
 * @property {number} at when it was sent, ms
 */

/**
 * @typedef {object} Host what an endpoint needs from its surroundings
 * @property {(fields: object) => void} transmit sends a packet
 * @property {() => number} now ms
 * @property {(ms: number, action: () => void) => {cancelled: boolean}} after a timer
 * @property {() => number} window bytes that this side takes
 * @property {(event: {established?: boolean, acked?: number, finAcked?: boolean, data?: Uint8Array | null, fin?: boolean}) => void} segment
 * @property {boolean} [merge] segments that came too early are handed on in one piece with what was missing
 * @property {() => void} resetReceived
 * @property {() => void} gaveUp too many retransmissions
 */

const SYN_RTO = 1000;
const PROBE_FIRST = 1500;
const PROBE_LAST = 60000;
const MAX_DOUBLINGS = 7;
const NOTHING = new Uint8Array(0);

export class Endpoint {
  /**
   * @param {Host} host
   * @param {object} timers
   * @param {number} timers.rto shortest retransmission timeout, ms; the measured round trip is added
   * @param {number} timers.retries
   * @param {number} timers.synRetries
   */
  constructor(host, { rto, retries, synRetries }) {
    this.host = host;
    this.minimumRto = rto;
    this.retries = retries;
    this.synRetries = synRetries;
    this.alive = true;
    this.established = false;
    this.sendNext = 0;
    this.sendUnacked = 0;
    /** @type {{seq: number, syn: boolean, fin: boolean, data: Uint8Array, size: number, sentAt: number, repeated: boolean}[]} sent, not acknowledged */
    this.flight = [];
    this.peerWindow = 0;
    this.receiveNext = 0;
    /** @type {{seq: number, data: Uint8Array, fin: boolean}[]} came too early, by sequence number */
    this.early = [];
    this.ackDue = false;
    this.roundTrip = 0;
    this.attempts = 0;
    this.duplicateAcks = 0;
    /** While repairing a loss: everything below was sent before it was noticed. */
    this.recoverUpTo = -1;
    this.timer = { cancelled: true };
    this.prober = { cancelled: true };
    this.probes = 0;
  }

  // ---- opening

  open() {
    this.put({ syn: true });
  }

  /** Answers a SYN. */
  acceptSyn(packet) {
    this.receiveNext = packet.seq + 1;
    this.peerWindow = packet.window;
    this.put({ syn: true });
  }

  // ---- sending

  room() {
    return this.peerWindow - (this.sendNext - this.sendUnacked);
  }

  send(data, fin) {
    this.put({ data: Uint8Array.from(data), fin });
  }

  put({ syn = false, fin = false, data = NOTHING }) {
    const segment = { seq: this.sendNext, syn, fin, data, size: data.length + (syn || fin ? 1 : 0), sentAt: this.host.now(), repeated: false };
    this.sendNext += segment.size;
    this.flight.push(segment);
    this.prober.cancelled = true;
    this.transmit(segment);
    if (this.timer.cancelled) this.arm();
  }

  /** @param {{seq: number, syn?: boolean, fin?: boolean, data?: Uint8Array}} segment */
  transmit({ seq, syn = false, fin = false, data = NOTHING }, rst = false) {
    this.ackDue = false;
    const ack = !syn || this.receiveNext > 0;
    this.host.transmit({ flags: { syn, ack, fin, rst }, seq, ack: this.receiveNext, window: this.host.window(), data });
  }

  flush() {
    if (this.ackDue && this.alive) this.acknowledge();
  }

  acknowledge() {
    this.transmit({ seq: this.sendNext });
  }

  reset() {
    if (this.alive) this.transmit({ seq: this.sendNext }, true);
    this.detach();
  }

  detach() {
    this.alive = false;
    this.timer.cancelled = true;
    this.prober.cancelled = true;
  }

  // ---- timers

  rto() {
    const base = this.flight[0]?.syn ? SYN_RTO : this.minimumRto + this.roundTrip;
    return base * 2 ** Math.min(this.attempts, MAX_DOUBLINGS);
  }

  arm() {
    this.timer.cancelled = true;
    if (this.flight.length > 0) this.timer = this.host.after(this.rto(), () => this.timedOut());
  }

  timedOut() {
    this.timer = { cancelled: true };
    this.attempts++;
    const limit = this.flight[0].syn ? this.synRetries : this.retries;
    if (this.attempts > limit) return this.host.gaveUp();
    this.repeatFirst();
    this.arm();
  }

  repeatFirst() {
    if (this.recoverUpTo < this.sendUnacked) this.recoverUpTo = this.sendNext;
    this.flight[0].repeated = true;
    this.transmit(this.flight[0]);
  }

  /** The peer's window is full: ask now and then, the packet that opens it may get lost. */
  blocked() {
    if (!this.prober.cancelled || this.flight.length > 0) return;
    const pause = Math.min(PROBE_LAST, PROBE_FIRST * 2 ** this.probes);
    this.prober = this.host.after(pause, () => this.probe());
  }

  probe() {
    this.prober = { cancelled: true };
    if (++this.probes > this.retries) return this.host.gaveUp();
    this.transmit({ seq: this.sendNext - 1 });
    this.blocked();
  }

  // ---- receiving

  receive(packet) {
    if (!this.alive) return;
    if (packet.flags.rst) return this.receiveReset(packet);
    if (packet.flags.syn) return this.receiveSyn(packet);
    const event = packet.flags.ack ? this.receiveAck(packet) : {};
    const { chunks, fin } = this.receiveData(packet);
    this.report(event, chunks, fin);
    this.flush();
  }

  /** Only the exact next sequence number resets; one within the window is asked again. */
  receiveReset(packet) {
    const awaitingSyn = this.receiveNext === 0;
    if (awaitingSyn || packet.seq === this.receiveNext) return this.host.resetReceived();
    if (packet.seq > this.receiveNext && packet.seq < this.receiveNext + this.host.window()) this.acknowledge();
  }

  receiveSyn(packet) {
    if (!packet.flags.ack) {
      // The client's SYN again: it did not get our answer.
      if (this.flight[0]?.syn) this.transmit(this.flight[0]);
      else this.acknowledge();
      return;
    }
    this.receiveNext = packet.seq + 1;
    const event = this.receiveAck(packet);
    this.ackDue = true;
    if (event.established) this.host.segment(event);
    this.flush();
  }

  receiveAck({ ack, window, length, flags }) {
    const event = { established: false, acked: 0, finAcked: false };
    const windowChanged = window !== this.peerWindow;
    this.peerWindow = window;
    this.probes = 0;
    if (ack > this.sendUnacked && ack <= this.sendNext) this.advance(ack, event);
    else if (ack === this.sendUnacked && length === 0 && !flags.fin && !windowChanged) this.duplicateAck();
    return event;
  }

  advance(ack, event) {
    this.sendUnacked = ack;
    this.duplicateAcks = 0;
    this.attempts = 0;
    while (this.flight.length > 0 && this.flight[0].seq + this.flight[0].size <= ack) {
      const segment = this.flight.shift();
      if (!segment.repeated) this.measure(this.host.now() - segment.sentAt);
      event.acked += segment.data.length;
      if (segment.fin) event.finAcked = true;
      if (segment.syn) event.established = this.established = true;
    }
    if (ack < this.recoverUpTo && this.flight.length > 0) this.repeatFirst();
    this.arm();
  }

  measure(milliseconds) {
    this.roundTrip = this.roundTrip === 0 ? milliseconds : (7 * this.roundTrip + milliseconds) / 8;
  }

  duplicateAck() {
    if (this.flight.length === 0 || this.recoverUpTo > this.sendUnacked) return;
    if (++this.duplicateAcks === 3) this.repeatFirst();
  }

  /** @returns {{chunks: Uint8Array[], fin: boolean}} what is in order now */
  receiveData({ seq, data, flags }) {
    const size = data.length + (flags.fin ? 1 : 0);
    if (size === 0) {
      // A probe, or an acknowledgement that was overtaken.
      if (seq < this.receiveNext) this.ackDue = true;
      return { chunks: [], fin: false };
    }
    this.ackDue = true;
    if (seq + size <= this.receiveNext) return { chunks: [], fin: false };
    this.early.push({ seq, data, fin: flags.fin });
    this.early.sort((a, b) => a.seq - b.seq);
    return this.takeInOrder();
  }

  takeInOrder() {
    const chunks = [];
    let fin = false;
    while (this.early.length > 0 && this.early[0].seq <= this.receiveNext) {
      const segment = this.early.shift();
      const fresh = segment.data.subarray(Math.min(segment.data.length, this.receiveNext - segment.seq));
      const end = segment.seq + segment.data.length + (segment.fin ? 1 : 0);
      if (end <= this.receiveNext) continue;
      if (fresh.length > 0) chunks.push(fresh);
      fin ||= segment.fin;
      this.receiveNext = end;
    }
    return { chunks, fin };
  }

  /** One event for each segment that is in order now, the acknowledgement with the first, the FIN with the last. */
  report(event, chunks, fin) {
    const pieces = this.host.merge && chunks.length > 1 ? [Buffer.concat(chunks)] : chunks;
    /** @type {Parameters<Host['segment']>[0][]} */
    const events = pieces.length > 0 ? pieces.map((data) => ({ data })) : [{}];
    Object.assign(events[0], event);
    if (fin) events[events.length - 1].fin = true;
    for (const each of events) if (this.alive) this.host.segment(each);
  }
}
