import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowStore } from './row-store.ts';

interface Row {
  readonly t: number;
  readonly values: readonly number[];
}

/** A slot's rows, read as the aggregates read them. */
function rowsOf(store: RowStore, slot: number): Row[] {
  if (store.count(slot) === 0) return [];
  const chunk = store.chunk(slot);
  const at = (row: number, column: number): number =>
    chunk[store.start(slot) + row + column * store.stride(slot)] ?? NaN;
  return Array.from({ length: store.count(slot) }, (_, row) => ({
    t: at(row, 0),
    values: Array.from({ length: store.columnCount }, (_unused, column) => at(row, 1 + column)),
  }));
}

function fill(store: RowStore, slot: number, position: number, values: readonly number[]): void {
  const chunk = store.chunk(slot);
  values.forEach((value, column) => {
    chunk[store.start(slot) + position + (1 + column) * store.stride(slot)] = value;
  });
}

function insert(store: RowStore, slot: number, { t, values }: Row): number {
  const position = store.insert(slot, t);
  fill(store, slot, position, values);
  return position;
}

const slot = fc.nat(4);
const time = fc.integer({ min: -30, max: 30 });
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('insert' as const), slot, time }) },
  fc.record({ do: fc.constant('removeAt' as const), slot, time }),
  fc.record({ do: fc.constant('trim' as const), slot, time }),
  fc.record({ do: fc.constant('reserve' as const), slot, time: fc.nat(40) }),
  fc.record({ do: fc.constant('clear' as const), slot, time }),
);

describe('the rows of keys', () => {
  it.each([0, 1, 3])('are what a list of them is, whatever comes and goes, with %i columns', (columnCount) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const store = new RowStore(columnCount);
        const lists: Row[][] = [[], [], [], [], []];
        steps.forEach(({ do: what, slot: at, time: t }, n) => {
          const list = lists[at] ?? [];
          const values = Array.from({ length: columnCount }, (_, column) => n * 10 + column);
          if (what === 'insert') {
            const position = list.filter((row) => row.t <= t).length;
            expect(insert(store, at, { t, values })).toBe(position);
            list.splice(position, 0, { t, values });
          } else if (what === 'removeAt' && list.length > 0) {
            const position = Math.abs(t) % list.length;
            store.removeAt(at, position);
            list.splice(position, 1);
          } else if (what === 'trim') {
            store.trim(at, t);
            lists[at] = list.filter((row) => row.t > t);
          } else if (what === 'clear') {
            store.clear(at);
            lists[at] = [];
          } else if (what === 'reserve') {
            store.reserve(at, t);
            const rows = Array.from({ length: t }, (_, row) => ({
              t: row - 20,
              values: values.map((value) => value + row),
            }));
            rows.forEach((row, position) => {
              store.chunk(at)[store.start(at) + position] = row.t;
              fill(store, at, position, row.values);
            });
            lists[at] = rows;
          }
          const now = lists[at] ?? [];
          expect(store.count(at)).toBe(now.length);
          expect(store.newestTimeMs(at)).toBe(now.at(-1)?.t ?? -Infinity);
        });
        expect(lists.map((_, at) => rowsOf(store, at))).toEqual(lists);
      }),
      { numRuns: 1_000 },
    );
  });

  it('take room for 4, 8, 16 … of them, and give it back when an eighth is left', () => {
    const store = new RowStore(1);
    const held = (): number => store.heldBytes / 8 / 2;
    expect([store.count(0), store.stride(0), store.heldBytes]).toEqual([0, 0, 0]);
    const rooms: number[] = [];
    for (let t = 0; t < 33; t++) {
      insert(store, 0, { t, values: [t] });
      if (held() !== rooms.at(-1)) rooms.push(held());
    }
    expect(rooms).toEqual([4, 8, 16, 32, 64]);
    expect(store.stride(0)).toBe(64);
    store.trim(0, 23);
    expect([store.count(0), held()]).toEqual([9, 64]);
    store.trim(0, 24);
    expect([store.count(0), held()]).toEqual([8, 64]);
    store.trim(0, 25);
    expect([store.count(0), held()]).toEqual([7, 16]);
    store.trim(0, 31);
    expect([rowsOf(store, 0), held()]).toEqual([[{ t: 32, values: [32] }], 16]);
    store.clear(0);
    expect([store.count(0), store.stride(0), store.heldBytes]).toEqual([0, 0, 0]);
  });

  it('move to the front of their room, instead of into a larger one, where a quarter of it was evicted', () => {
    const store = new RowStore(1);
    for (let t = 0; t < 8; t++) insert(store, 0, { t, values: [t] });
    store.trim(0, 1);
    const front = store.start(0) - 2;
    insert(store, 0, { t: 8, values: [8] });
    expect([store.start(0), store.stride(0), store.count(0)]).toEqual([front, 8, 7]);
    for (let t = 9; t < 10; t++) insert(store, 0, { t, values: [t] });
    store.trim(0, 2);
    insert(store, 0, { t: 10, values: [10] });
    expect([store.stride(0), store.count(0)]).toEqual([16, 8]);
    expect(rowsOf(store, 0).map(({ t }) => t)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('use the room that others have left', () => {
    const store = new RowStore(2);
    insert(store, 0, { t: 1, values: [1, 1] });
    const [chunk, start] = [store.chunk(0), store.start(0)];
    store.clear(0);
    insert(store, 7, { t: 2, values: [2, 2] });
    expect(store.chunk(7)).toBe(chunk);
    expect(store.start(7)).toBe(start);
    insert(store, 8, { t: 3, values: [3, 3] });
    expect(store.start(8)).toBe(start + 12);
    expect(rowsOf(store, 7)).toEqual([{ t: 2, values: [2, 2] }]);
  });

  it('that are many have an array of their own, whose place is given to others when they are gone', () => {
    const store = new RowStore(0);
    store.reserve(0, 16_384);
    insert(store, 1, { t: 1, values: [] });
    expect(store.chunk(0)).toHaveLength(65_536);
    store.reserve(0, 16_385);
    expect(store.chunk(0)).toHaveLength(32_768);
    store.chunk(0).fill(5, 0, 16_385);
    insert(store, 2, { t: 2, values: [] });
    expect(store.chunk(2)).toBe(store.chunk(1));
    expect([store.count(0), store.newestTimeMs(0)]).toEqual([16_385, 5]);
    store.clear(0);
    expect(() => store.chunk(0)).toThrow('the slot has no region');
    store.reserve(3, 20_000);
    store.reserve(4, 20_000);
    store.chunk(3).fill(3, 0, 20_000);
    store.chunk(4).fill(4, 0, 20_000);
    expect([1, 2, 3, 4].map((at) => store.newestTimeMs(at))).toEqual([1, 2, 3, 4]);
    expect(store.heldBytes).toBe(8 * (4 + 4 + 32_768 + 32_768));
  });

  it('of thousands of keys lie beside each other, and are found under any slot', () => {
    const store = new RowStore(7);
    const keys = Array.from({ length: 2_100 }, (_, at) => at * 3);
    const rowOf = (at: number): Row => ({ t: at, values: [1, 2, 3, 4, 5, 6, -at] });
    for (const at of [...keys, 1_000_000]) insert(store, at, rowOf(at));
    expect(store.chunk(0)).toBe(store.chunk(2_047 * 3));
    expect(store.chunk(0)).not.toBe(store.chunk(2_048 * 3));
    expect([...keys, 1_000_000].map((at) => rowsOf(store, at))).toEqual([...keys, 1_000_000].map((at) => [rowOf(at)]));
    expect([store.count(1), store.count(2_000_000), store.newestTimeMs(999_999)]).toEqual([0, 0, -Infinity]);
  });
});
