// What tests with many clients share: clients with names, well-behaved ones that do not give up, and what no server could tell apart.

/** Everything that a client sends and gets names it, like so. The number twice: a byte that a scenario spoils must not make another client's name of it. */
export const idOf = (n) => `c${n}_${n}z`;
export const idsIn = (text) => text.match(/c(\d+)_\1z/g) ?? [];

/**
 * A reset and a SYN that reach lwIP in the same network phase cannot be told from a live connection by anything that the driver offers:
 * the dead one's PCB is in use again before a program can look. Here such a SYN is lost, and its client repeats it.
 */
export function keepTwinsApart({ lwip, driver }) {
  const { freePcb, syn } = lwip;
  let last = -1;
  lwip.freePcb = (pcb) => {
    if (driver.slots.some((slot) => slot.fd >= 0 && slot.pcb === pcb && slot.pcbSerial === pcb.serial)) last = lwip.now();
    freePcb.call(lwip, pcb);
  };
  lwip.syn = (listener, wire) => (last === lwip.now() ? null : syn.call(lwip, listener, wire));
}

/** A well-behaved client asks, again after a 503, a 421 or a reset as the design says. Returns how many tries it took. */
export function askUntilAnswered(board, id, ms = 30000) {
  const until = board.now + ms;
  for (let tries = 1; board.now < until; tries++) {
    const client = board.connect({ port: 80 });
    client.send(`POST /echo/${id} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${id.length}\r\n\r\n${id}`);
    while (client.state !== 'closed' && board.now < until) board.pass();
    if (client.text.endsWith(`\r\n\r\n${id}`)) return tries;
    if (client.text && !/^HTTP\/1.1 (503|421)/.test(client.text)) throw new Error(`${id} got ${JSON.stringify(client.text)}`);
    board.run(1000);
  }
  throw new Error(`${id} was not answered within ${ms} ms: ${JSON.stringify(board.vitals())}`);
}

/**
 * One that asks while others are about: call look() now and then. It asks again when it was told 503 or 421, reset, or not let in.
 * @param {(id: string) => string} request
 * @param {(id: string) => string} expected the end of the answer
 */
export class Visitor {
  constructor(board, id, { request = (name) => `GET /value/${name} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`, expected = (name) => `<${name}>`, ...link } = {}) {
    Object.assign(this, { board, id, link, request: request(id), expected: expected(id), tries: 0, since: board.now, answeredAt: undefined, foreign: [] });
    this.ask();
  }

  ask() {
    this.tries++;
    this.client = this.board.connect({ port: 80, ...this.link });
    this.client.send(this.request);
  }

  look() {
    const { client, board } = this;
    if (this.answeredAt !== undefined) return true;
    this.foreign.push(...idsIn(client.text).filter((id) => id !== this.id));
    if (client.text.endsWith(this.expected)) {
      this.answeredAt = board.now;
      return true;
    }
    if (client.state === 'closed') {
      this.againAt ??= board.now + 1000;
      if (board.now >= this.againAt) {
        this.againAt = undefined;
        this.ask();
      }
    }
    return false;
  }

  /** Milliseconds until it was answered. */
  get waited() {
    return this.answeredAt - this.since;
  }
}
