import { messageKey, messageValue, type MessageBatch } from '../../record/message-batch.ts';
import type { Storage } from '../storage.ts';

/** A message as a test compares it. */
export interface MessageText {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
}

const decoder = new TextDecoder();

/** The messages of a batch as plain objects. */
export function messageTexts(batch: MessageBatch): readonly MessageText[] {
  return Array.from({ length: batch.messageCount }, (_, index) => ({
    partition: batch.partitions[index] ?? -1,
    offset: batch.offsets[index] ?? -1,
    key: decoder.decode(messageKey(batch, index)),
    value: decoder.decode(messageValue(batch, index)),
  }));
}

/** Everything that a topic holds, partition by partition. */
export function topicTexts(storage: Storage, topicName: string): readonly MessageText[] {
  storage.environment.refresh();
  const topic = storage.topic(topicName);
  const texts: MessageText[] = [];
  for (const { partition, startOffset, endOffset } of storage.log.ranges(topic)) {
    for (let offset = startOffset; offset < endOffset;) {
      const batch = storage.log.read(topic, [{ partition, offset, maxRecords: endOffset - offset }], 1_000_000);
      if (batch === null) break;
      texts.push(...messageTexts(batch));
      offset += batch.messageCount;
    }
  }
  return texts;
}
