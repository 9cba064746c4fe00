import type { DeadLetter } from '../record/dead-letter.ts';
import { utf8ColumnOf, type ByteSlab } from '../record/column.ts';
import type { MessageBatch } from '../record/message-batch.ts';

/** Kafka's "no timestamp": the log that takes the message stamps it. */
const NO_TIMESTAMP = -1;

/** Turns a batch's dead letters into the messages of one topic, all at once. Called by the batch loop once a batch that has some, in whose commit they go out. */
export type DeadLetterEncoder = (letters: readonly DeadLetter[]) => MessageBatch;

/** A dead letter as its message has it: the original bytes in base64, `null` where there were none, so that they can be sent again unchanged. */
export function writtenLetter(letter: DeadLetter): Readonly<Record<keyof DeadLetter, string | number | null>> {
  const { topic, partition, offset, stage, code, message, value } = letter;
  const base64 = value === null ? null : Buffer.from(value).toString('base64');
  return { topic, partition, offset, stage, code, message, value: base64 };
}

/**
 * The messages of the dead-letter topic in JSON: objects `{"topic", "partition", "offset", "stage", "code", "message", "value"}` (`schemas/dead-letter.schema.json`).
 */
export function encodeDeadLetters(topic: string, letters: readonly DeadLetter[], partitionCount: number): MessageBatch {
  const values = utf8ColumnOf(letters.map((letter) => JSON.stringify(writtenLetter(letter))));
  return deadLetterMessages(topic, letters, partitionCount, values);
}

/**
 * Messages of the dead-letter topic with these values, in whatever format.
 *
 * The key is `topic/partition/offset` of the bad record, so that one record's letters can be found and, in a compacted topic, are one. Letters of one
 * source partition stay together and in order: they go to that partition, modulo the dead-letter topic's count. They carry no clock's reading, and so are the same
 * after every replay; their timestamp is -1, which leaves it to the log that takes them.
 */
export function deadLetterMessages(
  topic: string,
  letters: readonly DeadLetter[],
  partitionCount: number,
  values: ByteSlab,
): MessageBatch {
  return {
    topic,
    messageCount: letters.length,
    partitions: Int32Array.from(letters, (letter) => letter.partition % partitionCount),
    offsets: new Float64Array(letters.length),
    timestampsMs: new Float64Array(letters.length).fill(NO_TIMESTAMP),
    keys: utf8ColumnOf(letters.map((letter) => `${letter.topic}/${letter.partition}/${letter.offset}`)),
    values,
  };
}
