// The network driver: `global.__netdev`. Sockets are numbers (fds) for places in a table of 16; the driver keeps PCBs by
// reference and is not told when one dies, which is where most of the rules come from.
import { ERR, Pcb } from './lwip.mjs';

export const STATE = { CLOSED: 0, BIND: 1, CONNECTED: 2, LISTENING: 3 };

const WRITE_LIMIT = 1024;
/** The driver calls read_cb with two arguments but prepares only one. */
const STACK_GARBAGE = Symbol('stack garbage');

/** One place in the driver's table. */
class Slot {
  constructor(index) {
    this.index = index;
    /** The same as index while in use, else -1. */
    this.fd = -1;
    this.serverFd = -1;
    this.stream = true;
    this.state = STATE.CLOSED;
    this.localPort = 0;
    /** What `get(fd)` gives. */
    this.object = null;
    /** @type {Pcb | null} the connection's PCB; kept even when lwIP has given it to somebody else */
    this.pcb = null;
    this.pcbSerial = 0;
    /** @type {Pcb | import('./lwip.mjs').Listener | null} */
    this.serverPcb = null;
    this.serverSerial = 0;
    /** The program had a write or a probe fail on it after the connection died. */
    this.seenDead = false;
  }

  /** The connection was reset, or lwIP ended it: the PCB is not this socket's any more. */
  get isZombie() {
    return this.pcb !== null && (!this.pcb.allocated || this.pcb.serial !== this.pcbSerial);
  }

  /** A socket that is bound and not listening, and got a PCB. */
  get holdsPcb() {
    const { serverPcb } = this;
    return this.fd >= 0 && serverPcb instanceof Pcb && serverPcb.allocated && serverPcb.serial === this.serverSerial;
  }
}

export class Netdev {
  /**
   * @param {object} parts
   * @param {import('./lwip.mjs').Lwip} parts.lwip
   * @param {import('./rules.mjs').Rules} parts.rules
   * @param {import('./heap.mjs').Heap} parts.heap
   * @param {{up: boolean, ip: string}} parts.wifi
   * @param {'stock' | 'routed'} parts.firmware
   * @param {number} parts.fds
   * @param {{connectOut: (pcb: Pcb, address: string, port: number) => void}} parts.network
   */
  constructor({ lwip, rules, heap, wifi, firmware, fds, network }) {
    this.lwip = lwip;
    this.rules = rules;
    this.heap = heap;
    this.wifi = wifi;
    this.routed = firmware === 'routed';
    this.network = network;
    this.slots = Array.from({ length: fds }, (_, index) => new Slot(index));
    /** Bytes that a program wrote to a dead connection's fd, before it could know, and that went to another client. */
    this.misdirected = 0;
    this.api = this.makeApi();
  }

  /** The object that programs see. */
  makeApi() {
    const api = { errno: 0 };
    for (const name of ['socket', 'get', 'connect', 'write', 'close', 'shutdown', 'bind', 'listen']) {
      Object.defineProperty(api, name, { value: (...args) => this[name](...args), enumerable: true, writable: true, configurable: true });
    }
    return api;
  }

  // ---- results

  /** Every function ends like this. The callback's `err` is lost on the way (on ARM -1 becomes 0): only `errno` tells. */
  finish(err, callback, name) {
    this.api.errno = err === ERR.OK ? 0 : -1;
    if (callback !== undefined) this.invoke(callback, `the callback of ${name}`, 0);
  }

  /** Calls into the program. An exception is swallowed, and a returned object leaks. */
  invoke(callback, name, ...args) {
    if (typeof callback !== 'function') return;
    try {
      const result = callback.call(undefined, ...args);
      if (result !== undefined) this.rules.record('value returned from a callback', `${name} returned ${typeof result}: a returned object leaks`);
    } catch (error) {
      this.rules.swallowed(name, error);
    }
  }

  // ---- arguments

  number(value, name, what) {
    if (typeof value === 'number') return value;
    if (what) this.rules.record('invalid fd', `${what} was called with ${String(value)}`);
    throw new TypeError(`"${name}" argument must be a number`);
  }

  string(value, name) {
    if (typeof value === 'string') return value;
    throw new TypeError(`"${name}" argument must be a string`);
  }

  optionalCallback(value) {
    if (value === undefined || typeof value === 'function') return value;
    throw new TypeError('"callback" argument must be a function');
  }

  /** @returns {Slot | undefined} undefined for a number that cannot be a fd */
  slotOf(fd, what) {
    const slot = this.slots[this.number(fd, 'fd', what)];
    if (!slot) this.rules.record('invalid fd', `${what} was called with ${fd}`);
    return slot;
  }

  // ---- sockets

  takeSlot() {
    const slot = this.slots.find((candidate) => candidate.fd === -1);
    if (slot) slot.fd = slot.index;
    return slot;
  }

  fill(slot, { stream, state, serverFd, localPort }) {
    Object.assign(slot, { stream, state, serverFd, localPort, serverPcb: null, seenDead: false });
    slot.object = {
      fd: slot.index,
      ptcl: stream ? 'STREAM' : 'DGRAM',
      state,
      laddr: this.wifi.ip,
      lport: localPort,
      raddr: '0.0.0.0',
      rport: 0,
    };
  }

  socket(domain, protocol) {
    this.string(domain, 'domain');
    this.string(protocol, 'protocol');
    if (protocol !== 'STREAM' && protocol !== 'DGRAM') throw new TypeError('un-supported domain or protocol.');
    if (!this.wifi.up) throw new Error('WiFi is not connected.');
    const slot = this.takeSlot();
    if (!slot) throw Object.assign(new Error('Remote I/O error'), { errno: -121 });
    this.fill(slot, { stream: protocol === 'STREAM', state: STATE.CLOSED, serverFd: -1, localPort: 0 });
    this.api.ip = this.wifi.ip;
    this.api.mac = '28:CD:C1:00:00:01';
    return slot.index;
  }

  get(fd) {
    const slot = this.slotOf(fd, 'get');
    return slot && slot.fd >= 0 ? slot.object ?? undefined : undefined;
  }

  setState(slot, state) {
    slot.state = state;
    if (slot.object) slot.object.state = state;
  }

  checkAddress(address) {
    if (/^\d{1,3}(\.\d{1,3}){3}$/.test(this.string(address, 'addr'))) return;
    this.api.errno = -1;
    throw new Error('DNS Error: IP is not found.');
  }

  bind(fd, address, port, callback) {
    const slot = this.slotOf(fd, 'bind');
    this.string(address, 'addr');
    this.number(port, 'port');
    this.optionalCallback(callback);
    if (!slot || slot.state !== STATE.CLOSED) return this.finish(ERR.CONN, callback, 'bind');
    this.checkAddress(address);
    slot.localPort = port;
    if (slot.object) Object.assign(slot.object, { laddr: address, lport: port });
    const pcb = this.lwip.newPcb();
    slot.serverPcb = pcb;
    slot.serverSerial = pcb?.serial ?? 0;
    // Without a PCB the error is forgotten again a few lines further on.
    const err = pcb ? this.lwip.bind(pcb, port) : ERR.OK;
    if (err === ERR.OK) this.setState(slot, STATE.BIND);
    this.finish(err, callback, 'bind');
  }

  listen(fd, callback) {
    const slot = this.slotOf(fd, 'listen');
    this.optionalCallback(callback);
    if (!slot || slot.state !== STATE.BIND) return this.finish(ERR.CONN, callback, 'listen');
    const listener = this.lwip.listen(slot.serverPcb);
    // The result replaces the bound PCB, also where it is nothing: then no close can free that PCB, and its port, any more.
    slot.serverPcb = listener;
    if (!listener) return this.finish(ERR.CONN, callback, 'listen');
    listener.arg = slot;
    listener.accept = (server, pcb) => this.accepted(server, pcb);
    this.setState(slot, STATE.LISTENING);
    this.finish(ERR.OK, callback, 'listen');
  }

  connect(fd, address, port, callback) {
    const slot = this.slotOf(fd, 'connect');
    this.string(address, 'addr');
    this.number(port, 'port');
    this.optionalCallback(callback);
    if (!slot || slot.state !== STATE.CLOSED) return this.finish(ERR.CONN, callback, 'connect');
    this.checkAddress(address);
    if (slot.object) Object.assign(slot.object, { raddr: address, rport: port });
    const pcb = this.lwip.newPcb();
    // As with bind: no PCB, no error.
    this.setState(slot, STATE.CONNECTED);
    this.adopt(slot, pcb);
    if (pcb) {
      pcb.connected = () => this.invoke(slot.object?.connect_cb, 'connect_cb');
      this.lwip.connect(pcb);
      this.network.connectOut(pcb, address, port);
    }
    this.finish(ERR.OK, callback, 'connect');
  }

  adopt(slot, pcb) {
    slot.pcb = pcb;
    if (!pcb) return;
    slot.pcbSerial = pcb.serial;
    pcb.arg = slot;
    pcb.recv = (from, data) => (data ? this.dataReceived(from, data) : this.finReceived(from));
  }

  // ---- sending

  write(fd, data, callback) {
    const slot = this.slotOf(fd, 'write');
    this.string(data, 'data');
    this.optionalCallback(callback);
    const bytes = this.toBytes(data);
    this.heap.placeArguments(bytes.length);
    if (!slot || slot.state < STATE.CONNECTED) return this.finish(ERR.CONN, callback, 'write');
    if (bytes.length > 0) this.checkZombieWrite(slot, bytes.length);
    const err = this.lwip.write(slot.pcb, bytes);
    if (slot.isZombie) this.noteZombieWrite(slot, err, bytes.length);
    if (err === ERR.OK) this.lwip.output(slot.pcb);
    this.finish(err, callback, 'write');
  }

  toBytes(data) {
    if (data.length > WRITE_LIMIT) {
      this.rules.raise('long write', `${data.length} characters; more than ${WRITE_LIMIT} may not fit on the C stack`);
    }
    const bytes = new Uint8Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const code = data.charCodeAt(i);
      if (code > 255) this.rules.raise('character above U+00FF', `character ${i} is U+${code.toString(16).toUpperCase().padStart(4, '0')}; it would be sent as 0`);
      bytes[i] = code;
    }
    return bytes;
  }

  checkZombieWrite(slot, length) {
    if (!slot.isZombie || !slot.seenDead) return;
    const whose = slot.pcb?.allocated ? 'its PCB serves another connection now' : 'its PCB is free';
    this.rules.raise('write to a zombie', `${length} bytes for fd ${slot.index}, whose connection is known to be dead; ${whose}`);
  }

  noteZombieWrite(slot, err, length) {
    if (err !== ERR.OK) slot.seenDead = true;
    else this.misdirected += length;
  }

  // ---- ending

  shutdown(fd, how, callback) {
    const slot = this.slotOf(fd, 'shutdown');
    this.number(how, 'how');
    this.optionalCallback(callback);
    if (!slot) return this.finish(ERR.ARG, callback, 'shutdown');
    const rx = how !== 1;
    const tx = how !== 0;
    let err = ERR.OK;
    if (slot.serverPcb) err = this.lwip.shutdown(slot.serverPcb, rx, tx);
    if (err === ERR.OK && slot.pcb) {
      if (rx && tx) this.checkZombieClose(slot, 'shutdown(fd, 2)');
      err = this.lwip.shutdown(slot.pcb, rx, tx);
    }
    this.api.errno = err === ERR.OK ? 0 : -1;
    if (err === ERR.OK) this.invoke(slot.object?.shutdown_cb, 'shutdown_cb');
    this.finish(err, callback, 'shutdown');
  }

  close(fd, callback) {
    const slot = this.slotOf(fd, 'close');
    this.optionalCallback(callback);
    if (slot && (slot.state !== STATE.CLOSED || slot.object)) {
      this.checkZombieClose(slot, `close(${fd})`);
      this.checkListenerClose(slot);
      this.closeSlot(slot);
    }
    this.finish(ERR.OK, callback, 'close');
  }

  checkZombieClose(slot, what) {
    if (!slot.isZombie) return;
    const pcb = /** @type {Pcb} */ (slot.pcb);
    if (!pcb.allocated) {
      this.abandon(slot);
      this.rules.raise('closed zombie', `${what}: the connection was reset and its PCB ${pcb.index} is free; freeing it twice corrupts lwIP`);
    }
    if (pcb.state === 'CLOSED') {
      this.abandon(slot);
      this.rules.raise('closed zombie', `${what}: its PCB ${pcb.index} is held by another bound socket, which would lose it unnoticed`);
    }
  }

  checkListenerClose(slot) {
    if (slot.state !== STATE.LISTENING) return;
    const open = this.slots.filter((other) => other.fd >= 0 && other.serverFd === slot.index && !other.isZombie);
    if (open.length > 0) {
      this.rules.raise('listener closed too early', `fd ${slot.index} listens, and ${open.length} of its connections are open (fds ${open.map((other) => other.index)})`);
    }
  }

  /** After a broken rule: takes the socket away without touching its PCB, so that the test can go on. */
  abandon(slot) {
    Object.assign(slot, { state: STATE.CLOSED, fd: -1, serverFd: -1, pcb: null, serverPcb: null, object: null });
  }

  /** What close, the peer's FIN and a late FIN do. */
  closeSlot(slot) {
    const { pcb, serverPcb, object } = slot;
    Object.assign(slot, { state: STATE.CLOSED, fd: -1, serverFd: -1, pcb: null, serverPcb: null });
    if (serverPcb) {
      serverPcb.arg = null;
      this.lwip.close(serverPcb);
    }
    if (pcb) this.lwip.close(pcb);
    if (!object) return;
    this.invoke(object.close_cb, 'close_cb');
    // The number is free while close_cb runs; afterwards the driver drops the object it finds there.
    if (slot.object !== object) {
      this.rules.record('socket taken in close_cb', `fd ${slot.index} was taken inside its own close_cb: the new socket has lost its object`);
    }
    slot.object = null;
  }

  // ---- what lwIP reports

  accepted(server, pcb) {
    const slot = this.takeSlot();
    // Nobody is told; the client gets RST.
    if (!slot || server.fd < 0) return ERR.CONN;
    this.fill(slot, { stream: true, state: STATE.CONNECTED, serverFd: server.index, localPort: server.localPort });
    this.adopt(slot, pcb);
    this.heap.placeConnection(slot.object);
    this.invoke(server.object?.accept_cb, 'accept_cb', slot.index);
    return ERR.OK;
  }

  dataReceived(pcb, data) {
    const slot = pcb.arg;
    if (slot.fd < 0) return;
    const reader = this.routed || slot.serverFd < 0 ? slot : this.slots[slot.serverFd];
    if (reader.state === STATE.CLOSED) return;
    this.lwip.recved(pcb, data.length);
    const callback = reader.object?.read_cb;
    if (typeof callback !== 'function') return;
    this.heap.withSegment(data, (segment) => this.invoke(callback, 'read_cb', segment, STACK_GARBAGE));
  }

  /** The driver looks up the fd *number* that the connection had; somebody else may have it by now. */
  finReceived(pcb) {
    const slot = pcb.arg;
    if (slot.fd < 0 || (slot.state === STATE.CLOSED && !slot.object)) return;
    const own = slot.pcb === pcb && slot.pcbSerial === pcb.serial;
    if (!own) this.checkLateFin(slot);
    if (slot.isZombie && !this.zombieCanClose(slot)) return this.abandon(slot);
    this.closeSlot(slot);
  }

  checkLateFin(slot) {
    if (slot.state !== STATE.CONNECTED && slot.state !== STATE.LISTENING) return;
    const what = slot.state === STATE.LISTENING ? 'the listener' : 'a new connection';
    this.rules.record('fd reused unparked', `the late FIN of an earlier connection closed ${what}, which had got its number ${slot.index}`);
  }

  zombieCanClose(slot) {
    if (slot.pcb.allocated && slot.pcb.state !== 'CLOSED') return true;
    this.rules.record('closed zombie', `a late FIN closed fd ${slot.index}, a reset connection whose PCB is not its own any more; this corrupts lwIP`);
    return false;
  }

  // ---- for tests

  vitals() {
    return {
      fds: this.slots.filter((slot) => slot.fd >= 0).length,
      held: this.slots.filter((slot) => slot.holdsPcb).length,
      zombies: this.slots.filter((slot) => slot.fd >= 0 && slot.isZombie).length,
      misdirected: this.misdirected,
    };
  }
}
