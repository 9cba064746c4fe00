import { SluiceError } from '../engine/error.ts';
import type { Trigger } from '../engine/execution/streaming-query.ts';
import { jsonLogger } from '../engine/observability/logger.ts';
import { systemClock } from '../engine/time/clock.ts';
import type { CheckedJob } from '../jobs/checked-job.ts';
import { sumFigures } from '../jobs/runtime/cluster/run-figures.ts';
import { openClusterRun } from '../jobs/runtime/run-cluster.ts';
import { runClusterWorkers } from '../jobs/runtime/run-cluster-workers.ts';
import { preflight } from '../jobs/runtime/preflight.ts';
import { refuseIfAny, tableOf } from './commands/doctor.ts';
import { endInTime } from './end-in-time.ts';
import { loadClusterSettings, type ConfigOption } from './load-cluster-settings.ts';
import type { ModelsOption } from './models-directory.ts';
import { threadCount } from './thread-count.ts';

/** What the command line says of a run on a cluster. */
export interface ClusterRunOptions extends ModelsOption, ConfigOption {
  readonly trigger: Trigger;
  readonly workers: number;
  /** How long a worker may take to end once it is told to. */
  readonly stopTimeout: number;
  /** Of a worker that another `sluice run` has started. */
  readonly worker?: number;
}

/** libuv's threads for a worker whose parent was not started by `bin/sluice`, which says why so many. */
const threadPoolSize = '64';
/** From when a worker has ended itself until its parent knows. */
const parentPatienceMs = 5_000;

/**
 * Runs a job on Kafka and Redis as this process's part of it, or starts the workers that do. Called by `sluice run --profile cluster`, which loads this file only then: the Kafka
 * client's binary is not there where nothing but the local profile was set up.
 *
 * @param stop aborted when it is to end, also before it has begun.
 * @returns the figures to print, once it has ended.
 * @throws {SluiceError} `PREFLIGHT_REFUSED`, and what the run throws.
 */
export async function runOnCluster(
  job: CheckedJob,
  path: string,
  options: ClusterRunOptions,
  stop: AbortController,
): Promise<object> {
  const { models, trigger, workers, worker, stopTimeout } = options;
  const settings = await loadClusterSettings(options);
  const logger = jsonLogger(worker === undefined ? 'sluice' : `sluice worker ${worker}`);
  // Who waits for workers gives them the time that they have, and some more.
  const ownPart = worker !== undefined || workers === 1;
  endInTime(stop.signal, ownPart ? stopTimeout : stopTimeout + parentPatienceMs, logger);
  if (worker !== undefined) stopWithParent(stop);
  else {
    const examined = { settings, modelsDirectory: models, clock: systemClock };
    const results = await preflight(job, { ...examined, purpose: 'start', threads: threadCount() });
    const toRead = results.filter(({ outcome }) => outcome !== 'ok');
    if (toRead.length > 0) process.stderr.write(tableOf(toRead));
    refuseIfAny(results);
  }
  if (!ownPart) {
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
  try {
    await run?.run(trigger, stop.signal);
  } finally {
    // Also where it ends by itself: from now on nothing may keep the process.
    stop.abort();
  }
  return run?.figures ?? sumFigures([]);
}

function workerArgs(path: string, { models, trigger, config, stopTimeout }: ClusterRunOptions): readonly string[] {
  const args = ['run', path, '--profile', 'cluster', '--trigger', trigger, '--models', models];
  args.push('--stop-timeout', `${stopTimeout}ms`);
  return config === undefined ? args : [...args, '--config', config];
}

/** A worker whose parent is gone, whatever became of it, hands over and ends as if it had been told to. */
function stopWithParent(stop: AbortController): void {
  process.once('disconnect', () => stop.abort());
  process.channel?.unref();
}
