// The network on real sockets.
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Board } from './board/index.mjs';
import { holdPcbs, listenOn, probe } from './board/testing.mjs';

/** A board with a listening program, running; stopped when the test ends. */
async function start(t, options = {}) {
  const board = new Board({ network: 'node', ...options });
  const server = listenOn(board);
  await board.start();
  t.after(() => board.stop());
  return { board, server, port: await board.listening };
}

async function connect(t, port, options = {}) {
  const socket = net.connect({ port, host: '127.0.0.1', ...options });
  const client = { socket, text: '', ended: false, error: undefined };
  socket.on('data', (chunk) => { client.text += chunk.toString('latin1'); });
  socket.on('end', () => { client.ended = true; });
  socket.on('error', (error) => { client.error = error.code; });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return client;
}

describe('on real sockets', () => {
  test('bytes go both ways', async (t) => {
    const { board, server, port } = await start(t);
    server.onRead = (text) => { board.netdev.write(server.accepted[0], `echo ${text}`); };
    const client = await connect(t, port);
    client.socket.write('hello');
    await board.until(() => client.text === 'echo hello');
    board.check();
  });

  test('a port that is reserved is known before the program listens, and resets clients so long', async (t) => {
    const board = new Board({ network: 'node' });
    t.after(() => board.stop());
    const port = await board.network.reserve();
    await board.start();
    const early = await connect(t, port);
    await board.until(() => early.error === 'ECONNRESET');
    const server = listenOn(board);
    assert.equal(await board.listening, port);
    const client = await connect(t, port);
    await board.until(() => server.accepted.length === 1);
    client.socket.destroy();
    board.check();
  });

  test('the address is 127.0.0.1', async (t) => {
    const { board } = await start(t);
    assert.equal(board.netdev.ip, '127.0.0.1');
  });

  test('segments have at most 1460 bytes, and 1 MB comes in whole', async (t) => {
    const { board, server, port } = await start(t);
    let longest = 0;
    let total = 0;
    server.object.read_cb = (data) => {
      longest = Math.max(longest, data.length);
      total += new board.global.Uint8Array(data).length;
    };
    const client = await connect(t, port);
    client.socket.write(Buffer.alloc(1000000, 'x'));
    await board.until(() => total === 1000000);
    assert.equal(longest, 1460);
    board.check();
  });

  test('a long answer goes out as the buffer allows, then FIN', async (t) => {
    const { board, server, port } = await start(t);
    let left = 300;
    const interval = board.global.setInterval(() => {
      const [fd] = server.accepted;
      if (fd === undefined) return;
      while (left > 0) {
        board.netdev.write(fd, 'x'.repeat(1000));
        if (board.netdev.errno !== 0) return;
        left--;
      }
      board.global.clearInterval(interval);
      board.netdev.close(fd);
    }, 0);
    const client = await connect(t, port);
    await board.until(() => client.ended);
    assert.equal(client.text.length, 300000);
    await board.until(() => board.vitals().states.TIME_WAIT === 1);
    board.check();
  });

  test('the client\'s FIN frees the fd and calls close_cb', async (t) => {
    const { board, server, port } = await start(t);
    const client = await connect(t, port);
    await board.until(() => server.accepted.length === 1);
    client.socket.end();
    await board.until(() => server.closed.length === 1 && client.ended);
    await board.until(() => board.vitals().pcbs === 0);
  });

  test('the client\'s reset is silent', async (t) => {
    const { board, server, port } = await start(t);
    const client = await connect(t, port);
    await board.until(() => server.accepted.length === 1);
    client.socket.resetAndDestroy();
    await board.until(() => probe(board, server.accepted[0]) === -1);
    assert.deepEqual(server.closed, []);
    assert.equal(board.vitals().zombies, 1);
  });

  test('a sealed connection is reset when bytes come', async (t) => {
    const { board, server, port } = await start(t);
    server.onAccept = (fd) => { board.netdev.shutdown(fd, 0); };
    const client = await connect(t, port);
    await board.until(() => server.accepted.length === 1);
    client.socket.write('too late');
    await board.until(() => client.error === 'ECONNRESET');
    assert.deepEqual(server.received, []);
  });

  test('close and then bytes: reset', async (t) => {
    const { board, server, port } = await start(t);
    server.onAccept = (fd) => { board.netdev.close(fd); };
    const client = await connect(t, port, { allowHalfOpen: true });
    await board.until(() => client.ended);
    assert.deepEqual(board.vitals().states, { FIN_WAIT_2: 1 });
    client.socket.write('more');
    await board.until(() => board.vitals().pcbs === 0);
    // After FIN the kernel cannot be made to send RST by itself; it does so when more comes.
    client.socket.write('and more');
    await board.until(() => client.error !== undefined);
  });

  test('without a PCB a connection waits, and is tried again after 1 s', async (t) => {
    const { board, server, port } = await start(t, { pcbs: 1 });
    const [held] = holdPcbs(board, 1);
    const client = await connect(t, port);
    client.socket.write('hello');
    const before = board.now;
    await wait(100);
    board.netdev.close(held);
    await board.until(() => server.received[0] === 'hello');
    assert.ok(board.now - before > 900, `${board.now - before} ms`);
  });

  test('it is tried as often as synRetries says, then reset', async (t) => {
    const { board, port } = await start(t, { pcbs: 1 });
    board.network.synRetries = [50, 100];
    holdPcbs(board, 1);
    const client = await connect(t, port);
    const before = board.now;
    client.socket.write('hello');
    await board.until(() => client.error === 'ECONNRESET');
    assert.ok(board.now - before > 90 && board.now - before < 1000, `${board.now - before} ms`);
  });

  test('a proxy is told when the board has taken the SYN', async (t) => {
    const { board, server } = await start(t, { pcbs: 1 });
    board.network.synRetries = [50, 100, 150, 200, 250];
    const [held] = holdPcbs(board, 1);
    const events = [];
    const proxy = net.createServer({ allowHalfOpen: true }, (socket) => {
      board.network.connected(socket, 80, () => { events.push(`open, held: ${board.vitals().held}`); });
    }).listen(0, '127.0.0.1');
    t.after(() => proxy.close());
    await once(proxy, 'listening');
    await connect(t, /** @type {net.AddressInfo} */ (proxy.address()).port);
    await wait(70);
    events.push('released');
    board.netdev.close(held);
    await board.until(() => server.accepted.length === 1);
    assert.deepEqual(events, ['released', 'open, held: 0']);
  });

  test('a client that goes away while it waits was never there', async (t) => {
    const { board, server, port } = await start(t, { pcbs: 1 });
    const [held] = holdPcbs(board, 1);
    const client = await connect(t, port);
    client.socket.destroy();
    await wait(50);
    board.netdev.close(held);
    await wait(1200);
    assert.deepEqual(server.accepted, []);
  });

  test('a delay is added both ways, in order', async (t) => {
    const { board, server, port } = await start(t);
    board.setLink({ delay: 50 });
    let readAt = 0;
    server.onRead = (text) => {
      readAt = board.now;
      for (const char of text) board.netdev.write(server.accepted[0], char);
    };
    const client = await connect(t, port);
    await board.until(() => server.accepted.length === 1);
    const sentAt = board.now;
    client.socket.write('abcdef');
    await board.until(() => client.text === 'abcdef');
    assert.ok(readAt - sentAt > 48, `there: ${readAt - sentAt} ms`);
    assert.ok(board.now - readAt > 48, `and back: ${board.now - readAt} ms`);
  });

  test('a port that is taken is said clearly', async (t) => {
    const other = net.createServer().listen(0, '127.0.0.1');
    t.after(() => other.close());
    await once(other, 'listening');
    const { port } = /** @type {net.AddressInfo} */ (other.address());
    const board = new Board({ network: 'node', port });
    t.after(() => board.stop());
    listenOn(board);
    await assert.rejects(board.listening, { code: 'EADDRINUSE', message: `port ${port} on 127.0.0.1 is taken: another program listens there` });
  });

  test('a wanted port is used', async (t) => {
    const probeServer = net.createServer().listen(0, '127.0.0.1');
    await once(probeServer, 'listening');
    const { port } = /** @type {net.AddressInfo} */ (probeServer.address());
    await new Promise((resolve) => probeServer.close(resolve));
    const { port: real } = await start(t, { port });
    assert.equal(real, port);
  });

  test('the program reaches other servers on this machine only', async (t) => {
    const other = net.createServer((socket) => socket.end('hello board')).listen(0, '127.0.0.1');
    t.after(() => other.close());
    await once(other, 'listening');
    const { board } = await start(t);
    const { netdev } = board;
    const fd = netdev.socket('AF_INET', 'STREAM');
    const object = netdev.get(fd);
    let connected = false;
    let text = '';
    object.connect_cb = () => { connected = true; };
    object.read_cb = (data) => { text += Buffer.from(data).toString(); };
    netdev.connect(fd, '127.0.0.1', /** @type {net.AddressInfo} */ (other.address()).port);
    await board.until(() => connected && text === 'hello board');
    await board.until(() => netdev.get(fd) === undefined);
  });

  test('stop leaves nothing behind', async () => {
    const board = new Board({ network: 'node' });
    listenOn(board);
    await board.start();
    const port = await board.listening;
    const socket = net.connect({ port, host: '127.0.0.1' });
    await once(socket, 'connect');
    await board.stop();
    socket.destroy();
    await wait(20);
    const left = process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name));
    assert.deepEqual(left, []);
  });
});
