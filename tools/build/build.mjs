// Builds dist/: each library file as compact ES5 CommonJS with its types, and each example as one file for the board.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, parse, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import UglifyJS from 'uglify-js';
import { KALUMA_MODULES } from '../../test/board/modules.mjs';
import { visibleMembers } from './members.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const LIBRARY = ['ehttpserver', 'websocket'];
const PRIVATE = { regex: /^_[a-z]/i };

/** What no program calls its members, shortest first: _0, _1 ... _9, _A ... _Z, _00, ... */
function visibleName(index) {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
  return index < 36 ? `_${digits[index]}` : visibleName(Math.floor(index / 36) - 1) + digits[index % 36];
}

/**
 * Gives all private members their names beforehand, as a file's minifier leaves alone what is only read there. Where a program may have
 * members of its own, on what it can subclass, a name is one that no program uses. The shortest of the others are for those that are used most.
 * @param {string[]} texts the library files as ES5
 * @returns {object} UglifyJS's cache of names: one for all files, as they use each other's private members
 */
export function namePrivateMembers(texts) {
  const uses = new Map();
  for (const member of texts.flatMap((text) => text.match(/(?<=\.)_[a-z]\w*/gi))) uses.set(member, (uses.get(member) ?? 0) + 1);
  const members = [...uses.keys()].sort((a, b) => uses.get(b) - uses.get(a));
  const visible = visibleMembers(LIBRARY.map((name) => join(root, `${name}.ts`)));
  const named = members.filter((member) => visible.has(member)).map((member, i) => [`$${member}`, visibleName(i)]);
  const nameCache = { props: { props: Object.fromEntries(named) } };
  UglifyJS.minify(members.map((member) => `exports.${member} = 0;`).join(''), { compress: false, mangle: { properties: PRIVATE }, nameCache });
  return nameCache;
}

/** Shortens what tsc makes, before UglifyJS does. */
export function compact(es5) {
  return es5
    // A class names its prototype once, not for every method: 12 bytes each. What is used often gets a short name, too.
    .replace(/^ {4}(function (\w+)\()/gm, '    var proto = $2.prototype;\n    $1')
    .replace(/^ {4}\w+\.prototype\./gm, '    proto.')
    .replace(/\bUint8Array\b/g, 'Bytes')
    .replace(/^/, 'var Bytes = Uint8Array;');
}

/** Makes ES5 as short as can be. `toplevel`: nobody else uses the names that it declares. */
export function minify(es5, nameCache, toplevel = true) {
  const { code, error } = UglifyJS.minify(es5, {
    toplevel,
    // reduce_funcs would put functions where they are used, where they are made anew each time.
    compress: { passes: 5, inline: 3, hoist_funs: true, reduce_funcs: false, arrows: false, module: false },
    module: false,
    mangle: { properties: PRIVATE },
    output: { ascii_only: true },
    nameCache,
  });
  if (error) throw error;
  delete nameCache.vars; // each file has its own
  return code;
}

/** Compiles the library files to ES5 with tsc (esbuild cannot), minifies them, and puts them and their types in `out`. */
export async function buildLibrary(out = join(root, 'dist')) {
  const lowered = join(root, 'build');
  rmSync(lowered, { recursive: true, force: true });
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root], { stdio: 'inherit' });
  mkdirSync(out, { recursive: true });
  const texts = LIBRARY.map((name) => readFileSync(join(lowered, `${name}.js`), 'utf8'));
  const nameCache = namePrivateMembers(texts);
  LIBRARY.forEach((name, i) => {
    // Nobody needs the marks that tsc puts on a module: for default imports, and strict, which programs on Kaluma are anyway.
    const es5 = texts[i]
      .replace('"use strict";\n', '')
      .replace('Object.defineProperty(exports, "__esModule", { value: true });\n', '')
      .replace(/^(exports\.\w+ = )+void 0;\n/m, '');
    // Node.js finds the names for `import` in the text `exports.NAME =`: a shorter name for exports would hide them.
    writeFileSync(join(out, `${name}.js`), minify(compact(es5), nameCache) + '\n');
    writeFileSync(join(out, `${name}.d.ts`), readFileSync(join(lowered, `${name}.d.ts`)));
  });
}

/** Where an example's source is; undefined when there is none of that name. */
export function exampleSource(name) {
  return exampleSources().find((file) => parse(file).name === name);
}

/** The examples' source files. */
export function exampleSources() {
  return readdirSync(join(root, 'examples')).filter((file) => /\.(ts|js)$/.test(file)).map((file) => join(root, 'examples', file));
}

/** How programs call the library's files. */
export const LIBRARY_PATH = new RegExp(`^(\\.\\.?/)+(${LIBRARY.join('|')})(\\.[jt]s)?$`);

/**
 * Programs import the library as if it lay beside them, or a folder higher; what they get is what ships. Elsewhere than in this
 * repository a copy that does lie there is taken.
 */
export function isShipped(path, resolveDir) {
  const { dir, name } = parse(path);
  const here = `${resolveDir}${sep}`.startsWith(`${root}${sep}`);
  return here || !['.js', '.ts'].some((extension) => existsSync(join(resolveDir, dir, name + extension)));
}

const shippedLibrary = {
  name: 'shipped-library',
  setup(build) {
    build.onResolve({ filter: LIBRARY_PATH }, ({ path, resolveDir }) => (
      isShipped(path, resolveDir) ? { path: join(root, 'dist', `${parse(path).name}.js`) } : undefined));
  },
};

/** How programs are bundled with the built library. @type {import('esbuild').BuildOptions} */
export const BUNDLING = {
  bundle: true,
  format: 'cjs',
  platform: 'neutral',
  mainFields: ['main'],
  target: 'es2017', // what Kaluma runs natively
  supported: { bigint: true }, // so is 1n
  external: KALUMA_MODULES,
  plugins: [shippedLibrary],
  logLevel: 'warning',
};

/** Makes one self-contained file of each example, in the folder `out`. */
export async function buildExamples(sources = exampleSources(), out = join(root, 'dist', 'examples')) {
  await esbuild.build({ ...BUNDLING, entryPoints: sources, outdir: out });
  return out;
}

/**
 * Makes one self-contained text of a program.
 * @returns {Promise<{code: string, map: string, folder: string}>} map: its source map, in which paths are relative to the folder
 */
export async function buildProgram(source) {
  const { dir: folder, name } = parse(source);
  const options = { sourcemap: /** @type {const} */ ('external'), sourcesContent: false, write: /** @type {const} */ (false) };
  const { outputFiles, warnings } = await esbuild.build({
    ...BUNDLING, ...options, logLevel: 'silent', entryPoints: [source], outfile: join(folder, `${name}.bundled.js`),
  });
  for (const warning of await esbuild.formatMessages(warnings, { kind: 'warning' })) console.error(warning);
  const text = (end) => outputFiles.find(({ path }) => path.endsWith(end)).text;
  return { code: text('.js'), map: text('.map'), folder };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildLibrary();
  await buildExamples();
}
