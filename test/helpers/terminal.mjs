// A board at the end of a serial line: a pseudo-terminal for whoever wants to talk to it, and Kaluma's terminal behind it.
import { spawn } from 'node:child_process';
import { closeSync, constants, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { findProgram } from './program.mjs';

/** The program that makes pairs of pseudo-terminals: Node has none of its own. */
export const socat = findProgram('SOCAT', ['socat']);

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class BoardTerminal {
  /**
   * @param {object} [options] of the board
   * @param {Record<string, string | Uint8Array>} [options.files] in its file system
   * @param {number} [options.capacity] bytes of its program area
   * @param {number} [options.flashFailsAt] how many bytes of it can be written
   * @param {boolean} [options.busy] its program never returns, until Ctrl-C
   * @param {string} [options.says] what its program prints some time after it was started
   * @param {number} [options.silentAfter] it does nothing any more after this many bytes came
   */
  static async open(options = {}) {
    const terminal = new BoardTerminal();
    terminal.folder = mkdtempSync(join(tmpdir(), 'ehttpserver-tty-'));
    /** The port's name on this computer; the CLI lists ports of such names only. */
    terminal.port = join(terminal.folder, 'ttyACM0');
    const boardEnd = join(terminal.folder, 'board');
    terminal.line = spawn(socat, [`pty,raw,echo=0,link=${terminal.port}`, `pty,raw,echo=0,link=${boardEnd}`], { stdio: 'ignore' });
    for (let tries = 0; !existsSync(terminal.port) || !existsSync(boardEnd); tries++) {
      if (tries > 500 || terminal.line.exitCode !== null) throw new Error('socat made no pseudo-terminals');
      await wait(10);
    }
    // The line would end when the first one who opens it closes it.
    terminal.keptOpen = openSync(terminal.port, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    // What the board does is synchronous, as its C is: so it gets a thread of its own.
    terminal.worker = new Worker(new URL('./terminal-worker.mjs', import.meta.url), { workerData: { path: boardEnd, ...options } });
    /**
     * What the board has after its last command: bytes of its program area, files by path, what it did in order, whether it shows
     * what is typed, and names that were not there in the beginning.
     * @type {{program: Uint8Array, files: Record<string, Uint8Array>, history: string[], echo: boolean, globals: string[], error?: string}}
     */
    terminal.state = await new Promise((resolve, reject) => {
      terminal.worker.once('message', resolve);
      terminal.worker.once('error', reject);
    });
    terminal.worker.on('message', (state) => { terminal.state = state; });
    terminal.worker.on('error', (error) => { terminal.state = { ...terminal.state, error: String(error) }; });
    return terminal;
  }

  /** The program as text. */
  get program() {
    return Buffer.from(this.state.program).toString('utf8');
  }

  async close() {
    await this.worker.terminate();
    const ended = new Promise((resolve) => this.line.once('exit', resolve));
    closeSync(this.keptOpen);
    if (this.line.exitCode === null && this.line.signalCode === null) {
      this.line.kill('SIGKILL');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
