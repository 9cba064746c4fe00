import type { RecordBatch } from '../record/record-batch.ts';

/** A partition and its watermark: what commit metadata keep, so that a restart goes on with the same ones. */
export interface PartitionWatermark {
  readonly partition: number;
  readonly watermarkMs: number;
}

/**
 * The watermark of each partition, `W_p = max(event time seen in p) − delay`, never moving back (semantics, "Watermark"), and their minimum.
 *
 * `assign` stamps records with it, one by one, in arrival order; `observe` follows stamps that somebody else made. A partition counts
 * from its first record on; before it, there is nothing that it could hold back.
 */
export class PartitionWatermarks {
  readonly #byPartition: Map<number, number>;

  constructor(start: readonly PartitionWatermark[] = []) {
    this.#byPartition = new Map(start.map(({ partition, watermarkMs }) => [partition, watermarkMs]));
  }

  /** The lowest watermark of all partitions that have had a record; `-Infinity` when none has. */
  minimumMs(): number {
    let minimum = Infinity;
    for (const watermarkMs of this.#byPartition.values()) minimum = Math.min(minimum, watermarkMs);
    return minimum === Infinity ? -Infinity : minimum;
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
    return new PartitionWatermarks(this.entries());
  }
}
