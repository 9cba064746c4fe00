import { recordBatch, type IdlePartition, type RecordBatch } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';
import { numberColumn, utf8Column } from '../record/column.ts';
import type { PartitionWatermarks } from '../time/partition-watermarks.ts';
import type { OffsetRange } from './commit-log.ts';

/** The entries of a recorded order that say that partitions were found idle, all at one moment, as operators are told of them. Called as they are found, and as they are replayed. */
export function idlePartitions(
  ranges: readonly OffsetRange[],
  watermarks: PartitionWatermarks,
): readonly IdlePartition[] {
  return ranges.map(({ partition, from, idleForMs = 0 }) => ({
    partition,
    offset: from - 1,
    watermarkMs: idleForMs === 0 ? -Infinity : watermarks.of(partition) + idleForMs,
  }));
}

/** The same for a stage behind, which was told of the partition's watermark only now and then: with where it stands. */
export function idleForOthers(
  ranges: readonly OffsetRange[],
  watermarks: PartitionWatermarks,
): readonly IdlePartition[] {
  return ranges.map(({ partition, from, idleForMs = 0 }) => ({
    partition,
    offset: from - 1,
    watermarkMs: watermarks.of(partition) + idleForMs,
  }));
}

/** A batch without records, that tells operators which partitions are idle. */
export function idleBatch(schema: Schema, idle: readonly IdlePartition[]): RecordBatch {
  const columns = schema.fields.map(({ type }) =>
    type === 'string' ? utf8Column(new Uint8Array(0), Int32Array.of(0)) : numberColumn(new Float64Array(0)),
  );
  const origin = { partition: 0, offset: 0, eventTimesMs: new Float64Array(0) };
  return { ...recordBatch(schema, columns, origin), idle };
}
