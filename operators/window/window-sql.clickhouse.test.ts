import { Session } from 'chdb';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, toRows } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import type { WindowAggregate, WindowDefinition, WindowKind } from './window-definition.ts';
import { WindowLogic } from './window-logic.ts';

/** Random streams for each kind of window, all in one table, compared in one query. */
const streams = Number(process.env['SLUICE_STREAMS'] ?? 1_000);
const delayMs = 6;
const latenessMs = 4;
/** A record that comes last and closes every window. */
const endMs = 1_000_000;

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
  { name: 'wanted', type: 'boolean', presence: 'optional' },
]);

const input = (
  name: string,
  column: string,
  spec: WindowAggregate['spec'],
  where: string | null = null,
): WindowAggregate => ({
  name,
  spec,
  input: column,
  where,
});

/** Each aggregate with its SQL over the rows of a window. */
const aggregates: readonly (readonly [WindowAggregate, string])[] = [
  [{ name: 'n', spec: { function: 'count' }, input: null, where: null }, 'count()'],
  [input('values', 'amount', { function: 'count' }), 'count(amount)'],
  [input('total', 'amount', { function: 'sum' }), 'sumOrNull(amount)'],
  [input('mean', 'amount', { function: 'avg' }, 'wanted'), 'avgOrNullIf(amount, wanted = 1)'],
  [input('least', 'amount', { function: 'min' }), 'minOrNull(amount)'],
  [input('most', 'amount', { function: 'max' }), 'maxOrNull(amount)'],
  [input('deviation', 'amount', { function: 'stddev' }), 'if(count(amount) < 2, NULL, stddevSamp(amount))'],
  [input('spread', 'amount', { function: 'variance' }), 'if(count(amount) < 2, NULL, varSamp(amount))'],
  [input('earliest', 'place', { function: 'first' }), 'argMinOrNullIf(place, (t, o), place IS NOT NULL)'],
  [input('latest', 'amount', { function: 'last' }), 'argMaxOrNullIf(amount, (t, o), amount IS NOT NULL)'],
  [input('places', 'place', { function: 'distinct' }), 'nullIf(uniqExact(place), 0)'],
  [
    input('all', 'amount', { function: 'collect', limit: 5 }),
    'if(count(amount) = 0, NULL, toJSONString(arraySlice(arrayMap(x -> x.3, arraySort(groupArrayIf((t, o, assumeNotNull(amount)), amount IS NOT NULL))), 1, 5)))',
  ],
  [
    { ...input('bestPlace', 'amount', { function: 'argMax' }), carried: ['place'] },
    'argMinOrNullIf(place, (-amount, t, o), place IS NOT NULL AND amount IS NOT NULL)',
  ],
  [
    { ...input('worstPlace', 'amount', { function: 'argMin' }, 'wanted'), carried: ['place'] },
    'argMinOrNullIf(place, (amount, t, o), wanted = 1 AND place IS NOT NULL AND amount IS NOT NULL)',
  ],
  [
    {
      ...input('podium', 'amount', {
        function: 'top',
        n: 2,
        order: 'descending',
        fields: [
          { name: 'place', isBoolean: false },
          { name: 'wanted', isBoolean: true },
        ],
      }),
      carried: ['place', 'wanted'],
    },
    `if(count(amount) = 0, NULL, concat('[', arrayStringConcat(arrayMap(
      x -> concat('{"place":', if(x.4 IS NULL, 'null', toJSONString(assumeNotNull(x.4))), ',"wanted":', if(x.5 IS NULL, 'null', if(assumeNotNull(x.5), 'true', 'false')), '}'),
      arraySlice(arraySort(x -> (x.1, x.2, x.3), groupArrayIf((-assumeNotNull(amount), t, o, place, wanted), amount IS NOT NULL)), 1, 2)), ','), ']'))`,
  ],
  [
    input('bins', 'amount', { function: 'histogram', boundaries: [0, 5] }),
    `if(count(amount) = 0, NULL, concat('{"boundaries":[0,5],"counts":[', toString(countIf(amount < 0)), ',', toString(countIf(amount >= 0 AND amount < 5)), ',', toString(countIf(amount >= 5)), ']}'))`,
  ],
];

/** Fields of a record of a stream. */
interface Item {
  readonly t: number;
  readonly card: string | null;
  readonly amount: number | null;
  readonly place: string | null;
  readonly wanted: boolean | null;
}

const item = fc.record({
  step: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: -9, max: 7 }) }, fc.integer({ min: 8, max: 40 })),
  card: fc.oneof({ weight: 12, arbitrary: fc.constantFrom('a', 'b') }, fc.constant(null)),
  amount: fc.option(
    fc.integer({ min: -40, max: 90 }).map((n) => n / 8),
    { freq: 6 },
  ),
  place: fc.option(fc.constantFrom('x', 'y', 'é'), { freq: 5 }),
  wanted: fc.option(fc.boolean(), { freq: 6 }),
});

/** Streams with disorder, ties, nulls, repeats and late records; each ends with a record that closes all. */
function sampleStreams(seed: number): readonly (readonly Item[])[] {
  const stream = fc.array(item, { minLength: 1, maxLength: 30 }).map((steps): readonly Item[] => {
    let t = 100;
    const items = steps.map(({ step, ...rest }) => ({ ...rest, t: (t += step) }));
    return [...items, { t: endMs, card: null, amount: null, place: null, wanted: null }];
  });
  return fc.sample(stream, { numRuns: streams, seed });
}

type Result = Record<string, number | string | boolean | null>;

function byOperator(definition: WindowDefinition, sampled: readonly (readonly Item[])[]): Result[] {
  return sampled.flatMap((items, stream) => {
    const batch = recordBatch(
      schema,
      [
        utf8ColumnOf(items.map(({ card }) => card)),
        numberColumnOf(items.map(({ amount }) => amount)),
        utf8ColumnOf(items.map(({ place }) => place)),
        numberColumnOf(items.map(({ wanted }) => (wanted === null ? null : Number(wanted)))),
      ],
      { partition: 0, offset: 0, eventTimesMs: Float64Array.from(items, ({ t }) => t) },
    );
    stampWatermarks(batch, null, new PartitionWatermarks(), { delayMs: definition.delayMs, maxFutureSkewMs: 0 });
    const logic = new WindowLogic(definition, schema, { state: 'empty' });
    return toRows(logic.apply(batch)).map((row) => ({ stream, ...row }));
  });
}

/** The rows of each window, as SQL: `key`, `start`, `end` beside the record's columns, late records left out. */
function windowsSql(window: WindowKind): string {
  const inTime = `w IS NULL OR w < end + ${latenessMs}`;
  switch (window.kind) {
    case 'tumbling':
    case 'hopping': {
      const every = window.kind === 'tumbling' ? window.sizeMs : window.everyMs;
      const count = Math.ceil(window.sizeMs / every);
      return `SELECT * FROM (
        SELECT *, toInt64(floor((t - ${window.startMs}) / ${every})) * ${every} + ${window.startMs} - n * ${every} AS start, start + ${window.sizeMs} AS end
        FROM stamped ARRAY JOIN range(${count}) AS n) WHERE t < end AND (${inTime})`;
    }
    case 'session':
      // Without late records, which the naive twin has: whether one is late depends on the sessions before it.
      return `SELECT *, min(t) OVER session AS start, max(t) OVER session + ${window.gapMs} AS end FROM (
        SELECT *, sum(opens) OVER (PARTITION BY stream, card ORDER BY t, o ROWS UNBOUNDED PRECEDING) AS number FROM (
          SELECT *, t - lagInFrame(t, 1, -1000000) OVER (PARTITION BY stream, card ORDER BY t, o ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) >= ${window.gapMs} AS opens FROM stamped))
        WINDOW session AS (PARTITION BY stream, card, number)`;
    case 'count':
      return `SELECT * FROM (SELECT *, min(t) OVER full AS start, max(t) OVER full + 1 AS end, count() OVER full AS size FROM (
        SELECT *, intDiv(row_number() OVER (PARTITION BY stream, card ORDER BY o) - 1, ${window.size}) AS number FROM stamped)
        WINDOW full AS (PARTITION BY stream, card, number)) WHERE size = ${window.size}`;
  }
}

function bySql(session: Session, window: WindowKind, of: 'each card' | 'all' = 'each card'): Result[] {
  const number = window.kind === 'session' || window.kind === 'count' ? ', number' : '';
  const sql = `
    WITH stamped AS (
      SELECT * FROM (
        SELECT *, maxOrNull(t) OVER (PARTITION BY stream ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) - ${delayMs} AS w
        FROM ${of === 'all' ? "(SELECT * REPLACE (if(card IS NULL AND amount IS NULL AND place IS NULL AND wanted IS NULL, NULL, '') AS card) FROM log)" : 'log'}) WHERE card IS NOT NULL)
    SELECT stream, ${of === 'all' ? '' : 'assumeNotNull(card) AS card, '}start AS window_start, end AS window_end,
      ${aggregates.map(([{ name }, expression]) => `${expression} AS \`${name}\``).join(',\n      ')}
    FROM (${windowsSql(window)})
    GROUP BY stream, card, start, end${number}
    FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0`;
  return session
    .query(sql)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Result);
}

const nameOf = (row: Result): string =>
  [row['stream'], row['card'], row['window_start'], row['window_end'], row['all'], row['n']].join(' ');

/** The first difference of more than rounding, in words. */
function differences(got: readonly Result[], wanted: readonly Result[]): string[] {
  const sorted = (rows: readonly Result[]): Result[] => rows.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  if (got.length !== wanted.length) return [`${got.length} results by the operator, ${wanted.length} by SQL`];
  const others = sorted(wanted);
  return sorted(got).flatMap((row, index) =>
    Object.entries(others[index] ?? {}).flatMap(([name, value]) => {
      const found = row[name] ?? null;
      const isClose =
        typeof value === 'number' && typeof found === 'number'
          ? Math.abs(value - found) <= 1e-9 * Math.max(1, Math.abs(value))
          : value === found;
      return isClose ? [] : [`${nameOf(row)}: ${name} is ${String(found)}, by SQL ${String(value)}`];
    }),
  );
}

function insert(session: Session, sampled: readonly (readonly Item[])[]): void {
  const lines = sampled.flatMap((items, stream) => items.map((values, o) => JSON.stringify({ stream, o, ...values })));
  session.query(
    'CREATE OR REPLACE TABLE log (stream Int64, o Int64, t Int64, card Nullable(String), amount Nullable(Float64), place Nullable(String), wanted Nullable(Bool)) ENGINE = MergeTree ORDER BY (stream, o)',
  );
  session.query(`INSERT INTO log FORMAT JSONEachRow ${lines.join('\n')}`);
}

function definitionOf(window: WindowKind): WindowDefinition {
  return {
    operatorId: 'w',
    key: ['card'],
    window,
    where: null,
    aggregates: aggregates.map(([aggregate]) => aggregate),
    outputMode: 'append',
    allowedLatenessMs: latenessMs,
    lateness: 'wait',
    delayMs: window.kind === 'session' ? endMs / 2 : delayMs,
    closedBy: 'partition',
  };
}

describe('windows against ClickHouse', () => {
  let session: Session;
  beforeAll(() => {
    session = new Session();
  });
  afterAll(() => {
    session.cleanup();
  });

  it.each<WindowKind>([
    { kind: 'tumbling', sizeMs: 10, startMs: 3 },
    { kind: 'hopping', sizeMs: 12, everyMs: 5, startMs: 0 },
    { kind: 'count', size: 4 },
  ])('give what SQL gives over all keys together: $kind', (window) => {
    const sampled = sampleStreams(JSON.stringify(window).length + 1);
    insert(session, sampled);
    const got = byOperator({ ...definitionOf(window), key: [], closedBy: 'query' }, sampled);
    expect(got.length).toBeGreaterThan(streams / 2);
    expect(differences(got, bySql(session, window, 'all'))).toEqual([]);
  });

  it.each<WindowKind>([
    { kind: 'tumbling', sizeMs: 10, startMs: 3 },
    { kind: 'hopping', sizeMs: 12, everyMs: 5, startMs: 0 },
    { kind: 'hopping', sizeMs: 12, everyMs: 4, startMs: 1 },
    { kind: 'session', gapMs: 6 },
    { kind: 'count', size: 3 },
  ])('give what SQL gives over the log: $kind', (window) => {
    const sampled = sampleStreams(JSON.stringify(window).length);
    insert(session, sampled);
    const got = byOperator(definitionOf(window), sampled);
    expect(got.length).toBeGreaterThan(streams);
    expect(differences(got, bySql(session, window))).toEqual([]);
  });
});
