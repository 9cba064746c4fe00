import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';

/** The batch with these columns only, in this order. */
export function selectColumns(batch: RecordBatch, schema: Schema): RecordBatch {
  return { ...batch, schema, columns: schema.fields.map(({ name }) => columnOf(batch, name)) };
}
