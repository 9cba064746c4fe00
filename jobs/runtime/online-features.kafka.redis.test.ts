import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafka from '@confluentinc/kafka-javascript';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageValue } from '../../engine/record/message-batch.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { Program } from '../../engine/storage/testing/program.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';

const partitions = 2;
const main = new URL('../../cli/main.ts', import.meta.url);

let dir: string;
let broker: KafkaService;
let server: RedisService;
let redis: Redis;
let settings: KafkaSettings;
let job: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-online-'));
  broker = await startKafka({ dir: join(dir, 'kafka'), settings: { 'group.min.session.timeout.ms': '1000' } });
  server = await startRedis({ dir: join(dir, 'redis') });
  redis = new Redis({ host: server.host, port: server.port });
  settings = { brokers: [broker.bootstrap], clientId: 'test' };
  for (const folder of ['jobs', 'features']) mkdirSync(join(dir, folder));
  writeFileSync(
    join(dir, 'features/card.yaml'),
    `entity: card
features:
  count_30d: { count: true, over: 30d, current: include }
  sum_before: { sum: amount, over: 30d }
  is_large: { expr: amount > 40 }
`,
  );
  writeFileSync(
    join(dir, 'features/shop.yaml'),
    'entity: shop\nfeatures:\n  shop_count: { count: true, over: 30d, current: include }\n',
  );
  job = join(dir, 'jobs/job.yaml');
  writeFileSync(
    job,
    `job: online
app: bank
source:
  topic: in
  fields: { id: string, card: string, shop: string, at: timestamp, amount: double }
  key: card
  eventTime: { field: at, delay: 1s }
features: [card, shop]
sinks: [{ topic: out }]
deadLetters: { topic: bad }
state: { flushEvery: 150ms, online: true }
`,
  );
  using admin = new KafkaAdmin(settings);
  await admin.createTopic({ topic: 'in', partitions });
  process.env['SLUICE_KAFKA_BROKERS'] = broker.bootstrap;
  process.env['SLUICE_REDIS_URL'] = `redis://${server.host}:${server.port}`;
});

afterAll(async () => {
  redis.disconnect();
  await server.kill();
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

/** Records `[from, to)` of 11 cards in 5 shops; every 13th is 20 s older than the one before it. */
async function produce(from: number, to: number): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': broker.bootstrap });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  for (let i = from; i < to; i++) {
    const record = {
      id: `r${i}`,
      card: `c${i % 11}`,
      shop: `s${i % 5}`,
      at: 1_700_000_000_000 + i * 1_000 - (i % 13 === 12 ? 20_000 : 0),
      amount: i % 60,
    };
    producer.produce('in', (i % 11) % partitions, Buffer.from(JSON.stringify(record)), record.card);
  }
  await kafkaCall<void>((done) => producer.flush(30_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

/** What committed readers see of the results: as many as there are once `count` are. */
async function answers(count: number): Promise<Record<string, string | number | boolean | null>[]> {
  await using source = await KafkaSource.open({ settings, topic: 'out', partitions: 'all' });
  await source.seek((await source.ranges()).map(({ partition }) => ({ partition, offset: 0 })));
  const found: Record<string, string | number | boolean | null>[] = [];
  while (found.length < count) {
    const polled = await source.poll({ maxRecords: 1_000, maxWaitMs: 200 });
    if (polled?.kind !== 'messages') continue;
    for (let i = 0; i < polled.messages.messageCount; i++) {
      const text = Buffer.from(messageValue(polled.messages, i)).toString();
      const { features, ...fields } = JSON.parse(text) as { features?: object };
      found.push({ ...fields, ...features });
    }
  }
  return found;
}

/** The hashes that the results so far call for: of each key the values of its last record in the total order. */
function wantedOf(found: Awaited<ReturnType<typeof answers>>): Map<string, Record<string, string>> {
  const wanted = new Map<string, Record<string, string>>();
  const names = { card: ['count_30d', 'sum_before', 'is_large'], shop: ['shop_count'] };
  for (const [entity, features] of Object.entries(names)) {
    const last = new Map<string, number>();
    for (const answer of found) {
      const number = Number(String(answer['id']).slice(1));
      const time = number * 1_000 - (number % 13 === 12 ? 20_000 : 0);
      // Event times differ, so they alone order the records of a key.
      if (time < (last.get(String(answer[entity])) ?? -Infinity)) continue;
      last.set(String(answer[entity]), time);
      const fields = features.flatMap((name) => (answer[name] === null ? [] : [[name, String(answer[name])]]));
      wanted.set(
        `bank:online:{${entity}}:${String(answer[entity])}`,
        Object.fromEntries(fields) as Record<string, string>,
      );
    }
  }
  return wanted;
}

async function stored(): Promise<Map<string, Record<string, string>>> {
  const found = new Map<string, Record<string, string>>();
  for (const key of await redis.keys('bank:online:*')) {
    const fields = Object.entries(await redis.hgetall(key)).filter(([name]) => !name.startsWith('@'));
    found.set(key, Object.fromEntries(fields));
  }
  return found;
}

const inOrder = (hashes: Map<string, Record<string, string>>): [string, Record<string, string>][] =>
  [...hashes].toSorted(([a], [b]) => a.localeCompare(b));
const patience = { timeout: 120_000, interval: 100 };

describe('feature values that a job keeps online', { timeout: 240_000 }, () => {
  it('are those of the last record of each key, of every entity, also after kills, and when the topic has gone quiet', async () => {
    await produce(0, 500);
    for (let kill = 0; kill < 3; kill++) {
      await using worker = Program.start(main, 'run', job, '--profile', 'cluster', '--dir', join(dir, 'data'));
      await expect.poll(async () => (await redis.keys('bank:online:*')).length, patience).toBe(16);
      await produce(500 + kill * 100, 600 + kill * 100);
      // Killed while it works on them, or right after it has committed them.
      await answers(500 + kill * 100 + 1 + 49 * kill);
      await worker.kill();
    }
    await using worker = Program.start(main, 'run', job, '--profile', 'cluster', '--dir', join(dir, 'data'));
    const wanted = wantedOf(await answers(800));
    expect(wanted.size).toBe(16);
    await expect.poll(async () => inOrder(await stored()), patience).toEqual(inOrder(wanted));
    await worker.kill();
  });

  it('are refused in words where there is no Redis', async () => {
    await using local = Program.start(main, 'run', job, '--trigger', 'availableNow', '--dir', join(dir, 'local'));
    const { exitCode, errors } = await local.end();
    expect(exitCode).toBe(1);
    expect(errors).toContain('ONLINE_NEEDS_REDIS');
  });
});
