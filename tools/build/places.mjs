// Where in its maker's own files a place of a program lies that was made one file.
import { SourceMap } from 'node:module';
import { resolve } from 'node:path';

/**
 * Makes a function that translates a place in the one file; it gives undefined for what has no source. Lines and columns count from 1.
 * @param {{map: string, folder: string}} bundle its source map, and the folder to which the paths in that are relative
 */
export function makePlaces({ map, folder }) {
  const sourceMap = new SourceMap(JSON.parse(map));
  return (line, column) => {
    const entry = sourceMap.findEntry(line - 1, column - 1);
    if (!('originalSource' in entry)) return undefined;
    return { path: resolve(folder, entry.originalSource), line: entry.originalLine + 1, column: entry.originalColumn + 1 };
  };
}
