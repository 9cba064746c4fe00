import type { DeadLetter } from '../record/dead-letter.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import type { AvroSchema } from './avro-schema.ts';
import { deadLetterMessages, writtenLetter, type DeadLetterEncoder } from './dead-letter-encoder.ts';
import { messagesOf } from './messages-of.ts';
import { FRAME_BYTES, writeFrame } from './wire-format.ts';

/**
 * Encodes dead letters as Avro in Confluent's framing, keyed and placed as those in JSON are. Bad records are few, so each is made an object and written by avsc.
 *
 * @param schema `schemas/dead-letter.avsc`, or a version of it.
 * @param schemaId the id under which it is registered.
 */
export function avroDeadLetterEncoder(
  topic: string,
  partitionCount: number,
  schema: AvroSchema,
  schemaId: number,
): DeadLetterEncoder {
  return (letters: readonly DeadLetter[]): MessageBatch => {
    const values = letters.map((letter) => {
      const record = schema.record.toBuffer(writtenLetter(letter));
      const value = new Uint8Array(FRAME_BYTES + record.length);
      value.set(record, writeFrame(value, 0, schemaId));
      return value;
    });
    return deadLetterMessages(topic, letters, partitionCount, messagesOf(topic, values).values);
  };
}
