import { loadavg } from 'node:os';
import { systemClock } from '../engine/time/clock.ts';
import { ClusterJob } from './cluster-job.ts';

/**
 * From SIGKILL to caught up: a job of rolling features in the cluster profile takes 5,000 records a second; its processes are killed and started
 * again, while the input goes on. Prints how long it takes until it has caught up with the input, for each number of cards whose state is in Redis.
 *
 *     npm run bench -- recovery                       10,000, 100,000 and 1,000,000 cards
 *     SLUICE_BENCH_CARDS=10000 npm run bench -- recovery
 */
const recordsPerSecond = 5_000;
/** Half a second of input: what is in flight in good order. */
const usualLagRecords = recordsPerSecond / 2;
const steadyMs = 15_000;
const rounds = 3;

const sizes = (process.env['SLUICE_BENCH_CARDS'] ?? '10000,100000,1000000').split(',').map(Number);
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const print = (line: string): void => void process.stdout.write(`${line}\n`);

for (const cards of sizes) {
  await using job = await ClusterJob.start('recovery');
  await job.sendEachCard(cards);
  job.startWorker();
  const first = await job.caughtUp(0, 0);
  print(`${cards.toLocaleString('en-US')} cards: read for the first time in ${seconds(first.allMs)}`);
  const stop = new AbortController();
  const sending = job.sendSteadily(recordsPerSecond, cards, stop.signal);
  for (let round = 1; round <= rounds; round++) {
    await systemClock.sleep(steadyMs);
    const before = await job.lag();
    await job.killWorker();
    const committed = await job.committed();
    job.startWorker();
    const { firstMs, allMs } = await job.caughtUp(usualLagRecords, committed);
    print(
      `${cards.toLocaleString('en-US')} cards, kill ${round}: first commit after ${seconds(firstMs)}, caught up after ${seconds(allMs)} ` +
        `(lag at the kill ${before} records, load of the machine ${loadavg()[0]?.toFixed(1) ?? ''})`,
    );
  }
  stop.abort();
  await sending;
}
