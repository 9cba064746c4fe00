import type { DeadLetter } from '../record/dead-letter.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { OffsetRange } from './commit-log.ts';

/**
 * The offsets that a batch covers, as runs of one partition in the order in which they were read: what a replay follows. Each run begins where
 * the partition's last one ended, so that ranges join without a gap even where the log itself has holes (transaction markers).
 *
 * @param partitions of the batch's messages, in order; `offsets` likewise.
 * @param nextOffsets the position of each partition before the batch; moved behind it.
 */
export function takeRanges(
  partitions: Int32Array,
  offsets: Float64Array,
  nextOffsets: Map<number, number>,
): readonly OffsetRange[] {
  const ranges: OffsetRange[] = [];
  for (let i = 0; i < partitions.length; i++) {
    const partition = partitions[i] ?? 0;
    if (i + 1 < partitions.length && partitions[i + 1] === partition) continue;
    const to = (offsets[i] ?? 0) + 1;
    ranges.push({ partition, from: nextOffsets.get(partition) ?? 0, to });
    nextOffsets.set(partition, to);
  }
  return ranges;
}

/** The positions of a batch of records, dead letters included, in offset order: a source of records has one partition a poll. */
export function positionsOf(
  records: RecordBatch,
  deadLetters: readonly DeadLetter[],
): { partitions: Int32Array; offsets: Float64Array } {
  const partition = records.rowCount > 0 ? (records.partitions[0] ?? 0) : (deadLetters[0]?.partition ?? 0);
  const last = Math.max(records.offsets[records.rowCount - 1] ?? -1, deadLetters.at(-1)?.offset ?? -1);
  return last < 0
    ? { partitions: new Int32Array(0), offsets: new Float64Array(0) }
    : { partitions: Int32Array.of(partition), offsets: Float64Array.of(last) };
}
