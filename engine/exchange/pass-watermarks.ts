import { map, type OperatorFunction } from 'rxjs';
import { numberColumn } from '../record/column.ts';
import { withColumns, type RecordBatch } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';
import type { PartitionWatermarks } from '../time/partition-watermarks.ts';
import { passengers } from './exchange-format.ts';

/** The schema of what {@link PassedWatermark.note} gives. */
export function passedSchema(schema: Schema): Schema {
  return schema.with({ name: passengers.passed, type: 'double', presence: 'required' });
}

/**
 * What all writers to a task have passed: the watermark that the task itself has, never moving back, which a stage that reads its records is to know. For a task that reads one exchange and writes another;
 * built anew for each acquisition.
 */
export class PassedWatermark {
  readonly #watermarks: PartitionWatermarks;
  readonly #idle: 'left out' | 'waited for';
  #passedMs: number;

  /**
   * @param watermarks as of where the section starts, with the task's rule; its own from then on.
   * @param idle whether writers that are idle are left out, as whatever waits behind leaves them out, or hold it back, as they hold back what rolling features forget.
   */
  constructor(watermarks: PartitionWatermarks, idle: 'left out' | 'waited for') {
    this.#watermarks = watermarks;
    this.#idle = idle;
    this.#passedMs = watermarks.minimumMs();
  }

  /** As of the end of the last batch that was noted. */
  get ms(): number {
    return this.#passedMs;
  }

  /** Notes it at each record. Stands first in the section. */
  note(schema: Schema): OperatorFunction<RecordBatch, RecordBatch> {
    const output = passedSchema(schema);
    return map((batch) => {
      const passed = new Float64Array(batch.rowCount);
      if (this.#idle === 'left out') this.#leave(batch);
      for (let row = 0; row < batch.rowCount; row++) {
        const writer = batch.partitions[row] ?? 0;
        const watermarkMs = batch.watermarksMs[row] ?? -Infinity;
        const hasMoved = watermarkMs > this.#watermarks.of(writer);
        this.#watermarks.hear(writer);
        this.#watermarks.advance(writer, watermarkMs);
        if (hasMoved) this.#move();
        passed[row] = this.#passedMs;
      }
      return withColumns(batch, output, [numberColumn(passed)]);
    });
  }

  #leave({ idle = [] }: RecordBatch): void {
    for (const { partition, watermarkMs } of idle) {
      this.#watermarks.leave(partition, watermarkMs);
      this.#move();
    }
  }

  /** What was passed is passed, though one that was left out may come back behind it. */
  #move(): void {
    this.#passedMs = Math.max(this.#passedMs, this.#watermarks.minimumMs());
  }
}
