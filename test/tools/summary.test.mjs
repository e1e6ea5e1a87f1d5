// The last lines of npm test.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import summary from '../helpers/summary.mjs';

async function lines(...events) {
  async function* all() { yield* events.map(([type, file, more]) => ({ type, data: { file: file && `/somewhere/test/${file}`, details: {}, ...more } })); }
  const parts = [];
  for await (const part of summary(all())) parts.push(part);
  return parts.join('').trim().split('\n');
}

test('the summary counts tests by what they ran against, failures, and what was skipped, with why', async () => {
  assert.deepEqual(await lines(
    ['test:start', 'unit/router.test.mjs'], ['test:pass', 'unit/router.test.mjs'], ['test:pass', 'unit/memory.test.mjs'], ['test:fail', 'unit/router.test.mjs'],
    ['test:pass', 'unit/router.test.mjs', { details: { type: 'suite' } }], ['test:pass', undefined],
    ['test:pass', 'clients/curl.test.mjs', { skip: 'curl is not on this machine', details: { type: 'suite' } }],
    ['test:pass', 'package/es5.test.mjs', { skip: 'mujs is not installed' }], ['test:pass', 'package/es5.test.mjs'],
    ['test:pass', 'package/types.test.mjs'],
  ), [
    'Summary',
    '      2 passed, 1 FAILED: against the model of the board',
    '      1 passed: against duktape and mujs',
    '      1 passed: against the package and its pages',
    '      1 skipped: curl.test.mjs: curl is not on this machine',
    '      1 skipped: es5.test.mjs: mujs is not installed',
  ]);
});
