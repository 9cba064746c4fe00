import { describe, expect, it } from 'vitest';
import { paneAggregatorOf, runPaneWalk } from './pane-aggregators.ts';
import { PaneStore } from './pane-store.ts';
import { PaneWalk } from './pane-walk.ts';
import type { RollingFunction } from './rolling-definition.ts';
import { paneAggregate, paneLayout } from './testing/pane-stores.ts';

const none = NaN;
const sizeMs = 10;

/** An event time, an amount and a fee. */
type Event = readonly [timeMs: number, amount: number, fee: number];

/**
 * The answers over the windows `(lowsMs[w], highMs]`, for a record of this time that is not stored.
 *
 * @param own its own value; NaN where it is not in its windows.
 */
function answersOf(
  fn: RollingFunction,
  input: 'amount' | 'fee' | null,
  events: readonly Event[],
  lowsMs: readonly number[],
  highMs: number,
  own = none,
): number[] {
  const layout = paneLayout(
    { sizeMs },
    paneAggregate('min', 'amount'),
    paneAggregate('sinceLast', null),
    paneAggregate(fn, input),
  );
  const store = new PaneStore(layout);
  for (const [timeMs, amount, fee] of events) store.insert(0, timeMs, Float64Array.of(amount, fee));
  const part = layout.parts.find(({ column }) => column === ['amount', 'fee'].indexOf(input ?? ''));
  if (part === undefined) throw new Error('no such part');
  const aggregator = paneAggregatorOf(fn, part);
  const walk = new PaneWalk(store, sizeMs, lowsMs.length);
  const results = new Float64Array(lowsMs.length + 1).fill(-99);
  const windows = Int32Array.from(lowsMs.keys());
  // Twice, since nothing is carried from one record to the next.
  for (let turn = 0; turn < 2; turn++) {
    walk.find(0, highMs, Float64Array.from(lowsMs), lowsMs.length);
    runPaneWalk(aggregator, walk, windows, highMs + 4, own, results);
  }
  expect(results.at(-1)).toBe(-99);
  return [...results.subarray(0, -1)];
}

/** A pane of forty up to 10, few rows up to 20, a pane up to 30 without a fee, and few rows at the end. */
const events: readonly Event[] = [
  ...Array.from({ length: 40 }, (_, i): Event => [1 + Math.floor(i / 5), 5, i === 0 ? 10 : i === 39 ? 3 : 2]),
  [12, 5, none],
  [15, 5, 8],
  [15, 5, 6],
  ...Array.from({ length: 40 }, (): Event => [21, 5, none]),
  [33, 5, none],
  [34, 5, -4],
];
const lowsMs = [33, 20, 12, 10, 0, -10];
const deviationOf = (values: readonly number[]): number => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
};

describe('an aggregate over rows and panes', () => {
  it.each<readonly [RollingFunction, 'amount' | 'fee' | null, readonly number[]]>([
    ['count', null, [1, 42, 44, 45, 85, 85]],
    ['count', 'fee', [1, 1, 3, 3, 43, 43]],
    ['sum', 'fee', [-4, -4, 10, 10, 99, 99]],
    ['avg', 'fee', [-4, -4, 10 / 3, 10 / 3, 99 / 43, 99 / 43]],
    ['min', 'fee', [-4, -4, -4, -4, -4, -4]],
    ['max', 'fee', [-4, -4, 8, 8, 10, 10]],
    ['first', 'fee', [-4, -4, 8, 8, 10, 10]],
    ['last', 'fee', [-4, -4, -4, -4, -4, -4]],
    ['sinceLast', null, [0.004, 0.004, 0.004, 0.004, 0.004, 0.004]],
  ])('is what their records give, nulls included: %s of %s', (fn, input, wanted) => {
    expect(answersOf(fn, input, events, lowsMs, 34)).toEqual(wanted);
  });

  it.each<readonly [RollingFunction, readonly number[]]>([
    ['count', [0, 0, 2, 2, 42, 42]],
    ['sum', [none, none, 14, 14, 103, 103]],
    ['min', [none, none, 6, 6, 2, 2]],
    ['max', [none, none, 8, 8, 10, 10]],
    ['first', [none, none, 8, 8, 10, 10]],
    ['last', [none, none, 6, 6, 6, 6]],
    ['sinceLast', [none, none, none, none, none, none]],
  ])('is null where there are no values, and goes on to older ones: %s', (fn, wanted) => {
    const answers = fn === 'sinceLast' ? answersOf(fn, null, [], lowsMs, 33) : answersOf(fn, 'fee', events, lowsMs, 33);
    expect(answers).toEqual(wanted);
  });

  it('is the deviation of a sample, of two values or more', () => {
    const fees = (fromMs: number): number[] =>
      events.filter(([t, , fee]) => t > fromMs && fee === fee).map(([, , fee]) => fee);
    const answers = answersOf('stddev', 'fee', events, lowsMs, 34);
    expect(answers.slice(0, 2)).toEqual([none, none]);
    [12, 10, 0].forEach((fromMs, i) => expect(answers[2 + i]).toBeCloseTo(deviationOf(fees(fromMs)), 12));
    expect(answersOf('stddev', 'amount', events, [0], 34)).toEqual([0]);
    expect(answersOf('stddev', 'fee', events, [20, 12], 34, 6)[0]).toBeCloseTo(Math.sqrt(50), 12);
    // A square that is no finite number.
    expect(
      answersOf(
        'stddev',
        'fee',
        [
          [1, 0, 1e200],
          [2, 0, 1],
        ],
        [0],
        10,
      ),
    ).toEqual([none]);
  });

  it.each<readonly [RollingFunction, readonly number[]]>([
    ['count', [2, 4]],
    ['sum', [5, 19]],
    ['avg', [2.5, 4.75]],
    ['min', [-4, -4]],
    ['max', [9, 9]],
    ['first', [-4, 8]],
    ['last', [9, 9]],
  ])('takes in the record itself where it is said to: %s', (fn, wanted) => {
    expect(answersOf(fn, 'fee', events, [20, 12], 34, 9)).toEqual(wanted);
  });

  it('takes in the record alone where there is nothing else', () => {
    const ofOwn = (fn: RollingFunction): number[] => answersOf(fn, 'fee', [], [0], 34, 9);
    expect(
      ['count', 'sum', 'avg', 'stddev', 'min', 'max', 'first', 'last'].map((fn) => ofOwn(fn as RollingFunction)),
    ).toEqual([[1], [9], [9], [none], [9], [9], [9], [9]]);
    expect(answersOf('sinceLast', null, [], [0], 34, 1)).toEqual([0]);
  });

  it('has extremes without the sign of a zero', () => {
    expect(answersOf('min', 'fee', [], [0], 10, -0)).toEqual([0]);
    expect(
      answersOf(
        'max',
        'fee',
        [
          [1, 0, -0],
          [2, 0, 0],
        ],
        [0],
        10,
      ),
    ).toEqual([0]);
    expect(answersOf('min', 'fee', [[1, 0, -0]], [0], 10)).toEqual([0]);
  });

  it('takes the first to come among the oldest, and the last to come among the newest', () => {
    const ties: readonly Event[] = [
      [1, 0, 1],
      [1, 0, 2],
      [1, 0, none],
      [15, 0, 3],
      [15, 0, 4],
    ];
    expect(answersOf('first', 'fee', ties, [10, 0], 20)).toEqual([3, 1]);
    expect(answersOf('last', 'fee', ties, [10, 0], 20)).toEqual([4, 4]);
    expect(answersOf('last', 'fee', ties, [0], 10)).toEqual([2]);
  });
});

describe('what is not answered from panes', () => {
  it.each(['distinct', 'lastN', 'decayedSum'] as const)('is refused: %s', (fn) => {
    const [part] = paneLayout({ sizeMs }, paneAggregate('count', null)).parts;
    if (part === undefined) throw new Error('the records have a part');
    expect(() => paneAggregatorOf(fn, part)).toThrow(`${fn} is not answered from panes`);
  });
});
