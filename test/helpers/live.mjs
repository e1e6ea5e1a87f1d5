// A board that real clients can reach, with the library that ships and a server on it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Board } from '../board/index.mjs';

const LIBRARY = fileURLToPath(new URL('../../dist/ehttpserver.js', import.meta.url));
const WEBSOCKET = fileURLToPath(new URL('../../dist/websocket.js', import.meta.url));
const code = readFileSync(LIBRARY, 'utf8');

/**
 * Starts a server on a new board on 127.0.0.1, at any free port.
 * @param {object} setup
 * @param {'stock' | 'routed'} setup.firmware
 * @param {object} [setup.options] ServerOptions
 * @param {boolean} [setup.webSocket] it is a WebSocketServer
 * @param {(server: any, library: any, board: Board) => void} setup.routes adds the routes
 */
export async function goLive({ firmware, options, webSocket = false, routes }) {
  const board = new Board({ firmware, network: 'node' });
  const library = board.load(code, LIBRARY);
  const { Server } = webSocket ? extend(board, library) : library;
  const server = new Server(options);
  routes(server, library, board);
  server.listen(80);
  await board.start();
  const port = await board.listening;
  return { board, server, library, port, url: `http://127.0.0.1:${port}`, stop: () => board.stop() };
}

/** The library with the WebSocket extension's server in the place of its own. */
function extend(board, library) {
  const { WebSocketServer } = board.load(readFileSync(WEBSOCKET, 'utf8'), WEBSOCKET, { modules: { './ehttpserver': library } });
  return { ...library, Server: WebSocketServer };
}
