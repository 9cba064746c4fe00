import { StateSwap } from '../../engine/storage/state-swap.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import type { CheckedJob } from '../checked-job.ts';
import { jobOperators } from './job-operators.ts';
import { replayState } from './replay-state.ts';
import { openJobLog, planFromLog, storedJob } from './stored-state.ts';

/** What a rebuild has done. */
export interface Rebuilt {
  readonly replayedRecords: number;
  readonly keys: number;
}

/**
 * Computes all of a job's state anew from the log, up to where the job is committed, and puts it in the place of what is stored, at once: whoever dies on the way leaves the state as it
 * was. Nothing is emitted, and the job goes on where it stood.
 *
 * @throws {SluiceError} `DIRECTORY_IN_USE` while the job runs; `LOG_TRUNCATED`, `STATE_NONE`, `JOB_CHANGED`.
 */
export async function rebuildState(job: CheckedJob, storage: Storage, directory: string): Promise<Rebuilt> {
  const claim = await storage.claims.take(`job ${job.name}`);
  try {
    const stored = storedJob(job, storage);
    const log = await openJobLog(job, storage, directory);
    try {
      const plan = await planFromLog(job, log, stored, 'committed');
      const { writes, replayedRecords } = await replayState(job, log, plan);
      const swap = StateSwap.begin(storage, job.name, claim);
      for (const { describer } of jobOperators(job)) swap.stage(describer.operatorId);
      swap.put(writes);
      const { committed, metadata } = stored.row;
      const row = { committed, metadata, stateAt: committed, stateMetadata: metadata };
      swap.activate({ row, replaces: 'all', order: 'follows' });
      return { replayedRecords, keys: writes.length };
    } finally {
      await log.source[Symbol.asyncDispose]();
    }
  } finally {
    storage.claims.release(claim);
  }
}
