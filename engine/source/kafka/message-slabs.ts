import type { Message } from '@confluentinc/kafka-javascript';
import type { ByteSlab } from '../../record/column.ts';
import type { MessageBatch } from '../../record/message-batch.ts';

const noBytes = Buffer.alloc(0);

function bytesOf(value: Message['key'] | Message['value']): Buffer {
  if (value === null || value === undefined) return noBytes;
  return typeof value === 'string' ? Buffer.from(value) : value;
}

function slabOf(parts: readonly Buffer[]): ByteSlab {
  const offsets = new Int32Array(parts.length + 1);
  let end = 0;
  for (let i = 0; i < parts.length; i++) {
    end += parts[i]?.length ?? 0;
    offsets[i + 1] = end;
  }
  const data = new Uint8Array(end);
  for (let i = 0; i < parts.length; i++) data.set(parts[i] ?? noBytes, offsets[i]);
  return { data, offsets };
}

/** The client's messages as slabs: from here on a batch costs a handful of allocations, and the client's objects may go. A missing value is an empty one. */
export function messageBatchOf(topic: string, messages: readonly Message[]): MessageBatch {
  return {
    topic,
    messageCount: messages.length,
    partitions: Int32Array.from(messages, ({ partition }) => partition),
    offsets: Float64Array.from(messages, ({ offset }) => offset),
    timestampsMs: Float64Array.from(messages, ({ timestamp }) => timestamp ?? -1),
    keys: slabOf(messages.map(({ key }) => bytesOf(key))),
    values: slabOf(messages.map(({ value }) => bytesOf(value))),
  };
}
