import { strict as assert } from 'node:assert';

/** Doubles in a shared chunk: 512 KiB, so that growth never copies more than one key's rows. */
const chunkDoubles = 65_536;
const smallestCapacity = 4;

/** A free place for a region: which chunk, and where in it. */
interface Place {
  readonly chunk: number;
  readonly base: number;
}

/**
 * The rows of every key, in order of (event time, arrival), each key's in one contiguous *region* of a typed-array slab:
 *
 *     base                capacity             2 × capacity
 *     | times ··hhhhhh··· | column 0 ··hhhhhh·· | column 1 …          h: the rows [head, head + count)
 *
 * Regions have capacities 4, 8, 16, … and are reused by size, so that millions of keys make no garbage, and the aggregates' loops run over
 * plain contiguous doubles. Null is NaN: NaN itself never enters state. Indexed by the slots of a `KeyIndex`.
 */
export class RowStore {
  readonly columnCount: number;
  readonly #chunks: (Float64Array | null)[] = [];
  readonly #freeChunks: number[] = [];
  readonly #freePlaces: Place[][] = [];
  #heldDoubles = 0;
  #openChunk = -1;
  #openUsed = chunkDoubles;
  #chunkOf: Int32Array = new Int32Array(1024).fill(-1);
  #baseOf: Int32Array = new Int32Array(1024);
  #capacityOf: Int32Array = new Int32Array(1024);
  #headOf: Int32Array = new Int32Array(1024);
  #countOf: Int32Array = new Int32Array(1024);

  /** @param columnCount columns beside the event time; may be 0. */
  constructor(columnCount: number) {
    this.columnCount = columnCount;
  }

  /** Bytes of the regions that slots have. */
  get heldBytes(): number {
    return this.#heldDoubles * Float64Array.BYTES_PER_ELEMENT;
  }

  /** How many rows the slot has; 0 for a slot never used. */
  count(slot: number): number {
    return this.#countOf[slot] ?? 0;
  }

  /** The array that holds the slot's region. Valid until the slot's next change. The slot must have had a row. */
  chunk(slot: number): Float64Array {
    const chunk = this.#chunks[this.#chunkOf[slot] ?? -1];
    assert(chunk !== undefined && chunk !== null, 'the slot has no region');
    return chunk;
  }

  /** Index, in `chunk(slot)`, of the slot's oldest event time. Column `c` of the same row is `(1 + c) × stride` further on. */
  start(slot: number): number {
    return (this.#baseOf[slot] ?? 0) + (this.#headOf[slot] ?? 0);
  }

  /** The distance between a row's time and its first column, and between one column and the next. */
  stride(slot: number): number {
    return this.#capacityOf[slot] ?? 0;
  }

  /** The slot's newest event time; `-Infinity` without rows. */
  newestTimeMs(slot: number): number {
    const count = this.count(slot);
    return count === 0 ? -Infinity : (this.chunk(slot)[this.start(slot) + count - 1] ?? -Infinity);
  }

  /**
   * Makes a row behind all rows whose time is not later, and returns its position among the slot's rows. The caller fills its columns at
   * `start(slot) + position + (1 + c) × stride(slot)`. Constant time for a record in order; as far back as it belongs otherwise.
   */
  insert(slot: number, eventTimeMs: number): number {
    this.#makeRoom(slot);
    const chunk = this.chunk(slot);
    const start = this.start(slot);
    const count = this.count(slot);
    let position = count;
    while (position > 0 && (chunk[start + position - 1] ?? 0) > eventTimeMs) position--;
    if (position < count) {
      const stride = this.stride(slot);
      for (let column = 0; column <= this.columnCount; column++) {
        const from = start + column * stride + position;
        chunk.copyWithin(from + 1, from, from + count - position);
      }
    }
    chunk[start + position] = eventTimeMs;
    this.#countOf[slot] = count + 1;
    return position;
  }

  /** Takes out one row. */
  removeAt(slot: number, position: number): void {
    const chunk = this.chunk(slot);
    const start = this.start(slot);
    const count = this.count(slot);
    const stride = this.stride(slot);
    for (let column = 0; column <= this.columnCount; column++) {
      const at = start + column * stride + position;
      chunk.copyWithin(at, at + 1, start + column * stride + count);
    }
    this.#countOf[slot] = count - 1;
  }

  /** Takes out the rows at the positions `[from, to)`; gives room back when little is left. */
  removeRange(slot: number, from: number, to: number): void {
    if (from === to) return;
    const chunk = this.chunk(slot);
    const start = this.start(slot);
    const count = this.count(slot);
    const stride = this.stride(slot);
    for (let column = 0; column <= this.columnCount; column++) {
      const base = start + column * stride;
      chunk.copyWithin(base + from, base + to, base + count);
    }
    const left = count - (to - from);
    this.#countOf[slot] = left;
    let capacity = stride;
    while (capacity > 4 * smallestCapacity && left * 8 < capacity) capacity >>= 2;
    if (capacity < stride) this.#move(slot, capacity);
  }

  /** Evicts the rows with an event time ≤ `horizonMs`, oldest first; gives room back when little is left. */
  trim(slot: number, horizonMs: number): void {
    const count = this.count(slot);
    if (count === 0) return;
    const chunk = this.chunk(slot);
    const start = this.start(slot);
    let evicted = 0;
    while (evicted < count && (chunk[start + evicted] ?? 0) <= horizonMs) evicted++;
    if (evicted === 0) return;
    this.#headOf[slot] = (this.#headOf[slot] ?? 0) + evicted;
    this.#countOf[slot] = count - evicted;
    const capacity = this.stride(slot);
    if (capacity > 4 * smallestCapacity && (count - evicted) * 8 < capacity) this.#move(slot, capacity >> 2);
  }

  /** Makes the slot hold exactly `count` rows, whose times and columns the caller then fills from position 0. For loading stored state. */
  reserve(slot: number, count: number): void {
    this.clear(slot);
    this.#ensureSlot(slot);
    let capacity = smallestCapacity;
    while (capacity < count) capacity *= 2;
    this.#take(slot, capacity);
    this.#countOf[slot] = count;
  }

  /** Forgets the slot's rows and frees its region. */
  clear(slot: number): void {
    if ((this.#chunkOf[slot] ?? -1) >= 0) this.#release(slot);
    this.#countOf[slot] = 0;
    this.#headOf[slot] = 0;
  }

  #ensureSlot(slot: number): void {
    if (slot < this.#countOf.length) return;
    const size = Math.max(this.#countOf.length * 2, slot + 1);
    const grow = (old: Int32Array, filler: number): Int32Array => {
      const grown = new Int32Array(size).fill(filler, old.length);
      grown.set(old);
      return grown;
    };
    this.#chunkOf = grow(this.#chunkOf, -1);
    this.#baseOf = grow(this.#baseOf, 0);
    this.#capacityOf = grow(this.#capacityOf, 0);
    this.#headOf = grow(this.#headOf, 0);
    this.#countOf = grow(this.#countOf, 0);
  }

  #makeRoom(slot: number): void {
    this.#ensureSlot(slot);
    const count = this.count(slot);
    const head = this.#headOf[slot] ?? 0;
    const capacity = this.stride(slot);
    if ((this.#chunkOf[slot] ?? -1) < 0) {
      this.#take(slot, smallestCapacity);
    } else if (head + count === capacity) {
      if (head * 4 >= capacity) this.#slideBack(slot);
      else this.#move(slot, capacity * 2);
    }
  }

  #slideBack(slot: number): void {
    const chunk = this.chunk(slot);
    const start = this.start(slot);
    const base = this.#baseOf[slot] ?? 0;
    const stride = this.stride(slot);
    const count = this.count(slot);
    for (let column = 0; column <= this.columnCount; column++) {
      const from = start + column * stride;
      chunk.copyWithin(base + column * stride, from, from + count);
    }
    this.#headOf[slot] = 0;
  }

  #move(slot: number, capacity: number): void {
    const old = this.chunk(slot);
    const start = this.start(slot);
    const oldStride = this.stride(slot);
    const count = this.count(slot);
    const oldPlace: Place = { chunk: this.#chunkOf[slot] ?? -1, base: this.#baseOf[slot] ?? 0 };
    this.#take(slot, capacity);
    const chunk = this.chunk(slot);
    const base = this.#baseOf[slot] ?? 0;
    for (let column = 0; column <= this.columnCount; column++) {
      const from = start + column * oldStride;
      chunk.set(old.subarray(from, from + count), base + column * capacity);
    }
    this.#free(oldPlace, oldStride);
  }

  #release(slot: number): void {
    this.#free({ chunk: this.#chunkOf[slot] ?? -1, base: this.#baseOf[slot] ?? 0 }, this.stride(slot));
    this.#chunkOf[slot] = -1;
    this.#capacityOf[slot] = 0;
  }

  #regionDoubles(capacity: number): number {
    return capacity * (1 + this.columnCount);
  }

  #take(slot: number, capacity: number): void {
    const place = this.#freePlaces[Math.log2(capacity)]?.pop() ?? this.#carve(this.#regionDoubles(capacity));
    this.#heldDoubles += this.#regionDoubles(capacity);
    this.#chunkOf[slot] = place.chunk;
    this.#baseOf[slot] = place.base;
    this.#capacityOf[slot] = capacity;
    this.#headOf[slot] = 0;
  }

  #carve(doubles: number): Place {
    if (doubles * 4 > chunkDoubles) return { chunk: this.#newChunk(doubles), base: 0 };
    if (this.#openUsed + doubles > chunkDoubles) {
      this.#openChunk = this.#newChunk(chunkDoubles);
      this.#openUsed = 0;
    }
    const base = this.#openUsed;
    this.#openUsed += doubles;
    return { chunk: this.#openChunk, base };
  }

  #newChunk(doubles: number): number {
    const index = this.#freeChunks.pop() ?? this.#chunks.length;
    this.#chunks[index] = new Float64Array(doubles);
    return index;
  }

  #free(place: Place, capacity: number): void {
    this.#heldDoubles -= this.#regionDoubles(capacity);
    if (this.#regionDoubles(capacity) * 4 > chunkDoubles) {
      this.#chunks[place.chunk] = null;
      this.#freeChunks.push(place.chunk);
      return;
    }
    const sizeClass = Math.log2(capacity);
    (this.#freePlaces[sizeClass] ??= []).push(place);
  }
}
