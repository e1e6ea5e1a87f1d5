// Packages that some tests need and nobody else does, beside the project's own: `node test/helpers/installed.mjs` installs them, as
// `npm test` does before the tests; the tests themselves need no network.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runToEnd } from './program.mjs';

const CACHE = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url));

/** The packages: name, version, and those of them that have to compile something. */
const PACKAGES = /** @type {Record<string, [string, string, string[]]>} */ ({
  cli: ['@kaluma/cli', '1.0.0', ['@serialport/bindings']],
  webpack: ['webpack', '5.112.2', []],
});

/** The folder whose node_modules has a package: a key of PACKAGES. */
export function folderOf(key) {
  const [name, version] = PACKAGES[key];
  return join(CACHE, `${name.replace(/^@/, '').replace(/\W+/g, '-')}-${version}`);
}

/** For a test's `skip`: why it cannot run here. In CI everything has to be there. */
export function unlessInstalled(key) {
  if (existsSync(folderOf(key))) return false;
  const reason = `${PACKAGES[key][0]} is not installed: node test/helpers/installed.mjs`;
  if (process.env.CI) throw new Error(reason);
  return reason;
}

/** Installs a package, with what it depends on, unless that was done before. */
async function install(key) {
  const [name, version, scripts] = PACKAGES[key];
  const folder = folderOf(key);
  if (existsSync(folder)) return;
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
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const key in PACKAGES) {
    try {
      await install(key);
    } catch (error) {
      console.error(error.message);
      if (process.env.CI) process.exitCode = 1;
    }
  }
}
