import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nexmarkEvents } from '../simulation/nexmark/nexmark-events.ts';
import { AuctionHouse } from '../tests/nexmark/auction-house.ts';

/**
 * Some of Nexmark's queries over a backlog on the embedded log, one job after another: read, decoded, computed, encoded and committed, in wall time. Prints how many events each
 * job has read a second, A B C A B C …, so that a noisy neighbour is seen; quote the median. A job that reads what another one has written is behind it in the list.
 *
 *     npm run bench -- nexmark
 */
const rounds = 3;
const eventCount = Number(process.env['SLUICE_NEXMARK_EVENTS'] ?? 200_000);
const jobs = ['q0', 'q1', 'q2', 'q3', 'q5-counts', 'q7-highest', 'q7', 'q8', 'q11', 'q12', 'q17', 'q20'];

const events = nexmarkEvents({ events: eventCount });
const rates = new Map(jobs.map((job) => [job, [] as number[]]));
const print = (label: string, job: string, perSecond: number): void => {
  const rate = Math.round(perSecond).toLocaleString('en-US').padStart(9);
  process.stdout.write(`${label}  ${job.padEnd(12)} ${rate} events/s\n`);
};
for (let round = 1; round <= rounds; round++) {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-nexmark-bench-'));
  {
    await using house = await AuctionHouse.open(directory, events, 1);
    for (const job of jobs) {
      const startedMs = performance.now();
      const { ledger } = await house.run(job);
      const perSecond = (ledger.read / (performance.now() - startedMs)) * 1_000;
      rates.get(job)?.push(perSecond);
      print(`round ${round}`, job, perSecond);
    }
  }
  await rm(directory, { recursive: true, force: true });
}
for (const [job, measured] of rates) {
  print('median ', job, measured.toSorted((a, b) => a - b)[Math.floor(measured.length / 2)] ?? 0);
}
