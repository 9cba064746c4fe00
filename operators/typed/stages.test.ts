import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { addData, checkAnswer, checkDeadLetters, forEveryCrashPoint, testQuery } from '../../engine/testing/index.ts';
import {
  collect,
  count,
  countWindows,
  derive,
  filter,
  flatMap,
  jsonState,
  keyBy,
  max,
  pattern,
  processKeyed,
  rolling,
  sum,
  topic,
  tumbling,
  underTest,
  withWatermark,
} from './index.ts';

const second = 1_000;
const readings = topic('readings', { id: 'string', at: 'timestamp', value: 'long' }, { key: 'id' });
const timed = readings.pipe(withWatermark('at', '5s'));
const reading = (id: string, seconds: number, value: number) => ({ id, at: seconds * second, value });

/** Sums of ten seconds, and of each minute of those the greatest, over all ids or by id. */
const ofSums = timed.pipe(keyBy('id'), tumbling('10s', { total: sum('value') }, { id: 'sums' }));
const greatestById = ofSums.pipe(tumbling('1m', { greatest: max('total'), n: count() }));
const greatestOfAll = ofSums.pipe(
  derive({ world: 'string' }, () => ({ world: 'all' })),
  keyBy('world'),
  tumbling('1m', { greatest: max('total'), n: count() }),
);

function twin(rows: readonly ReturnType<typeof reading>[], keyOf: (id: string) => string): readonly string[] {
  const sums = new Map<string, { readonly id: string; readonly endMs: number; total: number }>();
  for (const { id, at, value } of rows) {
    const endMs = (Math.floor(at / 10_000) + 1) * 10_000;
    const found = sums.get(`${id}/${endMs}`) ?? { id, endMs, total: 0 };
    found.total += value;
    sums.set(`${id}/${endMs}`, found);
  }
  const minutes = new Map<string, { greatest: number; n: number }>();
  for (const { id, endMs, total } of sums.values()) {
    const name = `${keyOf(id)}/${Math.floor((endMs - 1) / 60_000)}`;
    const found = minutes.get(name) ?? { greatest: -Infinity, n: 0 };
    minutes.set(name, { greatest: Math.max(found.greatest, total), n: found.n + 1 });
  }
  return [...minutes].map(([name, { greatest, n }]) => `${name} ${greatest} ${n}`).sort();
}

describe('operators of results behind each other', () => {
  it('know their types', () => {
    expectTypeOf(collect(greatestById, [])).resolves.toEqualTypeOf<
      readonly {
        readonly id: string;
        readonly window_start: number;
        readonly window_end: number;
        readonly greatest: number | null;
        readonly n: number;
      }[]
    >();
    expect(() => timed.pipe(keyBy('id'), tumbling('1m', { n: count() }), tumbling('1h', { m: count() }))).toThrow(
      /"windows" is there twice/,
    );
  });

  it('give windows of windows, whatever the batches and partitions, as a naive twin has them', async () => {
    const rowsOf = fc.array(
      fc.record({
        id: fc.constantFrom('a', 'b', 'c'),
        at: fc.integer({ min: 0, max: 200 }),
        jitter: fc.integer({ min: 0, max: 4 }),
        value: fc.integer({ min: 0, max: 9 }),
      }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(
        rowsOf,
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 3 }),
        async (made, batchSize, partitions) => {
          const rows = [...made]
            .sort((a, b) => a.at + a.jitter - (b.at + b.jitter))
            .map(({ id, at, value }) => reading(id, at, value));
          const partitionOf = (row: object): number => ((row as { id: string }).id.codePointAt(0) ?? 0) % partitions;
          // Each partition is heard from at the start, and brought to the end.
          const begin = ['a', 'b', 'c'].map((id) => reading(id, 0, 0));
          const end = ['a', 'b', 'c', 'a', 'b', 'c'].map((id, index) => reading(id, 10_000 + index * 1_000, 0));
          const given = [...begin, ...rows, ...end];
          const options = { batchSize, partitionOf };
          const closed = ({ window_end: endMs }: { readonly window_end: number }): boolean => endMs < 1_000_000;
          const byId = await collect(greatestById, given, options);
          const shown = byId
            .filter(closed)
            .map((row) => `${row.id}/${row.window_start / 60_000} ${row.greatest} ${row.n}`);
          expect(shown.sort()).toEqual(twin([...begin, ...rows], (id) => id));
          const ofAll = await collect(greatestOfAll, given, options);
          const all = ofAll
            .filter(closed)
            .map((row) => `${row.world}/${row.window_start / 60_000} ${row.greatest} ${row.n}`);
          expect(all.sort()).toEqual(twin([...begin, ...rows], () => 'all'));
        },
      ),
      { numRuns: 1_000 },
    );
  }, 240_000);

  it('are crashed wherever they can be', async () => {
    const rows = [
      reading('a', 0, 1),
      reading('b', 1, 2),
      reading('a', 12, 5),
      reading('b', 70, 1),
      reading('a', 71, 1),
      reading('b', 200, 0),
      reading('a', 200, 0),
    ];
    await forEveryCrashPoint(underTest(greatestOfAll, { partitions: 2 }), rows);
  });

  it('let flatMap, patterns, timers and windows stand in any order', async () => {
    const sums = timed.pipe(
      flatMap({ id: 'string', item: 'long' }, function* ({ id, value }) {
        for (let item = 0; item < value; item++) yield { id, item };
      }),
      filter(({ item }) => item > 0),
      keyBy('id'),
      tumbling('10s', { n: count() }),
      keyBy('id'),
      rolling({ before: sum('n').over('1h') }),
    );
    const items = sums.pipe(
      pattern({
        first: ({ n }) => n > 1,
        followedBy: ({ n }, before) => n > before.n,
        within: '1m',
        carry: ['n'],
        output: { id: 'string', n: 'long', more: 'long', before: 'double?' },
        select: ({ id, n, before }, first) => ({ id, n: first.n, more: n, before }),
      }),
      keyBy('id'),
      processKeyed({
        output: { more: 'long' },
        state: jsonState<{ more: number }>(),
        onRecord: ({ more }, { state, timers, eventTimeMs }) => {
          state.set({ more });
          timers.set(eventTimeMs + 5_000);
        },
        onTimer: ({ state, emit }) => {
          emit({ more: state.get()?.more ?? 0 });
          state.clear();
        },
      }),
      countWindows(2, { total: sum('more') }, { id: 'pairs' }),
    );
    const rows = [
      reading('a', 0, 3),
      reading('a', 11, 5),
      reading('a', 21, 9),
      reading('a', 45, 1),
      reading('a', 60, 1),
      reading('a', 90, 1),
    ];
    expect(await collect(items, rows)).toEqual([{ id: 'a', window_start: 24_999, window_end: 35_000, total: 12 }]);
    await forEveryCrashPoint(underTest(items), rows);
  });

  it('make a dead letter of what comes too late for the next one', async () => {
    // The items of a record that is late are late, too.
    const items = timed.pipe(
      flatMap({ id: 'string', item: 'long' }, ({ id, value }) => [{ id, item: value }]),
      keyBy('id'),
      tumbling('10s', { n: count() }),
    );
    await testQuery(underTest(items), [
      addData([reading('a', 0, 1), reading('a', 30, 2), reading('a', 1, 3), reading('a', 31, 4), reading('a', 50, 5)]),
      checkAnswer([
        { id: 'a', window_start: 0, window_end: 10_000, n: 1 },
        { id: 'a', window_start: 30_000, window_end: 40_000, n: 2 },
      ]),
      checkDeadLetters([{ code: 'RESULT_LATE' }]),
    ]);
  });
});
