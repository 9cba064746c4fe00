import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageFile } from '../engine/package-file.ts';
import { Storage } from '../engine/storage/storage.ts';
import { systemClock } from '../engine/time/clock.ts';
import { loadJob } from '../jobs/load-job.ts';
import { openLocalRun } from '../jobs/runtime/run-local.ts';
import { SimulatedProducer } from '../jobs/runtime/simulated-producer.ts';
import { childrenOf, cpuSecondsOf } from './processes.ts';

/**
 * The whole embedded job over a full topic: decode, deduplicate, features, score in its thread, explain alerts, commit, and ClickHouse beside it. Prints what
 * the query alone takes, and until ClickHouse has the last row; with predictions in Avro and in JSON, in turns, since the machine's speed changes as it runs.
 *
 *     npm run bench -- embedded-job
 */
const days = 60;
const startMs = Date.UTC(2018, 3, 1);
const dayMs = 86_400_000;

const outcome = await loadJob(packageFile('jobs/fraud-scoring.yaml'));
if (!outcome.ok) throw new Error('the job is not sound');
const { job: shipped } = outcome;
const formats = ['avro', 'json'] as const;
const count = (value: number): string => Math.round(value).toLocaleString('en-US');

/** Writes the transactions into the topic; what makes them is gone when it is done, and costs the job no garbage collection. @returns how many. */
async function fill(storage: Storage): Promise<number> {
  storage.ensureTopic('transactions', { partitionCount: 4 });
  const append = async (messages: Parameters<Storage['append']>[0]): Promise<void> => {
    await storage.append(messages);
  };
  const options = { topic: 'transactions', partitions: 4, world: { seed: 9, startMs } };
  const producer = new SimulatedProducer(options, append, systemClock);
  await producer.writeHistory(startMs + days * dayMs, new AbortController().signal);
  return producer.written;
}

for (let turn = 0; turn < 3 * formats.length; turn++) {
  const round = 1 + Math.floor(turn / formats.length);
  const format = formats[turn % formats.length] ?? 'json';
  const sinks = shipped.sinks.map((sink) => (sink.kind === 'topic' ? { ...sink, format } : sink));
  const job = { ...shipped, sinks };
  const directory = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  {
    await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
    const total = await fill(storage);
    const stop = new AbortController();
    let inClickHouse = 0;
    let scoredMs = 0;
    const logger = { info: log, warn: log, error: log };
    await using run = await openLocalRun(job, {
      storage,
      directory,
      modelsDirectory: packageFile('models'),
      logger,
      onProgress: (_sink, { messages }) => {
        inClickHouse += messages;
        if (inClickHouse >= total) stop.abort();
      },
    });
    const cpuBefore = process.cpuUsage();
    const childrenBefore = childrenCpuSeconds();
    const startedMs = performance.now();
    run.query.committed.subscribe(() => {
      if (scoredMs === 0 && run.query.totals.ledger.read >= total) scoredMs = performance.now() - startedMs;
    });
    await run.run('realtime', stop.signal);
    const allMs = performance.now() - startedMs;
    const { user, system } = process.cpuUsage(cpuBefore);
    const children = childrenCpuSeconds() - childrenBefore;
    process.stdout.write(
      `round ${round}  ${format}  ${count(total)} transactions: committed at ${count((total / scoredMs) * 1_000)} tx/s; ` +
        `in ClickHouse too at ${count((total / allMs) * 1_000)} tx/s; ${((user + system) / total).toFixed(1)} µs of this process's CPU each, ${((children * 1e6) / total).toFixed(1)} µs of ClickHouse's; ` +
        `load of the machine ${(loadavg()[0] ?? 0).toFixed(1)}\n`,
    );
  }
  await rm(directory, { recursive: true, force: true });
}

/** Processor time of the processes that this one has started. */
function childrenCpuSeconds(): number {
  return childrenOf(process.pid).reduce((seconds, pid) => seconds + cpuSecondsOf(pid), 0);
}

function log(message: string): void {
  process.stderr.write(`${message}\n`);
}
