/**
 * The rows of one key that a batch of windows covers, as the aggregates' loops see them. All indices are into `chunk`.
 *
 *     time   t−D−R₂        t−D−R₁          t−D        t
 *     rows ···(───────────────(──────────────]·········e
 *              lows[1]         lows[0]       high
 *
 * Window `w` covers the rows `[lows[w], high)`; windows of one reading differ in length only and come in ascending order of it, so each
 * contains the one before. The value of row `i` is `chunk[i + columnOffset]`; NaN is null.
 *
 * One object is reused for all records: the operator sets it before it calls the aggregates, and nobody keeps it.
 */
export interface WindowRows {
  chunk: Float64Array;
  high: number;
  readonly lows: Int32Array;
  /** The instant at which the windows end, `t − D`. */
  endMs: number;
  /** The record's own event time, `t`. */
  eventTimeMs: number;
}

/** The first index in `[from, to)` whose time is greater than `boundMs`; `to` if there is none. Times are ascending. */
export function firstAfter(times: Float64Array, from: number, to: number, boundMs: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? 0) > boundMs) high = middle;
    else low = middle + 1;
  }
  return low;
}
