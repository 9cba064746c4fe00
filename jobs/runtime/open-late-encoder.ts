import type { Schema } from '../../engine/record/schema.ts';
import type { AvroRecordName } from '../../engine/serde/avro-of-outputs.ts';
import type { Encoder } from '../../engine/serde/encoder.ts';
import { keyPartitioner } from '../../engine/serde/partitioner.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import type { CheckedJob } from '../checked-job.ts';
import { openTopicEncoder, type OutputTopic } from './open-outputs.ts';
import { featureFields } from './prediction-fields.ts';

const lateRecord: AvroRecordName = {
  name: 'LateRecord',
  namespace: 'sluice',
  doc: 'A record that came too late for the windows that it belongs to, or for its partners, and where it stood.',
};

/** What is written of late records, and where. */
export interface LateRecords extends OutputTopic {
  /** Theirs; columns that a plan made for itself, whose names begin with "(", are left out. */
  readonly schema: Schema;
  /** The column that keys the topic. */
  readonly key: string;
}

/** What a job writes of records that came too late for its windows, or for its join; `null` for a job that writes none. */
export function lateRecords({ windows, late, source }: CheckedJob): LateRecords | null {
  const { topic } = late;
  if (topic === null) return null;
  const join = source.kind === 'inputs' ? source.plan.join : null;
  if (source.kind === 'inputs' && join !== null) {
    const { schema } = source.plan;
    return { topic, format: 'json', schema, key: (join.before[0] ?? join).definition.left.key[0] ?? '' };
  }
  return windows === null ? null : { topic, format: source.format, schema: windows.inputSchema, key: source.key };
}

/**
 * An encoder for a topic of late records: their own fields, their position, and the flags `late` and `degraded`, keyed as the source is. Records can be sent again
 * from there, since their fields are named as they came; those of one of several inputs stand in an object of its name.
 *
 * @param partitionCount the late topic's.
 * @throws {SluiceError} what registering their schema throws, where the topic is in Avro.
 */
export function openLateEncoder(
  { schema, key, topic, format }: LateRecords,
  partitionCount: number,
  registry: SchemaRegistry,
): Promise<Encoder> {
  const options = {
    schema,
    fields: featureFields(schema, []),
    topic,
    key: [key],
    partitioner: keyPartitioner(partitionCount),
  };
  return openTopicEncoder(lateRecord, options, format, registry);
}
