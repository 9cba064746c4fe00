import { describe, expect, it } from 'vitest';
import { pausedPartitions, type HoldingBack } from './alignment.ts';
import { PartitionWatermarks } from './partition-watermarks.ts';

const watermarks = new PartitionWatermarks([
  { partition: 0, watermarkMs: 100 },
  { partition: 1, watermarkMs: 150 },
  { partition: 2, watermarkMs: 151 },
  { partition: 3, watermarkMs: 900 },
  { partition: 4, watermarkMs: -Infinity },
]);
const counting = (holdsBack: (partition: number) => boolean, unread: readonly number[] = []): HoldingBack => {
  return { holdsBack, unread: new Set(unread) };
};
const all = counting(() => true);
const none: readonly number[] = [];

describe('alignment', () => {
  it('pauses partitions further ahead than the drift, counted from the least watermark', () => {
    expect([...pausedPartitions(watermarks, { inputs: [50] }, all)]).toEqual([2, 3]);
    expect([...pausedPartitions(watermarks, { inputs: [800] }, all)]).toEqual(none);
  });

  it('waits for no partition that is idle, or at its end', () => {
    expect([
      ...pausedPartitions(
        watermarks,
        { inputs: [50] },
        counting((partition) => partition > 0),
      ),
    ]).toEqual([3]);
    expect([
      ...pausedPartitions(
        watermarks,
        { inputs: [50] },
        counting((partition) => partition > 2),
      ),
    ]).toEqual(none);
    expect([
      ...pausedPartitions(
        watermarks,
        { inputs: [50] },
        counting(() => false),
      ),
    ]).toEqual(none);
  });

  it('waits for partitions of which nothing was read, though they have something', () => {
    expect([
      ...pausedPartitions(
        watermarks,
        { inputs: [800] },
        counting(() => true, [4]),
      ),
    ]).toEqual([0, 1, 2, 3]);
    expect([
      ...pausedPartitions(
        watermarks,
        { inputs: ['apart', 800] },
        counting(() => true, [4]),
      ),
    ]).toEqual(none);
  });

  it('is each input’s own: free ones are waited for, those apart are not', () => {
    // Partitions 0, 2, 4 are of the first input, 1 and 3 of the second.
    expect([...pausedPartitions(watermarks, { inputs: ['free', 10] }, all)]).toEqual([1, 3]);
    expect([...pausedPartitions(watermarks, { inputs: ['apart', 10] }, all)]).toEqual([3]);
    expect([...pausedPartitions(watermarks, { inputs: [10, 'apart'] }, all)]).toEqual([2]);
  });
});
