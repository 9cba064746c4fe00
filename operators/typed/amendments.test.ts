import fc from 'fast-check';
import { lastValueFrom, toArray } from 'rxjs';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { temporaryDirectory } from '../../engine/storage/testing/temporary-directory.ts';
import { addData, checkAnswer, checkNewAnswer, forEveryCrashPoint, testQuery } from '../../engine/testing/index.ts';
import {
  amendments,
  avg,
  batchesOf,
  collect,
  count,
  derive,
  dropDuplicates,
  enrich,
  expression,
  filter,
  keyBy,
  last,
  LocalLog,
  rolling,
  rows,
  sum,
  topic,
  tumbling,
  underTest,
  union,
  withWatermark,
} from './index.ts';

const payments = topic(
  'payments',
  { id: 'string', at: 'timestamp', card: 'string', shop: 'string?', amount: 'double' },
  { key: 'card' },
);
const answers = payments.pipe(
  withWatermark('at', '10s'),
  filter(({ amount }) => amount >= 0),
  keyBy('card'),
  rolling({ mean: avg('amount').over('1m'), shop_before: last('shop').over('1m') }),
  derive({ ratio: expression('double', 'amount / mean'), isLarge: expression('boolean', 'amount > 2 * mean') }),
  rolling({ large: count({ where: 'isLarge' }).over('2m') }, { id: 'large' }),
);
const corrections = answers.pipe(
  amendments({ tolerance: { mean: 0, large: 0, shop_before: 0 }, tell: ['ratio'], within: '1d', identity: ['id'] }),
);

const second = 1_000;
const pay = (id: string, seconds: number, amount: number, card = 'c1', shop: string | null = null) => {
  return { id, at: seconds * second, card, shop, amount };
};

describe('amendments in TypeScript', () => {
  it('know the types of what they tell', () => {
    expectTypeOf(collect(corrections, [])).resolves.toEqualTypeOf<
      readonly {
        readonly card: string;
        readonly id: string;
        readonly event_time: number;
        readonly decision_time: number | null;
        readonly source_partition: number;
        readonly source_offset: number;
        readonly revision: number;
        readonly changed: string;
        readonly 'cause.event_time': number;
        readonly 'cause.arrival_time': number | null;
        readonly 'cause.source_partition': number;
        readonly 'cause.source_offset': number;
        readonly 'before.mean': number | null;
        readonly 'before.large': number | null;
        readonly 'before.shop_before': string | null;
        readonly 'before.ratio': number | null;
        readonly 'after.mean': number | null;
        readonly 'after.large': number | null;
        readonly 'after.shop_before': string | null;
        readonly 'after.ratio': number | null;
      }[]
    >();
    const within = '1d';
    // @ts-expect-error there is no such field
    expect(() => answers.pipe(amendments({ tolerance: { mean: 0, nothing: 0 }, within }))).toThrow(/got "nothing"/);
    // @ts-expect-error nor this one
    expect(() => answers.pipe(amendments({ tolerance: { mean: 0 }, within, identity: ['nothing'] }))).toThrow(
      /got "nothing"/,
    );
    // @ts-expect-error a tolerance is a share or an amount
    expect(() => answers.pipe(amendments({ tolerance: { mean: 'much' }, within }))).toThrow(/got much/);
  });

  it('tell what late records have changed, with what was told before, and why', async () => {
    const told = await collect(corrections, [
      pay('p1', 60, 10, 'c1', 's1'),
      pay('p2', 70, 30, 'c1', 's2'),
      pay('q1', 75, 8, 'c2'),
      pay('late', 65, 50),
    ]);
    expect(told).toEqual([
      {
        card: 'c1',
        id: 'p2',
        event_time: 70_000,
        decision_time: null,
        source_partition: 0,
        source_offset: 1,
        revision: 1,
        // The late one had no shop.
        changed: '["mean","large"]',
        'cause.event_time': 65_000,
        'cause.arrival_time': null,
        'cause.source_partition': 0,
        'cause.source_offset': 3,
        'before.mean': 10,
        'before.large': 0,
        'before.shop_before': 's1',
        'before.ratio': 3,
        'after.mean': 30,
        'after.large': 1,
        'after.shop_before': 's1',
        'after.ratio': 1,
      },
    ]);
    const plain = batchesOf(payments, [pay('p1', 60, 10), pay('p2', 70, 30), pay('late', 65, 50)]).pipe(
      withWatermark('at', '10s'),
      keyBy('card'),
      rolling({ mean: avg('amount').over('1m') }),
      amendments({ tolerance: { mean: '50%' }, within: '1d' }),
      rows(),
    );
    const [only] = await lastValueFrom(plain.pipe(toArray()));
    expect([only?.['before.mean'], only?.['after.mean']]).toEqual([10, 30]);
  });

  it('leave what was told of each decision last as the stream in order has it', async () => {
    const records = fc.array(
      fc.record({
        seconds: fc.integer({ min: 0, max: 200 }),
        card: fc.constantFrom('c1', 'c2'),
        shop: fc.constantFrom('s1', 's2', null),
        amount: fc.integer({ min: 1, max: 40 }),
      }),
      { maxLength: 10 },
    );
    const holds = fc.asyncProperty(records, fc.integer({ min: 1, max: 5 }), async (made, batchSize) => {
      const stream = made.map(({ seconds, amount, card, shop }, index) =>
        pay(String(index), seconds, amount, card, shop),
      );
      const told = new Map(
        (await collect(answers, stream)).map(({ id, mean, shop_before, ratio, large }) => {
          return [id, { mean, shop_before, ratio, large }];
        }),
      );
      for (const each of await collect(corrections, stream, { batchSize })) {
        const was = told.get(each.id);
        const before = [each['before.mean'], each['before.shop_before'], each['before.ratio'], each['before.large']];
        expect(before).toEqual([was?.mean, was?.shop_before, was?.ratio, was?.large]);
        told.set(each.id, {
          mean: each['after.mean'],
          shop_before: each['after.shop_before'],
          ratio: each['after.ratio'],
          // A count is never null.
          large: each['after.large'] ?? NaN,
        });
      }
      const inOrder = await collect(
        answers,
        stream.toSorted((a, b) => a.at - b.at || Number(a.id) - Number(b.id)),
      );
      for (const { id, mean, shop_before, ratio, large } of inOrder) {
        expect(told.get(id)).toEqual({ mean, shop_before, ratio, large });
      }
    });
    await fc.assert(holds, { numRuns: 1_000 });
  }, 240_000);

  it('go on as a stream, whose records come behind the watermark', async () => {
    const byMinute = corrections.pipe(tumbling('1m', { told: count(), of: sum('revision') }));
    const stream = [pay('p1', 60, 10), pay('p2', 70, 30), pay('late', 65, 50), pay('end', 200_000, 1)];
    expect(await collect(byMinute, stream)).toEqual([
      { card: 'c1', window_start: 60_000, window_end: 120_000, told: 1, of: 1 },
    ]);
    const { points } = await forEveryCrashPoint(underTest(byMinute), stream);
    expect(points).toBeGreaterThan(10);
  });

  it('are there once whatever crashes, with the times at which the log took the records', async () => {
    const noon = Date.UTC(2026, 10, 22, 12);
    await testQuery(underTest(corrections), [
      addData([pay('p1', 60, 10), pay('p2', 70, 30)], { appendedAtMs: noon }),
      checkAnswer([]),
      addData([pay('late', 65, 50)], { appendedAtMs: noon + 60_000 }),
      checkNewAnswer([{ id: 'p2', decision_time: noon, 'cause.arrival_time': noon + 60_000, 'after.mean': 30 }]),
    ]);
    const { points } = await forEveryCrashPoint(underTest(corrections), [
      pay('p1', 60, 10),
      pay('p2', 70, 30),
      pay('late', 65, 50),
      pay('later', 62, 20),
    ]);
    expect(points).toBeGreaterThan(10);
  });

  it('are a job of their own on the embedded log, which goes on where it was', async () => {
    using directory = temporaryDirectory();
    await using log = await LocalLog.open(directory.path);
    const job = { job: 'corrections', to: 'corrected' };
    await log.append(corrections, [pay('p1', 60, 10), pay('p2', 70, 30)]);
    await log.run(corrections, job);
    await log.append(corrections, [pay('late', 65, 50)]);
    await log.run(corrections, job);
    const told = await log.read('corrected');
    expect(told).toMatchObject([{ id: 'p2', revision: 1, before: { mean: 10 }, after: { mean: 30 } }]);
    const { decision_time: decided, cause } = told[0] as { decision_time: string; cause: { arrival_time: string } };
    expect(Date.parse(decided)).toBeGreaterThan(Date.UTC(2026, 0));
    expect(Date.parse(cause.arrival_time)).toBeGreaterThanOrEqual(Date.parse(decided));
  });

  it('hold no more records of a key than they may, and count what is let go', async () => {
    const few = answers.pipe(amendments({ tolerance: { mean: 0 }, within: '1d', maxRecordsPerKey: 2, id: 'few' }));
    const rowsOf = [pay('p1', 0, 10), pay('p2', 200, 20), pay('late', 190, 60), pay('q', 5, 1, 'c2')];
    using directory = temporaryDirectory();
    await using log = await LocalLog.open(directory.path);
    await log.append(few, rowsOf);
    const { letGoEarly, amended } = await log.run(few, { job: 'few', to: 'corrected' });
    // p1 has gone for the late one, and p2 can be told anew only where what lies within 3 minutes before it is there: the windows of windows.
    expect([letGoEarly, amended, await log.read('corrected')]).toEqual([1, 0, []]);
    const enough = answers.pipe(amendments({ tolerance: { mean: 0 }, within: '1d', maxRecordsPerKey: 4 }));
    expect(await collect(enough, rowsOf)).toMatchObject([{ 'before.mean': null, 'after.mean': 60 }]);
    const none = (): unknown => answers.pipe(amendments({ tolerance: { mean: 0 }, within: '1d', maxRecordsPerKey: 0 }));
    expect(none).toThrow(expect.objectContaining({ code: 'AMENDMENTS_BOUND' }));
    const across = answers.pipe(
      keyBy('shop'),
      rolling({ seen: count({ where: 'isLarge' }).over('1m') }, { id: 'seen' }),
    );
    expect(() => across.pipe(amendments({ tolerance: { seen: 0 }, within: '1d', maxRecordsPerKey: 9 }))).toThrow(
      /got "seen", which is over what windows of another key/,
    );
    expect(across.pipe(amendments({ tolerance: { seen: 0 }, within: '1d' })).plan.operatorIds).toContain('amendments');
  });

  it('are refused where what is before them cannot be told anew', () => {
    const timed = payments.pipe(withWatermark('at', '10s'), keyBy('card'));
    const mean = { mean: avg('amount').over('1m') };
    const isRefused = (make: () => unknown, message: RegExp): void => {
      expect(make).toThrow(
        expect.objectContaining({ code: 'AMENDMENTS_PLACE', message: expect.stringMatching(message) }),
      );
    };
    isRefused(
      () =>
        timed.pipe(
          rolling(mean),
          filter(({ mean: before }) => before !== null),
          amendments({ tolerance: { mean: 0 }, within: '1d' }),
        ),
      /got "filter" among them/,
    );
    isRefused(
      () => timed.pipe(rolling(mean, { resolution: '1m' }), amendments({ tolerance: { mean: 0 }, within: '1d' })),
      /got "rolling" among them, or features in panes/,
    );
    isRefused(
      () =>
        timed.pipe(
          rolling(mean),
          dropDuplicates('id', { within: '1h' }),
          amendments({ tolerance: { mean: 0 }, within: '1d' }),
        ),
      /got "duplicates" among them/,
    );
    isRefused(
      () =>
        timed.pipe(
          derive({ ratio: expression('double', 'amount') }),
          amendments({ tolerance: { ratio: 0 }, within: '1d' }),
        ),
      /no rolling features before it/,
    );
    isRefused(
      () =>
        timed.pipe(
          rolling(mean),
          amendments({ tolerance: { mean: 0 }, within: '1d' }),
          derive({ mean: expression('double', '1.0') }),
          amendments({ tolerance: { mean: 0 }, within: '1d' }),
        ),
      /got "amendments" among them/,
    );
    const others = topic('others', { card: 'string', at: 'timestamp', amount: 'double' }, { key: 'card' });
    const both = union({ one: timed, other: others.pipe(withWatermark('at', '1m')) });
    isRefused(
      () => both.pipe(keyBy('card'), rolling(mean), amendments({ tolerance: { mean: 0 }, within: '1d' })),
      /got "union" among them/,
    );
    const shops = topic('shops', { shop: 'string', since: 'timestamp' }, { key: 'shop' }).pipe(
      withWatermark('since', '1m'),
    );
    isRefused(
      () =>
        enrich(timed.pipe(rolling(mean)), shops, { on: 'shop', take: { since: 'since' } }).pipe(
          amendments({ tolerance: { mean: 0 }, within: '1d' }),
        ),
      /got "enrich" among them/,
    );
    expect(() => union({ corrections, others: others.pipe(withWatermark('at', '1m')) })).toThrow(
      expect.objectContaining({ code: 'AMENDMENTS_MEET' }),
    );
    expect(() => answers.pipe(amendments({ tolerance: { amount: 0 }, within: '1d' }))).toThrow(
      expect.objectContaining({ code: 'FEATURE_UNKNOWN' }),
    );
    expect(() => answers.pipe(amendments({ tolerance: {}, within: '1d' }))).toThrow(/got none/);
  });
});
