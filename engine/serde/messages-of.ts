import { utf8ColumnOf } from '../record/column.ts';
import type { MessageBatch } from '../record/message-batch.ts';

/**
 * A batch of messages without keys, at offsets 0, 1, 2 … of partition 0, from values that are bytes already or text. For tests, benchmarks and
 * friendly APIs; sources fill slabs themselves.
 */
export function messagesOf(topic: string, values: readonly (Uint8Array | string)[]): MessageBatch {
  const encoder = new TextEncoder();
  const parts = values.map((value) => (typeof value === 'string' ? encoder.encode(value) : value));
  const offsets = new Int32Array(values.length + 1);
  parts.forEach((part, index) => {
    offsets[index + 1] = (offsets[index] ?? 0) + part.length;
  });
  const data = new Uint8Array(offsets[values.length] ?? 0);
  parts.forEach((part, index) => data.set(part, offsets[index]));
  return {
    topic,
    messageCount: values.length,
    partitions: new Int32Array(values.length),
    offsets: Float64Array.from(values, (_, index) => index),
    timestampsMs: new Float64Array(values.length),
    keys: utf8ColumnOf(values.map(() => '')),
    values: { data, offsets },
  };
}
