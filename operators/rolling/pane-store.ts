import { addToPane, clearPane } from './pane-update.ts';
import type { PaneLayout } from './pane-layout.ts';
import { paneEndMs } from './pane-times.ts';
import { RowStore } from './row-store.ts';
import { firstAfter } from './windows.ts';

/**
 * The records of every key, in panes and one by one:
 *
 *     panes   (········](··15 ··](··40 ··](········](··22 ··](··31 ··]          how many records each has
 *     rows      · ·                          ·  ·   |||||||||||||||||||·        of panes with few records, and of all behind `sealedTo`
 *                                        sealedTo ▲
 *
 * A pane is made when it has more records than {@link PaneLayout.looseRows}; from then on it has all of them. Its rows are kept, too, until it is *sealed*: then no window ends within it any
 * more. So a key with few records costs what their rows cost, a key with millions what its panes cost, and no answer depends on which it is.
 */
export class PaneStore {
  /** Records one by one, in order of (event time, arrival). */
  readonly rows: RowStore;
  /** By their ends, which stand where a row has its event time. */
  readonly panes: RowStore;
  readonly #layout: PaneLayout;
  /** The values of the row at hand. */
  readonly #values: Float64Array;
  #sealedToMs: Float64Array = new Float64Array(1024).fill(-Infinity);

  constructor(layout: PaneLayout) {
    this.#layout = layout;
    this.rows = new RowStore(layout.rolling.columns.length);
    this.panes = new RowStore(layout.paneColumns);
    this.#values = new Float64Array(layout.rolling.columns.length);
  }

  /** Bytes of the regions that slots have. */
  get heldBytes(): number {
    return this.rows.heldBytes + this.panes.heldBytes;
  }

  /** The end of the newest pane that is sealed, and all before it are; `-Infinity` without any. */
  sealedToMs(slot: number): number {
    return this.#sealedToMs[slot] ?? -Infinity;
  }

  /** Whether the slot has no records. */
  isEmpty(slot: number): boolean {
    return this.rows.count(slot) === 0 && this.panes.count(slot) === 0;
  }

  /** No record is newer; `-Infinity` without any. */
  newestMs(slot: number): number {
    return Math.max(this.rows.newestTimeMs(slot), this.panes.newestTimeMs(slot));
  }

  /** Takes a record in. @param values its stored columns; NaN is null. */
  insert(slot: number, eventTimeMs: number, values: Float64Array): void {
    const endMs = paneEndMs(eventTimeMs, this.#layout.rule.sizeMs);
    const pane = this.#find(slot, endMs);
    if (pane >= 0) {
      addToPane(this.panes.chunk(slot), pane, this.panes.stride(slot), this.#layout.parts, eventTimeMs, values);
      if (endMs <= this.sealedToMs(slot)) return;
    }
    const { rows } = this;
    const position = rows.insert(slot, eventTimeMs);
    const chunk = rows.chunk(slot);
    const own = rows.start(slot) + position;
    const stride = rows.stride(slot);
    for (let column = 0; column < values.length; column++) chunk[own + (1 + column) * stride] = values[column] ?? NaN;
    if (pane >= 0 || rows.count(slot) <= this.#layout.looseRows) return;
    const start = rows.start(slot);
    const from = firstAfter(chunk, start, own, endMs - this.#layout.rule.sizeMs) - start;
    const to = firstAfter(chunk, own + 1, start + rows.count(slot), endMs) - start;
    if (to - from <= this.#layout.looseRows) return;
    this.#makePane(slot, endMs, from, to);
    if (endMs <= this.sealedToMs(slot)) rows.removeRange(slot, from, to);
  }

  /** Says that no window of a record to come ends within a pane up to `toMs`, a pane's end: what is in panes there is kept in them alone. */
  seal(slot: number, toMs: number): void {
    const sealedToMs = this.sealedToMs(slot);
    if (toMs <= sealedToMs) return;
    if (slot >= this.#sealedToMs.length) this.#grow(slot);
    this.#sealedToMs[slot] = toMs;
    const { rows, panes } = this;
    if (panes.count(slot) === 0) return;
    const ends = panes.chunk(slot);
    const start = panes.start(slot);
    const first = firstAfter(ends, start, start + panes.count(slot), sealedToMs);
    let pane = firstAfter(ends, first, start + panes.count(slot), toMs);
    // From the newest on, so that what is left keeps its position.
    while (--pane >= first && rows.count(slot) > 0) {
      const endMs = ends[pane] ?? 0;
      const times = rows.chunk(slot);
      const base = rows.start(slot);
      const to = firstAfter(times, base, base + rows.count(slot), endMs);
      const from = firstAfter(times, base, to, endMs - this.#layout.rule.sizeMs);
      rows.removeRange(slot, from - base, to - base);
    }
  }

  /** Evicts what is not newer than `horizonMs`, a pane's end. */
  trim(slot: number, horizonMs: number): void {
    this.rows.trim(slot, horizonMs);
    this.panes.trim(slot, horizonMs);
  }

  /** Makes room for what is stored of a key, which the caller then fills in. */
  reserve(slot: number, rowCount: number, paneCount: number, sealedToMs: number): void {
    this.clear(slot);
    if (rowCount > 0) this.rows.reserve(slot, rowCount);
    if (paneCount > 0) this.panes.reserve(slot, paneCount);
    if (slot >= this.#sealedToMs.length) this.#grow(slot);
    this.#sealedToMs[slot] = sealedToMs;
  }

  /** Forgets the slot's records. */
  clear(slot: number): void {
    this.rows.clear(slot);
    this.panes.clear(slot);
    if (slot < this.#sealedToMs.length) this.#sealedToMs[slot] = -Infinity;
  }

  /** Where the pane of this end stands in `panes.chunk`; -1 where there is none. */
  #find(slot: number, endMs: number): number {
    const count = this.panes.count(slot);
    if (count === 0) return -1;
    const ends = this.panes.chunk(slot);
    const start = this.panes.start(slot);
    const newest = start + count - 1;
    if (ends[newest] === endMs) return newest;
    const at = firstAfter(ends, start, newest, endMs) - 1;
    return at >= start && ends[at] === endMs ? at : -1;
  }

  #makePane(slot: number, endMs: number, from: number, to: number): void {
    const { rows, panes } = this;
    const { parts } = this.#layout;
    const at = panes.insert(slot, endMs) + panes.start(slot);
    const chunk = panes.chunk(slot);
    const stride = panes.stride(slot);
    clearPane(chunk, at, stride, parts);
    const source = rows.chunk(slot);
    const start = rows.start(slot);
    const values = this.#values;
    for (let row = start + from; row < start + to; row++) {
      for (let column = 0; column < values.length; column++) {
        values[column] = source[row + (1 + column) * rows.stride(slot)] ?? NaN;
      }
      addToPane(chunk, at, stride, parts, source[row] ?? 0, values);
    }
  }

  #grow(slot: number): void {
    const grown = new Float64Array(Math.max(this.#sealedToMs.length * 2, slot + 1)).fill(-Infinity);
    grown.set(this.#sealedToMs);
    this.#sealedToMs = grown;
  }
}
