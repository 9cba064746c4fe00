import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import kafka from '@confluentinc/kafka-javascript';
import { lastValueFrom, of } from 'rxjs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ExchangeDecoder, exchangedSchema } from '../../engine/exchange/exchange-decoder.ts';
import { passengers } from '../../engine/exchange/exchange-format.ts';
import { retryTransient } from '../../engine/execution/retry-transient.ts';
import { runSection } from '../../engine/execution/section.ts';
import { messageKey, messageValue } from '../../engine/record/message-batch.ts';
import { toRows } from '../../engine/record/record-batch.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { messageBatchOf, type MessageInput } from '../../engine/storage/message-batch-builder.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { loadJob } from '../../jobs/load-job.ts';
import { featureSection } from '../../jobs/runtime/sections/feature-section.ts';
import { planStages } from '../../jobs/runtime/stages/stages.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';

const partitions = 4;
const exchangePartitions = 3;
const recordCount = 8_000;
const cards = 60;
const root = fileURLToPath(new URL('../..', import.meta.url));

let dir: string;
let broker: KafkaService;
let redis: RedisService;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-exchange-'));
  broker = await startKafka({ dir: join(dir, 'kafka'), settings: { 'group.min.session.timeout.ms': '1000' } });
  redis = await startRedis({ dir: join(dir, 'redis') });
});

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});

afterAll(async () => {
  await redis.kill();
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

const jobText = `job: scoring
app: shop
source:
  topic: payments
  fields: { id: string, card: string, terminal: string?, at: timestamp, amount: double, fraud: boolean }
  key: card
  eventTime: { field: at, delay: 5s }
  duplicates: { by: id, within: 1h }
features: [card, terminal]
sinks: [{ topic: answers }]
deadLetters: { topic: bad }
state: { flushEvery: 200ms }
exchange: { partitions: ${exchangePartitions} }
`;
const cardText = `entity: card
features:
  card_count: { count: true, over: 30d, current: include }
  card_avg: { avg: amount, over: 1h }
  ratio: { expr: amount / card_avg }
`;
const terminalText = `entity: terminal
features:
  terminal_count: { count: true, over: 1h, current: include }
  terminal_risk: { avg: fraud, over: 1h, delay: 5m }
  terminal_ratio: { avg: ratio, over: 1h }
  terminal_large: { count: true, where: ratio > 2, over: 1h }
  risk_of_large: { expr: terminal_risk * ratio }
`;

async function newJob(): Promise<{ readonly file: string; readonly job: CheckedJob }> {
  for (const folder of ['jobs', 'features']) mkdirSync(join(dir, folder), { recursive: true });
  writeFileSync(join(dir, 'features/card.yaml'), cardText);
  writeFileSync(join(dir, 'features/terminal.yaml'), terminalText);
  const file = join(dir, 'jobs/job.yaml');
  writeFileSync(file, jobText);
  const outcome = await loadJob(file);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return { file, job: outcome.job };
}

interface Produced {
  readonly card: string;
  readonly text: string;
}

/** The record of that number: of one terminal more than half of them, out of order by up to 3 s. */
function recordOf(i: number): Produced {
  const card = `c${(i * 7_919) % cards}`;
  const spread = (i * 2_654_435_761) % 1_000;
  const terminal = i % 50 === 0 ? null : spread < 550 ? 'hot' : `t${spread % 17}`;
  const at = 1_700_000_000_000 + i * 1_000 - (spread % 4) * 1_000;
  const text = JSON.stringify({ id: `r${i}`, card, terminal, at, amount: (spread + 1) / 7, fraud: spread % 9 === 0 });
  return { card, text };
}

async function produce(from: number, to: number, further: readonly Produced[]): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': broker.bootstrap });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  const sent = [...Array.from({ length: to - from }, (_, index) => recordOf(from + index)), ...further];
  for (const { card, text } of sent) {
    producer.produce('payments', Number(card.slice(1)) % partitions, Buffer.from(text), card);
  }
  await kafkaCall<void>((done) => producer.flush(30_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

/** What committed readers see of a topic. */
class TopicReader {
  readonly messages: MessageInput[] = [];
  readonly #source: KafkaSource;

  private constructor(source: KafkaSource) {
    this.#source = source;
  }

  static async open(topic: string): Promise<TopicReader> {
    const settings = { brokers: [broker.bootstrap], clientId: 'test' };
    const source = await KafkaSource.open({ settings, topic, partitions: 'all' });
    // A topic that was just made has no leader for a moment.
    const ranges = await retryTransient(
      () => source.ranges(),
      systemClock,
      new AbortController().signal,
      () => undefined,
    );
    await source.seek(ranges.map(({ partition }) => ({ partition, offset: 0 })));
    return new TopicReader(source);
  }

  async until(count: number): Promise<void> {
    while (this.messages.length < count) await this.#poll();
  }

  async toEnd(): Promise<readonly MessageInput[]> {
    for (const { partition, endOffset } of await this.#source.ranges()) {
      while ((this.#source.positions().find((at) => at.partition === partition)?.offset ?? 0) < endOffset) {
        await this.#poll();
      }
    }
    await this.#source[Symbol.asyncDispose]();
    return this.messages;
  }

  async #poll(): Promise<void> {
    const polled = await this.#source.poll({ maxRecords: 2_000, maxWaitMs: 200 });
    if (polled?.kind !== 'messages') return;
    const { messages } = polled;
    for (let i = 0; i < messages.messageCount; i++) {
      this.messages.push({
        partition: messages.partitions[i] ?? 0,
        offset: messages.offsets[i] ?? 0,
        timestampMs: messages.timestampsMs[i] ?? 0,
        key: messageKey(messages, i),
        value: messageValue(messages, i),
      });
    }
  }
}

interface Answer {
  readonly id: string;
  readonly source_partition: number;
  readonly source_offset: number;
  readonly late: boolean;
  readonly degraded: boolean;
  readonly features: Readonly<Record<string, number | null>>;
}

function parsed({ value }: MessageInput): unknown {
  return JSON.parse(Buffer.from(value).toString());
}

/** The features of the second stage as the operators of one process compute them over the exchange as it was written, a partition in one go. */
async function recomputed(job: CheckedJob, exchanged: readonly MessageInput[]): Promise<ReadonlyMap<string, object>> {
  const [, second] = planStages(job);
  if (second === undefined) throw new Error('the job has two stages');
  const { inputSchema: columns, steps } = second;
  const plan = { inputSchema: exchangedSchema(columns), duplicates: null, steps, watermarks: 'kept' } as const;
  const none = { getMany: () => Promise.resolve([]), async *scan() {} };
  const decoder = new ExchangeDecoder({ columns, eventTimeField: 'at' });
  const byPosition = new Map<string, object>();
  for (let partition = 0; partition < exchangePartitions; partition++) {
    const section = featureSection(plan, { state: 'empty', watermarks: new PartitionWatermarks() }, none);
    const messages = messageBatchOf(
      'x',
      exchanged.filter((message) => message.partition === partition),
    );
    await decoder.prepare(messages);
    const { records } = await lastValueFrom(of(decoder.decode(messages).records).pipe(runSection(section)));
    toRows(records).forEach((row, index) => {
      const features = Object.fromEntries(job.features.columns.map(({ name }) => [name, row[name]]));
      byPosition.set(`${row[passengers.inputPartition]}/${records.offsets[index]}`, features);
    });
  }
  return byPosition;
}

/** How many records of each record's terminal are in its hour, itself among them, counted by going through the exchange as it was written. */
function countedByHand(
  positions: readonly string[],
  sentAt: ReadonlyMap<string, Sent>,
): ReadonlyMap<string, number | undefined> {
  const seen = new Map<string, number[]>();
  const counts = new Map<string, number>();
  for (const position of positions) {
    const { terminal, at } = sentAt.get(position) ?? { terminal: null, at: 0 };
    if (terminal === null) continue;
    const times = seen.get(terminal) ?? [];
    seen.set(terminal, times);
    times.push(at);
    counts.set(position, times.filter((time) => time <= at && time > at - 3_600_000).length);
  }
  return counts;
}

/** Where in the job's input each message of the exchange came from. */
async function positionsIn(job: CheckedJob, exchanged: readonly MessageInput[]): Promise<readonly string[]> {
  const decoder = new ExchangeDecoder({ columns: planStages(job)[1]?.inputSchema ?? job.schema, eventTimeField: 'at' });
  const messages = messageBatchOf('x', exchanged);
  await decoder.prepare(messages);
  const { records } = decoder.decode(messages);
  return toRows(records).map((row, index) => `${row[passengers.inputPartition]}/${records.offsets[index]}`);
}

interface Sent {
  readonly id: string;
  readonly terminal: string | null;
  readonly at: number;
}

describe('a job whose features are of two entities, on a cluster', () => {
  it('answers each record once over two workers and a kill, and as the exchange has recorded their order', async () => {
    const { file, job } = await newJob();
    using admin = new KafkaAdmin({ brokers: [broker.bootstrap], clientId: 'test' });
    await admin.createTopic({ topic: 'payments', partitions });
    await produce(0, recordCount / 2, [{ card: 'c1', text: '{"id": "bad"' }]);
    const environment = {
      ...process.env,
      NO_COLOR: '1',
      UV_THREADPOOL_SIZE: '48',
      SLUICE_KAFKA_BROKERS: broker.bootstrap,
      SLUICE_REDIS_URL: `redis://${redis.host}:${redis.port}`,
    };
    const args = ['--import', 'tsx', 'cli/main.ts', 'run', file, '--profile', 'cluster', '--workers', '2'];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: environment });
    running.add(child);
    let stderr = '';
    child.stdout.resume();
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = once(child, 'close');
    while ((await admin.partitionCount('answers')) === null) expect([child.exitCode, stderr]).toEqual([null, stderr]);
    const answers = await TopicReader.open('answers');
    await answers.until(500);
    const [victim] = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim().split(' ');
    process.kill(Number(victim), 'SIGKILL');
    await produce(recordCount / 2, recordCount, [recordOf(recordCount - 1)]);
    await answers.until(recordCount);
    child.kill('SIGTERM');
    await ended;
    running.delete(child);

    const published = (await answers.toEnd()).map((message) => parsed(message) as Answer);
    const ids = published.map(({ id }) => id);
    expect(ids.toSorted()).toEqual(Array.from({ length: recordCount }, (_, i) => `r${i}`).toSorted());
    const input = await (await TopicReader.open('payments')).toEnd();
    const sentAt = new Map(
      input.flatMap((message) => {
        const text = Buffer.from(message.value).toString();
        const position = `${message.partition}/${message.offset}`;
        return text.endsWith('}') ? [[position, JSON.parse(text) as Sent] as const] : [];
      }),
    );
    const positionOf = (answer: Answer): string => `${answer.source_partition}/${answer.source_offset}`;
    for (const answer of published) expect(sentAt.get(positionOf(answer))?.id).toBe(answer.id);
    const bad = await (await TopicReader.open('bad')).toEnd();
    expect(bad.map((message) => parsed(message))).toMatchObject([{ topic: 'payments', stage: 'decode' }]);

    const exchanged = await (await TopicReader.open('shop.scoring.exchange.terminal')).toEnd();
    expect(exchanged).toHaveLength(recordCount);
    const arrivals = new Map<string, number | undefined>(
      input.map(({ partition, offset, timestampMs }) => [`${partition}/${offset}`, timestampMs]),
    );
    const positions = await positionsIn(job, exchanged);
    const byHand = countedByHand(positions, sentAt);
    const asRecorded = await recomputed(job, exchanged);
    for (const answer of published) {
      const position = positionOf(answer);
      expect(answer.features).toEqual(asRecorded.get(position));
      expect([answer.late, answer.degraded]).toEqual([false, false]);
      if (byHand.has(position)) expect(answer.features['terminal_count']).toBe(byHand.get(position));
    }
    positions.forEach((position, index) => {
      expect(exchanged[index]?.timestampMs).toBe(arrivals.get(position));
    });
  }, 300_000);
});
