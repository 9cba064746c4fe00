import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectRows } from '../../engine/record/record-batch.ts';
import type { KeptRow } from '../../engine/state/state-describer.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { describeRolling } from './describe-rolling.ts';
import { openRolling } from './open-rolling.ts';
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
  const logic = openRolling(definition, cardSchema, { state: 'empty', watermarks });
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
  const horizonMs = watermarks.minimumMs() - (describer.keepsMs ?? 0);
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
