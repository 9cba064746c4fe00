import type { AvroRecordName } from '../../engine/serde/avro-of-outputs.ts';
import type { Encoder, OutputField } from '../../engine/serde/encoder.ts';
import { keyPartitioner } from '../../engine/serde/partitioner.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import { isStructured } from '../../operators/aggregate/aggregate-spec.ts';
import type { CheckedJob, MessageFormat } from '../checked-job.ts';
import type { WindowPlan } from '../plan/window-plan.ts';
import { openEncoder, openTopicEncoder, type OutputTopic } from './open-outputs.ts';
import type { PredictionModel } from './prediction-fields.ts';

const windowRecord: AvroRecordName = {
  name: 'WindowResult',
  namespace: 'sluice',
  doc: 'The aggregates of the records of one key in one window.',
};

/**
 * What a window's result holds: its key, the window, its aggregates. In JSON, lists and mappings stand as such; in Avro as JSON texts.
 */
function windowResultFields({ outputSchema, definition }: WindowPlan, format: MessageFormat): readonly OutputField[] {
  const structured = new Set(
    definition.aggregates.flatMap(({ name, spec }) => (isStructured(spec.function) ? [name] : [])),
  );
  return outputSchema.fields.map(({ name }): OutputField => {
    const kind = format === 'json' && structured.has(name) ? 'json' : 'column';
    return { name, value: { kind, column: name } };
  });
}

/**
 * An encoder of windows' results for a topic, keyed and partitioned by the windows' key.
 *
 * @param partitionCount the topic's.
 * @throws {SluiceError} as `openTopicEncoder`.
 */
function openWindowEncoder(
  plan: WindowPlan,
  { topic, format }: OutputTopic,
  partitionCount: number,
  registry: SchemaRegistry,
): Promise<Encoder> {
  const options = {
    schema: plan.outputSchema,
    fields: windowResultFields(plan, format),
    topic,
    key: plan.definition.key,
    partitioner: keyPartitioner(partitionCount),
  };
  return openTopicEncoder(windowRecord, options, format, registry);
}

/**
 * An encoder of what a job publishes, for one of its topics: results of windows, or one for each record. Called for every topic when a run is opened, on each profile.
 *
 * @param partitionCount the topic's.
 * @throws {SluiceError} as `openEncoder`.
 */
export function openResultEncoder(
  job: CheckedJob,
  model: PredictionModel | null,
  output: OutputTopic,
  partitionCount: number,
  registry: SchemaRegistry,
): Promise<Encoder> {
  return job.windows === null
    ? openEncoder(job, model, output, partitionCount, registry)
    : openWindowEncoder(job.windows, output, partitionCount, registry);
}
