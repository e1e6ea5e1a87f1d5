// What the commands install before they begin: a stand-in for npm writes down what it is told.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { runToEnd } from '../helpers/program.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { scripts, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
const COMMANDS = Object.keys(scripts).filter((name) => `pre${name}` in scripts);
/** What builds and runs programs; the other commands lint, test or measure. */
const SMALL = ['build', 'start', 'flash', 'put'];

const folder = mkdtempSync(join(tmpdir(), 'ehttpserver-setup-'));
after(() => rmSync(folder, { recursive: true }));

/** What the files of those commands load from packages. */
async function loadedPackages() {
  const files = ['tools/build/build.mjs', 'tools/emulator/start.mjs', 'tools/emulator/emulate.mjs', 'tools/emulator/watchdog.mjs',
    'tools/board/flash.mjs', 'tools/board/put.mjs'];
  const { metafile } = await esbuild.build({
    absWorkingDir: ROOT, entryPoints: files, outdir: folder, bundle: true, packages: 'external', platform: 'node', format: 'esm',
    write: false, metafile: true, logLevel: 'silent',
  });
  const loaded = Object.values(metafile.inputs).flatMap(({ imports }) => imports).filter(({ external }) => external).map(({ path }) => path);
  return [...new Set(loaded)].filter((path) => !path.startsWith('node:')).sort();
}

/** Those without which it does not work. */
const needed = (some) => Object.entries(some).filter(([path, { optional }]) => path && !optional);

describe('before a command', { skip: process.platform === 'win32' && 'the stand-in for npm is a shell script' }, () => {
  const calls = join(folder, 'calls');

  /** The project as it is when it has been fetched, with these packages installed. */
  function project(name, installed) {
    const root = join(folder, name);
    mkdirSync(join(root, 'tools'), { recursive: true });
    for (const file of ['package.json', 'package-lock.json', 'tools/setup.mjs']) copyFileSync(join(ROOT, file), join(root, file));
    if (installed) {
      for (const [path] of installed) mkdirSync(join(root, path), { recursive: true });
      writeFileSync(join(root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: Object.fromEntries(installed) }));
    }
    return root;
  }

  /** What npm is told to do by what runs before a command: nothing when all is there. */
  async function askedFor(command, cwd, exitCode = 0) {
    const bin = join(folder, `bin-${exitCode}`);
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, 'npm'), `#!/bin/sh
echo "$@" > '${calls}'
cp package.json '${calls}.package.json'
cp package-lock.json '${calls}.package-lock.json'
mkdir -p node_modules/made
exit ${exitCode}
`);
    chmodSync(join(bin, 'npm'), 0o755);
    rmSync(calls, { force: true });
    const [script] = scripts[`pre${command}`].split(' && ');
    const env = { ...process.env, PATH: [bin, process.env.PATH].join(delimiter) };
    const { code, stderr } = await runToEnd('/bin/sh', ['-c', script.replace(/^node /, `"${process.execPath}" `)], { cwd, env });
    if (!existsSync(calls)) return { code, stderr, asked: null };
    const read = (name) => JSON.parse(readFileSync(`${calls}.${name}`, 'utf8'));
    assert.match(readFileSync(calls, 'utf8'), /^ci --include=dev /);
    return { code, stderr, asked: { manifest: read('package.json'), lock: read('package-lock.json').packages } };
  }

  /** Of each command, how much it asks for. */
  async function allAskedFor(name, installed) {
    const sizes = {};
    for (const command of COMMANDS) {
      const root = project(`${name}-${command}`, installed);
      const { asked } = await askedFor(command, root);
      const few = asked && Object.keys(asked.lock).length < Object.keys(packages).length;
      sizes[command] = asked ? few ? 'few' : 'all' : 'nothing';
      assert.ok(!asked || existsSync(join(root, 'node_modules', 'made')), 'what npm has made is where it belongs');
      assert.ok(!existsSync(join(root, 'build', 'setup')));
    }
    return sizes;
  }

  const expected = (small, others) => Object.fromEntries(COMMANDS.map((name) => [name, SMALL.includes(name) ? small : others]));
  const fewAskedFor = async () => (await askedFor('start', project('few', null))).asked;

  test('what builds and runs programs installs few packages, the others install all', async () => {
    assert.ok(SMALL.every((name) => COMMANDS.includes(name)) && COMMANDS.includes('test'));
    assert.deepEqual(await allAskedFor('new', null), expected('few', 'all'));
  });

  test('these few are those that it loads, with what they need, as package-lock.json has them', async () => {
    const { manifest, lock } = await fewAskedFor();
    const { '': own, ...rest } = lock;
    assert.deepEqual(Object.keys(manifest.devDependencies).sort(), await loadedPackages());
    assert.deepEqual(own.devDependencies, manifest.devDependencies);
    assert.ok(needed(lock).length <= 10, `${needed(lock).length} packages`);
    for (const [path, about] of Object.entries(rest)) {
      assert.deepEqual(about, packages[path]);
      for (const name of Object.keys({ ...about.dependencies, ...about.optionalDependencies })) assert.ok(`node_modules/${name}` in rest, name);
    }
    for (const name in manifest.devDependencies) {
      assert.equal(manifest.devDependencies[name], packages[`node_modules/${name}`].version);
      assert.ok(name in devDependencies, name);
    }
  });

  test('nothing is installed that is there', async () => {
    assert.deepEqual(await allAskedFor('small', needed((await fewAskedFor()).lock)), expected('nothing', 'all'));
    assert.deepEqual(await allAskedFor('full', needed(packages)), expected('nothing', 'nothing'));
  });

  test('an old version is replaced', async () => {
    const old = needed(packages).map(([path, about]) => [path, { ...about, version: path.endsWith('/esbuild') ? '0.1.0' : about.version }]);
    assert.deepEqual(await allAskedFor('old', old), expected('few', 'all'));
  });

  test('it ends when npm fails', async () => {
    const { code, stderr } = await askedFor('start', project('alone', null), 1);
    assert.equal(code, 1);
    assert.equal(stderr, 'npm ci failed. It needs a package registry that it can reach.\n');
  });
});
