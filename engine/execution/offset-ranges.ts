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
