import type { AvroRecordName } from '../../engine/serde/avro-of-outputs.ts';
import type { Encoder, OutputField } from '../../engine/serde/encoder.ts';
import { keyPartitioner } from '../../engine/serde/partitioner.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import {
  afterColumn,
  amendmentColumns as columns,
  amendmentSchema,
  beforeColumn,
} from '../../operators/amend/amendment-rows.ts';
import type { AmendPlan } from '../plan/amend-plan.ts';
import type { CheckedJob } from '../checked-job.ts';
import { rescoredBy, rescoredSchema, scoreNames } from './rescore-amended.ts';
import { openTopicEncoder } from './open-outputs.ts';

const amendmentRecord: AvroRecordName = {
  name: 'Amendment',
  namespace: 'sluice',
  doc: 'A decision told anew: the features that it was told with, those that it would have now, and the late record that made the difference.',
};

/**
 * An encoder for a job's topic of amendments, keyed as the source is, so that they lie in the partitions of the decisions' keys; `null` for a job that has none. Called when a run is
 * opened, on each profile.
 *
 * @param partitionCount the topic's.
 * @throws {SluiceError} what registering the schema throws, where the topic is in Avro.
 */
export async function openAmendEncoder(
  { amendments, features, source }: CheckedJob,
  partitionCount: number,
  registry: SchemaRegistry,
): Promise<Encoder | null> {
  if (amendments === null) return null;
  const { topic, format, definition, scores } = amendments;
  const told = amendmentSchema(definition, features.outputSchema);
  const schema = scores === 'none' ? told : rescoredSchema(told);
  const partitioner = keyPartitioner(partitionCount);
  const options = { schema, fields: amendmentFields(amendments), topic, key: [source.key], partitioner };
  return openTopicEncoder(amendmentRecord, options, format, registry);
}

function amendmentFields({ definition: { identity, features }, scores }: AmendPlan): readonly OutputField[] {
  const column = (name: string, from: string): OutputField => ({ name, value: { kind: 'column', column: from } });
  const told = scores === 'none' ? features : [...scoreNames, ...features];
  return [
    ...identity.map((name) => column(name, name)),
    { name: 'event_time', value: { kind: 'event-time' } },
    column('decision_time', columns.decisionTime),
    { name: 'source_partition', value: { kind: 'position', of: 'partition' } },
    { name: 'source_offset', value: { kind: 'position', of: 'offset' } },
    column('revision', columns.revision),
    { name: 'changed', value: { kind: 'json', column: columns.changed } },
    column('cause.event_time', columns.causeEventTime),
    column('cause.arrival_time', columns.causeTime),
    column('cause.source_partition', columns.causePartition),
    column('cause.source_offset', columns.causeOffset),
    ...(scores === 'none' ? [] : [column('model', rescoredBy.model), column('model_version', rescoredBy.version)]),
    ...told.map((name) => column(`before.${name}`, beforeColumn(name))),
    ...told.map((name) => column(`after.${name}`, afterColumn(name))),
  ];
}
