import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafka from '@confluentinc/kafka-javascript';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { openClusterRun } from '../../jobs/runtime/run-cluster.ts';
import type { ClusterSettings } from '../../jobs/runtime/cluster/cluster-settings.ts';
import { restoreCluster, saveCluster, type ClusterStore } from '../../jobs/state/cluster-savepoint.ts';
import { verifyCluster, viewCluster } from '../../jobs/state/cluster-state.ts';
import { restoreLocal, saveLocal } from '../../jobs/state/local-savepoint.ts';
import { defaultPlace } from '../../jobs/state/savepoint.ts';
import { stateOfKey } from '../../jobs/state/state-view.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';
import { TopicReader } from '../cluster/card-job.ts';
import { files, StateUnderTest, type Payment } from './state-under-test.ts';

const partitions = 4;
let dir: string;
let broker: KafkaService;
let redis: RedisService;
let settings: ClusterSettings;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-savepoint-'));
  broker = await startKafka({ dir: join(dir, 'kafka'), settings: { 'group.min.session.timeout.ms': '1000' } });
  redis = await startRedis({ dir: join(dir, 'redis') });
  settings = {
    kafka: { client: { brokers: [broker.bootstrap], clientId: 'test' }, replicas: 1, sessionTimeoutMs: 6_000 },
    redis: { topology: { kind: 'single', host: '127.0.0.1', port: redis.port } },
    clickHouse: null,
    schemaRegistry: null,
    workingSetBytes: 10_000_000,
  };
});

afterAll(async () => {
  await redis.kill();
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

/** Cards' payments over some hours, each seventh of them sent twice. */
const payments: readonly Payment[] = Array.from({ length: 400 }, (_, index) => {
  const number = index % 7 === 6 ? index - 1 : index;
  const at = Date.UTC(2024, 0, 1) + number * 20_000 - (number % 5) * 4_000;
  return { id: `id ${number}`, at, card: `card-${(number * 3) % 11}`, terminal: 'shop', amount: (number * 13) % 40 };
});
const cut = 230;

/** The job under a name of its own, over features of the card alone: one stage on a cluster. */
function jobOf(test: StateUnderTest, name: string): Promise<CheckedJob> {
  const text = files['job.yaml']
    .replace('job: payments', `job: ${name}`)
    .replace('[./card.yaml, ./terminal.yaml]', '[./card.yaml]')
    .replace('topic: payments', `topic: ${name}`)
    .replace('topic: answers, partitions: 1', `topic: ${name}-answers`)
    .replace('topic: dead', `topic: ${name}-dead`);
  return test.job({ 'job.yaml': text });
}

/** Sends payments to Kafka, each to the partition where the embedded topic has it. */
async function produce(topic: string, some: readonly Payment[]): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': broker.bootstrap, 'enable.idempotence': true });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  for (const payment of some) {
    const partition = defaultPlace(Buffer.from(payment.card), partitions);
    producer.produce(topic, partition, Buffer.from(JSON.stringify(payment)), payment.card);
  }
  await kafkaCall<undefined>((done) => producer.flush(20_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

async function newTopic(topic: string): Promise<void> {
  using admin = new KafkaAdmin({ brokers: [broker.bootstrap], clientId: 'test' });
  await admin.createTopic({ topic, partitions });
}

async function runCluster(job: CheckedJob): Promise<void> {
  const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const signal = new AbortController().signal;
  const profile = { settings, modelsDirectory: '', logger, clock: systemClock };
  await using run = await openClusterRun(job, profile, signal);
  await run.run('availableNow', signal);
}

async function clusterAnswers(name: string): Promise<readonly string[]> {
  await using reader = await TopicReader.open({ bootstrap: broker.bootstrap }, `${name}-answers`);
  await reader.toEnd();
  return reader.values.toSorted();
}

const store = (): ClusterStore => ({ settings, clock: systemClock });

describe('a savepoint between the embedded store and Redis', () => {
  it('takes an embedded job to a cluster, whose answers are those of a job that was never moved', async () => {
    await using test = await StateUnderTest.open(partitions, 'moved');
    const job = await jobOf(test, 'moved');
    await test.add(payments.slice(0, cut));
    await test.run(job, 17);
    const before = new Set(await test.answers('moved-answers'));
    const path = join(test.folder, 'moved.savepoint');
    await saveLocal(job, test, { path, name: 'moved' });
    await test.add(payments.slice(cut));
    await test.run(job);
    const expected = (await test.answers('moved-answers')).filter((answer) => !before.has(answer));
    expect(expected.length).toBeGreaterThan(100);

    await newTopic('moved');
    await expect(restoreCluster(job, store(), path, 'refuse')).rejects.toMatchObject({
      code: 'SAVEPOINT_POSITIONS',
    });
    await produce('moved', payments);
    const restored = await restoreCluster(job, store(), path, 'refuse');
    expect(restored).toMatchObject({ name: 'moved', tasks: partitions });
    await runCluster(job);
    expect(await clusterAnswers('moved')).toEqual(expected.toSorted());
    await expect(restoreCluster(job, store(), path, 'refuse')).rejects.toMatchObject({
      code: 'STATE_EXISTS',
    });
    await expect(restoreCluster(job, store(), path, 'replace')).rejects.toMatchObject({
      code: 'SAVEPOINT_POSITIONS',
    });
  });

  it('takes a job of a cluster to the embedded profile, and to a cluster whose Redis has lost everything', async () => {
    await using test = await StateUnderTest.open(partitions, 'brought');
    const job = await jobOf(test, 'brought');
    await newTopic('brought');
    await produce('brought', payments.slice(0, cut));
    await runCluster(job);
    const path = join(test.folder, 'brought.savepoint');
    const looked = await viewCluster(job, store(), (view) => stateOfKey(view, ['card-3'], 'card/0'));
    expect(looked.length).toBeGreaterThan(5);
    expect(looked[0]).toMatchObject({ operator: 'card/0', key: { card: 'card-3' } });
    const whole = await verifyCluster(job, store(), 1);
    expect(whole).toMatchObject({ drifts: [], replayedRecords: cut });
    expect(whole.keys).toBeGreaterThan(30);
    const saved = await saveCluster(job, store(), { path, name: 'brought' });
    expect(saved).toMatchObject({ tasks: partitions });
    await test.add(payments.slice(0, cut));
    await restoreLocal(job, test, path, 'refuse');
    await test.add(payments.slice(cut));
    await test.run(job);

    await using twin = await StateUnderTest.open(partitions, 'brought');
    const same = await jobOf(twin, 'brought');
    await twin.add(payments.slice(0, cut));
    await twin.run(same);
    const before = new Set(await twin.answers('brought-answers'));
    await twin.add(payments.slice(cut));
    await twin.run(same);
    const all = await twin.answers('brought-answers');
    const expected = all.filter((answer) => !before.has(answer)).toSorted();
    expect((await test.answers('brought-answers')).toSorted()).toEqual(expected);

    // Redis has lost everything, and has a key in the state's place that must be gone afterwards.
    const client = new Redis(redis.port);
    const hash = 'sluice:{sluice.brought.brought-0}:card/0';
    const [card = ''] = await client.hkeys(hash);
    await client.hset(hash, card, 'bytes');
    expect((await verifyCluster(job, store(), 1)).drifts).toMatchObject([{ operator: 'card/0', key: [card] }]);
    await client.flushall();
    await client.hset(hash, 'stray', 'bytes');
    const former = (await clusterAnswers('brought')).length;
    await restoreCluster(job, store(), path, 'replace');
    expect(await client.hexists(hash, 'stray')).toBe(0);
    expect(await client.hlen(hash)).toBeGreaterThan(0);
    client.disconnect();
    await produce('brought', payments.slice(cut));
    await runCluster(job);
    const answers = await clusterAnswers('brought');
    expect(answers).toHaveLength(former + expected.length);
    expect(answers.filter((answer) => expected.includes(answer))).toEqual(expected);
  });
});
