// Ports of this machine.
import { once } from 'node:events';
import net from 'node:net';
import { Board } from '../board/index.mjs';

/** A port that is free, as those behind it are. */
export async function findRow() {
  const board = new Board({ network: 'node' });
  const port = await board.network.reserve();
  await board.stop();
  return port;
}

/** Another program that listens on a port, 0 for any, until the test ends. @returns the port */
export async function occupy(t, port) {
  const other = net.createServer().listen(port, '127.0.0.1');
  t.after(() => other.close());
  await once(other, 'listening');
  return /** @type {net.AddressInfo} */ (other.address()).port;
}
