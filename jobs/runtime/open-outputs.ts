import type { Schema } from '../../engine/record/schema.ts';
import type { Encoder } from '../../engine/serde/encoder.ts';
import { JsonEncoder } from '../../engine/serde/json-encoder.ts';
import { keyPartitioner } from '../../engine/serde/partitioner.ts';
import { scoredSchema } from '../../operators/score/score.ts';
import type { CheckedJob } from '../checked-job.ts';
import { explainedSchema } from './explain-alerts.ts';
import { featureFields, predictionFields, type PredictionModel } from './prediction-fields.ts';

/** The topics that a job writes its results to. */
export function outputTopics(
  job: CheckedJob,
): readonly { readonly topic: string; readonly partitions: number | null }[] {
  return job.sinks.flatMap((sink) =>
    sink.kind === 'topic' ? [{ topic: sink.topic, partitions: sink.partitions }] : [],
  );
}

/** The schema of the records that a job writes: with their scores, where it scores. */
function resultSchema(job: CheckedJob): Schema {
  if (job.score === null) return job.features.outputSchema;
  const scored = scoredSchema(job.features.outputSchema);
  return job.score.explain === 0 ? scored : explainedSchema(scored);
}

/**
 * An encoder for one of the job's output topics. Results are keyed as the source is, so they lie in the partitions of the same keys.
 *
 * @param partitionCount the output topic's.
 */
export function openEncoder(
  job: CheckedJob,
  model: PredictionModel | null,
  topic: string,
  partitionCount: number,
): Encoder {
  const schema = resultSchema(job);
  const { key } = job.source;
  const entities = job.features.features.flatMap((feature) => (feature.kind === 'rolling' ? feature.key : []));
  const keys = [...new Set([key, ...entities])].filter((name) => job.schema.indexOf(name) >= 0);
  const fields = model === null ? featureFields(schema, job.features.columns) : predictionFields(schema, model, keys);
  return new JsonEncoder({ schema, fields, topic, key: [key], partitioner: keyPartitioner(partitionCount) });
}
