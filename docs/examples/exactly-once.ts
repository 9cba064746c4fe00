// A job on the embedded log: its results, positions and state are committed together, so a second run goes on where the first one ended.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyBy, LocalLog, rolling, sum, topic, withWatermark } from '../../operators/typed/index.ts';

const payments = topic('payments', { at: 'timestamp', card: 'string', amount: 'double' }, { key: 'card' });
const spending = payments.pipe(
  withWatermark('at', '10s'),
  keyBy('card'),
  rolling({ spent_1d: sum('amount').over('1d', { current: 'include' }) }),
);

const hour = (n: number): number => Date.UTC(2026, 10, 22, n);
const dir = await mkdtemp(join(tmpdir(), 'sluice-example-'));
const run = async (amount: number, at: number): Promise<number> => {
  await using log = await LocalLog.open(dir);
  await log.append(payments, [{ at, card: 'c1', amount }]);
  const { ledger } = await log.run(spending, { job: 'spending', to: 'spending' });
  return ledger.read;
};
console.log('read', await run(10, hour(9)));
console.log('read', await run(20, hour(10)));
{
  await using log = await LocalLog.open(dir);
  for (const { spent_1d: spent } of await log.read('spending')) console.log('spent', spent);
}
await rm(dir, { recursive: true });

/* prints
read 1
read 1
spent 10
spent 30
*/
