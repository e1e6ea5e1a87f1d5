// JerryScript's heap as a place: blocks lie somewhere, nothing moves, and what is free lies in holes. A block that fits into no hole is the
// end of the program, however much is free altogether.
import v8 from 'node:v8';
import vm from 'node:vm';

/** jerry-core/config.h, as Kaluma builds it: 180 KB less the head of the free list. */
export const HEAP_SIZE = 184312;
/** jerry-core/jmem/jmem.h: JMEM_ALIGNMENT. */
const STEP = 8;

const rounded = (bytes) => Math.ceil(bytes / STEP) * STEP;

/** jmem_heap_alloc and jmem_heap_free_block of jerry-core/jmem/jmem-heap.c: the first hole by address that is large enough; neighbours merge. */
export class Arena {
  constructor(size = HEAP_SIZE) {
    /** @type {{at: number, size: number}[]} by address */
    this.holes = [{ at: 0, size }];
  }

  /** @returns {number} where the block is now, or -1 when no hole is large enough */
  take(bytes) {
    const size = rounded(bytes);
    const index = this.holes.findIndex((hole) => hole.size >= size);
    if (index < 0) return -1;
    const hole = this.holes[index];
    const { at } = hole;
    if (hole.size === size) this.holes.splice(index, 1);
    else Object.assign(hole, { at: at + size, size: hole.size - size });
    return at;
  }

  give(at, bytes) {
    const size = rounded(bytes);
    let index = this.holes.findIndex((hole) => hole.at > at);
    if (index < 0) index = this.holes.length;
    const before = this.holes[index - 1];
    const behind = this.holes[index];
    const touchesBehind = behind?.at === at + size;
    if (before && before.at + before.size === at) {
      before.size += size + (touchesBehind ? behind.size : 0);
      if (touchesBehind) this.holes.splice(index, 1);
    } else if (touchesBehind) {
      Object.assign(behind, { at, size: size + behind.size });
    } else {
      this.holes.splice(index, 0, { at, size });
    }
  }

  get free() {
    return this.holes.reduce((sum, hole) => sum + hole.size, 0);
  }

  get largest() {
    return this.holes.reduce((most, hole) => Math.max(most, hole.size), 0);
  }
}

/**
 * Where a program lies that takes so many bytes, the engine and the library included: the parts of the heap that are not to be had.
 * Measured with JerryScript 2.4 as Kaluma 1.2.1 builds it, this library and programs of several sizes: what the parser took meanwhile
 * leaves 0.87 bytes of holes for each byte above 50,000, nearly all of them of some hundred bytes, where no segment fits; two are larger.
 * Behind is one hole. In use it falls into pieces, as some small thing was made while the heap was fuller, and stays: here there are two such
 * from the beginning. With them a flood that killed real programs of 80,000 bytes and more, and none of 75,000, does so here.
 */
function programAt(program) {
  const [small, larger] = [2504, 5416];
  const scattered = Math.max(0, program - 50000) * 0.87;
  const end = rounded(Math.max(program + scattered, program + small + larger));
  const [first, second] = [rounded(end * 0.55), rounded(end * 0.78)];
  const third = (HEAP_SIZE - end) / 3;
  return [
    { at: 0, size: first },
    { at: first + small, size: second - first - small },
    { at: second + larger, size: end - second - larger },
    { at: rounded(end + third), size: 32 },
    { at: rounded(end + 2 * third), size: 32 },
  ];
}

/** Heap objects: what jerry-core/ecma/base/ecma-globals.h says with 32-bit compressed pointers. */
export const BLOCK = {
  /** An ArrayBuffer, before its bytes: ecma_extended_object_t. */
  buffer: 24,
  /** A typed array, which is an object of its own. */
  view: 24,
  /** The ArrayBuffer of a segment: its bytes are in the C heap. */
  external: 32,
  /** A text, before its bytes: ecma_short_string_t. */
  text: 12,
  /** A connection: the driver's object and the library's own, in so many blocks of so many bytes. */
  connection: [8, 80],
};
/** Shorter texts find room anywhere. */
const LONG_TEXT = 1024;

const textSize = (text) => Buffer.byteLength(text, 'utf8');

/** Runs Node's collector so that a WeakRef tells what nothing can reach, in the middle of a job as well. */
const collect = (() => {
  let gc;
  // A WeakRef keeps its target until the job that made or read it has ended. A realm with a queue of jobs of its own ends one here.
  const realm = vm.createContext({}, { microtaskMode: 'afterEvaluate' });
  const endOfJob = new vm.Script('0');
  return () => {
    if (!gc) {
      v8.setFlagsFromString('--expose-gc');
      gc = vm.runInNewContext('gc');
    }
    endOfJob.runInContext(realm);
    gc();
  };
})();

/**
 * The blocks in the heap, each with what it belongs to. A block is given back at a collection that finds its owner out of everybody's reach;
 * and that runs only when something finds no room. (JerryScript collects whenever 5,760 more bytes are in use. So there what lives on lies
 * at low addresses, here it may lie anywhere: the holes are rather smaller here.)
 */
export class Places {
  /**
   * @param {object} parts
   * @param {number} parts.program bytes that the program takes, see programAt()
   * @param {() => Set<string>} parts.textsInReach long texts that the program can reach
   * @param {(detail: string) => void} parts.outOfHeap told once, when a block finds no room after a collection
   */
  constructor({ program, textsInReach, outOfHeap }) {
    this.arena = new Arena();
    const taken = programAt(program);
    const hidden = this.arena.holes[0];
    this.arena.holes = taken.map(({ at, size }, n) => ({ at: at + size, size: (taken[n + 1]?.at ?? hidden.size) - at - size }));
    this.textsInReach = textsInReach;
    this.outOfHeap = outOfHeap;
    this.dead = false;
    this.collections = 0;
    /** Grows with every pass of the loop: what was made in this one may be in a running function's hands. */
    this.turn = 0;
    /** @type {{at: number, bytes: number, owner?: WeakRef<object>, text?: string, turn: number}[]} */
    this.blocks = [];
    /** @type {Map<number, number>} how many arrays and long texts of which length, in bytes, the program has made */
    this.made = new Map();
  }

  /** A block that lives as long as its owner. */
  place(owner, bytes) {
    this.put({ owner: new WeakRef(owner), turn: this.turn }, bytes);
  }

  /** An array's bytes, and the array. */
  array(array) {
    const { buffer } = array;
    this.note(array.length);
    this.place(buffer, BLOCK.buffer + array.length);
    this.place(buffer, BLOCK.view);
  }

  text(text) {
    if (text.length < LONG_TEXT) return;
    const bytes = textSize(text);
    this.note(bytes);
    this.put({ text, turn: this.turn }, BLOCK.text + bytes);
  }

  connection(object) {
    const [count, bytes] = BLOCK.connection;
    for (let n = 0; n < count; n++) this.place(object, bytes);
  }

  /** A block that is given back at once. */
  passing(bytes) {
    const at = this.find(bytes);
    if (at >= 0) this.arena.give(at, bytes);
  }

  note(bytes) {
    this.made.set(bytes, (this.made.get(bytes) ?? 0) + 1);
  }

  put(block, bytes) {
    const at = this.find(bytes);
    if (at >= 0) this.blocks.push(Object.assign(block, { at, bytes }));
  }

  find(bytes) {
    if (this.dead) return -1;
    const at = this.arena.take(bytes);
    if (at >= 0) return at;
    this.collect();
    const second = this.arena.take(bytes);
    if (second < 0) this.die(bytes);
    return second;
  }

  die(bytes) {
    this.dead = true;
    const { free, largest } = this.arena;
    this.outOfHeap(`a block of ${bytes} bytes finds no room after a collection: ${free} bytes are free, the largest hole has ${largest}; the program ends here`);
  }

  /** Gives back what nobody can reach. */
  collect() {
    this.collections++;
    const old = this.blocks.some((block) => block.text !== undefined && block.turn < this.turn);
    const texts = old ? this.textsInReach() : new Set();
    collect();
    this.blocks = this.blocks.filter((block) => {
      const alive = block.owner ? block.owner.deref() !== undefined : block.turn === this.turn || texts.has(block.text);
      if (!alive) this.arena.give(block.at, block.bytes);
      return alive;
    });
  }
}
