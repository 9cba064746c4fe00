import type { Decoder } from '../../engine/serde/decoder.ts';
import { arrivedSchema } from '../../engine/exchange/arrivals.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import { InputsReader } from '../../engine/source/merged/inputs-reader.ts';
import type { Source } from '../../engine/source/source.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import type { CheckedJob } from '../checked-job.ts';
import { openDecoder, openTopicSource } from './open-source.ts';

/** What reads a job's topic, and what decodes it; they may be one. */
export interface TopicInput {
  readonly source: Source;
  readonly decoder: Decoder;
}

/**
 * Opens the topic of a job of one input on the embedded profile. Called once for each run.
 *
 * Where one watermark of all partitions closes things, and there are several, the first batch is put in order of event time: a partition that was not heard from yet holds no watermark
 * back, so the whole share of the one that is read first would pass the others by, and they would be late.
 *
 * @throws {SluiceError} `TOPIC_MISSING`.
 */
export function openTopicInput(
  job: CheckedJob,
  topic: { readonly name: string; readonly partitionCount: number },
  storage: Storage,
  registry: SchemaRegistry,
): TopicInput {
  const source = openTopicSource(storage, topic.name);
  const decoder = openDecoder(job, registry);
  if (topic.partitionCount === 1 || !waitsForAll(job)) return { source, decoder };
  const schema = job.amendments === null ? job.schema : arrivedSchema(job.schema);
  const lift = schema.fields.map(({ name }) => ({ column: name }));
  const reader = new InputsReader({ source, inputs: [{ decoder, lift }], schema });
  return { source: reader, decoder: reader };
}

/** Whether an operator goes by the least watermark of all partitions. */
function waitsForAll({ windows, sessions, pattern, amendments }: CheckedJob): boolean {
  return [windows, sessions, pattern, amendments].some((plan) => plan?.definition.closedBy === 'query');
}
