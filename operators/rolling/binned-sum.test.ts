import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExactSum } from '../aggregate/exact-sum.ts';
import {
  addSquareToSum,
  addToSum,
  clearSum,
  mergeSum,
  squareBins,
  sumBins,
  sumWidth,
  termsOfSum,
  valueOfSum,
} from './binned-sum.ts';

function empty(bins: number): Float64Array {
  const sum = new Float64Array(sumWidth(bins));
  clearSum(sum, 0, 1, bins);
  return sum;
}

function sumOf(values: readonly number[]): Float64Array {
  const sum = empty(sumBins);
  for (const value of values) addToSum(sum, 0, 1, sumBins, value);
  return sum;
}

function squaresOf(values: readonly number[]): Float64Array {
  const sum = empty(squareBins);
  for (const value of values) addSquareToSum(sum, 0, 1, squareBins, value);
  return sum;
}

const anyNumber = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ min: -1e9, max: 1e9, noNaN: true }),
  fc.integer({ min: -1_000, max: 1_000 }).map((cents) => cents / 100),
  fc.constantFrom(1e16, -1e16, 1, -1, 0.1, 1e-12, 0, -0, 1e100, -1e100, 1e308, -1e308, 5e-324, 2 ** -960),
);

describe('a sum in digits', () => {
  it('is the same whatever the order and the grouping, and a merged one is that of the whole', () => {
    fc.assert(
      fc.property(fc.array(anyNumber, { maxLength: 40 }), fc.array(fc.nat(3), { minLength: 40 }), (values, parts) => {
        for (const [make, bins] of [
          [sumOf, sumBins],
          [squaresOf, squareBins],
        ] as const) {
          const merged = empty(bins);
          for (const part of [2, 0, 3, 1]) {
            const ofPart = make(values.filter((_, index) => parts[index] === part).toReversed());
            // As a row of a column store, where its doubles lie apart.
            const apart = new Float64Array(sumWidth(bins) * 3 + 1);
            ofPart.forEach((double, index) => (apart[1 + index * 3] = double));
            mergeSum(merged, bins, apart, 1, 3);
          }
          expect(merged).toEqual(make(values));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('is the true sum to a unit in the last place of the greatest number, and far below where they cancel', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e12, max: 1e12, noNaN: true }), { maxLength: 60 }), (values) => {
        const exact = new ExactSum();
        for (const value of values) exact.add(value);
        const greatest = Math.max(0, ...values.map(Math.abs));
        const error = Math.abs(valueOfSum(sumOf(values), sumBins) - exact.value());
        expect(error).toBeLessThanOrEqual(greatest * 2 ** -90 + Math.abs(exact.value()) * 2 ** -52 + 1e-280);
      }),
      { numRuns: 1_000 },
    );
  });

  it('of amounts in cents has no error that a double could show', () => {
    let cents = 0n;
    const sum = empty(sumBins);
    for (let i = 0; i < 200_000; i++) {
      const amount = ((i * 7_919) % 2_000_001) - 1_000_000 + (i % 97 === 0 ? 900_000_000 : 0);
      cents += BigInt(amount);
      addToSum(sum, 0, 1, sumBins, amount / 100);
    }
    expect(Math.abs(valueOfSum(sum, sumBins) - Number(cents) / 100)).toBeLessThanOrEqual(1e-4);
    expect(Math.abs(valueOfSum(sum, sumBins) / (Number(cents) / 100) - 1)).toBeLessThanOrEqual(1e-14);
  });

  it('of squares of equal numbers is whole, so that n times it is the square of their sum', () => {
    fc.assert(
      fc.property(fc.double({ min: -1e100, max: 1e100, noNaN: true }), fc.integer({ min: 1, max: 50 }), (value, n) => {
        fc.pre(Math.abs(value) > 1e-100);
        const values = new Array<number>(n).fill(value);
        const difference = new ExactSum();
        for (const term of termsOfSum(squaresOf(values), squareBins)) difference.addProduct(n, term);
        const terms = termsOfSum(sumOf(values), sumBins);
        for (const a of terms) for (const b of terms) difference.addProduct(-a, b);
        expect(difference.value()).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });

  it('is lost by a square that is no finite number, and stays lost', () => {
    const sum = squaresOf([1e200]);
    addSquareToSum(sum, 0, 1, squareBins, 1);
    const merged = squaresOf([2]);
    mergeSum(merged, squareBins, sum, 0, 1);
    expect([valueOfSum(sum, squareBins), valueOfSum(merged, squareBins)]).toEqual([NaN, NaN]);
    expect(valueOfSum(empty(sumBins), sumBins)).toBe(0);
    expect(valueOfSum(sumOf([1e308, 1e308]), sumBins)).not.toBeLessThan(Infinity);
  });

  it('is as many digits of 24 bits, the highest first, behind the place of that', () => {
    expect([...empty(3)]).toEqual([-1_000, 0, 0, 0]);
    expect([...sumOf([5, -2.25])]).toEqual([0, 3, -(2 ** 22), 0, 0, 0]);
    expect([...sumOf([2 ** 24, 1, 2 ** -24])]).toEqual([1, 1, 1, 1, 0, 0]);
    expect([...sumOf([2 ** -24, 1, 2 ** 72])]).toEqual([3, 1, 0, 0, 1, 1]);
    // Of what is 96 bits below the highest digit, nothing is kept.
    expect([...sumOf([2 ** 72, 1 + 2 ** -23, 2 ** -25])]).toEqual([3, 1, 0, 0, 1, 2]);
    expect([...sumOf([1 + 2 ** -24, 2 ** 96])]).toEqual([4, 1, 0, 0, 0, 1]);
    expect([...squaresOf([3, 2 ** 13])]).toEqual([1, 4, 9, 0, 0, 0, 0]);
    expect([...squaresOf([2 ** 40 + 1])]).toEqual([3, 2 ** 8, 0, 2 ** 17, 1, 0, 0]);
  });

  it('touches nothing beside its own doubles, wherever they lie', () => {
    const apart = (values: readonly number[]): number[] => {
      const sums = new Float64Array(2 + 7 * 3).fill(77);
      clearSum(sums, 2, 3, sumBins);
      for (const value of values) addToSum(sums, 2, 3, sumBins, value);
      const own = Array.from({ length: 6 }, (_, i) => sums[2 + i * 3] ?? NaN);
      expect([...sums].filter((double) => double === 77)).toHaveLength(23 - 6);
      return own;
    };
    expect(apart([])).toEqual([-1_000, 0, 0, 0, 0, 0]);
    expect(apart([2 ** 96, 1 + 2 ** -24])).toEqual([4, 1, 0, 0, 0, 1]);
    expect(apart([1 + 2 ** -24 + 2 ** -48, 2 ** 24, 2 ** 72])).toEqual([3, 1, 0, 1, 1, 1]);
    const total = Float64Array.of(0, 7, 0, 0, 0, 0, 77);
    mergeSum(total, sumBins, Float64Array.of(1, 1, 2, 3, 4, 5, 99), 0, 1);
    expect([...total]).toEqual([1, 1, 9, 3, 4, 5, 77]);
    mergeSum(total, sumBins, Float64Array.of(-1, 1, 2, 3, 4, 5, 99), 0, 1);
    expect([...total]).toEqual([1, 1, 9, 4, 6, 8, 77]);
    expect(valueOfSum(Float64Array.of(0, 1, 0, 0, 2 ** 60), 3)).toBe(1);
    expect(termsOfSum(Float64Array.of(0, 1, 2, 0, 9), 3)).toEqual([1, 2 ** -23, 0]);
  });

  it('has the digits of every number from 2^−960 on, and nothing of less', () => {
    expect([...sumOf([2 ** -960])]).toEqual([-40, 1, 0, 0, 0, 0]);
    expect([...sumOf([2 ** -961, 5e-324, 0])]).toEqual([...empty(sumBins)]);
    expect(valueOfSum(sumOf([2 ** -960]), sumBins)).toBe(2 ** -960);
    expect(termsOfSum(sumOf([2 ** -960]), sumBins)).toEqual([2 ** -960]);
    expect(termsOfSum(sumOf([3 * 2 ** -936, 2 ** -961]), sumBins)).toEqual([3 * 2 ** -936, 0]);
    expect(termsOfSum(empty(sumBins), sumBins)).toEqual([]);
    expect([1e308, -1e308, 2 ** 1_000, Number.MAX_VALUE].map((value) => valueOfSum(sumOf([value]), sumBins))).toEqual([
      1e308,
      -1e308,
      2 ** 1_000,
      Number.MAX_VALUE,
    ]);
  });

  it('is rounded once, also where digits have carries', () => {
    // Each term alone would be rounded away.
    expect(valueOfSum(sumOf([2 ** 84, 2 ** 31, 1]), sumBins)).toBe(2 ** 84 + 2 ** 32);
    expect(valueOfSum(sumOf([-(2 ** 84), -(2 ** 31), -1]), sumBins)).toBe(-(2 ** 84) - 2 ** 32);
    expect(valueOfSum(sumOf([2 ** 84, 2 ** 31, -1]), sumBins)).toBe(2 ** 84);
    expect(valueOfSum(sumOf([2 ** 84, -(2 ** 84), 2 ** 60, 1]), sumBins)).toBe(2 ** 60);
    // A lower digit that is greater than the highest one, as of very many numbers.
    expect(valueOfSum(Float64Array.of(1, 1, 2 ** 53 - 1, 2 ** 23, 0, 0), sumBins)).toBe(2 ** 53 + 2 ** 24);
    expect(valueOfSum(Float64Array.of(1, -1, 2 ** 53 - 1, 2 ** 47, 0, 0), sumBins)).toBe(
      2 ** 53 - 2 ** 24 + 2 ** 23 - 1,
    );
  });

  it('has no digits any more once it is lost', () => {
    const lost = [1_000, NaN, NaN, NaN, NaN, NaN];
    expect([...sumOf([Infinity])]).toEqual(lost);
    expect([...sumOf([1, -Infinity, 2])]).toEqual(lost);
    expect([...sumOf([Infinity, 1, -Infinity])]).toEqual(lost);
    expect(valueOfSum(sumOf([Infinity]), sumBins)).toBe(NaN);
    expect(termsOfSum(squaresOf([1e200, 1]), squareBins)[0]).toBe(NaN);
    const merged = sumOf([3]);
    mergeSum(merged, sumBins, sumOf([Infinity]), 0, 1);
    expect([...merged]).toEqual(lost);
    mergeSum(merged, sumBins, sumOf([3]), 0, 1);
    expect([...merged]).toEqual(lost);
  });
});
