// Ten thousand random interleavings on stock firmware: three WebSockets, two pages and a stranger, whose bytes come in pieces of any size and
// in any order. Each byte reaches its own connection's handler, or nobody. Some of the boards have more PCBs than lwIP, or leave some to
// newcomers, so that there is more to mix up. SEED=n plays others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../board/random.mjs';
import { BROWSER, TURNED_AWAY } from '../support/serve.mjs';
import { idOf, idsIn, keepTwinsApart } from '../support/strangers.mjs';
import { BINARY, bytes, CLOSE, frame, handshake, openPatiently, PING, serveWebSocket, TEXT } from '../support/websocket.mjs';

const SEED = Number(process.env.SEED) || 1;
const BOARDS = 200;
const ROUNDS = 50;

const isOver = (client) => client.state === 'closed' || client.ended;

/** One board, and what came to its handlers. Everything that a client sends names it. */
class Scene {
  constructor(random) {
    this.pick = (count) => Math.floor(random() * count);
    this.one = (list) => list[this.pick(list.length)];
    this.count = 0;
    this.sockets = {};
    this.requests = {};
    this.foreign = [];
    const pcbs = this.one([5, 5, 6, 8]);
    const { board } = serveWebSocket({
      firmware: 'stock',
      options: { reserve: this.pick(pcbs - 4), maxParallelConnections: 8, pingSeconds: 0, maxMessageBytes: 8192 },
      board: { passMicros: this.one([300, 1000, 1000, 3000]), pcbs, fds: 11 + pcbs },
      routes: (server) => {
        server.route('/ws/(\\w+)', 'WEBSOCKET', (path, headers, ws, query, match) => this.socketOpened(match[1], headers, ws));
        for (const method of ['GET', 'POST']) server.route('/page/(\\w+)', method, (path, query, headers, body, match) => this.asked(match[1], `${query} ${headers['x-id']}`, body));
      },
    });
    this.board = board;
    keepTwinsApart(board);
  }

  newId() {
    return idOf(this.count++);
  }

  note(id, text) {
    for (const other of idsIn(text)) if (other !== id) this.foreign.push(`${other} in what came to ${id}`);
  }

  socketOpened(id, headers, ws) {
    const socket = this.sockets[id] = { messages: [], codes: [] };
    this.note(id, headers['x-id']);
    ws.onclose = (code) => { socket.codes.push(code); };
    ws.onmessage = (message) => {
      const text = Buffer.from(message).toString('latin1');
      this.note(id, text);
      socket.messages.push(text);
      ws.send(`<${id} ${socket.messages.length}>`);
    };
  }

  asked(id, head, body) {
    const text = Buffer.from(body).toString('latin1');
    this.note(id, `${head} ${text}`);
    (this.requests[id] ??= []).push(text);
    return `<${id}>`;
  }

  /** In pieces, up to four. */
  cut(data) {
    const whole = Buffer.from(data, 'latin1');
    const ends = Array.from({ length: this.pick(4) }, () => this.pick(whole.length)).sort((a, b) => a - b);
    return [...ends, whole.length].map((end, n) => whole.subarray(ends[n - 1] ?? 0, end)).filter(({ length }) => length > 0);
  }

  link() {
    return { delay: this.one([0.1, 0.5, 0.5, 2]), segment: this.one([1460, 1460, 100]) };
  }
}

/** A client with a WebSocket, at a port of its own. */
class Talker {
  constructor(scene, port) {
    Object.assign(this, { scene, port, opened: 0, leaving: false });
  }

  open() {
    const { board } = this.scene;
    const { passMicros } = board;
    this.id = this.scene.newId();
    this.sent = [];
    board.passMicros = 5000;
    this.peer = openPatiently(board, { port: this.port, path: `/ws/${this.id}`, headers: { 'x-id': this.id }, ...this.scene.link() });
    board.passMicros = passMicros;
    this.opened++;
  }

  plan() {
    if (!this.peer) this.open();
    const { scene, sent, id } = this;
    const { pick, one } = scene;
    const payload = Buffer.from(`${id} ${sent.length} ${one(['', 'abc', 'GET / HTTP/1.1\r\n\r\n']).repeat(pick(4) ? pick(10) : pick(300))}`);
    const options = { mask: Buffer.from(one(['00000000', '37fa213d', '47455420']), 'hex') };
    const opcode = one([TEXT, TEXT, BINARY]);
    this.leaving = pick(60) === 0;
    if (this.leaving) return scene.cut(frame(opcode, payload, options).subarray(0, -1));
    sent.push(payload.toString());
    if (pick(3)) return scene.cut(frame(opcode, payload, options));
    const at = pick(payload.length);
    const parts = [frame(opcode, payload.subarray(0, at), { ...options, fin: false }), frame(0, payload.subarray(at), options)];
    if (pick(2)) parts.splice(1, 0, frame(PING, id, options));
    return scene.cut(Buffer.concat(parts));
  }

  get client() {
    return this.peer.client;
  }

  /** All that was sent has come, and so has what was answered. */
  get settled() {
    return this.peer.messages.length >= this.sent.length;
  }

  look() {
    const { scene, id, sent, peer } = this;
    const { messages, codes } = scene.sockets[id];
    assert.deepEqual(messages, sent);
    assert.deepEqual(codes, []);
    assert.deepEqual(peer.messages, sent.map((_, n) => `<${id} ${n + 1}>`));
    if (!this.leaving) return assert.equal(peer.over, false);
    scene.one([() => peer.client.end(), () => peer.client.reset()])();
    this.peer = undefined;
    return undefined;
  }
}

/** A client that asks for pages, one after the other, on one connection if it may. */
class Page {
  constructor(scene) {
    Object.assign(this, { scene, answered: 0, asked: 0, lost: 0, waiting: false });
  }

  plan() {
    const { scene } = this;
    if (this.client && !this.waiting && scene.pick(8) === 0) this.client[scene.one(['end', 'reset'])]();
    if (!this.client || isOver(this.client) || this.client.finished) {
      this.browser = scene.pick(3) > 0;
      this.client = scene.board.connect({ port: 80, ...scene.link() });
      this.waiting = false;
    }
    if (this.waiting) return [];
    this.id = scene.newId();
    this.base = this.client.text.length;
    this.waiting = true;
    this.asked++;
    this.body = scene.pick(2) ? '' : this.id.repeat(1 + scene.pick(60));
    return scene.cut(`${this.body ? 'POST' : 'GET'} /page/${this.id}?${this.id} HTTP/1.1\r\nhost: x\r\n${this.browser ? BROWSER : ''}x-id: ${this.id}\r\n`
      + `${this.body ? `content-length: ${this.body.length}\r\n` : ''}\r\n${this.body}`);
  }

  look() {
    const { scene: { requests }, id, client, base, body } = this;
    if (!this.waiting) return;
    const text = client.text.slice(base);
    if (text && text !== TURNED_AWAY) {
      const answer = `HTTP/1.1 200 \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${id.length + 2}\r\n{close}\r\n<${id}>`;
      assert.ok(['', 'connection: close\r\n'].some((close) => answer.replace('{close}', close) === text), `${id} got ${JSON.stringify(text)}`);
      assert.deepEqual(requests[id], [body]);
      this.answered++;
      this.waiting = false;
    } else if (isOver(client)) {
      assert.equal(requests[id], undefined, `${id} was heard and not answered`);
      this.lost++;
      this.waiting = false;
    }
  }
}

/** Anybody, who sends anything to any port. */
class Stranger {
  constructor(scene) {
    Object.assign(this, { scene, turnedAway: 0, heard: 0 });
  }

  leave() {
    this.client?.[this.scene.one(['end', 'reset'])]();
    this.client = undefined;
  }

  plan() {
    const { scene } = this;
    if (!this.client || isOver(this.client) || scene.pick(3)) {
      this.leave();
      this.id = scene.newId();
      this.client = scene.board.connect({ port: 80 + scene.pick(4), ...scene.link() });
    }
    return scene.cut(Buffer.concat(Array.from({ length: 1 + scene.pick(3) }, () => this.something())));
  }

  something() {
    const { scene: { pick, one }, id } = this;
    const post = (body, length = body.length) =>
      Buffer.concat([Buffer.from(`POST /page/${id}?${id} HTTP/1.1\r\nhost: x\r\n${BROWSER}origin: http://evil\r\nx-id: ${id}\r\ncontent-length: ${length}\r\n\r\n`), body]);
    const options = { fin: pick(3) > 0, mask: Buffer.from(one(['00000000', '37fa213d']), 'hex') };
    const whole = frame(one([TEXT, BINARY, 0]), id.repeat(1 + pick(20)), options);
    return one([
      () => whole,
      () => whole.subarray(pick(whole.length)),
      () => whole.subarray(0, pick(whole.length)),
      () => frame(PING, id, options),
      () => frame(CLOSE, bytes('03e8')),
      () => bytes('8104 6576696c'),
      () => Buffer.from(Array.from({ length: 1 + pick(40) }, () => pick(256))),
      () => Buffer.from(handshake({ path: `/ws/${id}`, 'x-id': id })),
      () => post(whole),
      () => post(whole.subarray(0, pick(whole.length)), whole.length),
      () => Buffer.from(`GET /page/${id}?${id} HTTP/1.1\r\nhost: x\r\nx-id: ${id}\r\n\r\n`),
      () => Buffer.from(`GET /page/${id}?${id} HTTP/1.1\r\nhost: x\r\nx-id: ${id}\r\n\r\n`).subarray(0, 20 + pick(20)),
      () => Buffer.from(`x-id: ${id}\r\n\r\n${id}`),
    ])();
  }

  look() {
    const { client, id } = this;
    assert.ok(idsIn(client.text).every((other) => other === id), `stranger ${id} got ${JSON.stringify(client.text)}`);
    if (client.text === TURNED_AWAY || (!client.text && isOver(client))) this.turnedAway++;
    else if (client.text) this.heard++;
  }
}

/** All have something to send, and it is sent piece by piece. */
function round({ board, pick, one, foreign }, actors) {
  const queues = actors.map((actor) => actor.plan().map((piece) => () => actor.client.send(piece)));
  for (let left = queues; left.length > 0; left = left.filter(({ length }) => length > 0)) {
    one(left).shift()?.();
    const gap = one([0, 0, 0.4, 1, 3]);
    if (gap) board.run(gap);
  }
  board.run(8);
  for (const until = board.now + 300; board.now < until && !actors.every(({ settled }) => settled !== false);) board.pass();
  if (pick(8) === 0) {
    const { passMicros } = board;
    board.passMicros = 10000;
    board.run(one([100, 300, 1200]));
    board.passMicros = passMicros;
  }
  for (const actor of actors) actor.look();
  assert.deepEqual(foreign, []);
}

test(`${BOARDS * ROUNDS} interleavings of three WebSockets, two pages and a stranger: no byte reaches anybody else (seed ${SEED})`, (context) => {
  const totals = { opened: 0, answered: 0, asked: 0, lost: 0, heard: 0, turnedAway: 0 };
  for (let n = 0; n < BOARDS; n++) {
    const scene = new Scene(seededRandom(SEED * 1000 + n));
    const stranger = new Stranger(scene);
    const actors = [81, 82, 83].map((port) => new Talker(scene, port)).concat(new Page(scene), new Page(scene), stranger);
    for (let k = 0; k < ROUNDS; k++) {
      try {
        if (actors.some((actor) => actor instanceof Talker && !actor.peer)) stranger.leave(); // it may have that port
        round(scene, actors);
      } catch (error) {
        error.message = `SEED=${SEED}, board ${n}, round ${k}: ${error.message}`;
        throw error;
      }
    }
    assert.equal(scene.board.vitals().misdirected, 0);
    scene.board.check();
    for (const actor of actors) for (const name in totals) totals[name] += actor[name] ?? 0;
  }
  context.diagnostic(JSON.stringify(totals));
  // It was not quiet.
  assert.ok(totals.opened > BOARDS * 3 * 1.2 && totals.answered > BOARDS * ROUNDS / 4 && totals.heard > BOARDS * ROUNDS / 20 && totals.turnedAway > BOARDS * ROUNDS / 20, JSON.stringify(totals));
});
