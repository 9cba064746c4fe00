import type { RecordBatch } from '../record/record-batch.ts';

/** A partition and its watermark: what commit metadata keep, so that a restart goes on with the same ones. */
export interface PartitionWatermark {
  readonly partition: number;
  readonly watermarkMs: number;
  /** Of a partition that is idle, and so does not count for the least: the how manieth it was to leave, counted from 0; absent for one that is not. */
  readonly leftAs?: number;
}

/**
 * When rows behind the watermark may be let go where a task reads what several others have written, each with a watermark of its own: not before all of them
 * have passed, heard from or not; but one that is further behind than `maxLagMs` no longer holds the others back, so that a writer without records
 * costs a bounded amount of state. Both are told by the records alone, never by a clock (ADR 0031).
 */
export interface HoldRule {
  /** How many tasks write what is read. */
  readonly writers: number;
  readonly maxLagMs: number;
  /** `unbounded`: a writer holds the others back from its first record on, however far it is behind, since what closes behind it is not opened again; the bound is for those not heard from. */
  readonly heard?: 'unbounded';
}

/**
 * The watermark of each partition, `W_p = max(event time seen in p) − delay`, never moving back (semantics, "Watermark"), and their minimum.
 *
 * `stampWatermarks` stamps records with it, one by one, in arrival order; `observe` follows stamps that somebody else made. Without a {@link HoldRule} a partition
 * counts from its first record on; before it, there is nothing that it could hold back. Operators whose answers wait for the minimum let idle partitions leave it (ADR 0045);
 * whoever only lets rows go behind it does not, since a partition that comes back may still ask for them.
 */
export class PartitionWatermarks {
  readonly #byPartition: Map<number, number>;
  readonly #idle: Set<number>;
  readonly #hold: HoldRule | null;

  /** @param hold for a task that reads what others have written; `null` where partitions are read directly. */
  constructor(start: readonly PartitionWatermark[] = [], hold: HoldRule | null = null) {
    this.#byPartition = new Map(start.map(({ partition, watermarkMs }) => [partition, watermarkMs]));
    this.#idle = new Set(inLeavingOrder(start).map(({ partition }) => partition));
    this.#hold = hold;
  }

  /**
   * What every partition has passed, never moving back with a rule; without one, the lowest watermark of all partitions that have had a record and are not idle. Where all of them are idle, it
   * is that of the one that left last: nobody was left that it could have given way to. `-Infinity` when none has had a record.
   */
  minimumMs(hold: HoldRule | null = this.#hold): number {
    let minimum = Infinity;
    let maximum = -Infinity;
    for (const watermarkMs of this.#byPartition.values()) {
      minimum = Math.min(minimum, watermarkMs);
      maximum = Math.max(maximum, watermarkMs);
    }
    if (this.#idle.size > 0) minimum = this.#minimumBesideIdleMs();
    if (hold === null) return minimum === Infinity ? -Infinity : minimum;
    const boundMs = maximum - hold.maxLagMs;
    if (this.#byPartition.size >= hold.writers)
      return hold.heard === 'unbounded' ? minimum : Math.max(minimum, boundMs);
    return hold.heard === 'unbounded' ? Math.min(minimum, boundMs) : boundMs;
  }

  /** Takes over what {@link PartitionWatermarks.entries} gave, as far as it is further than what is known. */
  restore(entries: readonly PartitionWatermark[]): void {
    for (const { partition, watermarkMs } of entries) this.advance(partition, watermarkMs);
    for (const { partition } of inLeavingOrder(entries)) this.#idle.add(partition);
  }

  /** Whether there are partitions, and all of them are idle; with a rule, all that it speaks of. */
  get isIdle(): boolean {
    const { size } = this.#byPartition;
    return this.#idle.size > 0 && this.#idle.size === size && size >= (this.#hold?.writers ?? 0);
  }

  #minimumBesideIdleMs(): number {
    let activeMs = Infinity;
    for (const [partition, watermarkMs] of this.#byPartition) {
      if (!this.#idle.has(partition)) activeMs = Math.min(activeMs, watermarkMs);
    }
    if (activeMs < Infinity) return activeMs;
    let lastMs = -Infinity;
    for (const partition of this.#idle) {
      // One that never had a record has nothing to say.
      const watermarkMs = this.of(partition);
      if (watermarkMs > -Infinity) lastMs = watermarkMs;
    }
    return lastMs;
  }

  /** The partition's watermark; `-Infinity` before its first record. */
  of(partition: number): number {
    return this.#byPartition.get(partition) ?? -Infinity;
  }

  /** Moves the partition's watermark up; a lower value changes nothing. */
  advance(partition: number, watermarkMs: number): void {
    if (watermarkMs > this.of(partition) || !this.#byPartition.has(partition))
      this.#byPartition.set(partition, watermarkMs);
  }

  /** Takes a partition out of the minimum until it is heard from; it may have had no record at all. Its watermark moves up to where the clock moves it; with one that has left already, that alone happens. */
  leave(partition: number, watermarkMs: number): void {
    this.advance(partition, watermarkMs);
    this.#idle.add(partition);
  }

  /** Says that the partition has brought a record: it counts for the minimum again. To be called before {@link PartitionWatermarks.advance} by whoever lets partitions leave. */
  hear(partition: number): void {
    if (this.#idle.size > 0) this.#idle.delete(partition);
  }

  /** Takes over the watermarks that the batch's rows were stamped with. */
  observe(batch: RecordBatch): void {
    // Watermarks of one partition never fall from row to row, so its last row in the batch tells all: usually a run of rows is of one partition.
    for (let row = 0; row < batch.rowCount; row++) {
      const partition = batch.partitions[row] ?? 0;
      if (row + 1 < batch.rowCount && batch.partitions[row + 1] === partition) continue;
      this.advance(partition, batch.watermarksMs[row] ?? -Infinity);
    }
  }

  /** All of them, by partition: what goes into commit metadata. */
  entries(): readonly PartitionWatermark[] {
    const leaving = [...this.#idle];
    return [...this.#byPartition]
      .map(([partition, watermarkMs]): PartitionWatermark => {
        return this.#idle.has(partition)
          ? { partition, watermarkMs, leftAs: leaving.indexOf(partition) }
          : { partition, watermarkMs };
      })
      .sort((a, b) => a.partition - b.partition);
  }

  /** An independent copy. */
  copy(): PartitionWatermarks {
    return new PartitionWatermarks(this.entries(), this.#hold);
  }
}

/** Those that are idle, in the order in which they left. */
export function inLeavingOrder(entries: readonly PartitionWatermark[]): readonly PartitionWatermark[] {
  const idle = entries.filter(({ leftAs }) => leftAs !== undefined);
  return idle.toSorted((a, b) => (a.leftAs ?? 0) - (b.leftAs ?? 0));
}
