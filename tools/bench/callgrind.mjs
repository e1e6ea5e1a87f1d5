// Counts the instructions that parts of an ES5 program take in duktape. Callgrind counts what a CPU is told to do, on a model of a
// machine: the same program gives the same numbers, however busy the real one is.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../../test/helpers/program.mjs';

const PROGRAMS = Object.fromEntries(['duk', 'valgrind'].map((name) => [name, findProgram(undefined, [name])]));
// Nothing of this machine: not its environment, which would move the stack, and memory addresses seed duktape's hashes; not the
// copying and searching that the C library has for newer processors.
const ENVIRONMENT = { GLIBC_TUNABLES: 'glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-AVX_Fast_Unaligned_Load' };
const CALLGRIND = [
  PROGRAMS.valgrind, '-q', '--tool=callgrind', '--dump-before=cbrt', '--combine-dumps=yes', '--dump-line=no', '--callgrind-out-file=counts',
];
const run = promisify(execFile);
const read = (name) => readFile(new URL(name, import.meta.url), 'utf8');

/** The programs that are needed and not there. */
export function missingPrograms() {
  return Object.keys(PROGRAMS).filter((name) => !PROGRAMS[name]);
}

/** The library as functions that take what a CommonJS module gets, and the files of this folder that follow it. */
export async function withLibrary(...files) {
  return [
    `var loadLibrary = function (exports, require) {${await read('../../dist/ehttpserver.js')}};`,
    `var loadWebSocketLibrary = function (exports, require) {${await read('../../dist/websocket.js')}};`,
    ...await Promise.all(files.map(read)),
  ].join('\n');
}

/** Runs a program under `command`, and returns what it prints as JSON, and what `use` finds in the folder in which it ran. */
async function duk(source, command, use = async () => {}) {
  const folder = await mkdtemp(join(tmpdir(), 'ehttpserver-'));
  try {
    await writeFile(join(folder, 'program.js'), source);
    const [program, ...args] = [...command, PROGRAMS.duk, 'program.js'];
    const { stdout } = await run(program, args, { cwd: folder, env: ENVIRONMENT, timeout: 120_000 });
    return { printed: JSON.parse(stdout), ...await use(folder) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The value of an expression after a program. */
export async function evaluate(source, expression) {
  return (await duk(`${source}\nprint(JSON.stringify(${expression}));`, [])).printed;
}

/** Runs a program and returns for each of its marks the instructions since the one before. */
export async function count(source) {
  const { printed: names, totals } = await duk(`${await read('marks.js')}\n${source}\nprint(JSON.stringify(marks));`, CALLGRIND, async (folder) => {
    const counts = await readFile(join(folder, 'counts'), 'latin1');
    return { totals: [...counts.matchAll(/^totals: (\d+)$/gm)].map((match) => +match[1]) };
  });
  // The last count is of the program's end.
  if (totals.length !== names.length + 1) throw new Error(`${names.length} marks, but ${totals.length - 1} counts: did callgrind see cbrt()?`);
  return names.map((name, at) => ({ name, instructions: totals[at] }));
}
