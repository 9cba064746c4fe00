import type { RecordBatch } from '../record/record-batch.ts';

/** How many records of a batch carry a flag. */
export function countFlagged({ flags }: RecordBatch, flag: number): number {
  let count = 0;
  for (let row = 0; row < flags.length; row++) if (((flags[row] ?? 0) & flag) !== 0) count++;
  return count;
}
