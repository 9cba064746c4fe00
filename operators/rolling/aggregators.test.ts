import { describe, expect, it } from 'vitest';
import * as aggregators from './aggregators.ts';
import type { Aggregator } from './aggregators.ts';
import { firstAfter, type WindowRows } from './windows.ts';

const none = NaN;

/**
 * The answers for windows that end behind the last row, and hold the newest so many rows each. Rows come a second apart, the last one second before the record; what stands in the results
 * before is no number.
 */
function answersOf(aggregator: Aggregator, values: readonly number[], sizes: readonly number[]): number[] {
  const count = values.length;
  const chunk = Float64Array.from([...values.map((_, i) => i * 1_000), ...values, 77]);
  const rows: WindowRows = {
    chunk,
    high: count,
    lows: Int32Array.from(sizes, (size) => count - size),
    endMs: count * 1_000,
    eventTimeMs: count * 1_000,
  };
  const results = new Float64Array(sizes.length).fill(-99);
  aggregator(rows, count, results);
  return [...results];
}

/** Newest last. */
const values = [4, none, -2, 7, none, 7, 3, none];
const sizes = [0, 1, 2, 4, 6, 8];

describe('the aggregates of nested windows', () => {
  it.each<readonly [string, Aggregator, readonly number[]]>([
    ['countRows', aggregators.countRows, [0, 1, 2, 4, 6, 8]],
    ['countValues', aggregators.countValues, [0, 0, 1, 2, 4, 5]],
    ['sum', aggregators.sum, [none, none, 3, 10, 15, 19]],
    ['mean', aggregators.mean, [none, none, 3, 5, 3.75, 3.8]],
    ['minimum', aggregators.minimum, [none, none, 3, 3, -2, -2]],
    ['maximum', aggregators.maximum, [none, none, 3, 7, 7, 7]],
    ['first', aggregators.first, [none, none, 3, 7, -2, 4]],
    ['last', aggregators.last, [none, none, 3, 3, 3, 3]],
    ['sinceLastRow', aggregators.sinceLastRow, [none, 1, 1, 1, 1, 1]],
    ['sinceLastValue', aggregators.sinceLastValue, [none, none, 2, 2, 2, 2]],
    ['the newest', aggregators.nthNewest(1), [none, none, 3, 3, 3, 3]],
    ['the third newest', aggregators.nthNewest(3), [none, none, none, none, 7, 7]],
    ['the fifth newest', aggregators.nthNewest(5), [none, none, none, none, none, 4]],
    ['distinct', aggregators.distinctCodes(), [none, none, 1, 2, 3, 4]],
  ])('are what their rows give, empty windows and nulls included: %s', (name, aggregator, wanted) => {
    const used = name === 'distinct' ? values.map((value) => value + 2) : values;
    expect(answersOf(aggregator, used, sizes)).toEqual(wanted);
    // Nothing is carried from one record to the next.
    expect(answersOf(aggregator, used, sizes)).toEqual(wanted);
  });

  it('find the extremes wherever they stand', () => {
    expect(answersOf(aggregators.minimum, [1, 5, 3], [1, 2, 3])).toEqual([3, 3, 1]);
    expect(answersOf(aggregators.minimum, [9, 5, 3], [1, 2, 3])).toEqual([3, 3, 3]);
    expect(answersOf(aggregators.maximum, [9, 5, 3], [1, 2, 3])).toEqual([3, 5, 9]);
    expect(answersOf(aggregators.maximum, [1, 5, 7], [1, 2, 3])).toEqual([7, 7, 7]);
    expect(answersOf(aggregators.maximum, [1, none, 7, none], [2, 4])).toEqual([7, 7]);
    expect(answersOf(aggregators.minimum, [1, none, 7, none], [2, 4])).toEqual([7, 1]);
  });

  it('keep the digits of sums that cancel', () => {
    expect(answersOf(aggregators.sum, [1e100, 1, -1e100], [2, 3])).toEqual([-1e100, 1]);
    expect(answersOf(aggregators.sum, [-1e16, 1, 1e16], [2, 3])).toEqual([1e16, 1]);
    expect(answersOf(aggregators.sum, [1, 1e16, 1], [3])).toEqual([1e16 + 2]);
    expect(answersOf(aggregators.sum, [1e16, 1, 1], [3])).toEqual([1e16 + 2]);
    expect(answersOf(aggregators.mean, [-1e16, 3, 1e16], [3])).toEqual([1]);
  });

  it('are deviations of a sample, of two values or more', () => {
    expect(answersOf(aggregators.sampleDeviation, [2, 4, none, 4, 4, 5, 5, 7, 9], [1, 2, 9])).toEqual([
      none,
      Math.SQRT2,
      Math.sqrt(32 / 7),
    ]);
    expect(answersOf(aggregators.sampleDeviation, [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16], [4])).toEqual([
      Math.sqrt(30),
    ]);
    expect(answersOf(aggregators.sampleDeviation, [5, none], [2])).toEqual([none]);
  });

  it('halve what a half-life has passed since, as of the end of the window', () => {
    // The newest value is a second before the end.
    expect(answersOf(aggregators.decayedSum(1_000), [16, none, 4], [0, 1, 2, 3])).toEqual([none, 2, 2, 4]);
    expect(answersOf(aggregators.decayedSum(500), [16, none, 4], [3])).toEqual([1 + 16 / 64]);
  });

  it('tell values apart by codes of any size', () => {
    const distinct = aggregators.distinctCodes();
    expect(answersOf(distinct, [1_023, 1_024, 1_023, 1_024], [4])).toEqual([2]);
    expect(answersOf(distinct, [5_000, 3, 2_048, 5_000, 3], [1, 5])).toEqual([1, 3]);
    expect(answersOf(distinct, [100_000, 0, 0], [2, 3])).toEqual([1, 2]);
  });
});

describe('the first row after an instant', () => {
  it('is found among ties and at the ends', () => {
    const times = Float64Array.of(1, 3, 3, 3, 8);
    expect([0, 1, 2, 3, 7, 8, 9].map((boundMs) => firstAfter(times, 0, 5, boundMs))).toEqual([0, 1, 1, 4, 4, 5, 5]);
    expect([firstAfter(times, 2, 4, 1), firstAfter(times, 2, 4, 3), firstAfter(times, 3, 3, 0)]).toEqual([2, 4, 3]);
  });
});
