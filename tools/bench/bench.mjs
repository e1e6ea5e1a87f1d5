// Counts the instructions of what the server does, in duktape, and compares them and the bytes of dist/ with bench.json, and
// with goals: npm run bench; npm run bench -- --update writes what is measured to bench.json.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { count, evaluate, missingPrograms, withLibrary } from './callgrind.mjs';
import { compare, distance, goalOf, otherEngine, percent } from './compare.mjs';
import { GOALS } from './goals.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const RECORD = join(root, 'tools', 'bench', 'bench.json');
const DIST = ['dist/ehttpserver.js', 'dist/websocket.js'];
/** Characters of input that is then doubled; and what may become of the work. Twice as much is 2, a square would be 4. */
const GROWING = 2048;
const LINEAR = 2.4;

/** All of `jobs`, by name, as many at a time as there are processors. */
async function inParallel(names, job) {
  const results = {};
  const waiting = [...names];
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    while (waiting.length) {
      const name = waiting.shift();
      results[name] = await job(name);
    }
  }));
  return Object.fromEntries(names.map((name) => [name, results[name]]));
}

async function measureEngine() {
  const source = readFileSync(join(root, 'tools/bench/calibrate.js'), 'utf8');
  const [version, environment] = await evaluate('', '[Duktape.version, Duktape.env]');
  const calibration = (await count(source)).at(-1).instructions;
  return { name: `duktape ${version} (${environment})`, calibration };
}

/** Instructions a time, and the most of them that the board's stand-in can have. */
async function measureScenario(name) {
  const marks = await count(`${await withLibrary('board.js', 'requests.js', 'scenarios.js')}\nmeasure(${JSON.stringify(name)});`);
  const of = (mark) => marks.find((each) => each.name === mark).instructions;
  const { count: times } = scenarios[name];
  return { all: Math.round((of('twice') - of('once')) / times), board: Math.round((of('board twice') - of('board once')) / times) };
}

/** Runs `code`, and returns a function for the instructions of the step that takes most among those of a name. */
async function countSteps(code) {
  const marks = await count(`${await withLibrary('board.js', 'requests.js', 'scenarios.js', 'worst.js')}\n${code}`);
  const overhead = marks.find(({ name }) => name === 'empty').instructions;
  return (step) => Math.max(...marks.filter(({ name }) => name === step).map(({ instructions }) => instructions - overhead));
}

async function measureWorst(name) {
  return (await countSteps(`steps(worst[${JSON.stringify(name)}]());`))('step');
}

async function measureGrowth(name) {
  const largest = await countSteps(`grow(${JSON.stringify(name)}, ${GROWING});`);
  return { once: largest('once'), twice: largest('twice') };
}

/** Prints rows as columns, the first to the left. */
function print(title, rows) {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en') : cell ?? '')));
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  console.log(`\n${title}`);
  for (const row of cells) {
    console.log(`  ${row.map((cell, column) => (column ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join('  ')}`.trimEnd());
  }
}

const missing = missingPrograms();
if (missing.length) {
  console.error(`${missing.join(' and ')} cannot be found. On Debian: apt-get install duktape valgrind`);
  process.exit(1);
}
const record = JSON.parse(readFileSync(RECORD, 'utf8'));
const engine = await measureEngine();
const lists = await evaluate(await withLibrary('board.js', 'requests.js', 'scenarios.js', 'worst.js'),
  '{ scenarios: scenarios, worst: Object.keys(worst), growing: Object.keys(growing) }');
const { scenarios } = lists;
const requests = await inParallel(Object.keys(scenarios), measureScenario);
const worst = await inParallel(lists.worst, measureWorst);
const growth = await inParallel(lists.growing, measureGrowth);

const figures = Object.fromEntries([
  ...DIST.map((file) => [file, statSync(join(root, file)).size]),
  ...Object.entries(requests).map(([name, { all }]) => [name, all]),
  ...Object.entries(worst).map(([name, instructions]) => [`largest step, ${name}`, instructions]),
]);
const change = (name) => (name in record.figures ? percent(figures[name] / record.figures[name] - 1) : 'new');
const goal = (name) => goalOf(name, GOALS);
const COLUMNS = ['', 'now', 'before', 'change', 'goal', 'above it'];
const row = (name, title = name, ...more) => [
  title, figures[name], record.figures[name], change(name), goal(name), distance(figures[name], goal(name)), ...more,
];

console.log(`${engine.name}: ${engine.calibration.toLocaleString('en')} instructions for its calibration`);
print('Bytes', [COLUMNS, ...DIST.map((file) => row(file))]);
print('Instructions a time; of these in the stand-in for the board at most', [
  [...COLUMNS, 'board'], ...Object.entries(requests).map(([name, { board }]) => row(name, name, board)),
]);
print('Instructions of the largest step that a client can cause', [
  COLUMNS,
  ...lists.worst.map((name) => row(`largest step, ${name}`, name)).sort((a, b) => b[1] - a[1]),
]);
print(`Largest step with ${GROWING} characters of input, and with twice as many`, [
  ['', 'once', 'twice', 'times'],
  ...Object.entries(growth).map(([name, { once, twice }]) => [name, once, twice, (twice / once).toFixed(2)]),
]);
console.log();

const errors = Object.entries(growth).filter(([, { once, twice }]) => twice / once > LINEAR)
  .map(([name, { once, twice }]) => `${name}: ${(twice / once).toFixed(2)} times the work for twice the input`);
if (process.argv.includes('--update')) {
  writeFileSync(RECORD, `${JSON.stringify({ engine, figures }, null, 2)}\n`);
  console.log('bench.json is written.');
} else {
  const other = otherEngine(engine, record.engine);
  if (other) console.log(`WARNING: nothing was compared with bench.json: ${other}.`);
  else errors.push(...compare(figures, record.figures));
}
for (const error of errors) console.error(`WORSE: ${error}`);
if (errors.length) process.exitCode = 1;
