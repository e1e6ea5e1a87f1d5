// A way to the board for browsers on which a connection is open when the *board* has accepted it: a SOCKS 5 proxy (RFC 1928).
// On a plain socket the kernel accepts every connection at once, whether the board has room for it or not. The browser then puts
// a request on it, and that waits, while on the air the SYN would get no answer: the browser would send this request, too, down
// the connection that it has. Through the proxy it is told that it is connected when the board says so.
//
// The board is found by its name, at its own ports (http://board/, ws://board:81/), or where it is without the proxy: at 127.0.0.1, and the
// real ports.
import net from 'node:net';

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const SUCCEEDED = 0;
const HOST_UNREACHABLE = 4;
const CONNECTION_REFUSED = 5;

/** The board's names; with the first one browsers ask nobody for the way. (They give addresses as names, too.) */
const BOARD = 'board';
const ADDRESS = '127.0.0.1';

/** When Linux repeats a SYN that got no answer, in ms after the first. (The last time, the proxy's client is left to wait.) */
const SYN_RETRIES = [1000, 3000, 7000, 15000, 31000, 63000];

/** Reads so many bytes. */
async function read(socket, count) {
  for (;;) {
    const bytes = socket.read(count);
    if (bytes) return bytes;
    if (socket.readableEnded || socket.destroyed) throw new Error('the client has gone');
    await new Promise((resolve) => {
      for (const event of ['readable', 'end', 'close']) socket.once(event, resolve);
    });
  }
}

/** The proxy's answer: how it went, and where the connection is (which nobody asks). */
const answer = (how) => Uint8Array.of(VERSION, how, 0, IPV4, 0, 0, 0, 0, 0, 0);

function decline(socket, why) {
  socket.end(answer(why));
  socket.destroySoon();
}

/** @returns where the client wants to go */
async function greet(socket) {
  const [version, count] = await read(socket, 2);
  const methods = await read(socket, count);
  if (version !== VERSION || !methods.includes(NO_AUTHENTICATION)) throw new Error('not SOCKS 5 without authentication');
  socket.write(Uint8Array.of(VERSION, NO_AUTHENTICATION));
  const [, command, , kind] = await read(socket, 4);
  if (command !== CONNECT || (kind !== IPV4 && kind !== NAME)) throw new Error('not a connection by name or IPv4 address');
  const [length] = kind === NAME ? await read(socket, 1) : [4];
  const address = await read(socket, length);
  const [high, low] = await read(socket, 2);
  return { host: kind === NAME ? address.toString('latin1') : address.join('.'), port: high * 256 + low };
}

/**
 * Opens the proxy.
 * @param {import('../board/index.mjs').Board} board with a network of real sockets
 */
export async function openProxy(board) {
  const { network } = board;
  const accepted = new Map();
  const { syn, refuse } = network;
  network.refuse = (wire) => {
    if (!accepted.has(wire.socket)) return refuse.call(network, wire);
    wire.dropped = true;
    decline(wire.socket, CONNECTION_REFUSED);
  };
  network.syn = (wire) => {
    const tries = wire.synTries;
    wire.synTries = 0; // it must not give up yet
    syn.call(network, wire);
    wire.synTries = tries + 1;
    if (wire.dropped) return;
    if (wire.pcb) accepted.get(wire.socket)?.();
    else wire.nextSyn = wire.arrivedAt + SYN_RETRIES[tries];
  };

  const sockets = new Set();
  const server = net.createServer({ allowHalfOpen: true }, async (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // Node 20 keeps a socket for ever that is reset in the very turn in which it was ended, and with it the process.
    const reset = socket.resetAndDestroy;
    socket.resetAndDestroy = () => setImmediate(() => reset.call(socket));
    socket.on('error', () => {}); // the board hears of it by itself
    try {
      const { host, port } = await greet(socket);
      // A browser looks for its maker, too, as soon as there is a field to fill in. It must not find the board there.
      if (host !== BOARD && host !== ADDRESS) return decline(socket, HOST_UNREACHABLE);
      accepted.set(socket, () => socket.write(answer(SUCCEEDED)));
      network.connected(socket, host === BOARD ? port : network.boardPorts.get(port) ?? port);
    } catch {
      socket.destroy();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `socks5://127.0.0.1:${/** @type {net.AddressInfo} */ (server.address()).port}`,
    /** To be called when the board has been stopped. */
    close: () => new Promise((resolve) => {
      server.close(resolve);
      for (const socket of sockets) socket.destroy(); // one that never said where it wants to go would wait for ever
    }),
  };
}
