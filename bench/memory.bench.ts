import { systemClock } from '../engine/time/clock.ts';
import { ClusterJob } from './cluster-job.ts';

/**
 * Resident memory of a job in the cluster profile while one of its dependencies is down and the input goes on: what waits must wait in the log. A line each ten
 * seconds, and the highest figure before and while it was down.
 *
 *     npm run bench -- memory                              Redis down for ten minutes
 *     SLUICE_BENCH_MINUTES=2 npm run bench -- memory
 */
const recordsPerSecond = 2_000;
const cards = 10_000;
const minutes = Number(process.env['SLUICE_BENCH_MINUTES'] ?? '10');
const everyMs = 10_000;
const print = (line: string): void => void process.stdout.write(`${line}\n`);

await using job = await ClusterJob.start('memory');
await job.sendEachCard(cards);
job.startWorker();
await job.caughtUp(0, 0);
const stop = new AbortController();
const sending = job.sendSteadily(recordsPerSecond, cards, stop.signal);

async function watch(what: string, forMs: number): Promise<number> {
  let highest = 0;
  for (let passedMs = 0; passedMs < forMs; passedMs += everyMs) {
    await systemClock.sleep(everyMs);
    const resident = job.residentMiB;
    highest = Math.max(highest, resident);
    print(`${what} ${(passedMs + everyMs) / 1_000} s: ${resident.toFixed(0)} MiB, lag ${await job.lag()} records`);
  }
  return highest;
}

const before = await watch('in good order', 60_000);
job.redis.freeze();
const down = await watch('Redis down', minutes * 60_000);
job.redis.thaw();
const { allMs: backMs } = await job.caughtUp(recordsPerSecond, await job.committed());
const after = await watch('in good order again', 20_000);
stop.abort();
await sending;
print(
  `highest: ${before.toFixed(0)} MiB before, ${down.toFixed(0)} MiB while Redis was down for ${minutes} min, ${after.toFixed(0)} MiB after; caught up ${(backMs / 1_000).toFixed(1)} s after it was back`,
);
