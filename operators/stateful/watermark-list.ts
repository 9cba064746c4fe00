import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import type { StateBytes, StateWriter } from '../aggregate/state-bytes.ts';

/** Writes watermarks of partitions into the state of an operator that must know them again after a restart. {@link readWatermarkList} reads them. */
export function writeWatermarkList(to: StateWriter, watermarks: readonly PartitionWatermark[]): void {
  to.u32(watermarks.length);
  for (const { partition, watermarkMs } of watermarks) {
    to.i32(partition);
    to.f64(watermarkMs);
  }
}

/** Reads what {@link writeWatermarkList} wrote. @throws {RangeError} where the bytes end too early. */
export function readWatermarkList(from: StateBytes): readonly PartitionWatermark[] {
  return Array.from({ length: from.u32() }, () => ({ partition: from.i32(), watermarkMs: from.f64() }));
}
