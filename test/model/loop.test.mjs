// The endless loop: timers, their order, and what must not be done in them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Board } from '../board/index.mjs';
import { brokenRules, listenOn } from '../board/testing.mjs';

describe('timers', () => {
  test('setTimeout(f, 0) comes not before the next millisecond', () => {
    const board = new Board({ passMicros: 250 });
    board.run(10);
    const times = [];
    board.global.setTimeout(() => { times.push(board.now); }, 0);
    board.run(3);
    assert.deepEqual(times, [11]);
  });

  test('a timer is due when its deadline lies before the loop\'s time: setTimeout(f, 10) comes in the 11th ms', () => {
    const board = new Board();
    const times = [];
    board.global.setTimeout(() => { times.push(board.now); }, 10);
    board.run(20);
    assert.deepEqual(times, [11]);
  });

  test('setInterval(f, 0) runs once a pass', () => {
    const board = new Board({ passMicros: 100 });
    board.run(5);
    let count = 0;
    board.global.setInterval(() => { count++; }, 0);
    board.run(1);
    const before = count;
    board.run(2);
    assert.equal(count - before, 20);
  });

  test('an interval adds to its deadline: what was missed is made up, one a pass', () => {
    const board = new Board();
    const times = [];
    board.global.setInterval(() => { times.push(board.now); }, 10);
    board.run(12);
    board.global.delay(35);
    board.run(20);
    assert.deepEqual(times, [11, 48, 49, 50, 51, 61]);
  });

  test('deadlines count from the beginning of the pass', () => {
    const board = new Board();
    const times = [];
    board.global.setTimeout(() => {
      board.global.delay(5);
      board.global.setTimeout(() => { times.push(board.now); }, 3);
    }, 0);
    board.run(10);
    assert.deepEqual(times, [7]);
  });

  test('after a one-shot timer the rest of the list waits for the next pass', () => {
    const board = new Board();
    const order = [];
    for (const name of ['a', 'b', 'c']) board.global.setTimeout(() => { order.push(`${name} ${board.now}`); }, 0);
    board.run(5);
    assert.deepEqual(order, ['a 1', 'b 2', 'c 3']);
  });

  test('intervals run in the order in which they were set, in one pass', () => {
    const board = new Board();
    const order = [];
    for (const name of ['a', 'b', 'c']) board.global.setInterval(() => { order.push(`${name} ${board.now}`); }, 1000);
    board.run(1001);
    assert.deepEqual(order, ['a 1001', 'b 1001', 'c 1001']);
  });

  test('an interval may clear itself', () => {
    const board = new Board();
    let count = 0;
    const id = board.global.setInterval(() => { if (++count === 2) board.global.clearInterval(id); }, 1);
    board.run(20);
    assert.equal(count, 2);
    board.check();
  });

  test('clearTimeout of a one-shot inside its own callback is a broken rule', () => {
    const board = new Board();
    const id = board.global.setTimeout(() => { board.global.clearTimeout(id); }, 1);
    board.run(5);
    assert.deepEqual(brokenRules(board), ['clearTimeout of itself']);
  });

  test('clearTimeout of another timer is fine', () => {
    const board = new Board();
    let ran = false;
    const other = board.global.setTimeout(() => { ran = true; }, 5);
    board.global.setTimeout(() => { board.global.clearTimeout(other); }, 1);
    board.run(10);
    assert.equal(ran, false);
    board.check();
  });

  test('without a delay they throw, and it is a broken rule', () => {
    const board = new Board();
    assert.throws(() => board.global.setTimeout(() => {}), { name: 'TypeError', message: '"delay" argument must be a number' });
    assert.throws(() => board.global.setInterval(() => {}), { name: 'TypeError', message: '"delay" argument must be a number' });
    assert.deepEqual(brokenRules(board), ['timer without a delay', 'timer without a delay']);
  });

  test('clearTimeout(undefined) throws', () => {
    assert.throws(() => new Board().global.clearTimeout(undefined), { name: 'TypeError', message: '"id" argument must be a number' });
  });

  test('a callback that throws is printed, the interval cancelled, and check() knows', () => {
    const board = new Board();
    let count = 0;
    board.global.setInterval(() => {
      count++;
      throw new Error('in the timer');
    }, 1);
    board.run(20);
    assert.equal(count, 1);
    assert.equal(board.console.length, 1);
    const lines = board.console[0].text.split('\n');
    assert.deepEqual([board.console[0].level, lines[0], lines.at(-1)], ['error', 'Error: in the timer', 'Its interval is cancelled.']);
    assert.throws(() => board.check(), {
      rule: 'uncaught exception', message: /^uncaught exception: an interval callback threw Error: in the timer; the board prints it, and cancels the interval \(at/,
    });
  });
});

describe('a pass', () => {
  test('is timers first, then network', () => {
    const board = new Board();
    const server = listenOn(board);
    const order = [];
    server.onAccept = () => { order.push('accept'); };
    board.global.setInterval(() => { order.push('timer'); }, 0);
    board.connect({ delay: 0 });
    board.pass();
    board.pass();
    assert.deepEqual(order, ['timer', 'timer', 'accept']);
  });

  test('takes passMicros', () => {
    const board = new Board({ passMicros: 250 });
    board.pass();
    assert.equal(board.now, 0.25);
    assert.equal(board.global.millis(), 0);
    assert.equal(board.global.micros(), 250);
    board.run(10);
    assert.equal(board.global.millis(), 10);
  });

  test('nothing on the network moves until the program returns', () => {
    const board = new Board();
    const server = listenOn(board);
    board.connect();
    board.global.delay(1000);
    assert.deepEqual(server.accepted, []);
    board.pass();
    board.pass();
    board.pass();
    assert.deepEqual(server.accepted, [1]);
  });

  test('promise jobs run between passes of runAsync', async () => {
    const board = new Board();
    const times = [];
    board.global.setTimeout(() => { Promise.resolve().then(() => { times.push(board.now); }); }, 4);
    await board.runAsync(10);
    assert.deepEqual(times, [5]);
  });
});

describe('waiting', () => {
  test('runUntil returns what the predicate gave', () => {
    const board = new Board();
    assert.equal(board.runUntil(() => board.now >= 5 && 'now'), 'now');
    assert.equal(board.now, 5);
  });

  test('runUntil throws when it takes too long, and tells of broken rules', () => {
    const board = new Board();
    board.global.setTimeout(() => { throw new Error('that is why'); }, 1);
    assert.throws(() => board.runUntil(() => false, 50), /50 ms have gone by.*that is why/s);
  });

  test('until does the same with promises', async () => {
    const board = new Board();
    let done = false;
    board.global.setTimeout(() => { Promise.resolve().then(() => { done = true; }); }, 4);
    await board.until(() => done);
    await assert.rejects(() => board.until(() => false, 20), /20 ms have gone by/);
  });
});

describe('the date', () => {
  test('starts near 1970 and jumps when it is set; millis() does not', () => {
    const board = new Board();
    const { Date: BoardDate } = board.global;
    board.run(100);
    assert.equal(BoardDate.now(), 100);
    assert.equal(new BoardDate().getTime(), 100);
    board.setDate(Date.UTC(2024, 0, 1));
    assert.equal(new BoardDate().toISOString(), '2024-01-01T00:00:00.000Z');
    assert.equal(board.global.millis(), 100);
    assert.equal(new BoardDate(5).getTime(), 5);
    assert.ok(new BoardDate() instanceof BoardDate);
  });
});
