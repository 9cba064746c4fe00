import { numberColumn } from '../record/column.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { withColumns, type RecordBatch } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';
import type { Decoded, Decoder } from '../serde/decoder.ts';
import { passengers } from './exchange-format.ts';

/**
 * Adds to what a decoder gives when the log took each record, for a stage that passes them on: the stages after it know no more of the job's input than the
 * exchange says.
 */
export class ArrivalDecoder implements Decoder {
  readonly #decoder: Decoder;
  readonly #schema: Schema;

  /** @param schema the schema of the decoder's batches. */
  constructor(decoder: Decoder, schema: Schema) {
    this.#decoder = decoder;
    this.#schema = arrivedSchema(schema);
  }

  prepare(messages: MessageBatch): Promise<void> | null {
    return this.#decoder.prepare(messages);
  }

  decode(messages: MessageBatch): Decoded {
    const { records, deadLetters } = this.#decoder.decode(messages);
    const arrivals = arrivalsOf(records, messages);
    return { records: withColumns(records, this.#schema, [numberColumn(arrivals)]), deadLetters };
  }
}

/** The schema of the batches that an {@link ArrivalDecoder} gives. */
export function arrivedSchema(schema: Schema): Schema {
  return schema.with({ name: passengers.arrival, type: 'long', presence: 'required' });
}

/** Each record's broker timestamp. Records are a subsequence of their messages, told by their positions there. */
export function arrivalsOf(
  { rowCount, partitions, offsets }: RecordBatch,
  messages: Pick<MessageBatch, 'messageCount' | 'partitions' | 'offsets' | 'timestampsMs'>,
): Float64Array {
  if (rowCount === messages.messageCount) return messages.timestampsMs.slice();
  const arrivals = new Float64Array(rowCount);
  let message = 0;
  for (let row = 0; row < rowCount; row++) {
    while (messages.partitions[message] !== partitions[row] || messages.offsets[message] !== offsets[row]) message++;
    arrivals[row] = messages.timestampsMs[message++] ?? -1;
  }
  return arrivals;
}
