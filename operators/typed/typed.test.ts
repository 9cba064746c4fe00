import { describe, expect, expectTypeOf, it } from 'vitest';
import { lastValueFrom, map as rxMap, toArray } from 'rxjs';
import {
  addData,
  checkAnswer,
  checkDeadLetters,
  checkLedger,
  forEveryCrashPoint,
  testQuery,
} from '../../engine/testing/index.ts';
import { temporaryDirectory } from '../../engine/storage/testing/temporary-directory.ts';
import {
  avg,
  batchesOf,
  collect,
  count,
  derive,
  distinct,
  dropDuplicates,
  expression,
  filter,
  first,
  flatMap,
  jsonState,
  keyBy,
  LocalLog,
  map,
  pattern,
  processKeyed,
  rolling,
  rows,
  select,
  sum,
  topic,
  topK,
  tumbling,
  underTest,
  withWatermark,
} from './index.ts';

const payments = topic(
  'payments',
  { id: 'string', at: 'timestamp', card: 'string', amount: 'double', place: 'string?', online: 'boolean' },
  { key: 'card' },
);

const at = (minutes: number): number => Date.UTC(2026, 10, 22, 12) + minutes * 60_000;
const payment = (
  id: string,
  minutes: number,
  card: string,
  amount: number,
  place: string | null = null,
  online = false,
) => ({
  id,
  at: at(minutes),
  card,
  amount,
  place,
  online,
});

describe('a job in TypeScript', () => {
  it('knows the types of its rows all the way', () => {
    const query = payments.pipe(
      withWatermark('at', '10s'),
      keyBy('card'),
      dropDuplicates('id', { within: '1h' }),
      rolling({
        avg_7d: avg('amount').over('7d'),
        payments_1h: count().over('1h', { current: 'include' }),
        online_places: distinct('place', { where: 'online' }).over('1d'),
        first_place: first('place').over('1d'),
      }),
      filter((r) => {
        expectTypeOf(r.avg_7d).toEqualTypeOf<number | null>();
        expectTypeOf(r.payments_1h).toEqualTypeOf<number>();
        expectTypeOf(r.online_places).toEqualTypeOf<number | null>();
        expectTypeOf(r.first_place).toEqualTypeOf<string | null>();
        expectTypeOf(r.place).toEqualTypeOf<string | null>();
        return r.amount > 0;
      }),
      derive({ ratio: expression('double', 'amount / avg_7d') }),
      derive({ big: 'boolean' }, (r) => ({ big: (r.ratio ?? 0) > 2 })),
      map({ id: 'string', big: 'boolean' }, (r) => ({ id: r.id.toUpperCase(), big: r.big })),
    );
    expectTypeOf(collect(query, [])).resolves.toEqualTypeOf<
      readonly { readonly id: string; readonly big: boolean }[]
    >();
    const windows = payments.pipe(
      withWatermark('at', '10s'),
      keyBy('card', 'place'),
      tumbling('1m', { n: count(), total: sum('amount'), top: topK('id', 3), first: first('online') }),
    );
    expectTypeOf(collect(windows, [])).resolves.toEqualTypeOf<
      readonly {
        readonly card: string;
        readonly place: string | null;
        readonly window_start: number;
        readonly window_end: number;
        readonly n: number;
        readonly total: number | null;
        readonly top: string | null;
        readonly first: boolean | null;
      }[]
    >();
  });

  it('refuses by its types what has no sense', () => {
    // @ts-expect-error there is no such field
    expect(() => payments.pipe(keyBy('cord'))).toThrow(/"cord"/);
    // @ts-expect-error an event time is a number
    expect(() => payments.pipe(withWatermark('wen', '10s'))).toThrow(/"wen"/);
    // @ts-expect-error a text has no mean
    payments.pipe(withWatermark('at', '1s'), keyBy('card'), rolling({ x: avg('place').over('1d') }));
    // @ts-expect-error nothing says whose state it is
    expect(() => payments.pipe(withWatermark('at', '1s'), rolling({ x: avg('amount').over('1d') }))).toThrow(/keyBy/);
    // @ts-expect-error what a function gives must be of the declared fields
    payments.pipe(map({ id: 'string' }, (r) => ({ id: r.amount })));
    // @ts-expect-error a condition must be a boolean field
    payments.pipe(withWatermark('at', '1s'), keyBy('card'), rolling({ x: count({ where: 'amount' }).over('1d') }));
  });

  it('refuses when it is written down what types cannot see', () => {
    const timed = payments.pipe(withWatermark('at', '10s'), keyBy('card'));
    const one = rolling({ n: count().over('1d') });
    expect(() => payments.pipe(keyBy('card'), rolling({ n: count().over('1d') }))).toThrow(/withWatermark/);
    expect(() => timed.pipe(one, rolling({ m: count().over('1d') }))).toThrow(/"rolling" is there twice/);
    expect(() => timed.pipe(tumbling('1m', { n: count() }), tumbling('1h', { m: sum('n') }))).toThrow(
      /"windows" is there twice/,
    );
    expect(() => timed.pipe(derive({ x: expression('double', 'amonut * 2') }))).toThrow(/amonut/);
    expect(() => timed.pipe(derive({ amount: 'double' }, () => ({ amount: 1 })))).toThrow(/amount/);
  });

  const features = payments.pipe(
    withWatermark('at', '10s'),
    keyBy('card'),
    rolling({ avg_7d: avg('amount').over('7d') }),
    derive({ ratio: expression('double', 'amount / avg_7d') }),
    filter(({ ratio }) => ratio === null || ratio > 2),
    select('id', 'ratio'),
  );
  const given = [
    payment('a1', 0, 'a', 10),
    payment('b1', 1, 'b', 7),
    payment('a2', 2, 'a', 12),
    payment('a3', 3, 'a', 33),
  ];
  const answer = [
    { id: 'a1', ratio: null },
    { id: 'b1', ratio: null },
    { id: 'a3', ratio: 3 },
  ];

  it('answers rows in memory', async () => {
    expect(await collect(features, given)).toEqual(answer);
    expect(await collect(features, given, { batchSize: 1 })).toEqual(answer);
  });

  it('is tested with the test kit, crashes included', async () => {
    await testQuery(underTest(features), [
      addData(given),
      checkAnswer(answer),
      checkLedger({ read: 4, scored: 3, filtered: 1 }),
    ]);
    const { runs } = await forEveryCrashPoint(underTest(features), given);
    expect(runs).toBeGreaterThan(20);
  });

  it('has one operator of results in a plain pipe, which passes on no watermark behind it', async () => {
    const twice = batchesOf(payments, [payment('a1', 0, 'a', 10)]).pipe(
      withWatermark('at', '10s'),
      keyBy('card'),
      tumbling('1m', { n: count() }),
      tumbling('1h', { m: sum('n') }, { id: 'again' }),
      rows(),
    );
    await expect(lastValueFrom(twice)).rejects.toThrow(/a plain pipe/);
  });

  it('is a chain of RxJS operators, which any pipe takes', async () => {
    const ratios$ = batchesOf(payments, given, { batchSize: 3 }).pipe(
      withWatermark('at', '10s'),
      keyBy('card'),
      rolling({ avg_7d: avg('amount').over('7d') }),
      filter('avg_7d > 0'),
      rows(),
      rxMap(({ id, amount, avg_7d: mean }) => `${id}: ${amount} against ${mean}`),
      toArray(),
    );
    expectTypeOf(lastValueFrom(ratios$)).resolves.toEqualTypeOf<string[]>();
    expect(await lastValueFrom(ratios$)).toEqual(['a2: 12 against 10', 'a3: 33 against 11']);
  });

  it('runs on the embedded log, and goes on there where it was', async () => {
    using directory = temporaryDirectory();
    const options = { job: 'features', to: 'features' };
    {
      await using log = await LocalLog.open(directory.path);
      await log.append(payments, given.slice(0, 3));
      expect((await log.run(features, options)).ledger).toMatchObject({ read: 3, scored: 2, filtered: 1 });
    }
    await using log = await LocalLog.open(directory.path);
    await log.append(payments, given.slice(3));
    expect((await log.run(features, options)).ledger).toMatchObject({ read: 1, scored: 1 });
    const found = await log.read('features');
    expect(new Set(found.map((row) => row['id']))).toEqual(new Set(['a1', 'a3', 'b1']));
    expect(found.find((row) => row['id'] === 'a3')).toEqual({ id: 'a3', ratio: 3 });
    await expect(log.run(features, { ...options, version: '2' })).rejects.toThrow(/features/);
  });

  it('makes several records of one, and answers over them', async () => {
    const orders = topic('orders', { order: 'string', at: 'timestamp', items: 'string' }, { key: 'order' });
    const items = orders.pipe(
      withWatermark('at', '0s'),
      flatMap({ item: 'string' }, function* (order) {
        for (const item of order.items.split(',')) if (item !== '') yield { item };
      }),
      keyBy('item'),
      rolling({ sold_before: count().over('1h') }),
    );
    expect(
      await collect(items, [
        { order: '1', at: at(0), items: 'pen,ink' },
        { order: '2', at: at(1), items: '' },
        { order: '3', at: at(2), items: 'ink,ink' },
      ]),
    ).toEqual([
      { item: 'pen', sold_before: 0 },
      { item: 'ink', sold_before: 0 },
      { item: 'ink', sold_before: 1 },
      { item: 'ink', sold_before: 2 },
    ]);
  });

  it('refuses functions that are async, whose work nobody would wait for', async () => {
    const timed = payments.pipe(withWatermark('at', '10s'), keyBy('card'));
    const later = (): never => Promise.resolve(true) as never;
    const answers = [
      () => collect(timed.pipe(filter(later)), given),
      () => collect(timed.pipe(map({ id: 'string' }, later)), given),
      () => collect(timed.pipe(derive({ x: 'double' }, later)), given),
      () => collect(timed.pipe(flatMap({ id: 'string' }, later)), given),
      () => {
        const never = pattern({
          first: later,
          followedBy: later,
          within: '1m',
          carry: [],
          output: {},
          select: () => ({}),
        });
        return collect(timed.pipe(never), given);
      },
    ];
    for (const asked of answers) await expect(asked()).rejects.toMatchObject({ code: 'FUNCTION_ASYNC' });
  });

  it('keeps state of its own, with timers; a record that a function throws on is a dead letter, in the ledger once', async () => {
    const quiet = payments.pipe(
      withWatermark('at', '10s'),
      filter(({ amount }) => {
        if (amount < 0) throw new RangeError(`${amount}`);
        return amount !== 0;
      }),
      keyBy('card'),
      processKeyed({
        output: { what: 'string', total: 'double' },
        state: jsonState<{ total: number; lastMs: number }>(),
        ttl: '1d',
        onRecord: ({ amount, at: nowMs }, { state, timers }) => {
          const before = state.get();
          if (before !== null) timers.delete(before.lastMs + 1_800_000);
          timers.set(nowMs + 1_800_000);
          state.set({ total: (before?.total ?? 0) + amount, lastMs: nowMs });
        },
        onTimer: ({ state, emit }) => emit({ what: 'quiet for half an hour', total: state.get()?.total ?? 0 }),
      }),
      map({ card: 'string', total: 'double' }, (r) => {
        if (r.total === 13) throw new RangeError('thirteen');
        return { card: r.card, total: r.total };
      }),
    );
    await testQuery(underTest(quiet), [
      addData([
        payment('a1', 0, 'a', 10),
        payment('a2', 5, 'a', -1),
        payment('b1', 6, 'b', 13),
        payment('a3', 20, 'a', 5),
        payment('a4', 21, 'a', 0),
        payment('c1', 90, 'c', 1),
      ]),
      checkAnswer([{ card: 'a', total: 15 }]),
      checkDeadLetters([
        { code: 'FUNCTION_FAILED', offset: 1, message: 'the function of operator filter threw a RangeError' },
        // A result that cannot be made stands at the record that brought it out, which itself was taken.
        { code: 'FUNCTION_FAILED', offset: 5, message: 'the function of operator map threw a RangeError' },
      ]),
      checkLedger({ read: 6, scored: 4, filtered: 1, deadLettered: 1 }),
    ]);
  });
});
