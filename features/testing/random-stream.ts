import fc from 'fast-check';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';

/** A transaction of the random streams; keys and values may be null. */
export interface StreamRow {
  readonly partition: number;
  readonly timeMs: number;
  readonly card: string | null;
  readonly terminal: number | null;
  readonly amount: number | null;
  readonly fraud: boolean | null;
  readonly mcc: string | null;
}

/** The fields of the random streams. */
export const streamSchema: Schema = new Schema([
  { name: 'event_time', type: 'timestamp', presence: 'required' },
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'terminal', type: 'long', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'fraud', type: 'boolean', presence: 'optional' },
  { name: 'mcc', type: 'string', presence: 'optional' },
]);

const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { freq: 8 });

const content = fc.record({
  partition: fc.constantFrom(0, 0, 1),
  card: orNull(fc.constantFrom('a', 'b', 'c')),
  terminal: orNull(fc.constantFrom(1, 2)),
  amount: orNull(fc.integer({ min: -200_000, max: 1_000_000 }).map((cents) => cents / 100)),
  fraud: orNull(fc.boolean()),
  mcc: orNull(fc.constantFrom('5411', '5999', 'é', '')),
});

/** Mostly forward by seconds, with ties; sometimes back by minutes, so that some rows are degraded and some are late. */
const step = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(0, 0, 1_000, 1_000, 2_500, 7_000, 20_000) },
  { weight: 1, arbitrary: fc.integer({ min: -400_000, max: 0 }) },
);

/** How far partition 1 trails partition 0: a record that is late in one may lie in the window of a timely one of the other. */
const lagMs = fc.constantFrom(0, 30_000, 250_000);

/** Random streams in arrival order. */
export const randomStream: fc.Arbitrary<readonly StreamRow[]> = fc
  .tuple(fc.array(fc.tuple(content, step), { minLength: 1, maxLength: 150, size: 'max' }), lagMs)
  .map(([steps, lag]) => {
    let newest = 1_522_540_800_000;
    return steps.map(([row, stepMs]): StreamRow => {
      if (stepMs > 0) newest += stepMs;
      const now = stepMs < 0 ? newest + stepMs : newest;
      return { ...row, timeMs: row.partition === 0 ? now : now - lag };
    });
  });

/** The rows as a batch, stamped with watermarks; offsets count within each partition. */
export function streamBatch(rows: readonly StreamRow[], watermarkDelayMs: number): RecordBatch {
  const columns = [
    numberColumnOf(rows.map(({ timeMs }) => timeMs)),
    utf8ColumnOf(rows.map(({ card }) => card)),
    numberColumnOf(rows.map(({ terminal }) => terminal)),
    numberColumnOf(rows.map(({ amount }) => amount)),
    numberColumnOf(rows.map(({ fraud }) => (fraud === null ? null : Number(fraud)))),
    utf8ColumnOf(rows.map(({ mcc }) => mcc)),
  ];
  const batch = recordBatch(streamSchema, columns, {
    partition: Int32Array.from(rows, ({ partition }) => partition),
    offset: Float64Array.from(offsetsOf(rows)),
    eventTimesMs: Float64Array.from(rows, ({ timeMs }) => timeMs),
  });
  stampWatermarks(batch, null, new PartitionWatermarks(), { delayMs: watermarkDelayMs, maxFutureSkewMs: Infinity });
  return batch;
}

/** Each row's offset in its partition. */
function offsetsOf(rows: readonly StreamRow[]): readonly number[] {
  const next = new Map<number, number>();
  return rows.map(({ partition }) => {
    const offset = next.get(partition) ?? 0;
    next.set(partition, offset + 1);
    return offset;
  });
}
