import { createHash } from 'node:crypto';
import { SluiceError } from '../../engine/error.ts';
import type { KeptRow } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import { readStoredJob } from '../../engine/storage/stored-job.ts';
import { keyParts } from '../../operators/key/decode-key.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { JobOperator } from './job-operators.ts';
import { keptRows, type StateView } from './state-view.ts';
import { openStoredState, viewFromLog, type StoredState } from './stored-state.ts';

/** A running job flushes while its state is read; it is read again then. */
const mostReadings = 20;

/** A key whose stored state is not what the log says. */
export interface Drift {
  readonly operator: string;
  /** The key's fields, as text; empty for what an operator remembers of itself. */
  readonly key: readonly string[];
  /** What differs, in words. */
  readonly words: string;
}

/** What a verification found. */
export interface Verified {
  /** How many keys were compared. */
  readonly keys: number;
  readonly drifts: readonly Drift[];
  readonly replayedRecords: number;
}

/** The rows of the sampled keys: by operator and key, each as text. */
type Sample = ReadonlyMap<string, SampledKey>;

interface SampledKey {
  readonly operator: string;
  readonly key: readonly string[];
  readonly rows: string[];
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
  const drifts: Drift[] = [];
  for (const name of new Set([...expected.keys(), ...stored.keys()])) {
    const words = differenceOf(expected.get(name), stored.get(name));
    const { operator, key } = expected.get(name) ?? stored.get(name) ?? { operator: '', key: [] };
    if (words !== null) drifts.push({ operator, key, words });
  }
  const keys = new Set([...expected.keys(), ...stored.keys()]).size;
  return { keys, drifts, replayedRecords: recomputed.replayed.replayedRecords };
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

async function sampleOf(view: StateView, share: number): Promise<Sample> {
  const sample = new Map<string, SampledKey>();
  for (const operator of view.operators) {
    for await (const row of keptRows(view, operator, null, damaged)) {
      if (!isSampled(row, share)) continue;
      const name = `${operator.describer.operatorId} ${row.key === null ? '' : Buffer.from(row.key).toString('hex')}`;
      let sampled = sample.get(name);
      if (sampled === undefined) sample.set(name, (sampled = emptyOf(operator, row)));
      sampled.rows.push(JSON.stringify([row.eventTimeMs, row.values]));
    }
  }
  return sample;
}

/** Bytes that cannot be read are as good as another row. */
function damaged({ key }: StateEntry, { message }: SluiceError): KeptRow {
  return { key, eventTimeMs: null, values: { damaged: message } };
}

function emptyOf({ describer }: JobOperator, { key }: KeptRow): SampledKey {
  return { operator: describer.operatorId, key: key === null ? [] : keyParts(key), rows: [] };
}

/** By the key's hash; what an operator remembers of itself always is. */
function isSampled({ key }: KeptRow, share: number): boolean {
  if (key === null || share >= 1) return true;
  return createHash('sha256').update(key).digest().readUInt32BE(0) < share * 2 ** 32;
}

function differenceOf(expected: SampledKey | undefined, stored: SampledKey | undefined): string | null {
  if (expected === undefined) return `is stored with ${counted(stored)}, and the log says that there is nothing`;
  if (stored === undefined) return `is not stored, and the log says that there are ${counted(expected)}`;
  if (expected.rows.length !== stored.rows.length) {
    return `is stored with ${counted(stored)}, and the log says ${counted(expected)}`;
  }
  const at = expected.rows.findIndex((row, index) => row !== stored.rows[index]);
  if (at < 0) return null;
  return `row ${at + 1} of ${expected.rows.length} is stored as ${stored.rows[at] ?? ''}, and the log says ${expected.rows[at] ?? ''}`;
}

function counted(sampled: SampledKey | undefined): string {
  const count = sampled?.rows.length ?? 0;
  return `${count} row${count === 1 ? '' : 's'}`;
}
