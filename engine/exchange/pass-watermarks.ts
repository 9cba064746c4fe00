import { map, type OperatorFunction } from 'rxjs';
import { numberColumn } from '../record/column.ts';
import { withColumns, type RecordBatch } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';
import type { PartitionWatermarks } from '../time/partition-watermarks.ts';
import { passengers } from './exchange-format.ts';

/** The schema of what {@link passWatermarks} gives. */
export function passedSchema(schema: Schema): Schema {
  return schema.with({ name: passengers.passed, type: 'double', presence: 'required' });
}

/**
 * Notes at each record what all writers to the task have passed: the watermark that the task itself has, never moving back, which a stage that reads its
 * records is to know. Stands first in the section of a task that reads one exchange and writes another.
 *
 * @param watermarks as of where the section starts, with the task's rule; the operator's own from then on.
 */
export function passWatermarks(
  schema: Schema,
  watermarks: PartitionWatermarks,
): OperatorFunction<RecordBatch, RecordBatch> {
  const output = passedSchema(schema);
  return map((batch) => {
    const passed = new Float64Array(batch.rowCount);
    let passedMs = watermarks.minimumMs();
    for (let row = 0; row < batch.rowCount; row++) {
      const writer = batch.partitions[row] ?? 0;
      const watermarkMs = batch.watermarksMs[row] ?? -Infinity;
      const hasMoved = watermarkMs > watermarks.of(writer);
      watermarks.advance(writer, watermarkMs);
      if (hasMoved) passedMs = watermarks.minimumMs();
      passed[row] = passedMs;
    }
    return withColumns(batch, output, [numberColumn(passed)]);
  });
}
