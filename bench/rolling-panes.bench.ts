import { numberColumn, utf8ColumnOf } from '../engine/record/column.ts';
import { recordBatch, type RecordBatch } from '../engine/record/record-batch.ts';
import { Schema } from '../engine/record/schema.ts';
import { KeyIndex } from '../engine/state/key-index.ts';
import type { StateReader } from '../engine/state/state-store.ts';
import { PartitionWatermarks } from '../engine/time/partition-watermarks.ts';
import { RollingLogic } from '../operators/rolling/rolling-logic.ts';
import type { RollingAggregate, RollingDefinition } from '../operators/rolling/rolling-definition.ts';
import { RowStore } from '../operators/rolling/row-store.ts';
import { RowWriter } from '../operators/rolling/row-writer.ts';

/**
 * One hot key: a million records in a window of 30 days, kept each, and in panes of an hour. Prints for each round, A B A B, how much processor time a further record takes, and how many bytes the key
 * has in the store.
 *
 *     npm run bench -- rolling-panes
 */
const rounds = 5;
const records = 1_000_000;
const dayMs = 86_400_000;
const overMs = 30 * dayMs;
const startMs = Date.UTC(2018, 3, 1);
const batchRecords = 1_000;

const schema = new Schema([
  { name: 'terminal', type: 'string', presence: 'required' },
  { name: 'amount', type: 'double', presence: 'required' },
]);
const usual = { where: null, overMs, delayMs: 0, current: 'exclude', n: null, halfLifeMs: null } as const;
const aggregates: readonly RollingAggregate[] = [
  { ...usual, name: 'count', function: 'count', input: null },
  { ...usual, name: 'avg', function: 'avg', input: 'amount' },
  { ...usual, name: 'max', function: 'max', input: 'amount' },
];
const exact: RollingDefinition = { operatorId: 'exact', key: ['terminal'], aggregates, allowedLatenessMs: 0 };
const hourly: RollingDefinition = { ...exact, operatorId: 'hourly', panes: { sizeMs: 3_600_000 } };

const timeOf = (record: number): number => startMs + Math.floor((record / records) * overMs);
const amountOf = (record: number): number => ((record * 104_729) % 50_000) / 100;

function batchFrom(first: number, size: number): RecordBatch {
  const eventTimesMs = Float64Array.from({ length: size }, (_, row) => timeOf(first + row));
  const amounts = Float64Array.from({ length: size }, (_, row) => amountOf(first + row));
  const batch = recordBatch(schema, [utf8ColumnOf(new Array<string>(size).fill('hot')), numberColumn(amounts, null)], {
    partition: 0,
    offset: first,
    eventTimesMs,
  });
  batch.watermarksMs.set(eventTimesMs.map((timeMs) => timeMs - 60_000));
  return batch;
}

/** What an operator over each record has stored after the first million: made directly, since answering each of them would take an hour. */
function storedRows(): Uint8Array {
  const store = new RowStore(1);
  store.reserve(0, records);
  const chunk = store.chunk(0);
  for (let record = 0; record < records; record++) {
    chunk[store.start(0) + record] = timeOf(record);
    chunk[store.start(0) + store.stride(0) + record] = amountOf(record);
  }
  return new RowWriter([{ input: 'amount', where: null, form: 'number' }], new KeyIndex()).write(store, 0);
}

const stored = storedRows();
const reader: StateReader = { getMany: (_id, keys) => Promise.resolve(keys.map(() => stored)), async *scan() {} };
/** Of this thread and the collector's, so that neighbours on the machine count less. */
const cpuMs = (): number => process.cpuUsage().user / 1_000;

/** Microseconds of processor time a record, for the records after the million. */
function timed(logic: RollingLogic, size: number): number {
  const batch = batchFrom(records, size);
  const beganMs = cpuMs();
  logic.apply(batch);
  return ((cpuMs() - beganMs) / size) * 1_000;
}

const perRecord = { exact: [] as number[], hourly: [] as number[] };
const bytes = { exact: 0, hourly: 0 };
for (let round = 1; round <= rounds; round++) {
  const overRows = new RollingLogic(exact, schema, { state: 'stored', watermarks: new PartitionWatermarks() });
  const first = batchFrom(records - 1, 1);
  await overRows.prefetch(first, reader);
  overRows.apply(first);
  perRecord.exact.push(timed(overRows, 200));
  bytes.exact = overRows.takeChanges()[0]?.value?.length ?? 0;

  const overPanes = new RollingLogic(hourly, schema, { state: 'empty', watermarks: new PartitionWatermarks() });
  const beganMs = cpuMs();
  for (let record = 0; record < records; record += batchRecords) overPanes.apply(batchFrom(record, batchRecords));
  const loadedMs = cpuMs() - beganMs;
  perRecord.hourly.push(timed(overPanes, 20_000));
  bytes.hourly = overPanes.takeChanges()[0]?.value?.length ?? 0;
  process.stdout.write(
    `round ${round}  exact ${(perRecord.exact.at(-1) ?? 0).toFixed(1)} µs a record   panes of 1h ${(perRecord.hourly.at(-1) ?? 0).toFixed(2)} µs a record, the first million ${(loadedMs / 1_000).toFixed(1)} s\n`,
  );
}
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const [exactUs, hourlyUs] = [median(perRecord.exact), median(perRecord.hourly)];
process.stdout.write(
  `median   exact ${exactUs.toFixed(1)} µs, panes of 1h ${hourlyUs.toFixed(2)} µs a record: ${(exactUs / hourlyUs).toFixed(0)} times faster\n` +
    `bytes    exact ${bytes.exact.toLocaleString('en-US')}, panes of 1h ${bytes.hourly.toLocaleString('en-US')}: ${(bytes.exact / bytes.hourly).toFixed(0)} times smaller\n`,
);
