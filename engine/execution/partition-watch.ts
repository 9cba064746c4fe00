import type { PartitionOffset, PartitionRange } from '../source/source.ts';
import { nonePaused, pausedPartitions, type AlignmentRule, type Paused } from '../time/alignment.ts';
import type { Clock } from '../time/clock.ts';
import { IdlePartitions, type IdleRule } from '../time/idle-partitions.ts';
import type { PartitionWatermarks } from '../time/partition-watermarks.ts';
import type { OffsetRange } from './commit-log.ts';

/** Where a running query stands, as the batch loop moves it on. */
export interface ReadingPositions {
  readonly watermarks: PartitionWatermarks;
  /** The next offset of each partition. */
  readonly nextOffsets: ReadonlyMap<number, number>;
}

/** What a {@link PartitionWatch} goes by. */
export interface PartitionWatchOptions {
  readonly idle: IdleRule | undefined;
  readonly alignment: AlignmentRule | undefined;
  readonly clock: Clock;
  readonly positions: ReadingPositions;
  /** What the source holds now; asked when a partition is quiet, and so seldom. */
  ranges(): Promise<readonly PartitionRange[]>;
  /** Where the source stands, as far as that is further than `positions` has it. */
  standsAt?(): readonly PartitionOffset[];
  /** What it held when the run began. */
  readonly held: readonly PartitionRange[];
  /** Whether the run ends with that. */
  readonly endsThere: boolean;
}

/**
 * Watches the partitions of a running query: which are idle, and which are too far ahead (ADR 0045). It decides by the clock and by how far the source goes; all that follows from it is recorded
 * with the batches, as the order of reading is, so that a replay decides nothing.
 *
 * Called by the batch loop alone: `heard` and `findIdle` for each batch, `paused` for each poll.
 */
export class PartitionWatch {
  readonly #options: PartitionWatchOptions;
  readonly #idle: IdlePartitions | null;
  /** Where partitions end that bring nothing more: files, and all of them for a run that ends by itself. */
  readonly #ends: ReadonlyMap<number, number>;
  /** Partitions that were never heard from, and had something when the run began: who knows how old it is. */
  readonly #unread: Set<number>;
  #paused: Paused = nonePaused;

  constructor(options: PartitionWatchOptions) {
    const { idle, clock, held, endsThere, positions } = options;
    this.#options = options;
    const partitions = held.map(({ partition }) => partition);
    this.#idle = idle === undefined ? null : new IdlePartitions(idle, partitions, clock.monotonicMs());
    const final = held.filter(({ isFinal }) => endsThere || isFinal === true);
    this.#ends = new Map(final.map(({ partition, endOffset }) => [partition, endOffset]));
    const unread = held.filter(({ partition, startOffset, endOffset }) => {
      const next = positions.nextOffsets.get(partition) ?? startOffset;
      return positions.watermarks.of(partition) === -Infinity && next < endOffset;
    });
    this.#unread = new Set(unread.map(({ partition }) => partition));
  }

  /** How many partitions are idle, and how many paused, now. */
  get counts(): { readonly idle: number; readonly paused: number } {
    return { idle: this.#idle?.count ?? 0, paused: this.#paused.size };
  }

  /** Says that a batch has brought something of these partitions. */
  heard(ranges: readonly OffsetRange[]): void {
    if (this.#unread.size > 0) for (const { partition } of ranges) this.#unread.delete(partition);
    if (this.#idle === null) return;
    const nowMs = this.#options.clock.monotonicMs();
    for (const { partition } of ranges) this.#idle.heard(partition, nowMs);
  }

  /**
   * The partitions that are idle from now on, as they are recorded. Those that are furthest ahead come first, so that operators may take them one by one: the least watermark then never passes one that leaves at
   * the same moment.
   *
   * @throws {SluiceError} what the source throws when it is asked how far it goes.
   */
  async findIdle(): Promise<readonly OffsetRange[]> {
    const { clock, positions } = this.#options;
    const { watermarks, nextOffsets } = positions;
    // However long the source takes to answer: a partition that has just been heard from is not idle for that.
    const nowMs = clock.monotonicMs();
    if (this.#idle === null || !this.#idle.isDue(nowMs)) return [];
    const ranges = await this.#options.ranges();
    const standing = new Map(this.#options.standsAt?.().map(({ partition, offset }) => [partition, offset]));
    const progress = ranges.map(({ partition, startOffset, endOffset }) => {
      const next = nextOffsets.get(partition) ?? startOffset;
      const isHeard = next > startOffset || watermarks.of(partition) > -Infinity;
      return { partition, isAtEnd: Math.max(next, standing.get(partition) ?? 0) >= endOffset, isHeard };
    });
    return this.#idle
      .find(progress, nowMs)
      .toSorted((a, b) => compare(watermarks.of(b.partition), watermarks.of(a.partition)) || a.partition - b.partition)
      .map(({ partition, idleForMs }) => {
        const at = nextOffsets.get(partition) ?? 0;
        return { partition, from: at, to: at, idleForMs };
      });
  }

  /** The partitions that the next poll is to leave alone. */
  paused(): Paused {
    const { alignment, positions } = this.#options;
    if (alignment === undefined) return nonePaused;
    this.#paused = pausedPartitions(positions.watermarks, alignment, {
      holdsBack: (partition) => this.#holdsBack(partition),
      unread: this.#unread,
    });
    return this.#paused;
  }

  #holdsBack(partition: number): boolean {
    if (this.#idle?.has(partition) === true) return false;
    return (this.#options.positions.nextOffsets.get(partition) ?? 0) < (this.#ends.get(partition) ?? Infinity);
  }
}

/** Watermarks in their order, those that never were first. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a - b;
}
