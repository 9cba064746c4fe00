import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import kafka from '@confluentinc/kafka-javascript';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { messageValue } from '../../engine/record/message-batch.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';

const partitions = 4;
const cards = 50;
const root = fileURLToPath(new URL('../..', import.meta.url));

let dir: string;
let broker: KafkaService;
let redis: RedisService;
let settings: KafkaSettings;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-run-cluster-'));
  broker = await startKafka({ dir: join(dir, 'kafka'), settings: { 'group.min.session.timeout.ms': '1000' } });
  redis = await startRedis({ dir: join(dir, 'redis') });
  settings = { brokers: [broker.bootstrap], clientId: 'test' };
});

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});

afterAll(async () => {
  await redis.kill();
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

/** A job of its own, with a topic that has the input's partitions; gives the job file's path. */
async function newJob(name: string, features: 'of the card' | 'of two entities' = 'of the card'): Promise<string> {
  const folder = join(dir, name);
  for (const sub of ['jobs', 'features']) mkdirSync(join(folder, sub), { recursive: true });
  writeFileSync(
    join(folder, 'features/card.yaml'),
    `entity: card
features:
  count_30d: { count: true, over: 30d, current: include }
  sum_30d: { sum: amount, over: 30d, current: include }
`,
  );
  writeFileSync(
    join(folder, 'features/shop.yaml'),
    `entity: shop
features:
  shop_count_30d: { count: true, over: 30d, current: include }
  shop_share: { expr: shop_count_30d / count_30d }
`,
  );
  const file = join(folder, 'jobs/job.yaml');
  writeFileSync(
    file,
    `job: ${name}
app: shop
source:
  topic: ${name}.in
  fields: { id: string, card: string, shop: string, at: timestamp, amount: double }
  key: card
  eventTime: { field: at, delay: 1s }
features: ${features === 'of the card' ? '[card]' : '[card, shop]'}
sinks: [{ topic: ${name}.out }]
deadLetters: { topic: ${name}.bad }
state: { flushEvery: 200ms }
`,
  );
  using admin = new KafkaAdmin(settings);
  await admin.createTopic({ topic: `${name}.in`, partitions });
  return file;
}

/**
 * Sends records `[from, to)`: a card always to the same partition, its amounts 1, 2, 3 … Idempotent: a send that is made again (the topic is new, and has no leader
 * yet) would otherwise come after those that followed it.
 */
async function produce(name: string, from: number, to: number, further: readonly string[] = []): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': broker.bootstrap, 'enable.idempotence': true });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  for (let i = from; i < to; i++) {
    const card = i % cards;
    const shop = `s${i % 7}`;
    const record = {
      id: `r${i}`,
      card: `c${card}`,
      shop,
      at: 1_700_000_000_000 + i * 1_000,
      amount: Math.floor(i / cards) + 1,
    };
    producer.produce(`${name}.in`, card % partitions, Buffer.from(JSON.stringify(record)), record.card);
  }
  for (const text of further) producer.produce(`${name}.in`, 0, Buffer.from(text), null);
  await kafkaCall<void>((done) => producer.flush(30_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

interface Answer {
  readonly id: string;
  readonly card: string;
  readonly features: { readonly count_30d: number; readonly sum_30d: number };
}

interface ShopAnswer {
  readonly id: string;
  readonly features: { readonly shop_count_30d: number };
}

/** What committed readers see of a topic as it grows. */
class Reader {
  readonly values: string[] = [];
  readonly #source: KafkaSource;

  private constructor(source: KafkaSource) {
    this.#source = source;
  }

  /** Opens a topic once it is there. */
  static async open(topic: string): Promise<Reader> {
    using admin = new KafkaAdmin(settings);
    const isThere = async (): Promise<boolean> => (await admin.partitionCount(topic)) === partitions;
    await vi.waitUntil(isThere, { timeout: 100_000, interval: 200 });
    const source = await KafkaSource.open({ settings, topic, partitions: 'all' });
    await source.seek(Array.from({ length: partitions }, (_, partition) => ({ partition, offset: 0 })));
    return new Reader(source);
  }

  async until(isEnough: (values: readonly string[]) => boolean): Promise<void> {
    while (!isEnough(this.values)) await this.#poll();
  }

  /** Reads on as far as committed readers can come now. */
  async toEnd(): Promise<void> {
    for (const { partition, endOffset } of await this.#source.ranges()) {
      while ((this.#source.positions().find((at) => at.partition === partition)?.offset ?? 0) < endOffset) {
        await this.#poll();
      }
    }
  }

  async #poll(): Promise<void> {
    const polled = await this.#source.poll({ maxRecords: 2_000, maxWaitMs: 200 });
    if (polled?.kind !== 'messages') return;
    const { messages } = polled;
    for (let i = 0; i < messages.messageCount; i++) this.values.push(Buffer.from(messageValue(messages, i)).toString());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }
}

/** The command in a process of its own, from source; its output goes on as it comes. */
class Sluice {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, ['--import', 'tsx', 'cli/main.ts', ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NO_COLOR: '1',
        UV_THREADPOOL_SIZE: '32',
        SLUICE_KAFKA_BROKERS: broker.bootstrap,
        SLUICE_REDIS_URL: `redis://${redis.host}:${redis.port}`,
        ...environment,
      },
    });
    running.add(this.child);
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = once(this.child, 'close').then(([code]) => {
      running.delete(this.child);
      return code as number | null;
    });
  }

  /** The figures that it ended with. */
  get figures(): Readonly<Record<string, number | null>> {
    const line = this.stdout.trimEnd().split('\n').at(-1) ?? '';
    if (!line.startsWith('{')) throw new Error(`the command ended without figures:\n${this.stderr}`);
    return JSON.parse(line) as Readonly<Record<string, number | null>>;
  }
}

const run = (job: string, ...args: readonly string[]): Sluice =>
  new Sluice(['run', job, '--profile', 'cluster', ...args]);

/** Every record is answered once, with its card's count and sum up to it. */
function expectAnsweredOnce(values: readonly string[], count: number): void {
  const answers = values.map((value) => JSON.parse(value) as Answer);
  expect(answers).toHaveLength(count);
  const byId = new Map(answers.map((answer) => [answer.id, answer]));
  for (let i = 0; i < count; i++) {
    const n = Math.floor(i / cards) + 1;
    expect(byId.get(`r${i}`)?.features).toMatchObject({ count_30d: n, sum_30d: (n * (n + 1)) / 2 });
  }
}

describe('sluice run --profile cluster', () => {
  it('answers each record once over two workers, a kill, a stop and a new start', async () => {
    const job = await newJob('payments');
    await produce('payments', 0, 4_000, ['{"id": "bad"']);
    const first = run(job, '--workers', '2');
    const reader = await Reader.open('payments.out');
    await reader.until(({ length }) => length >= 1_000);
    const workers = await childrenOf(first.child);
    expect(workers).toHaveLength(2);
    process.kill(workers[0] ?? 0, 'SIGKILL');
    await produce('payments', 4_000, 8_000);
    await reader.until(({ length }) => length >= 8_000);
    first.child.kill('SIGTERM');
    expect([await first.ended, first.stderr]).toEqual([
      0,
      expect.stringContaining('has died by SIGKILL and is started again'),
    ]);
    expect(first.stderr).toContain('created topic payments.out');

    const second = run(job, '--workers', '2');
    await produce('payments', 8_000, 9_000);
    await reader.until(({ length }) => length >= 9_000);
    second.child.kill('SIGTERM');
    expect(await second.ended).toBe(0);
    expect(second.figures).toMatchObject({ read: 1_000, scored: 1_000, deadLettered: 0, late: 0 });
    await reader.toEnd();
    expectAnsweredOnce(reader.values, 9_000);
    await reader[Symbol.asyncDispose]();
    const bad = await Reader.open('payments.bad');
    await bad.toEnd();
    expect(bad.values.map((value) => (JSON.parse(value) as { readonly stage: string }).stage)).toEqual(['decode']);
    await bad[Symbol.asyncDispose]();
  }, 400_000);

  it("answers each record once over two stages, for features of an entity that is not the topic's key", async () => {
    const job = await newJob('entities', 'of two entities');
    await produce('entities', 0, 2_000);
    const first = run(job, '--workers', '2');
    const reader = await Reader.open('entities.out');
    await reader.until(({ length }) => length >= 500);
    const [victim = 0] = await childrenOf(first.child);
    process.kill(victim, 'SIGKILL');
    await reader.until(({ length }) => length >= 2_000);
    await produce('entities', 2_000, 3_000);
    await reader.until(({ length }) => length >= 3_000);
    // When all others are answered, one more of each shop: whichever partition they come from, it counts all of them.
    await produce('entities', 3_000, 3_007);
    await reader.until(({ length }) => length >= 3_007);
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    await reader.toEnd();
    expectAnsweredOnce(reader.values, 3_007);
    const answers = reader.values.map((value) => JSON.parse(value) as ShopAnswer);
    for (const { id, features } of answers) {
      const index = Number(id.slice(1));
      const known = Math.floor(index / 7) + 1;
      if (index < 3_000) expect(features.shop_count_30d).toBeLessThanOrEqual(known);
      else expect([id, features.shop_count_30d]).toEqual([id, known]);
    }
    await reader[Symbol.asyncDispose]();
  }, 400_000);

  it('ends all of its workers, by the name of the error, where waiting mends nothing', async () => {
    const job = await newJob('stops');
    writeFileSync(job, readFileSync(job, 'utf8').replace('deadLetters: { topic: stops.bad }', 'deadLetters: fail'));
    await produce('stops', 0, 200, ['{"id": "bad"']);
    const child = run(job, '--workers', '2');
    expect(await child.ended).toBe(1);
    expect(child.stderr).toContain('error BAD_RECORD');
    expect(child.stderr).toContain('error WORKER_FAILED');
    expect(child.stdout).toBe('');
    // Nothing of the batch that holds it was committed, and the others were worked on.
    const reader = await Reader.open('stops.out');
    await reader.toEnd();
    expect(new Set(reader.values).size).toBe(reader.values.length);
    await reader[Symbol.asyncDispose]();
  }, 300_000);

  it('works off what is there and ends, and finds nothing to do the next time', async () => {
    const job = await newJob('nightly');
    await produce('nightly', 0, 2_000);
    const first = run(job, '--trigger', 'availableNow');
    expect([await first.ended, first.figures]).toMatchObject([0, { read: 2_000, scored: 2_000, replayed: 0 }]);
    const again = run(job, '--trigger', 'availableNow');
    expect([await again.ended, again.figures]).toMatchObject([0, { read: 0, replayed: 0 }]);
    const reader = await Reader.open('nightly.out');
    await reader.toEnd();
    expectAnsweredOnce(reader.values, 2_000);
    await reader[Symbol.asyncDispose]();
  }, 300_000);

  // The last one: the others need the broker.
  it('ends in time, and says why so, when it is told to while the broker is gone for good', async () => {
    const job = await newJob('bereft');
    await produce('bereft', 0, 20_000);
    const child = run(job, '--workers', '2', '--stop-timeout', '3s');
    const reader = await Reader.open('bereft.out');
    await reader.until(({ length }) => length >= 500);
    await reader[Symbol.asyncDispose]();
    const workers = await childrenOf(child.child);
    await broker.kill();
    child.child.kill('SIGTERM');
    // Whoever had a transaction open cannot know what became of it, and its client does not return.
    expect(await child.ended).toBe(1);
    expect(child.stderr).toContain('STOP_TIMED_OUT');
    expect(child.stderr).toMatch(/error WORKER_FAILED: worker \d must end in good order; it ended by SIGKILL/);
    for (const worker of workers) expect(() => process.kill(worker, 0)).toThrow('ESRCH');
  }, 300_000);
});

/** The processes that a process has started. */
async function childrenOf({ pid = 0 }: ChildProcess): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').map(Number);
}
