// The last lines of npm test: how many tests ran against what, how many failed, and which were skipped, and why. A reporter of node:test.
import { basename } from 'node:path';

/** What a test file talks to, by its name; the others talk to the model of the board. */
const AGAINST = [
  [/^(browser|websocket-browser|examples|examples-websocket|recipes)\./, 'Chromium'],
  [/^curl\./, 'curl'],
  [/^real-clients\./, 'requests, aiohttp, httpx, Go, Java, ab'],
  [/^websocket-client\./, 'the ws client'],
  [/^es5\./, 'duktape and mujs'],
  [/^bench\./, 'the figures'],
  [/^flash\./, 'the Kaluma CLI'],
];
const against = (file) => AGAINST.find(([pattern]) => pattern.test(file))?.[1] ?? 'the model of the board';

export default async function* summary(events) {
  const counts = new Map();
  const skipped = new Map();
  for await (const { type, data } of events) {
    if ((type !== 'test:pass' && type !== 'test:fail') || !data.file) continue;
    const name = basename(data.file);
    const why = data.skip && `${name}: ${data.skip}`; // of a suite, too
    if (why) skipped.set(why, (skipped.get(why) ?? 0) + 1);
    if (why || data.details?.type === 'suite') continue;
    const count = counts.get(against(name)) ?? { passed: 0, failed: 0 };
    counts.set(against(name), count);
    if (type === 'test:pass') count.passed++;
    else count.failed++;
  }
  yield '\nSummary\n';
  for (const [target, { passed, failed }] of [...counts].sort(([, a], [, b]) => b.passed - a.passed)) {
    yield `  ${String(passed).padStart(5)} passed${failed ? `, ${failed} FAILED` : ''}: against ${target}\n`;
  }
  for (const [why, count] of skipped) yield `  ${String(count).padStart(5)} skipped: ${why}\n`;
}
