import type { RecordBatch } from '../record/record-batch.ts';

/** A partition and its watermark: what commit metadata keep, so that a restart goes on with the same ones. */
export interface PartitionWatermark {
  readonly partition: number;
  readonly watermarkMs: number;
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
}

/**
 * The watermark of each partition, `W_p = max(event time seen in p) − delay`, never moving back (semantics, "Watermark"), and their minimum.
 *
 * `assign` stamps records with it, one by one, in arrival order; `observe` follows stamps that somebody else made. Without a {@link HoldRule} a partition
 * counts from its first record on; before it, there is nothing that it could hold back.
 */
export class PartitionWatermarks {
  readonly #byPartition: Map<number, number>;
  readonly #hold: HoldRule | null;

  /** @param hold for a task that reads what others have written; `null` where partitions are read directly. */
  constructor(start: readonly PartitionWatermark[] = [], hold: HoldRule | null = null) {
    this.#byPartition = new Map(start.map(({ partition, watermarkMs }) => [partition, watermarkMs]));
    this.#hold = hold;
  }

  /**
   * What every partition has passed, never moving back with a rule; without one, the lowest watermark of all partitions that have had a record. `-Infinity` when
   * none has.
   */
  minimumMs(hold: HoldRule | null = this.#hold): number {
    let minimum = Infinity;
    let maximum = -Infinity;
    for (const watermarkMs of this.#byPartition.values()) {
      minimum = Math.min(minimum, watermarkMs);
      maximum = Math.max(maximum, watermarkMs);
    }
    if (hold === null) return minimum === Infinity ? -Infinity : minimum;
    const allMs = this.#byPartition.size < hold.writers ? -Infinity : minimum;
    return Math.max(allMs, maximum - hold.maxLagMs);
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
    return [...this.#byPartition]
      .map(([partition, watermarkMs]) => ({ partition, watermarkMs }))
      .sort((a, b) => a.partition - b.partition);
  }

  /** An independent copy. */
  copy(): PartitionWatermarks {
    return new PartitionWatermarks(this.entries(), this.#hold);
  }
}
