// What the commands that take a program have in common: finding it, making it one file, and telling what is wrong in one line.
import { readdirSync, statSync } from 'node:fs';
import { dirname, join, parse, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildLibrary, exampleSource, exampleSources } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The examples' names, for people. */
export const EXAMPLES = exampleSources().map((file) => parse(file).name).join(', ');

/** Something that the user can mend: told in one line. */
export class UserError extends Error {}

/**
 * Reads the command line.
 * @param {import('node:util').ParseArgsOptionsConfig} options
 * @param {string} command what people type before options, for the message
 * @returns {{values: any, positionals: string[]}}
 */
export function parseOptions(options, command) {
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    // Its first sentence says what is wrong; the others are about what nobody wanted.
    throw new UserError(`${error.message.split(/\.\s|\n/)[0]}. See ${command} --help`);
  }
}

/** Runs a command; what the user can mend is told in one line, exit code 1. */
export async function runTool(command) {
  try {
    await command();
  } catch (error) {
    console.error(error instanceof UserError ? error.message : error);
    process.exitCode = 1;
  }
}

/** The source file of an example, or of a program given by its path. */
export function findSource(example) {
  const isPath = /[/\\.]/.test(example);
  const source = isPath ? resolve(example) : exampleSource(example);
  if (source && statSync(source, { throwIfNoEntry: false })?.isFile()) return source;
  throw new UserError(isPath ? `There is no file ${example}` : `Unknown example ${example}. There are: ${EXAMPLES}`);
}

/** True when a source of the library is newer than what was built from it. */
function libraryIsStale() {
  const age = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = readdirSync(root).filter((file) => file.endsWith('.ts'));
  return sources.some((file) => age(join(root, file)) >= age(join(root, 'dist', `${parse(file).name}.js`)));
}

const firstLine = (error) => String(error?.message ?? error).split('\n')[0];

/**
 * The program as one file.
 * @template T
 * @param {string} source
 * @param {(source: string) => Promise<T>} build
 */
export async function bundle(source, build) {
  try {
    if (libraryIsStale()) await buildLibrary();
    return await build(source);
  } catch (error) {
    const [{ text, location } = { text: firstLine(error), location: null }] = error.errors ?? [];
    const place = location ? `${location.file}:${location.line}:${location.column + 1}` : source;
    throw new UserError(`Cannot build ${place}: ${text}`);
  }
}
