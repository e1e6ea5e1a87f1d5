// Where the figures are to get. They are shown beside what is measured; what is above them is no error.

/** Bytes and instructions. A name that ends with "*" is for all figures that begin so, which have no goal of their own. */
export const GOALS = {
  'dist/ehttpserver.js': 9000,
  'dist/websocket.js': 5600,
  'GET, kept connection': 850000,
  'file of 30 KB, all steps': 8000000,
  'WebSocket echo of 1024 bytes': 1600000,
  'idle step, 1 open': 20000,
  'largest step, *': 2000000,
};
