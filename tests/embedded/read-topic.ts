import { messageValue } from '../../engine/record/message-batch.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import type { Storage } from '../../engine/storage/storage.ts';

/** Every message of a topic of the embedded log, by partition, in order. */
export async function readTopic(storage: Storage, topic: string): Promise<readonly (readonly Uint8Array[])[]> {
  const source = new EmbeddedTopicSource(storage, topic);
  const ranges = await source.ranges();
  await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
  const partitions = ranges.map((): Uint8Array[] => []);
  for (let left = ranges.reduce((sum, range) => sum + range.endOffset, 0); left > 0;) {
    const polled = await source.poll({ maxRecords: 10_000, maxWaitMs: 1_000 });
    if (polled?.kind !== 'messages') throw new Error('the topic ends before its end');
    const { messages } = polled;
    for (let i = 0; i < messages.messageCount; i++) {
      partitions[messages.partitions[i] ?? 0]?.push(Uint8Array.from(messageValue(messages, i)));
    }
    left -= messages.messageCount;
  }
  return partitions;
}
