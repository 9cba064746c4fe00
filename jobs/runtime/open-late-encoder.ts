import type { Schema } from '../../engine/record/schema.ts';
import type { AvroRecordName } from '../../engine/serde/avro-of-outputs.ts';
import type { Encoder } from '../../engine/serde/encoder.ts';
import { keyPartitioner } from '../../engine/serde/partitioner.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import { openTopicEncoder, type OutputTopic } from './open-outputs.ts';
import { featureFields } from './prediction-fields.ts';

const lateRecord: AvroRecordName = {
  name: 'LateRecord',
  namespace: 'sluice',
  doc: 'A record that came too late for the windows that it belongs to, and where it stood.',
};

/**
 * An encoder for a topic of late records: their own fields, their position, and the flags `late` and `degraded`, keyed as the source is. Records can be sent again
 * from there, since their fields are named as they came.
 *
 * @param schema the late records'; columns that a plan made for itself, whose names begin with "(", are left out.
 * @param partitionCount the late topic's.
 * @throws {SluiceError} what registering their schema throws, where the topic is in Avro.
 */
export function openLateEncoder(
  schema: Schema,
  key: string,
  output: OutputTopic,
  partitionCount: number,
  registry: SchemaRegistry,
): Promise<Encoder> {
  const { topic } = output;
  const options = {
    schema,
    fields: featureFields(schema, []),
    topic,
    key: [key],
    partitioner: keyPartitioner(partitionCount),
  };
  return openTopicEncoder(lateRecord, options, output.format, registry);
}
