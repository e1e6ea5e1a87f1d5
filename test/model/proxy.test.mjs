// The proxy through which browsers find the board as on the air.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Board } from '../board/index.mjs';
import { holdPcbs, listenOn } from '../board/testing.mjs';
import { openProxy } from '../helpers/socks.mjs';

/** A board that runs and listens on these ports, with its proxy. */
async function start(t, boardPorts, options = {}) {
  const board = new Board({ network: 'node', ...options });
  const servers = boardPorts.map((boardPort) => listenOn(board, boardPort));
  await board.start();
  await board.listening;
  const proxy = await openProxy(board);
  t.after(async () => {
    await board.stop();
    await proxy.close();
  });
  return { board, servers, proxy };
}

const ipv4 = (address) => [1, ...address.split('.').map(Number)];
const named = (name) => [3, name.length, ...Buffer.from(name)];

/** Asks the proxy for a connection, as a browser does. `told` is what it says to that, once it says something. */
async function ask(t, proxy, host, port) {
  const socket = net.connect(+new URL(proxy.url).port, '127.0.0.1');
  const client = { socket, bytes: Buffer.alloc(0), get told() { return client.bytes[3]; }, get text() { return client.bytes.toString('latin1', 12); } };
  socket.on('data', (chunk) => { client.bytes = Buffer.concat([client.bytes, chunk]); });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(Uint8Array.of(5, 1, 0));
  socket.write(Uint8Array.of(5, 1, 0, ...host, port >> 8, port & 255));
  return client;
}

const CONNECTED = 0;
const UNREACHABLE = 4;
const REFUSED = 5;

describe('the proxy to the board', () => {
  /** Connects to places, and checks that each is the port of the board that is expected, in both directions. */
  async function finds(t, { board, servers, proxy }, places) {
    const clients = [];
    for (const [i, [host, port]] of places.entries()) {
      servers[i].onRead = (text) => { board.netdev.write(servers[i].accepted[0], `${text}, from ${i}`); };
      const client = await ask(t, proxy, host, port);
      clients.push(client);
      await board.until(() => client.told === CONNECTED);
      client.socket.write(`to ${i}`);
    }
    await board.until(() => clients.every(({ text }) => text.includes('from')));
    assert.deepEqual(clients.map(({ text }) => text), places.map((_, i) => `to ${i}, from ${i}`));
    assert.deepEqual(servers.map(({ received }) => received), servers.map((_, i) => [`to ${i}`]));
    board.check();
  }

  test('goes to the port that was asked for, where the board is asked for by its name', async (t) => {
    const started = await start(t, [80, 81, 82, 8080]);
    await finds(t, started, [80, 81, 82, 8080].map((port) => [named('board'), port]));
  });

  for (const [what, host] of /** @type {const} */ ([['address', ipv4('127.0.0.1')], ['address as a name', named('127.0.0.1')]])) {
    test(`knows the real ports, too, where it is asked for by its ${what}`, async (t) => {
      const started = await start(t, [80, 81, 83, 8080]);
      const ports = await Promise.all([80, 81, 83, 8080].map((boardPort) => started.board.network.realPort(boardPort)));
      await finds(t, started, ports.map((port) => [host, port]));
    });
  }

  test('refuses a connection to a port on which nobody listens', async (t) => {
    const { board, servers, proxy } = await start(t, [80]);
    const client = await ask(t, proxy, named('board'), 81);
    await board.until(() => client.told === REFUSED && client.socket.closed);
    assert.deepEqual(servers[0].accepted, []);
  });

  test('does not find the board at other hosts', async (t) => {
    const { board, servers, proxy } = await start(t, [80]);
    for (const host of [named('update.example'), ipv4('192.0.2.1')]) {
      const client = await ask(t, proxy, host, 80);
      await board.until(() => client.told === UNREACHABLE && client.socket.closed);
    }
    assert.deepEqual(servers[0].accepted, []);
  });

  test('says that a connection is open when the board has accepted it, whichever port that is', async (t) => {
    const { board, servers, proxy } = await start(t, [80, 81], { pcbs: 1 });
    const [held] = holdPcbs(board, 1);
    const client = await ask(t, proxy, named('board'), 81);
    await wait(200);
    assert.equal(client.told, undefined);
    board.netdev.close(held);
    await board.until(() => client.told === CONNECTED && servers[1].accepted.length === 1);
  });
});
