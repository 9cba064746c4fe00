// Clicks: each click knows its visit at once, and what came before it in that visit.
import {
  collect,
  count,
  derive,
  first,
  keyBy,
  rolling,
  sessionise,
  topic,
  withWatermark,
} from '../../operators/typed/index.ts';

const clicks = topic('clicks', { user: 'string', at: 'timestamp', page: 'string' }, { key: 'user' });

const visits = clicks.pipe(
  withWatermark('at', '1m'),
  keyBy('user'),
  sessionise({ gap: '30m' }),
  // From here on, state is kept by visit.
  keyBy('user', 'session_number'),
  rolling({
    pages_before: count().over('12h'),
    entered_by: first('page').over('12h'),
  }),
  derive({ minutes: 'double' }, ({ at, session_start: start }) => ({ minutes: (at - (start ?? at)) / 60_000 })),
);

const minute = (n: number): number => Date.UTC(2026, 10, 22, 12, n);
const rows = await collect(visits, [
  { user: 'ann', at: minute(0), page: '/' },
  { user: 'ann', at: minute(2), page: '/pens' },
  { user: 'bob', at: minute(3), page: '/ink' },
  { user: 'ann', at: minute(31), page: '/cart' },
  { user: 'ann', at: minute(61), page: '/' },
]);
for (const row of rows) {
  const where = `visit ${row.session_number} of ${row.user}, minute ${row.minutes}`;
  console.log(`${row.page}: ${where}, ${row.pages_before} before it, entered by ${row.entered_by ?? row.page}`);
}

/* prints
/: visit 1 of ann, minute 0, 0 before it, entered by /
/pens: visit 1 of ann, minute 2, 1 before it, entered by /
/ink: visit 1 of bob, minute 0, 0 before it, entered by /ink
/cart: visit 1 of ann, minute 31, 2 before it, entered by /
/: visit 2 of ann, minute 0, 0 before it, entered by /
*/
