import { SluiceError } from '../../engine/error.ts';
import type { CommitMetadata } from '../../engine/execution/commit-log.ts';
import type { Logger } from '../../engine/observability/logger.ts';
import { keepLayout, keptLayout } from '../../engine/storage/kept-layout.ts';
import { StateSwap } from '../../engine/storage/state-swap.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import { readStoredJob, type StoredJob } from '../../engine/storage/stored-job.ts';
import type { CheckedJob } from '../checked-job.ts';
import { diffLayouts, type LayoutDiff } from './diff-layouts.ts';
import { layoutOf, readLayout } from './job-layout.ts';
import { replayState } from './replay-state.ts';
import { restampWatermarks } from './restamp-watermarks.ts';
import { openJobLog, planFromLog } from './stored-state.ts';

/**
 * Makes the stored state of a job that of the job as it is now, before it is opened on the embedded profile: nothing where its digest is the state's; where the files were changed, what
 * `sluice plan --diff` says. State that must be made anew is computed from the log and put in place in the transaction that gives the job its new digest.
 *
 * @throws {SluiceError} `JOB_CHANGED` where the change is refused, with every reason; `LOG_TRUNCATED` where the log does not reach back far enough; `DIRECTORY_IN_USE`.
 */
export async function adoptState(job: CheckedJob, storage: Storage, directory: string, logger: Logger): Promise<void> {
  const next = layoutOf(job);
  const stored = readStoredJob(storage, job.name);
  const left = stored?.row.metadata.jobDigest ?? job.digest;
  const old = left === job.digest ? null : readLayout(keptLayout(storage, job.name, left));
  // What the layout was is not known of a state that an older Sluice wrote: the commit log refuses the job by its digest.
  if (stored !== null && old !== null) {
    const diff = diffLayouts(old, next);
    if (diff.outcome === 'refused') throw refused(job, diff);
    await change(job, storage, directory, diff, (at) => restampWatermarks(at, old, next));
    const fates = Object.fromEntries(
      diff.operators.map(({ operator, fate, words }) => [operator, `${fate}: ${words}`]),
    );
    logger.info(`job ${job.name} was changed, and goes on with the state that it would have`, fates);
  }
  keepLayout(storage, job.name, job.digest, next);
}

async function change(
  job: CheckedJob,
  storage: Storage,
  directory: string,
  diff: LayoutDiff,
  restamp: (stored: StoredJob) => StoredJob,
): Promise<void> {
  const claim = await storage.claims.take(`job ${job.name}`);
  try {
    const left = readStoredJob(storage, job.name);
    if (left === null || left.row.metadata.jobDigest === job.digest) return;
    const stored = restamp(left);
    const rebuilt = idsOf(diff, 'rebuilt');
    const writes = rebuilt.size === 0 ? [] : await computed(job, storage, directory, stored, rebuilt);
    const swap = StateSwap.begin(storage, job.name, claim);
    for (const operator of [...rebuilt, ...idsOf(diff, 'dropped')]) swap.stage(operator);
    swap.put(writes);
    const { metadata, stateMetadata } = stored.row;
    const now = (of: CommitMetadata): CommitMetadata => ({ ...of, jobDigest: job.digest });
    const row = {
      ...stored.row,
      metadata: now(metadata),
      stateMetadata: stateMetadata === null ? null : now(stateMetadata),
    };
    swap.activate({ row, replaces: 'staged', order: stored === left ? 'stays' : { restamped: stored.order } });
  } finally {
    storage.claims.release(claim);
  }
}

/** The state of some operators at the position where the others' stands: what was committed since is replayed by all of them, as after any start. */
async function computed(
  job: CheckedJob,
  storage: Storage,
  directory: string,
  stored: StoredJob,
  operators: ReadonlySet<string>,
) {
  const log = await openJobLog(job, storage, directory);
  try {
    const plan = await planFromLog(job, log, stored, 'state', operators);
    const { writes } = await replayState(job, log, plan);
    return writes.filter(({ operatorId }) => operators.has(operatorId));
  } finally {
    await log.source[Symbol.asyncDispose]();
  }
}

function idsOf({ operators }: LayoutDiff, wanted: 'rebuilt' | 'dropped'): ReadonlySet<string> {
  return new Set(operators.filter(({ fate }) => fate === wanted).map(({ operator }) => operator));
}

/** `JOB_CHANGED`, with every reason. */
function refused({ name }: CheckedJob, { refusals }: LayoutDiff): SluiceError {
  return new SluiceError(
    'JOB_CHANGED',
    `job ${name} must go on with the state that it has, and cannot: ${refusals.join('; ')}. \`sluice plan --diff OLD NEW\` says what becomes of each operator`,
    { fields: { job: name } },
  );
}
