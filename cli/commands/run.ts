import { Option, type Command } from 'commander';
import { SluiceError } from '../../engine/error.ts';
import { jsonLogger } from '../../engine/observability/logger.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { sumFigures } from '../../jobs/runtime/cluster/run-figures.ts';
import { openClusterRun } from '../../jobs/runtime/run-cluster.ts';
import { runClusterWorkers } from '../../jobs/runtime/run-cluster-workers.ts';
import { preflight } from '../../jobs/runtime/preflight.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import type { Trigger } from '../../engine/execution/streaming-query.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { dataDirectory, type DirectoryOption } from '../data-directory.ts';
import { configFile, loadClusterSettings, type ConfigOption } from '../load-cluster-settings.ts';
import { loadCheckedJob } from '../load-checked-job.ts';
import { modelsDirectory, type ModelsOption } from '../models-directory.ts';
import { stopSignal } from '../stop-signal.ts';
import { threadCount } from '../thread-count.ts';
import { wholeNumber } from '../whole-number.ts';
import { refuseIfAny, tableOf } from './doctor.ts';

interface RunOptions extends DirectoryOption, ModelsOption, ConfigOption {
  readonly profile: 'local' | 'cluster';
  readonly trigger: Trigger;
  readonly workers: number;
  /** Of a worker that another `sluice run` has started. */
  readonly worker?: number;
}

/** libuv's threads for a worker whose parent was not started by `bin/sluice`, which says why so many. */
const threadPoolSize = '64';
/** How long a worker whose parent is gone may take to hand over. */
const orphanPatienceMs = 60_000;

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
    .addOption(new Option('--worker <n>').argParser(wholeNumber).hideHelp())
    .action(runJob);
}

async function runJob(path: string, options: RunOptions): Promise<void> {
  const job = await loadCheckedJob(path);
  const figures = options.profile === 'local' ? await runLocal(job, options) : await runCluster(job, path, options);
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

async function runLocal(job: CheckedJob, { dir, models, trigger }: RunOptions): Promise<object> {
  const { signal } = stopSignal();
  await using storage = await Storage.open({ directory: dir, access: 'write', clock: systemClock });
  await using run = await openLocalRun(job, {
    storage,
    directory: dir,
    modelsDirectory: models,
    logger: jsonLogger('sluice'),
  });
  await run.run(trigger, signal);
  const { ledger, replayedRecords, latency } = run.query.totals;
  return {
    ...ledger,
    replayed: replayedRecords,
    p50Ms: latency.quantileMs(0.5),
    p99Ms: latency.quantileMs(0.99),
  };
}

async function runCluster(job: CheckedJob, path: string, options: RunOptions): Promise<object> {
  const { models, trigger, workers, worker } = options;
  const settings = await loadClusterSettings(options);
  const stop = stopSignal();
  const logger = jsonLogger(worker === undefined ? 'sluice' : `sluice worker ${worker}`);
  if (worker !== undefined) stopWithParent(stop);
  else {
    const examined = { settings, modelsDirectory: models, clock: systemClock };
    const results = await preflight(job, { ...examined, purpose: 'start', threads: threadCount() });
    const toRead = results.filter(({ outcome }) => outcome !== 'ok');
    if (toRead.length > 0) process.stderr.write(tableOf(toRead));
    refuseIfAny(results);
  }
  if (worker === undefined && workers > 1) {
    return runClusterWorkers(
      {
        count: workers,
        program: process.execPath,
        args: [...process.execArgv, process.argv[1] ?? '', ...workerArgs(path, options)],
        argsOf: (index) => ['--worker', String(index)],
        environment: { UV_THREADPOOL_SIZE: threadPoolSize, ...process.env },
        logger,
        clock: systemClock,
      },
      stop.signal,
    );
  }
  const profile = { settings, modelsDirectory: models, logger, clock: systemClock };
  await using run = await openClusterRun(job, profile, stop.signal).catch((error: unknown) => {
    // Told to end while it waited for a service: it had not begun.
    if (stop.signal.aborted && error instanceof SluiceError && error.retryable === 'transient') return null;
    throw error;
  });
  await run?.run(trigger, stop.signal);
  return run?.figures ?? sumFigures([]);
}

function workerArgs(path: string, { models, trigger, config }: RunOptions): readonly string[] {
  const args = ['run', path, '--profile', 'cluster', '--trigger', trigger, '--models', models];
  return config === undefined ? args : [...args, '--config', config];
}

/** A worker whose parent is gone, whatever became of it, hands over and ends as if it had been told to. */
function stopWithParent(stop: AbortController): void {
  process.once('disconnect', () => {
    stop.abort();
    // Nobody is left to end it where the services that it says good-bye to are gone, too; what it had open is settled by whoever comes next.
    void systemClock.sleep(orphanPatienceMs).then(() => process.exit(1));
  });
  process.channel?.unref();
}
