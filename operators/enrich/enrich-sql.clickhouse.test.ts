import { Session } from 'chdb';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { DELETED, recordBatch, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import { inputColumn } from '../join/join-definition.ts';
import type { EnrichDefinition } from './enrich-definition.ts';
import { EnrichLogic } from './enrich-logic.ts';

/** Random streams for each way of looking up, all in one table, compared in one query. */
const streams = Number(process.env['SLUICE_STREAMS'] ?? 1_000);
const delayMs = 8;

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: inputColumn, type: 'long', presence: 'required' },
  { name: 'cards.card', type: 'string', presence: 'optional' },
  { name: 'cards.limit', type: 'double', presence: 'optional' },
]);

interface Item {
  readonly isTable: boolean;
  readonly t: number;
  readonly card: string | null;
  readonly limit: number | null;
  /** Of a table's record: that the key has no value from here on. */
  readonly isDeleted: boolean;
}

const item = fc.record({
  isTable: fc.boolean(),
  step: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: -6, max: 6 }) }, fc.integer({ min: 7, max: 40 })),
  card: fc.oneof({ weight: 9, arbitrary: fc.constantFrom('a', 'b') }, fc.constant(null)),
  limit: fc.option(fc.integer({ min: 0, max: 99 }), { freq: 6 }),
  isDeleted: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
});

/**
 * Streams with disorder, ties and nulls. Versions of a key come in the order of their times, as changes do; records are late by no more than the delay, so that the version of their time
 * is kept.
 */
function sampleStreams(seed: number): readonly (readonly Item[])[] {
  const stream = fc.array(item, { minLength: 1, maxLength: 40 }).map((steps): readonly Item[] => {
    let t = 100;
    let newestMs = -Infinity;
    return steps.flatMap(({ step, ...rest }): Item[] => {
      t += step;
      if (!rest.isTable && t < newestMs - delayMs) return [];
      if (!rest.isTable) newestMs = Math.max(newestMs, t);
      return [{ ...rest, t }];
    });
  });
  return fc.sample(stream, { numRuns: streams, seed });
}

const definition: EnrichDefinition = {
  operatorId: 'e',
  table: 0,
  on: 'card',
  key: 'cards.card',
  columns: ['cards.limit'],
  asOf: 'event-time',
  missing: 'keep',
  allowedLatenessMs: 0,
  inputCount: 2,
  stream: 1,
};

function batchOf(items: readonly Item[]): RecordBatch {
  const columns = [
    utf8ColumnOf(items.map(({ isTable, card }) => (isTable ? null : card))),
    numberColumnOf(items.map(({ isTable }) => (isTable ? 0 : 1))),
    utf8ColumnOf(items.map(({ isTable, card }) => (isTable ? card : null))),
    numberColumnOf(items.map(({ isTable, limit }) => (isTable ? limit : null))),
  ];
  const batch = recordBatch(schema, columns, {
    partition: Int32Array.from(items, ({ isTable }) => (isTable ? 0 : 1)),
    offset: Float64Array.from(items, (_, at) => at),
    eventTimesMs: Float64Array.from(items, ({ t }) => t),
  });
  items.forEach(({ isTable, isDeleted }, row) => {
    if (isTable && isDeleted) batch.flags[row] = DELETED;
  });
  const rule = { delayMs, maxFutureSkewMs: 0 };
  stampWatermarks(batch, null, new PartitionWatermarks(), { inputs: [rule, rule] });
  return batch;
}

describe('look-ups against ClickHouse', () => {
  let session: Session;
  beforeAll(() => {
    session = new Session();
  });
  afterAll(() => {
    session.cleanup();
  });

  it.each([
    ['event-time', 'keep'],
    ['event-time', 'drop'],
    ['latest', 'keep'],
    ['latest', 'drop'],
  ] as const)('as of %s, and records without a version %s: what SQL gives over the log', (asOf, missing) => {
    const sampled = sampleStreams(asOf.length + missing.length);
    const lines = sampled.flatMap((items, stream) =>
      items.map((values, o) => JSON.stringify({ stream, o, ...values })),
    );
    session.query(
      'CREATE OR REPLACE TABLE log (stream Int64, o Int64, isTable Bool, t Int64, card Nullable(String), `limit` Nullable(Float64), isDeleted Bool) ENGINE = MergeTree ORDER BY (stream, o)',
    );
    session.query(`INSERT INTO log FORMAT JSONEachRow ${lines.join('\n')}`);
    let versions = 0;
    let kept = 0;
    const got = sampled.flatMap((items, stream) => {
      const logic = new EnrichLogic({ ...definition, asOf, missing }, schema, { state: 'empty' });
      const { records, absorbed, dropped } = logic.enrich(batchOf(items));
      expect(records.rowCount + absorbed + dropped).toBe(items.length);
      versions += absorbed;
      kept += logic.versionCount;
      return toRows(records).map((row, index) => ({ stream, o: records.offsets[index], limit: row['(cards.limit)'] }));
    });
    const order = asOf === 'latest' ? 'v.o' : '(v.t, v.o)';
    const inTime = asOf === 'latest' ? '' : 'AND v.t <= r.t';
    const sql = `
      SELECT stream, o, if(tupleElement(found, 2), NULL, tupleElement(found, 1)) AS \`limit\` FROM (
        SELECT r.stream AS stream, r.o AS o, argMaxIf(tuple(v.\`limit\`, v.isDeleted), ${order}, v.isTable AND v.o < r.o ${inTime}) AS found,
          countIf(v.isTable AND v.o < r.o ${inTime}) AS versions
        FROM (SELECT * FROM log WHERE NOT isTable) AS r LEFT JOIN (SELECT * FROM log WHERE isTable) AS v
          ON r.stream = v.stream AND r.card = v.card
        GROUP BY stream, o)
      WHERE ${missing === 'drop' ? 'versions > 0 AND NOT tupleElement(found, 2)' : '1'} ORDER BY stream, o
      FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0, join_use_nulls = 1`;
    const wanted = session
      .query(sql)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(wanted.length).toBeGreaterThan(streams / 2);
    expect(got).toEqual(wanted);
    expect(kept).toBeLessThan(versions * 0.95);
  });
});
