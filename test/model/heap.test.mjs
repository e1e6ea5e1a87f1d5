// What input costs: segments wait in the C heap for a garbage collector that only the program's own allocations wake. There the send buffers
// lie as well. And where a program's arrays lie: a block that fits into no hole of the JavaScript heap ends the program.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Board } from '../board/index.mjs';
import { Arena, HEAP_SIZE } from '../board/places.mjs';
import { brokenRules, connectTo, listenOn } from '../board/testing.mjs';

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

describe('send buffers', () => {
  /** A board that has been written to, by clients that take nothing. */
  function writing(options, clients = 1) {
    const board = new Board({ cHeap: 20480, ...options });
    const server = listenOn(board);
    const fds = Array.from({ length: clients }, () => {
      const { client, fd } = connectTo(board, server, { window: 1 });
      client.pause();
      return fd;
    });
    return { board, server, fds, write: (fd, length) => { board.netdev.write(fd, 'x'.repeat(length)); } };
  }

  test('take a whole segment of the C heap for each that is begun, however little is in it', () => {
    const { board, fds: [fd], write } = writing();
    write(fd, 1);
    assert.equal(board.vitals().output, 1540);
    write(fd, 500);
    assert.equal(board.vitals().output, 2 * 1540); // the first one is on its way
    write(fd, 960);
    assert.equal(board.vitals().output, 2 * 1540);
    write(fd, 1);
    assert.equal(board.vitals().output, 3 * 1540);
  });

  test('give it back when all of a segment is acknowledged', () => {
    const board = new Board();
    const server = listenOn(board);
    const { fd } = connectTo(board, server);
    for (let n = 0; n < 8; n++) board.netdev.write(fd, 'x'.repeat(1000));
    assert.ok(board.vitals().output >= 6 * 1540);
    board.run(500);
    assert.equal(board.vitals().output, 0);
    assert.ok(board.vitals().cPeak >= 6 * 1540);
    board.netdev.close(fd);
    assert.equal(board.vitals().output, 80); // FIN
    board.run(500);
    assert.equal(board.vitals().output, 0);
    board.check();
  });

  test('give it back when the connection is gone', () => {
    const { board, fds: [fd], write } = writing();
    for (let n = 0; n < 8; n++) write(fd, 1000);
    board.network.clients[0].reset();
    board.run(50);
    assert.equal(board.vitals().output, 0);
  });

  test('together with segments that wait for the collector, above 20,480 bytes they break a rule', () => {
    const { board, server, fds, write } = writing({}, 2);
    for (let n = 0; n < 11; n++) write(fds[0], 1024);
    server.object.read_cb = () => {};
    const uploader = board.network.clients[1];
    uploader.send('u'.repeat(3 * 1460));
    board.run(50);
    board.check();
    assert.equal(board.vitals().output, 8 * 1540);
    uploader.send('u'.repeat(3 * 1460));
    board.run(50);
    assert.match(board.violations[0].message, /^C heap: 8760 bytes of segments .* and 12320 bytes of send buffers, more than 20480 together/);
    assert.deepEqual(brokenRules(board), ['C heap']);
  });

  test('of two clients that take nothing do so alone, on a board with a smaller C heap of one', () => {
    const one = writing({ cHeap: 12000 });
    for (let n = 0; n < 11; n++) one.write(one.fds[0], 1024);
    assert.deepEqual(brokenRules(one.board), ['C heap']);
    const two = writing({}, 2);
    for (const fd of two.fds) for (let n = 0; n < 11; n++) two.write(fd, 1024);
    assert.deepEqual(brokenRules(two.board), ['C heap']);
    const roomy = writing({ cHeap: 40000 }, 2);
    for (const fd of roomy.fds) for (let n = 0; n < 11; n++) roomy.write(fd, 1024);
    roomy.board.check();
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

describe('the free list', () => {
  test('takes the first hole that is large enough, by address, not the one that fits best', () => {
    const arena = new Arena(1000);
    const [first, , third] = [400, 8, 200, 8].map((bytes) => arena.take(bytes));
    arena.give(third, 200);
    arena.give(first, 400);
    assert.equal(arena.take(200), first);
    assert.equal(arena.take(200), first + 200);
    assert.equal(arena.take(200), third);
  });

  test('counts in steps of 8 bytes', () => {
    const arena = new Arena(64);
    assert.deepEqual([1, 8, 9].map((bytes) => arena.take(bytes)), [0, 8, 16]);
    assert.equal(arena.free, 32);
    arena.give(0, 1);
    arena.give(16, 9);
    assert.deepEqual(arena.holes, [{ at: 0, size: 8 }, { at: 16, size: 48 }]);
  });

  test('merges neighbours, on both sides', () => {
    const arena = new Arena(96);
    const blocks = [24, 24, 24, 24].map((bytes) => arena.take(bytes));
    assert.equal(arena.take(1), -1);
    for (const n of [1, 3, 0, 2]) arena.give(blocks[n], 24);
    assert.deepEqual(arena.holes, [{ at: 0, size: 96 }]);
  });

  test('half of it free is no room for a third, when the holes are small', () => {
    const arena = new Arena(1040);
    const blocks = Array.from({ length: 10 }, () => arena.take(100));
    for (let n = 0; n < 10; n += 2) arena.give(blocks[n], 100);
    assert.equal(arena.free, 520);
    assert.equal(arena.largest, 104);
    assert.equal(arena.take(300), -1);
  });
});

describe('a board with the option program', () => {
  const FREE = 184312 - 50000;

  /** Runs a program; returns the board, and what it exports. */
  function run(code, options) {
    const board = new Board({ program: 50000, ...options });
    const { places } = board.heap;
    const before = places.arena.free;
    return { board, places, used: () => before - places.arena.free, program: board.load(code) };
  }

  test('has what the program leaves of the heap, and no hole has more than a third of that', () => {
    for (const program of [50000, 66000, 90000]) {
      const { arena } = new Board({ program }).heap.places;
      assert.ok(arena.free <= HEAP_SIZE - program, `${arena.free} bytes`);
      assert.ok(arena.free >= HEAP_SIZE - program - 0.87 * (program - 50000) - 10000, `${arena.free} bytes`);
      assert.ok(arena.largest < arena.free / 3, `${arena.largest} of ${arena.free} bytes`);
    }
  });

  test('an array takes its bytes, and 48 more', () => {
    const { program, used } = run('exports.kept = new Uint8Array(1000);');
    assert.equal(used(), 1048);
    assert.equal(program.kept.length, 1000);
  });

  test('what is in reach stays: the program ends when it is too much, whatever the sum', () => {
    const { board } = run(`exports.kept = []; for (let n = 0; n < 80; n++) exports.kept.push(new Uint8Array(2000));`);
    assert.ok(80 * 2048 > FREE);
    assert.match(board.violations[0].message, /^out of heap: a block of 2024 bytes finds no room after a collection: \d+ bytes are free/);
    assert.deepEqual(brokenRules(board), ['out of heap']);
  });

  test('what is out of reach makes room, also within one call', () => {
    const { board, places } = run('for (let n = 0; n < 1000; n++) new Uint8Array(2000);');
    board.check();
    assert.ok(places.collections > 10);
  });

  test('without the option everything finds room', () => {
    const board = new Board();
    board.load('exports.kept = []; for (let n = 0; n < 80; n++) exports.kept.push(new Uint8Array(2000));');
    board.check();
  });

  test('holes between arrays that stay are no room for a larger one', () => {
    const program = `
      const all = [];
      for (let n = 0; n < 60; n++) all.push(new Uint8Array(2000));
      exports.kept = all.filter((array, n) => n % 2);
      all.length = 0;
      exports.ask = (bytes) => { exports.more = new Uint8Array(bytes); };`;
    const fits = run(program);
    fits.program.ask(1500);
    fits.board.check();
    const tooLarge = run(program);
    tooLarge.program.ask(16384);
    assert.match(tooLarge.board.violations[0].message, /16408 bytes finds no room.*: 7\d{4} bytes are free/);
    assert.deepEqual(brokenRules(tooLarge.board), ['out of heap']);
  });

  test('a view keeps the whole array, however little it shows', () => {
    const { program, places, used } = run('exports.view = new Uint8Array(5000).subarray(0, 10);');
    places.collect();
    assert.equal(used(), 5048);
    program.view = undefined;
    places.collect();
    assert.equal(used(), 0);
  });

  test('a copy that slice makes takes room', () => {
    const { program, places, used } = run('exports.kept = new Uint8Array(1000); exports.copy = exports.kept.slice(0, 500).slice(0, 100);');
    places.collect();
    assert.equal(used(), 1048 + 24 + 104 + 24);
    assert.equal(program.copy.length, 100);
  });

  test('the variables of running functions, suspended generators and async functions keep what they have', async () => {
    const { board, places, used, program } = run(`
      exports.running = (look) => { const own = new Uint8Array(3000); look(); return own.length; };
      exports.suspended = (function* () { const own = new Uint8Array(3000); yield; return own.length; })();
      exports.waiting = async (promise) => { const own = new Uint8Array(3000); await promise; return own.length; };`);
    program.running(() => {
      places.collect();
      assert.equal(used(), 3048);
    });
    places.collect();
    assert.equal(used(), 0);
    program.suspended.next();
    places.collect();
    assert.equal(used(), 3048);
    program.suspended.next();
    places.collect();
    assert.equal(used(), 0);
    let go;
    program.waiting(new Promise((resolve) => { go = resolve; }));
    await board.runAsync(10);
    places.collect();
    assert.equal(used(), 3048);
    go();
    await board.runAsync(10);
    places.collect();
    assert.equal(used(), 0);
  });

  test('a long text takes room while the program can reach it', () => {
    const { board, places, used, program } = run(`
      const bytes = new TextEncoder().encode('é'.repeat(1500));
      exports.decode = () => new TextDecoder().decode(bytes);
      let kept;
      exports.keep = (text) => { kept = text; };
      setInterval(() => kept, 1000);`);
    const array = used();
    assert.equal(array, 3048);
    program.keep(program.decode());
    board.pass();
    places.collect();
    assert.equal(used(), array + 3016);
    program.keep();
    places.collect();
    assert.equal(used(), array);
  });

  test('a text that was made in this pass of the loop may be in use', () => {
    const { board, places, used, program } = run('const bytes = new Uint8Array(2000).fill(65); exports.decode = () => new TextDecoder().decode(bytes);');
    const array = used();
    program.decode();
    places.collect();
    assert.equal(used(), array + 2016);
    board.pass();
    places.collect();
    assert.equal(used(), array);
  });

  test('a connection takes room until it ends', () => {
    const board = new Board({ program: 50000 });
    const { places } = board.heap;
    const server = listenOn(board);
    const before = places.arena.free;
    const { client } = connectTo(board, server);
    places.collect();
    assert.equal(before - places.arena.free, 640);
    client.end();
    board.runUntil(() => server.closed.length === 1);
    board.run(5);
    places.collect();
    assert.equal(before - places.arena.free, 0);
  });

  test('the bytes of a write are a list of arguments for a moment: 4 KB more must be free', () => {
    const board = new Board({ program: 50000 });
    const server = listenOn(board);
    const { fd } = connectTo(board, server);
    const { arena } = board.heap.places;
    const kept = [];
    while (arena.largest >= 4104) kept.push(new board.global.Uint8Array(1000));
    board.netdev.write(fd, 'x'.repeat(700));
    board.check();
    board.netdev.write(fd, 'x'.repeat(1024));
    assert.deepEqual(brokenRules(board), ['out of heap']);
  });

  test('tells the largest array or text that was made, but for announced ones', () => {
    const { board } = run('new Uint8Array(3000); new Uint8Array(16384); new Uint8Array(new Uint8Array(2000).buffer); new TextDecoder().decode(new Uint8Array(4000));');
    assert.equal(board.heap.largestMade(), 16384);
    assert.equal(board.heap.largestMade([16384]), 4000);
    assert.equal(board.heap.largestMade([16384, 4000, 3000]), 2000);
  });

  test('is the same at every run', () => {
    const play = () => {
      const { places, program } = run('const kept = []; exports.step = (n) => { kept[n % 7] = new Uint8Array(100 + n * 37 % 5000); kept[n % 3] = new Uint8Array(n); };');
      for (let n = 0; n < 2000; n++) program.step(n);
      assert.ok(places.collections > 20);
      return JSON.stringify([places.collections, places.blocks.map(({ at, bytes }) => [at, bytes])]);
    };
    assert.equal(play(), play());
  });
});
