// What `npm run bench` makes of its figures: which rise is an error, and when figures cannot be compared.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, otherEngine } from '../tools/bench/compare.mjs';

test('a rise of 3.1 % is an error that says what rose, and by how much', () => {
  assert.deepEqual(compare({ GET: 103100, POST: 5 }, { GET: 100000, POST: 5 }), ['GET: 100000 before, 103100 now, +3.1 %']);
});

test('a rise of 2.9 % is none, and less is never one', () => {
  assert.deepEqual(compare({ GET: 102900, POST: 1 }, { GET: 100000, POST: 50000 }), []);
});

test('every rise is named', () => {
  assert.equal(compare({ GET: 2, POST: 2 }, { GET: 1, POST: 1 }).length, 2);
});

test('what was measured and is not any more, is an error', () => {
  assert.deepEqual(compare({ GET: 1 }, { GET: 1, POST: 1 }), ['POST: in bench.json, but not measured any more']);
});

test('what is measured and was not, is an error until bench.json has it', () => {
  assert.deepEqual(compare({ GET: 1, POST: 1 }, { GET: 1 }), ['POST: measured, but not in bench.json']);
});

test('figures of another engine cannot be compared', () => {
  const was = { name: 'duktape 20700', calibration: 100000 };
  assert.equal(otherEngine({ name: 'duktape 20700', calibration: 100400 }, was), undefined);
  assert.equal(otherEngine({ name: 'duktape 20800', calibration: 100000 }, was), 'this is duktape 20800, bench.json is of duktape 20700');
  for (const calibration of [99000, 101000]) {
    assert.match(otherEngine({ name: 'duktape 20700', calibration }, was), /^this duktape 20700 needs [+-]1\.0 % for the same work/);
  }
});
