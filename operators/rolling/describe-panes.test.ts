import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectRows } from '../../engine/record/record-batch.ts';
import type { KeptRow } from '../../engine/state/state-describer.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { describeRolling } from './describe-rolling.ts';
import { RollingLogic } from './rolling-logic.ts';
import type { RollingAggregate, RollingDefinition, RollingFunction } from './rolling-definition.ts';
import { cardBatch, cardSchema, CardStore, cardStreams, type CardRow } from './testing/card-rows.ts';

function aggregate(name: string, fn: RollingFunction, more: Partial<RollingAggregate> = {}): RollingAggregate {
  const usual = { where: null, overMs: 40, delayMs: 0, current: 'exclude', n: null, halfLifeMs: null } as const;
  return { name, function: fn, input: 'amount', ...usual, ...more };
}

const inPanes: RollingDefinition = {
  operatorId: 'card',
  key: ['card'],
  aggregates: [
    aggregate('sum', 'sum'),
    aggregate('dev', 'stddev', { where: 'flagged' }),
    aggregate('max', 'max'),
    aggregate('min', 'min'),
    aggregate('first', 'first'),
    aggregate('since', 'sinceLast', { input: null }),
  ],
  allowedLatenessMs: 3,
  panes: { sizeMs: 10 },
};
const compacting: RollingDefinition = { ...inPanes, panes: { sizeMs: 10, aboveRecords: 8 } };

/** Runs a stream in batches of these sizes, with a flush after each, and gives what is stored then of what a record could still see. */
async function keptRows(
  definition: RollingDefinition,
  rows: readonly CardRow[],
  sizes: readonly number[],
): Promise<readonly KeptRow[]> {
  const describer = describeRolling(definition, cardSchema);
  const whole = cardBatch(rows, 5);
  const watermarks = new PartitionWatermarks();
  const logic = new RollingLogic(definition, cardSchema, { state: 'empty', watermarks });
  const store = new CardStore();
  for (let at = 0, turn = 0; at < rows.length; turn++) {
    const size = Math.min(sizes[turn % sizes.length] ?? rows.length, rows.length - at);
    const part = selectRows(
      whole,
      Int32Array.from({ length: size }, (_, i) => at + i),
    );
    await logic.prefetch(part, store);
    logic.apply(part);
    watermarks.observe(part);
    store.write(logic.takeChanges());
    at += size;
  }
  // The lowest watermark falls where a partition is heard for the first time: what it had passed before may be gone, however batches are cut.
  const heard = new PartitionWatermarks();
  const minimaMs = rows.map((_, row) => {
    heard.observe(selectRows(whole, Int32Array.of(row)));
    return heard.minimumMs();
  });
  const horizonMs = Math.max(...minimaMs) - (describer.keepsMs ?? 0);
  const entries = [...store.values].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries
    .flatMap(([key, value]) => describer.rowsOf({ key: Buffer.from(key, 'hex'), value }))
    .filter(({ eventTimeMs }) => (eventTimeMs ?? 0) > horizonMs);
}

describe('stored panes', () => {
  it('read as one row for each pane, under its end', async () => {
    const times = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 25];
    const rows = times.map((t): CardRow => ({ card: 'a', amount: t, flagged: t % 2, t }));
    const kept = await keptRows(inPanes, rows, [rows.length]);
    expect(kept.map(({ eventTimeMs }) => eventTimeMs)).toEqual([10, 20, 30]);
    expect(kept[0]?.values).toEqual({
      'count of records': 9,
      'last of records': 1,
      'time of last of records': 10,
      'count of amount': 9,
      'sum of amount': 46,
      'min of amount': 1,
      'max of amount': 10,
      'first of amount': 1,
      'time of first of amount': 1,
      'count of amount where flagged': 4,
      'sum of amount where flagged': 16,
      'sum of squares of amount where flagged': 84,
    });
  });

  it('read as they are where panes were made, and as panes where their records are kept one by one', async () => {
    const definition = {
      ...inPanes,
      aggregates: [aggregate('max', 'max'), aggregate('n', 'count', { where: 'flagged' })],
    };
    // The pane up to 10 is sealed, that up to 20 has its rows beside it, that up to 30 is two rows, and that up to 0 one that came last.
    const rows = [1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 21, 22, -7].map((t): CardRow => {
      return { card: 'a', amount: t === 22 ? null : -t, flagged: t === 12 ? 1 : null, t };
    });
    const pane = (end: number, records: number, amounts: number, max: number | null, flagged: number): KeptRow => ({
      key: Buffer.from('a'),
      eventTimeMs: end,
      values: {
        'count of records': records,
        'count of amount': amounts,
        'max of amount': max,
        'count of amount where flagged': flagged,
      },
    });
    const wanted = [pane(0, 1, 1, 7, 0), pane(10, 5, 5, -1, 0), pane(20, 5, 5, -11, 1), pane(30, 2, 1, -21, 0)];
    for (const sizes of [[13], [1], [5, 3]]) expect(await keptRows(definition, rows, sizes)).toEqual(wanted);
  });

  it('of a key that is compacted read as panes up to there, and record by record behind', async () => {
    const aggregates = [
      aggregate('max', 'max'),
      aggregate('n', 'count', { where: 'flagged' }),
      aggregate('m', 'count', { input: null, where: 'flagged', delayMs: 4 }),
    ];
    const definition = { ...compacting, aggregates };
    const card = (t: number): CardRow => ({ card: 'a', amount: t === 31 ? null : t, flagged: t === 32 ? 0 : 1, t });
    const row = (t: number, amount: number | null, flagged: number | null, records: number | null): KeptRow => ({
      key: Buffer.from('a'),
      eventTimeMs: t,
      values: { amount, 'amount where flagged': flagged, 'records where flagged': records },
    });
    const pane = (end: number, records: number, max: number): KeptRow => ({
      key: Buffer.from('a'),
      eventTimeMs: end,
      values: {
        'count of records': records,
        'count of amount': records,
        'max of amount': max,
        'count of amount where flagged': records,
        'count of records where flagged': records,
      },
    });
    const few = [1, 2, 3, 11];
    expect(await keptRows(definition, few.map(card), [9])).toEqual(few.map((t) => row(t, t, t, 1)));
    // The ninth record comes when the watermark is 27: what is later than 20 may still be split.
    const many = [1, 2, 3, 4, 20, 21, 22, 32, 31];
    expect(await keptRows(definition, many.map(card), [9])).toEqual([
      pane(10, 4, 4),
      pane(20, 1, 20),
      row(21, 21, 21, 1),
      row(22, 22, 22, 1),
      row(31, null, null, 1),
      row(32, 32, null, null),
    ]);
    // A pane that has been made behind that point is not shown beside its records.
    const more = [...many, 23, 24, 25];
    expect((await keptRows(definition, more.map(card), [20])).map(({ eventTimeMs }) => eventTimeMs)).toEqual([
      10, 20, 21, 22, 23, 24, 25, 31, 32,
    ]);
  });

  it('say what they are, for how long they are kept, and what they are laid out by', () => {
    const told = (definition: RollingDefinition): Record<string, unknown> => ({
      ...describeRolling(definition, cardSchema),
    });
    expect(told({ ...inPanes, aggregates: [aggregate('max', 'max', { where: 'flagged', delayMs: 5 })] })).toMatchObject(
      {
        operatorId: 'card',
        kind: 'rolling',
        keyFields: ['card'],
        filedBy: 'key',
        keepsMs: 48,
        identity: '',
      },
    );
    const layouts = [
      inPanes,
      compacting,
      { ...inPanes, panes: { sizeMs: 5 } },
      { ...inPanes, aggregates: inPanes.aggregates.slice(1) },
      { ...inPanes, aggregates: inPanes.aggregates.map((each) => ({ ...each, where: 'flagged' })) },
      { ...inPanes, aggregates: [aggregate('max', 'max')] },
      { ...inPanes, aggregates: [aggregate('max', 'max', { input: 'flagged' })] },
    ].map((definition) => told(definition)['layout']);
    expect(new Set(layouts).size).toBe(layouts.length);
    expect(layouts.at(-2)).toBe(
      JSON.stringify([
        [['amount', null, 'number']],
        '',
        { sizeMs: 10 },
        [
          { column: -1, count: 0, sum: -1, squares: -1, minimum: -1, maximum: -1, first: -1, last: -1 },
          { column: 0, count: 1, sum: -1, squares: -1, minimum: -1, maximum: 2, first: -1, last: -1 },
        ],
      ]),
    );
    expect(told({ ...inPanes, aggregates: [aggregate('again', 'max', { overMs: 30 })] })['layout']).toBe(
      layouts.at(-2),
    );
  });

  it('read the same whenever they were stored, whatever of them is still kept record by record', async () => {
    await fc.assert(
      fc.asyncProperty(
        cardStreams,
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 9 }),
        fc.constantFrom(inPanes, compacting),
        async (rows, sizes, definition) => {
          fc.pre(rows.length > 0);
          expect(await keptRows(definition, rows, sizes)).toEqual(await keptRows(definition, rows, [rows.length]));
        },
      ),
      { numRuns: 500 },
    );
  }, 120_000);
});
