import { describe, expect, it } from 'vitest';
import { aggregatorOf, type AggregateSpec } from './aggregate-spec.ts';
import { compareValues, isBefore, numberOf } from './aggregator.ts';
import { ExactSum } from './exact-sum.ts';
import { StateBytes, StateWriter, type AggregateValue } from './state-bytes.ts';

function stateOf(spec: AggregateSpec, values: readonly AggregateValue[]): unknown {
  const aggregator = aggregatorOf(spec);
  const state = aggregator.create();
  values.forEach((value, offset) => aggregator.update(state, value, { eventTimeMs: 0, partition: 0, offset }));
  return state;
}

const answerOf = (spec: AggregateSpec, values: readonly AggregateValue[]): AggregateValue | null =>
  aggregatorOf(spec).finish(stateOf(spec, values));

function bytesOf(spec: AggregateSpec, state: unknown): Uint8Array {
  const writer = new StateWriter();
  aggregatorOf(spec).encode(state, writer);
  return writer.take();
}

describe('the total order of a stream', () => {
  it('is by event time, then by partition, then by offset', () => {
    const at = (eventTimeMs: number, partition: number, offset: number) => ({ eventTimeMs, partition, offset });
    const inOrder = [at(1, 5, 9), at(2, 0, 7), at(2, 1, 3), at(2, 1, 4)];
    const found = inOrder.map((a) => inOrder.map((b) => isBefore(a, b)));
    expect(found).toEqual(inOrder.map((_, i) => inOrder.map((__, j) => i < j)));
  });

  it('of values is numbers by size before texts by code unit', () => {
    const inOrder = [-1, 0, 10, 'B', 'a', 'é'];
    const found = inOrder.map((a) => inOrder.map((b) => compareValues(a, b)));
    expect(found).toEqual(inOrder.map((_, i) => inOrder.map((__, j) => Math.sign(i - j))));
    expect([numberOf(7), numberOf('7')]).toEqual([7, NaN]);
  });
});

describe('an exact sum', () => {
  const summed = (...values: number[]): number => {
    const sum = new ExactSum();
    for (const value of values) sum.add(value);
    return sum.value();
  };

  it('rounds what lies between two doubles by all that follows', () => {
    expect(summed(1e16, 1)).toBe(1e16);
    expect(summed(1e16, 1, 1e-16)).toBe(1e16 + 2);
    expect(summed(1e16, 1, -1e-16)).toBe(1e16);
    expect(summed(1e16 + 2, 1)).toBe(1e16 + 4);
    expect(summed(1e16 + 2, 1, -1e-16)).toBe(1e16 + 2);
    expect(summed(-1e16, -1)).toBe(-1e16);
    expect(summed(-1e16, -1, -1e-16)).toBe(-1e16 - 2);
    expect(summed(-1e16, -1, 1e-16)).toBe(-1e16);
    expect(summed(-1e16 - 2, -1, 1e-16)).toBe(-1e16 - 2);
    // What follows decides only where it is exactly between.
    expect(summed(1e16, 0.5, 1e-17)).toBe(1e16);
    expect(summed(1e16, 1.5, 1e-17)).toBe(1e16 + 2);
    expect(summed(1e16, 1.5, -1e-17)).toBe(1e16 + 2);
  });

  it('holds what cancels until it has cancelled', () => {
    expect(summed(1e100, 1, -1e100)).toBe(1);
    expect(summed(1e16 - 2, 1 - 2 ** -53, -(1e16 - 2), -(1 - 2 ** -53))).toBe(0);
    expect(summed(2 ** 53, 1, 2 ** -60, -(2 ** 53), -1)).toBe(2 ** -60);
    const sum = new ExactSum();
    for (const value of [1e100, 1, -1e100, -1]) sum.add(value);
    expect(sum.parts).toEqual([]);
    sum.add(0);
    expect(sum.parts).toEqual([]);
  });

  it('is of two values already a variance', () => {
    expect(answerOf({ function: 'variance' }, [1, 4])).toBe(4.5);
    expect(answerOf({ function: 'stddev' }, [5, 5])).toBe(0);
    expect(answerOf({ function: 'variance' }, [1])).toBeNull();
  });
});

describe('zero', () => {
  it('has one sign in what is answered and stored', () => {
    for (const name of ['min', 'max', 'distinct'] as const) {
      const spec = { function: name };
      expect(bytesOf(spec, stateOf(spec, [-0]))).toEqual(bytesOf(spec, stateOf(spec, [0])));
    }
    expect(answerOf({ function: 'min' }, [-0, 0])).toBe(0);
    expect(answerOf({ function: 'max' }, [0, -0])).toBe(0);
  });

  it('stands between negative and positive values', () => {
    const at = (q: number, ...values: number[]): AggregateValue | null =>
      answerOf({ function: 'quantile', q, error: 0.01 }, values);
    expect(at(0.5, 0)).toBe(0);
    expect([0, 0.34, 0.67, 1].map((q) => Math.sign(Number(at(q, -3, 0, 0, 5))))).toEqual([-1, 0, 0, 1]);
    expect([0, 0.5, 1].map((q) => Math.sign(Number(at(q, -3, 0, 5))))).toEqual([-1, 0, 1]);
    expect([0, 1].map((q) => Math.sign(Number(at(q, 0, 0))))).toEqual([0, 0]);
    expect([0, 1].map((q) => Math.round(Number(at(q, -1, -100))))).toEqual([-100, -1]);
  });
});

describe('the buckets of a quantile', () => {
  const spec = { function: 'quantile', q: 0, error: 0.01 } as const;
  const gamma = 1.01 / 0.99;
  /** One value in the middle of each of so many buckets. */
  const values = (count: number): number[] => Array.from({ length: count }, (_, i) => gamma ** (i - 1_000.5));

  it('are 2,048 of a sign, of which the lowest takes up what is below', () => {
    const bucketsOf = (count: number): [size: number, lowest: number, counted: number] => {
      const bytes = new StateBytes(bytesOf(spec, stateOf(spec, values(count))));
      bytes.f64();
      return [bytes.u32(), bytes.i32(), bytes.f64()];
    };
    expect(bucketsOf(2_047)).toEqual([2_047, -1_000, 1]);
    expect(bucketsOf(2_048)).toEqual([2_048, -1_000, 1]);
    expect(bucketsOf(2_049)).toEqual([2_048, -999, 2]);
    expect(bucketsOf(2_050)).toEqual([2_048, -998, 3]);
  });

  it('take up a value below all of them', () => {
    const state = stateOf(spec, [...values(2_048).toReversed(), 1e-300]);
    const bytes = new StateBytes(bytesOf(spec, state));
    bytes.f64();
    expect([bytes.u32(), bytes.i32(), bytes.f64()]).toEqual([2_048, -1_000, 2]);
  });
});

describe('an approximate number of different values', () => {
  it.each([
    [0.3, [1, 2, 3, 10, 100, 1_000], [1, 2, 3, 9, 117, 961]],
    [0.05, [1, 100, 1_000], [1, 100, 998]],
  ])('is what it was in other versions, with an error of %d', (error, counts, estimates) => {
    const found = counts.map((count) =>
      answerOf(
        { function: 'approxDistinct', error },
        Array.from({ length: count }, (_, i) => i * 1.5),
      ),
    );
    expect(found).toEqual(estimates);
  });

  it('is by the estimator for registers that are full or empty, too', () => {
    const spec = { function: 'approxDistinct', error: 0.3 } as const;
    const estimate = (registerAt: (i: number) => number): AggregateValue | null => {
      const registers = Array.from({ length: 16 }, (_, i) => registerAt(i));
      const aggregator = aggregatorOf(spec);
      return aggregator.finish(aggregator.decode(new StateBytes(Uint8Array.of(1, ...registers))));
    };
    // A register of 60 bits is full at 61: what more could have come is not known any more.
    expect(estimate(() => 61)).toBe(Infinity);
    expect(estimate(() => 60)).toBe(13_306_513_097_844_322_000);
    expect(estimate((i) => (i < 8 ? 61 : 60))).toBe(20_473_779_359_949_150_000);
    expect(estimate((i) => (i < 4 ? 61 : i < 8 ? 0 : 3))).toBe(30);
    expect(estimate((i) => (i === 0 ? 61 : 0))).toBe(1);
    expect(estimate(() => 0)).toBeNull();
  });

  it('looks into the second word of a hash where the first one has no bit left', () => {
    // The lower half of the first word of this number's hash is zero, and 16 bits choose the register.
    const spec = { function: 'approxDistinct', error: 0.005 } as const;
    expect(Buffer.from(bytesOf(spec, stateOf(spec, [15_273]))).toString('hex')).toBe('0001000000351e000011');
  });

  it('keeps the highest rank of a register, merged or not', () => {
    const spec = { function: 'approxDistinct', error: 0.3 } as const;
    const aggregator = aggregatorOf(spec);
    const many = stateOf(
      spec,
      Array.from({ length: 500 }, (_, i) => i),
    );
    const before = bytesOf(spec, many);
    aggregator.merge(many, stateOf(spec, [1, 2, 3]));
    aggregator.merge(
      many,
      stateOf(
        spec,
        Array.from({ length: 100 }, (_, i) => i),
      ),
    );
    expect(bytesOf(spec, many)).toEqual(before);
    const few = stateOf(spec, [1, 2]);
    aggregator.merge(
      few,
      stateOf(
        spec,
        Array.from({ length: 500 }, (_, i) => i),
      ),
    );
    expect(bytesOf(spec, few)).toEqual(before);
  });
});

describe('the most frequent values', () => {
  const spec = { function: 'topK', k: 3, capacity: 2 } as const;
  const listOf = (answer: AggregateValue | null): unknown =>
    (JSON.parse(String(answer)) as { value: AggregateValue; count: number; error: number }[]).map(
      ({ value, count, error }) => [value, count, error],
    );
  const counted = (...values: AggregateValue[]): unknown => listOf(answerOf(spec, values));

  it('make room for a new one by the rarest, whose count it takes over as possible error', () => {
    expect(counted('a', 'a', 'b')).toEqual([
      ['a', 2, 0],
      ['b', 1, 0],
    ]);
    expect(counted('a', 'a', 'b', 'c')).toEqual([
      ['a', 2, 0],
      ['c', 2, 1],
    ]);
    expect(counted('b', 'a', 'a', 'c', 'c', 'd')).toEqual([
      ['c', 3, 1],
      ['d', 3, 2],
    ]);
  });

  it('let the greatest of the rarest go, so that the order in memory does not matter', () => {
    expect(counted('a', 'b', 'c')).toEqual([
      ['c', 2, 1],
      ['a', 1, 0],
    ]);
    expect(counted('b', 'a', 'c')).toEqual(counted('a', 'b', 'c'));
    expect(counted('x', 7, 'c')).toEqual([
      ['c', 2, 1],
      [7, 1, 0],
    ]);
  });

  it('count what a full summary may have forgotten as possible error where they are merged', () => {
    const aggregator = aggregatorOf(spec);
    const merged = (into: AggregateValue[], from: AggregateValue[]): unknown => {
      const state = stateOf(spec, into);
      aggregator.merge(state, stateOf(spec, from));
      return listOf(aggregator.finish(state));
    };
    const full = ['a', 'a', 'a', 'b', 'b'];
    expect(merged(full, ['c'])).toEqual([
      ['a', 3, 0],
      ['c', 3, 2],
    ]);
    expect(merged(['c'], full)).toEqual(merged(full, ['c']));
    expect(merged(full, ['c', 'c', 'c', 'c', 'c', 'd', 'd', 'd', 'd'])).toEqual([
      ['a', 7, 4],
      ['c', 7, 2],
    ]);
    expect(merged(full, ['a', 'b'])).toEqual([
      ['a', 4, 0],
      ['b', 3, 0],
    ]);
    expect(merged(full, ['a', 'c'])).toEqual([
      ['a', 4, 0],
      ['b', 3, 1],
    ]);
    // A summary that is not full has forgotten nothing.
    expect(merged(['a'], ['b'])).toEqual([
      ['a', 1, 0],
      ['b', 1, 0],
    ]);
  });
});
