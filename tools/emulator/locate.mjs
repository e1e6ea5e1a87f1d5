// Stack traces of a program that was made one file: by its maker's own files and lines, without what calls it here.
import { SourceMap } from 'node:module';
import { relative, resolve } from 'node:path';

/** Lines of a stack trace that are the emulated board's, or Node's; not what inspect() writes after the last of them. */
const OTHERS = /\n +at [^\n]*(?:file:\/\/|\bnode:)[^\n]*?(?=(?: \{)?(?:\n|$))/g;

/**
 * Makes a function that translates a text with stack traces in it.
 * @param {string} name of the one file, in the stack traces
 * @param {{map: string, folder: string}} bundle its source map, and the folder to which the paths in that are relative
 */
export function makeLocate(name, { map, folder }) {
  const sourceMap = new SourceMap(JSON.parse(map));
  const places = new RegExp(`(?<![\\w./\\\\-])${name.replace(/\W/g, '\\$&')}:(\\d+):(\\d+)`, 'g');
  return (text) => text.replace(OTHERS, '').replace(places, (place, line, column) => {
    const entry = sourceMap.findEntry(line - 1, column - 1);
    if (!('originalSource' in entry)) return place;
    return `${relative(process.cwd(), resolve(folder, entry.originalSource))}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
}

/** The lines of a stack trace that say where, each after a line feed. */
export const framesOf = (text) => text.split('\n').filter((line) => /^ +at /.test(line)).map((line) => `\n${line}`).join('');
