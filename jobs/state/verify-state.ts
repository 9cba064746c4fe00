import { SluiceError } from '../../engine/error.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import { readStoredJob } from '../../engine/storage/stored-job.ts';
import type { CheckedJob } from '../checked-job.ts';
import { countKeys, driftsOf, sampleOf, type Drift, type Sample } from './state-sample.ts';
import { openStoredState, viewFromLog, type StoredState } from './stored-state.ts';

/** A running job flushes while its state is read; it is read again then. */
const mostReadings = 20;

/** What a verification found. */
export interface Verified {
  /** How many keys were compared. */
  readonly keys: number;
  readonly drifts: readonly Drift[];
  readonly replayedRecords: number;
}

/**
 * Computes the state of a sample of keys anew from the log, and compares it with what is stored, as of the last flush. Which keys are in the sample is told by their hash, so the
 * same share takes the same keys each time. May be called while the job runs.
 *
 * @param share of the keys: above 0, at most 1.
 * @throws {SluiceError} `LOG_TRUNCATED`; `STATE_NONE`, `JOB_CHANGED`; `STATE_BUSY` where the job flushes too often for its state to be read.
 */
export async function verifyState(
  job: CheckedJob,
  storage: Storage,
  directory: string,
  share: number,
): Promise<Verified> {
  const { view, sample: stored } = await readSample(job, storage, share);
  const recomputed = await viewFromLog(job, storage, directory, view.stored, 'state');
  // Rows that the watermark has passed are in one of them, or not: what is compared is what a record can see, by the stored state's own watermarks.
  const expected = await sampleOf({ ...recomputed, watermarksMs: view.watermarksMs }, share);
  const drifts = driftsOf(expected, stored);
  return { keys: countKeys(expected, stored), drifts, replayedRecords: recomputed.replayed.replayedRecords };
}

/** Reads until no flush came in between, so that what was read is of one moment. */
async function readSample(
  job: CheckedJob,
  storage: Storage,
  share: number,
): Promise<{ readonly view: StoredState; readonly sample: Sample }> {
  for (let reading = 0; reading < mostReadings; reading++) {
    const view = openStoredState(job, storage);
    const sample = await sampleOf(view, share);
    const after = readStoredJob(storage, job.name);
    if (JSON.stringify(after?.row.stateAt) === JSON.stringify(view.stored.row.stateAt)) return { view, sample };
  }
  throw new SluiceError(
    'STATE_BUSY',
    `could not read the state of job ${job.name} as of one moment: it was flushed in between ${mostReadings} times; take a smaller sample, or stop the job`,
    { retryable: 'transient', fields: { job: job.name } },
  );
}
