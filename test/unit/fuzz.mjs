// Properties for fast-check: whatever clients and networks do, the server keeps its promises. What happens is a value, a "scenario",
// that fast-check makes up, and makes smaller when it has broken something; play() acts it out on a board in memory.
//
//   npm run fuzz                         half an hour of new scenarios
//   npm run fuzz -- --minutes 5          or as long as you like
//   SEED=42 npm run fuzz                 the same ones again
//   SEED=42 REPLAY=17:0:3 npm run fuzz   one that failed, and nothing else: the report says which
import fc from 'fast-check';
import { pathToFileURL } from 'node:url';
import { BROWSER, FIRMWARES } from '../support/serve.mjs';
import { askUntilAnswered, idOf, idsIn, keepTwinsApart } from '../support/strangers.mjs';
import { frame, handshake, serveWebSocket } from '../support/websocket.mjs';

// ------------------------------------------------------------------------------------------------------------- server

/** An iterator of `count` steps, then `last()`. Those that are still running are in `alive`. */
function steps(alive, count, each, last) {
  const iterator = {
    next() {
      if (count-- > 0) return { done: false, value: each?.(count) };
      alive.delete(iterator);
      return { done: true, value: last?.() };
    },
    return() {
      alive.delete(iterator);
      return { done: true, value: undefined };
    },
  };
  alive.add(iterator);
  return iterator;
}

/** What the server prints of its handlers' errors: of those that fail on purpose, of badHeader, of what cannot be JSON. */
const AS_PROGRAMS_DO = /^(Error: (as programs do|Bad status or header)|TypeError: Converting circular)/;
const fail = () => { throw new Error('as programs do'); };

/** Every way in which a handler answers, by name; each is a route "/name/ID". */
function handlers({ Response, FileResponse }, board, alive) {
  return {
    value: (id) => `<${id}>`,
    json: (id) => ({ id }),
    bytes: (id) => new Uint8Array(Buffer.from(`<${id}>`.repeat(40))),
    echo: (id, body) => body,
    none: () => undefined,
    throws: fail,
    badHeader: () => new Response('', 200, '', { x: 'a\r\nb' }),
    badReply: () => { const loop = {}; loop.loop = loop; return loop; },
    big: (id) => `<${id}>`.repeat(6000),
    edge: (id) => `<${id}>`.repeat(2200).slice(0, 10240),
    blocks: (id) => { board.global.delay(150); return `<${id}>`; },
    late: (id) => steps(alive, 40, undefined, () => `<${id}>`),
    lateThrows: () => steps(alive, 20, undefined, fail),
    stream: (id) => new Response(steps(alive, 200, (n) => (n % 5 ? undefined : `<${id}>`))),
    fastStream: (id) => new Response(steps(alive, 60, () => new Uint8Array(Buffer.from(`<${id}>`.repeat(150))))),
    streamThrows: (id) => new Response(steps(alive, 20, (n) => (n ? `<${id}>` : fail()))),
    long: (id) => new Response(steps(alive, 200, () => `<${id}>`.repeat(300))),
    file: () => new FileResponse('/www/file.txt'),
    missing: () => new FileResponse('/www/none.txt'),
    promised: (id) => ({ then: (done) => { board.global.setTimeout(() => done(`<${id}>`), 40); } }), // timers, as promise jobs do not run here
    rejected: () => ({ then: (done, failed) => { board.global.setTimeout(() => failed(new Error('as programs do')), 40); } }),
  };
}

const KINDS = ['value', 'echo', 'json', 'bytes', 'none', 'throws', 'badHeader', 'badReply', 'big', 'edge', 'blocks', 'late', 'lateThrows', 'stream', 'fastStream',
  'streamThrows', 'long', 'file', 'missing', 'promised', 'rejected'];

/** Every way in which a program uses a WebSocket, by name. */
function socketHandlers(alive, note) {
  return {
    *echo(ws, id) {
      for (let message; (message = yield* ws.recv()) !== null;) {
        note(id, message);
        yield* ws.send(`<${id}>`);
      }
    },
    callback(ws, id) {
      ws.onmessage = (message) => {
        note(id, message);
        ws.send(`<${id}>`);
      };
    },
    pushes: (ws, id) => steps(alive, 300, (n) => { if (n % 10 === 0) ws.send(`<${id}>`.repeat(60)); }),
    throws: fail,
    *throwsLater(ws) {
      yield* ws.recv();
      fail();
    },
    *leaves(ws) {
      yield* ws.recv();
    },
    *closes(ws) {
      yield;
      yield* ws.sendClose(4000, 'enough');
    },
    *frames(ws, id) {
      for (let each; (each = yield* ws.recvFrame()) !== null;) {
        note(id, each.payload);
        if (each.opcode === 8) return;
      }
    },
    *deaf() {
      for (let n = 0; n < 500; n++) yield;
    },
  };
}

const SOCKETS = ['echo', 'callback', 'pushes', 'throws', 'throwsLater', 'leaves', 'closes', 'frames', 'deaf'];

/** A server with all of that. `mixed` is what came to a handler although somebody else had sent it. */
function setUp({ firmware, passMicros, seed, mergedReads, reserve, parallel, sockets }) {
  const alive = new Set();
  const mixed = [];
  const note = (id, data) => {
    const text = typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
    for (const other of idsIn(text)) if (other !== id) mixed.push(`${other} in what ${id} sent`);
  };
  const byName = socketHandlers(alive, note);
  const set = serveWebSocket({
    firmware,
    options: { requestTimeoutSeconds: 2, pingSeconds: 1, reserve, maxParallelConnections: parallel, sockets },
    board: { passMicros, seed, mergedReads, files: { '/www/file.txt': '<file>'.repeat(1500) } },
    routes: (server, library, board) => {
      server.route('/ws/(\\w+)/(\\w+)', 'WEBSOCKET', (path, headers, ws) => {
        const [, , name, id] = path.split('/');
        if (headers['x-id']) note(id, headers['x-id']);
        return byName[name]?.(ws, id);
      });
      for (const [name, handler] of Object.entries(handlers(library, board, alive))) {
        const checked = (path, query, headers, body, match) => {
          note(match[1], `${query} ${headers['x-id']} ${Buffer.from(body).toString('latin1')}`);
          return handler(match[1], body);
        };
        server.route(`/${name}/(\\w+)`, 'GET', checked).route(`/${name}/(\\w+)`, 'POST', checked);
      }
    },
  });
  return { ...set, alive, mixed };
}

// ----------------------------------------------------------------------------------------------------------- scenarios

const some = fc.constantFrom;
/** Milliseconds until the next thing happens: mostly at once, now and then longer than some timeout. */
const pause = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: 30 }) }, { weight: 3, arbitrary: fc.integer({ min: 0, max: 400 }) },
  { weight: 1, arbitrary: some(260, 510, 1100, 2100, 3100) });
/** Where bytes are cut into segments, in thousandths of their length, and the time between those. */
const cuts = { cuts: fc.array(fc.nat(999), { maxLength: 4 }), gap: fc.oneof(some(0, 1, 20), fc.nat(700)) };

const ask = fc.record({
  what: fc.constant('ask'), kind: some(...KINDS), method: some('GET', 'GET', 'GET', 'POST', 'HEAD'), body: fc.oneof(fc.nat(40), fc.nat(16384)), close: fc.boolean(),
  browser: fc.boolean(), framed: some(false, false, true),
  spoil: fc.option(fc.record({ at: fc.nat(999), text: some('\0', '\r\n', '\r\n\r\n', '%', 'é', ' ', ':', 'x'.repeat(3000), 'content-length: 9\r\n', '\n') }), { freq: 5 }),
  part: fc.option(fc.nat(999), { freq: 6 }), ...cuts,
});
const upgrade = fc.record({ what: fc.constant('upgrade'), kind: some(...SOCKETS) });
const message = fc.record({
  what: fc.constant('frame'), opcode: some(1, 1, 2, 0, 8, 9, 10), fin: fc.boolean(), mask: some('37fa213d', '00000000'), size: fc.oneof(fc.nat(130), fc.nat(17000)),
  times: some(1, 1, 1, 3, 30),
  spoil: fc.option(fc.record({ at: fc.nat(3), bits: fc.nat(255) }), { freq: 6 }), part: fc.option(fc.nat(999), { freq: 8 }), ...cuts,
});
/** A frame of somebody who has no WebSocket. */
const raw = message.map((one) => ({ ...one, raw: true }));
const noise = fc.record({ what: fc.constant('noise'), data: fc.uint8Array({ minLength: 1, maxLength: 60 }), times: some(1, 1, 50, 400) });
const act = fc.record({ what: some('pause', 'resume', 'end', 'reset', 'vanish') });
const after = (thing) => fc.tuple(pause, thing).map(([wait, rest]) => ({ wait, ...rest }));

const link = { delay: some(0.4, 1, 4, 25, 90), loss: some(0, 0, 0, 0.05, 0.2), autoClose: some(true, true, true, false), window: some(65535, 65535, 3000, 200), segment: some(1460, 1460, 536, 7, 1) };

/** What one client does, on the web and on a WebSocket. */
const visitor = (port, things) => fc.record({ wait: pause, port, ...link, things: fc.array(things, { minLength: 0, maxLength: 6 }) });
const reader = visitor(some(80, 80, 80, 81, 82, 83), after(fc.oneof({ weight: 5, arbitrary: ask }, { weight: 1, arbitrary: noise }, { weight: 2, arbitrary: raw }, { weight: 3, arbitrary: act })));
const socket = fc.tuple(after(upgrade), visitor(some(81, 81, 82, 83, 80), after(fc.oneof({ weight: 5, arbitrary: message }, { weight: 1, arbitrary: noise }, { weight: 2, arbitrary: act }))))
  .map(([first, rest]) => ({ ...rest, things: [first, ...rest.things] }));

/** A web client and a WebSocket that keep to their protocols and have a good line: every request and every frame is whole, in a segment of its own. */
const whole = { spoil: fc.constant(null), part: fc.constant(null), cuts: fc.constant([]), gap: fc.constant(0) };
const politeLink = { delay: some(0.4, 1, 4, 25), loss: fc.constant(0), autoClose: fc.boolean(), window: some(65535, 3000), segment: fc.constant(1460) };
const politeAsk = fc.record({
  what: fc.constant('ask'), kind: some(...KINDS), method: some('GET', 'POST', 'HEAD'), body: fc.nat(900), close: fc.boolean(), browser: fc.boolean(), framed: fc.boolean(), ...whole,
});
const politeFrame = fc.record({
  what: fc.constant('frame'), opcode: some(1, 2, 9, 10), fin: fc.constant(true), mask: some('37fa213d', '00000000'), size: fc.nat(1400), times: fc.constant(1), ...whole,
});
const politeReader = fc.record({ wait: pause, port: some(80, 80, 80, 81), ...politeLink, things: fc.array(after(fc.oneof({ weight: 4, arbitrary: politeAsk }, { weight: 1, arbitrary: act })), { maxLength: 5 }) });
/** One that is not polite, but says who it is. */
const stranger = fc.record({
  wait: pause, port: some(80, 81, 82, 83), stranger: fc.constant(true), ...politeLink,
  things: fc.array(after(fc.oneof({ weight: 3, arbitrary: politeFrame.map((one) => ({ ...one, raw: true })) }, { weight: 1, arbitrary: politeAsk }, { weight: 1, arbitrary: act })), { maxLength: 5 }),
});
const politeSocket = fc.record({
  wait: pause, port: some(81, 82, 83), ...politeLink, first: after(upgrade), things: fc.array(after(fc.oneof({ weight: 6, arbitrary: politeFrame }, { weight: 1, arbitrary: act })), { maxLength: 20 }),
}).map(({ first, things, ...rest }) => ({ ...rest, things: [first, ...things] }));

const world = {
  firmware: some(...FIRMWARES), passMicros: some(1000, 1000, 300, 5000, 30000), seed: fc.nat(1000), mergedReads: fc.boolean(), reserve: some(0, 0, 0, 1, 2), parallel: some(5, 5, 5, 2, 1),
  sockets: some(3, 3, 3, 4, 1, 0),
};

/** Web clients only. */
export const pages = fc.record({ ...world, clients: fc.array(reader, { minLength: 1, maxLength: 12 }) });
/** Web clients and WebSockets. */
export const everything = fc.record({ ...world, clients: fc.array(fc.oneof({ weight: 2, arbitrary: reader }, { weight: 1, arbitrary: socket }), { minLength: 1, maxLength: 10 }) });
/** Web clients and WebSockets that keep to their protocols, and strangers. */
export const polite = fc.record({ ...world, mergedReads: fc.constant(false), clients: fc.array(fc.oneof(politeReader, politeSocket, stranger), { minLength: 1, maxLength: 10 }) });

// ------------------------------------------------------------------------------------------------------------- acting

const at = (length, thousandths) => Math.floor((length * thousandths) / 1000);

/** The bytes of a request, or of some of it. */
function requestOf(id, { kind, method, body, close, browser, framed, spoil, part }) {
  let content = method === 'POST' ? `<${id}>`.repeat(Math.ceil(body / 5)).slice(0, body) : '';
  if (content && framed) content = frame(1, content).toString('latin1');
  let text = `${method} /${kind}/${id}?${id} HTTP/1.1\r\nhost: x\r\nx-id: ${id}\r\n${close ? 'connection: close\r\n' : ''}${browser ? BROWSER : ''}`
    + `${method === 'POST' ? `content-length: ${content.length}\r\n` : ''}\r\n${content}`;
  if (spoil) text = text.slice(0, at(text.length, spoil.at)) + Buffer.from(spoil.text).toString('latin1') + text.slice(at(text.length, spoil.at));
  // Cut so that no name is cut: half a name may be another client's.
  return Buffer.from(part === null ? text : text.slice(0, at(text.length, part)), 'latin1');
}

function frameOf(id, { opcode, fin, mask, size, times, spoil, part }) {
  const control = opcode > 7;
  const payload = opcode === 8 ? Buffer.from([3, 232]) : Buffer.from(`<${id}>`.repeat(Math.ceil(size / 5)).slice(0, control ? Math.min(size, 125) : size));
  const one = frame(opcode, payload, { fin: control || fin, mask: Buffer.from(mask, 'hex') });
  if (spoil) one[Math.min(spoil.at, one.length - 1)] ^= spoil.bits;
  const whole = Buffer.concat(Array.from({ length: times }, () => one));
  return part === null ? whole : whole.subarray(0, at(whole.length, part));
}

/** What a client may send, as bytes. */
const SENDS = {
  ask: requestOf,
  frame: frameOf,
  upgrade: (id, { kind }) => Buffer.from(handshake({ path: `/ws/${kind}/${id}`, 'x-id': id })),
  noise: (id, { times, data }) => Buffer.concat(Array.from({ length: times }, () => data)),
};
const bytesOf = (id, thing) => SENDS[thing.what](id, thing);

/** Frames wait for their 101: without one they are never sent. Not so those of strangers. */
function send(client, { what, raw: waitsForNothing }, piece) {
  if (what !== 'frame' || waitsForNothing || client.switched) return client.send(piece);
  client.frames ??= [];
  client.frames.push(piece);
  client.onData = () => {
    client.switched ||= /^HTTP\/1.1 101 [^]*\r\n\r\n/.test(client.text);
    if (client.switched) for (const each of client.frames.splice(0)) client.send(each);
  };
  return client;
}

/** What happens, by time: [ms, action]. */
function agendaOf(board, clients) {
  const agenda = [];
  const cast = clients.map(({ wait, things, stranger: isStranger = false, ...options }, n) => {
    const actor = { id: idOf(n), client: undefined, isStranger };
    let time = wait;
    // Thousands of tiny segments take long and show nothing more.
    const total = things.reduce((sum, thing) => sum + (thing.what in SENDS ? bytesOf(actor.id, thing).length : 0), 0);
    const segment = Math.max(options.segment, Math.ceil(total / 1000));
    agenda.push([time, () => { actor.client = board.connect({ ...options, segment }); }]);
    for (const thing of things) {
      time += thing.wait;
      if (thing.what in SENDS) {
        const bytes = bytesOf(actor.id, thing);
        const ends = [...new Set((thing.cuts ?? []).map((cut) => at(bytes.length, cut)))].sort((a, b) => a - b).concat(bytes.length);
        let from = 0;
        for (const end of ends) {
          const piece = bytes.subarray(from, end);
          agenda.push([time, () => send(actor.client, thing, piece)]);
          if (end < bytes.length) time += thing.gap;
          from = end;
        }
      } else {
        agenda.push([time, () => { actor.client[thing.what](); }]);
      }
    }
    return actor;
  });
  return { cast, agenda: agenda.sort((a, b) => a[0] - b[0]) };
}

const claim = (truth, what) => { if (!truth) throw new Error(typeof what === 'function' ? what() : what); };

/** Milliseconds in which a client with a good line has ended; and one that takes 300 KB, 200 bytes at a time, and loses one packet in five. */
const PATIENCE = 120000;
const MUCH_PATIENCE = 2400000;
/** And in which lwIP has given up those that have vanished. */
const QUIET = 6000000;
/** Numbers of the driver's that listen, or stay out of use as a FIN may still hit them. */
const NUMBERS = 9;

/** Whether a client was told that it does not keep to its protocol: by an answer, or by the code of a close frame. */
const isRebuked = ({ text }) => /HTTP\/1\.1 (?!101|200|204|404|405|421|500|503)/.test(text)
  || [1002, 1007, 1009].some((code) => text.includes(String.fromCharCode(0x88, 2, code >> 8, code & 255)));

/**
 * Acts a scenario out and looks whether the promises were kept.
 * @param {object} scenario of pages or everything
 * @param {{keepsToProtocol?: boolean}} [how] all clients but strangers do, and so none of them may be told that it does not
 */
export function play(scenario, { keepsToProtocol = false } = {}) {
  const set = setUp(scenario);
  const { board, alive, mixed } = set;
  keepTwinsApart(board);
  const { cast, agenda } = agendaOf(board, scenario.clients);
  const start = board.now;
  for (const [time, action] of agenda) {
    if (start + time > board.now) board.run(start + time - board.now);
    action();
  }
  const acted = board.now;
  // One whose last acknowledgement or FIN got lost may not know that the board has done with it.
  const isGone = ({ client }) => client.state === 'closed' || client.ended || client.paused || client.vanished || (client.state === 'open' && !client.boardEnd?.alive);
  const isOver = () => cast.every((each) => isGone(each) && each.client.state !== 'connecting') && alive.size === 0
    && !board.lwip.pcbs.some((pcb) => ['SYN_RCVD', 'ESTABLISHED'].includes(pcb.state));
  for (const end = board.now + MUCH_PATIENCE; board.now < end && !isOver();) board.run(100);
  board.run(100);
  for (const { client, id, isStranger } of cast) {
    claim(isGone({ client }), () => `${id} is still ${client.state}: ${JSON.stringify(board.vitals())}`);
    const lasted = (client.endedAt ?? client.closedAt ?? 0) - Math.max(client.connectedAt, acted);
    claim(!(lasted > PATIENCE) || client.loss > 0 || client.receiveWindow < 65535 || client.paused, () => `${id} was there for ${lasted} ms after all had been done`);
    claim(client.vanished || idsIn(client.text).every((other) => other === id), () => `${id} got bytes of ${idsIn(client.text).find((other) => other !== id)}`);
    claim(!keepsToProtocol || isStranger || !isRebuked(client), () => `${id} keeps to its protocol, and was told otherwise: ${JSON.stringify(client.text.slice(-300))}`);
  }
  const { states } = board.vitals();
  claim(!states.ESTABLISHED && !states.CLOSE_WAIT, () => `the server has not ended its connections: ${JSON.stringify(states)}`);
  claim(alive.size === 0, `${alive.size} iterators of handlers were not told that it is over`);
  claim(board.fs.openFiles === 0, `${board.fs.openFiles} files are open`);
  claim(mixed.length === 0, mixed[0]);
  claim(board.vitals().misdirected === 0, `${board.vitals().misdirected} bytes went to a wrong client`);

  // While a client asks now and then whether there is room, and has none itself, its PCB is in use: nothing in TCP ends that.
  for (const { client } of cast) if (client.paused) client.reset();
  board.passMicros = 100000;
  const isQuiet = () => Object.keys(board.vitals().states).every((state) => state === 'BOUND');
  for (const end = board.now + QUIET; board.now < end && !isQuiet();) board.run(10000);
  board.passMicros = 1000;
  const { held, fds, states: { BOUND = 0, ...others } } = board.vitals();
  claim(Object.keys(others).length === 0 && BOUND === held, () => `PCBs are still in use: ${JSON.stringify(board.vitals())}`);
  claim(fds <= held + NUMBERS, () => `fds are lost: ${JSON.stringify(board.vitals())}`);

  for (let n = 0; n < 8; n++) askUntilAnswered(board, idOf(1000 + n));
  claim(board.vitals().misdirected === 0, 'bytes for a dead client went to a later one');
  const unexpected = board.console.find(({ text }) => !AS_PROGRAMS_DO.test(text));
  claim(!unexpected, () => `printed: ${unexpected.text}`);
  for (const error of board.violations) throw error;
  return board;
}

// ---------------------------------------------------------------------------------------------------------- properties

/** One request, changed a little, in segments of any size: the answer is the same as when it comes at once. */
const cutting = fc.record({
  firmware: some(...FIRMWARES), request: ask.map((request) => ({ ...request, part: null, close: true })), pieces: fc.array(fc.nat(999), { minLength: 1, maxLength: 30 }),
});

const firstAnswer = (client) => {
  const [head, ...rest] = client.text.split('\r\n\r\n');
  const length = /content-length: (\d+)/.exec(head);
  const body = rest.join('\r\n\r\n');
  // What comes behind a request resets a stream.
  return `${head}\n\n${length ? body.slice(0, +length[1]) : ''}`;
};

function playCuts({ firmware, request, pieces }) {
  const bytes = requestOf('c0z', request);
  const ends = [...new Set(pieces.map((cut) => at(bytes.length, cut)))].sort((a, b) => a - b).concat(bytes.length);
  const answers = [[bytes.length], ends].map((all) => {
    const { board } = setUp({ firmware, passMicros: 200, seed: 1 });
    const client = board.connect({ port: 80, delay: 0.3 });
    let from = 0;
    for (const end of all) {
      client.send(bytes.subarray(from, end));
      board.run(2);
      from = end;
    }
    board.run(3000);
    board.check();
    return client.wasReset ? undefined : firstAnswer(client); // bytes behind a request reset the client of a longer answer
  });
  claim(answers[0] === answers[1] || answers.includes(undefined), () => `at once: ${JSON.stringify(answers[0].slice(0, 300))}, in pieces: ${JSON.stringify(answers[1].slice(0, 300))}`);
}

export const properties = {
  'web clients': fc.property(pages, (scenario) => { play(scenario); }),
  'web clients and WebSockets': fc.property(everything, (scenario) => { play(scenario); }),
  'web clients and WebSockets that keep to their protocols, beside strangers': fc.property(polite, (scenario) => { play(scenario, { keepsToProtocol: true }); }),
  'the same request in other segments': fc.property(cutting, playCuts),
};

/**
 * Runs one property. Throws with seed, path and the smallest scenario that breaks it.
 * @param {string} name
 * @param {{seed: number, runs?: number, milliseconds?: number, path?: string}} how
 * @returns {number} how many scenarios were played
 */
export function run(name, { seed, runs = 1e9, milliseconds, path }) {
  const details = fc.check(properties[name], {
    seed, path, numRuns: path ? 1 : runs, endOnFailure: Boolean(path),
    ...(milliseconds && !path && { interruptAfterTimeLimit: milliseconds, markInterruptAsFailure: false }),
  });
  if (!details.failed || (details.interrupted && details.counterexample === null)) return details.numRuns;
  const error = details.errorInstance;
  throw new Error(`${name}: ${error?.message ?? details.error}\nSEED=${details.seed} REPLAY=${details.counterexamplePath} ONLY='${name}' npm run fuzz\n`
    + `after ${details.numRuns} scenarios, made ${details.numShrinks} times smaller:\n${JSON.stringify(details.counterexample?.[0])}`, { cause: error });
}

async function main() {
  const minutes = Number(process.argv[process.argv.indexOf('--minutes') + 1]) || 30;
  const { REPLAY, ONLY } = process.env;
  const end = Date.now() + minutes * 60000;
  const names = Object.keys(properties).filter((name) => !ONLY || name === ONLY);
  let seed = Number(process.env.SEED) || Date.now() % 1e9;
  let count = 0;
  for (; Date.now() < end; seed++) {
    console.log(`seed ${seed}, ${count} scenarios so far`);
    for (const name of names) {
      count += run(name, { seed, runs: 500, milliseconds: Math.max(1, end - Date.now()), path: REPLAY });
      await new Promise((resolve) => setImmediate(resolve)); // what the model refers to weakly is kept until then
    }
    if (REPLAY) break;
  }
  console.log(REPLAY ? 'This one keeps every promise.' : `${count} scenarios, and every promise was kept`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
