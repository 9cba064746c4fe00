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
  /**
   * Whose the batch's offsets are: the record's in the job's input (the default), or the message's in the exchange, with the former beside them. Several results may come of one record, and whoever keeps
   * them must tell them apart.
   */
  readonly offsets?: 'of the input' | 'of the exchange';
}

const passengerFields: readonly Field[] = [passengers.inputPartition, passengers.arrival].map((name) => ({
  name,
  type: 'long',
  presence: 'required',
}));

const offsetField: Field = { name: passengers.inputOffset, type: 'long', presence: 'required' };

/** The schema of the batches that an {@link ExchangeDecoder} gives, with the records' offsets in the job's input. */
export function exchangedSchema(columns: Schema): Schema {
  return columns.with(...passengerFields);
}

/**
 * Reads what an `ExchangeEncoder` wrote. The batch's partitions are the tasks that wrote the records, and its watermarks theirs, as they came: what the carried rule
 * of `stampWatermarks` takes. Its offsets are those in the job's input, unless it is told otherwise; the partitions there are a column.
 */
export class ExchangeDecoder implements Decoder {
  readonly #decoder: AvroDecoder;
  readonly #schema: Schema;
  readonly #keepsOffsets: boolean;

  constructor({ columns, eventTimeField, offsets = 'of the input' }: ExchangeDecoderOptions) {
    const avroSchema = exchangeAvro(columns);
    this.#keepsOffsets = offsets === 'of the exchange';
    this.#schema = this.#keepsOffsets ? exchangedSchema(columns).with(offsetField) : exchangedSchema(columns);
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
    const passengersOf = this.#keepsOffsets ? [partitions, arrivals, offsets] : [partitions, arrivals];
    const exchanged: RecordBatch = {
      ...records,
      schema: this.#schema,
      columns: [...records.columns.slice(headFields.length), ...passengersOf.map((of) => numberColumn(of))],
      partitions: Int32Array.from(writers),
      offsets: this.#keepsOffsets ? records.offsets : offsets,
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
