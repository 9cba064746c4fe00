import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import kafka from '@confluentinc/kafka-javascript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageValue } from '../../engine/record/message-batch.ts';
import { AvroJson } from '../../engine/serde/avro-json.ts';
import { parseAvroSchema } from '../../engine/serde/avro-schema.ts';
import { openSchemaRegistry } from '../../engine/serde/open-schema-registry.ts';
import { startConfluentServer, type ConfluentServer } from '../../engine/serde/testing/confluent-server.ts';
import { writeFrame } from '../../engine/serde/wire-format.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const partitions = 2;
const recordCount = 500;

const time = { type: 'long', logicalType: 'timestamp-millis' };
const field = (name: string, type: unknown): object => ({ name, type });
const payment = (...fields: readonly object[]): string => JSON.stringify({ type: 'record', name: 'Payment', fields });
/** Two generations of writers: the second one renamed a field, widened one, and added one that the job does not know. */
const oldPayment = payment(field('id', 'string'), field('card', 'string'), field('at', time), field('cents', 'int'));
const newPayment = payment(
  field('id', 'string'),
  { ...field('channel', 'string'), default: 'web' },
  field('card', 'string'),
  field('at', time),
  { ...field('amount_cents', 'long'), aliases: ['cents'] },
);
/** What the job was written for. */
const readPayment = payment(field('id', 'string'), field('card', 'string'), field('at', time), {
  ...field('amount_cents', 'double'),
  aliases: ['cents'],
});

let dir: string;
let broker: KafkaService;
let redis: RedisService;
let registry: ConfluentServer;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-formats-'));
  broker = await startKafka({ dir: join(dir, 'kafka'), settings: { 'group.min.session.timeout.ms': '1000' } });
  redis = await startRedis({ dir: join(dir, 'redis') });
  registry = await startConfluentServer();
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await redis.kill();
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

function newJob(): string {
  for (const sub of ['jobs', 'features', 'schemas']) mkdirSync(join(dir, sub), { recursive: true });
  writeFileSync(join(dir, 'schemas/payment.avsc'), readPayment);
  writeFileSync(
    join(dir, 'features/card.yaml'),
    'entity: card\nfeatures:\n  sum_30d: { sum: amount_cents, over: 30d, current: include }\n',
  );
  writeFileSync(
    join(dir, 'jobs/job.yaml'),
    `job: formats
source:
  topic: payments
  format: avro
  schema: payment
  key: card
  eventTime: { field: at, delay: 1s }
features: [card]
sinks: [{ topic: answers, format: avro }]
deadLetters: { topic: bad, format: avro }
`,
  );
  return join(dir, 'jobs/job.yaml');
}

/** Records of both generations in turn, and two messages that cannot be read. */
async function produce(): Promise<void> {
  using admin = new KafkaAdmin({ brokers: [broker.bootstrap], clientId: 'test' });
  await admin.createTopic({ topic: 'payments', partitions });
  const schemas = openSchemaRegistry({ kind: 'http', url: registry.url }, systemClock);
  const writers = await Promise.all(
    [oldPayment, newPayment].map(async (text, index) => {
      const id = await schemas.register(`payments-${index}-value`, text);
      return { id, type: parseAvroSchema(text).record };
    }),
  );
  const producer = new kafka.Producer({ 'bootstrap.servers': broker.bootstrap });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  for (let i = 0; i < recordCount; i++) {
    const card = i % 10;
    const { id, type } = writers[i % 3 === 0 ? 1 : 0] ?? { id: 0, type: null };
    const common = { id: `r${i}`, card: `c${card}`, at: 1_700_000_000_000 + i * 1_000 };
    const record = type?.toBuffer({ ...common, cents: i, amount_cents: i, channel: 'app' }) ?? Buffer.alloc(0);
    const value = Buffer.alloc(5 + record.length);
    record.copy(value, writeFrame(value, 0, id));
    producer.produce('payments', card % partitions, value, common.card);
  }
  producer.produce('payments', 0, Buffer.from('{}'), null);
  producer.produce('payments', 0, Buffer.of(0, 0, 0, 3, 0xe7, 2), null);
  await kafkaCall<void>((done) => producer.flush(30_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

/** What committed readers see of a topic in Avro, as objects. */
async function readTopic(topic: string): Promise<readonly Record<string, unknown>[]> {
  const settings = { brokers: [broker.bootstrap], clientId: 'test' };
  await using source = await KafkaSource.open({ settings, topic, partitions: 'all' });
  const ranges = await source.ranges();
  await source.seek(ranges.map(({ partition }) => ({ partition, offset: 0 })));
  const json = new AvroJson(openSchemaRegistry({ kind: 'http', url: registry.url }, systemClock));
  const objects: Record<string, unknown>[] = [];
  const at = (partition: number): number =>
    source.positions().find((position) => position.partition === partition)?.offset ?? 0;
  while (ranges.some(({ partition, endOffset }) => at(partition) < endOffset)) {
    const polled = await source.poll({ maxRecords: 1_000, maxWaitMs: 200 });
    if (polled?.kind !== 'messages') continue;
    const messages = await json.inJson(polled.messages);
    for (let i = 0; i < messages.messageCount; i++) {
      objects.push(JSON.parse(Buffer.from(messageValue(messages, i)).toString()) as Record<string, unknown>);
    }
  }
  return objects;
}

describe('Avro on a cluster', () => {
  it('is read from writers of two generations and written by schemas of the registry, which may be away for a while', async () => {
    await produce();
    // The checks before the start ask for schema 0, which there never is; after them it is away for three requests.
    registry.refuses = (_method, path) => !path.endsWith('/ids/0') && registry.refused < 3;
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'cli/main.ts', 'run', newJob(), '--profile', 'cluster', '--trigger', 'availableNow'],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          NO_COLOR: '1',
          SLUICE_KAFKA_BROKERS: broker.bootstrap,
          SLUICE_REDIS_URL: `redis://${redis.host}:${redis.port}`,
          SLUICE_SCHEMA_REGISTRY_URL: registry.url,
        },
      },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const ended = once(child, 'close');
    try {
      await ended;
      if (child.exitCode !== 0) throw new Error(`the job ended with ${child.exitCode}:\n${output}`);
      expect(output).toContain('REGISTRY_UNAVAILABLE');
      expect(registry.refused).toBe(3);
    } finally {
      child.kill('SIGKILL');
    }
    const answers = await readTopic('answers');
    expect(answers).toHaveLength(recordCount);
    const sums = new Map<string, number>();
    for (let i = 0; i < recordCount; i++) {
      const sum = (sums.get(`c${i % 10}`) ?? 0) + i;
      sums.set(`c${i % 10}`, sum);
      expect(answers.find(({ id }) => id === `r${i}`)).toMatchObject({ amount_cents: i, features: { sum_30d: sum } });
    }
    const bad = await readTopic('bad');
    expect(bad.map(({ code }) => code)).toEqual(['SCHEMA_ID_MISSING', 'SCHEMA_UNKNOWN']);
  });
});
