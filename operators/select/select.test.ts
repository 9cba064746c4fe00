import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { compileExpression } from '../../engine/expression/compile-expression.ts';
import { toRows } from '../../engine/record/record-batch.ts';
import type { Field } from '../../engine/record/schema.ts';
import type { Row } from '../row/row-view.ts';
import { batchesOfSample, sampledSchema, sampleStreams } from '../testing/sampled-streams.ts';
import { flatMapRows } from './flat-map.ts';
import { selectColumns } from './select.ts';

const fields: readonly Field[] = [
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'part', type: 'long', presence: 'required' },
  { name: 'isLast', type: 'boolean', presence: 'required' },
];

/** As many rows as the amount says, none for some, and a throw in the middle for others. */
function* parts({ card, amount }: Row): Generator<Row> {
  const count = amount === null || amount === undefined ? 0 : Math.floor(Number(amount)) % 4;
  for (let part = 0; part < count; part++) {
    if (card === 'b' && part === 2) throw new RangeError('too many');
    yield { card: card ?? null, part, isLast: part === count - 1 };
  }
}

describe('flatMap', () => {
  it('gives what the function gives for each record alone, in the record’s place, or nothing where it throws', () => {
    let rejectedCount = 0;
    for (const items of sampleStreams(1_000, 3)) {
      const rejected = new RejectedRecords('log');
      const explode = flatMapRows(
        { name: 'parts', errors: 'dead-letter', call: parts },
        fields,
        sampledSchema,
        rejected,
      );
      const got: unknown[] = [];
      for (const batch of batchesOfSample(items, 6, 1 + (items.length % 5))) {
        const { records, taken } = explode(batch);
        got.push(...toRows(records).map((row, i) => ({ ...row, t: records.eventTimesMs[i], o: records.offsets[i] })));
        expect(taken).toBeLessThanOrEqual(batch.rowCount);
      }
      const bad: number[] = [];
      const wanted = items.flatMap((item, o): unknown[] => {
        try {
          return [...parts({ ...item })].map((row) => ({ ...row, t: item.t, o }));
        } catch {
          bad.push(o);
          return [];
        }
      });
      expect(got).toEqual(wanted);
      expect(rejected.take().map(({ offset }) => offset)).toEqual(bad);
      rejectedCount += bad.length;
    }
    expect(rejectedCount).toBeGreaterThan(100);
  });

  it('refuses rows that are not of the declared fields, saying which and never what', () => {
    const [items = []] = sampleStreams(1, 1);
    const [batch] = batchesOfSample(items, 6, 1);
    const messageOf = (row: unknown): string => {
      const explode = flatMapRows(
        { name: 'parts', errors: 'fail', call: () => [row as Row] },
        fields,
        sampledSchema,
        new RejectedRecords('log'),
      );
      try {
        if (batch !== undefined) explode(batch);
      } catch (error) {
        return String((error as Error).cause);
      }
      return 'taken';
    };
    expect(messageOf({ part: 1, isLast: true })).toBe('taken');
    expect(messageOf({ part: 0.5, isLast: true })).toContain('field "part" must be a long; got another number');
    expect(messageOf({ part: 1 })).toContain('field "isLast" must be a boolean; got none');
    expect(messageOf({ part: 1, isLast: 'secret' })).toContain('field "isLast" must be a boolean; got string');
    expect(messageOf({ part: 1, isLast: true, more: 1 })).toContain('got "more"');
  });
});

describe('select', () => {
  it('gives the columns that are named, under the names that are given, and expressions', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), (seed) => {
        const [items = []] = sampleStreams(1, seed);
        const double = compileExpression('amount * 2', sampledSchema);
        const choose = selectColumns(
          [
            { name: 'where', from: 'place' },
            { name: 'double', from: double },
          ],
          sampledSchema,
        );
        for (const batch of batchesOfSample(items, 6, 100)) {
          expect(toRows(choose(batch))).toEqual(
            items.map(({ place, amount }) => ({ where: place, double: amount === null ? null : amount * 2 })),
          );
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
