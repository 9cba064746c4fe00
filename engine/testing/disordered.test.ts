import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Schema } from '../record/schema.ts';
import type { Row } from './compare-rows.ts';
import { disordered } from './disordered.ts';
import { arbitraryStream } from './stream-arbitrary.ts';

const share = fc.double({ min: 0, max: 1, noNaN: true });
const rowsArbitrary = fc
  .array(fc.nat(100), { maxLength: 60 })
  .map((steps) =>
    steps.reduce<{ id: number; at: number }[]>(
      (rows, step) => [...rows, { id: rows.length, at: (rows.at(-1)?.at ?? 0) + step }],
      [],
    ),
  );
const timeOf = (row: Row | undefined): number => Number(row?.['at'] ?? Number.NaN);

/** How far each row's watermark is past it when it comes; not above 0 for one in time. */
function pastBy(rows: readonly Row[], delayMs: number): number[] {
  let newestMs = -Infinity;
  return rows.map((row) => {
    const by = newestMs - delayMs - timeOf(row);
    newestMs = Math.max(newestMs, timeOf(row));
    return by;
  });
}

describe('disorder', () => {
  it('keeps every row, and every row in time, where none is to be late', () => {
    fc.assert(
      fc.property(rowsArbitrary, fc.nat(300), fc.nat(), (rows, delayMs, seed) => {
        const out = disordered(rows, { eventTime: 'at', delayMs, seed });
        expect(out.toSorted((a, b) => Number(a['id']) - Number(b['id']))).toEqual(rows);
        expect(Math.max(-1, ...pastBy(out, delayMs))).toBeLessThanOrEqual(0);
        expect(disordered(rows, { eventTime: 'at', delayMs, seed })).toEqual(out);
      }),
    );
  });

  it('gives ties, copies that come after their rows and in time, and rows that are late by as much as was asked', () => {
    fc.assert(
      fc.property(rowsArbitrary, share, share, fc.nat(200), fc.nat(), (rows, late, duplicates, lateByMs, seed) => {
        const delayMs = 50;
        const out = disordered(rows, { eventTime: 'at', delayMs, late, duplicates, lateByMs, seed });
        expect(new Set(out.map(({ id }) => id)).size).toBe(rows.length);
        for (const by of pastBy(out, delayMs)) if (by > 0) expect(by).toBeGreaterThan(lateByMs);
      }),
    );
    const hundred = Array.from({ length: 100 }, (_, id) => ({ id, at: id * 100 }));
    const out = disordered(hundred, {
      eventTime: 'at',
      delayMs: 500,
      ties: 0.3,
      duplicates: 0.2,
      late: 0.2,
      lateByMs: 900,
      seed: 3,
    });
    const times = out.map(timeOf);
    expect(new Set(times).size).toBeLessThan(80);
    expect(out.length).toBeGreaterThan(105);
    expect(pastBy(out, 500).filter((by) => by > 900).length).toBeGreaterThan(8);
    expect(out.findIndex((row, index) => index > 0 && timeOf(row) < timeOf(out[index - 1]))).toBeGreaterThan(-1);
  });

  it('reads event times as rows hold them', () => {
    const texts = ['2026-11-22T00:00:01Z', '2026-11-22T00:00:00Z'].map((at) => ({ at }));
    expect(disordered(texts, { eventTime: 'at', delayMs: 0, seed: 1 })).toEqual(texts.toReversed());
    expect(() => disordered([{ at: 'yesterday' }], { eventTime: 'at', delayMs: 0, seed: 1 })).toThrow(
      'every row must have an event time',
    );
  });
});

describe('arbitrary streams', () => {
  const schema = new Schema([
    { name: 'card', type: 'string', presence: 'required' },
    { name: 'at', type: 'timestamp', presence: 'required' },
    { name: 'amount', type: 'double', presence: 'optional' },
  ]);
  const sample = (late: 'some' | 'none', repeats: 'some' | 'none'): Row[][] =>
    fc.sample(arbitraryStream(fc, schema, { eventTimeField: 'at', delayMs: 20, late, repeats }), {
      numRuns: 200,
      seed: 1,
    });

  it('are in time unless late rows are asked for, and have ties, nulls, disorder and repeats', () => {
    for (const rows of sample('none', 'some')) expect(Math.max(0, ...pastBy(rows, 20))).toBe(0);
    expect(sample('some', 'none').some((rows) => pastBy(rows, 20).some((by) => by > 0))).toBe(true);
    const all = sample('none', 'some');
    const next = (rows: Row[]): (readonly [Row | undefined, Row])[] =>
      rows.slice(1).map((row, index) => [rows[index], row]);
    expect(all.some((rows) => next(rows).some(([a, b]) => timeOf(a) === timeOf(b)))).toBe(true);
    expect(all.some((rows) => next(rows).some(([a, b]) => timeOf(a) > timeOf(b)))).toBe(true);
    expect(all.some((rows) => new Set(rows).size < rows.length)).toBe(true);
    expect(all.flat().some(({ amount }) => amount === null)).toBe(true);
    expect(all.flat().every(({ card }) => card !== null)).toBe(true);
  });

  it('shrink to few rows', () => {
    const stream = arbitraryStream(fc, schema, { eventTimeField: 'at', delayMs: 20 });
    const outcome = fc.check(
      fc.property(stream, (rows) => rows.filter(({ card }) => card === 'card 2').length < 2),
      { seed: 5 },
    );
    expect(outcome.counterexample?.[0]).toHaveLength(2);
  });
});
