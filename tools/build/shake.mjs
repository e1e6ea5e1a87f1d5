// Makes one file of a program and of those parts of the library that it uses.
import { readFileSync } from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as acorn from 'acorn';
import * as esbuild from 'esbuild';
import ts from 'typescript';
import { BUNDLING, compact, isShipped, LIBRARY, LIBRARY_PATH, minify, namePrivateMembers } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The library's files as ES5 with `import` and `export`, by name. */
function lowerToModules() {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, module: 'ES2015', declaration: false }, root);
  const program = ts.createProgram(LIBRARY.map((name) => join(root, `${name}.ts`)), options);
  const texts = {};
  program.emit(undefined, (path, text) => { texts[parse(path).name] = text; });
  return texts;
}

/** Modules need no object to hand each other what is the library's own: here it becomes exports and imports. */
const seamAsExports = (text) => text
  .replace(', _seam }', ' }')
  .replace(/^export var _seam = \{([^}]*)\};$/m, (all, members) => `export {${members.replace(/(\w+): (\w+)/g, '$2 as $1')}};`)
  .replace(/^var core = _seam;.*\n/m, '')
  .replace(/^var (?:(\w+) = core\.\1(?:, |;$))+/m, (all) => `import { ${all.match(/\w+(?= =)/g).join(', ')} } from './ehttpserver';`);

let lowered;
/** The library's files as modules, made once, and what is to be done to them for all programs. */
function modules() {
  if (!lowered) {
    const texts = lowerToModules();
    const nameCache = namePrivateMembers(Object.values(texts));
    const short = Object.entries(texts).map(([name, text]) => [name, seamAsExports(compact(text))]);
    lowered = { texts: Object.fromEntries(short), nameCache };
  }
  return lowered;
}

/** A plugin for whose modules `textOf` gives the text: those that a program, or the library itself, takes from the library. */
const libraryFrom = (textOf) => ({
  name: 'library',
  setup(build) {
    const resolved = (path) => ({ path: `${parse(path).name}.js`, namespace: 'library' });
    build.onResolve({ filter: /^\.\//, namespace: 'library' }, ({ path }) => resolved(path));
    build.onResolve({ filter: LIBRARY_PATH }, ({ path, resolveDir }) => (isShipped(path, resolveDir) ? resolved(path) : undefined));
    build.onLoad({ filter: /./, namespace: 'library' }, ({ path }) => ({ contents: textOf(parse(path).name) }));
    build.onLoad({ filter: /\.js$/ }, ({ path }) => ({ contents: withImports(readFileSync(path, 'utf8')), loader: 'js' }));
  },
});

/** The path in `const { Server } = require('./ehttpserver')`; undefined in other statements, and for Kaluma's modules. */
function requiredIn({ type, declarations }) {
  if (type !== 'VariableDeclaration' || declarations.length !== 1) return undefined;
  const [{ id, init }] = declarations;
  const path = init?.type === 'CallExpression' && init.callee.name === 'require' ? init.arguments[0]?.value : undefined;
  const isPlain = id.type === 'ObjectPattern' && id.properties.every(({ computed, value }) => !computed && value?.type === 'Identifier');
  return isPlain && /^\./.test(path) ? path : undefined;
}

/**
 * JavaScript in which what is taken from other files with `require` is imported, as only of imports is known what is used. A module of
 * CommonJS stays as it is.
 */
function withImports(text) {
  if (!/\brequire\b/.test(text) || /\b(exports|module)\b/.test(text)) return text;
  let body;
  try {
    ({ body } = acorn.parse(text, { ecmaVersion: 'latest', sourceType: 'script' }));
  } catch {
    return text; // esbuild says what is wrong, or it is a module already
  }
  for (const statement of body.reverse()) {
    const from = requiredIn(statement);
    if (!from) continue;
    const names = statement.declarations[0].id.properties.map(({ key, value }) => `${key.name} as ${value.name}`);
    const lines = '\n'.repeat(text.slice(statement.start, statement.end).split('\n').length - 1);
    text = `${text.slice(0, statement.start)}import { ${names.join(', ')} } from ${JSON.stringify(from)};${lines}${text.slice(statement.end)}`;
  }
  return text;
}

/** The public names of a module: those of more than one in a line are the library's own. */
const exportsOf = (text) => [...text.matchAll(/^export (?:var|function|const) (\w+)|^export \{ (\w+) \};/gm)].map(([, one, other]) => one ?? other);

/** All that a program can use of the library: pairs of file and name. */
export const allNames = () => Object.entries(modules().texts).flatMap(([file, text]) => exportsOf(text).map((name) => ({ file, name })));

/** What a program uses of the library: pairs of file and name. */
async function findUsed(source) {
  const { texts } = modules();
  // Each name is a call that may be left out when nobody uses the name.
  const marks = (name) => exportsOf(texts[name]).map((each) => `export const ${each} = /* @__PURE__ */ libraryMark('${name}', '${each}');`).join('\n');
  const { outputFiles: [{ text }] } = await esbuild.build({
    ...BUNDLING, logLevel: 'silent', entryPoints: [source], write: false, plugins: [libraryFrom(marks)],
  });
  return [...text.matchAll(/libraryMark\("(\w+)", "(\w+)"\)/g)].map(([, file, name]) => ({ file, name }));
}

/** What a program's name for the library is, in front of it. */
const GLOBAL = '$library';

/** ES5 that makes an object, `$library`, of what is used. It is closed, as esbuild gives other names to what it bundles, which are longer. */
export async function shakeLibrary(used) {
  const { texts, nameCache } = modules();
  const names = used.map(({ name }) => name).join(', ');
  const contents = used.map(({ file, name }) => `import { ${name} } from './${file}';`).join('\n') + `libraryIs({ ${names} });`;
  const { outputFiles: [{ text }] } = await esbuild.build({
    ...BUNDLING, logLevel: 'silent', stdin: { contents, resolveDir: root }, format: 'esm', target: 'es5', write: false,
    plugins: [libraryFrom((name) => texts[name])],
  });
  return minify(`var ${GLOBAL} = function () {${text.replace('libraryIs(', 'return (')}}();`, nameCache, false);
}

/** The program with what it uses of the library; undefined when it does not use the library of this repository. */
async function bundleWithParts(source) {
  const used = await findUsed(source);
  if (!used.length) return undefined;
  const isUsed = (file, name) => used.some((each) => each.file === file && each.name === name);
  const plugin = libraryFrom((file) => exportsOf(modules().texts[file])
    .map((name) => `export const ${name} = ${isUsed(file, name) ? `${GLOBAL}.${name}` : 'undefined'};`).join('\n'));
  return bundleDensely(source, { plugins: [plugin], banner: { js: await shakeLibrary(used) } });
}

/** One file of a program, without the spaces that nobody needs. */
async function bundleDensely(source, options = {}) {
  const { outputFiles: [{ text }] } = await esbuild.build({
    ...BUNDLING, logLevel: 'silent', entryPoints: [source], write: false, minifyWhitespace: true, ...options,
  });
  return text;
}

/** The one with the fewest bytes, of those that there are. */
export function smallest(programs) {
  const sized = programs.filter(({ code }) => code !== undefined).map((each) => ({ ...each, bytes: Buffer.byteLength(each.code) }));
  return sized.reduce((least, each) => (each.bytes < least.bytes ? each : least));
}

/**
 * Makes one self-contained text of a program: with all of the library, as it ships, or with the parts that it uses, whichever is smaller.
 * @param {string} source the program's path
 * @returns {Promise<{code: string, bytes: number, contains: string, wholeBytes: number}>} what of the library it contains; and its bytes with
 *   all of it
 */
export async function buildSmallest(source) {
  const whole = smallest([{ contains: 'all of the library', code: await bundleDensely(source) }]);
  const parts = { contains: 'the parts of the library that it uses', code: await bundleWithParts(source) };
  return { ...smallest([whole, parts]), wholeBytes: whole.bytes };
}
