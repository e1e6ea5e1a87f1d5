// A way to the board for browsers on which a connection is open when the *board* has accepted it: a SOCKS 5 proxy (RFC 1928).
// On a plain socket the kernel accepts every connection at once, whether the board has room for it or not. The browser then puts
// a request on it, and that waits, while on the air the SYN would get no answer: the browser would send this request, too, down
// the connection that it has. Through the proxy it is told that it is connected when the board says so.
import net from 'node:net';

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const SUCCEEDED = 0;
const HOST_UNREACHABLE = 4;

/** The board's names; with the first one browsers ask nobody for the way. (They give addresses as names, too.) */
const BOARD = ['board', '127.0.0.1'];

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

async function greet(socket) {
  const [version, count] = await read(socket, 2);
  const methods = await read(socket, count);
  if (version !== VERSION || !methods.includes(NO_AUTHENTICATION)) throw new Error('not SOCKS 5 without authentication');
  socket.write(Uint8Array.of(VERSION, NO_AUTHENTICATION));
  const [, command, , kind] = await read(socket, 4);
  if (command !== CONNECT || (kind !== IPV4 && kind !== NAME)) throw new Error('not a connection by name or IPv4 address');
  const [length] = kind === NAME ? await read(socket, 1) : [4];
  const address = await read(socket, length + 2); // and port
  // A browser looks for its maker, too, as soon as there is a field to fill in. It must not find the board there.
  if (kind === NAME && !BOARD.includes(address.toString('latin1', 0, length))) {
    socket.end(Uint8Array.of(VERSION, HOST_UNREACHABLE, 0, IPV4, 0, 0, 0, 0, 0, 0));
    throw new Error('there is only the board');
  }
}

/**
 * Opens the proxy.
 * @param {import('../board/index.mjs').Board} board with a network of real sockets
 * @param {number} boardPort where the proxy's connections go, whatever IPv4 address or port was asked for
 */
export async function openProxy(board, boardPort = 80) {
  const { network } = board;
  const accepted = new Map();
  const { syn } = network;
  network.syn = (wire) => {
    const tries = wire.synTries;
    wire.synTries = 0; // it must not give up yet
    syn.call(network, wire);
    wire.synTries = tries + 1;
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
      await greet(socket);
      accepted.set(socket, () => socket.write(Uint8Array.of(VERSION, SUCCEEDED, 0, IPV4, 127, 0, 0, 1, 0, boardPort)));
      network.connected(socket, boardPort);
    } catch {
      socket.destroySoon(); // once it has been told why
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
