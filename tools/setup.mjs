// Installs the packages unless what is installed is what package-lock.json names: so that every command works alone.
// With --few only those that build and run programs: with those for lint and tests it would be twice as much, in twenty times as many packages.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const readPackages = (...path) => JSON.parse(readFileSync(join(root, ...path), 'utf8')).packages;
const locked = readPackages('package-lock.json');
/** What builds and runs programs. All are devDependencies: the library has no others. */
const FEW = ['acorn', 'esbuild', 'typescript', 'uglify-js'];

/** Packages of the lock file with what they depend on: here all of these are at the top. */
function withTheirs(names, found = {}) {
  for (const path of names.map((name) => `node_modules/${name}`).filter((path) => !(path in found))) {
    found[path] = locked[path];
    withTheirs(Object.keys({ ...locked[path].dependencies, ...locked[path].optionalDependencies }), found);
  }
  return found;
}

/** True when every package that must be there is there in its version. There may be more. */
function installed(wanted) {
  if (!existsSync(join(root, 'node_modules', '.package-lock.json'))) return false;
  const have = readPackages('node_modules', '.package-lock.json');
  return Object.entries(wanted).every(([path, { version, optional }]) =>
    path === '' || optional || (have[path]?.version === version && existsSync(join(root, path))));
}

function runNpm(cwd) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status, error } = spawnSync(npm, ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd, stdio: 'inherit', shell: process.platform === 'win32',
  });
  if (status === 0) return;
  console.error(`npm ci failed${error ? `: ${error.message}` : ''}. It needs a package registry that it can reach.`);
  process.exit(1);
}

/** Installs these packages alone: as those of a project that has no others, whose folder of packages becomes ours. */
function installOnly(packages) {
  const folder = join(root, 'build', 'setup');
  const project = { private: true, devDependencies: Object.fromEntries(FEW.map((name) => [name, packages[`node_modules/${name}`].version])) };
  const write = (name, content) => writeFileSync(join(folder, name), JSON.stringify(content));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  write('package.json', project);
  write('package-lock.json', { lockfileVersion: 3, requires: true, packages: { '': project, ...packages } });
  runNpm(folder);
  rmSync(join(root, 'node_modules'), { recursive: true, force: true });
  renameSync(join(folder, 'node_modules'), join(root, 'node_modules'));
  rmSync(folder, { recursive: true });
}

const few = process.argv.includes('--few') && withTheirs(FEW);
if (!installed(few || locked)) {
  console.log(`Installing the packages that ${few ? 'build and run programs' : 'build and test'}...`);
  if (few) installOnly(few);
  else runNpm(root);
}
