// A few seconds of each property of fuzz.mjs, the same scenarios every time; `npm run fuzz` goes on for longer, with new ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { properties, run } from './fuzz.mjs';

const SEED = Number(process.env.SEED) || 1;

for (const name of Object.keys(properties)) {
  test(`${name}, from seed ${SEED} on`, (context) => {
    const count = run(name, { seed: SEED, milliseconds: 6000 });
    context.diagnostic(`${count} scenarios from seed ${SEED} on`);
    assert.ok(count >= 5, `only ${count} scenarios in 6 s`);
  });
}
