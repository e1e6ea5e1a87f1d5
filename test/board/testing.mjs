// What the tests of the model itself share: a bare program on `__netdev`.

/**
 * Listens and notes what happens.
 * @param {import('./board.mjs').Board} board
 * @param {number} [port]
 */
export function listenOn(board, port = 80) {
  const { netdev } = board;
  const fd = netdev.socket('AF_INET', 'STREAM');
  netdev.bind(fd, '0.0.0.0', port);
  const object = netdev.get(fd);
  /** @type {{fd: number, object: any, accepted: number[], closed: number[], received: string[], onAccept: (fd: number) => void, onRead: (text: string) => void, onClose: (fd: number) => void}} */
  const server = {
    fd, object,
    accepted: [], closed: [], received: [],
    onAccept: () => {}, onRead: () => {}, onClose: () => {},
  };
  object.accept_cb = (accepted) => {
    server.accepted.push(accepted);
    netdev.get(accepted).close_cb = () => {
      server.closed.push(accepted);
      server.onClose(accepted);
    };
    server.onAccept(accepted);
  };
  object.read_cb = (data) => {
    const text = Buffer.from(data).toString('latin1');
    server.received.push(text);
    server.onRead(text);
  };
  netdev.listen(fd);
  return server;
}

/** A client that is connected, and the fd that the program got for it. */
export function connectTo(board, server, options) {
  const client = board.connect(options);
  const before = server.accepted.length;
  board.runUntil(() => server.accepted.length > before && client.state === 'open');
  return { client, fd: server.accepted.at(-1) };
}

/** 0 when the connection can still send, -1 when not. */
export function probe(board, fd) {
  board.netdev.write(fd, '');
  return board.netdev.errno;
}

/** Takes sockets bound to port 0, one after the other; returns those that got a PCB. */
export function holdPcbs(board, count) {
  const { netdev } = board;
  return Array.from({ length: count }, () => {
    const fd = netdev.socket('AF_INET', 'STREAM');
    netdev.bind(fd, '0.0.0.0', 0);
    return fd;
  });
}

/** Names of the broken rules, and empties the list: for tests that break them on purpose. */
export function brokenRules(board) {
  return board.violations.splice(0).map((error) => error.rule);
}
