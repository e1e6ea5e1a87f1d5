// The driver: what `__netdev` gives and does.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Board } from '../board/index.mjs';
import { seededRandom } from '../board/random.mjs';
import { brokenRules, connectTo, holdPcbs, listenOn, probe } from '../board/testing.mjs';

describe('sockets', () => {
  test('fds count from 0, and the lowest free one is taken', () => {
    const { netdev } = new Board();
    assert.deepEqual([0, 1, 2].map(() => netdev.socket('AF_INET', 'STREAM')), [0, 1, 2]);
    netdev.close(1);
    assert.equal(netdev.socket('AF_INET', 'STREAM'), 1);
    assert.equal(netdev.socket('AF_INET', 'STREAM'), 3);
  });

  test('the 17th socket throws Remote I/O error', () => {
    const { netdev } = new Board();
    for (let i = 0; i < 16; i++) netdev.socket('AF_INET', 'STREAM');
    assert.throws(() => netdev.socket('AF_INET', 'STREAM'), { message: 'Remote I/O error' });
  });

  test('without Wi-Fi a socket throws', () => {
    const { netdev } = new Board({ wifi: 'off' });
    assert.throws(() => netdev.socket('AF_INET', 'STREAM'), { name: 'Error', message: 'WiFi is not connected.' });
  });

  test('a fresh object has these properties, and is the same each time', () => {
    const { netdev } = new Board();
    const fd = netdev.socket('AF_INET', 'STREAM');
    assert.deepEqual(netdev.get(fd), { fd: 0, ptcl: 'STREAM', state: 0, laddr: '192.168.1.2', lport: 0, raddr: '0.0.0.0', rport: 0 });
    assert.equal(netdev.get(fd), netdev.get(fd));
  });

  test('get of a free fd is undefined', () => {
    assert.equal(new Board().netdev.get(5), undefined);
  });

  test('socket() sets ip', () => {
    const { netdev } = new Board();
    assert.equal(netdev.ip, undefined);
    netdev.socket('AF_INET', 'STREAM');
    assert.equal(netdev.ip, '192.168.1.2');
  });

  test('state is 0 closed, 1 bound, 3 listening, and 2 for an accepted one', () => {
    const board = new Board();
    const { netdev } = board;
    const fd = netdev.socket('AF_INET', 'STREAM');
    const object = netdev.get(fd);
    assert.equal(object.state, 0);
    netdev.bind(fd, '0.0.0.0', 80);
    assert.equal(object.state, 1);
    netdev.listen(fd);
    assert.equal(object.state, 3);
    board.connect();
    board.run(10);
    assert.equal(netdev.get(1).state, 2);
  });

  test('an accepted object does not know its peer', () => {
    const board = new Board();
    const server = listenOn(board, 8080);
    const { fd } = connectTo(board, server, { port: 8080 });
    const { raddr, rport, lport } = board.netdev.get(fd);
    assert.deepEqual({ raddr, rport, lport }, { raddr: '0.0.0.0', rport: 0, lport: 8080 });
  });

  test('a callback is told err 0 even when errno is -1', () => {
    const { netdev } = new Board();
    const fd = netdev.socket('AF_INET', 'STREAM');
    const seen = [];
    netdev.listen(fd, (err) => { seen.push(err, netdev.errno); });
    assert.deepEqual(seen, [0, -1]);
  });

  test('a callback that is set later is the one that is called, with this undefined', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client } = connectTo(board, server);
    let seen;
    server.object.read_cb = function read() { seen = this; };
    seen = 'not called';
    client.send('x');
    board.run(10);
    assert.equal(seen, undefined);
  });
});

describe('reading', () => {
  test('stock: bytes of every connection come to the listening object', () => {
    const board = new Board({ firmware: 'stock' });
    const server = listenOn(board);
    const a = connectTo(board, server);
    const b = connectTo(board, server);
    const own = [];
    for (const { fd } of [a, b]) board.netdev.get(fd).read_cb = () => { own.push(fd); };
    a.client.send('from a');
    board.run(5);
    b.client.send('from b');
    board.run(5);
    assert.deepEqual(server.received, ['from a', 'from b']);
    assert.deepEqual(own, []);
  });

  test('routed: bytes come to the accepted object', () => {
    const board = new Board({ firmware: 'routed' });
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    let text;
    board.netdev.get(fd).read_cb = (data) => { text = Buffer.from(data).toString(); };
    client.send('hello');
    board.run(5);
    assert.equal(text, 'hello');
    assert.deepEqual(server.received, []);
  });

  test('one read for each segment, of at most 1460 bytes', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client } = connectTo(board, server);
    client.send('a'.repeat(3000)).send('b').send('c');
    board.run(10);
    assert.deepEqual(server.received.map((text) => text.length), [1460, 1460, 80, 1, 1]);
  });

  test('data is a Uint8Array of its own; the second argument is no argument', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client } = connectTo(board, server);
    const seen = [];
    server.object.read_cb = (data, garbage) => { seen.push(data instanceof Uint8Array, data.byteOffset, data.buffer.byteLength, typeof garbage); };
    client.send('abc');
    board.run(10);
    assert.deepEqual(seen, [true, 0, 3, 'symbol']);
  });

  test('what came is acknowledged at once, however much there is', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client } = connectTo(board, server);
    server.onRead = () => {};
    const windows = [];
    board.network.onPacket = (packet) => { if (packet.from === 'board') windows.push(packet.window); };
    client.send('x'.repeat(14600));
    board.run(50);
    assert.equal(server.received.join('').length, 14600);
    assert.ok(windows.every((window) => window === 11680));
  });

  test('an exception in a callback is swallowed, and known to check()', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client } = connectTo(board, server);
    server.onRead = () => { throw new Error('oops'); };
    client.send('x');
    board.run(10);
    assert.throws(() => board.check(), { rule: 'exception out of a callback', message: /read_cb threw Error: oops/ });
  });

  test('a value returned from a callback leaks', () => {
    const board = new Board();
    const server = listenOn(board);
    server.object.accept_cb = () => ({});
    board.connect();
    board.run(10);
    assert.deepEqual(brokenRules(board), ['value returned from a callback']);
  });
});

describe('writing', () => {
  test('a string is sent with one byte for a character', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board));
    board.netdev.write(fd, 'Gr\u00fc\u00dfe\u0000\u00ff');
    board.run(10);
    assert.equal(client.text, 'Gr\u00fc\u00dfe\u0000\u00ff');
    assert.deepEqual([...client.bytes], [0x47, 0x72, 0xfc, 0xdf, 0x65, 0, 0xff]);
  });

  test('anything but a string throws a TypeError', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board));
    assert.throws(() => board.netdev.write(fd, new Uint8Array(3)), { name: 'TypeError', message: '"data" argument must be a string' });
  });

  test('the send buffer takes 11,680 bytes, and a write that does not fit is refused whole', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board));
    const { netdev } = board;
    const results = [];
    for (let i = 0; i < 12; i++) {
      netdev.write(fd, 'x'.repeat(1000));
      results.push(netdev.errno);
    }
    assert.deepEqual(results, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1]);
    netdev.write(fd, 'y'.repeat(680));
    assert.equal(netdev.errno, 0);
    netdev.write(fd, 'z');
    assert.equal(netdev.errno, -1);
    board.run(20);
    assert.equal(client.bytes.length, 11680);
  });

  test('its space comes back only in the network phase', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board));
    const { netdev } = board;
    for (let i = 0; i < 11; i++) netdev.write(fd, 'x'.repeat(1000));
    netdev.write(fd, 'x'.repeat(1000));
    assert.equal(netdev.errno, -1);
    board.run(5);
    netdev.write(fd, 'x'.repeat(1000));
    assert.equal(netdev.errno, 0);
  });

  test('an empty write sends nothing and tells whether the connection can send', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    const packets = [];
    board.network.onPacket = (packet) => { packets.push(packet); };
    assert.equal(probe(board, fd), 0);
    assert.equal(probe(board, server.fd), -1);
    assert.equal(packets.length, 0);
    client.reset();
    board.run(5);
    assert.equal(probe(board, fd), -1);
  });

  test('an empty write after our FIN says -1', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board));
    board.netdev.shutdown(fd, 1);
    assert.equal(probe(board, fd), -1);
  });

  test('a full buffer does not change what the empty write says', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board));
    for (let i = 0; i < 12; i++) board.netdev.write(fd, 'x'.repeat(1000));
    assert.equal(board.netdev.errno, -1);
    assert.equal(probe(board, fd), 0);
  });

  test('writes in read_cb leave together when it has returned', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    const lengths = [];
    board.network.onPacket = (packet) => { if (packet.from === 'board' && packet.length > 0) lengths.push(packet.length); };
    server.onRead = () => {
      board.netdev.write(fd, 'ab');
      board.netdev.write(fd, 'cd');
      assert.deepEqual(lengths, []);
    };
    client.send('x');
    board.run(10);
    assert.deepEqual(lengths, [4]);
    board.check();
  });

  test('other writes leave at once, the second small one after an acknowledgement (Nagle)', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board));
    const sent = [];
    board.network.onPacket = (packet) => { if (packet.from === 'board' && packet.length > 0) sent.push(packet.length); };
    for (const text of ['a', 'b', 'c']) board.netdev.write(fd, text);
    assert.deepEqual(sent, [1]);
    board.run(10);
    assert.deepEqual(sent, [1, 2]);
  });

  test('a full segment does not wait, and FIN does not let a small one wait', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board));
    const sent = [];
    board.network.onPacket = ({ from, length, flags }) => { if (from === 'board') sent.push(`${length}${flags.fin ? ' fin' : ''}`); };
    board.netdev.write(fd, 'a'.repeat(1000));
    board.netdev.write(fd, 'b'.repeat(1000));
    board.netdev.write(fd, 'c'.repeat(1000));
    assert.deepEqual(sent, ['1000', '1460']);
    board.netdev.close(fd);
    assert.deepEqual(sent, ['1000', '1460', '540 fin']);
  });
});

describe('shutting one side', () => {
  test('shutdown(fd, 0): bytes that still come reset the connection, and the program hears nothing', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    board.netdev.shutdown(fd, 0);
    assert.equal(board.netdev.errno, 0);
    client.send('too late');
    board.run(10);
    assert.equal(client.wasReset, true);
    assert.deepEqual([server.received, server.closed], [[], []]);
    assert.equal(probe(board, fd), -1);
    assert.equal(board.vitals().zombies, 1);
  });

  test('shutdown(fd, 0): sending goes on, and the peer\'s FIN still calls close_cb', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    board.netdev.shutdown(fd, 0);
    board.netdev.write(fd, 'still here');
    board.run(10);
    assert.equal(client.text, 'still here');
    client.end();
    board.run(10);
    assert.deepEqual(server.closed, [fd]);
    assert.equal(board.netdev.get(fd), undefined);
  });

  test('shutdown(fd, 1): what is queued is sent, then FIN; bytes still come in; the peer\'s FIN frees the fd', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server, { autoClose: false });
    board.netdev.write(fd, 'last words');
    board.netdev.shutdown(fd, 1);
    board.run(10);
    assert.deepEqual([client.text, client.ended], ['last words', true]);
    client.send('and mine');
    board.run(10);
    assert.deepEqual([server.received, server.closed], [['and mine'], []]);
    client.end();
    board.run(10);
    assert.deepEqual(server.closed, [fd]);
    assert.equal(board.vitals().fds, 1);
  });

  test('after shutdown(fd, 1) a reset is invisible, and a later close is the end of the board', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board), { autoClose: false });
    board.netdev.shutdown(fd, 1);
    board.run(10);
    client.reset();
    board.run(10);
    assert.throws(() => board.netdev.close(fd), { rule: 'closed zombie' });
  });
});

describe('the end', () => {
  test('the peer\'s FIN frees the fd at once and calls close_cb, where the fd is free already', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    const seen = [];
    server.onClose = () => { seen.push(board.netdev.get(fd)); };
    client.end();
    board.run(10);
    assert.deepEqual(seen, [undefined]);
    assert.equal(client.state, 'closed');
    assert.deepEqual(board.vitals().states, {});
  });

  test('a client that half-closes after its request gets no answer', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    client.send('request').end();
    board.run(5);
    board.netdev.write(fd, 'answer');
    board.run(10);
    assert.equal(board.netdev.errno, -1);
    assert.equal(client.text, '');
    assert.equal(client.ended, true);
  });

  test('close: what is queued is sent, then FIN; the fd is free now; close_cb is called now', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    board.netdev.write(fd, 'x'.repeat(1000));
    board.netdev.write(fd, 'y'.repeat(1000));
    board.netdev.close(fd);
    assert.deepEqual(server.closed, [fd]);
    assert.equal(board.netdev.get(fd), undefined);
    board.run(20);
    assert.equal(client.bytes.length, 2000);
    assert.equal(client.state, 'closed');
  });

  test('close seals: bytes that come afterwards are answered with RST', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server, { autoClose: false });
    board.netdev.close(fd);
    board.run(10);
    client.send('more');
    board.run(10);
    assert.equal(client.wasReset, true);
    assert.deepEqual(board.vitals().states, {});
    assert.deepEqual(server.received, []);
  });

  test('close inside read_cb of a segment that carries FIN resets the connection', () => {
    const board = new Board();
    const server = listenOn(board);
    server.onRead = () => {
      board.netdev.write(server.accepted[0], 'answer');
      board.netdev.close(server.accepted[0]);
    };
    const client = board.connect();
    client.send('request').end();
    board.run(20);
    assert.deepEqual([client.wasReset, client.text], [true, '']);
  });

  test('a late FIN closes the parked socket that has the number, and nobody else', () => {
    const board = new Board();
    const server = listenOn(board);
    const { fd } = connectTo(board, server, { delay: 50 });
    const { netdev } = board;
    netdev.close(fd);
    const parked = netdev.socket('AF_INET', 'STREAM');
    assert.equal(parked, fd);
    let freed = false;
    netdev.get(parked).close_cb = () => { freed = true; };
    board.run(150);
    assert.equal(freed, true);
    assert.equal(netdev.get(parked), undefined);
    board.check();
  });

  test('a late FIN closes a held socket with that number too, and its PCB is free', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board), { delay: 50 });
    board.netdev.close(fd);
    assert.deepEqual(holdPcbs(board, 1), [fd]);
    assert.equal(board.vitals().held, 1);
    board.run(150);
    assert.equal(board.vitals().held, 0);
    assert.deepEqual(board.vitals().states, { TIME_WAIT: 1 });
  });

  test('a late FIN closes a new connection that got the number: a broken rule', () => {
    const board = new Board();
    const server = listenOn(board);
    const first = connectTo(board, server, { delay: 50 });
    board.netdev.close(first.fd);
    const second = connectTo(board, server);
    assert.equal(second.fd, first.fd);
    board.run(150);
    assert.deepEqual(server.closed, [1, 1]);
    assert.equal(second.client.ended, true);
    assert.deepEqual(brokenRules(board), ['fd reused unparked']);
  });

  test('a late FIN with nothing on that number does nothing', () => {
    const board = new Board();
    const server = listenOn(board);
    const { fd } = connectTo(board, server);
    board.netdev.close(fd);
    board.run(50);
    assert.deepEqual(server.closed, [fd]);
    assert.equal(board.vitals().fds, 1);
    board.check();
  });

  test('a socket taken inside close_cb under the same number loses its object', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    let taken;
    server.onClose = () => { taken = board.netdev.socket('AF_INET', 'STREAM'); };
    client.end();
    board.run(10);
    assert.equal(taken, fd);
    assert.equal(board.netdev.get(taken), undefined);
    assert.deepEqual(brokenRules(board), ['socket taken in close_cb']);
  });
});

describe('zombies', () => {
  test('a reset calls no callback; the fd stays, writes fail', () => {
    const board = new Board();
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    client.reset();
    board.run(10);
    assert.deepEqual(server.closed, []);
    assert.equal(board.netdev.get(fd).state, 2);
    board.netdev.write(fd, 'hello?');
    assert.equal(board.netdev.errno, -1);
    assert.deepEqual(board.vitals().states, {});
    board.check();
  });

  test('writing to it again is a broken rule', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board));
    client.reset();
    board.run(10);
    assert.equal(probe(board, fd), -1);
    assert.throws(() => board.netdev.write(fd, 'x'), { rule: 'write to a zombie' });
    assert.equal(probe(board, fd), -1);
  });

  test('closing it while its PCB is free is a broken rule', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board));
    client.reset();
    board.run(10);
    assert.throws(() => board.netdev.close(fd), { rule: 'closed zombie', message: /close\(1\)/ });
    assert.throws(() => board.check(), { rule: 'closed zombie' });
  });

  test('closing it while a bound socket holds its PCB is a broken rule too', () => {
    const board = new Board({ pcbs: 1 });
    const { client, fd } = connectTo(board, listenOn(board));
    client.reset();
    board.run(10);
    holdPcbs(board, 1);
    assert.equal(probe(board, fd), -1);
    assert.throws(() => board.netdev.close(fd), { rule: 'closed zombie', message: /held by another bound socket/ });
  });

  test('a late FIN that closes one is a broken rule', () => {
    const board = new Board();
    const server = listenOn(board);
    const first = connectTo(board, server, { delay: 50 });
    board.netdev.close(first.fd);
    const second = connectTo(board, server);
    assert.equal(second.fd, first.fd);
    second.client.reset();
    board.run(150);
    assert.deepEqual(brokenRules(board), ['fd reused unparked', 'closed zombie']);
  });

  test('when its PCB serves a new connection, its probe turns to 0 and its writes go there', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board);
    const first = connectTo(board, server);
    first.client.reset();
    board.run(10);
    const second = connectTo(board, server);
    assert.notEqual(second.fd, first.fd);
    assert.equal(probe(board, first.fd), 0);
    board.netdev.write(first.fd, 'for the first');
    board.run(10);
    assert.equal(second.client.text, 'for the first');
    assert.equal(board.vitals().misdirected, 13);
  });

  test('from the SYN on: before the new connection is accepted', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server);
    client.reset();
    board.run(10);
    board.connect({ delay: 20 });
    board.runUntil(() => board.vitals().states.SYN_RCVD === 1);
    assert.equal(probe(board, fd), 0);
  });

  test('the PCB that was freed last is the first to be used again', () => {
    const board = new Board({ pcbs: 3 });
    const server = listenOn(board);
    const a = connectTo(board, server);
    const b = connectTo(board, server);
    a.client.reset();
    board.run(5);
    b.client.reset();
    board.run(5);
    connectTo(board, server);
    assert.deepEqual([probe(board, a.fd), probe(board, b.fd)], [-1, 0]);
  });

  test('its close then closes the new connection cleanly and frees the zombie\'s fd', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board);
    const first = connectTo(board, server);
    first.client.reset();
    board.run(10);
    const second = connectTo(board, server, { delay: 20 });
    board.netdev.write(second.fd, 'answer');
    board.netdev.close(first.fd);
    assert.equal(board.netdev.get(first.fd), undefined);
    assert.equal(probe(board, second.fd), -1);
    board.run(200);
    assert.deepEqual([second.client.text, second.client.ended, second.client.wasReset], ['answer', true, false]);
    // The late FIN goes to the new connection's own number, which nobody has closed yet.
    assert.equal(board.netdev.get(second.fd), undefined);
    board.check();
  });

  test('fifteen zombies and nothing can connect', () => {
    const board = new Board();
    const server = listenOn(board);
    for (let i = 0; i < 15; i++) {
      const { client } = connectTo(board, server);
      client.reset();
      board.run(5);
    }
    assert.equal(board.vitals().fds, 16);
    const client = board.connect();
    board.run(20);
    assert.equal(client.wasReset, true);
    assert.equal(server.accepted.length, 15);
  });
});

describe('holding PCBs', () => {
  test('a socket bound to port 0 holds one', () => {
    const board = new Board();
    holdPcbs(board, 2);
    assert.deepEqual(board.vitals().states, { BOUND: 2 });
    assert.equal(board.vitals().held, 2);
  });

  test('bind without a free PCB says 0 all the same, shutdown(fd, 1) tells: -1 holds one, 0 holds none', () => {
    const board = new Board({ pcbs: 2 });
    const { netdev } = board;
    const results = holdPcbs(board, 3).map((fd) => {
      netdev.shutdown(fd, 1);
      return netdev.errno;
    });
    assert.deepEqual(results, [-1, -1, 0]);
    const fd = netdev.socket('AF_INET', 'STREAM');
    netdev.bind(fd, '0.0.0.0', 0);
    assert.equal(netdev.errno, 0);
    assert.equal(board.vitals().held, 2);
  });

  test('closing it gives the PCB back', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board);
    const [held] = holdPcbs(board, 1);
    const client = board.connect();
    board.run(20);
    assert.equal(client.state, 'connecting');
    board.netdev.close(held);
    board.runUntil(() => server.accepted.length === 1);
  });
});

describe('listening', () => {
  test('a port in use cannot be bound', () => {
    const board = new Board();
    listenOn(board);
    const fd = board.netdev.socket('AF_INET', 'STREAM');
    board.netdev.bind(fd, '0.0.0.0', 80);
    assert.equal(board.netdev.errno, -1);
    board.netdev.listen(fd);
    assert.equal(board.netdev.errno, -1);
  });

  test('listening again fails while a PCB has the port, TIME_WAIT included', () => {
    const board = new Board();
    const server = listenOn(board);
    const { fd } = connectTo(board, server);
    board.netdev.close(fd);
    board.run(50);
    assert.deepEqual(board.vitals().states, { TIME_WAIT: 1 });
    board.netdev.close(server.fd);
    const bind = () => {
      const again = board.netdev.socket('AF_INET', 'STREAM');
      board.netdev.bind(again, '0.0.0.0', 80);
      const { errno } = board.netdev;
      board.netdev.close(again);
      return errno;
    };
    assert.equal(bind(), -1);
    board.run(120000);
    assert.equal(bind(), 0);
  });

  test('closing the listener while a connection is open is a broken rule', () => {
    const board = new Board();
    const server = listenOn(board);
    connectTo(board, server);
    assert.throws(() => board.netdev.close(server.fd), { rule: 'listener closed too early' });
  });

  test('nobody listens: RST', () => {
    const board = new Board();
    const client = board.connect({ port: 81 });
    board.run(10);
    assert.deepEqual([client.wasReset, client.state], [true, 'closed']);
  });
});

/** Listens on so many ports, from 80 on. */
const listenOnPorts = (board, count) => Array.from({ length: count }, (_, i) => listenOn(board, 80 + i));

/** Tries to listen. @returns the fd, and what errno was after binding and after listening */
function tryToListen(board, port) {
  const { netdev } = board;
  const fd = netdev.socket('AF_INET', 'STREAM');
  netdev.bind(fd, '0.0.0.0', port);
  const bound = netdev.errno;
  netdev.listen(fd);
  return { fd, bound, listening: netdev.errno };
}

describe('several listeners', () => {
  test('stock: bytes of one port never reach the listening object of another', () => {
    const board = new Board({ firmware: 'stock' });
    const random = seededRandom(11);
    const servers = listenOnPorts(board, 4);
    const clients = [0, 1, 2, 3, 3].map((i, n) => ({ i, n, ...connectTo(board, servers[i], { port: 80 + i, delay: n }) }));
    const own = [];
    for (const { fd } of clients) board.netdev.get(fd).read_cb = () => { own.push(fd); };
    const sent = servers.map(() => []);
    for (let count = 0; count < 2000; count++) {
      const { i, n, client } = clients[Math.floor(random() * clients.length)];
      const text = `${i} ${n} ${count};`;
      sent[i].push(text);
      client.send(text);
      if (random() < 0.3) board.pass();
    }
    board.run(50);
    const sorted = (texts) => texts.join('').split(';').sort();
    assert.deepEqual(servers.map(({ received }) => sorted(received)), sent.map(sorted));
    assert.ok(sent.every(({ length }) => length > 300));
    assert.deepEqual(own, []);
    board.check();
  });

  test('routed: bytes reach the accepted object, whichever port that is', () => {
    const board = new Board({ firmware: 'routed' });
    const servers = listenOnPorts(board, 2);
    const got = [];
    servers.forEach((server, i) => {
      const { client, fd } = connectTo(board, server, { port: 80 + i });
      board.netdev.get(fd).read_cb = (data) => { got.push(`${fd} ${Buffer.from(data)}`); };
      client.send(`for ${fd}`);
    });
    board.run(10);
    assert.deepEqual(got, ['2 for 2', '3 for 3']);
    assert.deepEqual(servers.map(({ received }) => received), [[], []]);
  });

  test('accept_cb is called on the listening object of the port; the accepted object says which port that is', () => {
    const board = new Board();
    const servers = listenOnPorts(board, 3);
    for (const i of [2, 0, 1, 2]) connectTo(board, servers[i], { port: 80 + i });
    assert.deepEqual(servers.map(({ accepted }) => accepted), [[4], [5], [3, 6]]);
    assert.deepEqual([3, 4, 5, 6].map((fd) => board.netdev.get(fd).lport), [82, 80, 81, 82]);
  });

  test('each takes an fd, and none of the five PCBs', () => {
    const board = new Board();
    assert.deepEqual(listenOnPorts(board, 8).map(({ fd }) => fd), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual([board.vitals().fds, board.vitals().pcbs], [8, 0]);
    assert.deepEqual(holdPcbs(board, 5), [8, 9, 10, 11, 12]);
    assert.equal(board.vitals().held, 5);
  });

  test('the five PCBs are for all ports together: with none free a SYN for any of them is dropped', () => {
    const board = new Board();
    const servers = listenOnPorts(board, 3);
    for (const i of [0, 0, 1, 1, 1]) connectTo(board, servers[i], { port: 80 + i });
    const others = [80, 81, 82].map((port) => board.connect({ port }));
    board.run(20);
    assert.deepEqual(others.map(({ state, wasReset }) => [state, wasReset]), Array(3).fill(['connecting', false]));
  });

  test('eight ports can listen; on a ninth listen fails with errno -1', () => {
    const board = new Board();
    assert.deepEqual(listenOnPorts(board, 8).map(({ object }) => object.state), Array(8).fill(3));
    const { fd, bound, listening } = tryToListen(board, 88);
    assert.deepEqual([bound, listening], [0, -1]);
    assert.equal(board.netdev.get(fd).state, 1);
    const client = board.connect({ port: 88 });
    board.run(10);
    assert.equal(client.wasReset, true);
  });

  test('what the ninth was bound to is lost for good: a PCB, and the port', () => {
    const board = new Board();
    const servers = listenOnPorts(board, 8);
    board.netdev.close(tryToListen(board, 88).fd);
    assert.deepEqual([board.vitals().fds, board.vitals().states], [8, { BOUND: 1 }]);
    board.netdev.close(servers[7].fd);
    assert.equal(tryToListen(board, 88).bound, -1);
    assert.deepEqual(board.vitals().held, 1, 'the socket that could not be bound has a PCB all the same');
  });

  test('one that is closed makes room for another', () => {
    const board = new Board();
    const servers = listenOnPorts(board, 8);
    board.netdev.close(servers[3].fd);
    assert.deepEqual(tryToListen(board, 88), { fd: servers[3].fd, bound: 0, listening: 0 });
  });

  test('listening takes a PCB for a moment: with none free bind says 0, and listen -1', () => {
    const board = new Board();
    listenOn(board);
    const [held] = holdPcbs(board, 5);
    const { fd, bound, listening } = tryToListen(board, 81);
    assert.deepEqual([bound, listening], [0, -1]);
    board.netdev.close(held);
    board.netdev.listen(fd);
    assert.equal(board.netdev.errno, -1, 'it never got a PCB');
    board.netdev.close(fd);
    assert.equal(tryToListen(board, 81).listening, 0);
    assert.equal(board.vitals().pcbs, 4);
  });

  test('they count among the 16 fds: when these are in use there is no socket, and a client of any port is reset', () => {
    const board = new Board();
    const servers = listenOnPorts(board, 8);
    for (let i = 0; i < 8; i++) board.netdev.socket('AF_INET', 'STREAM');
    assert.throws(() => board.netdev.socket('AF_INET', 'STREAM'), { message: 'Remote I/O error' });
    const clients = [80, 87].map((port) => board.connect({ port }));
    board.run(20);
    assert.deepEqual(clients.map(({ wasReset }) => wasReset), [true, true]);
    board.netdev.close(15);
    assert.equal(connectTo(board, servers[7], { port: 87 }).fd, 15);
  });

  test('closing one leaves the others, and their connections', () => {
    const board = new Board();
    const servers = listenOnPorts(board, 3);
    const before = connectTo(board, servers[2], { port: 82 });
    board.netdev.close(servers[1].fd);
    const refused = board.connect({ port: 81 });
    board.run(10);
    assert.equal(refused.wasReset, true);
    before.client.send('old');
    board.run(5);
    connectTo(board, servers[2], { port: 82 }).client.send('new');
    connectTo(board, servers[0]).client.send('first');
    board.run(10);
    assert.deepEqual(servers.map(({ received }) => received), [['first'], [], ['old', 'new']]);
    board.check();
  });

  test('a late FIN closes a new connection that got the number, on another port, too', () => {
    const board = new Board();
    const servers = listenOnPorts(board, 2);
    const first = connectTo(board, servers[0], { delay: 50 });
    board.netdev.close(first.fd);
    const second = connectTo(board, servers[1], { port: 81 });
    assert.equal(second.fd, first.fd);
    board.run(150);
    assert.equal(second.client.ended, true);
    assert.deepEqual(brokenRules(board), ['fd reused unparked']);
  });

  test('the PCB of a zombie may serve a new connection on another port', () => {
    const board = new Board({ pcbs: 1 });
    const servers = listenOnPorts(board, 2);
    const first = connectTo(board, servers[0]);
    first.client.reset();
    board.run(10);
    const second = connectTo(board, servers[1], { port: 81 });
    assert.equal(probe(board, first.fd), 0);
    board.netdev.write(first.fd, 'for the first');
    board.run(10);
    assert.equal(second.client.text, 'for the first');
  });
});

describe('wrong calls', () => {
  test('a fd out of range: as the driver, and a broken rule', () => {
    const board = new Board();
    const { netdev } = board;
    netdev.write(16, '');
    assert.equal(netdev.errno, -1);
    netdev.close(-1);
    assert.equal(netdev.errno, 0);
    assert.equal(netdev.get(99), undefined);
    netdev.shutdown(16, 1);
    assert.equal(netdev.errno, -1);
    assert.deepEqual(brokenRules(board), ['invalid fd', 'invalid fd', 'invalid fd', 'invalid fd']);
  });

  test('a fd that is no number throws a TypeError, and is a broken rule', () => {
    const board = new Board();
    assert.throws(() => board.netdev.write(undefined, ''), { name: 'TypeError', message: '"fd" argument must be a number' });
    assert.deepEqual(brokenRules(board), ['invalid fd']);
  });

  test('1,024 characters are allowed in a write, 1,025 are a broken rule', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board));
    board.netdev.write(fd, 'x'.repeat(1024));
    assert.throws(() => board.netdev.write(fd, 'x'.repeat(1025)), { rule: 'long write', message: /1025 characters/ });
  });

  test('a character above U+00FF is a broken rule', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board));
    assert.throws(() => board.netdev.write(fd, 'a\u0100'), { rule: 'character above U+00FF', message: /character 1 is U\+0100/ });
  });
});
