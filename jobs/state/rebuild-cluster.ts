import type { Logger } from '../../engine/observability/logger.ts';
import type { CheckedJob } from '../checked-job.ts';
import { openClusterRun } from '../runtime/run-cluster.ts';
import type { ClusterStore } from './cluster-stages.ts';

/** What a rebuild on a cluster works with. */
export interface RebuildProfile extends ClusterStore {
  /** The model registry's directory: whoever takes a task is a worker of the job in every respect. */
  readonly modelsDirectory: string;
  readonly logger: Logger;
}

/**
 * Computes the state of all tasks of a job anew from its topics, up to where each is committed, and leaves it in Redis. It joins the job's consumer groups as a worker would, which fences former owners; each task's
 * state is cleared by its owner and replayed in silence, as after a Redis that has lost everything. One that dies on the way leaves the rest to whoever has the task next: a worker, or another
 * rebuild. Nothing is emitted.
 *
 * @returns how many records were replayed.
 * @throws {SluiceError} `LOG_TRUNCATED` where a topic does not reach back to where a task began, whose state is as it was then; `JOB_RUNNING` where other workers keep partitions; what a worker throws.
 */
export async function rebuildCluster(job: CheckedJob, profile: RebuildProfile, signal: AbortSignal): Promise<number> {
  await using run = await openClusterRun(job, profile, signal);
  await run.run('rebuild', signal);
  return run.figures.replayed;
}
