import { readFile } from 'node:fs/promises';
import { packageFile } from '../../engine/package-file.ts';
import { avroDeadLetterEncoder } from '../../engine/serde/avro-dead-letter-encoder.ts';
import { AvroEncoder } from '../../engine/serde/avro-encoder.ts';
import { avroOfOutputs, type AvroRecordName } from '../../engine/serde/avro-of-outputs.ts';
import { parseAvroSchema } from '../../engine/serde/avro-schema.ts';
import { encodeDeadLetters, type DeadLetterEncoder } from '../../engine/serde/dead-letter-encoder.ts';
import type { Encoder, EncoderOptions } from '../../engine/serde/encoder.ts';
import { JsonEncoder } from '../../engine/serde/json-encoder.ts';
import { keyPartitioner } from '../../engine/serde/partitioner.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import type { CheckedJob, MessageFormat } from '../checked-job.ts';
import { matchRecord } from './sections/pattern-section.ts';
import { resultSchemaOf } from '../result-schema.ts';
import { featureFields, joinedFields, predictionFields, type PredictionModel } from './prediction-fields.ts';

/** A topic that a job writes. */
export interface OutputTopic {
  readonly topic: string;
  readonly format: MessageFormat;
}

/** The topics that a job writes its results to. */
export function outputTopics(job: CheckedJob): readonly (OutputTopic & { readonly partitions: number | null })[] {
  return job.sinks.flatMap((sink) =>
    sink.kind === 'topic' ? [{ topic: sink.topic, format: sink.format, partitions: sink.partitions }] : [],
  );
}

const predictionRecord: AvroRecordName = {
  name: 'Prediction',
  namespace: 'sluice',
  doc: 'A scored record: the decision, who made it, where the record stood, and the features that it was made from.',
};

const featureRecord: AvroRecordName = {
  name: 'FeatureRecord',
  namespace: 'sluice',
  doc: 'A record, where it stood, and its features.',
};

/**
 * An encoder for one of the job's output topics. Results are keyed as the source is, so they lie in the partitions of the same keys. Where the topic is in
 * Avro, the schema of its records is made from the job's columns and registered as `<topic>-value`, under the rules that the registry has for it.
 *
 * @param partitionCount the output topic's.
 * @throws {SluiceError} what registering throws: `SCHEMA_INCOMPATIBLE` when readers of the topic could not read what the job would write, and
 *   `REGISTRY_UNAVAILABLE`, transient.
 */
export function openEncoder(
  job: CheckedJob,
  model: PredictionModel | null,
  { topic, format }: OutputTopic,
  partitionCount: number,
  registry: SchemaRegistry,
): Promise<Encoder> {
  if (job.pattern !== null) {
    const { outputSchema, definition } = job.pattern;
    const all = outputSchema.fields.map(({ name }) => ({ name, value: { kind: 'column', column: name } as const }));
    const partitioner = keyPartitioner(partitionCount);
    const of: EncoderOptions = { schema: outputSchema, fields: all, topic, key: definition.key, partitioner };
    return openTopicEncoder(matchRecord, of, format, registry);
  }
  const schema = resultSchemaOf(job);
  const { key } = job.source;
  const entities = job.features.features.flatMap((feature) => (feature.kind === 'rolling' ? feature.key : []));
  const keys = [...new Set([key, ...entities])].filter((name) => job.schema.indexOf(name) >= 0);
  const unscoredFields = job.source.kind === 'inputs' && job.source.plan.join !== null ? joinedFields : featureFields;
  const fields = model === null ? unscoredFields(schema, job.features.columns) : predictionFields(schema, model, keys);
  const options: EncoderOptions = { schema, fields, topic, key: [key], partitioner: keyPartitioner(partitionCount) };
  return openTopicEncoder(model === null ? featureRecord : predictionRecord, options, format, registry);
}

/**
 * An encoder for a topic in either format. Called for each topic of records when a run is opened.
 *
 * @param record what its records are called in Avro.
 * @throws {SluiceError} as {@link openEncoder}.
 */
export async function openTopicEncoder(
  record: AvroRecordName,
  options: EncoderOptions,
  format: MessageFormat,
  registry: SchemaRegistry,
): Promise<Encoder> {
  if (format === 'json') return new JsonEncoder(options);
  const avroSchema = avroOfOutputs(record, options.schema, options.fields);
  const schemaId = await registry.register(`${options.topic}-value`, avroSchema.text);
  return new AvroEncoder({ ...options, avroSchema, schemaId });
}

/**
 * What writes the job's dead letters; for a job that stops at its first bad record, which writes none, `null`.
 *
 * @param partitionCount the dead-letter topic's.
 * @throws {SluiceError} what registering their schema throws, where they are in Avro.
 */
export async function openDeadLetterEncoder(
  { deadLetters }: CheckedJob,
  partitionCount: number,
  registry: SchemaRegistry,
): Promise<DeadLetterEncoder | null> {
  if (deadLetters.policy === 'fail') return null;
  const { topic, format } = deadLetters;
  if (format === 'json') return (letters) => encodeDeadLetters(topic, letters, partitionCount);
  const avro = parseAvroSchema(await readFile(packageFile('schemas/dead-letter.avsc'), 'utf8'));
  const schemaId = await registry.register(`${topic}-value`, avro.text);
  return avroDeadLetterEncoder(topic, partitionCount, avro, schemaId);
}
