// Baskets: several records of one. What is counted is items, what is read is orders.
import { collect, count, flatMap, keyBy, rolling, topic, withWatermark } from '../../operators/typed/index.ts';

const orders = topic('orders', { order: 'string', at: 'timestamp', items: 'string' }, { key: 'order' });

const items = orders.pipe(
  withWatermark('at', '10s'),
  flatMap({ order: 'string', item: 'string' }, function* ({ order, items: listed }) {
    for (const item of listed.split(',')) if (item !== '') yield { order, item: item.trim() };
  }),
  keyBy('item'),
  rolling({ sold_1h: count().over('1h', { current: 'include' }) }),
);

const minute = (n: number): number => Date.UTC(2026, 10, 22, 12, n);
const rows = await collect(items, [
  { order: 'o1', at: minute(0), items: 'pen, ink' },
  { order: 'o2', at: minute(5), items: '' },
  { order: 'o3', at: minute(10), items: 'ink, ink, paper' },
]);
console.log(rows.map(({ order, item, sold_1h: sold }) => `${order} ${item} ${sold}`).join('\n'));

/* prints
o1 pen 1
o1 ink 1
o3 ink 2
o3 ink 3
o3 paper 1
*/
