import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClickHouse } from '../../engine/clickhouse/create-clickhouse.ts';
import { startConfluentServer, type ConfluentServer } from '../../engine/serde/testing/confluent-server.ts';
import { startClickHouse, type ClickHouseService } from '../../tools/services/start-clickhouse.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';
import { newCardJob, produceCards, SluiceCommand, type CardServices } from './card-job.ts';

const records = 3_000;
const cards = 50;

let dir: string;
let broker: KafkaService;
let redis: RedisService;
let clickHouse: ClickHouseService;
let registry: ConfluentServer;
let services: CardServices;
const commands: SluiceCommand[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-avro-sink-'));
  broker = await startKafka({ dir: join(dir, 'kafka'), settings: { 'group.min.session.timeout.ms': '1000' } });
  redis = await startRedis({ dir: join(dir, 'redis') });
  mkdirSync(join(dir, 'clickhouse'));
  clickHouse = await startClickHouse({ dir: join(dir, 'clickhouse') });
  registry = await startConfluentServer();
  const environment = {
    SLUICE_KAFKA_BROKERS: broker.bootstrap,
    SLUICE_REDIS_URL: `redis://${redis.host}:${redis.port}`,
    SLUICE_CLICKHOUSE_URL: clickHouse.url,
    SLUICE_SCHEMA_REGISTRY_URL: registry.url,
  };
  services = { dir, bootstrap: broker.bootstrap, environment };
});

afterEach(() => {
  for (const command of commands.splice(0)) command[Symbol.dispose]();
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await clickHouse.kill();
  await redis.kill();
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

async function ask<T>(question: (client: ReturnType<typeof createClickHouse>) => Promise<T>): Promise<T> {
  const client = createClickHouse({ url: clickHouse.url });
  try {
    return await question(client);
  } finally {
    await client.close();
  }
}

const rows = (query: string): Promise<unknown[]> =>
  ask(async (client) => (await client.query({ query, format: 'JSONEachRow' })).json());

function start(...args: readonly string[]): SluiceCommand {
  const command = new SluiceCommand(services, args);
  commands.push(command);
  return command;
}

describe('a job that answers in Avro, and the sink job that copies its answers', () => {
  it('have each answer in one row of a table in another database, though the registry was away and the sink was killed', async () => {
    const job = await newCardJob(services, 'avro');
    writeFileSync(job, readFileSync(job, 'utf8').replace('{ topic: avro.out }', '{ topic: avro.out, format: avro }'));
    const answer = async (from: number, to: number): Promise<void> => {
      await produceCards(services, 'avro', from, to);
      const worker = start('run', job, '--profile', 'cluster', '--trigger', 'availableNow');
      expect([await worker.ended, worker.stderr]).toEqual([0, expect.not.stringContaining('"level":50')]);
    };
    await answer(0, records / 2);

    await ask(async (client) => {
      await client.command({ query: 'CREATE DATABASE stats' });
      await client.command({
        query: `CREATE TABLE stats.answers (id String, card LowCardinality(String), amount Float64, features Map(String, Nullable(Float64)),
                  topic_partition UInt32, topic_offset UInt64, topic_timestamp DateTime64(3, 'UTC'))
                ENGINE = ReplacingMergeTree ORDER BY (topic_partition, topic_offset)`,
      });
    });
    const sinkJob = join(dir, 'sink.yaml');
    writeFileSync(sinkJob, 'job: copies\napp: shop\ncopy: [{ topic: avro.out, clickhouse: stats.answers }]\n');
    const first = start('sink', sinkJob);
    // Until somebody has complained of it.
    registry.refuses = (_method, path) =>
      path.startsWith('/schemas/ids/') && !first.stderr.includes('REGISTRY_UNAVAILABLE');
    await expect
      .poll(() => rows('SELECT count() > 0 AS some FROM stats.answers'), { timeout: 120_000 })
      .toEqual([{ some: 1 }]);
    first.child.kill('SIGKILL');
    await first.ended;
    expect(first.stderr).toContain('the schema registry is away; the messages wait in their topic');
    const next = start('sink', sinkJob);
    // The first may have copied all that there was before it died; what comes now is the next one's.
    await answer(records / 2, records);
    const all = 'SELECT count() AS rows FROM stats.answers FINAL';
    await expect.poll(() => rows(all), { timeout: 120_000 }).toEqual([{ rows: records }]);
    next.child.kill('SIGTERM');
    expect([await next.ended, next.stderr]).toEqual([0, '']);

    // What each card has at its n-th record: n records, and the sum of 1 to n.
    const wrong = `
      SELECT count() AS wrong FROM (
        SELECT toUInt32(substring(id, 2)) AS number, intDiv(number, ${cards}) + 1 AS n, features, amount, card FROM stats.answers FINAL)
      WHERE card != concat('c', toString(number % ${cards})) OR amount != n OR features['count_30d'] != n OR features['sum_30d'] != n * (n + 1) / 2`;
    expect(await rows(wrong)).toEqual([{ wrong: 0 }]);
    expect(await rows('SELECT uniqExact(id) AS ids FROM stats.answers')).toEqual([{ ids: records }]);
  });
});
