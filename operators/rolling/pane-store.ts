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
  /** How many records the sealed panes of each slot have that end later than `#countedFromMs`; NaN there where it has to be counted anew. */
  #sealedCount: Float64Array = new Float64Array(1024);
  #countedFromMs: Float64Array = new Float64Array(1024).fill(NaN);

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

  /** No record is newer; `-Infinity` without any. Where keys are compacted, also up to where this one has been, which must not be forgotten while a record may lie before it. */
  newestMs(slot: number): number {
    const newestMs = Math.max(this.rows.newestTimeMs(slot), this.panes.newestTimeMs(slot));
    return this.#layout.rule.aboveRecords === undefined ? newestMs : Math.max(newestMs, this.sealedToMs(slot));
  }

  /** How many records the slot has that are later than `horizonMs`, a pane's end. */
  recordsAfter(slot: number, horizonMs: number): number {
    const { rows, panes } = this;
    let records = 0;
    if (rows.count(slot) > 0) {
      const start = rows.start(slot);
      records = start + rows.count(slot) - firstAfter(rows.chunk(slot), start, start + rows.count(slot), horizonMs);
    }
    // The rows of a pane that is not sealed are all there.
    if (panes.count(slot) === 0 || this.sealedToMs(slot) === -Infinity) return records;
    if (this.#countedFromMs[slot] !== horizonMs) this.#countSealed(slot, horizonMs);
    return records + (this.#sealedCount[slot] ?? 0);
  }

  /** Takes a record in. @param values its stored columns; NaN is null. */
  insert(slot: number, eventTimeMs: number, values: Float64Array): void {
    const endMs = paneEndMs(eventTimeMs, this.#layout.rule.sizeMs);
    const pane = this.#find(slot, endMs);
    if (pane >= 0) {
      addToPane(this.panes.chunk(slot), pane, this.panes.stride(slot), this.#layout.parts, eventTimeMs, values);
      if (endMs <= this.sealedToMs(slot)) {
        this.#countedFromMs[slot] = NaN;
        return;
      }
    }
    const { rows } = this;
    const position = rows.insert(slot, eventTimeMs);
    const chunk = rows.chunk(slot);
    const own = rows.start(slot) + position;
    const stride = rows.stride(slot);
    for (let column = 0; column < values.length; column++) chunk[own + (1 + column) * stride] = values[column] ?? NaN;
    if (pane >= 0 || rows.count(slot) <= this.#layout.looseRows || !this.#isPaned(slot)) return;
    const start = rows.start(slot);
    const from = firstAfter(chunk, start, own, endMs - this.#layout.rule.sizeMs) - start;
    const to = firstAfter(chunk, own + 1, start + rows.count(slot), endMs) - start;
    if (to - from <= this.#layout.looseRows) return;
    this.#makePane(slot, endMs, from, to);
    if (endMs > this.sealedToMs(slot)) return;
    rows.removeRange(slot, from, to);
    this.#countedFromMs[slot] = NaN;
  }

  /** Says that no window of a record to come ends within a pane up to `toMs`, a pane's end: what is in panes there is kept in them alone. */
  seal(slot: number, toMs: number): void {
    const sealedToMs = this.sealedToMs(slot);
    if (toMs <= sealedToMs) return;
    if (slot >= this.#sealedToMs.length) this.#grow(slot);
    this.#sealedToMs[slot] = toMs;
    this.#countedFromMs[slot] = NaN;
    const { rows } = this;
    if (rows.count(slot) === 0) return;
    const times = rows.chunk(slot);
    const start = rows.start(slot);
    const first = firstAfter(times, start, start + rows.count(slot), sealedToMs) - start;
    const end = firstAfter(times, start + first, start + rows.count(slot), toMs) - start;
    this.#makePanes(slot, first, end);
    this.#dropRows(slot, first, end);
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
    this.#countedFromMs[slot] = NaN;
  }

  /** Forgets the slot's records. */
  clear(slot: number): void {
    this.rows.clear(slot);
    this.panes.clear(slot);
    if (slot >= this.#sealedToMs.length) return;
    this.#sealedToMs[slot] = -Infinity;
    this.#countedFromMs[slot] = NaN;
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

  /** Whether panes are made of the slot's records: of all, or once it has been compacted. */
  #isPaned(slot: number): boolean {
    return this.#layout.rule.aboveRecords === undefined || this.sealedToMs(slot) > -Infinity;
  }

  /** Makes the panes that the rows at `[first, end)` have enough records for, oldest first, so that each is put at the end. */
  #makePanes(slot: number, first: number, end: number): void {
    for (let from = first; from < end;) {
      const { endMs, to } = this.#paneAt(slot, from, end);
      if (to - from > this.#layout.looseRows && this.#find(slot, endMs) < 0) this.#makePane(slot, endMs, from, to);
      from = to;
    }
  }

  /** Takes out the rows at `[first, end)` that are in panes, newest first, so that what is left keeps its position. */
  #dropRows(slot: number, first: number, end: number): void {
    const dropped: [from: number, to: number][] = [];
    for (let from = first; from < end;) {
      const { endMs, to } = this.#paneAt(slot, from, end);
      const last = dropped.at(-1);
      const isPane = this.#find(slot, endMs) >= 0;
      if (isPane && last?.[1] === from) last[1] = to;
      else if (isPane) dropped.push([from, to]);
      from = to;
    }
    for (const [from, to] of dropped.toReversed()) this.rows.removeRange(slot, from, to);
  }

  /** The pane that the row at `from` lies in, and where its rows end. */
  #paneAt(slot: number, from: number, end: number): { readonly endMs: number; readonly to: number } {
    const times = this.rows.chunk(slot);
    const start = this.rows.start(slot);
    const endMs = paneEndMs(times[start + from] ?? 0, this.#layout.rule.sizeMs);
    return { endMs, to: firstAfter(times, start + from + 1, start + end, endMs) - start };
  }

  #countSealed(slot: number, horizonMs: number): void {
    const { panes } = this;
    const ends = panes.chunk(slot);
    const start = panes.start(slot);
    const first = firstAfter(ends, start, start + panes.count(slot), horizonMs);
    const end = firstAfter(ends, first, start + panes.count(slot), this.sealedToMs(slot));
    const counts = (1 + (this.#layout.parts[0]?.count ?? 0)) * panes.stride(slot);
    let records = 0;
    for (let pane = first; pane < end; pane++) records += ends[pane + counts] ?? 0;
    this.#sealedCount[slot] = records;
    this.#countedFromMs[slot] = horizonMs;
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
    const size = Math.max(this.#sealedToMs.length * 2, slot + 1);
    const grow = (old: Float64Array, filler: number): Float64Array => {
      const grown = new Float64Array(size).fill(filler);
      grown.set(old);
      return grown;
    };
    this.#sealedToMs = grow(this.#sealedToMs, -Infinity);
    this.#sealedCount = grow(this.#sealedCount, 0);
    this.#countedFromMs = grow(this.#countedFromMs, NaN);
  }
}
