import type { MessageBatch } from '../record/message-batch.ts';
import type { PartitionOffset, PartitionRange, PollBounds, Polled, Source } from '../source/source.ts';

/** One message of a memory topic, by value. */
export interface MemoryMessage {
  readonly key: string;
  readonly value: string;
  readonly timestampMs: number;
}

/** A reader of a topic that lies in memory. Made by `MemoryBroker.source`, once for each run of a query. */
export class MemorySource implements Source {
  readonly name: string;
  readonly #topic: string;
  readonly #read: () => readonly (readonly MemoryMessage[])[];
  #next = new Map<number, number>();

  /** @param read the topic's messages by partition, as they are when it is called. */
  constructor(topic: string, read: () => readonly (readonly MemoryMessage[])[]) {
    this.name = `memory topic ${topic}`;
    this.#topic = topic;
    this.#read = read;
  }

  ranges(): Promise<readonly PartitionRange[]> {
    const partitions = this.#read();
    return Promise.resolve(
      partitions.map((messages, partition) => ({ partition, startOffset: 0, endOffset: messages.length })),
    );
  }

  seek(offsets: readonly PartitionOffset[]): Promise<void> {
    this.#next = new Map(offsets.map(({ partition, offset }) => [partition, offset]));
    return Promise.resolve();
  }

  async poll({ maxRecords, paused }: PollBounds): Promise<Polled | null> {
    // One turn of the event loop, as a real poll takes, so that an empty topic does not starve everything else.
    await new Promise((resolve) => setImmediate(resolve));
    const picked: { partition: number; offset: number; message: MemoryMessage }[] = [];
    for (const [partition, from] of this.#next) {
      if (paused?.has(partition) === true) continue;
      const messages = (this.#read()[partition] ?? []).slice(from, from + maxRecords - picked.length);
      messages.forEach((message, index) => picked.push({ partition, offset: from + index, message }));
      this.#next.set(partition, from + messages.length);
    }
    return picked.length === 0 ? null : { kind: 'messages', messages: batchOf(this.#topic, picked) };
  }

  /** Holds nothing that must be closed. */
  async [Symbol.asyncDispose](): Promise<void> {}
}

function batchOf(
  topic: string,
  picked: readonly { partition: number; offset: number; message: MemoryMessage }[],
): MessageBatch {
  const slab = (texts: readonly string[]): { data: Uint8Array; offsets: Int32Array } => {
    const parts = texts.map((text) => Buffer.from(text));
    const offsets = new Int32Array(parts.length + 1);
    parts.forEach((part, index) => (offsets[index + 1] = (offsets[index] ?? 0) + part.length));
    return { data: Uint8Array.from(Buffer.concat(parts)), offsets };
  };
  return {
    topic,
    messageCount: picked.length,
    partitions: Int32Array.from(picked, ({ partition }) => partition),
    offsets: Float64Array.from(picked, ({ offset }) => offset),
    timestampsMs: Float64Array.from(picked, ({ message }) => message.timestampMs),
    keys: slab(picked.map(({ message }) => message.key)),
    values: slab(picked.map(({ message }) => message.value)),
  };
}
