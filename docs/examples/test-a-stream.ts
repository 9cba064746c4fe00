// A stream under test: a list of actions with a crash in it, then a crash at every step that there is.
import { addData, checkAnswer, crashAt, forEveryCrashPoint, restart, testQuery } from '../../engine/testing/index.ts';
import { count, keyBy, rolling, topic, underTest, withWatermark } from '../../operators/typed/index.ts';

const logins = topic('logins', { user: 'string', at: 'timestamp', ok: 'boolean' }, { key: 'user' });
const successes = logins.pipe(
  withWatermark('at', '10s'),
  keyBy('user'),
  rolling({ succeeded_10m: count({ where: 'ok' }).over('10m', { current: 'include' }) }),
);

const login = (at: string, ok: boolean): { user: string; at: string; ok: boolean } => ({ user: 'ann', at, ok });
await testQuery(underTest(successes), [
  addData([login('2026-11-22T12:00:00Z', true)]),
  crashAt('commit', 'after'),
  addData([login('2026-11-22T12:01:00Z', false)]),
  restart(),
  addData([login('2026-11-22T12:02:00Z', true)]),
  checkAnswer([{ succeeded_10m: 1 }, { succeeded_10m: 1 }, { succeeded_10m: 2 }]),
]);
console.log('the list holds');

const rows = [0, 3, 9, 12].map((n) => login(`2026-11-22T12:${String(n).padStart(2, '0')}:00Z`, n % 2 === 0));
const { points } = await forEveryCrashPoint(underTest(successes), rows);
console.log(points > 20 ? 'and so does every crash' : `only ${points} points`);

/* prints
the list holds
and so does every crash
*/
