import type { DeadLetter } from '../record/dead-letter.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';

/**
 * What became of one batch of messages. Each message is in exactly one of the two, so
 * `records.rowCount + deadLetters.length === messages.messageCount` (semantics, "The ledger").
 */
export interface Decoded {
  /** The messages that decoded, in the order in which they came, with their positions and event times; no watermark yet, no flags. */
  readonly records: RecordBatch;
  /** The others, in the order in which they came. Their `value` is a view on the message's slab. */
  readonly deadLetters: readonly DeadLetter[];
}

/** What every decoder must be told of the records. */
export interface DecoderOptions {
  /** The fields to decode; whatever else a message holds is checked for form and skipped. */
  readonly schema: Schema;
  /** The `timestamp` field that is the event time. A record without it is a dead letter, whatever its presence in the schema. */
  readonly eventTimeField: string;
  /** Fields that key the topic or an operator. A record in which one is missing or null is a dead letter, whatever its presence. */
  readonly keyFields: readonly string[];
}

/**
 * Turns messages into records: ② on a record's way. Called by the batch loop, one call at a time:
 *
 *   `prepare(messages)` → (awaited, unless null) → `decode(messages)` → the next batch
 *
 * Decoding is a function of the messages' bytes alone (and, for Avro, of the immutable schemas that their ids name), so that a replay decodes
 * the same. A bad message never throws: it is a {@link DeadLetter} with stage `event-time` or `key` when that field was at fault, else `decode`, and
 * one of these codes; the first field at fault, in the schema's order, is the one that is told.
 *
 * | code | |
 * |---|---|
 * | `JSON_MALFORMED`, `AVRO_MALFORMED` | the bytes are not of that format, or text in them is not UTF-8 |
 * | `JSON_NOT_OBJECT` | the bytes are JSON, but not an object |
 * | `JSON_TOO_DEEP`, `AVRO_TOO_DEEP` | something to be skipped nests deeper than the decoder's bound |
 * | `SCHEMA_ID_MISSING`, `SCHEMA_UNKNOWN`, `SCHEMA_INCOMPATIBLE` | the framing names no schema, one the registry has not, or one whose records do not give ours |
 * | `FIELD_MISSING` | a required field is absent or null |
 * | `FIELD_TYPE` | a field holds something else than its type |
 * | `NUMBER_NOT_FINITE` | a number is NaN, infinite, or too large for a double |
 * | `LONG_UNSAFE` | a whole number is at or beyond 2^53, where doubles have gaps; declare it `string` to keep its digits |
 * | `DECIMAL_UNSAFE` | the same of an Avro decimal's unscaled number |
 * | `TEXT_INVALID` | a string holds an unpaired surrogate, which UTF-8 cannot carry |
 */
export interface Decoder {
  /**
   * Fetches what decoding these messages needs and is not in the process yet: writers' schemas.
   *
   * @returns `null` when nothing is needed, which is every time for JSON and all but the first few for Avro, so that the loop need not await.
   * @throws {SluiceError} (by rejection) `REGISTRY_UNAVAILABLE`, transient: the caller waits and prepares the same batch again.
   */
  prepare(messages: MessageBatch): Promise<void> | null;
  /** Decodes a prepared batch. What it returns shares no memory with later batches. */
  decode(messages: MessageBatch): Decoded;
}
