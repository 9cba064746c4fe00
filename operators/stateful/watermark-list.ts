import { inLeavingOrder, type PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import type { StateBytes, StateWriter } from '../aggregate/state-bytes.ts';

/**
 * Writes watermarks of partitions into the state of an operator that must know them again after a restart: `u32 partitions · (i32 partition · f64 watermark)…`, and, where some are idle,
 * `u32 idle · (i32 partition)…` behind it, in the order in which they left, at the end of the value. {@link readWatermarkList} reads them.
 */
export function writeWatermarkList(to: StateWriter, watermarks: readonly PartitionWatermark[]): void {
  to.u32(watermarks.length);
  for (const { partition, watermarkMs } of watermarks) {
    to.i32(partition);
    to.f64(watermarkMs);
  }
  const idle = inLeavingOrder(watermarks);
  if (idle.length === 0) return;
  to.u32(idle.length);
  for (const { partition } of idle) to.i32(partition);
}

/** Reads what {@link writeWatermarkList} wrote. @throws {RangeError} where the bytes end too early. */
export function readWatermarkList(from: StateBytes): readonly PartitionWatermark[] {
  const watermarks = Array.from({ length: from.u32() }, () => ({ partition: from.i32(), watermarkMs: from.f64() }));
  if (from.isAtEnd) return watermarks;
  const idle = Array.from({ length: from.u32() }, () => from.i32());
  return watermarks.map((watermark) => {
    const leftAs = idle.indexOf(watermark.partition);
    return leftAs < 0 ? watermark : { ...watermark, leftAs };
  });
}
