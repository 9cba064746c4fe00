import { SluiceError } from '../../engine/error.ts';
import { StateTable } from '../../engine/storage/state-table.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import { readStoredJob, type StoredJob } from '../../engine/storage/stored-job.ts';
import type { CheckedJob } from '../checked-job.ts';
import { openEmbeddedRegistry } from '../runtime/embedded-registry.ts';
import { openInputs } from '../runtime/open-inputs.ts';
import { openDecoder, openFileSource, openTopicSource } from '../runtime/open-source.ts';
import { openSimulatorSource } from '../runtime/simulator-source.ts';
import { jobOperators } from './job-operators.ts';
import { MemoryState } from './memory-state.ts';
import { planReplay, type ReplayEnd, type ReplayPlan } from './replay-plan.ts';
import { replayState, type ReplayedLog, type ReplayedState } from './replay-state.ts';
import type { StateView } from './state-view.ts';

/** A job of the embedded profile, as whoever looks at its state finds it. */
export interface StoredState extends StateView {
  readonly stored: StoredJob;
}

/**
 * Looks at the state that the embedded store holds of a job, also while it runs: as of its last flush.
 *
 * @throws {SluiceError} `STATE_NONE` for a job that never committed; `JOB_CHANGED` where the job file is another than the state's.
 */
export function openStoredState(job: CheckedJob, storage: Storage): StoredState {
  const stored = storedJob(job, storage);
  return {
    operators: jobOperators(job),
    reader: new StateTable(storage.environment, job.name),
    watermarksMs: stored.row.stateMetadata?.watermarksMs ?? [],
    stored,
  };
}

/** Where the embedded store says that a job stands. @throws {SluiceError} `STATE_NONE`, `JOB_CHANGED`. */
export function storedJob(job: CheckedJob, storage: Storage): StoredJob {
  const stored = readStoredJob(storage, job.name);
  if (stored === null) {
    throw new SluiceError(
      'STATE_NONE',
      `job ${job.name} must have run on ${storage.directory} before its state can be looked at; it has never committed there. Name another data directory (--dir), or run it first`,
      { fields: { job: job.name } },
    );
  }
  const { jobDigest } = stored.row.metadata;
  if (jobDigest !== job.digest) {
    throw new SluiceError(
      'JOB_CHANGED',
      `job ${job.name} must be the one that its state belongs to (digest ${jobDigest}); got another (${job.digest}). Give the job file as it was, or run the changed job first: ` +
        '`sluice plan --diff` says what becomes of the state',
      { fields: { job: job.name } },
    );
  }
  return stored;
}

/**
 * Plans how to compute a job's state from its log.
 *
 * @param operators the ids of those whose state is wanted; `null`: all.
 * @throws {SluiceError} `LOG_TRUNCATED`, `POSITION_UNKNOWN`.
 */
export async function planFromLog(
  job: CheckedJob,
  { source }: ReplayedLog,
  stored: StoredJob,
  end: ReplayEnd,
  operators: ReadonlySet<string> | null = null,
): Promise<ReplayPlan> {
  const wanted = jobOperators(job).filter(({ describer }) => operators?.has(describer.operatorId) ?? true);
  const reaches = wanted.map(({ reachMs }) => reachMs);
  const reachMs = reaches.includes(null) ? null : Math.max(0, ...reaches.map((reach) => reach ?? 0));
  const { delayMs } = job.source.eventTime;
  return planReplay(stored, end, { job: job.name, reachMs, delayMs, log: await source.ranges() });
}

/** A job's state as computed from its log, to be looked at. @throws {SluiceError} as {@link planFromLog}, and what the source throws. */
export async function viewFromLog(
  job: CheckedJob,
  storage: Storage,
  directory: string,
  stored: StoredJob,
  end: ReplayEnd,
): Promise<StateView & { readonly replayed: ReplayedState }> {
  const log = await openJobLog(job, storage, directory);
  try {
    const replayed = await replayState(job, log, await planFromLog(job, log, stored, end));
    const reader = new MemoryState();
    reader.put(replayed.writes);
    return { operators: jobOperators(job), reader, watermarksMs: replayed.watermarksMs, replayed };
  } finally {
    await log.source[Symbol.asyncDispose]();
  }
}

/** Opens what a job of the embedded profile reads. @throws {SluiceError} what the sources throw. */
export async function openJobLog(job: CheckedJob, storage: Storage, directory: string): Promise<ReplayedLog> {
  const { source } = job;
  const registry = openEmbeddedRegistry(directory, storage.clock);
  switch (source.kind) {
    case 'topic':
      return { source: openTopicSource(storage, source.topic), decoder: openDecoder(job, registry) };
    case 'parquet':
    case 'csv':
    case 'jsonl':
      return { source: await openFileSource(job, source), decoder: null };
    case 'inputs': {
      const reader = await openInputs(source.plan, storage, registry);
      return { source: reader, decoder: reader };
    }
    case 'simulator':
      return { source: openSimulatorSource(job, { ...source, ratePerSecond: null }, storage.clock), decoder: null };
  }
}
