// What input costs: segments wait in the C heap for a garbage collector that only the program's own allocations wake.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Board } from './board/index.mjs';
import { brokenRules, connectTo, listenOn } from './board/testing.mjs';

function upload(board, readCallback, length = 300000) {
  const server = listenOn(board);
  let total = 0;
  server.object.read_cb = (data) => {
    total += data.length;
    readCallback(data);
  };
  const { client } = connectTo(board, server);
  client.send('u'.repeat(length));
  board.runUntil(() => total === length, 60000);
  return board;
}

describe('uncollected input', () => {
  test('300 KB of dropped segments peak near 44 KB: a broken rule', () => {
    const board = upload(new Board(), () => {});
    assert.ok(Math.abs(board.vitals().peak - 44000) < 2000, `${board.vitals().peak}`);
    assert.deepEqual(brokenRules(board), ['uncollected input']);
  });

  test('copied, they peak near 7 KB', () => {
    const board = new Board();
    upload(board, (data) => { new board.global.Uint8Array(data); });
    assert.ok(Math.abs(board.vitals().peak - 7000) < 500, `${board.vitals().peak}`);
    board.check();
  });

  test('slice is a copy as well', () => {
    const board = upload(new Board(), (data) => { data.slice(); });
    assert.ok(board.vitals().peak < 8000);
    board.check();
  });

  test('without a read_cb the driver frees them itself', () => {
    const board = new Board();
    const server = listenOn(board);
    server.object.read_cb = undefined;
    const { client } = connectTo(board, server);
    client.send('u'.repeat(100000));
    board.run(500);
    assert.equal(board.vitals().peak, 0);
    board.check();
  });
});

describe('held segments', () => {
  test('a program that keeps one finds it empty', () => {
    const board = new Board();
    let kept;
    upload(board, (data) => { kept = data; }, 100);
    assert.equal(kept.length, 0);
  });

  test('checkHeld throws while it is kept', async () => {
    const board = new Board();
    const kept = [];
    upload(board, (data) => { kept.push(data); }, 5000);
    await assert.rejects(() => board.checkHeld(), { rule: 'held segment', message: /4 delivered segments/ });
    assert.equal(kept.length, 4);
  });

  test('checkHeld is content when all were copied', async () => {
    const board = new Board();
    const kept = [];
    upload(board, (data) => { kept.push(new Uint8Array(data)); }, 50000);
    await board.checkHeld();
    assert.equal(kept.reduce((sum, copy) => sum + copy.length, 0), 50000);
  });
});

describe('the program\'s Uint8Array', () => {
  test('is the real one to instanceof, from and equality', () => {
    const { Uint8Array: Own } = new Board().global;
    assert.ok(new Own(3) instanceof Uint8Array);
    assert.ok(new Uint8Array(3) instanceof Own);
    assert.ok(Buffer.from('x') instanceof Own);
    assert.deepEqual(Own.from([1, 2]), new Uint8Array([1, 2]));
  });

  test('views of memory count no bytes', () => {
    const board = new Board();
    const { buffer } = new board.global.Uint8Array(1000);
    const before = board.heap.allocated;
    new board.global.Uint8Array(buffer, 10, 500);
    assert.equal(board.heap.allocated - before, 40);
  });
});
