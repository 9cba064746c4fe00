import type { PaneStore } from './pane-store.ts';
import { firstAfter } from './windows.ts';

const rowSegment = 0;
/** The kind of a segment that is of panes; others are of rows. */
export const paneSegment = 1;

/**
 * What some nested windows of one key cover, as stretches of its rows and of its panes, newest first; of the panes between which they begin and end, and of rows where there are
 * none:
 *
 *     panes   (··40 ··](········](··22 ··](··31 ··]
 *     rows               ·  ·   |||||||||||||||||||·
 *     window  (───────────────────────────────]               rows of the newest pane, the pane of 22, two rows, the pane of 40
 *
 * One object is used for all records: {@link find} fills it, and aggregators read it.
 */
export class PaneWalk {
  readonly #store: PaneStore;
  readonly #sizeMs: number;
  /** How many segments the windows up to each have. */
  readonly ends: Int32Array;
  /** Of each segment: what it is of, and the indices `[from, to)` in that chunk. */
  kinds: Uint8Array = new Uint8Array(64);
  froms: Int32Array = new Int32Array(64);
  tos: Int32Array = new Int32Array(64);
  rows: Float64Array = new Float64Array(0);
  rowStride = 0;
  panes: Float64Array = new Float64Array(0);
  paneStride = 0;
  #size = 0;
  /** The first segment of the window at hand. */
  #windowFrom = 0;

  /** @param windows how many windows there are at most. */
  constructor(store: PaneStore, sizeMs: number, windows: number) {
    this.#store = store;
    this.#sizeMs = sizeMs;
    this.ends = new Int32Array(windows);
  }

  /**
   * Finds what the windows `(lowsMs[w], highMs]` cover.
   *
   * @param highMs not within a sealed pane.
   * @param lowsMs descending; those before `sealedTo` are starts of panes.
   */
  find(slot: number, highMs: number, lowsMs: Float64Array, windows: number): void {
    const { rows: rowStore, panes: paneStore } = this.#store;
    const sealedToMs = this.#store.sealedToMs(slot);
    const sizeMs = this.#sizeMs;
    const rowCount = rowStore.count(slot);
    const paneCount = paneStore.count(slot);
    if (rowCount > 0) this.rows = rowStore.chunk(slot);
    if (paneCount > 0) this.panes = paneStore.chunk(slot);
    const { rows, panes } = this;
    this.rowStride = rowStore.stride(slot);
    this.paneStride = paneStore.stride(slot);
    const firstRow = rowStore.start(slot);
    const firstPane = paneStore.start(slot);
    let row = firstAfter(rows, firstRow, firstRow + rowCount, highMs);
    let pane = firstAfter(panes, firstPane, firstPane + paneCount, highMs);
    if (pane < firstPane + paneCount && (panes[pane] ?? 0) - sizeMs < highMs) {
      // The windows end within this pane. It is theirs as a whole unless it has a later row.
      const isSplit = row < firstRow + rowCount && (rows[row] ?? 0) <= (panes[pane] ?? 0);
      if (!isSplit) pane++;
    }
    this.#size = 0;
    for (let w = 0; w < windows; w++) {
      this.#windowFrom = this.#size;
      const lowMs = lowsMs[w] ?? 0;
      const openMs = Math.max(lowMs, sealedToMs);
      for (;;) {
        const rowMs = row > firstRow ? (rows[row - 1] ?? 0) : -Infinity;
        const endMs = pane > firstPane ? (panes[pane - 1] ?? 0) : -Infinity;
        if (rowMs <= openMs && endMs <= openMs) break;
        if (endMs < rowMs) {
          const from = firstAfter(rows, firstRow, row, Math.max(openMs, endMs));
          this.#push(rowSegment, from, row);
          row = from;
        } else if (endMs - sizeMs >= lowMs) {
          pane--;
          this.#push(paneSegment, pane, pane + 1);
          row = firstAfter(rows, firstRow, row, endMs - sizeMs);
        } else {
          // The window begins within the pane, whose rows are all there.
          pane--;
          const from = firstAfter(rows, firstRow, row, lowMs);
          this.#push(rowSegment, from, row);
          row = from;
        }
      }
      if (lowMs < sealedToMs) {
        const fromRow = firstAfter(rows, firstRow, row, lowMs);
        this.#push(rowSegment, fromRow, row);
        row = fromRow;
        const fromPane = firstAfter(panes, firstPane, pane, lowMs);
        this.#push(paneSegment, fromPane, pane);
        pane = fromPane;
      }
      this.ends[w] = this.#size;
    }
  }

  #push(kind: number, from: number, to: number): void {
    if (from === to) return;
    const last = this.#size - 1;
    if (last >= this.#windowFrom && this.kinds[last] === kind && this.froms[last] === to) {
      this.froms[last] = from;
      return;
    }
    if (this.#size === this.kinds.length) this.#grow();
    this.kinds[this.#size] = kind;
    this.froms[this.#size] = from;
    this.tos[this.#size] = to;
    this.#size++;
  }

  #grow(): void {
    const length = this.kinds.length * 2;
    const kinds = new Uint8Array(length);
    kinds.set(this.kinds);
    const froms = new Int32Array(length);
    froms.set(this.froms);
    const tos = new Int32Array(length);
    tos.set(this.tos);
    [this.kinds, this.froms, this.tos] = [kinds, froms, tos];
  }
}
