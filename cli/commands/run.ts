import { Option, type Command } from 'commander';
import { jsonLogger } from '../../engine/observability/logger.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { dataDirectory, type DirectoryOption } from '../data-directory.ts';
import { duration } from '../duration-option.ts';
import { endAtOnce, stopTimeoutMs } from '../end-in-time.ts';
import { configFile } from '../load-cluster-settings.ts';
import { loadClusterPart } from '../load-cluster-part.ts';
import { loadCheckedJob } from '../load-checked-job.ts';
import { modelsDirectory } from '../models-directory.ts';
import type { ClusterRunOptions } from '../run-on-cluster.ts';
import { stopSignal } from '../stop-signal.ts';
import { wholeNumber } from '../whole-number.ts';

interface RunOptions extends DirectoryOption, ClusterRunOptions {
  readonly profile: 'local' | 'cluster';
}

/** `sluice run`: a job, until it is stopped. */
export function addRunCommand(program: Command): void {
  program
    .command('run')
    .description('run a job until Ctrl-C, or, with --trigger availableNow, until all that is there is done')
    .argument('<job>', 'job file')
    .addOption(new Option('--profile <profile>', 'what to run on').choices(['local', 'cluster']).default('local'))
    .addOption(new Option('--trigger <trigger>').choices(['realtime', 'availableNow']).default('realtime'))
    .option(...dataDirectory)
    .option(...modelsDirectory)
    .option(...configFile)
    .addOption(
      new Option('--workers <n>', 'processes that share the partitions (cluster)').argParser(wholeNumber).default(1),
    )
    .addOption(
      new Option('--stop-timeout <duration>', 'how long a worker may take to end once it is told to (cluster)')
        .argParser(duration)
        .default(stopTimeoutMs, '25s'),
    )
    .addOption(new Option('--worker <n>').argParser(wholeNumber).hideHelp())
    .action(runJob);
}

async function runJob(path: string, options: RunOptions): Promise<void> {
  // Before all else: what is loaded for a cluster takes a while, and who is told to stop meanwhile is to end in order, too.
  const stop = options.profile === 'local' ? stopSignal() : stopSignal(endAtOnce);
  const job = await loadCheckedJob(path);
  const figures =
    options.profile === 'local'
      ? await runLocal(job, options, stop.signal)
      : await (await loadClusterPart(() => import('../run-on-cluster.ts'))).runOnCluster(job, path, options, stop);
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

async function runLocal(job: CheckedJob, { dir, models, trigger }: RunOptions, signal: AbortSignal): Promise<object> {
  await using storage = await Storage.open({ directory: dir, access: 'write', clock: systemClock });
  await using run = await openLocalRun(job, {
    storage,
    directory: dir,
    modelsDirectory: models,
    logger: jsonLogger('sluice'),
  });
  await run.run(trigger, signal);
  const { ledger, amended, compacted, letGoEarly, replayedRecords, latency } = run.query.totals;
  return {
    ...ledger,
    amended,
    compacted,
    letGoEarly,
    replayed: replayedRecords,
    p50Ms: latency.quantileMs(0.5),
    p99Ms: latency.quantileMs(0.99),
  };
}
