import { SluiceError } from '../../engine/error.ts';
import type { PartitionOffset } from '../../engine/source/source.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import { readStoredJob } from '../../engine/storage/stored-job.ts';
import { formatDuration } from '../../engine/time/duration.ts';
import type { CheckedJob } from '../checked-job.ts';
import { diffLayouts, type LayoutDiff } from './diff-layouts.ts';
import { diffOnCluster } from './diff-stages.ts';
import { layoutOf } from './job-layout.ts';
import { restampWatermarks } from './restamp-watermarks.ts';
import { openJobLog, planFromLog } from './stored-state.ts';

/** What becomes of a job's state, and from where in the log it is computed. */
export interface JobChange extends LayoutDiff {
  /** Where a rebuild begins; empty where nothing is rebuilt, or no data directory was looked into. */
  readonly from: readonly PartitionOffset[];
  /** The outcome in a sentence. */
  readonly words: string;
}

/** Where the job has run. */
export interface RanOn {
  readonly storage: Storage;
  readonly directory: string;
}

/**
 * Says what becomes of a job's state when it is run as `next`, as a start of the changed job will do it.
 *
 * @param ranOn tells from which offsets on a rebuild reads, and whether the log still has them; `null` where it is not to be looked at.
 */
export async function planJobChange(old: CheckedJob, next: CheckedJob, ranOn: RanOn | null): Promise<JobChange> {
  const [oldLayout, nextLayout] = [layoutOf(old), layoutOf(next)];
  const diff = diffLayouts(oldLayout, nextLayout);
  if (diff.outcome !== 'rebuilt') return { ...diff, from: [], words: outcomes[diff.outcome] };
  const rebuilt = diff.operators.filter(({ fate }) => fate === 'rebuilt');
  const reaches = rebuilt.map(({ reachMs }) => reachMs);
  const reach = reaches.some((ms) => ms === null || ms === Infinity)
    ? 'all input since the job began'
    : `the input of the last ${formatDuration(Math.max(0, ...reaches.map((ms) => ms ?? 0)))} before the watermark`;
  const words = `The job goes on after a rebuild, which needs ${reach} in the log.`;
  const stored = ranOn === null ? null : readStoredJob(ranOn.storage, next.name);
  if (ranOn === null || stored === null) return { ...diff, from: [], words };
  const log = await openJobLog(next, ranOn.storage, ranOn.directory);
  try {
    const operators = new Set(rebuilt.map(({ operator }) => operator));
    const { from } = await planFromLog(next, log, restampWatermarks(stored, oldLayout, nextLayout), 'state', operators);
    return { ...diff, from, words: `${words} The log has it:` };
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'LOG_TRUNCATED') throw error;
    return { ...diff, outcome: 'refused', refusals: [error.message], from: [], words: outcomes.refused };
  } finally {
    await log.source[Symbol.asyncDispose]();
  }
}

/** The same for a cluster, where nothing is looked into: what a start of the changed job will do there, stage by stage. */
export function planClusterChange(old: CheckedJob, next: CheckedJob): JobChange {
  const diff = diffOnCluster(layoutOf(old), layoutOf(next));
  if (diff.outcome !== 'rebuilt') return { ...diff, from: [], words: outcomes[diff.outcome] };
  const words = 'The job goes on after a rebuild, which needs what each task has read since it began in the log.';
  return { ...diff, from: [], words };
}

const outcomes = {
  same: 'Nothing that decides state or features has changed: the job goes on.',
  kept: 'The job goes on with its state.',
  refused: 'The changed job does not start on this state.',
} as const;
