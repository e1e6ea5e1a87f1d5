// A board that real clients can reach, with the library that ships and a server on it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Board } from '../board/index.mjs';

const LIBRARY = fileURLToPath(new URL('../../dist/ehttpserver.js', import.meta.url));
const code = readFileSync(LIBRARY, 'utf8');

/**
 * Starts a server on a new board on 127.0.0.1, at any free port.
 * @param {object} setup
 * @param {'stock' | 'routed'} setup.firmware
 * @param {object} [setup.options] ServerOptions
 * @param {(server: any, library: any, board: Board) => void} setup.routes adds the routes
 */
export async function goLive({ firmware, options, routes }) {
  const board = new Board({ firmware, network: 'node' });
  const library = board.load(code, LIBRARY);
  const server = new library.Server(options);
  routes(server, library, board);
  server.listen(80);
  await board.start();
  const port = await board.listening;
  return { board, server, library, port, url: `http://127.0.0.1:${port}`, stop: () => board.stop() };
}
