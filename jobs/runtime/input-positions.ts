import type { DeadLetter } from '../../engine/record/dead-letter.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import { inputOfPartition, partitionInInput } from '../../engine/source/merged/input-partition.ts';
import type { WatermarkRule } from '../../engine/time/stamp-watermarks.ts';
import type { CheckedJob } from '../checked-job.ts';

/** How the records of a job know their watermark: by the rule of its source, or each by that of its input. */
export function watermarkRule({ source }: CheckedJob): WatermarkRule {
  if (source.kind === 'inputs') return { inputs: source.plan.inputs.map((input) => input.source.eventTime) };
  const { delayMs, maxFutureSkewMs } = source.eventTime;
  return { delayMs, maxFutureSkewMs };
}

/** Dead letters of a job under the names of the topics, or files, that their records stand in. */
export function inTheirInputs({ source }: CheckedJob, letters: readonly DeadLetter[]): readonly DeadLetter[] {
  if (source.kind !== 'inputs') return letters;
  const { inputs } = source.plan;
  return letters.map((letter) => {
    const input = inputs[inputOfPartition(letter.partition, inputs.length)];
    const topic =
      input === undefined ? letter.topic : input.source.kind === 'topic' ? input.source.topic : input.source.path;
    return { ...letter, topic, partition: partitionInInput(letter.partition, inputs.length) };
  });
}

/** Records of a job under the numbers that their partitions have in their own topics: as they are published. */
export function underOwnPositions({ source }: CheckedJob, records: RecordBatch): RecordBatch {
  if (source.kind !== 'inputs') return records;
  const { length } = source.plan.inputs;
  return { ...records, partitions: records.partitions.map((partition) => partitionInInput(partition, length)) };
}
