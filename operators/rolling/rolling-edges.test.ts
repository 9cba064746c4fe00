import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { DEGRADED, GUARDED, LATE, recordBatch, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { describeRolling } from './describe-rolling.ts';
import type { RollingAggregate, RollingDefinition } from './rolling-definition.ts';
import { RollingLogic } from './rolling-logic.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
]);

interface Row {
  readonly card?: string | null;
  readonly t: number;
  readonly amount?: number | null;
  readonly place?: string | null;
  /** The watermark that the record finds. */
  readonly w?: number;
  readonly flags?: number;
}

function batchOf(rows: readonly Row[]): RecordBatch {
  const batch = recordBatch(
    schema,
    [
      utf8ColumnOf(rows.map(({ card = 'a' }) => card)),
      numberColumnOf(rows.map(({ amount = 1 }) => amount)),
      utf8ColumnOf(rows.map(({ place = null }) => place)),
    ],
    { partition: 0, offset: 0, eventTimesMs: Float64Array.from(rows, ({ t }) => t) },
  );
  rows.forEach(({ w = -Infinity, flags = 0 }, row) => {
    batch.watermarksMs[row] = w;
    batch.flags[row] = flags;
  });
  return batch;
}

function aggregate(more: Partial<RollingAggregate>): RollingAggregate {
  const defaults = { input: null, where: null, overMs: 1_000, delayMs: 0, n: null, halfLifeMs: null } as const;
  return { name: 'n', function: 'count', current: 'exclude', ...defaults, ...more };
}

const definition: RollingDefinition = {
  operatorId: 'op',
  key: ['card'],
  aggregates: [aggregate({})],
  allowedLatenessMs: 20,
};

const opened = (change: Partial<RollingDefinition> = {}, state: 'empty' | 'stored' = 'empty'): RollingLogic =>
  new RollingLogic({ ...definition, ...change }, schema, { state, watermarks: new PartitionWatermarks() });

describe('the texts of rolling features', () => {
  it('stay with the rows that have them when those are forgotten that no row has any more', () => {
    const logic = opened({
      aggregates: [
        aggregate({ name: 'place', function: 'lastN', input: 'place', n: 3 }),
        aggregate({ name: 'amounts', function: 'distinct', input: 'amount', current: 'include' }),
        aggregate({ name: 'total', function: 'sum', input: 'amount' }),
      ],
    });
    const kept = Array.from({ length: 6 }, (_, i) => `kept ${i}`);
    // So many texts and numbers that those of no row are looked for; each key of the others is there for a second of event time.
    const others = (from: number, to: number): void => {
      for (let t = from; t < to; t += 1_000) {
        logic.apply(
          batchOf(
            Array.from({ length: 1_000 }, (_, i) => {
              return { card: `other ${(t + i) % 50}`, t: t + i, place: `text ${t + i}`, amount: t + i, w: t + i - 1 };
            }),
          ),
        );
      }
    };
    others(0, 32_000);
    logic.apply(
      batchOf(
        kept.flatMap((card, i) => [
          { card, t: 32_000, place: `${card} first`, amount: 1 },
          { card, t: 32_001, place: null, amount: i },
          { card, t: 32_002, place: `${card} last`, amount: null },
        ]),
      ),
    );
    others(32_003, 33_003);
    const answers = toRows(logic.apply(batchOf(kept.map((card, i) => ({ card, t: 32_900, place: 'new', amount: i })))));
    expect(
      answers.map((row) => [row['place_1'], row['place_2'], row['place_3'], row['amounts'], row['total']]),
    ).toEqual(kept.map((card, i) => [`${card} last`, `${card} first`, null, i === 1 ? 1 : 2, 1 + i]));
  });
});

describe('a record of a rolling feature', () => {
  const flagsOf = (row: Row): number[] => [...opened().apply(batchOf([row])).flags];

  it('is degraded when the watermark is more than the allowed lateness past it, and late beyond the longest window', () => {
    expect(flagsOf({ t: 100, w: 120 })).toEqual([0]);
    expect(flagsOf({ t: 99, w: 120 })).toEqual([DEGRADED]);
    expect(flagsOf({ t: 100, w: 1_120 })).toEqual([DEGRADED]);
    expect(flagsOf({ t: 99, w: 1_120 })).toEqual([LATE]);
  });

  it('keeps what it was flagged before, and its batch is left as it was', () => {
    const batch = batchOf([
      { t: 99, w: 120, flags: GUARDED },
      { t: 99, card: null, w: 120, flags: GUARDED },
    ]);
    expect([...opened().apply(batch).flags]).toEqual([DEGRADED | GUARDED, GUARDED]);
    expect([...batch.flags]).toEqual([GUARDED, GUARDED]);
  });

  it('is answered under the fields of the definition, behind its own', () => {
    const logic = opened();
    const names = ['card', 'amount', 'place', 'n'];
    expect(logic.outputSchema.fields.map(({ name }) => name)).toEqual(names);
    expect(logic.apply(batchOf([])).schema.fields.map(({ name }) => name)).toEqual(names);
  });

  it('does not see what its watermark has passed, whether or not it is still there', () => {
    const countAt = (w: number): unknown => toRows(opened().apply(batchOf([{ t: 0 }, { t: 1, w }])))[1]?.['n'];
    expect([countAt(1_019), countAt(1_020)]).toEqual([1, 0]);
  });
});

describe('the stored state of rolling features', () => {
  const nothing: StateReader = {
    getMany: () => Promise.reject(new Error('there is nothing to read')),
    async *scan() {},
  };

  it('is not looked for where there can be none', async () => {
    await expect(opened().prefetch(batchOf([{ t: 0 }]), nothing)).resolves.toBeUndefined();
  });

  it('is asked for what is not in memory alone, in one call', async () => {
    const asked: string[][] = [];
    const reader: StateReader = {
      getMany: (operatorId, keys) => {
        asked.push([operatorId, ...keys.map((key) => Buffer.from(key).toString())]);
        return Promise.resolve(keys.map(() => null));
      },
      async *scan() {},
    };
    const logic = opened({}, 'stored');
    const batches = [
      batchOf([{ t: 0 }, { t: 1, card: 'b' }, { t: 2 }, { t: 3, card: null }]),
      batchOf([{ t: 4 }]),
      batchOf([{ t: 5, card: 'c' }]),
    ];
    for (const batch of batches) {
      await logic.prefetch(batch, reader);
      logic.apply(batch);
    }
    expect(asked).toEqual([
      ['op', 'a', 'b'],
      ['op', 'c'],
    ]);
  });

  it('is written without the rows that the watermark has passed', () => {
    const aggregates = [aggregate({ function: 'sum', input: 'amount' })];
    const logic = opened({ aggregates });
    logic.apply(batchOf([{ t: 0 }, { t: 1 }, { t: 500, w: 500 }, { t: 1_100, w: 1_020 }]));
    const describer = describeRolling({ ...definition, aggregates }, schema);
    const rows = logic
      .takeChanges()
      .flatMap(({ key, value }) => (value === null ? [] : describer.rowsOf({ key, value })));
    expect(rows.map(({ eventTimeMs }) => eventTimeMs)).toEqual([1, 500, 1_100]);
  });
});
