import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import kafka from '@confluentinc/kafka-javascript';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { connectRedis, type RedisClient } from '../../engine/state/redis/connect-redis.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { loadJob } from '../../jobs/load-job.ts';
import type { CheckResult } from '../../jobs/runtime/cluster/checklist.ts';
import type { ClusterSettings } from '../../jobs/runtime/cluster/cluster-settings.ts';
import { openClusterRun } from '../../jobs/runtime/run-cluster.ts';
import { preflight } from '../../jobs/runtime/preflight.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const quiet = { info: (): void => undefined, warn: (): void => undefined, error: (): void => undefined };

let dir: string;
let broker: KafkaService;
let redis: RedisService;
let client: RedisClient;
let kafkaSettings: KafkaSettings;
let settings: ClusterSettings;
let jobs = 0;
let name = '';

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-preflight-'));
  broker = await startKafka({ dir: join(dir, 'kafka') });
  redis = await startRedis({ dir: join(dir, 'redis') });
  const { host, port } = redis;
  client = connectRedis({ topology: { kind: 'single', host, port } }, () => undefined);
  kafkaSettings = { brokers: [broker.bootstrap], clientId: 'test', connectTimeoutMs: 3_000 };
  settings = {
    kafka: { client: kafkaSettings, replicas: null, sessionTimeoutMs: null },
    redis: { topology: { kind: 'single', host, port }, commandTimeoutMs: 3_000 },
    clickHouse: null,
    schemaRegistry: null,
    workingSetBytes: 1e9,
  };
});

beforeEach(() => {
  name = `job${jobs++}`;
});

afterAll(async () => {
  client.disconnect();
  await redis.kill();
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

function writeJob(changes: string): string {
  const folder = join(dir, name);
  for (const sub of ['jobs', 'features']) mkdirSync(join(folder, sub), { recursive: true });
  writeFileSync(join(folder, 'features/card.yaml'), 'entity: card\nfeatures: { n: { count: true, over: 1h } }\n');
  const file = join(folder, 'jobs/job.yaml');
  writeFileSync(
    file,
    `job: ${name}
source:
  topic: ${name}.in
  fields: { card: string, at: timestamp }
  key: card
  eventTime: { field: at, delay: 1s }
features: [card]
deadLetters: { topic: ${name}.bad }
${changes}`,
  );
  return file;
}

async function jobOf(changes = `sinks: [{ topic: ${name}.out }]\n`): Promise<CheckedJob> {
  const outcome = await loadJob(writeJob(changes));
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

async function topic(suffix: string, partitions: number, topicSettings: Record<string, string> = {}): Promise<void> {
  using admin = new KafkaAdmin(kafkaSettings);
  await admin.createTopic({ topic: `${name}.${suffix}`, partitions, settings: topicSettings });
}

async function produce(count: number): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': broker.bootstrap, 'enable.idempotence': true });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  for (let i = 0; i < count; i++) {
    const record = { card: `c${i % 5}`, at: 1_700_000_000_000 + i };
    producer.produce(`${name}.in`, i % 2, Buffer.from(JSON.stringify(record)), record.card);
  }
  await kafkaCall<void>((done) => producer.flush(30_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

async function checks(job: CheckedJob, changes: Partial<ClusterSettings> = {}): Promise<readonly CheckResult[]> {
  return preflight(job, {
    settings: { ...settings, ...changes },
    modelsDirectory: join(dir, 'models'),
    clock: systemClock,
    purpose: 'examine',
    threads: 64,
  });
}

/** What was refused: the thing, the error's code, and that the words name the place and a way out. */
function refused(results: readonly CheckResult[]): string[] {
  return results.flatMap(({ thing, outcome, code }) => (outcome === 'refused' ? [`${thing}: ${code ?? ''}`] : []));
}

/** Runs the job over what is there, as one worker. */
async function workOff(job: CheckedJob): Promise<void> {
  const never = new AbortController().signal;
  const profile = { settings, modelsDirectory: dir, logger: quiet, clock: systemClock };
  await using run = await openClusterRun(job, profile, never);
  await run.run('availableNow', never);
}

describe('the checks before a job starts on a cluster', () => {
  it('find all in order, and say what will be made', async () => {
    await topic('in', 2);
    const job = await jobOf();
    const before = await checks(job);
    expect(before.map(({ thing, outcome }) => [thing, outcome])).toEqual([
      ['settings', 'ok'],
      ['Kafka', 'ok'],
      [`input topic ${name}.in`, 'ok'],
      [`topic ${name}.out (results)`, 'ok'],
      [`topic ${name}.bad (dead letters)`, 'ok'],
      ['transactions', 'ok'],
      ['Redis', 'ok'],
      ['Redis on disk', 'ok'],
      [`positions in ${name}.in`, 'ok'],
      ['threads', 'ok'],
    ]);
    expect(before[3]?.words).toContain('makes it, with 2 partitions');
    await produce(100);
    await workOff(job);
    await produce(10);
    const after = await checks(job);
    expect(refused(after)).toEqual([]);
    expect(after[3]?.words).toBe('2 partitions');
    expect(after[8]?.words).toBe('10 records to read, 0 to replay first; the log holds them');
  });

  it('refuse everything that is wrong at once', async () => {
    await topic('in', 2, { 'cleanup.policy': 'compact' });
    await topic('out', 3);
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    try {
      const results = await checks(
        await jobOf(
          `score: { model: nobody@champion }\nsinks: [{ topic: ${name}.out }, { clickhouse: predictions }]\n`,
        ),
        { clickHouse: { url: 'http://127.0.0.1:1' } },
      );
      expect(refused(results)).toEqual([
        `input topic ${name}.in: TOPIC_COMPACTED`,
        `topic ${name}.out (results): TOPIC_PARTITIONS_WRONG`,
        'Redis: REDIS_EVICTS',
        'model nobody@champion: MODEL_UNKNOWN',
        'ClickHouse: CLICKHOUSE_UNAVAILABLE',
      ]);
      expect(results.filter(({ outcome }) => outcome === 'not looked at')).toHaveLength(3);
    } finally {
      await client.config('SET', 'maxmemory-policy', 'noeviction');
    }
  });

  it('refuse an input that is not there, and one whose records are gone before the state is written', async () => {
    expect(refused(await checks(await jobOf()))).toEqual([`input topic ${name}.in: TOPIC_MISSING`]);
    await topic('in', 2, { 'retention.ms': '500' });
    expect(refused(await checks(await jobOf()))).toEqual([`input topic ${name}.in: RETENTION_TOO_SHORT`]);
  });

  it('warn where lost state could not be rebuilt, and where Redis would lose it', async () => {
    await topic('in', 2, { 'retention.ms': '600000' });
    await client.config('SET', 'appendonly', 'no');
    try {
      const results = await checks(await jobOf());
      expect(refused(results)).toEqual([]);
      const toRead = results.filter(({ outcome }) => outcome === 'warned').map(({ words }) => words);
      expect(toRead).toEqual([
        expect.stringContaining('features reach 1h back'),
        expect.stringContaining('appendonly'),
      ]);
    } finally {
      await client.config('SET', 'appendonly', 'yes');
    }
  });

  it('refuse a log that no longer reaches back to where the job stands, and a topic that grew', async () => {
    await topic('in', 2);
    const job = await jobOf();
    await produce(100);
    await workOff(job);
    const admin = kafka.AdminClient.create({ 'bootstrap.servers': broker.bootstrap });
    await produce(100);
    const gone = [{ topic: `${name}.in`, partition: 1, offset: 60 }];
    await kafkaCall<kafka.DeleteRecordsResult[]>((done) => admin.deleteRecords(gone, {}, done));
    const truncated = await checks(job);
    expect(refused(truncated)).toEqual([`positions in ${name}.in: LOG_TRUNCATED`]);
    expect(truncated.find(({ code }) => code !== null)?.words).toMatch(/partition 1 from offset 50.*begins at 60/);
    await kafkaCall<void>((done) => admin.createPartitions(`${name}.in`, 3, 10_000, (error) => done(error, undefined)));
    admin.disconnect();
    const grown = await checks(job);
    expect(refused(grown)).toEqual([
      `topic ${name}.out (results): TOPIC_PARTITIONS_WRONG`,
      `positions in ${name}.in: TOPIC_PARTITIONS_CHANGED`,
    ]);
  });

  it('say in words that a service is not reached, and look at nothing that rests on it', async () => {
    await topic('in', 2);
    const job = await jobOf();
    const nowhere: ClusterSettings['kafka'] = {
      client: { brokers: ['127.0.0.1:1'], clientId: 'test', connectTimeoutMs: 1_000 },
      replicas: null,
      sessionTimeoutMs: null,
    };
    const noRedis = { topology: { kind: 'single', host: '127.0.0.1', port: 1 }, commandTimeoutMs: 1_000 } as const;
    const results = await checks(job, { kafka: nowhere, redis: noRedis });
    expect(refused(results)).toEqual(['Kafka: KAFKA_UNAVAILABLE', 'Redis: REDIS_UNAVAILABLE']);
    expect(results.find(({ thing }) => thing === 'Kafka')?.words).toContain('127.0.0.1:1');
    expect(refused(await checks(job, { kafka: null, redis: null }))).toEqual(['settings: SETTING_MISSING']);
  });

  it('are what sluice doctor prints, and what sluice run refuses to start over', async () => {
    const file = writeJob(`sinks: [{ topic: ${name}.out }]\n`);
    for (const command of [
      ['doctor', file],
      ['run', file, '--profile', 'cluster'],
    ]) {
      const child = spawn(process.execPath, ['--import', 'tsx', 'cli/main.ts', ...command], {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          NO_COLOR: '1',
          SLUICE_KAFKA_BROKERS: broker.bootstrap,
          SLUICE_REDIS_URL: `redis://nobody:hunter2@${redis.host}:${redis.port}`,
        },
      });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number | null];
      expect([code, output]).toEqual([1, expect.stringContaining('error PREFLIGHT_REFUSED')]);
      expect(output).toContain('TOPIC_MISSING');
      expect(output).toContain('REDIS_REFUSED');
      expect(output).not.toContain('hunter2');
    }
  });
});
