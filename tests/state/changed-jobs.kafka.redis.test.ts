import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafka from '@confluentinc/kafka-javascript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import type { ClusterSettings } from '../../jobs/runtime/cluster/cluster-settings.ts';
import { preflight } from '../../jobs/runtime/preflight.ts';
import { openClusterRun } from '../../jobs/runtime/run-cluster.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';
import { TopicReader } from '../cluster/card-job.ts';
import { files, StateUnderTest, type Payment } from './state-under-test.ts';

let dir: string;
let broker: KafkaService;
let redis: RedisService;
let settings: ClusterSettings;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-changed-'));
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

const payments: readonly Payment[] = Array.from({ length: 300 }, (_, number) => {
  const at = Date.UTC(2024, 0, 1) + number * 30_000 - (number % 5) * 4_000;
  return { id: `id ${number}`, at, card: `card-${(number * 3) % 11}`, terminal: 'shop', amount: (number * 13) % 40 };
});
const cut = 180;

/** The job under a name of its own, over features of the card alone, with some text of them for another. */
function jobOf(test: StateUnderTest, name: string, from = '', to = ''): Promise<CheckedJob> {
  const job = files['job.yaml']
    .replace('job: payments', `job: ${name}`)
    .replace('[./card.yaml, ./terminal.yaml]', '[./card.yaml]')
    .replace('topic: payments', `topic: ${name}`)
    .replace('topic: answers, partitions: 1', `topic: ${name}-answers`)
    .replace('topic: dead', `topic: ${name}-dead`);
  return test.job({ 'job.yaml': job, 'card.yaml': files['card.yaml'].replace(from, to) });
}

async function produce(topic: string, some: readonly Payment[]): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': broker.bootstrap, 'enable.idempotence': true });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  for (const payment of some) producer.produce(topic, 2, Buffer.from(JSON.stringify(payment)), payment.card);
  await kafkaCall<undefined>((done) => producer.flush(20_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

async function runCluster(job: CheckedJob): Promise<readonly string[]> {
  const said: string[] = [];
  const note = (message: string): number => said.push(message);
  const signal = new AbortController().signal;
  const profile = {
    settings,
    modelsDirectory: '',
    logger: { info: note, warn: note, error: note },
    clock: systemClock,
  };
  await using run = await openClusterRun(job, profile, signal);
  await run.run('availableNow', signal);
  return said;
}

async function answersOf(name: string): Promise<readonly string[]> {
  await using reader = await TopicReader.open({ bootstrap: broker.bootstrap }, `${name}-answers`);
  await reader.toEnd();
  return reader.values;
}

/** The answers of the changed job, in one order. */
function behind(answers: readonly string[]): readonly string[] {
  const isBehind = (answer: string): boolean => (JSON.parse(answer) as { source_offset: number }).source_offset >= cut;
  return answers.filter(isBehind).toSorted();
}

describe('a job that is changed on a cluster', () => {
  it.each([
    ['kept', 'over: 30m', 'over: 20m'],
    ['rebuilt', 'over: 10m', 'over: 3h'],
  ])(
    'has its state %s, and answers as if it had been the changed job from the beginning',
    async (name, from, to) => {
      await using test = await StateUnderTest.open(1);
      using admin = new KafkaAdmin({ brokers: [broker.bootstrap], clientId: 'test' });
      for (const topic of [name, `twin-${name}`]) await admin.createTopic({ topic, partitions: 4 });
      await produce(name, payments.slice(0, cut));
      await runCluster(await jobOf(test, name));
      await produce(name, payments.slice(cut));
      const changed = await jobOf(test, name, from, to);
      const looked = await preflight(changed, {
        settings,
        modelsDirectory: '',
        clock: systemClock,
        purpose: 'start',
        threads: 64,
      });
      expect(looked.filter(({ outcome }) => outcome === 'refused')).toEqual([]);
      expect(await runCluster(changed)).toContain(
        `job ${name} was changed, and goes on with the state that it would have`,
      );

      await produce(`twin-${name}`, payments);
      await runCluster(await jobOf(test, `twin-${name}`, from, to));
      expect(behind(await answersOf(name))).toEqual(behind(await answersOf(`twin-${name}`)));
      expect(behind(await answersOf(name))).toHaveLength(payments.length - cut);
    },
    120_000,
  );

  it('does not start with another meaning under the same name, and goes on as it was', async () => {
    await using test = await StateUnderTest.open(1);
    using admin = new KafkaAdmin({ brokers: [broker.bootstrap], clientId: 'test' });
    await admin.createTopic({ topic: 'refused', partitions: 4 });
    await produce('refused', payments.slice(0, 100));
    await runCluster(await jobOf(test, 'refused'));
    await produce('refused', payments.slice(100, 150));
    const changed = await jobOf(test, 'refused', '{ avg: amount', '{ max: amount');
    const looked = await preflight(changed, {
      settings,
      modelsDirectory: '',
      clock: systemClock,
      purpose: 'start',
      threads: 64,
    });
    expect(looked.filter(({ outcome }) => outcome === 'refused')).toMatchObject([{ code: 'JOB_CHANGED' }]);
    await expect(runCluster(changed)).rejects.toMatchObject({ code: 'JOB_CHANGED' });
    await runCluster(await jobOf(test, 'refused'));
    expect(await answersOf('refused')).toHaveLength(150);
  });
});
