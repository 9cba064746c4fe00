// Typed operators are operators of RxJS: they stand in any pipe, beside all others.
import { bufferCount, from, lastValueFrom, map, mergeMap, toArray } from 'rxjs';
import { avg, batchesOf, keyBy, rolling, rows, topic, withWatermark } from '../../operators/typed/index.ts';

const readings = topic('readings', { sensor: 'string', at: 'timestamp', celsius: 'double' }, { key: 'sensor' });

const minute = (n: number): number => Date.UTC(2026, 10, 22, 12, n);
const given = [21, 22, 24, 28].map((celsius, n) => ({ sensor: 'hall', at: minute(n), celsius }));

const lines$ = batchesOf(readings, given).pipe(
  withWatermark('at', '10s'),
  keyBy('sensor'),
  rolling({ mean: avg('celsius').over('1h') }),
  // Up to here, records go in columns, many at once. Behind rows() they are objects, one by one.
  rows(),
  map(({ celsius, mean }) => (mean === null ? 0 : celsius - mean)),
  bufferCount(2),
  mergeMap((pair) => from(pair.map((difference) => difference.toFixed(2)))),
  toArray(),
);
console.log(await lastValueFrom(lines$));

/* prints
[ '0.00', '1.00', '2.50', '5.67' ]
*/
