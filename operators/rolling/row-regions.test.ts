import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowStore } from './row-store.ts';

/** A slot's rows, each its time and its columns. */
function rowsOf(store: RowStore, slot: number): number[][] {
  if (store.count(slot) === 0) return [];
  const [chunk, start, stride] = [store.chunk(slot), store.start(slot), store.stride(slot)];
  return Array.from({ length: store.count(slot) }, (_, row) =>
    Array.from({ length: 1 + store.columnCount }, (_unused, column) => chunk[start + row + column * stride] ?? NaN),
  );
}

/** Puts rows in whose columns are told by their time. */
function fill(store: RowStore, slot: number, times: readonly number[]): void {
  for (const t of times) {
    const position = store.insert(slot, t);
    for (let column = 1; column <= store.columnCount; column++) {
      store.chunk(slot)[store.start(slot) + position + column * store.stride(slot)] = t * 10 + column;
    }
  }
}

const filled = (times: readonly number[]): number[][] => times.map((t) => [t, t * 10 + 1, t * 10 + 2]);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, t) => t);

describe('the room of a key’s rows', () => {
  it('keeps all columns of them as they move to its front, or to another room', () => {
    const store = new RowStore(2);
    fill(store, 0, [100]);
    fill(store, 1, upTo(8));
    store.trim(1, 1);
    fill(store, 1, [8]);
    expect(rowsOf(store, 1)).toEqual(filled([2, 3, 4, 5, 6, 7, 8]));
    fill(store, 1, [9, 10, 11]);
    expect([rowsOf(store, 1), store.stride(1)]).toEqual([filled([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), 16]);
    expect(rowsOf(store, 0)).toEqual(filled([100]));
  });

  it('goes to the next key that needs as much, wherever it lies', () => {
    const store = new RowStore(1);
    for (const slot of [0, 1, 2]) fill(store, slot, [slot]);
    const [second, third] = [store.start(1), store.start(2)];
    store.clear(1);
    fill(store, 9, [7]);
    expect(store.start(9)).toBe(second);
    fill(store, 2, [3, 4, 5, 6]);
    fill(store, 8, [8]);
    expect([store.start(8), store.stride(2), store.start(2)]).toEqual([third, 8, third + 8]);
    expect([rowsOf(store, 9), rowsOf(store, 8)]).toEqual([[[7, 71]], [[8, 81]]]);
  });

  it('goes to the next one in the array that it is of, too', () => {
    const store = new RowStore(7);
    for (let slot = 0; slot < 2_051; slot++) store.insert(slot, slot);
    const [chunk, start] = [store.chunk(2_049), store.start(2_049)];
    expect(chunk).not.toBe(store.chunk(0));
    store.clear(2_049);
    store.insert(5_000, 1);
    expect(store.chunk(5_000)).toBe(chunk);
    expect(store.start(5_000)).toBe(start);
  });

  it('is given back whole where it is an array of its own', () => {
    const store = new RowStore(0);
    store.reserve(0, 20_000);
    const large = store.chunk(0);
    store.clear(0);
    store.reserve(1, 20_000);
    expect(store.chunk(1)).not.toBe(large);
    expect(store.heldBytes).toBe(8 * 32_768);
  });
});

describe('rows that are taken out of the middle', () => {
  it('leave the others as they were', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 80 }), fc.nat(80), fc.nat(80), (count, a, b) => {
        const [from, to] = [Math.min(a, b, count), Math.min(Math.max(a, b), count)];
        const store = new RowStore(2);
        fill(store, 0, [5]);
        fill(store, 1, upTo(count));
        store.removeRange(1, from, to);
        const left = upTo(count).filter((t) => t < from || t >= to);
        expect(rowsOf(store, 1)).toEqual(filled(left));
        fill(store, 1, [200]);
        expect(rowsOf(store, 1)).toEqual(filled([...left, 200]));
        expect(rowsOf(store, 0)).toEqual(filled([5]));
      }),
      { numRuns: 1_000 },
    );
  });

  it('give room back, to a quarter again and again, where less than an eighth is left, but for the last sixteen', () => {
    const strideAfter = (count: number, left: number): number => {
      const store = new RowStore(1);
      fill(store, 0, upTo(count));
      store.removeRange(0, left, count);
      return store.stride(0);
    };
    expect([strideAfter(256, 32), strideAfter(256, 31), strideAfter(256, 8), strideAfter(256, 7)]).toEqual([
      256, 64, 64, 16,
    ]);
    expect([strideAfter(1_024, 1), strideAfter(16, 1), strideAfter(32, 3), strideAfter(32, 4)]).toEqual([
      16, 16, 8, 32,
    ]);
  });

  it('are none where the range is empty', () => {
    const store = new RowStore(1);
    fill(store, 0, upTo(64));
    store.trim(0, 60);
    const before = [store.stride(0), store.start(0)];
    store.removeRange(0, 2, 2);
    expect([store.stride(0), store.start(0), store.count(0)]).toEqual([...before, 3]);
  });
});
