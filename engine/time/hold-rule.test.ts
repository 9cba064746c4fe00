import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recordBatch, selectRows, type RecordBatch } from '../record/record-batch.ts';
import { Schema } from '../record/schema.ts';
import { PartitionWatermarks } from './partition-watermarks.ts';
import { stampWatermarks } from './stamp-watermarks.ts';

const hold = { writers: 3, maxLagMs: 100 };

function carried(rows: readonly (readonly [writer: number, watermarkMs: number])[]): RecordBatch {
  const batch = recordBatch(new Schema([]), [], {
    partition: Int32Array.from(rows, ([writer]) => writer),
    offset: 0,
    eventTimesMs: new Float64Array(rows.length),
  });
  batch.watermarksMs.set(rows.map(([, watermarkMs]) => watermarkMs));
  return batch;
}

describe('watermarks that records bring with them', () => {
  it('are held back by a writer that has not been heard from, until the others are too far ahead', () => {
    const watermarks = new PartitionWatermarks([], hold);
    //   writer 0   10          40                    150
    //   writer 1        20                                     160
    //   writer 2                     −∞ ──▶ 30
    const passed = (
      [
        [0, 10],
        [1, 20],
        [0, 40],
        [2, -Infinity],
        [2, 30],
        [0, 150],
        [1, 160],
      ] as const
    ).map(([writer, watermarkMs]) => {
      watermarks.advance(writer, watermarkMs);
      return watermarks.minimumMs();
    });
    expect(passed).toEqual([-90, -80, -60, -60, 20, 50, 60]);
  });

  it('are held back without a bound by whoever was heard from, where nothing that closes may be opened again', () => {
    const watermarks = new PartitionWatermarks([], { ...hold, heard: 'unbounded' });
    const passed = (
      [
        [0, 10],
        [1, 20],
        [0, 400],
        [2, 30],
        [1, 500],
        [2, 450],
      ] as const
    ).map(([writer, watermarkMs]) => {
      watermarks.advance(writer, watermarkMs);
      return watermarks.minimumMs();
    });
    expect(passed).toEqual([-90, -80, 20, 20, 30, 400]);
  });

  it('are held back by no writer that says that it is idle, had it records or not, until it is heard from again', () => {
    const watermarks = new PartitionWatermarks([], { ...hold, heard: 'unbounded' });
    watermarks.advance(0, 400);
    watermarks.advance(1, 300);
    expect(watermarks.minimumMs()).toBe(300);
    // The third was never heard from: without it, nothing is far behind the furthest.
    watermarks.advance(0, 900);
    watermarks.leave(1, 310);
    expect([watermarks.minimumMs(), watermarks.isIdle]).toEqual([800, false]);
    watermarks.leave(2, -Infinity);
    expect(watermarks.minimumMs()).toBe(900);
    watermarks.hear(1);
    expect(watermarks.minimumMs()).toBe(310);
    watermarks.leave(1, -Infinity);
    watermarks.leave(0, 950);
    expect([watermarks.minimumMs(), watermarks.isIdle]).toEqual([950, true]);
    const bounded = new PartitionWatermarks([], hold);
    for (const [writer, watermarkMs] of [
      [0, 900],
      [1, 20],
    ] as const)
      bounded.advance(writer, watermarkMs);
    bounded.leave(2, -Infinity);
    expect(bounded.minimumMs()).toBe(800);
    bounded.leave(1, -Infinity);
    expect(bounded.minimumMs()).toBe(900);
    // Whoever was not heard from yet may still say anything, though all others are idle.
    const alone = new PartitionWatermarks([], { ...hold, heard: 'unbounded' });
    alone.leave(0, 900);
    expect([alone.minimumMs(), alone.isIdle]).toEqual([800, false]);
  });

  it('stay with their records, but are never lower than what state may have been evicted up to', () => {
    const batch = carried([
      [0, 500],
      [1, 450],
      [2, 300],
      [2, 410],
      [1, 440],
    ]);
    stampWatermarks(batch, null, new PartitionWatermarks(), { carried: hold });
    expect([...batch.watermarksMs]).toEqual([500, 450, 400, 410, 440]);
  });

  const steps = fc.array(fc.tuple(fc.nat(2), fc.oneof(fc.constant(0), fc.nat(150))), { maxLength: 60 });
  /** What a writer brings never falls, and is minus infinity at first. */
  const rows = steps.map((log) => {
    const of = [-Infinity, -Infinity, -Infinity];
    return log.map(([writer, step]): [number, number] => {
      const before = of[writer] ?? 0;
      of[writer] = step === 0 ? before : Math.max(before, 0) + step;
      return [writer, of[writer] ?? 0];
    });
  });

  it('move what all have passed never back, and stamp no record below it, however the log is cut', () => {
    fc.assert(
      fc.property(rows, fc.array(fc.nat(6)), (log, cuts) => {
        const whole = carried(log);
        stampWatermarks(whole, null, new PartitionWatermarks(), { carried: hold });
        const stamper = new PartitionWatermarks();
        const stamped: number[] = [];
        let passedMs = -Infinity;
        for (let at = 0, cut = 0; at < log.length; cut++) {
          const size = 1 + (cuts[cut] ?? 3);
          const part = selectRows(
            carried(log),
            Int32Array.from(log.slice(at, at + size), (_, row) => at + row),
          );
          stampWatermarks(part, null, stamper, { carried: hold });
          for (const watermarkMs of part.watermarksMs) expect(watermarkMs).toBeGreaterThanOrEqual(passedMs);
          const nowMs = stamper.minimumMs(hold);
          expect(nowMs).toBeGreaterThanOrEqual(passedMs);
          passedMs = nowMs;
          stamped.push(...part.watermarksMs);
          at += size;
        }
        expect(stamped).toEqual([...whole.watermarksMs]);
      }),
    );
  });

  it('let an operator that sees only the stamps know the same, and less where it is shown fewer records', () => {
    fc.assert(
      fc.property(rows, fc.array(fc.boolean()), (log, shown) => {
        const batch = carried(log);
        const stamper = new PartitionWatermarks();
        stampWatermarks(batch, null, stamper, { carried: hold });
        const all = new PartitionWatermarks([], hold);
        all.observe(batch);
        expect(all.minimumMs()).toBe(stamper.minimumMs(hold));
        const some = new PartitionWatermarks([], hold);
        const kept = log.flatMap((_, row) => (shown[row] === true ? [row] : []));
        some.observe(selectRows(batch, Int32Array.from(kept)));
        expect(some.minimumMs()).toBeLessThanOrEqual(stamper.minimumMs(hold));
      }),
    );
  });
});
