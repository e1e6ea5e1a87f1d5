// The network on real sockets.
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Board } from '../board/index.mjs';
import { holdPcbs, listenOn, probe } from '../board/testing.mjs';
import { findRow, occupy } from '../helpers/ports.mjs';
import { runToEnd } from '../helpers/program.mjs';

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

  test('a connection that is reset in the pass in which the program has closed it keeps no process from ending', async () => {
    const script = `
      import { once } from 'node:events';
      import net from 'node:net';
      import { Board } from '${new URL('../board/index.mjs', import.meta.url)}';
      import { listenOn } from '${new URL('../board/testing.mjs', import.meta.url)}';
      const board = new Board({ network: 'node' });
      const server = listenOn(board);
      server.onRead = () => board.netdev.close(server.accepted[0]);
      await board.start();
      const client = net.connect(await board.listening, '127.0.0.1').resume().on('error', () => {});
      client.write('x'.repeat(3000)); // the connection is closed with the first of three segments
      await once(client, 'close');
      await board.stop();
      console.log('stopped');`;
    const { code, stdout, stderr } = await runToEnd(process.execPath, ['--input-type=module', '-e', script], { timeout: 10000 });
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'stopped\n', stderr: '' });
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

  test('stop leaves nothing behind, also where ports are just being opened', async () => {
    const board = new Board({ network: 'node' });
    listenOn(board);
    await board.start();
    const port = await board.listening;
    const socket = net.connect({ port, host: '127.0.0.1' });
    await once(socket, 'connect');
    await board.stop();
    socket.destroy();
    const early = new Board({ network: 'node' });
    const reserved = early.network.reserve();
    for (const boardPort of [80, 81, 8080]) listenOn(early, boardPort);
    await reserved;
    await early.stop();
    await wait(20);
    const left = process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name));
    assert.deepEqual(left, []);
  });
});

describe('in the place of clients', () => {
  const request = (path, agent = 'Browser') => `GET ${path} HTTP/1.1\r\nhost: a\r\nuser-agent: ${agent}\r\n\r\n`;
  const answer = (body, headers = '') => `HTTP/1.1 200 \r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`;

  /** A board with one PCB, whose program answers requests with their path, or as it is told to. */
  async function startAnswering(t, answerTo = (path) => answer(path)) {
    const started = await start(t, { pcbs: 1 });
    const { board, server } = started;
    board.network.playClients();
    const asked = [];
    server.onRead = (text) => {
      const [, path] = text.split(' ');
      asked.push(path);
      board.netdev.write(server.accepted.at(-1), answerTo(path));
    };
    return { ...started, asked };
  }

  test('a waiting request goes down the connection that the board keeps for the same client; each gets its own answer', async (t) => {
    const { board, server, port, asked } = await startAnswering(t);
    const [first, second, third] = [await connect(t, port), await connect(t, port), await connect(t, port)];
    const before = board.now;
    first.socket.write(request('/1'));
    second.socket.write(request('/2'));
    third.socket.write(request('/3'));
    await board.until(() => third.text !== '' && second.text !== '');
    first.socket.write(request('/4'));
    await board.until(() => first.text.endsWith('/4'));
    assert.ok(board.now - before < 900, `${board.now - before} ms`);
    assert.deepEqual([first, second, third].map(({ text }) => text), [answer('/1') + answer('/4'), answer('/2'), answer('/3')]);
    assert.equal(asked.length, 4);
    assert.deepEqual(server.accepted.length, 1);
    board.check();
  });

  test('a request with a body, too, when all of it has come', async (t) => {
    const { board, server, port } = await startAnswering(t);
    const [first, second] = [await connect(t, port), await connect(t, port)];
    first.socket.write(request('/1'));
    second.socket.write('POST /2 HTTP/1.1\r\nuser-agent: Browser\r\ncontent-length: 3\r\n\r\nab');
    await board.until(() => first.text !== '');
    await wait(50);
    assert.equal(server.received.length, 1);
    second.socket.write('c');
    await board.until(() => second.text === answer('/2'));
    await board.until(() => /abc$/.test(server.received.join('')));
    assert.equal(server.accepted.length, 1);
  });

  for (const [what, answerTo, agent] of /** @type {const} */ ([
    ['that the board keeps for another client', (path) => answer(path), 'Other'],
    ['whose answer has not come', () => 'HTTP/1.1 200 \r\ncontent-length: 9\r\n\r\nshort', 'Browser'],
    ['whose answer says that it ends', (path) => answer(path, 'connection: close\r\n'), 'Browser'],
    ['whose answer ends with it', () => 'HTTP/1.1 200 \r\n\r\nbody', 'Browser'],
    ['that became a WebSocket', () => 'HTTP/1.1 101 \r\nupgrade: websocket\r\n\r\n', 'Browser'],
  ])) {
    test(`it does not go down a connection ${what}, but is let in as soon as that has ended`, async (t) => {
      const { board, server, port } = await startAnswering(t, answerTo);
      const [first, second] = [await connect(t, port), await connect(t, port)];
      first.socket.write(request('/1'));
      await board.until(() => first.text !== '');
      second.socket.write(request('/2', agent));
      await wait(100);
      assert.equal(server.received.length, 1);
      const before = board.now;
      first.socket.end();
      await board.until(() => second.text !== '');
      assert.ok(board.now - before < 500, `${board.now - before} ms`);
      assert.equal(server.accepted.length, 2);
    });
  }

  test('one that has sent nothing waits for its SYN, and lets a request in before it', async (t) => {
    const { board, server, port } = await startAnswering(t);
    const [held] = holdPcbs(board, 1);
    const silent = await connect(t, port);
    const before = board.now;
    await wait(50);
    board.netdev.close(held);
    const client = await connect(t, port);
    client.socket.write(request('/'));
    await board.until(() => client.text !== '');
    client.socket.end();
    await board.until(() => board.vitals().pcbs === 0);
    assert.ok(board.now - before < 900, `${board.now - before} ms`);
    await board.until(() => server.accepted.length === 2);
    assert.ok(board.now - before > 900, `${board.now - before} ms`);
    silent.socket.destroy();
  });

  test('a request whose client has gone meanwhile is not sent down a connection that is kept', async (t) => {
    const { board, server, port, asked } = await startAnswering(t, () => answer('12').slice(0, -1));
    const [first, second] = [await connect(t, port), await connect(t, port)];
    first.socket.write(request('/1'));
    await board.until(() => first.text !== '');
    second.socket.end(request('/2'));
    await wait(50);
    board.netdev.write(server.accepted[0], '2');
    await board.until(() => first.text === answer('12'));
    await wait(50);
    assert.deepEqual(asked, ['/1']);
    assert.deepEqual(server.closed, []);
  });

  test('it takes as long as the link does until the next request may come', async (t) => {
    const { board, port } = await startAnswering(t);
    board.setLink({ delay: 60 });
    const [first, second] = [await connect(t, port), await connect(t, port)];
    first.socket.write(request('/1'));
    second.socket.write(request('/2'));
    await board.until(() => first.text !== '');
    const before = board.now;
    await board.until(() => second.text !== '');
    assert.ok(board.now - before > 110, `${board.now - before} ms`);
  });
});

describe('real ports', () => {
  /** A board that runs, and listens on these ports. */
  async function listening(t, boardPorts, options) {
    const board = new Board({ network: 'node', ...options });
    t.after(() => board.stop());
    const servers = boardPorts.map((boardPort) => listenOn(board, boardPort));
    await board.start();
    return { board, servers, port: await board.listening };
  }

  /** Sends something to each of the real ports, and checks that it is read on the listening object of the board's port. */
  async function reaches(t, { board, servers }, ports) {
    for (const [i, port] of ports.entries()) (await connect(t, port)).socket.write(`to ${i}`);
    await board.until(() => servers.every(({ received }) => received.length > 0));
    assert.deepEqual(servers.map(({ received }) => received), servers.map((_, i) => [`to ${i}`]));
    board.check();
  }

  test('are in a row as those of the board are, wherever they begin', async (t) => {
    const started = await listening(t, [80, 81, 83, 87]);
    const { board, port } = started;
    await reaches(t, started, [port, port + 1, port + 3, port + 7]);
    assert.deepEqual(await Promise.all([80, 81, 83, 87].map((boardPort) => board.network.realPort(boardPort))), [port, port + 1, port + 3, port + 7]);
  });

  test('begin where it was asked for', async (t) => {
    const wanted = await findRow();
    const started = await listening(t, [8080, 8081, 8082], { port: wanted });
    assert.equal(started.port, wanted);
    await reaches(t, started, [wanted, wanted + 1, wanted + 2]);
  });

  test('are looked for elsewhere when one of a row is taken', async (t) => {
    const board = new Board({ network: 'node' });
    const { network } = board;
    const { openServer } = network;
    let taken = 0;
    network.openServer = async (wanted, boardPort) => {
      if (taken === 0 && wanted > 0) taken = await occupy(t, wanted);
      return openServer.call(network, wanted, boardPort);
    };
    const servers = [80, 81, 82].map((boardPort) => listenOn(board, boardPort));
    await board.start();
    t.after(() => board.stop());
    const port = await board.listening;
    assert.ok(taken > 0 && (taken < port || taken > port + 7), `${taken} is taken, and the row begins at ${port}`);
    await reaches(t, { board, servers }, [port, port + 1, port + 2]);
  });

  test('are any for ports before the first one, and far behind it', async (t) => {
    const started = await listening(t, [81, 80, 8080]);
    const { board, port } = started;
    const [below, far] = await Promise.all([80, 8080].map((boardPort) => board.network.realPort(boardPort)));
    await reaches(t, started, [port, below, far]);
  });

  test('of a board that nobody listens on reset their clients', async (t) => {
    const { board, port } = await listening(t, [80]);
    const client = await connect(t, port + 1);
    await board.until(() => client.error === 'ECONNRESET');
  });

  test('that are opened later are known when they are', async (t) => {
    const { board, servers, port } = await listening(t, [80], { port: await findRow() });
    assert.equal(board.network.realPort(81), undefined);
    servers.push(listenOn(board, 81));
    assert.equal(await board.network.realPort(81), port + 1);
    await reaches(t, { board, servers }, [port, port + 1]);
  });

  test('that are taken are said clearly: the first one, before and after the board listens', async (t) => {
    const port = await occupy(t, 0);
    const board = new Board({ network: 'node', port });
    t.after(() => board.stop());
    listenOn(board);
    await assert.rejects(board.listening, {
      code: 'EADDRINUSE', port, boardPort: 80, message: `port ${port} on 127.0.0.1, which stands for the board's port 80, is taken: another program listens there`,
    });
    const early = new Board({ network: 'node', port });
    t.after(() => early.stop());
    await assert.rejects(early.network.reserve(), {
      code: 'EADDRINUSE', port, message: `port ${port} on 127.0.0.1, which stands for the board's first port, is taken: another program listens there`,
    });
  });

  test('that are taken are said clearly: one behind the first', async (t) => {
    const port = await findRow();
    await occupy(t, port + 2);
    const board = new Board({ network: 'node', port });
    t.after(() => board.stop());
    for (const boardPort of [80, 81, 82]) listenOn(board, boardPort);
    const message = `port ${port + 2} on 127.0.0.1, which stands for the board's port 82, is taken: another program listens there`;
    await assert.rejects(board.listening, { code: 'EADDRINUSE', port: port + 2, boardPort: 82, message });
    assert.equal(await board.network.realPort(81), port + 1);
  });

  test('end at 65535', async (t) => {
    const board = new Board({ network: 'node', port: 65536 });
    t.after(() => board.stop());
    listenOn(board);
    await assert.rejects(board.listening, { message: "port 65536 on 127.0.0.1, which stands for the board's port 80, is none: the last one is 65535" });
  });
});
