import { strict as assert } from 'node:assert';
import { numberColumn, type Column } from '../record/column.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { Field, Schema } from '../record/schema.ts';
import { AvroDecoder } from '../serde/avro-decoder.ts';
import type { Decoded, Decoder } from '../serde/decoder.ts';
import type { SchemaRegistry } from '../serde/schema-registry.ts';
import { arrivalsOf } from './arrivals.ts';
import { exchangeAvro, exchangeSchemaId, headFields, passengers, wireName, wireSchema } from './exchange-format.ts';

/** What a stage that reads an exchange must tell its decoder. */
export interface ExchangeDecoderOptions {
  /** The columns that the stage before has written. */
  readonly columns: Schema;
  readonly eventTimeField: string;
}

const passengerFields: readonly Field[] = [passengers.inputPartition, passengers.arrival].map((name) => ({
  name,
  type: 'long',
  presence: 'required',
}));

/** The schema of the batches that an {@link ExchangeDecoder} gives. */
export function exchangedSchema(columns: Schema): Schema {
  return columns.with(...passengerFields);
}

/**
 * Reads what an `ExchangeEncoder` wrote. The batch's partitions are the tasks that wrote the records, and its watermarks theirs, as they came: what the carried rule
 * of `stampWatermarks` takes. Its offsets are those in the job's input; the partitions there are a column.
 */
export class ExchangeDecoder implements Decoder {
  readonly #decoder: AvroDecoder;
  readonly #schema: Schema;

  constructor({ columns, eventTimeField }: ExchangeDecoderOptions) {
    const avroSchema = exchangeAvro(columns);
    this.#schema = exchangedSchema(columns);
    this.#decoder = new AvroDecoder({
      schema: wireSchema(columns),
      eventTimeField: wireName(columns.indexOf(eventTimeField)),
      keyFields: [],
      readerSchema: avroSchema,
      registry: registryOf(avroSchema.text),
    });
  }

  prepare(messages: MessageBatch): Promise<void> | null {
    return this.#decoder.prepare(messages);
  }

  decode(messages: MessageBatch): Decoded {
    const { records, deadLetters } = this.#decoder.decode(messages);
    const arrivals = arrivalsOf(records, messages);
    const head = headFields.map((_, index) => valuesOf(records.columns[index]));
    const [writers, partitions, offsets, flags] = head;
    const watermarks = records.columns[headFields.length - 1];
    assert(writers !== undefined && partitions !== undefined && offsets !== undefined && flags !== undefined);
    assert(watermarks?.kind === 'number');
    const { values, valid } = watermarks;
    const exchanged: RecordBatch = {
      ...records,
      schema: this.#schema,
      columns: [...records.columns.slice(headFields.length), ...[partitions, arrivals].map((of) => numberColumn(of))],
      partitions: Int32Array.from(writers),
      offsets,
      flags: Uint8Array.from(flags),
      watermarksMs: valid === null ? values : values.map((value, row) => (valid[row] === 1 ? value : -Infinity)),
    };
    return { records: exchanged, deadLetters };
  }
}

function valuesOf(column: Column | undefined): Float64Array {
  assert(column?.kind === 'number', 'what a message says of its record is in numbers');
  return column.values;
}

/** The one schema of the exchange, which both of its ends make themselves. */
function registryOf(text: string): SchemaRegistry {
  return {
    name: 'the exchange',
    schemaById: (id) => Promise.resolve(id === exchangeSchemaId ? text : null),
    register: () => Promise.resolve(exchangeSchemaId),
  };
}
