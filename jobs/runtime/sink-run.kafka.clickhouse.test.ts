import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafka from '@confluentinc/kafka-javascript';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startClickHouse, type ClickHouseService } from '../../tools/services/start-clickhouse.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { createClickHouse } from '../../engine/clickhouse/create-clickhouse.ts';
import { applyMigrations } from '../../engine/clickhouse/migrations.ts';
import { predictionMessages } from '../../engine/sink/clickhouse/testing/predictions.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import { Program } from '../../engine/storage/testing/program.ts';
import type { SinkProgramSettings } from '../testing/sink-program.ts';

const program = new URL('../testing/sink-program.ts', import.meta.url);
const partitions = 2;

let dir: string;
let broker: KafkaService;
let clickHouse: ClickHouseService;
let clickHouseDir: string;
let topic: string;
let topics = 0;
let producer: kafka.Producer;
const workers: Program[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-sink-'));
  broker = await startKafka({ dir: join(dir, 'kafka'), settings: { 'group.min.session.timeout.ms': '1000' } });
});

beforeEach(async () => {
  topic = `predictions-${topics++}`;
  clickHouseDir = join(dir, topic);
  mkdirSync(clickHouseDir);
  clickHouse = await startClickHouse({ dir: clickHouseDir });
  await ask(async (client) => applyMigrations(client));
  using admin = new KafkaAdmin({ brokers: [broker.bootstrap], clientId: 'test' });
  await admin.createTopic({ topic, partitions });
  producer = new kafka.Producer({
    'bootstrap.servers': broker.bootstrap,
    'transactional.id': topic,
    // Large messages are to fill the queues in a moment, not the broker's disk.
    'queue.buffering.max.kbytes': 262_144,
  });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  await inTransaction((done) => producer.initTransactions(30_000, done));
});

afterEach(async () => {
  for (const worker of workers.splice(0)) await worker[Symbol.asyncDispose]();
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
  await clickHouse.kill();
});

afterAll(async () => {
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

function rows(query: string): Promise<unknown[]> {
  return ask(async (client) => (await client.query({ query, format: 'JSONEachRow' })).json());
}

const inTransaction = (call: (done: (error: unknown) => void) => unknown): Promise<void> =>
  kafkaCall<void>((done) => call((error) => done(error, undefined)));

/** Publishes predictions `[first, first + count)` in transactions of `size`, with one that is aborted, of numbers that never come, after each third. */
async function publish(first: number, count: number, size = 100, padding = ''): Promise<void> {
  for (let at = first; at < first + count; at += size) {
    await transaction(at, Math.min(size, first + count - at), 'commit', padding);
    if ((at / size) % 3 === 2) await transaction(1e9 + at, 5, 'abort');
  }
}

async function transaction(first: number, count: number, end: 'commit' | 'abort', padding = ''): Promise<void> {
  await inTransaction((done) => producer.beginTransaction(done));
  for (const { partition = 0, key, value } of predictionMessages(first, count)) {
    const text = padding === '' ? String(value) : `${String(value).slice(0, -1)},"padding":"${padding}"}`;
    producer.produce(topic, partition, Buffer.from(text), String(key));
  }
  await inTransaction((done) => producer.flush(30_000, done));
  await inTransaction((done) =>
    end === 'commit' ? producer.commitTransaction(30_000, done) : producer.abortTransaction(30_000, done),
  );
}

function start(changes: Partial<SinkProgramSettings> = {}): Program {
  const settings: SinkProgramSettings = {
    brokers: [broker.bootstrap],
    clickHouseUrl: clickHouse.url,
    name: `sink-${topic}`,
    copies: [{ topic, table: 'predictions' }],
    sessionTimeoutMs: 2_000,
    bounds: { chunkRows: 150, chunkMs: 20 },
    ...changes,
  };
  const worker = Program.start(program, JSON.stringify(settings));
  workers.push(worker);
  return worker;
}

/** Until each partition has been seen to be at its end since `start`. */
async function untilNoLag(worker: Program): Promise<void> {
  const done = new Set<string>();
  while (done.size < partitions) {
    const [name = '', partition = '', , lag] = (await worker.expect('chunk')).split(' ');
    if (lag === '0') done.add(`${name} ${partition}`);
  }
}

/** Rows and committed messages are one to one (I7): every number once, at the position that the topic gives it. */
async function expectCopied(count: number): Promise<void> {
  const summary = `
    SELECT count() AS rows, uniqExact(transaction_id) AS transactions, uniqExact(topic_partition, topic_offset) AS positions,
           max(source_offset) + 1 AS reach, sum(amount) AS amount
    FROM predictions FINAL`;
  expect(await rows(summary)).toEqual([
    { rows: count, transactions: count, positions: count, reach: count / 2, amount: (count * (count - 1)) / 8 },
  ]);
  expect(await rows('SELECT sum(predictions) AS predictions FROM alerts_hourly')).toEqual([{ predictions: count }]);
}

const residentMiB = (pid: number): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) / 1024;

describe('a sink job', () => {
  it('copies what is committed, and nothing of what was aborted, up to the end of the topic', async () => {
    await publish(0, 1_000);
    const worker = start();
    await untilNoLag(worker);
    await expectCopied(1_000);
    worker.signal('SIGTERM');
    expect(await worker.end()).toMatchObject({ exitCode: 0 });
    // The next one goes on behind them; counted without FINAL, so that a row that came twice would show.
    await publish(1_000, 200);
    const next = start();
    await untilNoLag(next);
    await expectCopied(1_200);
    expect(await rows('SELECT count() AS rows FROM predictions')).toEqual([{ rows: 1_200 }]);
  });

  it('has each committed message in one row, though it is killed again and again', { timeout: 240_000 }, async () => {
    const count = 6_000;
    const published = publish(0, count, 60);
    // Whether a kill strikes in the midst of a chunk is chance; either way the rows must be right.
    for (let kill = 0; kill < 8; kill++) {
      const worker = start({ sessionTimeoutMs: 1_000 });
      for (let chunks = 0; chunks <= (kill * 5) % 7; chunks++) await worker.expect('chunk');
      await worker.kill();
    }
    await published;
    const last = start({ sessionTimeoutMs: 1_000 });
    await untilNoLag(last);
    await expectCopied(count);
  });

  it(
    'waits for a ClickHouse that is away, in bounded memory, and loses and repeats nothing',
    { timeout: 240_000 },
    async () => {
      const worker = start({ bounds: {} });
      await publish(0, 1_000);
      await untilNoLag(worker);
      const { port } = clickHouse;
      await clickHouse.kill();
      // 160 MB wait in the topic, more than a worker may hold.
      const [before, count] = [residentMiB(worker.pid), 17_000];
      await publish(1_000, count - 1_000, 1_000, 'x'.repeat(10_000));
      for (let retries = 0; retries < 12; retries++) await worker.expect('retry CLICKHOUSE_UNAVAILABLE');
      const whileAway = residentMiB(worker.pid);
      clickHouse = await startClickHouse({ dir: clickHouseDir, port });
      await untilNoLag(worker);
      await expectCopied(count);
      expect(whileAway - before).toBeLessThan(256);
      expect(residentMiB(worker.pid) - before).toBeLessThan(512);
    },
  );

  it(
    'shares partitions with other workers, and takes over those of one that stands still',
    { timeout: 120_000 },
    async () => {
      await publish(0, 2_000);
      const [one, two] = [start(), start()];
      await Promise.race([one.expect('chunk'), two.expect('chunk')]);
      one.signal('SIGSTOP');
      const published = publish(2_000, 2_000);
      await untilNoLag(two);
      await published;
      one.signal('SIGCONT');
      await publish(4_000, 500);
      await expect
        .poll(() => rows('SELECT count() AS rows FROM predictions FINAL'), { timeout: 120_000 })
        .toEqual([{ rows: 4_500 }]);
      await expectCopied(4_500);
      for (const worker of [one, two]) {
        worker.signal('SIGTERM');
        expect(await worker.end()).toMatchObject({ exitCode: 0 });
      }
    },
  );

  it('halts the partition whose message the table refuses, goes on with the other, and says so when it ends', async () => {
    await transaction(0, 100, 'commit');
    await inTransaction((done) => producer.beginTransaction(done));
    producer.produce(topic, 1, Buffer.from('{"transaction_id":"bad","source_partition":"one"}'), 'k');
    await inTransaction((done) => producer.commitTransaction(30_000, done));
    const worker = start();
    expect(await worker.expect('error')).toBe('CLICKHOUSE_REFUSED');
    await publish(100, 400);
    await expect
      .poll(() => rows('SELECT count() AS rows FROM predictions FINAL WHERE source_partition = 0'), {
        timeout: 120_000,
      })
      .toEqual([{ rows: 250 }]);
    worker.signal('SIGTERM');
    const { exitCode, errors } = await worker.end();
    expect(exitCode).toBe(1);
    expect(errors).toContain('CLICKHOUSE_REFUSED');
  });

  it('is what the command runs, from its file and the environment, until it is told to end', async () => {
    await publish(0, 200);
    const file = join(clickHouseDir, 'sink.yaml');
    writeFileSync(file, `job: of-command\ncopy: [{ topic: ${topic}, clickhouse: predictions }]\n`);
    process.env['SLUICE_KAFKA_BROKERS'] = broker.bootstrap;
    process.env['SLUICE_CLICKHOUSE_URL'] = clickHouse.url;
    const command = Program.start(new URL('../../cli/main.ts', import.meta.url), 'sink', file);
    workers.push(command);
    await expect
      .poll(() => rows('SELECT count() AS rows FROM predictions FINAL'), { timeout: 120_000 })
      .toEqual([{ rows: 200 }]);
    command.signal('SIGTERM');
    expect(await command.end()).toEqual({ exitCode: 0, signal: null, errors: '' });
  });

  it('names a table, or a topic, that is not there', async () => {
    const noTable = start({ copies: [{ topic, table: 'nowhere' }] });
    expect((await noTable.end()).errors).toContain('ClickHouse must have a table nowhere');
    const noTopic = start({ copies: [{ topic: 'nowhere', table: 'predictions' }] });
    expect((await noTopic.end()).errors).toContain('topic nowhere must be there');
  });
});
