import { lastValueFrom, of } from 'rxjs';
import { runSection } from '../engine/execution/section.ts';
import { packageFile } from '../engine/package-file.ts';
import type { RecordBatch } from '../engine/record/record-batch.ts';
import type { Source } from '../engine/source/source.ts';
import { PartitionWatermarks } from '../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../engine/time/stamp-watermarks.ts';
import { loadJob } from '../jobs/load-job.ts';
import { featureSection, jobSection } from '../jobs/runtime/sections/feature-section.ts';
import { handbookBatches } from '../simulation/handbook/record-batches.ts';
import { generateHandbookTransactions } from '../simulation/handbook/transactions.ts';
import { SimulatedSource } from '../simulation/stream/transaction-source.ts';

/**
 * Features alone, in memory, on one core: the job's operators over batches of 1,000 records that are there already. Prints the rate of each round, A B C A B C …,
 * so that a noisy neighbour is seen; quote the median.
 *
 *     npm run bench -- features
 */
const rounds = 5;
const batchRecords = 1_000;

interface Case {
  readonly name: string;
  readonly jobFile: string;
  readonly batches: readonly RecordBatch[];
}

async function read(source: Source): Promise<RecordBatch[]> {
  const batches: RecordBatch[] = [];
  for (;;) {
    const polled = await source.poll({ maxRecords: batchRecords, maxWaitMs: 0 });
    if (polled === 'end') return batches;
    if (polled !== null && polled.kind === 'records') batches.push(polled.records);
  }
}

/** One pass over all batches with fresh operators; records a second. */
async function run({ jobFile, batches }: Case): Promise<number> {
  const outcome = await loadJob(packageFile(jobFile));
  if (!outcome.ok) throw new Error(`${jobFile} is not sound`);
  const { job } = outcome;
  const watermarks = new PartitionWatermarks();
  const noState = { getMany: () => Promise.resolve([]), async *scan() {} };
  const section = featureSection(jobSection(job), { state: 'empty', watermarks }, noState);
  const operator = runSection(section);
  const rule = { delayMs: job.source.eventTime.delayMs, maxFutureSkewMs: Infinity };
  let records = 0;
  const startedMs = performance.now();
  for (const batch of batches) {
    stampWatermarks(batch, null, watermarks, rule);
    await lastValueFrom(of(batch).pipe(operator));
    for (const logic of section.logics) logic.dropChanges();
    records += batch.rowCount;
  }
  return (records / (performance.now() - startedMs)) * 1_000;
}

const handbook = [...handbookBatches(generateHandbookTransactions(), batchRecords)];
const simulated = await read(new SimulatedSource({ world: { seed: 1, startMs: Date.UTC(2018, 3, 1) }, days: 60 }));
const cases: Case[] = [
  { name: 'handbook15', jobFile: 'jobs/handbook.yaml', batches: handbook },
  { name: 'handbook, own set', jobFile: 'jobs/handbook-own.yaml', batches: handbook },
  { name: 'fraud-scoring, with deduplication', jobFile: 'jobs/fraud-scoring.yaml', batches: simulated },
];
const rates = new Map(cases.map(({ name }) => [name, [] as number[]]));
for (let round = 1; round <= rounds; round++) {
  for (const each of cases) {
    const rate = await run(each);
    rates.get(each.name)?.push(rate);
    process.stdout.write(
      `round ${round}  ${each.name.padEnd(34)} ${Math.round(rate).toLocaleString('en-US').padStart(9)} records/s\n`,
    );
  }
}
for (const [name, measured] of rates) {
  const sorted = measured.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  process.stdout.write(
    `median   ${name.padEnd(34)} ${Math.round(median).toLocaleString('en-US').padStart(9)} records/s\n`,
  );
}
