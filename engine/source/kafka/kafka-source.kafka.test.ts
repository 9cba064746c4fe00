import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafka from '@confluentinc/kafka-javascript';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startKafka, type KafkaService } from '../../../tools/services/start-kafka.ts';
import { messageKey, messageValue } from '../../record/message-batch.ts';
import { sourceConformance } from '../source.conformance.ts';
import type { PartitionOffset } from '../source.ts';
import { KafkaAdmin } from './kafka-admin.ts';
import { kafkaCall } from './kafka-failure.ts';
import type { KafkaSettings } from './kafka-settings.ts';
import { KafkaSource } from './kafka-source.ts';

let dir: string;
let broker: KafkaService;
let settings: KafkaSettings;
let topics = 0;
const opened: AsyncDisposable[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-source-'));
  broker = await startKafka({ dir });
  settings = { brokers: [broker.bootstrap], clientId: 'test' };
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((thing) => thing[Symbol.asyncDispose]()));
});

afterAll(async () => {
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

async function newTopic(partitions: number, topicSettings: Record<string, string> = {}): Promise<string> {
  using admin = new KafkaAdmin(settings);
  const topic = `source-${topics++}`;
  expect(await admin.createTopic({ topic, partitions, settings: topicSettings })).toBe('created');
  return topic;
}

async function open(topic: string, partitions: readonly number[] | 'all' = 'all'): Promise<KafkaSource> {
  const source = await KafkaSource.open({ settings, topic, partitions });
  opened.push(source);
  return source;
}

/** Polls until `count` records have come, and says what they were. */
async function take(source: KafkaSource, count: number, maxRecords = 1_000): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const polled = await source.poll({ maxRecords, maxWaitMs: 100 });
    if (polled === null || polled.kind !== 'messages') continue;
    const { messages } = polled;
    expect(messages.messageCount).toBeLessThanOrEqual(maxRecords);
    for (let i = 0; i < messages.messageCount; i++) {
      const value = Buffer.from(messageValue(messages, i)).toString();
      seen.push(`${messages.partitions[i]}/${messages.offsets[i]} ${value}`);
    }
  }
  return seen;
}

interface Sent {
  readonly value: string;
  readonly partition?: number;
  readonly key?: string;
  readonly timestampMs?: number;
}

async function produce(topic: string, ...messages: readonly Sent[]): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': broker.bootstrap });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  for (const { value, partition = 0, key, timestampMs } of messages) {
    producer.produce(topic, partition, Buffer.from(value), key, timestampMs);
  }
  await kafkaCall<void>((done) => producer.flush(10_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

/** A producer with one transaction after the other; each ends as it says. */
async function transact(
  topic: string,
  ...transactions: readonly (readonly [string, 'commit' | 'abort' | 'leave open'])[]
): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': broker.bootstrap, 'transactional.id': topic });
  opened.push({
    async [Symbol.asyncDispose]() {
      await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
    },
  });
  const call = (start: (done: (error: unknown) => void) => void): Promise<void> =>
    kafkaCall<void>((done) => start((error) => done(error, undefined)));
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  await call((done) => producer.initTransactions(30_000, done));
  for (const [value, fate] of transactions) {
    await call((done) => producer.beginTransaction(done));
    producer.produce(topic, 0, Buffer.from(value));
    await call((done) => producer.flush(10_000, done));
    if (fate === 'commit') await call((done) => producer.commitTransaction(10_000, done));
    if (fate === 'abort') await call((done) => producer.abortTransaction(10_000, done));
  }
}

const from = (...offsets: readonly number[]): readonly PartitionOffset[] =>
  offsets.map((offset, partition) => ({ partition, offset }));

sourceConformance('a Kafka topic', async (partitionCount) => {
  const topic = await newTopic(partitionCount);
  const source = await open(topic);
  return {
    source,
    add: (partition, values) => produce(topic, ...values.map((value) => ({ value, partition }))),
    async [Symbol.asyncDispose]() {},
  };
});

describe('a Kafka topic as a source', () => {
  it('gives keys, values and timestamps as they were sent, from the offset asked for', async () => {
    const topic = await newTopic(1);
    await produce(topic, { value: 'a' }, { value: 'b', key: 'card-7', timestampMs: 1_700_000_000_123 }, { value: '' });
    const source = await open(topic);
    await source.seek(from(1));

    const polled = await source.poll({ maxRecords: 10, maxWaitMs: 5_000 });

    if (polled?.kind !== 'messages') throw new Error('a topic gives messages');
    const { messages } = polled;
    expect(messages.topic).toBe(topic);
    expect([...messages.offsets]).toEqual([1, 2]);
    expect(messages.timestampsMs[0]).toBe(1_700_000_000_123);
    expect([0, 1].map((i) => Buffer.from(messageKey(messages, i)).toString())).toEqual(['card-7', '']);
    expect([0, 1].map((i) => Buffer.from(messageValue(messages, i)).toString())).toEqual(['b', '']);
  });

  it('gives at most as many as asked for, each once and in order, however it is cut', async () => {
    const topic = await newTopic(2);
    const sent = Array.from({ length: 1_000 }, (_, i) => ({ value: `v${i}`, partition: i % 2 }));
    await produce(topic, ...sent);
    const source = await open(topic);
    await source.seek(from(0, 0));

    const seen = await take(source, sent.length, 37);

    for (const partition of [0, 1]) {
      const own = seen.filter((text) => text.startsWith(`${partition}/`));
      expect(own).toEqual(Array.from({ length: 500 }, (_, i) => `${partition}/${i} v${2 * i + partition}`));
    }
  });

  it('reads only the partitions that are named, and starts over wherever it is told to', async () => {
    const topic = await newTopic(2);
    await produce(topic, { value: 'a' }, { value: 'b' }, { value: 'c', partition: 1 });
    const source = await open(topic);
    await source.seek([{ partition: 0, offset: 0 }]);
    expect(await take(source, 2)).toEqual(['0/0 a', '0/1 b']);
    expect(await source.poll({ maxRecords: 10, maxWaitMs: 200 })).toBeNull();

    await source.seek([{ partition: 0, offset: 1 }]);
    expect(await take(source, 1)).toEqual(['0/1 b']);
    await source.seek([{ partition: 1, offset: 0 }]);
    expect(await take(source, 1)).toEqual(['1/0 c']);
  });

  it('gives null when nothing comes, at once when the signal is aborted', async () => {
    const source = await open(await newTopic(1));
    await source.seek(from(0));
    expect(await source.poll({ maxRecords: 1, maxWaitMs: 20 })).toBeNull();
    expect(await source.poll({ maxRecords: 1, maxWaitMs: 1e6, signal: AbortSignal.abort() })).toBeNull();
  });

  it('shows neither aborted transactions nor what is behind an open one, and counts up to there', async () => {
    const topic = await newTopic(1);
    await transact(topic, ['a', 'commit'], ['b', 'abort'], ['c', 'commit'], ['d', 'leave open']);
    await produce(topic, { value: 'e' });
    const source = await open(topic);
    await source.seek(from(0));

    expect(await take(source, 2)).toEqual(['0/0 a', '0/4 c']);
    expect(await source.poll({ maxRecords: 10, maxWaitMs: 300 })).toBeNull();
    expect(await source.ranges()).toEqual([{ partition: 0, startOffset: 0, endOffset: 6 }]);
  });

  it('knows that it stands at the end though the last offsets are control records', async () => {
    const topic = await newTopic(1);
    await transact(topic, ['a', 'commit'], ['b', 'abort']);
    const source = await open(topic);
    await source.seek(from(0));
    expect(await take(source, 1)).toEqual(['0/0 a']);
    await source.poll({ maxRecords: 10, maxWaitMs: 300 });
    expect(source.positions()).toEqual([{ partition: 0, offset: 4 }]);
    expect(await source.ranges()).toEqual([{ partition: 0, startOffset: 0, endOffset: 4 }]);
  });

  it('halts by name where the log no longer reaches back to the offset, instead of starting elsewhere', async () => {
    const topic = await newTopic(1);
    await produce(topic, ...Array.from({ length: 10 }, (_, i) => ({ value: `v${i}` })));
    const admin = kafka.AdminClient.create({ 'bootstrap.servers': broker.bootstrap });
    await kafkaCall<kafka.DeleteRecordsResult[]>((done) =>
      admin.deleteRecords([{ topic, partition: 0, offset: 5 }], { timeout: 10_000 }, done),
    );
    admin.disconnect();
    const source = await open(topic);
    expect(await source.ranges()).toEqual([{ partition: 0, startOffset: 5, endOffset: 10 }]);

    for (const offset of [3, 11]) {
      await source.seek(from(offset));
      await expect(source.poll({ maxRecords: 10, maxWaitMs: 10_000 })).rejects.toMatchObject({
        code: 'OFFSET_OUT_OF_RANGE',
        retryable: 'permanent',
        message: expect.stringContaining('it holds offsets 5 to 10'),
      });
    }
    await source.seek(from(8));
    expect(await take(source, 2)).toEqual(['0/8 v8', '0/9 v9']);
  });

  it('says so when there is no such topic, or no such partition of it', async () => {
    await expect(open('nowhere')).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
    const topic = await newTopic(2);
    await expect(open(topic, [1, 2])).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: expect.stringContaining('2 partitions'),
    });
  });

  it('stays where it is while the broker is away, and goes on when it is back', async () => {
    const topic = await newTopic(1);
    await produce(topic, { value: 'a' }, { value: 'b' });
    const source = await open(topic);
    await source.seek(from(0));
    expect(await take(source, 2)).toEqual(['0/0 a', '0/1 b']);
    const { port } = broker;
    await broker.kill();

    expect(await source.poll({ maxRecords: 10, maxWaitMs: 500 })).toBeNull();

    broker = await startKafka({ dir, port });
    await produce(topic, { value: 'c' });
    expect(await take(source, 1)).toEqual(['0/2 c']);
  });

  it('cannot be opened where no broker answers, and says that it may be tried again', async () => {
    const away: KafkaSettings = { brokers: ['127.0.0.1:1'], clientId: 'test', connectTimeoutMs: 500 };
    await expect(KafkaSource.open({ settings: away, topic: 't', partitions: 'all' })).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      retryable: 'transient',
    });
  });
});
