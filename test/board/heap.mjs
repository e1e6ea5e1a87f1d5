// The two memories that input costs: the bytes of a segment lie in the C heap (about 20 KB, allocation is unchecked) until JavaScript's
// garbage collector finds the Uint8Array over them, and that collector runs only when enough *JavaScript* heap was allocated.
// And, for a board with the option `program`: whether what is allocated finds room (places.mjs).
import v8 from 'node:v8';
import vm from 'node:vm';
import { BLOCK, Places } from './places.mjs';

/** JerryScript collects after allocating heap / 32 = 184,312 / 32 bytes. */
const GC_EVERY = 5760;
/** JavaScript heap for the objects of one delivered segment: ArrayBuffer, Uint8Array, the call. */
const SEGMENT_OBJECTS = 190;
/** JavaScript heap for a Uint8Array that the program makes, besides its bytes. */
const ARRAY_HEADER = 40;
/** The C heap, about. */
const C_HEAP = 20480;

export class Heap {
  /**
   * @param {import('./rules.mjs').Rules} rules
   * @param {object} [options]
   * @param {number} [options.program] bytes that it takes; 0: the heap is without end
   * @param {number} [options.cHeap] bytes for segments that wait for the collector and send buffers together, above which a rule is
   *   broken; by default none is: what clients leave unacknowledged is not bounded yet (a board has about 20 KB)
   * @param {() => Set<string>} [options.textsInReach]
   */
  constructor(rules, { program = 0, cHeap = Infinity, textsInReach = () => new Set() } = {}) {
    this.rules = rules;
    this.places = program ? new Places({ program, textsInReach, outOfHeap: (detail) => rules.record('out of heap', detail) }) : null;
    /** Bytes of delivered segments that the collector has not freed. */
    this.uncollected = 0;
    /** The most there ever was. */
    this.peak = 0;
    /** Bytes of the C heap that all send buffers take; the most that they and the segments above ever took; and above what a rule is broken. */
    this.outputBytes = () => 0;
    this.cPeak = 0;
    this.cLimit = cHeap;
    this.cOverflowed = false;
    this.allocated = 0;
    this.current = 0;
    /** @type {{ref: WeakRef<Uint8Array>, length: number, at: number}[]} */
    this.delivered = [];
    this.overflowed = false;
    this.Uint8Array = this.countingUint8Array();
  }

  /** JavaScript heap was allocated: the collector may run. What is in a running callback's hands survives it. */
  allocate(bytes) {
    this.allocated += bytes;
    if (this.allocated <= GC_EVERY) return;
    this.allocated = 0;
    this.uncollected = this.current;
  }

  /**
   * Hands one segment to a callback as the driver does, and makes sure that a program that keeps it notices: the array is empty
   * afterwards (on the board it would stay full, and the board would run out of memory instead).
   * @param {Uint8Array} bytes
   * @param {(data: Uint8Array) => void} deliver
   */
  withSegment(bytes, deliver) {
    const data = new Uint8Array(bytes);
    Object.defineProperty(data, 'slice', { value: this.countingSlice(), configurable: true });
    this.current = data.length;
    this.uncollected += data.length;
    this.allocate(SEGMENT_OBJECTS);
    this.placeSegment(data);
    this.notePeak();
    this.remember(data);
    try {
      deliver(data);
    } finally {
      this.current = 0;
      structuredClone(data.buffer, { transfer: [data.buffer] });
    }
  }

  notePeak() {
    this.peak = Math.max(this.peak, this.uncollected);
    this.noteCPeak();
    if (this.uncollected <= C_HEAP || this.overflowed) return;
    this.overflowed = true;
    this.rules.record('uncollected input', `${this.uncollected} bytes of segments wait for the garbage collector, the C heap has ${C_HEAP}: ` +
      'copy each segment when it comes, the allocation paces the collector');
  }

  /** The driver does not look whether it got memory for a segment: when there is none, it writes to address 0. */
  noteCPeak(output = this.outputBytes()) {
    const bytes = this.uncollected + output;
    this.cPeak = Math.max(this.cPeak, bytes);
    if (bytes <= this.cLimit || this.uncollected > this.cLimit || this.cOverflowed) return; // input alone breaks a rule of its own
    this.cOverflowed = true;
    this.rules.record('C heap', `${this.uncollected} bytes of segments that wait for the garbage collector and ${output} bytes of send buffers, more than ${this.cLimit} ` +
      'together: the next segment finds no memory, and the driver does not look');
  }

  remember(data) {
    if (this.delivered.length > 4096) this.delivered = this.delivered.filter((segment) => segment.ref.deref());
    this.delivered.push({ ref: new WeakRef(data), length: data.length, at: this.rules.now() });
  }

  /** Uint8Array as programs see it: the real one, but every construction counts. */
  countingUint8Array() {
    const heap = this;
    return new Proxy(Uint8Array, {
      construct(target, args, newTarget) {
        const array = Reflect.construct(target, args, newTarget);
        const bytes = args[0] instanceof ArrayBuffer ? 0 : array.length;
        heap.allocate(ARRAY_HEADER + bytes);
        if (bytes) heap.placeArray(array);
        return array;
      },
    });
  }

  countingSlice() {
    const heap = this;
    return function slice(start, end) {
      const copy = Uint8Array.prototype.slice.call(this, start, end);
      heap.allocate(ARRAY_HEADER + copy.length);
      heap.placeArray(copy);
      return copy;
    };
  }

  // ---- where it lies

  /** A new array of the program's, and the copies that it will make of itself. */
  placeArray(array) {
    if (!this.places) return;
    this.places.array(array);
    Object.defineProperty(array, 'slice', { value: this.countingSlice(), configurable: true });
  }

  placeSegment(data) {
    if (!this.places) return;
    this.places.place(data, BLOCK.external);
    this.places.place(data, BLOCK.view);
  }

  /** A text that the program gets from outside. */
  placeText(text) {
    this.places?.text(text);
    return text;
  }

  placeConnection(object) {
    this.places?.connection(object);
  }

  /** The bytes that become a text to be written are the arguments of a call: a list of values on the heap, 4 bytes each. */
  placeArguments(count) {
    this.places?.passing(8 + 4 * count);
  }

  /**
   * Bytes of the largest array or text that the program has made.
   * @param {number[]} [announced] lengths that do not count: of a body or message whose length a client has announced
   */
  largestMade(announced = []) {
    if (!this.places) throw new Error('largestMade() is for boards with the option program');
    return Math.max(0, ...[...this.places.made.keys()].filter((bytes) => !announced.includes(bytes)));
  }

  /** A pass of the loop begins. */
  beginTurn() {
    if (this.places) this.places.turn++;
  }

  /** Runs Node's collector and records a broken rule when a segment delivered earlier is still within somebody's reach. */
  async checkHeld() {
    v8.setFlagsFromString('--expose-gc');
    const gc = vm.runInNewContext('gc');
    // A WeakRef keeps its target until the job that made or read it has ended.
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    const held = this.delivered.filter((segment) => segment.ref.deref());
    this.delivered = held;
    if (held.length === 0) return;
    const { length, at } = held[0];
    this.rules.raise('held segment', `${held.length} delivered segments are still reachable, the first has ${length} bytes and came at ${at.toFixed(1)} ms`);
  }
}
