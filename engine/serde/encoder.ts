import type { MessageBatch } from '../record/message-batch.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';
import type { Partitioner } from './partitioner.ts';

/** Where the value of an output field comes from. */
export type OutputValue =
  | { readonly kind: 'column'; readonly column: string }
  /** A string column whose texts are JSON already: written as they are. Avro carries lists of strings alone, as an array. */
  | { readonly kind: 'json'; readonly column: string }
  /** The record's own position in the source. */
  | { readonly kind: 'position'; readonly of: 'partition' | 'offset' }
  | { readonly kind: 'event-time' }
  /** Whether the record carries the flag, as a boolean. */
  | { readonly kind: 'flag'; readonly flag: 'late' | 'degraded' }
  /** The same in every record, and costing next to nothing: a model's name, its digest. */
  | { readonly kind: 'constant'; readonly value: string | number | boolean };

/** One field of the messages that go out. */
export interface OutputField {
  /** `features.amount` is the member `amount` of an object `features`, whose members are written together, where the first of them stands. */
  readonly name: string;
  readonly value: OutputValue;
}

/** What every encoder must be told. Frozen into tables when the encoder is made, at plan time. */
export interface EncoderOptions {
  /** The schema of the batches that {@link Encoder.encode} will be given. */
  readonly schema: Schema;
  /** The fields to write, in order. */
  readonly fields: readonly OutputField[];
  readonly topic: string;
  /**
   * Columns that make the message's key. One column: its value as plain text, with no quotes. Several: a JSON array of them. None, or a null in
   * the only one: no key.
   */
  readonly key: readonly string[];
  readonly partitioner: Partitioner;
}

/** A row that cannot be written as the format demands. */
export interface EncodeFailure {
  readonly row: number;
  /** `NUMBER_NOT_FINITE`; from Avro also `FIELD_MISSING`, `FIELD_TYPE` (of a list) and `NUMBER_RANGE`. */
  readonly code: string;
  readonly message: string;
}

/** The messages of a batch, in row order, and the rows that gave none. */
export interface Encoded {
  readonly messages: MessageBatch;
  /** Empty unless an operator let through what no format can carry; the caller makes dead letters of them, stage `encode`. */
  readonly failures: readonly EncodeFailure[];
}

/**
 * Turns records into messages, on their way to ⑦ commit. Called by the batch loop, one call at a time, once for each output of each batch.
 *
 * The messages' partitions are set, their offsets are 0 (the log that takes them assigns them), and their timestamps are the records' event times,
 * which is Kafka Streams' rule: a topic that retains by time therefore counts from the event, not from the run. Encoding is a function
 * of the batch alone: no clock, nothing random.
 */
export interface Encoder {
  /** What it returns shares no memory with later batches. */
  encode(records: RecordBatch): Encoded;
}
