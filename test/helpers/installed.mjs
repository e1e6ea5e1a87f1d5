// Packages that some tests need and nobody else does: installed when they are first asked for, beside the project's own.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runToEnd } from './program.mjs';

const CACHE = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url));

/**
 * Installs a package, with what it depends on, unless that was done before.
 * @param {string} name
 * @param {string} version
 * @param {string[]} scripts packages that have to compile something
 * @returns {Promise<string>} the folder whose node_modules has it
 */
export async function installed(name, version, scripts = []) {
  const folder = join(CACHE, `${name.replace(/^@/, '').replace(/\W+/g, '-')}-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const making = mkdtempSync(join(CACHE, 'making-'));
  // Recent versions of npm compile nothing that they are not told to.
  const allowScripts = Object.fromEntries(scripts.map((script) => [script, true]));
  writeFileSync(join(making, 'package.json'), JSON.stringify({ private: true, dependencies: { [name]: version }, allowScripts }));
  const env = { ...process.env };
  // Compiling needs Node's headers: those beside it, where they are, so that none have to be fetched.
  const prefix = dirname(dirname(process.execPath));
  if (existsSync(join(prefix, 'include', 'node', 'node.h'))) env.npm_config_nodedir ??= prefix;
  const args = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  const { code, stderr } = await runToEnd('npm', args, { cwd: making, env, shell: process.platform === 'win32' });
  if (code !== 0) {
    rmSync(making, { recursive: true });
    throw new Error(`npm could not install ${name} ${version}:\n${stderr}`);
  }
  renameSync(making, folder);
  return folder;
}

/** For a test's `skip`: why it cannot run here. In CI everything has to be there. */
export async function unlessInstalled(...wanted) {
  try {
    await installed(.../** @type {[string, string, string[]]} */ (wanted));
    return false;
  } catch (error) {
    if (process.env.CI) throw error;
    return error.message.split('\n')[0];
  }
}
