import { SluiceError } from '../../engine/error.ts';
import type { Logger } from '../../engine/observability/logger.ts';
import { readNote } from '../../engine/sink/kafka/commit-note.ts';
import type { Source } from '../../engine/source/source.ts';
import { clearTaskState } from '../../engine/state/redis/clear-task-state.ts';
import type { RedisClient } from '../../engine/state/redis/connect-redis.ts';
import { keepJobLayout, keptJobLayouts } from '../../engine/state/redis/job-layouts.ts';
import { RedisTaskState, type RedisTaskStateOptions } from '../../engine/state/redis/redis-task-state.ts';
import type { TaskClaim } from '../../engine/state/redis/task-state.ts';
import type { CheckedJob } from '../checked-job.ts';
import { diffLayouts, type LayoutDiff } from './diff-layouts.ts';
import { diffOnCluster, diffStages } from './diff-stages.ts';
import { layoutOf, readLayout, type JobLayout } from './job-layout.ts';

/** What a stage does with what a job of some digest has left: goes on with its state, rebuilds that from the log first, or does not start. */
export type LeftFate = 'serve' | 'rebuild' | 'refuse';

/** Tells the fate of what a digest has left. */
export type FateOf = (digest: string) => LeftFate;

/** Told once of each digest that a former version of the job has left something under. */
type LeftListener = (fate: LeftFate, diff: LayoutDiff) => void;

/**
 * Tells what becomes of what former versions of a job have left on a cluster, as `sluice plan --diff --profile cluster` says: by the digests of their stages, which are those of the jobs where these are
 * one stage. What is refused of one stage is refused of all, so that none goes on without the others.
 */
export async function fatesOfLeft(
  redis: RedisClient,
  job: CheckedJob,
  onLeft: LeftListener = () => undefined,
): Promise<FateOf> {
  const next = layoutOf(job);
  const left = new Map<string, LeftStage>();
  for (const kept of (await keptJobLayouts(redis, nameOf(job))).values()) {
    const layout = readLayout(kept);
    if (layout === null) continue;
    const digests = layout.stages?.map(({ digest }) => digest) ?? [layout.digest];
    for (const [stage, digest] of digests.entries()) left.set(digest, { layout, stage });
  }
  const known = new Map<JobLayout, readonly LeftFate[]>();
  return (digest) => {
    const found = left.get(digest);
    if (found === undefined) return 'refuse';
    const { layout, stage } = found;
    let fates = known.get(layout);
    if (fates === undefined) {
      const diff = diffOnCluster(layout, next);
      fates = diff.outcome === 'refused' ? [] : diffStages(layout, next, diff).fates;
      known.set(layout, fates);
      if (diff.outcome !== 'same') onLeft(diff.outcome === 'refused' ? 'refuse' : 'serve', diff);
    }
    return fates[stage] ?? 'refuse';
  };
}

/** A stage of a former version of a job, by its place among the others. */
interface LeftStage {
  readonly layout: JobLayout;
  readonly stage: number;
}

/**
 * The same for a worker, which keeps what its own job's state is, and says what it finds.
 *
 * @throws {SluiceError} `JOB_CHANGED` where the job is the same but for what its exchanges hold, such as the order of their columns.
 */
export async function adoptOnCluster(redis: RedisClient, job: CheckedJob, logger: Logger): Promise<FateOf> {
  const next = layoutOf(job);
  const same = readLayout((await keptJobLayouts(redis, nameOf(job))).get(job.digest));
  if (same?.stages !== undefined) checkSameStages(job, same, next);
  await keepJobLayout(redis, nameOf(job), job.digest, next);
  return fatesOfLeft(redis, job, (fate, { operators, refusals }) => {
    if (fate === 'refuse') {
      const reasons = refusals.join('; ');
      logger.error(`job ${job.name} was changed, and cannot go on with the state that it has`, { reasons });
      return;
    }
    const fates = Object.fromEntries(operators.map((each) => [each.operator, `${each.fate}: ${each.words}`]));
    logger.info(`job ${job.name} was changed, and goes on with the state that it would have`, fates);
  });
}

/** What an exchange's messages hold is not all in the digest: fields may be declared in another order. */
function checkSameStages(job: CheckedJob, old: JobLayout, next: JobLayout): void {
  const { refusals } = diffStages(old, next, diffLayouts(old, next));
  if (refusals.length === 0) return;
  throw new SluiceError('JOB_CHANGED', `job ${job.name} must be as it was; ${refusals.join('; ')}`, {
    fields: { job: job.name },
  });
}

function nameOf({ app, name }: CheckedJob): string {
  return `${app}.${name}`;
}

/**
 * A task's state in Redis that counts as lost where a former version of the job has left what this one must rebuild: the task's commit log then replays the log from where the task began, in silence,
 * as it does after Redis has lost everything. The log is looked at first, so that a change that cannot be made leaves the state as it was.
 */
export class ChangedTaskState extends RedisTaskState {
  readonly #redis: RedisClient;
  readonly #taskOptions: RedisTaskStateOptions;
  readonly #fateOf: FateOf;
  readonly #source: Source;

  constructor(redis: RedisClient, options: RedisTaskStateOptions, fateOf: FateOf, source: Source) {
    super(redis, options);
    this.#redis = redis;
    this.#taskOptions = options;
    this.#fateOf = fateOf;
    this.#source = source;
  }

  override async claim(minEpoch: number): Promise<TaskClaim> {
    const claim = await super.claim(minEpoch);
    if (claim.metadata === null) return claim;
    const { task, owner } = this.#taskOptions;
    const { metadata, origin } = readNote(claim.metadata, `the state of task ${task}`);
    if (this.#fateOf(metadata.jobDigest) !== 'rebuild') return claim;
    const [range] = await this.#source.ranges();
    if (range === undefined || range.startOffset > origin) throw truncated(task, origin, range?.startOffset ?? 0);
    await clearTaskState(this.#redis, task, owner, claim.epoch);
    return super.claim(minEpoch);
  }
}

function truncated(task: string, origin: number, startOffset: number): SluiceError {
  return new SluiceError(
    'LOG_TRUNCATED',
    `the log must reach back to offset ${origin}, where task ${task} began, to rebuild the state that the changed job needs; it begins at ${startOffset}. ` +
      'The state is as it was: run the job as it was, or the changed one under another name',
    { fields: { task, origin, startOffset } },
  );
}
