// HTTP as the client of a connection sees it: whether it may send its next request there (RFC 9112, section 9.3).

const END = '\r\n\r\n';
/** Characters of a head. What is longer is none. */
const LONGEST_HEAD = 16384;

const textOf = (bytes) => Buffer.from(bytes).toString('latin1');
const field = (head, name) => new RegExp(`\r\n${name}:[ \t]*([^\r]*)`, 'i').exec(head)?.[1];

/**
 * @param {string} text what a client has sent
 * @returns what its request says, once its head has come
 */
function readRequest(text) {
  const end = text.indexOf(END);
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const length = end + END.length + Number(field(head, 'content-length') ?? 0);
  const goesOn = ['upgrade', 'transfer-encoding'].some((name) => field(head, name) !== undefined);
  return {
    isHead: head.startsWith('HEAD '),
    /** Connections of one browser have this in common, and no more can be seen. */
    agent: field(head, 'user-agent') ?? '',
    /** It has come to its end, and nothing follows it. */
    isWhole: !goesOn && text.length === length,
  };
}

/** @param {Uint8Array[]} pieces what a client has sent */
export const requestIn = (pieces) => readRequest(pieces.map(textOf).join(''));

/** Follows the requests and answers of one connection. */
export class Exchange {
  /** The client's name; undefined before its first request. @type {string | undefined} */
  agent = undefined;
  /** open: no request yet, or a part of one. asked, answered: a part of the answer may have come. kept: it is whole. last: no request may follow. */
  #state = 'open';
  #request = '';
  #isHead = false;
  #answer = '';
  /** Bytes of the body to come. */
  #left = 0;
  #wasKept = false;

  /** The answer is whole, and the next request may follow. */
  get isKept() {
    return this.#state === 'kept' && this.#request === '';
  }

  /** It was kept before, and may be again. */
  get staysKept() {
    return this.#wasKept && this.#state !== 'last';
  }

  /** The board reads this. */
  sent(bytes) {
    if (this.#state !== 'open' && this.#state !== 'kept') return;
    this.#request += textOf(bytes);
    const request = readRequest(this.#request);
    if (!request && this.#request.length > LONGEST_HEAD) this.#end();
    if (!request) return;
    this.agent = request.agent;
    this.#isHead = request.isHead;
    this.#request = '';
    this.#state = 'asked';
  }

  /** The board sends this. */
  received(bytes) {
    if (bytes.length === 0 || this.#state === 'last') return;
    if (this.#state === 'answered') return this.#count(bytes.length);
    if (this.#state !== 'asked') return this.#end(); // nobody has asked for it
    this.#answer += textOf(bytes);
    this.#readHead();
  }

  #readHead() {
    const end = this.#answer.indexOf(END);
    if (end < 0 && this.#answer.length > LONGEST_HEAD) this.#end();
    if (end < 0) return;
    const head = this.#answer.slice(0, end);
    const rest = this.#answer.slice(end + END.length);
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
    this.#answer = '';
    if (status === 100) return this.#continue(rest);
    const empty = this.#isHead || status === 204 || status === 304;
    const length = empty ? '0' : field(head, 'content-length');
    if (status < 200 || length === undefined || /\bclose\b/i.test(field(head, 'connection') ?? '')) return this.#end();
    this.#state = 'answered';
    this.#left = Number(length);
    this.#count(rest.length);
  }

  #continue(rest) {
    this.#answer = rest;
    this.#readHead();
  }

  #count(length) {
    this.#left -= length;
    if (this.#left < 0) return this.#end();
    if (this.#left > 0) return;
    this.#state = 'kept';
    this.#wasKept = true;
  }

  #end() {
    this.#state = 'last';
  }
}
