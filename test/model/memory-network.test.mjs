// The network in memory: packets, clients, loss and delay.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Board } from '../board/index.mjs';
import { connectTo, listenOn } from '../board/testing.mjs';

const pattern = (length) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);

/** Sends everything, as its buffer allows, and closes. */
function sendAll(board, fd, bytes) {
  const { netdev } = board;
  let position = 0;
  const id = board.global.setInterval(() => {
    for (;;) {
      if (position === bytes.length) {
        netdev.close(fd);
        board.global.clearInterval(id);
        return;
      }
      const part = bytes.subarray(position, position + 1024);
      netdev.write(fd, Buffer.from(part).toString('latin1'));
      if (netdev.errno !== 0) return;
      position += part.length;
    }
  }, 0);
}

describe('a client', () => {
  test('connects after one round trip', () => {
    const board = new Board({ passMicros: 100 });
    listenOn(board);
    const client = board.connect({ delay: 25 });
    assert.equal(client.state, 'connecting');
    board.run(60);
    assert.deepEqual([client.state, client.connectedAt], ['open', 50]);
  });

  test('what it sends before it is connected waits', () => {
    const board = new Board();
    const server = listenOn(board);
    board.connect().send('early');
    board.run(10);
    assert.deepEqual(server.received, ['early']);
  });

  test('every send makes segments of its own, of at most `segment` bytes', () => {
    const board = new Board();
    const server = listenOn(board);
    board.connect({ segment: 3 }).send('abcdefg').send('h');
    board.run(20);
    assert.deepEqual(server.received, ['abc', 'def', 'g', 'h']);
  });

  test('sends Latin-1, or bytes', () => {
    const board = new Board();
    const server = listenOn(board);
    board.connect().send('\u00ff').send([1, 2]).send(new Uint8Array([3]));
    board.run(20);
    assert.equal(server.received.join(''), '\u00ff\u0001\u0002\u0003');
  });

  test('answers the server\'s FIN with its own, unless it is told not to', () => {
    const board = new Board();
    const server = listenOn(board);
    const polite = connectTo(board, server);
    const rude = connectTo(board, server, { autoClose: false });
    board.netdev.close(polite.fd);
    board.netdev.close(rude.fd);
    board.run(20);
    assert.deepEqual([polite.client.state, polite.client.ended], ['closed', true]);
    assert.deepEqual([rude.client.state, rude.client.ended], ['open', true]);
    assert.deepEqual(board.vitals().states, { TIME_WAIT: 1, FIN_WAIT_2: 1 });
  });

  test('tells its script what happens', () => {
    const board = new Board();
    const server = listenOn(board);
    const events = [];
    const client = board.connect();
    client.onConnect = () => { events.push('connect'); };
    client.onData = (bytes) => { events.push(Buffer.from(bytes).toString()); };
    client.onEnd = () => { events.push('end'); };
    server.onAccept = (fd) => {
      board.netdev.write(fd, 'hi');
      board.netdev.close(fd);
    };
    board.run(20);
    assert.deepEqual(events, ['connect', 'hi', 'end']);
    assert.equal(client.endedAt, client.closedAt - 2);
  });

  test('is told of a reset', () => {
    const board = new Board();
    listenOn(board);
    const client = board.connect({ port: 99 });
    let reset = false;
    client.onReset = () => { reset = true; };
    board.run(10);
    assert.deepEqual([reset, client.wasReset], [true, true]);
  });

  test('that pauses takes its window full and no more', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board), { window: 4000 });
    client.pause();
    for (let i = 0; i < 11; i++) board.netdev.write(fd, 'x'.repeat(1000));
    board.run(1000);
    assert.equal(client.bytes.length, 0);
    board.netdev.write(fd, 'x'.repeat(1000));
    board.netdev.write(fd, 'x'.repeat(1000));
    board.netdev.write(fd, 'x'.repeat(1000));
    board.netdev.write(fd, 'x'.repeat(1000));
    assert.equal(board.netdev.errno, 0);
    board.netdev.write(fd, 'x'.repeat(1000));
    assert.equal(board.netdev.errno, -1);
    board.run(60000);
    client.resume();
    board.run(100);
    assert.equal(client.bytes.length, 15000);
  });

  test('that resumes while its packets get lost is found by the board\'s probes', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board), { window: 1460 });
    client.pause();
    for (let i = 0; i < 4; i++) board.netdev.write(fd, 'x'.repeat(1000));
    board.run(100);
    board.network.onPacket = ({ from }) => (from === 'client' ? 'drop' : 'deliver');
    client.resume();
    board.run(100);
    board.network.onPacket = () => undefined;
    board.run(5000);
    assert.equal(client.bytes.length, 4000);
  });

  test('with a window smaller than a segment gets everything in small pieces', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board), { window: 100 });
    board.netdev.write(fd, 'y'.repeat(1000));
    board.run(100);
    assert.equal(client.bytes.length, 1000);
  });

  test('that resets is gone at once', () => {
    const board = new Board();
    const { client } = connectTo(board, listenOn(board));
    client.reset();
    assert.equal(client.state, 'closed');
    board.run(5);
    assert.deepEqual(board.vitals().states, {});
  });

  test('that vanished does not get what was on its way', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board), { delay: 10 });
    board.netdev.write(fd, 'x');
    board.run(5);
    client.vanish();
    board.run(20);
    assert.equal(client.text, '');
  });

  test('that vanished sends nothing and gets nothing', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    client.vanish();
    client.send('x');
    board.netdev.write(fd, 'y');
    board.run(3000);
    assert.deepEqual([server.received, client.text], [[], '']);
  });
});

describe('the board\'s own connections', () => {
  test('stay unanswered when nobody is there, and give their PCB back after some minutes', () => {
    const board = new Board({ passMicros: 10000 });
    const { netdev } = board;
    netdev.connect(netdev.socket('AF_INET', 'STREAM'), '192.168.1.9', 80);
    assert.equal(netdev.errno, 0);
    board.run(60000);
    assert.deepEqual(board.vitals().states, { SYN_SENT: 1 });
    board.run(100000);
    assert.deepEqual(board.vitals().states, {});
  });

  test('talk to a scripted peer; bytes come to their own object', () => {
    const board = new Board();
    const server = listenOn(board);
    const { netdev } = board;
    const peers = [];
    board.network.onOutgoing = (peer, address, port) => {
      peers.push(`${address}:${port}`);
      peer.onData = (bytes) => { peer.send(`you said ${Buffer.from(bytes)}`).end(); };
    };
    const fd = netdev.socket('AF_INET', 'STREAM');
    const object = netdev.get(fd);
    const events = [];
    object.connect_cb = () => {
      events.push('connected');
      netdev.write(fd, 'hello');
    };
    object.read_cb = (data) => { events.push(Buffer.from(data).toString()); };
    object.close_cb = () => { events.push('closed'); };
    netdev.connect(fd, '192.168.1.9', 8080);
    board.run(50);
    assert.deepEqual(peers, ['192.168.1.9:8080']);
    assert.deepEqual(events, ['connected', 'you said hello', 'closed']);
    assert.deepEqual([object.state, server.received], [2, []]);
    board.check();
  });
});

describe('packets', () => {
  test('are seen with their flags and sequence numbers', () => {
    const board = new Board();
    listenOn(board);
    const seen = [];
    board.network.onPacket = ({ from, flags, seq, length, at }) => {
      const names = Object.keys(flags).filter((name) => flags[name]).join('+');
      seen.push(`${at} ${from} ${names} ${seq} ${length}`);
    };
    const client = board.connect({ delay: 5 });
    client.send('abc');
    board.run(30);
    assert.deepEqual(seen, [
      '0 client syn 0 0',
      '5 board syn+ack 0 0',
      '10 client ack 1 3',
      '15 board ack 1 0',
    ]);
  });

  test('can be dropped: the board repeats after about 1 s, then 2 s', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board));
    const sent = [];
    const start = board.now;
    board.network.onPacket = ({ from, length, at }) => {
      if (from !== 'board' || length === 0) return undefined;
      sent.push(Math.round((at - start) / 100) * 100);
      return sent.length < 3 ? 'drop' : 'deliver';
    };
    board.netdev.write(fd, 'x');
    board.run(5000);
    assert.deepEqual(sent, [0, 1000, 3000]);
  });

  test('a client repeats after about 200 ms', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client } = connectTo(board, server);
    const start = board.now;
    let dropped = 0;
    board.network.onPacket = ({ from, length }) => (from === 'client' && length > 0 && dropped++ === 0 ? 'drop' : 'deliver');
    client.send('x');
    board.runUntil(() => server.received.length > 0);
    assert.equal(Math.round((board.now - start) / 10) * 10, 200);
  });

  test('can be delayed: what overtakes waits for what is missing', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client } = connectTo(board, server);
    let first = true;
    board.network.onPacket = ({ from, length }) => {
      if (from !== 'client' || length === 0 || !first) return 'deliver';
      first = false;
      return 30;
    };
    client.send('a').send('b').send('c');
    board.run(20);
    assert.deepEqual(server.received, []);
    board.run(20);
    assert.deepEqual(server.received, ['a', 'b', 'c']);
  });

  test('with mergedReads, what waited is read in one piece with what was missing', () => {
    const board = new Board({ mergedReads: true });
    const server = listenOn(board);
    const { client } = connectTo(board, server);
    let first = true;
    board.network.onPacket = ({ from, length }) => {
      if (from !== 'client' || length === 0 || !first) return 'deliver';
      first = false;
      return 30;
    };
    client.send('a'.repeat(4380));
    board.run(50);
    assert.deepEqual(server.received.map((text) => text.length), [4380]);
  });

  test('three duplicate acknowledgements bring the lost segment at once', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board), { delay: 10 });
    let dropped = false;
    board.network.onPacket = ({ from, length }) => {
      if (from !== 'board' || length === 0 || dropped) return 'deliver';
      dropped = true;
      return 'drop';
    };
    for (let i = 0; i < 8; i++) board.netdev.write(fd, 'x'.repeat(1024));
    const start = board.now;
    board.runUntil(() => client.bytes.length === 8192);
    assert.ok(board.now - start < 100, `${board.now - start} ms`);
  });

  test('a reset with the wrong sequence number does not reset', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client } = connectTo(board, server);
    board.network.onPacket = ({ from, length }) => (from === 'client' && length > 0 ? 'drop' : undefined);
    client.send('lost');
    client.reset();
    board.run(1);
    assert.deepEqual(board.vitals().states, { ESTABLISHED: 1 });
    // The board asks; the answer has the right number.
    board.run(5);
    assert.deepEqual(board.vitals().states, {});
  });

  for (const loss of [0, 0.02, 0.1]) {
    test(`300 KB each way arrive intact over 20 ms and ${loss * 100} % loss`, () => {
      const board = new Board({ seed: 7 });
      const server = listenOn(board);
      // Without copies the garbage collector would not keep up; that is another test's subject.
      server.object.read_cb = (data) => { server.received.push(Buffer.from(new board.global.Uint8Array(data)).toString('latin1')); };
      const { client, fd } = connectTo(board, server, { delay: 20, loss });
      const up = pattern(300000);
      const down = pattern(300000).reverse();
      client.send(up);
      board.runUntil(() => server.received.join('').length === up.length, 600000);
      sendAll(board, fd, down);
      board.runUntil(() => client.ended, 600000);
      // A message of its own: the difference of two such texts takes minutes to print.
      assert.ok(Buffer.from(server.received.join(''), 'latin1').equals(up), 'what went up is what came');
      assert.ok(Buffer.from(client.bytes).equals(down), 'what went down is what came');
      assert.ok(board.now < (loss < 0.1 ? 10000 : 60000), `${board.now} ms`);
      board.check();
    });
  }

  test('the same seed gives the same run, another seed another one', () => {
    const run = (seed) => {
      const board = new Board({ seed });
      const { client, fd } = connectTo(board, listenOn(board), { delay: 20, loss: 0.05 });
      sendAll(board, fd, pattern(50000));
      board.runUntil(() => client.ended, 60000);
      return board.now;
    };
    assert.equal(run(3), run(3));
    assert.notEqual(run(3), run(4));
  });
});
