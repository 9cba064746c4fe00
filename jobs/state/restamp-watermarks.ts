import type { CommitMetadata } from '../../engine/execution/commit-log.ts';
import type { StoredJob } from '../../engine/storage/stored-job.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import type { JobLayout } from './job-layout.ts';

/**
 * What is stored of a job, with the watermarks that it would have had under the delay of `next`: a watermark is the greatest event time seen less the delay, so another delay moves all of
 * them by the difference. Called before a rebuild is planned for a changed job: the rows that tell where a replay may begin, and the position that the job goes on from, are then those of
 * the job as it is now, and so is what it calls late.
 */
export function restampWatermarks(stored: StoredJob, old: JobLayout, next: JobLayout): StoredJob {
  const shiftMs = delayOf(old) - delayOf(next);
  if (shiftMs === 0) return stored;
  const shifted = (marks: readonly PartitionWatermark[]): readonly PartitionWatermark[] =>
    marks.map(({ partition, watermarkMs }) => ({ partition, watermarkMs: watermarkMs + shiftMs }));
  const restamped = (of: CommitMetadata): CommitMetadata => ({ ...of, watermarksMs: shifted(of.watermarksMs) });
  const { row, order } = stored;
  return {
    ...stored,
    row: {
      ...row,
      metadata: restamped(row.metadata),
      stateMetadata: row.stateMetadata === null ? null : restamped(row.stateMetadata),
    },
    order: order.map((each) => ({
      ...each,
      watermarksMs: each.watermarksMs === null ? null : shifted(each.watermarksMs),
    })),
  };
}

/** Milliseconds; a job of several inputs may be changed in none of their delays. */
function delayOf({ rules }: JobLayout): number {
  return Number.parseFloat(rules['source.eventTime.delay'] ?? '0');
}
