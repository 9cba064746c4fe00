import type { PartitionWatermarks } from './partition-watermarks.ts';

/**
 * How far ahead of the others the partitions of each input may be, their numbers in turn as `InputsRule` has it: with a number, that many milliseconds; `free`: as far as they like, though others wait for
 * them; `apart`: neither waits for the other, as with tables.
 */
export interface AlignmentRule {
  readonly inputs: readonly (number | 'free' | 'apart')[];
}

/** The partitions that nothing is to be read of for now. */
export type Paused = ReadonlySet<number>;

/** What others wait for. */
export interface HoldingBack {
  /** Whether a partition that has had a record counts. */
  holdsBack(partition: number): boolean;
  /** Partitions that have something, of which nothing was read. */
  readonly unread: ReadonlySet<number>;
}

/** Nothing waits. */
export const nonePaused: Paused = new Set();

/**
 * The partitions that are further ahead of the least watermark than their input's rule allows (semantics, "Alignment"): they are paused until the others have caught up, so that a backlog that is read
 * unevenly holds no more state than one that is read evenly. Called before each poll, of jobs that have such a rule; costs a pass over the partitions.
 *
 * A partition holds the others back from its first record on, or from the beginning where it has something that was not read yet, and only while it may bring more: not while it is idle, nor behind its
 * end. The one that is furthest behind is never paused, so there is always one that goes on, or becomes idle.
 */
export function pausedPartitions(
  watermarks: PartitionWatermarks,
  { inputs }: AlignmentRule,
  holding: HoldingBack,
): Paused {
  const of = (partition: number): number | 'free' | 'apart' => inputs[partition % inputs.length] ?? 'free';
  const aligned = watermarks
    .entries()
    .filter(({ partition, watermarkMs }) => of(partition) !== 'apart' && watermarkMs > -Infinity);
  let leastMs = [...holding.unread].some((partition) => of(partition) !== 'apart') ? -Infinity : Infinity;
  for (const { partition, watermarkMs } of aligned) {
    if (watermarkMs < leastMs && holding.holdsBack(partition)) leastMs = watermarkMs;
  }
  const paused = aligned.filter(({ partition, watermarkMs }) => {
    const maxDriftMs = of(partition);
    return typeof maxDriftMs === 'number' && watermarkMs > leastMs + maxDriftMs;
  });
  return paused.length === 0 ? nonePaused : new Set(paused.map(({ partition }) => partition));
}
