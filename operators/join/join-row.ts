import type { AggregateValue } from '../aggregate/state-bytes.ts';

/** A value of a record that is kept. */
export type JoinValue = AggregateValue | null;

/** Which side of a join. */
export type Side = 'left' | 'right';

/** A key with the records of both sides that may still find partners, each side's by event time, ties by position. */
export interface JoinKey {
  /** In the store's index. */
  readonly slot: number;
  readonly bytes: Uint8Array;
  readonly values: readonly JoinValue[];
  readonly left: JoinRow[];
  readonly right: JoinRow[];
}

/** A record that is kept for partners that may come. */
export interface JoinRow {
  readonly key: JoinKey;
  readonly side: Side;
  readonly timeMs: number;
  readonly partition: number;
  readonly offset: number;
  readonly values: readonly JoinValue[];
  /** Whether it has had a partner. */
  isMatched: boolean;
  /** Whether the store has it: what came and went between two flushes needs no deletion. */
  isStored: boolean;
  /** Once the watermark is beyond this, no partner can come. */
  readonly expiresMs: number;
}

/** The order of a side's records: by event time, ties by position. */
export function compareRows(a: JoinRow, b: JoinRow): number {
  return a.timeMs - b.timeMs || a.partition - b.partition || a.offset - b.offset;
}

/** The order in which records leave: by when they are due; at once, left before right, by event time and position. It depends on nothing but the records. */
export function compareExpiry(a: JoinRow, b: JoinRow): number {
  return a.expiresMs - b.expiresMs || (a.side === b.side ? compareRows(a, b) : a.side === 'left' ? -1 : 1);
}

/** Where the first row stands that is not earlier than this; the rows' number where there is none. */
export function firstFrom(rows: readonly JoinRow[], timeMs: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle]?.timeMs ?? Infinity) < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
