import { parseAvroSchema, type AvroSchema } from '../serde/avro-schema.ts';
import { Schema, type Field, type FieldType } from '../record/schema.ts';

/**
 * Columns of a batch that hold no fields of the record but what later stages must know of it. Their names are in brackets and hold a space, which neither a
 * field's nor an argument's column does.
 */
export const passengers = {
  /** The partition of the job's input that the record came from, where the batch's own partitions are the tasks that passed it on. */
  inputPartition: '(input partition)',
  /** The record's offset there, where the batch's own offsets are those of the exchange. */
  inputOffset: '(input offset)',
  /** When the job's input log took the record, in milliseconds, -1 where it does not say: the exchange's messages have this as their timestamp. */
  arrival: '(arrival)',
  /** The record's event time, where the inputs that meet in an exchange call it differently. */
  eventTime: '(event time)',
  /** What every writer to the task had passed at the record: the watermark that it hands on. Only in a task that reads an exchange and writes another. */
  passed: '(passed)',
} as const;

/** What a message of an exchange says of its record beside the columns, in this order, by the names that it has in Avro. */
export const headFields: readonly Field[] = [
  { name: 'writer', type: 'long', presence: 'required' },
  { name: 'partition', type: 'long', presence: 'required' },
  { name: 'offset', type: 'long', presence: 'required' },
  { name: 'flags', type: 'long', presence: 'required' },
  // Null before the first record that moved the watermark, when it is minus infinity.
  { name: 'watermark', type: 'double', presence: 'optional' },
];

/** Columns may be called what Avro does not allow, so in messages they have numbers. */
export function wireName(column: number): string {
  return `c${column}`;
}

/** The columns as fields of an exchange's messages. */
export function wireSchema(columns: Schema): Schema {
  return new Schema([
    ...headFields,
    ...columns.fields.map(({ type, presence }, index) => ({ name: wireName(index), type, presence })),
  ]);
}

const avroTypes: Readonly<Record<FieldType, unknown>> = {
  double: 'double',
  long: 'long',
  boolean: 'boolean',
  timestamp: { type: 'long', logicalType: 'timestamp-millis' },
  string: 'string',
};

/**
 * The Avro schema of an exchange's messages: float64 by its bits, whole numbers of 64 bits, text as it is, null as null, so that what comes out is what
 * went in. Both ends make it of the same plan, whose digest their commits carry; no registry is asked.
 */
export function exchangeAvro(columns: Schema): AvroSchema {
  const fields = wireSchema(columns).fields.map(({ name, type, presence }) => {
    return { name, type: presence === 'required' ? avroTypes[type] : ['null', avroTypes[type]] };
  });
  return parseAvroSchema(JSON.stringify({ type: 'record', name: 'Exchanged', namespace: 'sluice', fields }));
}

/** In the frame of each message; there is one schema an exchange. */
export const exchangeSchemaId = 0;
