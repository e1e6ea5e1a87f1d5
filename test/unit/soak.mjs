// A month in some minutes: mixed traffic on the virtual clock, good visitors, bad ones and accidents, and in the end everything is where it began.
//
//   npm run soak                  30 days on each firmware
//   npm run soak -- --days 2
//   SEED=7 npm run soak           other visitors
import { pathToFileURL } from 'node:url';
import { seededRandom } from '../board/random.mjs';
import { holdings } from '../board/holdings.mjs';
import { BROWSER, FIRMWARES } from '../support/serve.mjs';
import { askUntilAnswered, idOf, idsIn, keepTwinsApart, Visitor } from '../support/strangers.mjs';
import { frame, framesOf, handshake, PING, PONG, serveWebSocket, TEXT } from '../support/websocket.mjs';

const SECOND = 1000;
const DAY = 86400 * SECOND;
/** Milliseconds of one pass of the loop, while visitors are there and while not. */
const BUSY = 1;
const IDLE = 100;

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
const close = 'connection: close\r\n';

/** An answer that goes on for so many steps. */
const pieces = (count, value) => ({ next: () => (count-- > 0 ? { done: false, value: count % 20 ? undefined : value } : { done: true, value: undefined }) });

function setUp(firmware, seed) {
  const wrong = [];
  const set = serveWebSocket({
    firmware,
    board: { passMicros: BUSY * 1000, seed, files: { '/www/page.html': '<p>'.repeat(3000), '/www/page.html.gz': 'z'.repeat(900) } },
    handler: function* (path, headers, ws) {
      const id = headers['x-id'];
      for (let message; (message = yield* ws.recv()) !== null;) {
        if (message !== id) wrong.push(`${message} came to ${id}`);
        yield* ws.send(`<${id}>`);
      }
    },
    routes: (server, { Response, FileResponse }) => {
      const late = (id) => { let n = 200; return { next: () => (n-- ? { done: false } : { done: true, value: `<${id}>` }) }; };
      const handlers = {
        value: (id) => `<${id}>`, json: (id) => ({ id }), late, big: (id) => `<${id}>`.repeat(5000), stream: (id) => new Response(pieces(3000, `<${id}>`)),
        throws: () => { throw new Error('as programs do'); }, file: () => new FileResponse('/www/page.html'), missing: () => new FileResponse('/www/none'),
      };
      for (const [name, handler] of Object.entries(handlers)) server.route(`/${name}/(\\w+)`, 'GET', (path, query, headers, body, match) => handler(match[1]));
      server.route('/echo/(\\w+)', 'POST', (path, query, headers, body) => body);
    },
  });
  return { ...set, wrong };
}

/** What visitors do, at the first port where it does not say another: a script that yields the ms until it goes on. It ends when the visitor is gone. */
const VISITS = {
  *once(client, id) { client.send(get(`/value/${id}`, close)); },
  *page(client, id, under) {
    for (let n = under(8); n >= 0; n--) {
      client.send(get(`/${['value', 'json', 'file', 'late', 'missing', 'throws'][under(6)]}/${id}`, BROWSER));
      yield 20 + under(300);
    }
  },
  *form(client, id) { client.send(`POST /echo/${id} HTTP/1.1\r\nhost: x\r\ncontent-length: ${id.length * 200}\r\n\r\n${id.repeat(200)}`); },
  *drip(client, id) {
    for (const character of get(`/value/${id}`, close)) {
      client.send(character);
      yield 100;
    }
  },
  *download(client, id) { client.send(get(`/big/${id}`)); },
  *events(client, id, under) {
    client.send(get(`/stream/${id}`));
    yield under(5000);
    client.end();
  },
  *socket(client, id, under) {
    client.send(handshake({ 'x-id': id }));
    let answered = 0;
    client.onData = () => {
      if (!client.text.startsWith('HTTP/1.1 101')) return;
      const frames = framesOf(Buffer.from(client.text.slice(client.text.indexOf('\r\n\r\n') + 4), 'latin1'));
      for (const { opcode } of frames.slice(answered)) if (opcode === PING) client.send(frame(PONG, ''));
      answered = frames.length;
    };
    yield 2000;
    for (let n = under(20); n >= 0 && client.text.startsWith('HTTP/1.1 101'); n--) {
      client.send(frame(TEXT, id));
      yield under(10) ? under(5000) : under(60000);
    }
    if (under(2)) client.end();
    else client.reset();
  },
  *silent() {},
  *half(client, id, under) { client.send(get(`/value/${id}`).slice(0, under(40))); },
  *nonsense(client, id, under) { for (let n = under(30); n >= 0; n--) client.send(String.fromCharCode(under(256)).repeat(under(200))); },
  *frames(client, id, under) {
    const whole = frame(TEXT, id);
    if (under(2)) client.send(`POST /echo/${id} HTTP/1.1\r\nhost: x\r\norigin: http://evil\r\ncontent-length: ${whole.length}\r\n\r\n`);
    yield under(30);
    for (let n = under(3); n >= 0; n--) client.send(whole.subarray(under(2) ? 0 : under(whole.length)));
  },
  *tooMuch(client) { client.send(`POST /echo/x HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n${'x'.repeat(99999)}`); },
  *deaf(client, id, under) {
    client.pause();
    client.send(get(`/big/${id}`));
    yield under(20000);
    client.resume();
  },
  *resets(client, id, under) {
    client.send(get(`/${['value', 'big', 'late', 'stream'][under(4)]}/${id}`));
    yield under(60);
    client.reset();
  },
  *vanishes(client, id, under) {
    client.send(get(`/${['value', 'late', 'stream'][under(3)]}/${id}`));
    yield under(60);
    client.vanish();
  },
};

/** Those that come to any port. */
const STRANGERS = ['silent', 'half', 'nonsense', 'frames', 'resets', 'vanishes'];
export const PORTS = [80, 81, 82, 83];

const portOf = (name, under) => (name === 'socket' ? PORTS[1 + under(3)] : STRANGERS.includes(name) ? PORTS[under(4)] : PORTS[0]);

/** Most are good. */
const OFTEN = ['once', 'once', 'page', 'page', 'page', 'form', 'download', 'events', 'socket', 'socket'];

class Visit {
  constructor(board, n, under) {
    const names = under(3) ? OFTEN : Object.keys(VISITS);
    this.name = names[under(names.length)];
    this.id = idOf(n);
    this.client = board.connect({ port: portOf(this.name, under), delay: 0.5 + under(40), loss: under(5) ? 0 : 0.03, autoClose: under(10) > 0, window: under(8) ? 65535 : 3000 });
    this.script = VISITS[this.name](this.client, this.id, under);
    this.wakeAt = board.now;
    /** Nobody stays for ever: the visitor switches off. */
    this.leaveAt = board.now + 15 * 60 * SECOND;
  }

  /** False when the visitor is gone. */
  step(board) {
    if (this.client.state === 'closed' && !this.client.paused) return false;
    if (this.script && board.now >= this.wakeAt) {
      const { done, value } = this.script.next();
      if (done) this.script = undefined;
      else this.wakeAt = board.now + value;
    }
    if (board.now > this.leaveAt) this.client.reset();
    return true;
  }
}

/** What must not grow. */
function measure({ board, library, extension, server }) {
  const { fds, held, zombies, pcbs, openFiles } = board.vitals();
  return { heap: holdings(board, [library, extension, server]), fds, held, zombies, pcbs, openFiles };
}

/** Lets everything that is still under way end. */
function settle(board) {
  board.passMicros = IDLE * 1000;
  const isQuiet = () => Object.keys(board.vitals().states).every((state) => state === 'BOUND');
  for (const end = board.now + 100 * 60 * SECOND; board.now < end && !isQuiet();) board.run(SECOND);
  board.passMicros = BUSY * 1000;
}

/**
 * @param {{firmware: 'stock' | 'routed', days: number, seed?: number, every?: number, report?: (line: string) => void}} how every: seconds between
 *   two visitors on average
 * @returns what was in use before and after, and how many came
 */
export function soak({ firmware, days, seed = 1, every = 120, report = () => {} }) {
  const set = setUp(firmware, seed);
  const { board, wrong } = set;
  const random = seededRandom(seed);
  const under = (n) => Math.floor(random() * n);
  keepTwinsApart(board);
  askUntilAnswered(board, idOf(0));
  settle(board);
  const before = measure(set);
  const counts = {};
  let visits = [];
  let nextAt = board.now;
  let count = 0;
  let packets = 0;
  let busyUntil = 0;
  let dayEnds = board.now + DAY;
  const end = board.now + days * DAY;
  while (board.now < end) {
    if (board.now >= nextAt) {
      // Now and then several at once.
      for (let n = under(6) ? 1 : 1 + under(5); n > 0; n--) {
        const visit = new Visit(board, ++count, under);
        counts[visit.name] = (counts[visit.name] ?? 0) + 1;
        visits.push(visit);
      }
      nextAt = board.now + random() * 2 * every * SECOND;
    }
    // While only timeouts pass, they pass quickly.
    if (board.network.order !== packets) [packets, busyUntil] = [board.network.order, board.now + 300];
    const waits = board.now > busyUntil && visits.every(({ wakeAt, script }) => !script || wakeAt > board.now + IDLE);
    board.passMicros = (visits.length === 0 || waits ? IDLE : BUSY) * 1000;
    board.pass();
    visits = visits.filter((visit) => {
      if (visit.step(board)) return true;
      if (visit.client.vanished) return false;
      const other = idsIn(visit.client.text).find((id) => id !== visit.id);
      if (other) throw new Error(`${visit.id} (${visit.name}) got bytes of ${other}`);
      return false;
    });
    // What the model remembers of clients and segments would grow for a month.
    board.network.clients.length = 0;
    board.heap.delivered.length = 0;
    if (board.now >= dayEnds) {
      dayEnds += DAY;
      board.check();
      report(`${firmware}, day ${Math.round(days - (end - dayEnds) / DAY) - 1}: ${count} visitors, ${JSON.stringify(measure(set))}`);
    }
  }
  visits.forEach(({ client }) => client.reset());
  settle(board);
  // Fds of dead connections come back when their PCBs are used again.
  for (let n = 0; n < 10; n++) {
    const five = Array.from({ length: 5 }, (_, k) => new Visitor(board, idOf(1e6 + 10 * n + k)));
    board.runUntil(() => five.every((visitor) => visitor.look()), 60 * SECOND);
    settle(board);
  }
  board.check();
  if (wrong.length > 0) throw new Error(wrong[0]);
  if (board.vitals().misdirected > 0) throw new Error(`${board.vitals().misdirected} bytes went to a wrong client`);
  return { before, after: measure(set), count, counts };
}

/** Up to five numbers stay out of use while a FIN may hit them, and those that have vanished never send one. */
export const NUMBERS = 5;
export const HEAP = NUMBERS * 500;

function main() {
  const days = Number(process.argv[process.argv.indexOf('--days') + 1]) || 30;
  const seed = Number(process.env.SEED) || 1;
  for (const firmware of FIRMWARES) {
    const since = Date.now();
    const { before, after, count, counts } = soak({ firmware, days, seed, report: console.log });
    console.log(`${firmware}: ${count} visitors in ${days} days (${Math.round((Date.now() - since) / 1000)} s), ${JSON.stringify(counts)}`);
    console.log(`before ${JSON.stringify(before)}\nafter  ${JSON.stringify(after)}`);
    if (after.heap - before.heap > HEAP || after.fds - after.held - PORTS.length > NUMBERS || after.pcbs !== after.held || after.openFiles > 0) {
      console.error('something was lost');
      process.exitCode = 1;
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
