import { Session } from 'chdb';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, selectRows, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import { inputColumn, joinFields, type JoinDefinition, type JoinKind } from '../join/join-definition.ts';
import { emittedOf } from './emit-flow.ts';
import { InputFlow } from './input-flow.ts';
import { JoinFlow, type JoinInput } from './join-flow.ts';

/** Random streams for each pair of kinds, all in one table, compared in one query. */
const streams = Number(process.env['SLUICE_STREAMS'] ?? 1_000);
const inputs = ['a', 'b', 'c'] as const;
const delaysMs = [4, 7, 2] as const;
const latenessMs = 3;
/** Records that come last, one in each partition of each input, and let everything go. */
const endMs = 1_000_000;

const fieldsOf = (name: string): readonly Field[] => [
  { name: `${name}.card`, type: 'string', presence: 'optional' },
  { name: `${name}.shop`, type: 'long', presence: 'optional' },
  { name: `${name}.value`, type: 'double', presence: 'optional' },
];
const number: Field = { name: inputColumn, type: 'long', presence: 'optional' };
const schema = new Schema([number, ...inputs.flatMap(fieldsOf)]);

interface Item {
  readonly side: 0 | 1 | 2;
  readonly partition: 0 | 1;
  readonly t: number;
  readonly card: string | null;
  readonly shop: number | null;
  readonly value: number | null;
}

const item = fc.record({
  side: fc.constantFrom(0 as const, 1 as const, 2 as const),
  partition: fc.constantFrom(0 as const, 1 as const),
  step: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -6, max: 6 }) }, fc.integer({ min: -30, max: 30 })),
  card: fc.oneof({ weight: 12, arbitrary: fc.constantFrom('a', 'b') }, fc.constant(null)),
  shop: fc.oneof({ weight: 20, arbitrary: fc.constantFrom(1, 2) }, fc.constant(null)),
  value: fc.option(fc.integer({ min: 0, max: 5 }), { freq: 5 }),
});

/** Streams with disorder, ties, nulls, repeats and late records in two partitions of three inputs. */
function sampleStreams(seed: number): readonly (readonly Item[])[] {
  const stream = fc.array(item, { minLength: 1, maxLength: 40 }).map((steps): readonly Item[] => {
    let t = 100;
    const items = steps.map(({ step, ...rest }): Item => ({ ...rest, t: (t += step) }));
    // Twice: what waits for what a join has let go comes with the second.
    const ends = [endMs, 2 * endMs].flatMap((at) =>
      ([0, 1, 2] as const).flatMap((side) =>
        ([0, 1] as const).map((partition): Item => ({ side, partition, t: at, card: null, shop: null, value: null })),
      ),
    );
    return [...items, ...ends];
  });
  return fc.sample(stream, { numRuns: streams, seed });
}

const sideOf = (input: 0 | 1, names: readonly string[], key: string) => ({ input, key: [key], columns: names });
const namesOf = (...of: readonly string[]): readonly string[] =>
  of.flatMap((name) => fieldsOf(name).map((field) => field.name));

/** (a ⋈ b by card) ⋈ c by the shop of a. */
function definitions(first: JoinKind, second: JoinKind): readonly [JoinDefinition, JoinDefinition] {
  const common = { allowedLatenessMs: latenessMs };
  return [
    {
      ...common,
      operatorId: 'ab',
      kind: first,
      left: sideOf(0, namesOf('a'), 'a.card'),
      right: sideOf(1, namesOf('b'), 'b.card'),
      key: ['card'],
      beforeMs: 5,
      afterMs: 9,
      delaysMs: [delaysMs[0], delaysMs[1]],
    },
    {
      ...common,
      operatorId: 'abc',
      kind: second,
      left: sideOf(0, namesOf('a', 'b'), 'a.shop'),
      right: sideOf(1, namesOf('c'), 'c.shop'),
      key: ['shop'],
      beforeMs: 12,
      afterMs: 4,
      delaysMs: [Infinity, delaysMs[2]],
    },
  ];
}

function open(first: JoinKind, second: JoinKind): JoinFlow {
  const [ab, abc] = definitions(first, second);
  const start = { state: 'empty' } as const;
  const state = { getMany: () => Promise.resolve([]), async *scan() {} };
  const inputOf = (input: number): JoinInput => {
    const columns = namesOf(inputs[input] ?? '');
    const own = new Schema(fieldsOf(inputs[input] ?? ''));
    return {
      node: new InputFlow({ input, inputCount: 3, columns, schema: own }),
      gives: 'records',
      partitionOf: (partition) => Math.floor(partition / 3),
    };
  };
  const abSchema = new Schema([number, ...fieldsOf('a'), ...fieldsOf('b')]);
  const joined = new JoinFlow(
    {
      definition: ab,
      condition: null,
      schema: abSchema,
      left: inputOf(0),
      right: inputOf(1),
      outputs: 'results and marks',
      rows: 'numbered',
    },
    start,
    state,
  );
  const abcSchema = new Schema([number, ...joinFields(ab, abSchema), ...fieldsOf('c')]);
  const left: JoinInput = { node: joined, gives: 'results', partitionOf: () => 0 };
  return new JoinFlow(
    {
      definition: abc,
      condition: null,
      schema: abcSchema,
      left,
      right: inputOf(2),
      outputs: 'results',
      rows: 'as they are',
    },
    start,
    state,
  );
}

function batchOf(items: readonly Item[]): RecordBatch {
  const only = <T>(side: number, valueOf: (item: Item) => T): (T | null)[] =>
    items.map((each) => (each.side === side ? valueOf(each) : null));
  const columns = [
    numberColumnOf(items.map(({ side }) => side)),
    ...inputs.flatMap((_, side) => [
      utf8ColumnOf(only(side, ({ card }) => card)),
      numberColumnOf(only(side, ({ shop }) => shop)),
      numberColumnOf(only(side, ({ value }) => value)),
    ]),
  ];
  const batch = recordBatch(schema, columns, {
    partition: Int32Array.from(items, ({ side, partition }) => partition * 3 + side),
    offset: Float64Array.from(items, (_, at) => at),
    eventTimesMs: Float64Array.from(items, ({ t }) => t),
  });
  const rules = delaysMs.map((delayMs) => ({ delayMs, maxFutureSkewMs: 0 }));
  stampWatermarks(batch, null, new PartitionWatermarks(), { inputs: rules });
  return batch;
}

type Row = Record<string, number | string | boolean | null>;

async function byOperator(
  first: JoinKind,
  second: JoinKind,
  sampled: readonly (readonly Item[])[],
): Promise<{ readonly results: Row[]; readonly late: string[] }> {
  const results: Row[] = [];
  const late: string[] = [];
  for (const [stream, items] of sampled.entries()) {
    const chain = open(first, second);
    const whole = batchOf(items);
    let counted = 0;
    // Cut anywhere: by what the stream itself is.
    const size = 1 + (stream % 7) * 3;
    for (let at = 0; at < items.length; at += size) {
      const rows = Int32Array.from({ length: Math.min(size, items.length - at) }, (_, index) => at + index);
      const batch = selectRows(whole, rows);
      const emitted = emittedOf(await chain.run(batch), batch, 'results');
      counted += emitted.taken + emitted.filtered + emitted.late.rowCount;
      results.push(...toRows(emitted.records).map((row) => ({ stream, ...row })));
      late.push(...Array.from(emitted.late.offsets, (offset) => `${stream}/${offset}`));
    }
    expect(counted).toBe(items.length);
  }
  return { results, late };
}

const isKept = (kind: JoinKind, side: 'left' | 'right'): boolean => kind === 'full' || kind === side;
const none = '-1000000';

/** The log with the watermark of each record's own partition, and that of the join which it enters, as they stood before it. */
function stampedSql([ab]: readonly [JoinDefinition, JoinDefinition]): string {
  // What comes out of the first join alone has waited for its partners.
  const heldMs = Math.max(isKept(ab.kind, 'left') ? ab.afterMs : 0, isKept(ab.kind, 'right') ? ab.beforeMs : 0);
  const before = 'OVER (PARTITION BY stream ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)';
  const least = (name: string): string =>
    `least(if(${name}0 = ${none}, ${name}1, ${name}0), if(${name}1 = ${none}, ${name}0, ${name}1)) AS ${name}`;
  return `
  SELECT *, t < greatest(own, if(side = 2, j2, j1)) - ${latenessMs} AS late FROM (
    SELECT *,
      ifNull(maxOrNull(t) OVER (PARTITION BY stream, side, part ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) - delay, ${none}) AS own,
      ifNull(maxOrNull(j1after) ${before}, ${none}) AS j1,
      ifNull(maxOrNull(if(j1after = ${none} OR wc = ${none}, ${none}, least(j1after - ${heldMs}, wc))) ${before}, ${none}) AS j2
    FROM (
      SELECT *, max(least(wa, wb)) OVER (PARTITION BY stream ORDER BY o ROWS UNBOUNDED PRECEDING) AS j1after FROM (
        SELECT *, ${['wa', 'wb', 'wc'].map(least).join(', ')} FROM (
          SELECT *, [${delaysMs.join(', ')}][side + 1] AS delay,
            ${[0, 1, 2].flatMap((side) => [0, 1].map((part) => `ifNull(maxOrNullIf(t, side = ${side} AND part = ${part}) OVER seen - ${delaysMs[side as 0 | 1 | 2]}, ${none}) AS ${['wa', 'wb', 'wc'][side]}${part}`)).join(',\n            ')}
          FROM log WINDOW seen AS (PARTITION BY stream ORDER BY o ROWS UNBOUNDED PRECEDING)))))`;
}

const values = (name: string, from: string | null): string =>
  ['card', 'shop', 'value']
    .map((field) => `${from === null ? 'NULL' : `${from}.${field}`} AS ${name}_${field}`)
    .join(', ');
const kept = (...names: readonly string[]): string =>
  names.flatMap((name) => ['card', 'shop', 'value'].map((field) => `${name}_${field}`)).join(', ');

function bySql(session: Session, first: JoinKind, second: JoinKind): Row[] {
  const [ab, abc] = definitions(first, second);
  const sideSql = (side: number): string => `(SELECT * FROM stamped WHERE side = ${side} AND NOT late)`;
  const ctes = [`stamped AS (${stampedSql([ab, abc])})`];
  ctes.push(`abPairs AS (SELECT l.stream AS stream, l.o AS lo, r.o AS ro, greatest(l.t, r.t) AS t, ${values('a', 'l')}, ${values('b', 'r')}
    FROM ${sideSql(0)} AS l JOIN ${sideSql(1)} AS r ON l.stream = r.stream AND l.card = r.card WHERE r.t BETWEEN l.t - ${ab.beforeMs} AND l.t + ${ab.afterMs})`);
  const one = `stream, lo, ro, toNullable(t) AS t, ${kept('a', 'b')}`;
  const abParts = [`SELECT ${one} FROM abPairs`];
  if (isKept(first, 'left'))
    abParts.push(
      `SELECT ${one} FROM (SELECT stream, o AS lo, -1 AS ro, t, ${values('a', 's')}, ${values('b', null)} FROM ${sideSql(0)} AS s WHERE (stream, o) NOT IN (SELECT stream, lo FROM abPairs))`,
    );
  if (isKept(first, 'right'))
    abParts.push(
      `SELECT ${one} FROM (SELECT stream, -1 AS lo, o AS ro, t, ${values('a', null)}, ${values('b', 's')} FROM ${sideSql(1)} AS s WHERE (stream, o) NOT IN (SELECT stream, ro FROM abPairs))`,
    );
  ctes.push(`ab AS (${abParts.join(' UNION ALL ')})`);
  ctes.push(`pairs AS (SELECT l.stream AS stream, l.lo AS lo, l.ro AS ro, r.o AS co, greatest(l.t, r.t) AS t, l.a_shop AS shop, ${kept('a', 'b')}, ${values('c', 'r')}
    FROM ab AS l JOIN ${sideSql(2)} AS r ON l.stream = r.stream AND l.a_shop = r.shop WHERE r.t BETWEEN l.t - ${abc.beforeMs} AND l.t + ${abc.afterMs})`);
  const all = `stream, toNullable(t) AS event_time, shop, ${kept('a', 'b', 'c')}`;
  const parts = [`SELECT ${all} FROM pairs`];
  if (isKept(second, 'left'))
    parts.push(
      `SELECT ${all} FROM (SELECT stream, t, a_shop AS shop, ${kept('a', 'b')}, ${values('c', null)} FROM ab WHERE (stream, lo, ro) NOT IN (SELECT stream, lo, ro FROM pairs))`,
    );
  if (isKept(second, 'right'))
    parts.push(
      `SELECT ${all} FROM (SELECT stream, t, s.shop AS shop, ${values('a', null)}, ${values('b', null)}, ${values('c', 's')} FROM ${sideSql(2)} AS s WHERE (stream, o) NOT IN (SELECT stream, co FROM pairs))`,
    );
  return linesOf(
    session.query(`WITH ${ctes.join(',\n')} SELECT * FROM (${parts.join('\nUNION ALL\n')})
    FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0, join_use_nulls = 1`),
  );
}

const linesOf = (text: string): Row[] =>
  text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);

/** Results as a multiset, but for those of the ends themselves, some of which wait for ever. */
const sorted = (rows: readonly Row[]): string[] =>
  rows
    .filter((row) => Number(row['event_time']) < endMs)
    .map((row) =>
      JSON.stringify(
        ['stream', 'event_time', 'shop', ...namesOf('a', 'b', 'c')].map(
          (name) => row[name] ?? row[name.replace('.', '_')] ?? null,
        ),
      ),
    )
    .sort();

describe('chains of joins against ClickHouse', () => {
  let session: Session;
  beforeAll(() => {
    session = new Session();
  });
  afterAll(() => {
    session.cleanup();
  });

  it.each<readonly [JoinKind, JoinKind]>([
    ['inner', 'inner'],
    ['left', 'left'],
    ['right', 'inner'],
    ['full', 'full'],
    ['left', 'right'],
  ])(
    '(a %s join b) %s join c: what SQL gives for one join over the other',
    async (first, second) => {
      const sampled = sampleStreams(first.length * 10 + second.length);
      const lines = sampled.flatMap((items, stream) =>
        items.map(({ partition, ...rest }, o) => JSON.stringify({ stream, o, part: partition, ...rest })),
      );
      session.query(
        'CREATE OR REPLACE TABLE log (stream Int64, o Int64, side UInt8, part UInt8, t Int64, card Nullable(String), shop Nullable(Int64), value Nullable(Int64)) ENGINE = MergeTree ORDER BY (stream, o)',
      );
      session.query(`INSERT INTO log FORMAT JSONEachRow ${lines.join('\n')}`);
      const { results, late } = await byOperator(first, second, sampled);
      const lateBySql = linesOf(
        session.query(
          `SELECT stream, o FROM (${stampedSql(definitions(first, second))}) WHERE late FORMAT JSONEachRow`,
        ),
      ).map(({ stream, o }) => `${String(stream)}/${String(o)}`);
      expect(late.length).toBeGreaterThan(streams / 4);
      expect(late.toSorted()).toEqual(lateBySql.toSorted());
      const wanted = sorted(bySql(session, first, second));
      expect(wanted.length).toBeGreaterThan(streams / 8);
      expect(sorted(results)).toEqual(wanted);
    },
    240_000,
  );
});
