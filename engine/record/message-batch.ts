import type { ByteSlab } from './column.ts';

/**
 * Undecoded messages of one topic, as a source read them: the form between ① source and ② serde, and the form in which outputs
 * leave ② serde for ⑦ commit. Keys and values are slabs, so that a batch costs a handful of allocations whatever its size.
 *
 * Message `i` came from `partitions[i]` at `offsets[i]`; `timestampsMs[i]` is the broker's timestamp. A message without a key
 * has an empty one. Messages of one partition are in offset order.
 */
export interface MessageBatch {
  readonly topic: string;
  readonly messageCount: number;
  readonly partitions: Int32Array;
  readonly offsets: Float64Array;
  readonly timestampsMs: Float64Array;
  readonly keys: ByteSlab;
  readonly values: ByteSlab;
}

/** The value of message `index`, as a view on the slab. */
export function messageValue(batch: MessageBatch, index: number): Uint8Array {
  return batch.values.data.subarray(batch.values.offsets[index], batch.values.offsets[index + 1]);
}

/** The key of message `index`, as a view on the slab; empty when it has none. */
export function messageKey(batch: MessageBatch, index: number): Uint8Array {
  return batch.keys.data.subarray(batch.keys.offsets[index], batch.keys.offsets[index + 1]);
}

/** Messages `[from, to)` of a batch, in slabs of their own. */
export function sliceMessages(batch: MessageBatch, from: number, to: number): MessageBatch {
  return {
    topic: batch.topic,
    messageCount: to - from,
    partitions: batch.partitions.slice(from, to),
    offsets: batch.offsets.slice(from, to),
    timestampsMs: batch.timestampsMs.slice(from, to),
    keys: sliceSlab(batch.keys, from, to),
    values: sliceSlab(batch.values, from, to),
  };
}

function sliceSlab({ data, offsets }: ByteSlab, from: number, to: number): ByteSlab {
  const start = offsets[from] ?? 0;
  return { data: data.slice(start, offsets[to]), offsets: offsets.slice(from, to + 1).map((offset) => offset - start) };
}
