import type { RecordBatch } from '../../engine/record/record-batch.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';

/** The batch, whose rows have been given the watermarks that a delay makes of their event times. For tests that have just made it: it is the first of its stream. */
export function stamped(batch: RecordBatch, delayMs: number): RecordBatch {
  stampWatermarks(batch, null, new PartitionWatermarks(), { delayMs, maxFutureSkewMs: Infinity });
  return batch;
}
