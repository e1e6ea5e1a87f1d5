// The last lines of npm test: how many tests ran against what, how many failed, and which were skipped, and why. A reporter of node:test.
import { basename, dirname } from 'node:path';

/** What the tests of a file or of a folder talk to. */
const AGAINST = {
  'curl.test.mjs': 'curl',
  'real-clients.test.mjs': 'requests, aiohttp, httpx, Go, Java, ab',
  'websocket-client.test.mjs': 'the ws client',
  'es5.test.mjs': 'duktape and mujs',
  'bench.test.mjs': 'the figures',
  'flash.test.mjs': 'the Kaluma CLI',
  browsers: 'Chromium',
  model: 'the model of the board itself',
  package: 'the package and its pages',
  tools: 'the tools',
  unit: 'the model of the board',
};
const against = (file) => AGAINST[basename(file)] ?? AGAINST[basename(dirname(file))] ?? 'anything else';

export default async function* summary(events) {
  const counts = new Map();
  const skipped = new Map();
  for await (const { type, data } of events) {
    if ((type !== 'test:pass' && type !== 'test:fail') || !data.file) continue;
    const why = data.skip && `${basename(data.file)}: ${data.skip}`; // of a suite, too
    if (why) skipped.set(why, (skipped.get(why) ?? 0) + 1);
    if (why || data.details?.type === 'suite') continue;
    const target = against(data.file);
    const count = counts.get(target) ?? { passed: 0, failed: 0 };
    counts.set(target, count);
    if (type === 'test:pass') count.passed++;
    else count.failed++;
  }
  yield '\nSummary\n';
  for (const [target, { passed, failed }] of [...counts].sort(([, a], [, b]) => b.passed - a.passed)) {
    yield `  ${String(passed).padStart(5)} passed${failed ? `, ${failed} FAILED` : ''}: against ${target}\n`;
  }
  for (const [why, count] of skipped) yield `  ${String(count).padStart(5)} skipped: ${why}\n`;
}
