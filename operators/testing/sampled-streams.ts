import type { Session } from 'chdb';
import fc from 'fast-check';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, selectRows, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { stamped } from './stamped.ts';

/** The records of {@link sampleStreams}. */
export const sampledSchema: Schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
]);

/** A record of a stream. */
export interface SampledRecord {
  readonly t: number;
  readonly card: string | null;
  readonly amount: number | null;
  readonly place: string | null;
}

const item = fc.record({
  step: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: -9, max: 7 }) }, fc.integer({ min: 8, max: 40 })),
  card: fc.oneof({ weight: 12, arbitrary: fc.constantFrom('a', 'b') }, fc.constant(null)),
  amount: fc.option(
    fc.integer({ min: -10, max: 90 }).map((n) => n / 8),
    { freq: 8 },
  ),
  place: fc.option(fc.constantFrom('x', 'y', 'é'), { freq: 5 }),
});

/** Random streams of one partition with disorder, ties, nulls and late records, to be compared with SQL over all of them at once. */
export function sampleStreams(streams: number, seed: number): readonly (readonly SampledRecord[])[] {
  const stream = fc.array(item, { minLength: 1, maxLength: 30 }).map((steps): readonly SampledRecord[] => {
    let t = 100;
    return steps.map(({ step, ...rest }) => ({ ...rest, t: (t += step) }));
  });
  return fc.sample(stream, { numRuns: streams, seed });
}

/** A stream as stamped batches of `size`. */
export function batchesOfSample(
  items: readonly SampledRecord[],
  delayMs: number,
  size: number,
): readonly RecordBatch[] {
  const whole = recordBatch(
    sampledSchema,
    [
      utf8ColumnOf(items.map(({ card }) => card)),
      numberColumnOf(items.map(({ amount }) => amount)),
      utf8ColumnOf(items.map(({ place }) => place)),
    ],
    { partition: 0, offset: 0, eventTimesMs: Float64Array.from(items, ({ t }) => t) },
  );
  stamped(whole, delayMs);
  const cuts = Array.from({ length: Math.ceil(items.length / size) }, (_, cut) => cut * size);
  return cuts.map((at) =>
    selectRows(
      whole,
      Int32Array.from({ length: Math.min(size, items.length - at) }, (_, row) => at + row),
    ),
  );
}

/** What a row of SQL, or of an operator, holds. */
export type SampledRow = Readonly<Record<string, unknown>>;

/** The rows of a batch with their stream and offset. */
export function sampledRows(stream: number, batch: RecordBatch): readonly SampledRow[] {
  return toRows(batch).map((row, index) => ({ stream, o: batch.offsets[index], ...row }));
}

/**
 * Runs a query over the table `log` (`stream`, `o` the offset, `t`, `card`, `amount`, `place`) of some streams; `w` is the watermark before each record, null before the first.
 */
export function querySample(
  session: Session,
  sampled: readonly (readonly SampledRecord[])[],
  delayMs: number,
  sql: string,
): readonly SampledRow[] {
  const lines = sampled.flatMap((items, stream) => items.map((values, o) => JSON.stringify({ stream, o, ...values })));
  session.query(
    'CREATE OR REPLACE TABLE arrived (stream Int64, o Int64, t Int64, card Nullable(String), amount Nullable(Float64), place Nullable(String)) ENGINE = MergeTree ORDER BY (stream, o)',
  );
  session.query(`INSERT INTO arrived FORMAT JSONEachRow ${lines.join('\n')}`);
  const text = session.query(`
    WITH log AS (
      SELECT *, maxOrNull(t) OVER (PARTITION BY stream ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) - ${delayMs} AS w FROM arrived)
    ${sql}
    FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0`);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as SampledRow);
}
