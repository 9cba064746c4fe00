import { SluiceError } from '../../engine/error.ts';
import type { OffsetRange } from '../../engine/execution/commit-log.ts';
import type { PartitionOffset, PartitionRange } from '../../engine/source/source.ts';
import type { OrderRow } from '../../engine/storage/read-order.ts';
import type { StoredJob } from '../../engine/storage/stored-job.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';

/** A stretch of the log that a job has read, from where nothing before it matters, to where its state is asked for. */
export interface ReplayPlan {
  readonly from: readonly PartitionOffset[];
  /** As they stood there; `null` where the job began there. */
  readonly watermarksMs: readonly PartitionWatermark[] | null;
  readonly ranges: readonly OffsetRange[];
}

/** What decides where a replay may begin. */
export interface ReplayNeeds {
  readonly job: string;
  /** How far behind the watermark the records lie that the state depends on; `null`: all of them. */
  readonly reachMs: number | null;
  /** How far the watermark lies behind the newest record. */
  readonly delayMs: number;
  /** What the log holds now. */
  readonly log: readonly PartitionRange[];
}

/** Where a replay ends: where the state stands, where the job is committed, or just before one record. */
export type ReplayEnd = 'state' | 'committed' | PartitionOffset;

/**
 * Finds the shortest stretch of a job's input that its state at a position can be computed from, exactly. The order of what was read is kept in rows, each with the watermarks
 * that stood before it; a replay may begin with a row when everything before it is so old that the state cannot depend on it, and with the first in any case.
 *
 * @throws {SluiceError} `LOG_TRUNCATED` when the log does not reach back so far; `POSITION_UNKNOWN` for a position that the job has not read, or that is no longer on record.
 */
export function planReplay({ row, order, replay }: StoredJob, end: ReplayEnd, needs: ReplayNeeds): ReplayPlan {
  const all: readonly OrderRow[] =
    end === 'state' || replay.length === 0
      ? order
      : [...order, { number: -1, watermarksMs: row.stateMetadata?.watermarksMs ?? null, ranges: replay }];
  const rows = typeof end === 'string' ? all : cutBefore(all, end, row.committed, needs.job);
  if (rows.length === 0) {
    if (row.stateMetadata !== null) throw unrecorded(needs.job);
    return { from: [], watermarksMs: null, ranges: [] };
  }
  const lastWatermarks = end === 'state' ? row.stateMetadata?.watermarksMs : rows.at(-1)?.watermarksMs;
  const neededFromMs = lowest(lastWatermarks ?? []) - (needs.reachMs ?? Infinity);
  for (let first = rows.length - 1; first >= 0; first--) {
    const watermarksMs = rows[first]?.watermarksMs ?? null;
    const isOldEnough = watermarksMs === null || highest(watermarksMs) + needs.delayMs <= neededFromMs;
    if (!isOldEnough) continue;
    const ranges = rows.slice(first).flatMap((at) => at.ranges);
    const from = beginnings(ranges);
    const gone = from.find(({ partition, offset }) => offset < startOf(needs.log, partition));
    if (gone !== undefined) throw truncated(needs, gone);
    return { from, watermarksMs, ranges };
  }
  throw new SluiceError(
    'LOG_TRUNCATED',
    `the record of what job ${needs.job} has read must reach back to where its state begins; it begins at ${places(beginnings(rows[0]?.ranges ?? []))}, ` +
      'and what was read before may matter still. Older input is not in the log any more: state from before it cannot be computed anew',
    { fields: { job: needs.job } },
  );
}

/** What was read before a record of a partition was: the rows that lie before it, the last one cut. */
function cutBefore(
  rows: readonly OrderRow[],
  { partition, offset }: PartitionOffset,
  committed: readonly PartitionOffset[],
  job: string,
): readonly OrderRow[] {
  const kept: OrderRow[] = [];
  for (const row of rows) {
    const ranges: OffsetRange[] = [];
    for (const range of row.ranges) {
      if (range.partition !== partition || range.to < offset) {
        ranges.push(range);
        continue;
      }
      if (range.from > offset) throw unknownPosition(job, partition, offset, `its record begins at ${range.from}`);
      ranges.push({ ...range, to: offset });
      return [...kept, { ...row, ranges }];
    }
    kept.push({ ...row, ranges });
  }
  const at = committed.find((candidate) => candidate.partition === partition)?.offset;
  throw unknownPosition(job, partition, offset, at === undefined ? 'it has read nothing there' : `it stands at ${at}`);
}

function beginnings(ranges: readonly OffsetRange[]): readonly PartitionOffset[] {
  const from = new Map<number, number>();
  for (const range of ranges) if (!from.has(range.partition)) from.set(range.partition, range.from);
  return [...from].map(([partition, offset]) => ({ partition, offset }));
}

function startOf(log: readonly PartitionRange[], partition: number): number {
  return log.find((range) => range.partition === partition)?.startOffset ?? Infinity;
}

function lowest(watermarks: readonly PartitionWatermark[]): number {
  return watermarks.length === 0 ? -Infinity : Math.min(...watermarks.map(({ watermarkMs }) => watermarkMs));
}

function highest(watermarks: readonly PartitionWatermark[]): number {
  return Math.max(-Infinity, ...watermarks.map(({ watermarkMs }) => watermarkMs));
}

/** Positions in words, for people. */
function places(offsets: readonly PartitionOffset[]): string {
  return offsets.map(({ partition, offset }) => `offset ${offset} of partition ${partition}`).join(', ') || 'nothing';
}

function unrecorded(job: string): SluiceError {
  return new SluiceError(
    'LOG_TRUNCATED',
    `it must be on record in which order job ${job} has read its input; it is not: its state was restored from a savepoint that does not say, or is of an older Sluice. ` +
      'What it reads from now on is recorded, and state can be computed anew once nothing from before matters any more',
    { fields: { job } },
  );
}

function unknownPosition(job: string, partition: number, offset: number, found: string): SluiceError {
  return new SluiceError(
    'POSITION_UNKNOWN',
    `job ${job} must have read partition ${partition} up to offset ${offset}; ${found}`,
    { fields: { job, partition, offset } },
  );
}

function truncated({ job, log }: ReplayNeeds, { partition, offset }: PartitionOffset): SluiceError {
  const range = log.find((candidate) => candidate.partition === partition);
  const has = range === undefined ? 'no such partition' : `offsets ${range.startOffset} to ${range.endOffset}`;
  return new SluiceError(
    'LOG_TRUNCATED',
    `the log must reach back to offset ${offset} of partition ${partition}, which the state of job ${job} depends on; it holds ${has}. ` +
      'Retention has deleted the rest: this state cannot be computed anew. Keep input for longer than the longest window, and its allowed lateness',
    { fields: { job, partition, offset } },
  );
}
