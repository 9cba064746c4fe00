import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Aggregator, ValueTime } from './aggregator.ts';
import { ExactSum } from './exact-sum.ts';
import { deviation, variance } from './moments.ts';

/** Doubles that make trouble: of very different sizes, cancelling, equal, tiny, signed zeros. */
const number = fc.oneof(
  fc.integer({ min: -20, max: 20 }),
  fc.double({ min: -1e9, max: 1e9, noNaN: true }),
  fc.constantFrom(1e16, -1e16, 1, -1, 0.1, 1e-12, 0, -0, 1e100, -1e100, 5e-324),
);

function stateOf<State>(
  aggregator: Aggregator<State>,
  entries: readonly (ValueTime & { readonly value: number })[],
): State {
  const state = aggregator.create();
  for (const entry of entries) aggregator.update(state, entry.value, entry);
  return state;
}

describe('an exact sum', () => {
  it('is the sum of fractions, rounded once', () => {
    fc.assert(
      fc.property(fc.array(number), (numbers) => {
        const sum = new ExactSum();
        for (const value of numbers) sum.add(value);
        const total = numbers.reduce((rest, value) => rest + fractionOf(value), 0n);
        // The nearest double is the one that no neighbour is nearer than.
        const got = sum.value();
        const distance = (value: number): bigint => {
          const difference = fractionOf(value) - total;
          return difference < 0n ? -difference : difference;
        };
        expect(distance(got) <= distance(neighbour(got, 1n))).toBe(true);
        expect(distance(got) <= distance(neighbour(got, -1n))).toBe(true);
      }),
    );
  });

  it('is lost, and takes no room, once it has left the finite numbers', () => {
    const sum = new ExactSum();
    for (let i = 0; i < 100; i++) sum.add(1e308);
    sum.add(1);
    expect(sum.value()).toBeNaN();
    expect(sum.parts).toHaveLength(1);
  });
});

/** A double as a whole number of 2^−1074: exact. */
function fractionOf(value: number): bigint {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const word = bits.getBigUint64(0);
  const exponent = Number((word >> 52n) & 0x7ffn);
  const digits = (word & 0xfffffffffffffn) | (exponent === 0 ? 0n : 1n << 52n);
  const magnitude = digits << BigInt(Math.max(0, exponent - 1));
  return word >> 63n === 1n ? -magnitude : magnitude;
}

function neighbour(value: number, step: bigint): number {
  if (value === 0) return Number(step) * Number.MIN_VALUE;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  bits.setBigInt64(0, bits.getBigInt64(0) + step);
  return bits.getFloat64(0);
}

describe('variance and deviation', () => {
  it('keep their digits where the textbook formula loses all of them', () => {
    const entries = [4, 7, 13, 16].map((value, offset) => ({
      value: value + 1e9,
      eventTimeMs: 0,
      partition: 0,
      offset,
    }));
    expect(variance.finish(stateOf(variance, entries))).toBe(30);
  });

  it('are within a few units of the last place of the variance in fractions', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 40 }),
        (numbers) => {
          const entries = numbers.map((value, offset) => ({ value, eventTimeMs: 0, partition: 0, offset }));
          const n = BigInt(numbers.length);
          const fractions = numbers.map(fractionOf);
          const sum = fractions.reduce((total, value) => total + value, 0n);
          const squares = fractions.reduce((total, value) => total + value * value, 0n);
          // A whole number of 2^−2148 over n·(n − 1); scaled so that a division of whole numbers keeps 60 digits.
          const exact = ((n * squares - sum * sum) * (1n << 200n)) / (n * (n - 1n));
          const got = Number(variance.finish(stateOf(variance, entries)));
          const wanted = exact === 0n ? 0 : Number(exact >> 1200n) * 2 ** -1000 * 2 ** -148;
          expect(Math.abs(got - wanted)).toBeLessThanOrEqual(1e-15 * Math.max(wanted, 1e-280) + 1e-300);
        },
      ),
    );
  });

  it('are null for fewer than two values', () => {
    const state = stateOf(deviation, [{ value: 3, eventTimeMs: 0, partition: 0, offset: 0 }]);
    expect(deviation.finish(state)).toBeNull();
  });
});
