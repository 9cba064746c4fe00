import type { ByteSlab } from '../record/column.ts';

const initialSlots = 1024;
const initialArenaBytes = 16_384;
/** A slot's part of the table (two places at most half full, so four) and of the three arrays beside it. */
const bytesPerSlot = 28;

/** FNV-1a over the bytes `[from, to)`, with murmur3's finaliser, since the table keeps the low bits only. */
function hashBytes(data: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (data[i] ?? 0), 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/**
 * Byte keys to small dense integers (*slots*), which index the typed-array slabs where the keys' state lies. Open addressing with linear
 * probing over typed arrays: no object and no string per key, so a million keys cost the garbage collector nothing.
 *
 * A slot keeps its number until its key is deleted; then the number is given to a later key. Used by keyed operators and, as a
 * dictionary, for string values that are kept in numeric rows.
 */
export class KeyIndex {
  /** Slot numbers plus one, 0 for empty; the length is a power of two, at most half full. */
  #table: Int32Array = new Int32Array(initialSlots * 2);
  #hashes: Int32Array = new Int32Array(initialSlots);
  #starts: Int32Array = new Int32Array(initialSlots);
  /** A key's length; -1 marks a free slot. */
  #lengths: Int32Array = new Int32Array(initialSlots).fill(-1);
  #arena: Uint8Array = new Uint8Array(initialArenaBytes);
  #arenaUsed = 0;
  #arenaGarbage = 0;
  readonly #freeSlots: number[] = [];
  #slotLimit = 0;
  #size = 0;
  #longestKey = 0;

  /** How many keys there are. */
  get size(): number {
    return this.#size;
  }

  /** About how many bytes the keys take here, without what deleted ones have left behind. */
  get heldBytes(): number {
    return this.#arenaUsed - this.#arenaGarbage + this.#size * bytesPerSlot;
  }

  /** One more than the highest slot ever given: slots are in `[0, slotLimit)`. */
  get slotLimit(): number {
    return this.#slotLimit;
  }

  /** The length in bytes of the longest key there ever was. */
  get longestKey(): number {
    return this.#longestKey;
  }

  /** The key's slot, or -1. */
  find(slab: ByteSlab, row: number): number {
    const from = slab.offsets[row] ?? 0;
    const to = slab.offsets[row + 1] ?? 0;
    return this.#probe(slab.data, from, to, hashBytes(slab.data, from, to));
  }

  /** The key's slot; a new one is given to a key that has none. `slotLimit` or `size` tells the caller that it is new. */
  findOrInsert(slab: ByteSlab, row: number): number {
    const { data, offsets } = slab;
    return this.#findOrInsert(data, offsets[row] ?? 0, offsets[row + 1] ?? 0);
  }

  /** {@link findOrInsert} for one key in an array of its own. */
  findOrInsertKey(key: Uint8Array): number {
    return this.#findOrInsert(key, 0, key.length);
  }

  /** Whether the key is here. */
  has(key: Uint8Array): boolean {
    return this.#probe(key, 0, key.length, hashBytes(key, 0, key.length)) >= 0;
  }

  /** A copy of the slot's key. */
  keyOf(slot: number): Uint8Array {
    const start = this.#starts[slot] ?? 0;
    return this.#arena.slice(start, start + (this.#lengths[slot] ?? 0));
  }

  /** The length in bytes of the slot's key. */
  keySize(slot: number): number {
    return this.#lengths[slot] ?? 0;
  }

  /** Copies the slot's key to `target` at `at`. */
  copyKey(slot: number, target: Uint8Array, at: number): void {
    const start = this.#starts[slot] ?? 0;
    target.set(this.#arena.subarray(start, start + (this.#lengths[slot] ?? 0)), at);
  }

  /** Whether the slot has a key now. */
  isLive(slot: number): boolean {
    return (this.#lengths[slot] ?? -1) >= 0;
  }

  /** Forgets the slot's key; the slot's number may be given again. */
  delete(slot: number): void {
    const mask = this.#table.length - 1;
    let hole = (this.#hashes[slot] ?? 0) & mask;
    while (this.#table[hole] !== slot + 1) hole = (hole + 1) & mask;
    // Close the gap by moving back every entry that may not stand beyond it (Knuth, TAOCP 6.4, algorithm R), so no tombstones pile up.
    for (let next = (hole + 1) & mask; this.#table[next] !== 0; next = (next + 1) & mask) {
      const home = (this.#hashes[(this.#table[next] ?? 0) - 1] ?? 0) & mask;
      const reachable = hole <= next ? home <= hole || home > next : home <= hole && home > next;
      if (reachable) {
        this.#table[hole] = this.#table[next] ?? 0;
        hole = next;
      }
    }
    this.#table[hole] = 0;
    this.#arenaGarbage += this.#lengths[slot] ?? 0;
    this.#lengths[slot] = -1;
    this.#freeSlots.push(slot);
    this.#size--;
  }

  #probe(data: Uint8Array, from: number, to: number, hash: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const slot = (table[at] ?? 0) - 1;
      if (slot < 0) return -1;
      if (this.#hashes[slot] === hash && this.#equals(slot, data, from, to)) return slot;
    }
  }

  #equals(slot: number, data: Uint8Array, from: number, to: number): boolean {
    if (this.#lengths[slot] !== to - from) return false;
    const arena = this.#arena;
    for (let i = from, j = this.#starts[slot] ?? 0; i < to; i++, j++) {
      if (data[i] !== arena[j]) return false;
    }
    return true;
  }

  #findOrInsert(data: Uint8Array, from: number, to: number): number {
    const hash = hashBytes(data, from, to);
    const found = this.#probe(data, from, to, hash);
    if (found >= 0) return found;
    if ((this.#size + 1) * 2 > this.#table.length) this.#growTable();
    const slot = this.#freeSlots.pop() ?? this.#slotLimit++;
    if (slot >= this.#hashes.length) this.#growSlots();
    const length = to - from;
    if (this.#arenaUsed + length > this.#arena.length) this.#makeRoom(length);
    this.#arena.set(data.subarray(from, to), this.#arenaUsed);
    this.#hashes[slot] = hash;
    this.#starts[slot] = this.#arenaUsed;
    this.#lengths[slot] = length;
    this.#arenaUsed += length;
    if (length > this.#longestKey) this.#longestKey = length;
    this.#size++;
    this.#place(slot);
    return slot;
  }

  #place(slot: number): void {
    const mask = this.#table.length - 1;
    let at = (this.#hashes[slot] ?? 0) & mask;
    while (this.#table[at] !== 0) at = (at + 1) & mask;
    this.#table[at] = slot + 1;
  }

  #growTable(): void {
    this.#table = new Int32Array(this.#table.length * 2);
    for (let slot = 0; slot < this.#slotLimit; slot++) {
      if (this.isLive(slot)) this.#place(slot);
    }
  }

  #growSlots(): void {
    const grow = (old: Int32Array, filler: number): Int32Array => {
      const grown = new Int32Array(old.length * 2).fill(filler, old.length);
      grown.set(old);
      return grown;
    };
    this.#hashes = grow(this.#hashes, 0);
    this.#starts = grow(this.#starts, 0);
    this.#lengths = grow(this.#lengths, -1);
  }

  /** Copies the live keys to an arena of a fitting size: larger when it is full of keys, the same when it is full of deleted ones. */
  #makeRoom(length: number): void {
    const liveBytes = this.#arenaUsed - this.#arenaGarbage;
    let capacity = this.#arena.length;
    while ((liveBytes + length) * 2 > capacity) capacity *= 2;
    const arena = new Uint8Array(capacity);
    let used = 0;
    for (let slot = 0; slot < this.#slotLimit; slot++) {
      if (!this.isLive(slot)) continue;
      this.copyKey(slot, arena, used);
      this.#starts[slot] = used;
      used += this.#lengths[slot] ?? 0;
    }
    this.#arena = arena;
    this.#arenaUsed = used;
    this.#arenaGarbage = 0;
  }
}
