// Programs beside the tests: starting them, what they print, how they end.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** One run of a program. What it prints is collected. */
export class Program {
  /**
   * @param {string} command
   * @param {string[]} args
   * @param {import('node:child_process').SpawnOptions & {input?: string | Uint8Array}} [options] input: what it reads
   */
  constructor(command, args, { input = '', ...options } = {}) {
    this.child = spawn(command, args, { ...options, stdio: 'pipe' });
    this.chunks = { stdout: [], stderr: [] };
    this.waiting = new Set();
    for (const name of ['stdout', 'stderr']) {
      this.child[name].on('data', (chunk) => {
        this.chunks[name].push(chunk);
        for (const look of this.waiting) look();
      });
    }
    /** Its exit code, or the signal that killed it. */
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => resolve(signal ?? code));
    });
    this.ended.catch(() => {});
    this.child.stdin.on('error', () => {}); // it may have ended before it has read everything
    this.child.stdin.end(input);
  }

  /** What it printed: bytes as characters. */
  get stdout() {
    return Buffer.concat(this.chunks.stdout).toString('latin1');
  }

  get stderr() {
    return Buffer.concat(this.chunks.stderr).toString('latin1');
  }

  /** Waits until it has printed something that matches; an error when it ends before. */
  async prints(pattern, milliseconds = 20000) {
    let look;
    let timer;
    const found = new Promise((resolve, reject) => {
      look = () => { if (pattern.test(this.stdout)) resolve(pattern.exec(this.stdout)); };
      const fail = (why) => reject(new Error(`${why} and has not printed ${pattern}, but:\n${this.stdout}${this.stderr}`));
      timer = setTimeout(() => fail(`${milliseconds} ms have gone by`), milliseconds);
      this.ended.then((how) => fail(`it has ended (${how})`), reject);
    });
    this.waiting.add(look);
    look();
    try {
      return await found;
    } finally {
      clearTimeout(timer);
      this.waiting.delete(look);
    }
  }

  /** Asks it to end, and waits: for how it ended. One that does not is killed, and that is the answer. */
  async stop(signal = 'SIGINT', milliseconds = 5000) {
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), milliseconds);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Runs a program to its end. */
export async function runToEnd(command, args, options) {
  const program = new Program(command, args, options);
  const code = await program.ended;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

/** Where a program is: what the environment says, else what PATH has. */
export function findProgram(variable, names) {
  const given = process.env[variable];
  const places = (process.env.PATH ?? '').split(delimiter);
  const candidates = given ? [given] : names.flatMap((name) => places.map((place) => join(place, name)));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A Python that has a module: what the environment says, else the system's, whose packages are the distribution's. */
export function findPython(module) {
  const candidates = [findProgram('PYTHON', []), '/usr/bin/python3', findProgram('PYTHON', ['python3'])];
  return candidates.find((path) => path && spawnSync(path, ['-c', `import ${module}`]).status === 0);
}

/** For a test's `skip`: why it cannot run here. In CI everything has to be there. */
export function unlessFound(path, name) {
  if (path) return false;
  if (process.env.CI) throw new Error(`${name} is not on this machine, and CI must not skip what needs it`);
  return `${name} is not on this machine`;
}
