// Orders and their payments, of two topics: a left join, so that an order without a payment comes out, too, once none can come in time. By customer, what is open is summed up at once.
import {
  collect,
  enrich,
  filter,
  join,
  keyBy,
  rolling,
  sum,
  topic,
  withWatermark,
} from '../../operators/typed/index.ts';

const orders = topic(
  'orders',
  { id: 'string', at: 'timestamp', customer: 'string', amount: 'double' },
  { key: 'id' },
).pipe(withWatermark('at', '10s'));
const payments = topic('payments', { order: 'string', at: 'timestamp', amount: 'double' }, { key: 'order' }).pipe(
  withWatermark('at', '1m'),
);
const customers = topic('customers', { id: 'string', since: 'timestamp', level: 'string' }, { key: 'id' }).pipe(
  withWatermark('since', '0s'),
);

const open = join(orders, payments, {
  on: { left: 'id', right: 'order' },
  within: { before: '5m', after: '1h' },
  kind: 'left',
  output: { order: 'string', customer: 'string', missing: 'double' },
  // The types say that the payment may not be there; for an inner join they would say that it is.
  select: (order, payment) => ({
    order: order.id,
    customer: order.customer,
    missing: order.amount - (payment?.amount ?? 0),
  }),
});

const alerts = enrich(open, customers, { on: 'customer', take: { level: 'level' } }).pipe(
  keyBy('customer'),
  rolling({ missing_1d: sum('missing').over('1d', { current: 'include' }) }),
  filter(({ missing_1d, level }) => (missing_1d ?? 0) > (level === 'gold' ? 100 : 10)),
);

const minute = (n: number): number => Date.UTC(2026, 10, 22, 12, n);
// Each row says which topic it is of.
const found = await collect(alerts, [
  { customers: { id: 'ann', since: minute(0), level: 'gold' } },
  { orders: { id: 'o1', at: minute(0), customer: 'ann', amount: 80 } },
  { orders: { id: 'o2', at: minute(1), customer: 'bob', amount: 30 } },
  { payments: { order: 'o2', at: minute(4), amount: 15 } },
  { orders: { id: 'o3', at: minute(20), customer: 'ann', amount: 40 } },
  // Both inputs are past one o'clock and more: no payment of o1 and o3 can come in time any more.
  { orders: { id: 'o4', at: minute(90), customer: 'cid', amount: 5 } },
  { payments: { order: 'o4', at: minute(91), amount: 5 } },
]);
for (const { order, customer, missing, missing_1d, level } of found) {
  console.log(`${customer} (${level ?? 'new'}): ${missing} of ${order} is missing, ${missing_1d} in a day`);
}

/* prints
bob (new): 15 of o2 is missing, 15 in a day
ann (gold): 40 of o3 is missing, 120 in a day
*/
