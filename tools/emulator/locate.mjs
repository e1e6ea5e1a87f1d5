// Stack traces of a program that was made one file: by its maker's own files and lines, without what calls it here.
import { relative } from 'node:path';
import { makePlaces } from '../build/places.mjs';

/** Lines of a stack trace that are the emulated board's, or Node's; not what inspect() writes after the last of them. */
const OTHERS = /\n +at [^\n]*(?:file:\/\/|\bnode:)[^\n]*?(?=(?: \{)?(?:\n|$))/g;

/**
 * Makes a function that translates a text with stack traces in it.
 * @param {string} name of the one file, in the stack traces
 * @param {{map: string, folder: string}} bundle its source map, and the folder to which the paths in that are relative
 */
export function makeLocate(name, { map, folder }) {
  const placeOf = makePlaces({ map, folder });
  const places = new RegExp(`(?<![\\w./\\\\-])${name.replace(/\W/g, '\\$&')}:(\\d+):(\\d+)`, 'g');
  return (text) => text.replace(OTHERS, '').replace(places, (place, line, column) => {
    const at = placeOf(+line, +column);
    return at ? `${relative(process.cwd(), at.path)}:${at.line}:${at.column}` : place;
  });
}

/** The lines of a stack trace that say where, each after a line feed. */
export const framesOf = (text) => text.split('\n').filter((line) => /^ +at /.test(line)).map((line) => `\n${line}`).join('');
