// Fraud: what a payment is against what its card has spent in the last seven days, before it.
import {
  avg,
  collect,
  count,
  derive,
  expression,
  filter,
  keyBy,
  rolling,
  topic,
  withWatermark,
} from '../../operators/typed/index.ts';

const payments = topic(
  'payments',
  { id: 'string', at: 'timestamp', card: 'string', amount: 'double' },
  { key: 'card' },
);

const unusual = payments.pipe(
  withWatermark('at', '10s'),
  keyBy('card'),
  rolling({
    avg_7d: avg('amount').over('7d'),
    payments_1h: count().over('1h', { current: 'include' }),
  }),
  derive({ ratio: expression('double', 'amount / avg_7d') }),
  filter(({ ratio }) => ratio !== null && ratio > 2),
);

const day = (n: number): number => Date.UTC(2026, 10, n, 10);
const found = await collect(unusual, [
  { id: 't1', at: day(1), card: 'c1', amount: 300 },
  { id: 't2', at: day(3), card: 'c1', amount: 501 },
  { id: 't3', at: day(4), card: 'c1', amount: 899 },
  { id: 't4', at: day(4), card: 'c2', amount: 20 },
]);
for (const { id, amount, avg_7d: mean, ratio } of found)
  console.log(`${id}: ${amount} against ${mean}, ${ratio?.toFixed(2)} times`);

/* prints
t3: 899 against 400.5, 2.24 times
*/
