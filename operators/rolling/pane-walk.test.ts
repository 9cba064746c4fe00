import { describe, expect, it } from 'vitest';
import type { PaneStore } from './pane-store.ts';
import { paneSegment, PaneWalk } from './pane-walk.ts';
import { storeOf } from './testing/pane-stores.ts';

const sizeMs = 10;

/** Records whose amount is their time, in slot 2, with panes up to `sealedToMs` sealed. */
function storeAt(times: readonly number[], sealedToMs: number = -Infinity): PaneStore {
  const store = storeOf(
    { sizeMs },
    2,
    times.map((t) => [t, t]),
  );
  store.seal(2, sealedToMs);
  // Rows and panes that begin elsewhere than those of the first key.
  for (const t of [100, 101, 102]) store.insert(0, t, Float64Array.of(t));
  return store;
}

interface Segment {
  readonly of: 'rows' | 'panes';
  /** Of the rows or panes, oldest first. */
  readonly times: readonly number[];
}

/** What each of the windows that end at `highMs` covers beyond the one before. */
function segmentsOf(store: PaneStore, highMs: number, lowsMs: readonly number[], walk?: PaneWalk): Segment[][] {
  const used = walk ?? new PaneWalk(store, sizeMs, lowsMs.length);
  used.find(2, highMs, Float64Array.from(lowsMs), lowsMs.length);
  let segment = 0;
  return lowsMs.map((_, window) => {
    const found: Segment[] = [];
    for (; segment < (used.ends[window] ?? 0); segment++) {
      const isPanes = used.kinds[segment] === paneSegment;
      const [from, to] = [used.froms[segment] ?? 0, used.tos[segment] ?? 0];
      const times = [...(isPanes ? used.panes : used.rows).subarray(from, to)];
      found.push({ of: isPanes ? 'panes' : 'rows', times });
    }
    return found;
  });
}

const rows = (...times: readonly number[]): Segment => ({ of: 'rows', times });
const panes = (...times: readonly number[]): Segment => ({ of: 'panes', times });

//  panes   (0 ··3·· 10](10 ···· 20](20 ·3·· 30](30 ·3·· 40](40 ···· 50]
//  rows                  12  17                              41  50
const times = [1, 5, 10, 12, 17, 21, 25, 30, 31, 32, 33, 41, 50];

describe('what windows cover', () => {
  it.each([
    [-Infinity, [rows(41, 50), panes(30, 40), rows(12, 17), panes(10)]],
    [10, [rows(41, 50), panes(30, 40), rows(12, 17), panes(10)]],
    [20, [rows(41, 50), panes(30, 40), rows(12, 17), panes(10)]],
    [30, [rows(41, 50), panes(40), rows(12, 17), panes(10, 30)]],
    [40, [rows(12, 17, 41, 50), panes(10, 30, 40)]],
  ])('is whole panes, and rows where there are none, sealed up to %d', (sealedToMs, wanted) => {
    expect(segmentsOf(storeAt(times, sealedToMs), 50, [0])).toEqual([wanted]);
  });

  it('is divided where one window ends and the next goes on', () => {
    const store = storeAt(times);
    expect(segmentsOf(store, 50, [40, 30, 20, 10, 0, -10])).toEqual([
      [rows(41, 50)],
      [panes(40)],
      [panes(30)],
      [rows(12, 17)],
      [panes(10)],
      [],
    ]);
    expect(segmentsOf(store, 50, [45, 40, 20, 14])).toEqual([[rows(50)], [rows(41)], [panes(30, 40)], [rows(17)]]);
  });

  it('is rows of the newest pane where the windows end before one of its records, and that pane where they do not', () => {
    const store = storeAt(times);
    expect(segmentsOf(store, 32, [20])).toEqual([[rows(31, 32), panes(30)]]);
    expect(segmentsOf(store, 33, [20])).toEqual([[panes(30, 40)]]);
    expect(segmentsOf(store, 30, [20])).toEqual([[panes(30)]]);
    expect(segmentsOf(store, 29, [20])).toEqual([[rows(21, 25)]]);
    // Nothing behind it; a row of the next pane is none of it; one at its very end is.
    expect(segmentsOf(storeAt([1, 2, 3]), 4, [0])).toEqual([[panes(10)]]);
    expect(segmentsOf(storeAt([1, 2, 3, 11]), 4, [0])).toEqual([[panes(10)]]);
    expect(segmentsOf(storeAt([1, 2, 10]), 9, [0])).toEqual([[rows(1, 2)]]);
    expect(segmentsOf(storeAt([1, 2, 10]), 10, [0])).toEqual([[panes(10)]]);
    expect(segmentsOf(storeAt([1, 2, 3]), 0, [-10])).toEqual([[]]);
  });

  it('is rows of the oldest pane where the windows begin within', () => {
    const store = storeAt(times);
    expect(segmentsOf(store, 50, [31])).toEqual([[rows(32, 33, 41, 50)]]);
    expect(segmentsOf(store, 50, [30, 21, 19])).toEqual([[rows(41, 50), panes(40)], [rows(25, 30)], [rows(21)]]);
    expect(segmentsOf(store, 32, [31])).toEqual([[rows(32)]]);
  });

  it('is what is sealed as it lies: rows of panes with few, then panes', () => {
    const store = storeAt(times, 40);
    expect(segmentsOf(store, 50, [40, 30, 10, 0])).toEqual([
      [rows(41, 50)],
      [panes(40)],
      [rows(12, 17), panes(30)],
      [panes(10)],
    ]);
    expect(segmentsOf(store, 40, [20])).toEqual([[panes(30, 40)]]);
    expect(segmentsOf(store, 20, [10, 0])).toEqual([[rows(12, 17)], [panes(10)]]);
    expect(segmentsOf(store, 55, [50])).toEqual([[]]);
  });

  it('is nothing of a key that has nothing', () => {
    const walk = new PaneWalk(storeAt([]), sizeMs, 1);
    expect(segmentsOf(storeAt([]), 50, [0], walk)).toEqual([[]]);
    expect([walk.rows.length, walk.panes.length]).toEqual([0, 0]);
  });

  it('is put together from very many stretches', () => {
    // Of twenty times two panes, each other one has few records: eighty stretches, and then a hundred and sixty.
    const many = (pairs: number): number[] =>
      Array.from({ length: pairs }, (_, i) => [1, 2, 3, 15].map((t) => t + i * 20)).flat();
    for (const pairs of [31, 32, 33, 80]) {
      const wanted = Array.from({ length: pairs }, (_, i) => [rows(15 + i * 20), panes(10 + i * 20)]).toReversed();
      expect(segmentsOf(storeAt(many(pairs)), pairs * 20, [0])).toEqual([wanted.flat()]);
    }
  });

  it('is every record between the bounds, once, whatever they are', () => {
    const crowded = [0, 1, 2, 3, 7, 10, 10, 11, 19, 21, 22, 28, 30, 31, 33, 33, 33, 40, 41, 42, 44, 50, 50, 59];
    for (const sealedToMs of [-Infinity, 0, 10, 20, 30, 40]) {
      const store = storeAt(crowded, sealedToMs);
      const bounds = Array.from({ length: 64 }, (_, i) => i - 3);
      const isOpen = (ms: number): boolean => ms >= sealedToMs || ms % sizeMs === 0;
      const walk = new PaneWalk(store, sizeMs, 3);
      for (const highMs of bounds.filter(isOpen)) {
        for (const lowMs of bounds.filter((ms) => ms <= highMs && isOpen(ms))) {
          const farMs = Math.floor(lowMs / sizeMs) * sizeMs - sizeMs;
          const counts = segmentsOf(store, highMs, [lowMs, farMs, -100], walk).map((each) => countOf(store, each));
          const between = (fromMs: number, toMs: number): number =>
            crowded.filter((t) => fromMs < t && t <= toMs).length;
          const wanted = [between(lowMs, highMs), between(farMs, lowMs), between(-100, farMs)];
          expect({ sealedToMs, highMs, lowMs, counts }).toEqual({ sealedToMs, highMs, lowMs, counts: wanted });
        }
      }
    }
  });
});

/** How many records stretches have, each pane as many as stand in its first column. */
function countOf(store: PaneStore, segments: readonly Segment[]): number {
  let records = 0;
  for (const { of, times: found } of segments) {
    if (of === 'rows') records += found.length;
    else {
      const [chunk, start, stride] = [store.panes.chunk(2), store.panes.start(2), store.panes.stride(2)];
      const ends = chunk.subarray(start, start + store.panes.count(2));
      for (const endMs of found) records += chunk[start + ends.indexOf(endMs) + stride] ?? NaN;
    }
  }
  return records;
}
