import { describe, expect, it } from 'vitest';
import type { StateEntry } from '../../engine/state/state-store.ts';
import { furthestOf, redistributeEntries, type EntryForm } from './redistribute-entries.ts';

const marksName = Uint8Array.of(0xff);
const entry = (key: string, value: number): StateEntry => ({ key: Buffer.from(key), value: Uint8Array.of(value) });
const marks = (value: number): StateEntry => ({ key: marksName, value: Uint8Array.of(value) });
const texts = (stores: readonly (readonly StateEntry[])[]): readonly (readonly string[])[] =>
  stores.map((entries) =>
    entries.map(({ key, value }) => `${key.length === 1 ? 'marks' : Buffer.from(key).toString()} ${value[0] ?? ''}`),
  );

const form: EntryForm = {
  watermarksName: marksName,
  keyOf: ({ key }) => key.slice(0, 1),
  mergeWatermarks: (values) => Uint8Array.of(Math.max(...values.map((value) => value[0] ?? 0))),
};
const isB = (key: Uint8Array): number => (Buffer.from(key).toString() === 'b' ? 1 : 0);

describe('the entries of several stores', () => {
  it('go where their keys do, with the watermarks that all have seen', () => {
    const stores = [
      [entry('a1', 1), marks(3)],
      [entry('b1', 2), entry('a2', 3), marks(5)],
    ];
    expect(texts(redistributeEntries(stores, 2, isB, form))).toEqual([
      ['a1 1', 'a2 3', 'marks 5'],
      ['b1 2', 'marks 5'],
    ]);
    expect(texts(redistributeEntries(stores, 1, () => 0, form))).toEqual([['a1 1', 'b1 2', 'a2 3', 'marks 5']]);
  });

  it('are everywhere where any of them may be asked for, and are one again once they come together', () => {
    const spread = redistributeEntries([[entry('a1', 1), marks(3)]], 3, isB, { ...form, keyOf: 'everywhere' });
    expect(texts(spread)).toEqual([
      ['a1 1', 'marks 3'],
      ['a1 1', 'marks 3'],
      ['a1 1', 'marks 3'],
    ]);
    expect(texts(redistributeEntries(spread, 1, () => 0, form))).toEqual([['a1 1', 'marks 3']]);
  });

  it('have no watermarks where there were none', () => {
    expect(texts(redistributeEntries([[entry('a1', 1)], []], 1, () => 0, form))).toEqual([['a1 1']]);
  });
});

describe('watermarks that several stores have seen', () => {
  it('are the furthest of each partition', () => {
    const lists = [
      [
        { partition: 0, watermarkMs: 5 },
        { partition: 2, watermarkMs: 1 },
      ],
      [
        { partition: 2, watermarkMs: 4, leftAs: 0 },
        { partition: 1, watermarkMs: 7 },
      ],
    ];
    expect(furthestOf(lists)).toEqual([
      { partition: 0, watermarkMs: 5 },
      { partition: 1, watermarkMs: 7 },
      { partition: 2, watermarkMs: 4 },
    ]);
    expect(furthestOf([[{ partition: 2, watermarkMs: 4, leftAs: 0 }]])).toEqual([
      { partition: 2, watermarkMs: 4, leftAs: 0 },
    ]);
  });
});
