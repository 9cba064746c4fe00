import { Session } from 'chdb';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, toRows } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { explodeRows } from './explode.ts';

const schema = new Schema([
  { name: 'id', type: 'string', presence: 'required' },
  { name: 'list', type: 'string', presence: 'optional' },
]);

function explode(
  lists: readonly (string | null)[],
  form: 'json' | { readonly separator: string },
): {
  readonly rows: readonly unknown[];
  readonly rejected: readonly number[];
  readonly taken: number;
} {
  const rejected = new RejectedRecords('log');
  const batch = recordBatch(schema, [utf8ColumnOf(lists.map((_, row) => `r${row}`)), utf8ColumnOf(lists)], {
    partition: 0,
    offset: 0,
    eventTimesMs: Float64Array.from(lists, (_, row) => row),
  });
  const { records, taken } = explodeRows({ from: 'list', form, as: 'item' }, schema, rejected)(batch);
  const rows = toRows(records).map(({ id, item }, index) => ({ id, item, o: records.offsets[index] }));
  return { rows, rejected: rejected.take().map(({ offset }) => offset), taken };
}

const text = fc.constantFrom('a', ' b ', 'é"', '', ',', '7');

describe('a record of each item of a list', () => {
  let session: Session;
  beforeAll(() => {
    session = new Session();
  });
  afterAll(() => {
    session.cleanup();
  });

  it('is what ClickHouse’s ARRAY JOIN gives, for a thousand streams of lists of texts', () => {
    const streams = fc.sample(fc.array(fc.option(fc.array(text, { maxLength: 4 })), { minLength: 1, maxLength: 8 }), {
      numRuns: 1_000,
      seed: 5,
    });
    const lines = streams.flatMap((lists, stream) =>
      lists.map((list, o) => JSON.stringify({ stream, o, list: list === null ? null : JSON.stringify(list) })),
    );
    session.query(
      'CREATE OR REPLACE TABLE log (stream Int64, o Int64, list Nullable(String)) ENGINE = MergeTree ORDER BY (stream, o)',
    );
    session.query(`INSERT INTO log FORMAT JSONEachRow ${lines.join('\n')}`);
    const sql = session.query(
      `SELECT stream, o, item FROM log ARRAY JOIN JSONExtract(ifNull(list, '[]'), 'Array(String)') AS item ORDER BY stream, o
       FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0`,
    );
    const wanted = sql
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    const got = streams.flatMap((lists, stream) =>
      explode(
        lists.map((list) => (list === null ? null : JSON.stringify(list))),
        'json',
      ).rows.map((row) => ({ stream, o: (row as { o: number }).o, item: (row as { item: string }).item })),
    );
    expect(got.length).toBeGreaterThan(1_000);
    expect(got).toEqual(wanted);
  });

  it('is none for what is no list, which is rejected, and for nulls, which are taken', () => {
    expect(explode(['{}', null, '[', '[1,null,"x",[2]]', '7'], 'json')).toEqual({
      rows: ['1', 'null', 'x', '[2]'].map((item) => ({ id: 'r3', item, o: 3 })),
      rejected: [0, 2, 4],
      taken: 2,
    });
  });

  it('is one for each text between separators, without what is empty', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.array(text, { maxLength: 4 })), { maxLength: 8 }), (lists) => {
        const { rows, rejected } = explode(
          lists.map((list) => list?.join(';') ?? null),
          { separator: ';' },
        );
        const wanted = lists.flatMap((list, o) =>
          (list ?? []).flatMap((item) => (item.trim() === '' ? [] : [{ id: `r${o}`, item: item.trim(), o }])),
        );
        expect(rows).toEqual(wanted);
        expect(rejected).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });
});
