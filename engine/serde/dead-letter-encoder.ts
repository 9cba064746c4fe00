import type { DeadLetter } from '../record/dead-letter.ts';
import { utf8ColumnOf } from '../record/column.ts';
import type { MessageBatch } from '../record/message-batch.ts';

/** Kafka's "no timestamp": the log that takes the message stamps it. */
const NO_TIMESTAMP = -1;

/**
 * The messages of the dead-letter topic: JSON objects `{"topic", "partition", "offset", "stage", "code", "message", "value"}`, in which `value` is the
 * original bytes in base64 (`null` where there were none), so that whatever could not be decoded can be sent again unchanged. Called by the batch
 * loop, once a batch that has dead letters, in whose commit they go out.
 *
 * The key is `topic/partition/offset` of the bad record, so that one record's letters can be found and, in a compacted topic, are one. Letters of one
 * source partition stay together and in order: they go to that partition, modulo the dead-letter topic's count. They carry no clock's reading, and so are the same
 * after every replay; their timestamp is -1, which leaves it to the log that takes them.
 */
export function encodeDeadLetters(topic: string, letters: readonly DeadLetter[], partitionCount: number): MessageBatch {
  const keys = letters.map((letter) => `${letter.topic}/${letter.partition}/${letter.offset}`);
  const values = letters.map((letter) =>
    JSON.stringify({
      topic: letter.topic,
      partition: letter.partition,
      offset: letter.offset,
      stage: letter.stage,
      code: letter.code,
      message: letter.message,
      value: letter.value === null ? null : Buffer.from(letter.value).toString('base64'),
    }),
  );
  return {
    topic,
    messageCount: letters.length,
    partitions: Int32Array.from(letters, (letter) => letter.partition % partitionCount),
    offsets: new Float64Array(letters.length),
    timestampsMs: new Float64Array(letters.length).fill(NO_TIMESTAMP),
    keys: utf8ColumnOf(keys),
    values: utf8ColumnOf(values),
  };
}
