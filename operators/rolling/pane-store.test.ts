import { describe, expect, it } from 'vitest';
import { PaneStore } from './pane-store.ts';
import type { PaneRule } from './rolling-definition.ts';
import { linesOf, maximumLayout, paneAggregate, paneLayout, storeOf } from './testing/pane-stores.ts';

type Event = readonly [timeMs: number, amount: number];

const sizeMs = 10;
const inPanes: PaneRule = { sizeMs };
const compacting: PaneRule = { sizeMs, aboveRecords: 5 };

/** Records whose amount is their time. */
const at = (...times: readonly number[]): Event[] => times.map((t) => [t, t]);
const add = (store: PaneStore, slot: number, ...times: readonly number[]): void => {
  for (const t of times) store.insert(slot, t, Float64Array.of(t));
};
const rowTimes = (store: PaneStore, slot = 0): number[] => linesOf(store.rows, slot).map(([t]) => t ?? NaN);
/** The end of each pane, and how many records it has. */
const paneSizes = (store: PaneStore, slot = 0): number[][] =>
  linesOf(store.panes, slot).map(([endMs, records]) => [endMs ?? NaN, records ?? NaN]);

describe('a pane', () => {
  it('is made of its third record, whose rows stay until it is sealed, and has every record from then on', () => {
    const store = storeOf(inPanes, 0, [
      [12, 7],
      [20, 9],
    ]);
    expect([paneSizes(store), rowTimes(store)]).toEqual([[], [12, 20]]);
    store.insert(0, 11, Float64Array.of(NaN));
    expect(linesOf(store.panes, 0)).toEqual([[20, 3, 2, 9]]);
    store.insert(0, 13, Float64Array.of(30));
    expect(linesOf(store.panes, 0)).toEqual([[20, 4, 3, 30]]);
    expect(linesOf(store.rows, 0)).toEqual([
      [11, NaN],
      [12, 7],
      [13, 30],
      [20, 9],
    ]);
  });

  it('is of what is later than its start, up to its end, among the rows of others', () => {
    const store = storeOf(inPanes, 0, at(9, 10, 20, 21, 22, 15));
    expect(paneSizes(store)).toEqual([]);
    add(store, 0, 11);
    expect(linesOf(store.panes, 0)).toEqual([[20, 3, 3, 20]]);
    add(store, 0, 10);
    expect(linesOf(store.panes, 0)).toEqual([
      [10, 3, 3, 10],
      [20, 3, 3, 20],
    ]);
    add(store, 0, 30);
    expect(paneSizes(store)).toEqual([
      [10, 3],
      [20, 3],
      [30, 3],
    ]);
    expect(rowTimes(store)).toEqual([9, 10, 10, 11, 15, 20, 21, 22, 30]);
  });

  it('is found behind, before and between others', () => {
    const store = storeOf(inPanes, 0, at(1, 2, 3, 21, 22, 23, 41, 42, 43));
    add(store, 0, 4, 24, 44, 14, 34, 51);
    expect(paneSizes(store)).toEqual([
      [10, 4],
      [30, 4],
      [50, 4],
    ]);
    add(store, 0, 11, 31, 52, 12, 32, 53, -5, -6, -7);
    expect(paneSizes(store)).toEqual([
      [0, 3],
      [10, 4],
      [20, 3],
      [30, 4],
      [40, 3],
      [50, 4],
      [60, 3],
    ]);
  });

  it('is each key’s own', () => {
    const store = storeOf(inPanes, 3, at(1, 2, 3));
    add(store, 1, 4, 5);
    expect([paneSizes(store, 1), paneSizes(store, 2), paneSizes(store, 3)]).toEqual([[], [], [[10, 3]]]);
    store.clear(3);
    expect([paneSizes(store, 3), rowTimes(store, 3), rowTimes(store, 1)]).toEqual([[], [], [4, 5]]);
  });
});

describe('a sealed pane', () => {
  it('is kept without its rows, and one of few records as these', () => {
    const store = storeOf(inPanes, 0, at(1, 2, 3, 11, 12, 21, 22, 23, 24, 31, 32, 33, 40, 41));
    store.seal(0, 30);
    expect(store.sealedToMs(0)).toBe(30);
    expect(rowTimes(store)).toEqual([11, 12, 31, 32, 33, 40, 41]);
    expect(paneSizes(store)).toEqual([
      [10, 3],
      [30, 4],
      [40, 4],
    ]);
    store.seal(0, 20);
    expect([store.sealedToMs(0), rowTimes(store).length]).toEqual([30, 7]);
    store.seal(0, 40);
    expect([store.sealedToMs(0), rowTimes(store)]).toEqual([40, [11, 12, 41]]);
    store.seal(0, 60);
    expect([store.sealedToMs(0), rowTimes(store)]).toEqual([60, [11, 12, 41]]);
  });

  it('takes what comes late, and is made when that is enough', () => {
    const store = storeOf(inPanes, 0, at(1, 2, 3, 11, 12, 21));
    store.seal(0, 20);
    add(store, 0, 10);
    expect([paneSizes(store), rowTimes(store)]).toEqual([[[10, 4]], [11, 12, 21]]);
    add(store, 0, 20);
    expect(linesOf(store.panes, 0)).toEqual([
      [10, 4, 4, 10],
      [20, 3, 3, 20],
    ]);
    expect(rowTimes(store)).toEqual([21]);
    add(store, 0, 22, 23, 24, 19);
    expect([paneSizes(store), rowTimes(store)]).toEqual([
      [
        [10, 4],
        [20, 4],
        [30, 4],
      ],
      [21, 22, 23, 24],
    ]);
  });

  it('may be of a key that has nothing yet, or nothing any more', () => {
    const store = new PaneStore(maximumLayout(inPanes));
    expect([store.sealedToMs(5_000), store.newestMs(5_000), store.recordsAfter(5_000, 0)]).toEqual([
      -Infinity,
      -Infinity,
      0,
    ]);
    store.seal(5_000, 20);
    expect([store.sealedToMs(5_000), store.sealedToMs(0), store.sealedToMs(4_999)]).toEqual([20, -Infinity, -Infinity]);
    add(store, 5_000, 1, 2, 3, 21);
    expect([paneSizes(store, 5_000), rowTimes(store, 5_000)]).toEqual([[[10, 3]], [21]]);
    store.trim(5_000, 10);
    store.seal(5_000, 30);
    expect([paneSizes(store, 5_000), rowTimes(store, 5_000), store.sealedToMs(5_000)]).toEqual([[], [21], 30]);
    store.trim(5_000, 30);
    store.seal(5_000, 40);
    expect([rowTimes(store, 5_000), store.sealedToMs(5_000)]).toEqual([[], 40]);
    store.clear(5_000);
    expect(store.sealedToMs(5_000)).toBe(-Infinity);
  });

  it('is said of any slot, up to the last that there is room for', () => {
    const store = new PaneStore(maximumLayout(inPanes));
    const slots = [0, 1_023, 1_024, 2_047, 2_048, 9_999];
    for (const slot of slots) {
      store.clear(slot);
      store.seal(slot, slot + 10);
      expect(slots.filter((each) => each <= slot).map((each) => store.sealedToMs(each))).toEqual(
        slots.filter((each) => each <= slot).map((each) => each + 10),
      );
    }
    store.clear(1_024);
    expect([store.sealedToMs(1_024), store.sealedToMs(1_023), store.sealedToMs(1_025)]).toEqual([
      -Infinity,
      1_033,
      -Infinity,
    ]);
  });
});

describe('a key that is compacted when it has too many records', () => {
  it('has rows alone until then, and panes of all that is sealed afterwards', () => {
    const store = storeOf(compacting, 0, at(1, 2, 3, 4, 11, 21, 22, 23));
    expect([paneSizes(store), rowTimes(store).length]).toEqual([[], 8]);
    store.seal(0, 20);
    expect([paneSizes(store), rowTimes(store)]).toEqual([[[10, 4]], [11, 21, 22, 23]]);
    // From now on as with panes from the beginning: made of three records, whether sealed or not.
    add(store, 0, 24, 12, 13);
    expect([paneSizes(store), rowTimes(store)]).toEqual([
      [
        [10, 4],
        [20, 3],
        [30, 4],
      ],
      [21, 22, 23, 24],
    ]);
  });

  it('is not older than up to where it is compacted', () => {
    const store = storeOf(compacting, 0, at(4, 7));
    expect(store.newestMs(0)).toBe(7);
    store.seal(0, 20);
    expect(store.newestMs(0)).toBe(20);
    add(store, 0, 25);
    expect(store.newestMs(0)).toBe(25);
    const other = storeOf(inPanes, 0, at(4, 7));
    other.seal(0, 20);
    expect(other.newestMs(0)).toBe(7);
    add(other, 0, 5);
    other.seal(0, 30);
    // The newest of the pane itself is not known any more.
    expect(other.newestMs(0)).toBe(10);
  });

  it('has as many records as its rows and its sealed panes have behind the horizon', () => {
    const store = storeOf(compacting, 0, at(1, 2, 3, 4, 11, 12, 13, 21, 31, 32, 33));
    const counts = (...horizonsMs: readonly number[]): number[] => horizonsMs.map((ms) => store.recordsAfter(0, ms));
    const all = [11, 11, 7, 4, 3, 0];
    expect(counts(-10, 0, 10, 20, 30, 40)).toEqual(all);
    store.seal(0, 20);
    expect([paneSizes(store).length, rowTimes(store)]).toEqual([2, [21, 31, 32, 33]]);
    expect(counts(-10, 0, 10, 20, 30, 40)).toEqual(all);
    // A pane that is not sealed is counted by its rows.
    add(store, 0, 34);
    expect(paneSizes(store)).toEqual([
      [10, 4],
      [20, 3],
      [40, 4],
    ]);
    expect(counts(0, 30, 0)).toEqual([12, 4, 12]);
    // What comes into a sealed pane is counted, also where the same was asked before.
    add(store, 0, 15, 16);
    expect(counts(0, 0, 10)).toEqual([14, 14, 10]);
    store.seal(0, 40);
    expect(counts(10, 30)).toEqual([10, 4]);
    // And where a sealed pane is made.
    add(store, 0, 22);
    expect(counts(10)).toEqual([11]);
    add(store, 0, 23);
    expect([counts(10), rowTimes(store)]).toEqual([[12], []]);
    store.clear(0);
    expect(counts(10)).toEqual([0]);
    add(store, 0, 12);
    expect(counts(10)).toEqual([1]);
  });
});

describe('a store of panes', () => {
  it('holds what it was when a key is read back, once it is filled', () => {
    const store = storeOf(compacting, 0, at(1, 2, 3, 11));
    store.seal(0, 10);
    expect(store.recordsAfter(0, -10)).toBe(4);
    for (const slot of [0, 6_000]) {
      store.reserve(slot, 1, 2, 20);
      expect([store.rows.count(slot), store.panes.count(slot), store.sealedToMs(slot)]).toEqual([1, 2, 20]);
      store.rows.chunk(slot).set([25], store.rows.start(slot));
      const [chunk, start, stride] = [store.panes.chunk(slot), store.panes.start(slot), store.panes.stride(slot)];
      chunk.set([10, 20], start);
      chunk.set([6, 7], start + stride);
      expect(store.recordsAfter(slot, -10)).toBe(14);
      store.reserve(slot, 0, 0, -Infinity);
      expect([store.rows.count(slot), store.panes.count(slot), store.sealedToMs(slot)]).toEqual([0, 0, -Infinity]);
    }
    expect(store.heldBytes).toBe(0);
  });

  it('takes the memory of its rows and of its panes', () => {
    const store = storeOf(inPanes, 0, at(1, 2));
    // Room for four rows of two doubles, then for as many panes of four, too.
    expect(store.heldBytes).toBe(4 * 2 * 8);
    add(store, 0, 3);
    expect(store.heldBytes).toBe(4 * 2 * 8 + 4 * 4 * 8);
  });

  it('forgets rows and panes that are not later than the horizon', () => {
    const store = storeOf(inPanes, 0, at(1, 2, 3, 11, 12, 21, 22, 23));
    store.trim(0, 10);
    expect([paneSizes(store), rowTimes(store)]).toEqual([[[30, 3]], [11, 12, 21, 22, 23]]);
    store.trim(0, 20);
    expect([paneSizes(store), rowTimes(store)]).toEqual([[[30, 3]], [21, 22, 23]]);
  });

  it('makes panes of rows with several columns, or with none', () => {
    const two = paneLayout(inPanes, paneAggregate('max', 'amount'), paneAggregate('min', 'fee'));
    const store = new PaneStore(two);
    const values = [
      [4, 1],
      [9, NaN],
      [NaN, 7],
    ];
    values.forEach((each, i) => store.insert(0, 1 + i, Float64Array.from(each)));
    expect([two.looseRows, linesOf(store.panes, 0)]).toEqual([2, [[10, 3, 2, 9, 2, 1]]]);
    const counts = new PaneStore(paneLayout(inPanes, paneAggregate('sinceLast', null)));
    for (const t of [1, 5, 3, 2, 4]) counts.insert(0, t, new Float64Array(0));
    expect(linesOf(counts.panes, 0)).toEqual([[10, 5, 5, 1]]);
  });
});

describe('rows and panes together', () => {
  /** The same by lists: the records of each pane, whether it was made, and whether they are all there one by one. */
  class Lists {
    rows: number[] = [];
    readonly panes = new Map<number, number[]>();
    sealedToMs = -Infinity;
    readonly rule: PaneRule;

    constructor(rule: PaneRule) {
      this.rule = rule;
    }

    insert(t: number): void {
      const endMs = Math.ceil(t / sizeMs) * sizeMs;
      const made = this.panes.get(endMs);
      made?.push(t);
      if (made === undefined || endMs > this.sealedToMs) this.rows = [...this.rows, t].toSorted((a, b) => a - b);
      if (this.rule.aboveRecords === undefined || this.sealedToMs > -Infinity) this.#make(endMs);
    }

    seal(toMs: number): void {
      const fromMs = this.sealedToMs;
      if (toMs <= fromMs) return;
      this.sealedToMs = toMs;
      for (const t of this.rows) if (fromMs < t && t <= toMs) this.#make(Math.ceil(t / sizeMs) * sizeMs);
    }

    trim(horizonMs: number): void {
      this.rows = this.rows.filter((t) => t > horizonMs);
      for (const endMs of this.panes.keys()) if (endMs <= horizonMs) this.panes.delete(endMs);
    }

    /** Makes the pane where it has enough rows, and drops those where it is sealed. */
    #make(endMs: number): void {
      const isOfPane = (t: number): boolean => endMs - sizeMs < t && t <= endMs;
      const own = this.rows.filter(isOfPane);
      if (own.length > 2 && !this.panes.has(endMs)) this.panes.set(endMs, own);
      if (this.panes.has(endMs) && endMs <= this.sealedToMs) this.rows = this.rows.filter((t) => !isOfPane(t));
    }
  }

  it.each([inPanes, compacting])('are what lists of records are, whatever comes: %o', (rule) => {
    // A fixed sequence of numbers without a pattern (Park and Miller, Communications of the ACM 31, 1988).
    let state = 7;
    const below = (limit: number): number => (state = (state * 48_271) % 2_147_483_647) % limit;
    for (let round = 0; round < 20; round++) {
      const [store, lists] = [new PaneStore(maximumLayout(rule)), new Lists(rule)];
      for (let step = 0; step < 60; step++) {
        const what = below(12);
        const t = below(70) + step - 20;
        const paneMs = Math.floor(t / sizeMs) * sizeMs;
        if (what === 0) {
          store.seal(0, paneMs);
          lists.seal(paneMs);
        } else if (what === 1) {
          store.trim(0, paneMs - 30);
          lists.trim(paneMs - 30);
        } else {
          store.insert(0, t, Float64Array.of(-t));
          lists.insert(t);
        }
        const records = [...lists.panes.entries()].toSorted(([a], [b]) => a - b);
        expect(linesOf(store.rows, 0)).toEqual(lists.rows.map((row) => [row, -row]));
        expect(linesOf(store.panes, 0)).toEqual(
          records.map(([endMs, own]) => [endMs, own.length, own.length, Math.max(...own.map((row) => -row))]),
        );
        const sealed = records.filter(([endMs]) => paneMs < endMs && endMs <= lists.sealedToMs);
        expect(store.recordsAfter(0, paneMs)).toBe(
          lists.rows.filter((row) => row > paneMs).length + sealed.reduce((sum, [, own]) => sum + own.length, 0),
        );
      }
    }
  });
});
