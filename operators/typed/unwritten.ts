import type { DeadLetter } from '../../engine/record/dead-letter.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { EncodeFailure } from '../../engine/serde/encoder.ts';

/** The dead letters of results that cannot be written, under the positions of the records that brought them out. */
export function unwritten(
  failures: readonly EncodeFailure[],
  { partitions, offsets }: RecordBatch,
  topic: string,
): readonly DeadLetter[] {
  return failures.map(({ row, code, message }): DeadLetter => {
    const [partition, offset] = [partitions[row] ?? 0, offsets[row] ?? 0];
    return { topic, partition, offset, stage: 'encode', code, message, value: null };
  });
}
