import { strict as assert } from 'node:assert';
import { numberColumn, type Column } from '../record/column.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { columnOf, selectRows, withColumns, type RecordBatch } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';
import { AvroEncoder } from '../serde/avro-encoder.ts';
import type { Encoded, EncodeFailure, Encoder } from '../serde/encoder.ts';
import { keyPartitioner } from '../serde/partitioner.ts';
import { exchangeAvro, exchangeSchemaId, headFields, passengers, wireName } from './exchange-format.ts';

/** What a stage's encoder must be told. */
export interface ExchangeEncoderOptions {
  readonly topic: string;
  readonly partitionCount: number;
  /** The fields that the topic is partitioned by. */
  readonly key: readonly string[];
  /** The schema of the batches that will be encoded. */
  readonly schema: Schema;
  /** The columns of it that the next stage is given. */
  readonly columns: Schema;
  /** The task that writes, as the partition of its input; where it reads the job's input, that is each record's own. */
  readonly writer: number | 'own';
  /** Where all records go, whatever their keys; absent: each to its key's partition. */
  readonly partition?: number;
}

/** The most that a message's key and value may take together: brokers and clients refuse 1,000,000 bytes and the message's frame, unless told otherwise. */
const maxExchangedBytes = 990_000;

/** The form of the head's columns in a batch: their names cannot be those of fields. */
function headColumn(name: string): string {
  return `(exchange ${name})`;
}

/**
 * Writes records for the next stage: all columns so far, the position in the job's input, flags, and the watermark of the task that writes. Messages have the
 * key's partition, and the timestamp at which the input's log took the record, so that the last stage measures the whole way. A function of the batch alone, as
 * every encoder.
 *
 * A record that takes more than 990,000 bytes is a failure, `RECORD_TOO_LARGE`: no log would take it, and the whole batch would stand still.
 */
export class ExchangeEncoder implements Encoder {
  readonly #options: ExchangeEncoderOptions;
  readonly #encoder: AvroEncoder;
  readonly #schema: Schema;

  constructor(options: ExchangeEncoderOptions) {
    const { schema, columns, topic, key, partitionCount, partition } = options;
    this.#options = options;
    this.#schema = schema.with(...headFields.map((field) => ({ ...field, name: headColumn(field.name) })));
    this.#encoder = new AvroEncoder({
      schema: this.#schema,
      fields: [
        ...headFields.map(({ name }) => ({ name, value: { kind: 'column', column: headColumn(name) } }) as const),
        ...columns.fields.map(
          ({ name }, index) => ({ name: wireName(index), value: { kind: 'column', column: name } }) as const,
        ),
      ],
      topic,
      key,
      partitioner: partition === undefined ? keyPartitioner(partitionCount) : () => partition,
      avroSchema: exchangeAvro(columns),
      schemaId: exchangeSchemaId,
    });
  }

  encode(records: RecordBatch): Encoded {
    const whole = withColumns(records, this.#schema, this.#headOf(records));
    const encoded = this.#encoder.encode(whole);
    const written = rowsWritten(records.rowCount, encoded.failures);
    const small = written.filter((_, index) => sizeOf(encoded.messages, index) <= maxExchangedBytes);
    const messages =
      small.length === written.length ? encoded.messages : this.#encoder.encode(selectRows(whole, small)).messages;
    const arrivals = columnOf(records, passengers.arrival);
    assert(arrivals.kind === 'number', 'arrivals are numbers');
    small.forEach((row, index) => (messages.timestampsMs[index] = arrivals.values[row] ?? -1));
    const fits = new Set(small);
    const large = [...written].filter((row) => !fits.has(row)).map(tooLarge);
    return { messages, failures: [...encoded.failures, ...large] };
  }

  #headOf(records: RecordBatch): readonly Column[] {
    const { schema, writer } = this.#options;
    const valuesOf = (name: string): Float64Array | null => {
      if (schema.indexOf(name) < 0) return null;
      const column = columnOf(records, name);
      assert(column.kind === 'number', 'what goes beside the fields is in numbers');
      return column.values;
    };
    const own = Float64Array.from(records.partitions);
    return [
      numberColumn(writer === 'own' ? own : new Float64Array(records.rowCount).fill(writer)),
      numberColumn(valuesOf(passengers.inputPartition) ?? own),
      numberColumn(records.offsets),
      numberColumn(Float64Array.from(records.flags)),
      finiteColumn(valuesOf(passengers.passed) ?? records.watermarksMs),
    ];
  }
}

/** The rows that gave a message, in order. */
function rowsWritten(rowCount: number, failures: readonly EncodeFailure[]): Int32Array {
  const refused = new Set(failures.map(({ row }) => row));
  return Int32Array.from({ length: rowCount }, (_, row) => row).filter((row) => !refused.has(row));
}

function sizeOf({ keys, values }: MessageBatch, index: number): number {
  return (
    (keys.offsets[index + 1] ?? 0) -
    (keys.offsets[index] ?? 0) +
    (values.offsets[index + 1] ?? 0) -
    (values.offsets[index] ?? 0)
  );
}

function tooLarge(row: number): EncodeFailure {
  const message = `the record must take at most ${maxExchangedBytes} bytes on its way to the next stage; it takes more`;
  return { row, code: 'RECORD_TOO_LARGE', message };
}

/** Minus infinity is null. */
function finiteColumn(values: Float64Array): Column {
  let valid: Uint8Array | null = null;
  for (let row = 0; row < values.length; row++) {
    if (values[row] !== -Infinity) continue;
    valid ??= new Uint8Array(values.length).fill(1);
    valid[row] = 0;
  }
  return numberColumn(values, valid);
}
