import { describe, expect, it } from 'vitest';
import { GUARDED, recordBatch, selectRows, type RecordBatch } from '../record/record-batch.ts';
import { Schema } from '../record/schema.ts';
import { messageBatchOf } from '../storage/message-batch-builder.ts';
import { PartitionWatermarks } from './partition-watermarks.ts';
import { stampWatermarks } from './stamp-watermarks.ts';

const rule = { delayMs: 10, maxFutureSkewMs: 1_000 };

function batchOf(rows: readonly (readonly [partition: number, t: number])[]): RecordBatch {
  return recordBatch(new Schema([]), [], {
    partition: Int32Array.from(rows, ([partition]) => partition),
    offset: Float64Array.from(rows, (_, row) => row),
    eventTimesMs: Float64Array.from(rows, ([, t]) => t),
  });
}

describe('watermarks', () => {
  //   partition 0   100 ──▶ 90 behind it      130        105 (out of order)
  //   partition 1                 500                          510
  const rows = [
    [0, 100],
    [0, 130],
    [1, 500],
    [0, 105],
    [1, 510],
    [0, 131],
  ] as const;

  it('are those of the record’s own partition, as they stood before it, and never go back', () => {
    const batch = batchOf(rows);
    const watermarks = new PartitionWatermarks();
    stampWatermarks(batch, null, watermarks, rule);
    expect([...batch.watermarksMs]).toEqual([-Infinity, 90, -Infinity, 120, 490, 120]);
    expect(watermarks.entries()).toEqual([
      { partition: 0, watermarkMs: 121 },
      { partition: 1, watermarkMs: 500 },
    ]);
    expect(watermarks.minimumMs()).toBe(121);
  });

  it('are the same however the stream is cut', () => {
    const whole = batchOf(rows);
    stampWatermarks(whole, null, new PartitionWatermarks(), rule);
    const watermarks = new PartitionWatermarks();
    const parts = rows.map((_, row) => selectRows(batchOf(rows), Int32Array.of(row)));
    for (const part of parts) stampWatermarks(part, null, watermarks, rule);
    expect(parts.flatMap((part) => [...part.watermarksMs])).toEqual([...whole.watermarksMs]);
  });

  it('are not moved by a record too far ahead of its broker’s timestamp, which is counted', () => {
    const messages = messageBatchOf(
      't',
      [0, 1, 2].map((offset) => ({ value: '{}', offset, timestampMs: 1_000 })),
    );
    const batch = batchOf([
      [0, 900],
      [0, 2_001],
      [0, 2_000],
    ]);
    const watermarks = new PartitionWatermarks();
    expect(stampWatermarks(batch, messages, watermarks, rule)).toBe(1);
    expect([...batch.watermarksMs]).toEqual([-Infinity, 890, 890]);
    expect([...batch.flags]).toEqual([0, GUARDED, 0]);
    expect(watermarks.of(0)).toBe(1_990);
  });
});
