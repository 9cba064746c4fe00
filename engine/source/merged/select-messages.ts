import type { ByteSlab } from '../../record/column.ts';
import type { MessageBatch } from '../../record/message-batch.ts';

/** The messages that `indexes` name, in that order, in slabs of their own. */
export function selectMessages(batch: MessageBatch, indexes: Int32Array): MessageBatch {
  return {
    topic: batch.topic,
    messageCount: indexes.length,
    partitions: indexes.map((index) => batch.partitions[index] ?? 0),
    offsets: Float64Array.from(indexes, (index) => batch.offsets[index] ?? 0),
    timestampsMs: Float64Array.from(indexes, (index) => batch.timestampsMs[index] ?? 0),
    keys: selectSlab(batch.keys, indexes),
    values: selectSlab(batch.values, indexes),
  };
}

function selectSlab({ data, offsets }: ByteSlab, indexes: Int32Array): ByteSlab {
  const ends = new Int32Array(indexes.length + 1);
  indexes.forEach((index, at) => {
    ends[at + 1] = (ends[at] ?? 0) + (offsets[index + 1] ?? 0) - (offsets[index] ?? 0);
  });
  const selected = new Uint8Array(ends[indexes.length] ?? 0);
  indexes.forEach((index, at) => selected.set(data.subarray(offsets[index], offsets[index + 1]), ends[at]));
  return { data: selected, offsets: ends };
}
