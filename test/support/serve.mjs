// A board in memory with the built library and a server on it, for tests that talk in literal bytes.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Board } from '../board/index.mjs';

export const FIRMWARES = ['stock', 'routed'];

/** A header line of browsers: on stock firmware their connections are kept for the next request, nobody else's. */
export const BROWSER = 'user-agent: Mozilla/5.0\r\n';

/** What a client gets that nobody can hear: with it the connection ends, whatever it sends. */
export const TURNED_AWAY = 'HTTP/1.1 421 \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\nconnection: close\r\n\r\n421';

const LIBRARY = fileURLToPath(new URL('../../dist/ehttpserver.js', import.meta.url));
const WEBSOCKET = fileURLToPath(new URL('../../dist/websocket.js', import.meta.url));
const code = readFileSync(LIBRARY, 'utf8');

/** Loads what ships: the minified ES5, as a program on the board would. */
export function loadLibrary(board) {
  return board.load(code, LIBRARY);
}

/** The same for the WebSocket extension, on top of that. */
export function loadWebSocket(board, library) {
  return board.load(readFileSync(WEBSOCKET, 'utf8'), WEBSOCKET, { modules: { './ehttpserver': library } });
}

/**
 * Starts a server on a new board.
 * @param {object} setup
 * @param {'stock' | 'routed'} setup.firmware
 * @param {object} [setup.options] ServerOptions
 * @param {(server: any, library: any, board: Board) => void} [setup.routes] adds the routes
 * @param {object} [setup.board] more options of the board
 * @param {object} [setup.globals] what the program finds otherwise than on the board
 */
export function serve({ firmware, options, routes, board: boardOptions, globals }) {
  const board = new Board({ firmware, passMicros: 100, ...boardOptions });
  Object.assign(board.global, globals);
  const library = loadLibrary(board);
  const server = new library.Server(options);
  routes?.(server, library, board);
  server.listen(80);
  board.run(5);
  return { board, library, server };
}

/** Latin-1 bytes of a text as UTF-8: what a client's `text` shows of it. */
export const utf8 = (text) => Buffer.from(text, 'utf8').toString('latin1');

/** Where a request is cut in two: everywhere, or where it is long: around its ends, its lines and what the server and TCP cut. */
export function cutsOf(request) {
  const all = [...Array(request.length).keys()].slice(1);
  if (request.length <= 400) return all;
  const edges = new Set();
  const around = (at) => { for (let d = -2; d <= 2; d++) edges.add(at + d); };
  for (let at = 0; at <= 12; at++) edges.add(at).add(request.length - at);
  for (let at = 1024; at < request.length; at += 1024) around(at);
  for (let at = 1460; at < request.length; at += 1460) around(at);
  for (let at = request.indexOf('\r\n'); at >= 0; at = request.indexOf('\r\n', at + 2)) around(at + 1);
  return all.filter((at) => edges.has(at));
}

/** The ways in which the bytes of a request can come: lists of pieces, each sent when the one before has been read. */
export function* deliveries(request) {
  yield { how: 'at once', pieces: [request] };
  yield { how: 'byte by byte', pieces: [...request] };
  for (const at of cutsOf(request)) yield { how: `cut at ${at}`, pieces: [request.slice(0, at), request.slice(at)] };
}

/**
 * Sends pieces, a few loop passes apart, and waits until the client has `expected` bytes and as long again.
 * @returns the client
 */
export function exchange(board, pieces, expectedLength, { ms = 3000, gap = 0.2, port = 80 } = {}) {
  const client = board.connect({ port, delay: 0.5 });
  board.runUntil(() => client.state !== 'connecting', 5000);
  for (const piece of pieces) {
    client.send(piece);
    board.run(gap);
  }
  const until = board.now + ms;
  while (client.bytes.length < expectedLength && client.state !== 'closed' && board.now < until) board.pass();
  board.run(5);
  return client;
}
