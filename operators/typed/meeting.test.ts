import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { temporaryDirectory } from '../../engine/storage/testing/temporary-directory.ts';
import {
  addData,
  checkAnswer,
  checkDeadLetters,
  checkLedger,
  forEveryCrashPoint,
  testQuery,
} from '../../engine/testing/index.ts';
import {
  collect,
  count,
  enrich,
  filter,
  join,
  keyBy,
  LocalLog,
  rolling,
  sum,
  topic,
  tumbling,
  underTest,
  union,
  withWatermark,
} from './index.ts';

const second = 1_000;
const cards = topic(
  'cards',
  { account: 'string', at: 'timestamp', amount: 'double', place: 'string' },
  { key: 'account' },
).pipe(withWatermark('at', '5s'));
const transfers = topic(
  'transfers',
  { account: 'string', at: 'timestamp', amount: 'double', to: 'string' },
  { key: 'account' },
).pipe(withWatermark('at', '20s'));
const rates = topic('rates', { place: 'string', updated: 'timestamp', rate: 'double' }, { key: 'place' }).pipe(
  withWatermark('updated', '0s'),
);
const card = (account: string, seconds: number, amount = 1, place = 'x') => ({
  cards: { account, at: seconds * second, amount, place },
});
const transfer = (account: string, seconds: number, amount = 1) => ({
  transfers: { account, at: seconds * second, amount, to: 'y' },
});
const rate = (place: string, seconds: number, value: number) => ({
  rates: { place, updated: seconds * second, rate: value },
});

const minutes = union({ cards, transfers }).pipe(
  keyBy('account'),
  tumbling('1m', { n: count(), total: sum('amount') }),
);

describe('a union in TypeScript', () => {
  it('knows the fields of all, and which may be missing', () => {
    expectTypeOf(collect(union({ cards, transfers }), [])).resolves.toEqualTypeOf<
      readonly {
        readonly input: 'cards' | 'transfers';
        readonly account: string;
        readonly at: number;
        readonly amount: number;
        readonly place: string | null;
        readonly to: string | null;
      }[]
    >();
    const other = topic('other', { account: 'string', at: 'timestamp', amount: 'string' }, { key: 'account' });
    expect(() => union({ cards, other: other.pipe(withWatermark('at', '1s')) })).toThrow(/"amount" of other/);
    const hours = other.pipe(withWatermark('at', '1s'), keyBy('account'), tumbling('1h', { n: count() }));
    expect(() => union({ cards, hours })).toThrow(/records that were read/);
  });

  it('lets records go on as they are read, and waits for all inputs', async () => {
    expect(
      await collect(union({ cards, transfers }).pipe(filter(({ amount }) => amount > 1)), [
        card('a', 1, 3),
        transfer('a', 2, 4),
        card('b', 3),
      ]),
    ).toEqual([
      { input: 'cards', account: 'a', at: 1_000, amount: 3, place: 'x', to: null },
      { input: 'transfers', account: 'a', at: 2_000, amount: 4, place: null, to: 'y' },
    ]);
    // Nobody has heard of a transfer: one of the first minute may come yet.
    const rows = [card('a', 1), card('a', 200), card('a', 400)];
    expect(await collect(minutes, rows)).toEqual([]);
    expect(await collect(minutes, [...rows, transfer('a', 2), transfer('a', 81)])).toEqual([
      { account: 'a', window_start: 0, window_end: 60_000, n: 2, total: 2 },
    ]);
  });

  it('gives the windows of a naive twin, whatever the order of the inputs and the batches', async () => {
    const rowsOf = fc.array(
      fc.record({
        isCard: fc.boolean(),
        account: fc.constantFrom('a', 'b'),
        at: fc.integer({ min: 0, max: 300 }),
        jitter: fc.integer({ min: 0, max: 4 }),
      }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(
        rowsOf,
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 2 }),
        async (made, batchSize, partitions) => {
          const inOrder = [...made].sort((x, y) => x.at + x.jitter - (y.at + y.jitter));
          const rows = inOrder.map(({ isCard, account, at }) => (isCard ? card(account, at) : transfer(account, at)));
          const ends = ['a', 'b'].flatMap((account) => [card(account, 9_000), transfer(account, 9_000)]);
          const begins = ['a', 'b'].flatMap((account) => [card(account, 0, 0), transfer(account, 0, 0)]);
          const partitionOf = (row: object): number =>
            (Object.values(row as Record<string, { account: string }>)[0]?.account.codePointAt(0) ?? 0) % partitions;
          const expected = new Map<string, number>();
          for (const row of [...begins, ...rows]) {
            const { account, at } = 'cards' in row ? row.cards : row.transfers;
            const name = `${account} ${Math.floor(at / 60_000)}`;
            expected.set(name, (expected.get(name) ?? 0) + 1);
          }
          const found = await collect(minutes, [...begins, ...rows, ...ends], { batchSize, partitionOf });
          expect(found.map(({ account, window_start: at, n }) => `${account} ${at / 60_000} ${n}`).sort()).toEqual(
            [...expected].map(([name, n]) => `${name} ${n}`).sort(),
          );
        },
      ),
      { numRuns: 1_000 },
    );
  }, 240_000);

  it('counts late records, and is crashed wherever it can be', async () => {
    const rows = [card('a', 1), transfer('a', 2), card('b', 3), card('a', 100), transfer('a', 100)];
    await testQuery(underTest(minutes), [
      addData(rows),
      // Both inputs have passed the first minute.
      addData([card('a', 4)]),
      addData([transfer('b', 200), card('b', 300)]),
      checkLedger({ read: 8, scored: 7, late: 1 }),
    ]);
    await forEveryCrashPoint(underTest(minutes), rows);
  });
});

const priced = enrich(cards, rates, { on: 'place', take: { rate: 'rate', of: 'updated' } });

describe('enrichment in TypeScript', () => {
  it('knows what is looked up, and what may be missing', () => {
    expectTypeOf(collect(priced, [])).resolves.toEqualTypeOf<
      readonly {
        readonly account: string;
        readonly at: number;
        readonly amount: number;
        readonly place: string;
        readonly rate: number | null;
        readonly of: number | null;
      }[]
    >();
    const kept = enrich(cards, rates, { on: 'place', take: { rate: 'rate' }, missing: 'drop' });
    expectTypeOf(collect(kept, [])).resolves.toMatchTypeOf<readonly { readonly rate: number }[]>();
    // @ts-expect-error a table has no such field
    expect(() => enrich(cards, rates, { on: 'place', take: { rate: 'rote' } })).toThrow(/"rote"/);
    // @ts-expect-error a record has no such field
    expect(() => enrich(cards, rates, { on: 'plaice', take: { rate: 'rate' } })).toThrow(/"plaice"/);
    const hours = transfers.pipe(keyBy('account'), tumbling('1h', { n: count() }));
    expect(() => enrich(cards, hours, { on: 'place', take: { n: 'n' } })).toThrow(/table must be/);
  });

  it('gives the version of the record’s time, or the last one; keeps state and features behind it', async () => {
    const rows = [
      rate('x', 10, 2),
      rate('x', 30, 3),
      card('a', 20, 5),
      card('a', 40, 5),
      card('a', 5, 5),
      card('b', 41, 1, 'z'),
    ];
    const shown = (found: readonly { readonly rate: number | null }[]): (number | null)[] =>
      found.map((row) => row.rate);
    expect(shown(await collect(priced, rows))).toEqual([2, 3, null, null]);
    const last = enrich(cards, rates, { on: 'place', take: { rate: 'rate' }, asOf: 'latest', missing: 'drop' });
    expect(shown(await collect(last, rows))).toEqual([3, 3, 3]);
    const features = last.pipe(
      filter(({ rate: value }) => value > 1),
      keyBy('account'),
      rolling({ before: sum('rate').over('1h') }),
    );
    expect((await collect(features, rows)).map(({ before }) => before)).toEqual([null, 3, null]);
    await testQuery(underTest(features), [
      addData(rows),
      // Two versions and three cards; the fourth has none.
      checkLedger({ read: 6, scored: 5, filtered: 1 }),
    ]);
    await forEveryCrashPoint(underTest(features), rows);
  });

  it('enriches what a join gives, and its windows', async () => {
    const both = join(cards, transfers, {
      on: 'account',
      within: { before: '1m', after: '1m' },
      output: { account: 'string', place: 'string', sum: 'double' },
      select: (left, right) => ({ account: left.account, place: left.place, sum: left.amount + right.amount }),
    });
    const windows = enrich(both, rates, { on: 'place', take: { rate: 'rate' } }).pipe(
      keyBy('place'),
      tumbling('1m', { n: count(), rates: sum('rate') }),
    );
    const rows = [
      rate('x', 0, 2),
      card('a', 10),
      transfer('a', 12),
      card('b', 20),
      transfer('b', 25),
      card('c', 900),
      transfer('c', 900),
    ];
    const [found] = await collect(windows, rows);
    expect(found).toEqual({ place: 'x', window_start: 0, window_end: 60_000, n: 2, rates: 4 });
    await forEveryCrashPoint(underTest(windows), rows);
  });
});

describe('branches', () => {
  it('send a result wherever its condition holds', async () => {
    const to = {
      everything: 'all',
      many: { where: 'amount > 2' },
      few: ({ amount }: { readonly amount: number }) => {
        if (amount === 13) throw new Error('unlucky');
        return amount < 2;
      },
    } as const;
    const rows = [card('a', 1, 1), card('a', 2, 3), transfer('a', 3, 13)];
    await testQuery(underTest(union({ cards, transfers }), { to }), [
      addData(rows),
      checkAnswer([{ amount: 1 }, { amount: 3 }, { amount: 13 }]),
      checkAnswer([{ amount: 3 }, { amount: 13 }], { topic: 'many' }),
      checkAnswer([{ amount: 1 }], { topic: 'few' }),
      checkDeadLetters([{ code: 'FUNCTION_FAILED' }]),
    ]);
  });

  it('and several topics are one job on the embedded log, which goes on where it was', async () => {
    using directory = temporaryDirectory();
    const paid = join(cards, transfers, {
      on: 'account',
      within: { before: '1m', after: '1m' },
      kind: 'left',
      output: { account: 'string', amount: 'double', to: 'string?' },
      select: (left, right) => ({ account: left.account, amount: left.amount, to: right?.to ?? null }),
    });
    const cardTopic = topic(
      'cards',
      { account: 'string', at: 'timestamp', amount: 'double', place: 'string' },
      { key: 'account' },
    );
    const transferTopic = topic(
      'transfers',
      { account: 'string', at: 'timestamp', amount: 'double', to: 'string' },
      { key: 'account' },
    );
    const of = (name: 'cards' | 'transfers', rows: readonly object[]): object[] =>
      rows.map((row) => (row as Record<string, object>)[name]).filter((row) => row !== undefined);
    const first = [card('a', 10, 9), card('b', 11, 2), transfer('b', 12)];
    const next = [transfer('a', 20), card('c', 500, 1), transfer('c', 900)];
    for (const rows of [first, next]) {
      await using log = await LocalLog.open(directory.path);
      await log.append(cardTopic, of('cards', rows));
      await log.append(transferTopic, of('transfers', rows));
      await log.run(paid, { job: 'paid', to: { paid: 'all', big: ({ amount }) => amount > 5 } });
    }
    await using log = await LocalLog.open(directory.path);
    const shown = (found: readonly Readonly<Record<string, unknown>>[]): string[] =>
      found.map(({ account, to }) => `${String(account)}-${String(to)}`).sort();
    expect(shown(await log.read('paid'))).toEqual(['a-y', 'b-y']);
    expect(shown(await log.read('big'))).toEqual(['a-y']);
  });
});
