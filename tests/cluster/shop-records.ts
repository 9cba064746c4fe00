import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import kafka from '@confluentinc/kafka-javascript';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import { keyPartitioner } from '../../engine/serde/partitioner.ts';
import type { MessageInput } from '../../engine/storage/message-batch-builder.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { loadJob } from '../../jobs/load-job.ts';
import { SluiceCommand, type CardServices } from './card-job.ts';

/** Of every topic of these tests. */
export const shopPartitions = 4;

const partitionOf = keyPartitioner(shopPartitions);

/** A message where Kafka's default puts its key. */
export function keyed(key: string, record: Readonly<Record<string, unknown>>): MessageInput {
  const data = Buffer.from(key);
  const partition = partitionOf({ data, offsets: Int32Array.of(0, data.length) }, 0, 0);
  return { key, value: JSON.stringify(record), partition };
}

/** Writes a job's file into a folder of its own, and its topics' inputs. */
export async function newJob(
  { dir, bootstrap }: Pick<CardServices, 'dir' | 'bootstrap'>,
  name: string,
  text: string,
  files: Readonly<Record<string, string>> = {},
): Promise<{ readonly file: string; readonly job: CheckedJob }> {
  const folder = join(dir, name);
  for (const sub of ['jobs', 'features']) mkdirSync(join(folder, sub), { recursive: true });
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content);
  const file = join(folder, 'jobs/job.yaml');
  writeFileSync(file, text);
  const outcome = await loadJob(file);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics, null, 1));
  const { source } = outcome.job;
  const topics = source.kind === 'inputs' ? source.plan.inputs.map((input) => input.source) : [source];
  using admin = new KafkaAdmin({ brokers: [bootstrap], clientId: 'test' });
  for (const read of topics) {
    if (read.kind === 'topic') await admin.createTopic({ topic: read.topic, partitions: shopPartitions });
  }
  return { file, job: outcome.job };
}

/** Sends messages to a topic, in order: a send that is made again comes before those that followed it. */
export async function produce(
  { bootstrap }: Pick<CardServices, 'bootstrap'>,
  topic: string,
  messages: readonly MessageInput[],
): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': bootstrap, 'enable.idempotence': true });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  for (const { partition = 0, value, key } of messages) {
    producer.produce(topic, partition, Buffer.from(value), key === undefined ? null : Buffer.from(key));
  }
  await kafkaCall<void>((done) => producer.flush(30_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

/** Texts of JSON objects by the values of some of their fields, those of each in their order: by a topic's key, of which all is in one partition. */
export function byField(texts: Iterable<string>, ...fields: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const text of texts) {
    const object = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const name = fields.map((field) => String(object[field])).join(' ');
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [text]);
    else group.push(text);
  }
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Holds all state of a job against its topics, in a command of its own. */
export async function verifiedState(services: CardServices, job: string): Promise<unknown> {
  using verify = new SluiceCommand(services, ['state', 'verify', job, '--sample', '100%', '--profile', 'cluster']);
  const code = await verify.ended;
  if (code !== 0) throw new Error(`sluice state verify ended with ${code}: ${verify.stdout}${verify.stderr}`);
  return JSON.parse(verify.stdout);
}
