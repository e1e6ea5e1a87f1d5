// A day of mixed traffic; `npm run soak` has the month.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HEAP, NUMBERS, PORTS, soak } from './soak.mjs';
import { FIRMWARES } from '../support/serve.mjs';

const SEED = Number(process.env.SEED) || 1;

for (const firmware of FIRMWARES) {
  test(`${firmware}: after a day of visitors of every kind, heap, fds and PCBs are where they were (seed ${SEED})`, (context) => {
    const { before, after, count } = soak({ firmware, days: 1, seed: SEED });
    context.diagnostic(`${count} visitors; before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`);
    assert.ok(count > 500);
    assert.ok(after.heap - before.heap <= HEAP, `${after.heap - before.heap} bytes more`);
    assert.ok(after.fds - after.held - PORTS.length <= NUMBERS, `${after.fds} fds`);
    assert.equal(after.pcbs, after.held);
    assert.equal(after.openFiles, 0);
  });
}
