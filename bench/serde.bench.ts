/**
 * What decoding and encoding cost a record, against what people write: `JSON.parse`, `JSON.stringify` and avsc's objects, each with what it takes to
 * come from bytes and go back to bytes. Batches of 1,000, one core. Run with `npx tsx bench/serde.bench.ts`; figures are in `docs/benchmarks/serde.md`.
 *
 * Ours gives columns and a slab, theirs objects and buffers; what an engine then does with either is not counted.
 */
import avro from 'avsc';
import { measure } from 'mitata';
import { cpus } from 'node:os';
import { numberColumnOf, utf8ColumnOf, type Column } from '../engine/record/column.ts';
import { messageValue, type MessageBatch } from '../engine/record/message-batch.ts';
import { recordBatch, type RecordBatch } from '../engine/record/record-batch.ts';
import { Schema, type Field, type FieldType } from '../engine/record/schema.ts';
import { AvroDecoder } from '../engine/serde/avro-decoder.ts';
import { AvroEncoder } from '../engine/serde/avro-encoder.ts';
import { parseAvroSchema } from '../engine/serde/avro-schema.ts';
import type { EncoderOptions } from '../engine/serde/encoder.ts';
import { JsonDecoder } from '../engine/serde/json-decoder.ts';
import { JsonEncoder } from '../engine/serde/json-encoder.ts';
import { messagesOf } from '../engine/serde/messages-of.ts';
import { keyPartitioner } from '../engine/serde/partitioner.ts';

const batchSize = 1000;

/** A generator of numbers in [0, 1) with a seed (mulberry32), so that every run encodes the same bytes. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = randomOf(1);

type Row = Readonly<Record<string, string | number | boolean>>;

const field = (name: string, type: FieldType): Field => ({ name, type, presence: 'required' });

/** A transaction of about 240 bytes, seven of whose eight fields the job declares. */
const transactionSchema = new Schema([
  field('transaction_id', 'string'),
  field('card_id', 'string'),
  field('terminal_id', 'string'),
  field('amount', 'double'),
  field('event_time', 'timestamp'),
  field('channel', 'string'),
  field('foreign', 'boolean'),
]);
const transactions: readonly Row[] = Array.from({ length: batchSize }, (_, index) => ({
  transaction_id: `8f2f2a2e-7a0b-4b5c-9a55-${String(100_000_000_000 + index * 7919)}`,
  card_id: `card-${1_000_000 + Math.floor(random() * 1_000_000)}`,
  terminal_id: `terminal-${10_000 + Math.floor(random() * 10_000)}`,
  amount: Math.round(random() * 50_000) / 100,
  event_time: 1_769_000_000_000 + index * 137,
  channel: random() < 0.5 ? 'ecommerce' : 'in_store',
  foreign: random() < 0.1,
  merchant_name: `Corner Shop number ${Math.floor(random() * 1000)}`,
}));

/** A prediction of 12 fields, of which four are doubles of full precision. */
const predictionSchema = new Schema([
  field('transaction_id', 'string'),
  field('amount', 'double'),
  field('rolling_avg_7d', 'double'),
  field('amount_to_avg_ratio', 'double'),
  field('prediction', 'long'),
  field('probability', 'double'),
  field('threshold', 'double'),
  field('card_id', 'string'),
  field('event_time', 'timestamp'),
  field('count_1h', 'long'),
  field('count_7d', 'long'),
  field('late', 'boolean'),
]);
const predictions: readonly Row[] = transactions.map((transaction) => ({
  transaction_id: transaction['transaction_id'] ?? '',
  amount: transaction['amount'] ?? 0,
  rolling_avg_7d: random() * 500,
  amount_to_avg_ratio: random() * 4,
  prediction: random() < 0.01 ? 1 : 0,
  probability: random(),
  threshold: 0.4371625,
  card_id: transaction['card_id'] ?? '',
  event_time: transaction['event_time'] ?? 0,
  count_1h: Math.floor(random() * 5),
  count_7d: Math.floor(random() * 60),
  late: random() < 0.01,
}));

/** A feature vector of 40 doubles of full precision. */
const vectorSchema = new Schema(Array.from({ length: 40 }, (_, index) => field(`feature_${index}`, 'double')));
const vectors: readonly Row[] = Array.from({ length: batchSize }, () =>
  Object.fromEntries(vectorSchema.fields.map(({ name }) => [name, random() * 1000])),
);

function batchOf(schema: Schema, rows: readonly Row[]): RecordBatch {
  const columns = schema.fields.map(({ name, type }): Column =>
    type === 'string'
      ? utf8ColumnOf(rows.map((row) => String(row[name])))
      : numberColumnOf(rows.map((row) => Number(row[name]))),
  );
  const eventTimesMs = Float64Array.from(rows, (row) => Number(row['event_time'] ?? 0));
  return recordBatch(schema, columns, { partition: 0, offset: 0, eventTimesMs });
}

const avroTypes: Readonly<Record<FieldType, unknown>> = {
  double: 'double',
  long: 'long',
  boolean: 'boolean',
  timestamp: { type: 'long', logicalType: 'timestamp-millis' },
  string: 'string',
};

function avscOf(schema: Schema, ...more: readonly string[]): string {
  const fields = schema.fields.map(({ name, type }) => ({ name, type: avroTypes[type] }));
  return JSON.stringify({
    type: 'record',
    name: 'R',
    fields: [...fields, ...more.map((name) => ({ name, type: 'string' }))],
  });
}

function optionsFor(schema: Schema, key: readonly string[]): EncoderOptions {
  return {
    schema,
    fields: schema.fields.map(({ name }) => ({ name, value: { kind: 'column', column: name } })),
    topic: 'out',
    key,
    partitioner: keyPartitioner(4),
  };
}

/** What is measured: ours, and what it stands against. Both do a whole batch. */
interface Contest {
  readonly name: string;
  readonly bytes: number;
  readonly ours: () => unknown;
  readonly theirs: () => unknown;
}

const sizeOf = (messages: MessageBatch): number => Math.round(messages.values.data.length / messages.messageCount);

function decodingJson(): Contest {
  const messages = messagesOf(
    't',
    transactions.map((row) => JSON.stringify(row)),
  );
  const decoder = new JsonDecoder({ schema: transactionSchema, eventTimeField: 'event_time', keyFields: ['card_id'] });
  const buffers = Array.from({ length: batchSize }, (_, index) => Buffer.from(messageValue(messages, index)));
  return {
    name: 'decode JSON, 7 of 8 fields',
    bytes: sizeOf(messages),
    ours: () => decoder.decode(messages),
    theirs: () => buffers.map((buffer) => JSON.parse(buffer.toString()) as unknown),
  };
}

async function decodingAvro(): Promise<Contest> {
  const text = avscOf(transactionSchema, 'merchant_name');
  const type = avro.Type.forSchema(JSON.parse(text) as avro.Type);
  const buffers = transactions.map((row) => type.toBuffer(row));
  const messages = messagesOf(
    't',
    buffers.map((buffer) => Uint8Array.of(0, 0, 0, 0, 1, ...buffer)),
  );
  const decoder = new AvroDecoder({
    schema: transactionSchema,
    eventTimeField: 'event_time',
    keyFields: ['card_id'],
    readerSchema: parseAvroSchema(text),
    registry: {
      name: 'bench',
      schemaById: async () => Promise.resolve(text),
      register: async () => Promise.resolve(1),
    },
  });
  await decoder.prepare(messages);
  return {
    name: 'decode Avro, 7 of 8 fields',
    bytes: sizeOf(messages),
    ours: () => decoder.decode(messages),
    theirs: () => buffers.map((buffer) => type.fromBuffer(buffer) as unknown),
  };
}

function encodingJson(name: string, schema: Schema, rows: readonly Row[], key: readonly string[]): Contest {
  const batch = batchOf(schema, rows);
  const encoder = new JsonEncoder({ ...optionsFor(schema, key), instants: 'ms' });
  return {
    name,
    bytes: sizeOf(encoder.encode(batch).messages),
    ours: () => encoder.encode(batch),
    theirs: () => rows.map((row) => Buffer.from(JSON.stringify(row))),
  };
}

function encodingAvro(name: string, schema: Schema, rows: readonly Row[], key: readonly string[]): Contest {
  const batch = batchOf(schema, rows);
  const avroSchema = parseAvroSchema(avscOf(schema));
  const type = avro.Type.forSchema(JSON.parse(avroSchema.text) as avro.Type);
  const encoder = new AvroEncoder({ ...optionsFor(schema, key), avroSchema, schemaId: 1 });
  return {
    name,
    bytes: sizeOf(encoder.encode(batch).messages),
    ours: () => encoder.encode(batch),
    theirs: () => rows.map((row) => type.toBuffer(row)),
  };
}

const contests: readonly Contest[] = [
  decodingJson(),
  await decodingAvro(),
  encodingJson('encode JSON, 12 fields', predictionSchema, predictions, ['card_id']),
  encodingAvro('encode Avro, 12 fields', predictionSchema, predictions, ['card_id']),
  encodingJson('encode JSON, 40 doubles', vectorSchema, vectors, []),
  encodingAvro('encode Avro, 40 doubles', vectorSchema, vectors, []),
];

/** Nanoseconds of this process's own time, its garbage collector's included: the clock on the wall also counts the machine's other work. */
function cpuTimeNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

/** Nanoseconds a record: the median, in the best of three turns that ours and theirs take by turns. */
async function contend({ ours, theirs }: Contest): Promise<readonly [number, number]> {
  const best: [number, number] = [Infinity, Infinity];
  for (let turn = 0; turn < 3; turn++) {
    best[0] = Math.min(best[0], (await measure(ours, { now: cpuTimeNs })).p50 / batchSize);
    best[1] = Math.min(best[1], (await measure(theirs, { now: cpuTimeNs })).p50 / batchSize);
  }
  return best;
}

console.log(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}, batches of ${batchSize}`,
);
console.log('| | bytes | ours, ns a record | objects, ns a record | ratio |');
console.log('|---|---|---|---|---|');
for (const contest of contests) {
  const [ours, theirs] = await contend(contest);
  console.log(
    `| ${contest.name} | ${contest.bytes} | ${ours.toFixed(0)} | ${theirs.toFixed(0)} | ${(theirs / ours).toFixed(1)} |`,
  );
}
