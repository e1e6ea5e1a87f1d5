// A real board: Kaluma's command line tool, the serial port, and the board's terminal behind it.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../build/program.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const PACKAGE = join('@kaluma', 'cli');
const INSTALL = 'npm install --global @kaluma/cli';
/** Raspberry Pi's number at USB, and how it calls itself where numbers are not told. */
const VENDOR = /^2e8a$/i;
const MANUFACTURER = /raspberry|kaluma/i;
/** Milliseconds. The board answers within a few, but a program may keep it busy. */
const ANSWER = 3000;
const CTRL_C = 200;
/** Opening a port: Windows and a board that has just been plugged in take their time. */
const OPEN = 5000;
/** Sending a program: the board erases its whole program area first, which takes up to 6 seconds; then each page of 256 bytes. */
const SEND = 15000;
const SEND_A_PAGE = 60;

/** @typedef {{main: string, version: string, SerialPort: any}} Cli */

/** Where people have it: beside this project's packages, in PATH (a link into the package), or among npm's global ones. */
function* cliFolders() {
  yield join(root, 'node_modules', PACKAGE);
  for (const place of (process.env.PATH ?? '').split(delimiter)) {
    const link = join(place, 'kaluma');
    if (existsSync(link)) yield join(dirname(realpathSync(link)), '..');
    yield join(place, 'node_modules', PACKAGE); // where npm puts global packages on Windows
  }
  try {
    const options = { encoding: /** @type {const} */ ('utf8'), stdio: /** @type {any} */ (['ignore', 'pipe', 'ignore']), shell: process.platform === 'win32' };
    yield join(execFileSync('npm', ['root', '--global'], options).trim(), PACKAGE);
  } catch {
    // Without npm there is nothing global either.
  }
}

/**
 * The command line tool that is installed. It is no dependency of this project: it compiles a driver for serial ports when it is
 * installed, which takes a C++ compiler and Python where there is no ready one; nobody without a board should need that, or wait.
 * @returns {Cli}
 */
export function findCli() {
  for (const folder of cliFolders()) {
    const description = join(folder, 'package.json');
    if (!existsSync(description)) continue;
    const { name, version, bin } = JSON.parse(readFileSync(description, 'utf8'));
    if (name !== '@kaluma/cli') continue;
    const main = join(folder, bin.kaluma);
    try {
      // Its own driver, so that no second one has to be compiled. Since version 10 the class is a member.
      const serialport = createRequire(main)('serialport');
      return { main, version, SerialPort: serialport.SerialPort ?? serialport };
    } catch (error) {
      throw new UserError(`The Kaluma CLI in ${folder} cannot use serial ports (${firstLine(error)}). Install it again: ${INSTALL}`);
    }
  }
  throw new UserError(`The Kaluma CLI is not installed. Install it once: ${INSTALL}`);
}

const firstLine = (error) => String(error?.message ?? error).replace(/^(Error: )+/, '').split('\n')[0];

/** The serial port of the one board that is connected. */
export async function findPort({ SerialPort }) {
  let ports;
  try {
    ports = await SerialPort.list();
  } catch (error) {
    throw new UserError(`Cannot list the serial ports (${firstLine(error)}). Say which one it is: --port /dev/ttyACM0`);
  }
  // A computer's own ports have no vendor: none of them is a board.
  const boards = ports.filter(({ vendorId, manufacturer }) => VENDOR.test(vendorId ?? '') || MANUFACTURER.test(manufacturer ?? ''));
  const paths = boards.map(({ path }) => path);
  if (paths.length === 1) return paths[0];
  if (paths.length > 1) throw new UserError(`More than one board is connected. Say which one: --port ${paths.join(' or --port ')}`);
  const others = ports.filter(({ vendorId }) => vendorId).map(({ path }) => path).join(', ');
  throw new UserError('No board is connected: plug in a Pico W with Kaluma on it, with a cable that carries data'
    + (others && `, or say which port it is: --port with one of ${others}`));
}

/** True for `flash`, which was called `write` in 1.0. */
const hasFlash = (version) => !/^(0|1\.0)\./.test(version);

/**
 * Has the command line tool write a program to the board and start it.
 * @param {Cli} cli
 * @param {string} file
 * @param {string} port
 * @param {number} patience milliseconds for what does not depend on the program's length
 */
export async function flashWithCli({ main, version }, file, port, patience = SEND) {
  const args = [main, hasFlash(version) ? 'flash' : 'write', file, '--port', port];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { printed += data; });
  // It waits for ever for a board that does not answer.
  const { length } = readFileSync(file);
  let late = false;
  const timer = setTimeout(() => { late = child.kill('SIGKILL'); }, patience + length / 256 * SEND_A_PAGE);
  await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  clearTimeout(timer);
  if (late) throw new UserError('The board stopped answering while the program was sent. Unplug it, plug it in, and try again');
  // It ends with 0 whatever happens; what matters is asked of the board afterwards.
  const failed = /^\W*((?:[A-Za-z]*Error|port not found)\b.*)$/m.exec(printed);
  if (failed) throw new UserError(`The Kaluma CLI failed: ${failed[1].replace(/\W+$/, '')}`);
}

/** The board's terminal: commands in, what they print out. */
export class Terminal {
  #serial;
  #text = '';
  #look = () => {};
  /** Called with everything that the board prints. */
  onText = (_text) => {};

  /**
   * @param {Cli} cli
   * @param {string} port
   */
  static async open({ SerialPort }, port) {
    const terminal = new Terminal();
    const options = { autoOpen: false, baudRate: 115200 };
    // Up to version 9 the path came first.
    const serial = terminal.#serial = SerialPort.length > 1 ? new SerialPort(port, options) : new SerialPort({ path: port, ...options });
    await withTime(OPEN, new Promise((resolve, reject) => serial.open((error) => (error ? reject(error) : resolve(undefined)))))
      .catch((error) => {
        const hint = /permission/i.test(error.message) && process.platform === 'linux' ? '. Your user must be in the group dialout' : '';
        throw new UserError(`Cannot open ${port}: ${firstLine(error).replace(`, cannot open ${port}`, '')}${hint}`);
      });
    serial.on('error', () => {}); // a board that is unplugged does not answer either
    serial.on('data', (data) => {
      terminal.#text += data.toString('latin1');
      terminal.#look();
      terminal.onText(data);
    });
    return terminal;
  }

  write(text) {
    this.#serial.write(text);
  }

  /**
   * Types a line and waits for an answer.
   * @param {string} line without its end
   * @param {RegExp} answer
   * @returns {Promise<RegExpExecArray>} how it matched
   */
  async ask(line, answer, ms = ANSWER) {
    this.#text = '';
    const answered = new Promise((resolve) => {
      this.#look = () => {
        const match = answer.exec(this.#text);
        if (match) resolve(match);
      };
    });
    this.write(`${line}\r`);
    try {
      return await withTime(ms, answered);
    } catch {
      throw new UserError('The board does not answer. Is Kaluma on it? Else unplug it, plug it in, and try again');
    } finally {
      this.#look = () => {};
    }
  }

  /** Makes sure that it answers, and that what is typed begins a line. @returns how many bytes a program may have */
  async greet() {
    // Whoever was here before may have left without switching echo on again.
    const ask = async () => +(await this.ask('\r.echo on\r.flash -t', /\.flash -t\r\n(\d+)\r\n/))[1];
    try {
      return await ask();
    } catch {
      // A program that does not come to its end: Ctrl-C stops what runs. The board forgets what comes with it in one packet.
      this.write('\x03');
      await new Promise((resolve) => setTimeout(resolve, CTRL_C));
      return ask();
    }
  }

  /** Bytes of the program that is on the board. */
  async programSize() {
    return +(await this.ask('\r.flash -s', /\.flash -s\r\n(\d+)\r\n/))[1];
  }

  /**
   * Has JavaScript evaluated.
   * @param {string} code one line, of 1023 bytes at most
   * @returns {Promise<number>} its value; what it throws is an error here
   */
  async evaluate(code) {
    // Echo is off: the value comes in colour, an error in red.
    const [, error, value] = await this.ask(code, /\x1b\[31m([^\r]*)\r\n|\x1b\[95m(\d+)\x1b\[0m\r\n/, 10000);
    if (error !== undefined) throw new Error(error.replace(/^Error: /, ''));
    return +value;
  }

  async close() {
    if (this.#serial.isOpen) await new Promise((resolve) => this.#serial.close(resolve));
  }
}

async function withTime(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(reject, ms, new Error('no answer')); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Opens the board's terminal, does something there, and closes it. */
export async function withTerminal(cli, port, action) {
  const terminal = await Terminal.open(cli, port);
  try {
    return await action(terminal);
  } finally {
    await terminal.close();
  }
}
