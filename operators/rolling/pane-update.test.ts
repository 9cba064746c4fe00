import { describe, expect, it } from 'vitest';
import type { PanePart } from './pane-layout.ts';
import { addToPane, clearPane } from './pane-update.ts';

const none = NaN;
const untouched = 77;
const nothing = -1_000;

/** A part with only these columns. */
const part = (count: number, more: Partial<PanePart> = {}): PanePart => ({
  column: 0,
  count,
  sum: -1,
  squares: -1,
  minimum: -1,
  maximum: -1,
  first: -1,
  last: -1,
  ...more,
});

type Event = readonly [timeMs: number, ...values: readonly number[]];

/**
 * The columns of a pane whose doubles lie `stride` apart from index 2 on, between others that must be left alone.
 *
 * @param width how many columns it has.
 */
function paneOf(parts: readonly PanePart[], width: number, events: readonly Event[], stride = 3): number[] {
  const at = 2;
  const panes = new Float64Array(at + (1 + width) * stride + 1).fill(untouched);
  clearPane(panes, at, stride, parts);
  for (const [timeMs, ...values] of events) addToPane(panes, at, stride, parts, timeMs, Float64Array.from(values));
  const columns = Array.from({ length: width }, (_, column) => panes[at + (1 + column) * stride] ?? none);
  const own = new Set(columns.map((_, column) => at + (1 + column) * stride));
  expect([...panes].filter((double, index) => !own.has(index) && double !== untouched)).toEqual([]);
  return columns;
}

describe('a pane of no records', () => {
  it.each([
    [part(0), 1, [0]],
    [part(6, { sum: 0 }), 7, [nothing, 0, 0, 0, 0, 0, 0]],
    [part(7, { squares: 0 }), 8, [nothing, 0, 0, 0, 0, 0, 0, 0]],
    [part(1, { minimum: 0 }), 2, [none, 0]],
    [part(1, { maximum: 0 }), 2, [none, 0]],
    [part(2, { first: 0 }), 3, [none, none, 0]],
    [part(2, { last: 0 }), 3, [none, none, 0]],
  ])('has no sum, no extremes and no ends: %o', (only, width, wanted) => {
    expect(paneOf([only], width, [])).toEqual(wanted);
    expect(paneOf([only], width, [], 1)).toEqual(wanted);
  });

  it('is one with every part, and what it had before is gone', () => {
    const records = part(0, { column: -1, last: 1 });
    const parts = [records, part(3, { sum: 4, squares: 10, minimum: 17, maximum: 18, first: 19, last: 21 })];
    const used = new Float64Array(24).fill(5);
    clearPane(used, 0, 1, parts);
    const sums = [nothing, 0, 0, 0, 0, 0, nothing, 0, 0, 0, 0, 0, 0];
    expect([...used]).toEqual([5, 0, none, none, 0, ...sums, none, none, none, none, none, none]);
  });
});

describe('a record that is added to a pane', () => {
  it('is counted where it has a value', () => {
    const parts = [part(0, { column: -1 }), part(1), part(2, { column: 1 })];
    expect(
      paneOf(parts, 3, [
        [1, 5, none],
        [2, none, none],
        [3, -1, 0],
      ]),
    ).toEqual([3, 2, 1]);
  });

  it('adds to the sum, and its square to the sum of squares, in digits', () => {
    expect(
      paneOf([part(6, { sum: 0 })], 7, [
        [1, 5],
        [2, none],
        [3, 2.5],
      ]),
    ).toEqual([0, 7, 2 ** 23, 0, 0, 0, 2]);
    expect(
      paneOf([part(7, { squares: 0 })], 8, [
        [1, 5],
        [2, none],
        [3, -2],
      ]),
    ).toEqual([0, 29, 0, 0, 0, 0, 0, 2]);
  });

  it('is the smallest or the largest where it is smaller or larger than all before, whatever came first', () => {
    const extremes = (...values: readonly number[]): unknown =>
      paneOf(
        [part(2, { minimum: 0, maximum: 1 })],
        3,
        values.map((value, i): Event => [i, value]),
      ).slice(0, 2);
    expect(extremes(4)).toEqual([4, 4]);
    expect(extremes(4, 7, -2, none, 3)).toEqual([-2, 7]);
    expect(extremes(none, -2, 7, 4)).toEqual([-2, 7]);
    expect(
      paneOf([part(1, { minimum: 0 })], 2, [
        [1, 4],
        [2, 3],
      ]),
    ).toEqual([3, 2]);
    expect(
      paneOf([part(1, { maximum: 0 })], 2, [
        [1, 3],
        [2, 4],
      ]),
    ).toEqual([4, 2]);
    // A zero has no sign here: which came first must not be seen.
    expect([extremes(-0), extremes(-0, 0), extremes(0, -0)]).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  it('is the first or the last by event time; of one event time, by arrival', () => {
    const events: readonly Event[] = [
      [5, 50],
      [5, 51],
      [3, 30],
      [3, 31],
      [9, none],
      [8, 80],
      [8, 81],
      [1, none],
      [6, 60],
    ];
    expect(paneOf([part(4, { first: 0, last: 2 })], 5, events)).toEqual([3, 30, 8, 81, 7]);
    expect(paneOf([part(2, { first: 0 })], 3, events)).toEqual([3, 30, 7]);
    expect(paneOf([part(2, { last: 0 })], 3, events)).toEqual([8, 81, 7]);
    expect(paneOf([part(2, { last: 0 })], 3, events.slice(0, 1))).toEqual([5, 50, 1]);
  });

  it('is in the part of the records themselves with the value 1', () => {
    const records = part(0, { column: -1, last: 1 });
    expect(
      paneOf([records], 3, [
        [4, 9],
        [7, none],
        [6, 9],
      ]),
    ).toEqual([3, 7, 1]);
  });
});
