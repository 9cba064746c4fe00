import type { AggregateValue } from '../aggregate/state-bytes.ts';

/** A key with its windows that are not over. */
export interface WindowKey {
  readonly slot: number;
  readonly bytes: Uint8Array;
  /** The key's columns, for results. */
  readonly values: readonly AggregateValue[];
  /** By start, ties by partition. */
  readonly windows: OpenWindow[];
}

/** A window of one key that holds state. Mutable: the logic owns it. */
export interface OpenWindow {
  readonly key: WindowKey;
  /** Whose watermark closes it; −1 for the query's. */
  readonly scope: number;
  startMs: number;
  endMs: number;
  /** How many records are in it. */
  records: number;
  /** One for each aggregate. */
  readonly states: unknown[];
  /** Whether it has given its result at its end. */
  phase: 'open' | 'fired';
  /** The watermark at which something has to be done with it; `Infinity` for never. */
  dueMs: number;
  /** Where it stands in the queue: at its due time, or at an earlier one that has moved since. */
  queuedMs: number;
  /** Whether it still is; a queue forgets the others. */
  isLive: boolean;
}

/** Results come out in this order: by the windows' end, then by their start, key and partition; nothing of it depends on memory. */
export function compareWindows(a: OpenWindow, b: OpenWindow): number {
  return a.endMs - b.endMs || a.startMs - b.startMs || Buffer.compare(a.key.bytes, b.key.bytes) || a.scope - b.scope;
}
