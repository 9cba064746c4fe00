import { Session } from 'chdb';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tryCompileExpression, type CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, toRows } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import { inputColumn, type JoinDefinition, type JoinKind } from './join-definition.ts';
import { JoinLogic } from './join-logic.ts';

/** Random streams for each kind of join, all in one table, compared in one query. */
const streams = Number(process.env['SLUICE_STREAMS'] ?? 1_000);
/** Of the two inputs. */
const delaysMs = [4, 7] as const;
const latenessMs = 3;
/** Records that come last, one in each input, and let everything go. */
const endMs = 1_000_000;

const schema = new Schema([
  { name: inputColumn, type: 'long', presence: 'optional' },
  { name: 'l_card', type: 'string', presence: 'optional' },
  { name: 'l_shop', type: 'long', presence: 'optional' },
  { name: 'l_value', type: 'double', presence: 'optional' },
  { name: 'r_card', type: 'string', presence: 'optional' },
  { name: 'r_shop', type: 'long', presence: 'optional' },
  { name: 'r_value', type: 'string', presence: 'optional' },
]);

interface Item {
  readonly side: 0 | 1;
  readonly partition: 0 | 1;
  readonly t: number;
  readonly card: string | null;
  readonly shop: number | null;
  readonly value: number | null;
}

const item = fc.record({
  side: fc.constantFrom(0 as const, 1 as const),
  partition: fc.constantFrom(0 as const, 1 as const),
  step: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -6, max: 6 }) }, fc.integer({ min: -30, max: 30 })),
  card: fc.oneof({ weight: 12, arbitrary: fc.constantFrom('a', 'b') }, fc.constant(null)),
  shop: fc.oneof({ weight: 20, arbitrary: fc.constantFrom(1, 2) }, fc.constant(null)),
  value: fc.option(fc.integer({ min: 0, max: 5 }), { freq: 5 }),
});

/** Streams with disorder, ties, nulls, repeats and late records in two partitions of two inputs. The last two records, one of each input, let everything go. */
function sampleStreams(seed: number): readonly (readonly Item[])[] {
  const stream = fc.array(item, { minLength: 1, maxLength: 40 }).map((steps): readonly Item[] => {
    let t = 100;
    const items = steps.map(({ step, ...rest }): Item => ({ ...rest, t: (t += step) }));
    const ends = ([0, 1] as const).flatMap((side) =>
      ([0, 1] as const).map((partition): Item => ({ side, partition, t: endMs, card: null, shop: null, value: null })),
    );
    return [...items, ...ends];
  });
  return fc.sample(stream, { numRuns: streams, seed });
}

type Row = Record<string, number | string | boolean | null>;

function byOperator(
  definition: JoinDefinition,
  condition: CompiledExpression | null,
  sampled: readonly (readonly Item[])[],
): { readonly results: Row[]; readonly late: string[]; readonly kept: number } {
  const results: Row[] = [];
  const late: string[] = [];
  let kept = 0;
  sampled.forEach((items, stream) => {
    const only = <T>(side: 0 | 1, valueOf: (item: Item) => T): (T | null)[] =>
      items.map((each) => (each.side === side ? valueOf(each) : null));
    const columns = [
      numberColumnOf(items.map(({ side }) => side)),
      utf8ColumnOf(only(0, ({ card }) => card)),
      numberColumnOf(only(0, ({ shop }) => shop)),
      numberColumnOf(only(0, ({ value }) => value)),
      utf8ColumnOf(only(1, ({ card }) => card)),
      numberColumnOf(only(1, ({ shop }) => shop)),
      utf8ColumnOf(only(1, ({ value }) => (value === null ? null : `v${value}`))),
    ];
    const batch = recordBatch(schema, columns, {
      partition: Int32Array.from(items, ({ side, partition }) => partition * 2 + side),
      offset: Float64Array.from(items, (_, at) => at),
      eventTimesMs: Float64Array.from(items, ({ t }) => t),
    });
    const inputs = delaysMs.map((delayMs) => ({ delayMs, maxFutureSkewMs: 0 }));
    stampWatermarks(batch, null, new PartitionWatermarks(), { inputs });
    const logic = new JoinLogic(definition, schema, condition, { state: 'empty' });
    const emitted = logic.emit(batch);
    expect(emitted.taken + emitted.filtered + emitted.late.rowCount).toBe(items.length);
    kept += logic.rowCount;
    results.push(...toRows(emitted.records).map((row) => ({ stream, ...row })));
    late.push(...Array.from(emitted.late.offsets, (offset) => `${stream}/${offset}`));
  });
  return { results, late, kept };
}

/** The log with the watermark of each record's own partition, and the joint one, as they stood before it. */
const stamped = `
  SELECT *, t < greatest(own, joint) - ${latenessMs} AS late FROM (
    SELECT *,
      ifNull(maxOrNull(t) OVER (PARTITION BY stream, side, part ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) - delay, -1000000) AS own,
      ifNull(maxOrNull(least(l, r)) OVER (PARTITION BY stream ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), -1000000) AS joint
    FROM (
      SELECT *, least(if(l0 = -1000000, l1, l0), if(l1 = -1000000, l0, l1)) AS l, least(if(r0 = -1000000, r1, r0), if(r1 = -1000000, r0, r1)) AS r FROM (
        SELECT *, if(side = 0, ${delaysMs[0]}, ${delaysMs[1]}) AS delay,
          ${[0, 1].flatMap((side) => [0, 1].map((part) => `ifNull(maxOrNullIf(t, side = ${side} AND part = ${part}) OVER seen - ${delaysMs[side as 0 | 1]}, -1000000) AS ${side === 0 ? 'l' : 'r'}${part}`)).join(',\n          ')}
        FROM log WINDOW seen AS (PARTITION BY stream ORDER BY o ROWS UNBOUNDED PRECEDING))))`;

const columns =
  'stream, card, shop, toNullable(event_time) AS event_time, l_card, l_shop, l_value, r_card, r_shop, r_value';

function bySql(session: Session, kind: JoinKind, definition: JoinDefinition, condition: string): Row[] {
  const pairs = `
    SELECT l.stream AS stream, l.o AS lo, r.o AS ro, greatest(l.t, r.t) AS event_time, l.card AS card, l.shop AS shop,
      l.card AS l_card, l.shop AS l_shop, l.value AS l_value, r.card AS r_card, r.shop AS r_shop,
      if(r.value IS NULL, NULL, concat('v', toString(assumeNotNull(r.value)))) AS r_value
    FROM (SELECT * FROM stamped WHERE side = 0 AND NOT late) AS l JOIN (SELECT * FROM stamped WHERE side = 1 AND NOT late) AS r
      ON l.stream = r.stream AND l.card = r.card AND l.shop = r.shop
    WHERE r.t BETWEEN l.t - ${definition.beforeMs} AND l.t + ${definition.afterMs} AND (${condition})`;
  const parts = [`SELECT ${columns} FROM pairs`];
  if (kind === 'left' || kind === 'full') {
    parts.push(
      `SELECT ${columns} FROM (SELECT stream, card, shop, t AS event_time, card AS l_card, shop AS l_shop, value AS l_value, NULL AS r_card, NULL AS r_shop, NULL AS r_value
       FROM stamped WHERE side = 0 AND NOT late AND (stream, o) NOT IN (SELECT stream, lo FROM pairs))`,
    );
  }
  if (kind === 'right' || kind === 'full') {
    parts.push(
      `SELECT ${columns} FROM (SELECT stream, card, shop, t AS event_time, NULL AS l_card, NULL AS l_shop, NULL AS l_value, card AS r_card, shop AS r_shop,
         if(value IS NULL, NULL, concat('v', toString(assumeNotNull(value)))) AS r_value
       FROM stamped WHERE side = 1 AND NOT late AND (stream, o) NOT IN (SELECT stream, ro FROM pairs))`,
    );
  }
  const sql = `WITH stamped AS (${stamped}), pairs AS (${pairs}) SELECT * FROM (${parts.join('\nUNION ALL\n')})
    FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0, join_use_nulls = 1`;
  return linesOf(session.query(sql));
}

const linesOf = (text: string): Row[] =>
  text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);

/** Results of a stream as a multiset: when each comes out is for the twin to say. */
const sorted = (rows: readonly Row[]): string[] =>
  rows
    .map((row) =>
      JSON.stringify(
        ['stream', 'event_time', 'card', 'shop', 'l_card', 'l_shop', 'l_value', 'r_card', 'r_shop', 'r_value'].map(
          (name) => row[name] ?? null,
        ),
      ),
    )
    .sort();

describe('joins against ClickHouse', () => {
  let session: Session;
  beforeAll(() => {
    session = new Session();
  });
  afterAll(() => {
    session.cleanup();
  });

  it.each<readonly [JoinKind, number, number, 'any' | 'greater']>([
    ['inner', 5, 9, 'any'],
    ['left', 5, 9, 'any'],
    ['right', 0, 12, 'any'],
    ['full', 8, 0, 'any'],
    ['inner', 10, 10, 'greater'],
    ['full', 10, 10, 'greater'],
  ])('%s, %i before, %i after, %s values: what SQL gives over the log', (kind, beforeMs, afterMs, values) => {
    const definition: JoinDefinition = {
      operatorId: 'j',
      kind,
      left: { input: 0, key: ['l_card', 'l_shop'], columns: ['l_card', 'l_shop', 'l_value'] },
      right: { input: 1, key: ['r_card', 'r_shop'], columns: ['r_card', 'r_shop', 'r_value'] },
      key: ['card', 'shop'],
      beforeMs,
      afterMs,
      allowedLatenessMs: latenessMs,
      delaysMs,
    };
    let condition: CompiledExpression | null = null;
    if (values === 'greater') {
      const { outputSchema } = new JoinLogic(definition, schema, null, { state: 'empty' });
      const outcome = tryCompileExpression('l_value > 2.0 && r_value != "v1"', outputSchema);
      if (outcome.problems !== null) throw new Error(JSON.stringify(outcome.problems));
      condition = outcome.expression;
    }
    const sampled = sampleStreams(kind.length + beforeMs);
    const lines = sampled.flatMap((items, stream) =>
      items.map(({ partition, ...rest }, o) => JSON.stringify({ stream, o, part: partition, ...rest })),
    );
    session.query(
      'CREATE OR REPLACE TABLE log (stream Int64, o Int64, side UInt8, part UInt8, t Int64, card Nullable(String), shop Nullable(Int64), value Nullable(Int64)) ENGINE = MergeTree ORDER BY (stream, o)',
    );
    session.query(`INSERT INTO log FORMAT JSONEachRow ${lines.join('\n')}`);
    const { results, late, kept } = byOperator(definition, condition, sampled);
    const lateBySql = linesOf(session.query(`SELECT stream, o FROM (${stamped}) WHERE late FORMAT JSONEachRow`)).map(
      ({ stream, o }) => `${String(stream)}/${String(o)}`,
    );
    expect(late.length).toBeGreaterThan(streams / 2);
    expect(late.toSorted()).toEqual(lateBySql.toSorted());
    const wanted = bySql(session, kind, definition, values === 'any' ? '1' : 'l.value > 2 AND r.value != 1');
    expect(wanted.length).toBeGreaterThan(streams / 4);
    expect(sorted(results)).toEqual(sorted(wanted));
    // Nothing is kept beyond its time: only a record of the end itself may wait.
    expect(kept).toBeLessThanOrEqual(4 * streams);
  });
});
