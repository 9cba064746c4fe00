import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  addData,
  checkAnswer,
  checkDeadLetters,
  checkLedger,
  forEveryCrashPoint,
  testQuery,
} from '../../engine/testing/index.ts';
import type { JoinKind } from '../join/join-definition.ts';
import {
  collect,
  count,
  derive,
  expression,
  filter,
  join,
  keyBy,
  rolling,
  sum,
  topic,
  tumbling,
  underTest,
  withWatermark,
} from './index.ts';

const orderFields = { id: 'string', at: 'timestamp', customer: 'string', amount: 'double' } as const;
const paymentFields = { order: 'string', at: 'timestamp', amount: 'double', note: 'string?' } as const;
const orders = topic('orders', orderFields, { key: 'id' }).pipe(withWatermark('at', '10s'));
const payments = topic('payments', paymentFields, { key: 'order' }).pipe(withWatermark('at', '1m'));
const shipments = topic('shipments', { order: 'string', at: 'timestamp', by: 'string' }, { key: 'order' }).pipe(
  withWatermark('at', '5s'),
);

const minute = 60_000;
const order = (id: string, minutes: number, amount = 10) => ({
  orders: { id, at: Math.round(minutes * minute), customer: `c${id}`, amount },
});
const payment = (id: string, minutes: number, amount = 10, note: string | null = null) => ({
  payments: { order: id, at: Math.round(minutes * minute), amount, note },
});
const shipment = (id: string, minutes: number, by = 'post') => ({
  shipments: { order: id, at: Math.round(minutes * minute), by },
});

const missing = join(orders, payments, {
  on: { left: 'id', right: 'order' },
  within: { before: '5m', after: '1h' },
  kind: 'left',
  output: { order: 'string', missing: 'double', note: 'string?' },
  select: (left, right) => ({
    order: left.id,
    missing: left.amount - (right?.amount ?? 0),
    note: right === null ? 'unpaid' : right.note,
  }),
});

describe('a join in TypeScript', () => {
  it('knows which side may not be there, and what comes out', () => {
    const on = { left: 'id', right: 'order' } as const;
    const within = { after: '1h' };
    const output = { n: 'long' } as const;
    join(orders, payments, {
      on,
      within,
      output,
      select: (left, right) => {
        expectTypeOf(left.customer).toEqualTypeOf<string>();
        expectTypeOf(right.note).toEqualTypeOf<string | null>();
        return { n: 1 };
      },
    });
    join(orders, payments, {
      on,
      within,
      kind: 'full',
      where: (left, right) => {
        expectTypeOf(left.amount).toEqualTypeOf<number>();
        return right.amount >= left.amount;
      },
      output,
      select: (left, right) => {
        expectTypeOf<null>().toExtend<typeof left>();
        expectTypeOf<null>().toExtend<typeof right>();
        return { n: (left?.amount ?? 0) > (right?.amount ?? 0) ? 1 : 0 };
      },
    });
    join(orders, payments, {
      on,
      within,
      kind: 'right',
      output,
      select: (left, right) => {
        expectTypeOf<null>().toExtend<typeof left>();
        expectTypeOf(right.amount).toEqualTypeOf<number>();
        // @ts-expect-error the order may not be there
        expect(() => left.amount).toBeTypeOf('function');
        return { n: 1 };
      },
    });
    const computed = join(orders, payments, {
      on,
      within,
      kind: 'left',
      select: {
        customer: expression('string', 'left.customer'),
        over: expression('double', 'right.amount - left.amount'),
      },
    });
    expectTypeOf(collect(computed, [])).resolves.toEqualTypeOf<
      readonly { readonly customer: string | null; readonly over: number | null }[]
    >();
    expectTypeOf(collect(missing, [])).resolves.toEqualTypeOf<
      readonly { readonly order: string; readonly missing: number; readonly note: string | null }[]
    >();
  });

  it('refuses what has no sense', () => {
    const { select, output } = { output: { n: 'long' }, select: () => ({ n: 1 }) } as const;
    const within = { after: '1h' };
    // @ts-expect-error payments have no such field
    expect(() => join(orders, payments, { on: { left: 'id', right: 'id' }, within, output, select })).toThrow(/"id"/);
    // @ts-expect-error a result has no such field
    join(orders, payments, { on: { left: 'id', right: 'order' }, within, output, select: () => ({ m: 1 }) });
    const on = { left: 'id', right: 'order' } as const;
    expect(() => join(orders, payments, { on, within: {}, output, select })).toThrow(/before/);
    expect(() => join(orders, payments, { on: { left: 'id', right: 'at' }, within, output, select })).toThrow(
      /KEY|long/,
    );
    expect(() => join(orders, orders, { on: 'id', within, output, select })).toThrow(/"orders" is there twice/);
    const untimed = topic('payments', paymentFields, { key: 'order' });
    expect(() => join(orders, untimed, { on, within, output, select })).toThrow(/withWatermark/);
    expect(() => join(orders, payments, { on, within, where: 'left.amount', output, select })).toThrow(/boolean/);
    const once = join(orders, payments, { on, within, output: { id: 'string' }, select: (l) => ({ id: l.id }) });
    expect(() => join(once, shipments, { on: { left: 'id', right: 'order' }, within, output, select })).toThrow(
      /"join" is there twice/,
    );
  });

  it('gives pairs at once, and who had no partner once none can come', async () => {
    const rows = [
      order('1', 0),
      payment('1', 2, 4, 'part'),
      order('2', 3),
      payment('3', 4),
      order('3', 8),
      // The watermarks of both pass 3 min + 1 h.
      order('4', 90),
      payment('4', 90),
    ];
    expect(await collect(missing, rows)).toEqual([
      { order: '1', missing: 6, note: 'part' },
      { order: '3', missing: 0, note: null },
      { order: '4', missing: 0, note: null },
      { order: '2', missing: 10, note: 'unpaid' },
    ]);
  });

  it('has functions whose errors are told of once', async () => {
    const strict = join(orders, payments, {
      on: { left: 'id', right: 'order' },
      within: { after: '1h' },
      where: (left) => {
        if (left.amount === 13) throw new Error('unlucky');
        return true;
      },
      output: { order: 'string' },
      select: (left) => {
        if (left.amount === 17) throw new Error('unlucky, too');
        return { order: left.id };
      },
    });
    const rows = [
      order('1', 0, 13),
      order('2', 1, 17),
      order('3', 2),
      payment('1', 3),
      payment('2', 3),
      payment('3', 3),
    ];
    await testQuery(underTest(strict), [
      addData(rows),
      checkAnswer([{ order: '3' }]),
      checkDeadLetters([{ code: 'FUNCTION_FAILED' }, { code: 'FUNCTION_FAILED' }]),
      checkLedger({ read: 6, scored: 6 }),
    ]);
  });

  it('stands behind other operators of its inputs, and before any', async () => {
    const big = orders.pipe(
      filter(({ amount }) => amount > 1),
      derive({ double: 'double' }, ({ amount }) => ({ double: 2 * amount })),
    );
    const hours = join(big, payments, {
      on: { left: 'id', right: 'order' },
      within: { after: '1h' },
      output: { customer: 'string', twice: 'double' },
      select: (left) => ({ customer: left.customer, twice: left.double }),
    }).pipe(
      filter(({ customer }) => customer !== 'c9'),
      keyBy('customer'),
      rolling({ before: sum('twice').over('1d') }),
      tumbling('1h', { n: count(), twice: sum('twice'), before: sum('before') }),
    );
    const rows = [
      order('1', 0),
      order('2', 1, 0.5),
      order('9', 1),
      payment('1', 2),
      payment('1', 3),
      payment('2', 3),
      payment('9', 3),
      order('5', 200),
      payment('5', 200),
    ];
    const result = { customer: 'c1', window_start: 0, window_end: 60 * minute, n: 2, twice: 40, before: 20 };
    expect(await collect(hours, rows)).toEqual([result]);
    await testQuery(underTest(hours, { partitions: 3 }), [
      addData(rows),
      checkLedger({ read: 9, scored: 8, filtered: 1, late: 0 }),
    ]);
    await forEveryCrashPoint(underTest(hours), rows);
  });

  it('is crashed wherever it can be, alone and of three', async () => {
    const rows = [
      order('1', 0),
      payment('1', 2),
      order('2', 3),
      shipment('1', 4),
      order('4', 190),
      payment('4', 190),
      shipment('4', 190),
    ];
    await forEveryCrashPoint(
      underTest(missing),
      rows.filter((row) => !('shipments' in row)),
    );
    await forEveryCrashPoint(underTest(threeOf('full', 'left', 30)), rows);
  });
});

/** Three streams in a row: (orders ⋈ payments) ⋈ shipments, each within so many minutes. */
function threeOf(first: JoinKind, second: JoinKind, minutes: number) {
  const within = { before: `${minutes}m`, after: `${minutes}m` };
  const paid = join(orders, payments, {
    on: { left: 'id', right: 'order' },
    within,
    kind: first,
    output: { id: 'string', amount: 'double?', paid: 'double?' },
    select: (left, right) => ({
      id: left?.id ?? right?.order ?? '',
      amount: left?.amount ?? null,
      paid: right?.amount ?? null,
    }),
  });
  return join(paid, shipments, {
    id: 'shipped',
    on: { left: 'id', right: 'order' },
    within,
    kind: second,
    output: { id: 'string', amount: 'double?', paid: 'double?', by: 'string?' },
    select: (left, right) => ({
      id: left?.id ?? right?.order ?? '',
      amount: left?.amount ?? null,
      paid: left?.paid ?? null,
      by: right?.by ?? null,
    }),
  });
}

interface Timed<T> {
  readonly at: number;
  readonly key: string;
  readonly of: T;
}

/** A join of two lists by its definition, over all that there is: what is left once no partner can come. */
function twin<L, R>(
  left: readonly Timed<L>[],
  right: readonly Timed<R>[],
  reachMs: number,
  kind: JoinKind,
): readonly Timed<readonly [L | null, R | null]>[] {
  const isPartner = (l: Timed<L>, r: Timed<R>): boolean => l.key === r.key && Math.abs(l.at - r.at) <= reachMs;
  const pairs = left.flatMap((l) =>
    right
      .filter((r) => isPartner(l, r))
      .map((r) => ({ at: Math.max(l.at, r.at), key: l.key, of: [l.of, r.of] as const })),
  );
  const lonelyLeft = left.filter((l) => !right.some((r) => isPartner(l, r)));
  const lonelyRight = right.filter((r) => !left.some((l) => isPartner(l, r)));
  return [
    ...pairs,
    ...(kind === 'left' || kind === 'full' ? lonelyLeft.map((l) => ({ ...l, of: [l.of, null] as const })) : []),
    ...(kind === 'right' || kind === 'full' ? lonelyRight.map((r) => ({ ...r, of: [null, r.of] as const })) : []),
  ];
}

describe('joins of two and three streams, by a naive twin', () => {
  const kinds = fc.constantFrom<JoinKind>('inner', 'left', 'right', 'full');
  // Out of order by less than the least delay, so that nothing is late.
  const rowsOf = fc.array(
    fc.record({
      of: fc.constantFrom('orders', 'payments', 'shipments'),
      id: fc.constantFrom('1', '2', '3'),
      at: fc.integer({ min: 0, max: 5 * minute }),
      jitter: fc.integer({ min: 0, max: 4_000 }),
      value: fc.integer({ min: 0, max: 3 }),
    }),
    { maxLength: 14 },
  );
  const far = 10_000;

  it.each(['two', 'three'])(
    '%s',
    async (many) => {
      await fc.assert(
        fc.asyncProperty(
          rowsOf,
          kinds,
          kinds,
          fc.integer({ min: 1, max: 9 }),
          async (made, first, second, batchSize) => {
            const rows = [...made]
              .sort((a, b) => a.at + a.jitter - (b.at + b.jitter))
              .map(({ of, id, at, value }) => {
                const minutes = at / minute;
                return of === 'orders'
                  ? order(id, minutes, value)
                  : of === 'payments'
                    ? payment(id, minutes, value)
                    : shipment(id, minutes, `${value}`);
              });
            const ends = [
              order('a', far),
              payment('b', far),
              shipment('c', far),
              order('d', 2 * far),
              payment('e', 2 * far),
              shipment('f', 2 * far),
            ];
            const o = rows.flatMap((row) =>
              'orders' in row ? [{ at: row.orders.at, key: row.orders.id, of: row.orders }] : [],
            );
            const p = rows.flatMap((row) =>
              'payments' in row ? [{ at: row.payments.at, key: row.payments.order, of: row.payments }] : [],
            );
            const s = rows.flatMap((row) =>
              'shipments' in row ? [{ at: row.shipments.at, key: row.shipments.order, of: row.shipments }] : [],
            );
            const reachMs = 2 * minute;
            const pairs = twin(o, p, reachMs, first);
            if (many === 'three') {
              const expected = twin(pairs, s, reachMs, second).map(({ key, of: [pair, by] }) => ({
                id: key,
                amount: pair?.[0]?.amount ?? null,
                paid: pair?.[1]?.amount ?? null,
                by: by?.by ?? null,
              }));
              const answers = await collect(threeOf(first, second, 2), [...rows, ...ends], { batchSize });
              expect(sorted(answers.filter(({ id }) => id < 'a'))).toEqual(sorted(expected));
              return;
            }
            const two = join(orders, payments, {
              on: { left: 'id', right: 'order' },
              within: { before: '2m', after: '2m' },
              kind: first,
              output: { id: 'string', amount: 'double?', paid: 'double?' },
              select: (l, r) => ({ id: l?.id ?? r?.order ?? '', amount: l?.amount ?? null, paid: r?.amount ?? null }),
            });
            const expected = pairs.map(({ key, of: [l, r] }) => ({
              id: key,
              amount: l?.amount ?? null,
              paid: r?.amount ?? null,
            }));
            const given = [...rows, ...ends].filter((row) => !('shipments' in row));
            const answers = await collect(two, given, { batchSize });
            expect(sorted(answers.filter(({ id }) => id < 'a'))).toEqual(sorted(expected));
          },
        ),
        { numRuns: 1_000 },
      );
    },
    240_000,
  );
});

function sorted(rows: readonly object[]): readonly string[] {
  return rows.map((row) => JSON.stringify(row)).sort();
}
