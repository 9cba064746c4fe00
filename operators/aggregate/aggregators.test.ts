import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aggregatorOf, type AggregateFunction, type AggregateSpec } from './aggregate-spec.ts';
import type { Aggregator } from './aggregator.ts';
import { StateBytes, StateWriter, type AggregateValue } from './state-bytes.ts';

/** Every function, with settings so small that their bounds are reached where a law holds beyond them too. */
const specs: Readonly<Record<AggregateFunction, AggregateSpec>> = {
  count: { function: 'count' },
  sum: { function: 'sum' },
  avg: { function: 'avg' },
  min: { function: 'min' },
  max: { function: 'max' },
  stddev: { function: 'stddev' },
  variance: { function: 'variance' },
  first: { function: 'first' },
  last: { function: 'last' },
  distinct: { function: 'distinct' },
  approxDistinct: { function: 'approxDistinct', error: 0.2 },
  quantile: { function: 'quantile', q: 0.75, error: 0.02 },
  topK: { function: 'topK', k: 3, capacity: 200 },
  histogram: { function: 'histogram', boundaries: [-10, 0, 0.5, 100] },
  collect: { function: 'collect', limit: 5 },
  argMax: { function: 'argMax' },
  argMin: { function: 'argMin' },
  top: { function: 'top', n: 3, order: 'ascending', fields: [{ name: 'offset', isBoolean: false }] },
};

/** What is carried along of an entry: its offset, or nothing. */
const carriedOf = ({ offset }: { readonly offset: number }): readonly (number | null)[] => [
  offset % 5 === 0 ? null : offset,
];

interface Entry {
  readonly value: AggregateValue;
  readonly eventTimeMs: number;
  readonly partition: number;
  readonly offset: number;
}

/** Doubles that make trouble: of very different sizes, cancelling, equal, tiny, signed zeros. */
const number = fc.oneof(
  fc.integer({ min: -20, max: 20 }),
  fc.double({ min: -1e9, max: 1e9, noNaN: true }),
  fc.constantFrom(1e16, -1e16, 1, -1, 0.1, 1e-12, 0, -0, 1e100, -1e100, 5e-324),
);
const textFunctions = new Set<AggregateFunction>(['first', 'last', 'distinct', 'approxDistinct', 'topK', 'collect']);

function entriesFor(name: AggregateFunction): fc.Arbitrary<Entry[]> {
  const value = textFunctions.has(name) ? fc.oneof(number, fc.string({ maxLength: 2 })) : number;
  return fc
    .array(fc.record({ value, eventTimeMs: fc.integer({ min: 0, max: 5 }), partition: fc.nat(1) }), { maxLength: 60 })
    .map((entries) => entries.map((entry, offset) => ({ ...entry, offset })));
}

function stateOf(aggregator: Aggregator<unknown>, entries: readonly Entry[]): unknown {
  const state = aggregator.create();
  for (const entry of entries) aggregator.update(state, entry.value, entry, carriedOf(entry));
  return state;
}

function copyOf(aggregator: Aggregator<unknown>, state: unknown): unknown {
  const writer = new StateWriter();
  aggregator.encode(state, writer);
  const bytes = new StateBytes(writer.take());
  const copy = aggregator.decode(bytes);
  expect(bytes.isAtEnd).toBe(true);
  return copy;
}

/** The definition, over all values at once, in the total order. */
function naive(spec: AggregateSpec, entries: readonly Entry[]): AggregateValue | null {
  const inOrder = entries.toSorted(
    (a, b) => a.eventTimeMs - b.eventTimeMs || a.partition - b.partition || a.offset - b.offset,
  );
  const values = inOrder.map(({ value }) => value);
  const numbers = values.map(Number);
  if (spec.function === 'count') return values.length;
  if (values.length === 0) return null;
  const byValue = (order: 1 | -1, from: readonly Entry[]): readonly Entry[] =>
    // Sorting is stable, so that of equal ones the earliest comes first.
    from.toSorted((a, b) => order * (Number(a.value) - Number(b.value)));
  switch (spec.function) {
    case 'first':
      return values[0] ?? null;
    case 'last':
      return values.at(-1) ?? null;
    case 'argMax':
    case 'argMin': {
      const whole = inOrder.filter((entry) => carriedOf(entry)[0] !== null);
      return byValue(spec.function === 'argMax' ? -1 : 1, whole)[0]?.offset ?? null;
    }
    case 'top':
      return JSON.stringify(
        byValue(1, inOrder)
          .slice(0, spec.n)
          .map((entry) => ({ offset: carriedOf(entry)[0] })),
      );
    case 'min':
      return Math.min(...numbers);
    case 'max':
      return Math.max(...numbers);
    case 'distinct':
      return new Set(values).size;
    case 'histogram': {
      const edges = [-Infinity, ...spec.boundaries, Infinity];
      const counts = edges.slice(1).map((to, bin) => numbers.filter((n) => n >= (edges[bin] ?? 0) && n < to).length);
      return JSON.stringify({ boundaries: spec.boundaries, counts });
    }
    case 'collect':
      return JSON.stringify(values.slice(0, spec.limit));
    case 'topK': {
      const counts = new Map<AggregateValue, number>();
      for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
      const ranked = [...counts].sort(([a, ofA], [b, ofB]) => {
        const isNumberFirst = typeof a === typeof b ? null : typeof a === 'number';
        return ofB - ofA || (isNumberFirst === null ? (a < b ? -1 : 1) : isNumberFirst ? -1 : 1);
      });
      return JSON.stringify(ranked.slice(0, spec.k).map(([value, count]) => ({ value, count, error: 0 })));
    }
    case 'sum':
    case 'avg':
    case 'stddev':
    case 'variance':
    case 'quantile':
    case 'approxDistinct':
      throw new RangeError(`${spec.function} has a twin of its own`);
  }
}

const allNames = Object.keys(specs) as AggregateFunction[];
const runs = { numRuns: 300 };

describe.each(allNames)('the aggregate %s', (name) => {
  const aggregator = aggregatorOf(specs[name]);
  const entries = entriesFor(name);

  it('gives the same bits for the parts merged, in any grouping and order, as for the whole', () => {
    fc.assert(
      fc.property(entries, fc.array(fc.nat(3), { minLength: 60, maxLength: 60 }), (all, parts) => {
        const whole = aggregator.finish(stateOf(aggregator, all));
        const states = [0, 1, 2, 3].map((part) =>
          stateOf(
            aggregator,
            all.filter((_, index) => parts[index] === part),
          ),
        );
        const [a, b, c, d] = states;
        const left = aggregator.create();
        for (const state of [a, b, c, d]) aggregator.merge(left, copyOf(aggregator, state));
        const right = copyOf(aggregator, c);
        aggregator.merge(right, d);
        const mixed = copyOf(aggregator, b);
        aggregator.merge(mixed, right);
        aggregator.merge(mixed, a);
        expect(aggregator.finish(left)).toEqual(whole);
        expect(aggregator.finish(mixed)).toEqual(whole);
      }),
      runs,
    );
  });

  it('has a neutral state, and leaves what it merges from as it was', () => {
    fc.assert(
      fc.property(entries, (all) => {
        const state = stateOf(aggregator, all);
        const answer = aggregator.finish(state);
        aggregator.merge(state, aggregator.create());
        expect(aggregator.finish(state)).toEqual(answer);
        const into = aggregator.create();
        aggregator.merge(into, state);
        aggregator.merge(into, state);
        expect(aggregator.finish(state)).toEqual(answer);
      }),
      runs,
    );
  });

  it('goes on from its stored bytes as it would have gone on', () => {
    fc.assert(
      fc.property(entries, fc.nat(60), (all, cut) => {
        const stored = copyOf(aggregator, stateOf(aggregator, all.slice(0, cut)));
        for (const entry of all.slice(cut)) aggregator.update(stored, entry.value, entry, carriedOf(entry));
        const whole = stateOf(aggregator, all);
        const writer = new StateWriter();
        aggregator.encode(stored, writer);
        const bytes = writer.take();
        aggregator.encode(whole, writer);
        expect(bytes).toEqual(writer.take());
      }),
      runs,
    );
  });

  it('is tagged reversible exactly where a value can be taken out without a trace', () => {
    expect(aggregator.retract === undefined).toBe(aggregator.traits.reversal === 'irreversible');
    fc.assert(
      fc.property(entries, fc.nat(60), (all, cut) => {
        if (aggregator.retract === undefined) return;
        const state = stateOf(aggregator, all);
        for (const { value } of all.slice(0, cut)) aggregator.retract(state, value);
        expect(aggregator.finish(state)).toEqual(aggregator.finish(stateOf(aggregator, all.slice(cut))));
      }),
      runs,
    );
  });

  const hasTwin = !['sum', 'avg', 'stddev', 'variance', 'approxDistinct', 'quantile'].includes(name);
  if (!hasTwin) return;
  it('says what its naive twin says', () => {
    fc.assert(
      fc.property(entries, (all) => {
        const plain = all.map((entry) => ({ ...entry, value: entry.value === 0 ? 0 : entry.value }));
        expect(aggregator.finish(stateOf(aggregator, plain))).toEqual(naive(specs[name], plain));
      }),
      runs,
    );
  });
});

describe('a quantile', () => {
  it('is within its relative error of the value at its rank', () => {
    const values = fc.array(fc.double({ min: -1e12, max: 1e12, noNaN: true }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(
        values,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom(0.001, 0.01, 0.05),
        (numbers, q, error) => {
          const aggregator = aggregatorOf({ function: 'quantile', q, error });
          const entries = numbers.map((value, offset) => ({ value, eventTimeMs: 0, partition: 0, offset }));
          const exact = numbers.toSorted((a, b) => a - b)[Math.floor(q * (numbers.length - 1))] ?? NaN;
          const got = Number(aggregator.finish(stateOf(aggregator, entries)));
          expect(Math.abs(got - exact)).toBeLessThanOrEqual(error * Math.abs(exact) * (1 + 1e-9) + 1e-300);
        },
      ),
      runs,
    );
  });

  it('keeps its bound, its upper quantiles and its laws where values span more powers than it has buckets for', () => {
    const aggregator = aggregatorOf({ function: 'quantile', q: 0.9, error: 0.01 });
    const numbers = Array.from({ length: 6_000 }, (_, i) => 10 ** (((i * 7_919) % 6_000) / 100 - 30));
    const entries = numbers.map((value, offset) => ({ value, eventTimeMs: 0, partition: 0, offset }));
    const state = stateOf(aggregator, entries);
    const backwards = stateOf(aggregator, entries.toReversed());
    const exact = numbers.toSorted((a, b) => a - b)[Math.floor(0.9 * 5_999)] ?? NaN;
    expect(Math.abs(Number(aggregator.finish(state)) - exact) / exact).toBeLessThanOrEqual(0.01 + 1e-9);
    const writer = new StateWriter();
    aggregator.encode(state, writer);
    const bytes = writer.take();
    aggregator.encode(backwards, writer);
    expect(bytes).toEqual(writer.take());
    expect(bytes.length).toBeLessThanOrEqual(16 + 2 * 2_048 * 12);
  });
});

describe('an approximate number of different values', () => {
  it.each([0.01, 0.02, 0.1])('is within four standard errors of %f, from one value to a hundred thousand', (error) => {
    for (const kind of ['number', 'text'] as const) {
      const aggregator = aggregatorOf({ function: 'approxDistinct', error });
      const state = aggregator.create();
      let seen = 0;
      for (const wanted of [1, 2, 10, 100, 1_000, 10_000, 100_000]) {
        for (; seen < wanted; seen++) {
          const value = kind === 'number' ? seen * 1.5 : `card-${seen}`;
          for (let again = 0; again < 2; again++) {
            aggregator.update(state, value, { eventTimeMs: 0, partition: 0, offset: 0 });
          }
        }
        const got = Number(aggregator.finish(state));
        expect(Math.abs(got - wanted) / wanted).toBeLessThanOrEqual(4 * error);
      }
    }
  });

  it('has errors of the size that it states, over a hundred independent sets', () => {
    const error = 0.05;
    const aggregator = aggregatorOf({ function: 'approxDistinct', error });
    let squares = 0;
    for (let set = 0; set < 100; set++) {
      const state = aggregator.create();
      for (let i = 0; i < 3_000; i++) {
        aggregator.update(state, `${set}/${i}`, { eventTimeMs: 0, partition: 0, offset: 0 });
      }
      squares += (Number(aggregator.finish(state)) / 3_000 - 1) ** 2;
    }
    expect(Math.sqrt(squares / 100)).toBeLessThanOrEqual(error);
  });
});

describe('the most frequent values', () => {
  it('have true counts within the stated error when there are more values than room, merged or not', () => {
    const spec: AggregateSpec = { function: 'topK', k: 4, capacity: 8 };
    const aggregator = aggregatorOf(spec);
    fc.assert(
      fc.property(
        fc.array(
          fc.nat(30).map((n) => (n * n) % 17),
          { maxLength: 200 },
        ),
        fc.nat(200),
        (values, cut) => {
          const entries = values.map((value, offset) => ({ value, eventTimeMs: 0, partition: 0, offset }));
          const state = stateOf(aggregator, entries.slice(0, cut));
          aggregator.merge(state, stateOf(aggregator, entries.slice(cut)));
          const answer = aggregator.finish(state);
          const found =
            answer === null ? [] : (JSON.parse(String(answer)) as { value: number; count: number; error: number }[]);
          for (const { value, count, error } of found) {
            const exact = values.filter((other) => other === value).length;
            expect(exact).toBeLessThanOrEqual(count);
            expect(exact).toBeGreaterThanOrEqual(count - error);
          }
          // Whatever came more than n / capacity times is counted, so the most frequent of those cannot be missing.
          for (const value of new Set(values)) {
            const exact = values.filter((other) => other === value).length;
            const floor = found.at(-1)?.count ?? 0;
            if (found.length === 4 && exact > floor) expect(found.map((entry) => entry.value)).toContain(value);
          }
        },
      ),
      runs,
    );
  });
});

describe('stored state', () => {
  it('that is cut off is refused', () => {
    for (const name of allNames) {
      const aggregator = aggregatorOf(specs[name]);
      const writer = new StateWriter();
      const entries = [1, 2, 3].map((value, offset) => ({ value, eventTimeMs: 0, partition: 0, offset }));
      aggregator.encode(stateOf(aggregator, entries), writer);
      const bytes = writer.take();
      expect(() => aggregator.decode(new StateBytes(bytes.subarray(0, bytes.length - 1)))).toThrow(RangeError);
    }
  });
});
