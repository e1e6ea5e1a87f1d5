// What `npm run bench` makes of its figures: which rise is an error, and when figures cannot be compared.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compare, distance, goalOf, otherEngine } from '../../tools/bench/compare.mjs';
import { GOALS } from '../../tools/bench/goals.mjs';

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

test('a figure has the goal of its name, or of all names that begin like it', () => {
  const goals = { GET: 100, 'largest step, *': 200, 'largest step, file': 150 };
  assert.equal(goalOf('GET', goals), 100);
  assert.equal(goalOf('largest step, head', goals), 200);
  assert.equal(goalOf('largest step, file', goals), 150);
  for (const name of ['POST', 'GET twice', 'the largest step, head']) assert.equal(goalOf(name, goals), undefined);
});

test('a figure is above its goal by so many percent, or has reached it', () => {
  assert.equal(distance(1250, 1000), '+25.0 %');
  assert.equal(distance(1001, 1000), '+0.1 %');
  for (const now of [1000, 1]) assert.equal(distance(now, 1000), 'reached');
  assert.equal(distance(1250, undefined), undefined);
});

test('each goal is that of a figure in bench.json', () => {
  const names = Object.keys(JSON.parse(readFileSync(new URL('../../tools/bench/bench.json', import.meta.url), 'utf8')).figures);
  for (const each of Object.keys(GOALS)) assert.ok(names.some((name) => goalOf(name, { [each]: 1 })), each);
});
