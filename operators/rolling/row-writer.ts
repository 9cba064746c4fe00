import { strict as assert } from 'node:assert';
import type { KeyIndex } from '../../engine/state/key-index.ts';
import type { StoredColumn } from './rolling-layout.ts';
import { formatVersion, headerBytes } from './row-format.ts';
import type { RowStore } from './row-store.ts';

/** Bytes of one slab of written values; a value that may need more gets a slab of its own. */
const slabBytes = 1 << 20;

/**
 * Writes keys' rows in the form of `row-format.ts`, many in a row: a flush of state writes every key that changed, and making an object a
 * column would cost more than the rows. Values are views on slabs that are never written again, so they may be kept for as long as a commit takes.
 */
export class RowWriter {
  readonly #columns: readonly StoredColumn[];
  readonly #dictionary: KeyIndex;
  #slab: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#slab.buffer);
  #used = 0;
  /** Per dictionary code: its number in the column at hand, where `#walkOf` says that it was met in this walk. */
  #numberOf: Int32Array = new Int32Array(1024);
  #walkOf: Int32Array = new Int32Array(1024);
  #walk = 0;
  /** The codes of the column at hand, in order of appearance. */
  #codes: Int32Array = new Int32Array(64);

  constructor(columns: readonly StoredColumn[], dictionary: KeyIndex) {
    this.#columns = columns;
    this.#dictionary = dictionary;
  }

  /** The slot's rows as bytes; it must have some. */
  write(store: RowStore, slot: number): Uint8Array {
    const rows = store.count(slot);
    const chunk = store.chunk(slot);
    const start = store.start(slot);
    const stride = store.stride(slot);
    assert(rows > 0, 'a key without rows is deleted, not written');
    this.#reserve(rows);
    const from = this.#used;
    this.#view.setUint8(from, formatVersion);
    this.#view.setUint8(from + 1, this.#columns.length);
    this.#view.setUint16(from + 2, 0);
    this.#view.setUint32(from + 4, rows, true);
    this.#used += headerBytes;
    this.#writeDoubles(chunk, start, rows);
    this.#columns.forEach(({ form }, column) => {
      const at = start + (1 + column) * stride;
      if (form === 'number') this.#writeDoubles(chunk, at, rows);
      else this.#writeCodes(chunk, at, rows);
    });
    return this.#slab.subarray(from, this.#used);
  }

  #writeDoubles(chunk: Float64Array, at: number, count: number): void {
    this.#slab.set(new Uint8Array(chunk.buffer, chunk.byteOffset + at * 8, count * 8), this.#used);
    this.#used += count * 8;
  }

  #writeCodes(chunk: Float64Array, at: number, rows: number): void {
    const dictionary = this.#dictionary;
    const view = this.#view;
    const walk = ++this.#walk;
    let texts = 0;
    for (let row = 0; row < rows; row++) {
      const code = chunk[at + row] ?? NaN;
      let number = -1;
      if (code === code) {
        if (this.#walkOf[code] !== walk) {
          this.#walkOf[code] = walk;
          this.#numberOf[code] = texts;
          this.#codes[texts++] = code;
        }
        number = this.#numberOf[code] ?? 0;
      }
      view.setInt32(this.#used + row * 4, number, true);
    }
    this.#used += rows * 4;
    view.setUint32(this.#used, texts, true);
    this.#used += 4;
    for (let i = 0; i < texts; i++) {
      const code = this.#codes[i] ?? 0;
      const size = dictionary.keySize(code);
      view.setUint32(this.#used, size, true);
      dictionary.copyKey(code, this.#slab, this.#used + 4);
      this.#used += 4 + size;
    }
  }

  /** Makes room for the most that so many rows can take. */
  #reserve(rows: number): void {
    const { slotLimit, longestKey } = this.#dictionary;
    const longestRow = this.#columns.reduce((sum, { form }) => sum + (form === 'number' ? 8 : 8 + longestKey), 8);
    const bytes = headerBytes + 4 * this.#columns.length + rows * longestRow;
    if (this.#used + bytes > this.#slab.length) {
      this.#slab = new Uint8Array(Math.max(slabBytes, bytes));
      this.#view = new DataView(this.#slab.buffer);
      this.#used = 0;
    }
    if (slotLimit > this.#walkOf.length) {
      this.#walkOf = new Int32Array(slotLimit * 2);
      this.#numberOf = new Int32Array(slotLimit * 2);
    }
    if (rows > this.#codes.length) this.#codes = new Int32Array(rows * 2);
  }
}
