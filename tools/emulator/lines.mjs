// How npm start shows what happens: a line each, for 80 columns.

const COLOURS = { dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };
/** Everything of a line but the path: method, status, size, time and a note, with the spaces between them. */
const OTHER_COLUMNS = 50;
const SMALLEST_WIDTH = 80;

/** What a client sent must not move the cursor, nor look like anything else. */
const printable = (text) => text.replace(/[^!-~]/g, '.');

export const kilobytes = (bytes, digits = 0) => (bytes / 1024).toFixed(digits);

const shortened = (text, width) => (text.length > width ? `${text.slice(0, width - 3)}...` : text).padEnd(width);

const size = (bytes) => bytes < 10000 ? `${bytes} B` : bytes < 1e7 ? `${kilobytes(bytes, 1)} KB` : `${(bytes / 1048576).toFixed(1)} MB`;

const time = (ms) => ms < 10000 ? `${ms} ms` : ms < 1e6 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 60000).toFixed(0)} min`;

/** @param {Map<number, number>} ports where the board's ports are: two or more */
export function portsLine(ports) {
  const places = [...ports].sort(([a], [b]) => a - b);
  const inRow = places.length > 2 && places.every(([boardPort, port], i) => boardPort === places[0][0] + i && port === places[0][1] + i);
  const list = (numbers) => inRow ? `${numbers[0]} to ${numbers.at(-1)}` : `${numbers.slice(0, -1).join(', ')} and ${numbers.at(-1)}`;
  return `ports ${list(places.map(([boardPort]) => boardPort))} of the board are ${list(places.map(([, port]) => port))} on 127.0.0.1`;
}

/** Bytes of the board's JavaScript heap, and of the C heap, as far as received bytes have it. */
export const HEAP_SIZE = 184312;
const INPUT_SIZE = 20480;

/**
 * Makes the functions that make lines.
 * @param {{colours?: boolean, width?: number}} [terminal]
 */
export function makeLines({ colours = false, width = SMALLEST_WIDTH } = {}) {
  const paint = (colour, text) => colours && text ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text;
  const pathWidth = Math.max(width, SMALLEST_WIDTH) - OTHER_COLUMNS;
  const words = { stream: 'stream', open: 'open', closed: 'closed', request: '' };
  const statusColour = (type, status) => type === 'closed' ? (status < 1002 ? 'green' : 'yellow')
    : !status || status > 499 ? 'red' : status > 399 ? 'yellow' : status > 299 ? 'cyan' : 'green';

  /** @param {import('./traffic.mjs').Event} event */
  function traffic({ type, method, path, port, status, bytes, ms, note = '' }) {
    const what = `${shortened(printable(method), 7)} ${shortened(printable(port ? `:${port}${path}` : path), pathWidth)}`;
    const how = `${(bytes === undefined ? words[type] : size(bytes)).padStart(9)} ${(ms === undefined ? '' : time(ms)).padStart(9)}`;
    return `${what} ${paint(statusColour(type, status), String(status ?? '-').padStart(4))} ${how}  ${paint('dim', note)}`.trimEnd();
  }

  /** @param {ReturnType<import('./emulate.mjs')['vitalsOf']> & {heap: number}} vitals */
  function vitals({ open, heap, peak, fds, allFds, dead, pcbs, allPcbs, held, ending }) {
    const share = (bytes, all, digits = 0) => paint(bytes > all ? 'red' : 'dim', `${kilobytes(bytes, digits)}/${kilobytes(all)} KB`);
    const count = (number, all, uses) => `${number}/${all}${uses.filter(([some]) => some > 0).map((use) => `, ${use.join(' ')}`).join('')}`;
    return paint('dim', `board   clients ${open}  heap `) + share(heap, HEAP_SIZE) + paint('dim', '  input ') + share(peak, INPUT_SIZE, 1)
      + paint('dim', `  fds ${count(fds, allFds, [[dead, 'dead']])}  PCBs ${count(pcbs, allPcbs, [[held, 'held'], [ending, 'ending']])}`);
  }

  /** @param {{ms: number, delay: boolean}} pass a pass of the loop that took long */
  const busy = ({ ms, delay }) => paint('yellow', `board   busy for ${Math.round(ms)} ms: nobody was served (${delay ? 'delay()?' : 'a long loop?'})`);

  return { traffic, vitals, busy };
}
