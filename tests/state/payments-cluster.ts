import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafka from '@confluentinc/kafka-javascript';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import type { ClusterSettings } from '../../jobs/runtime/cluster/cluster-settings.ts';
import { openClusterRun } from '../../jobs/runtime/run-cluster.ts';
import type { ClusterStore } from '../../jobs/state/cluster-stages.ts';
import { defaultPlace } from '../../jobs/state/savepoint.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';
import { TopicReader } from '../cluster/card-job.ts';
import { files, type FileName, type Payment, type StateUnderTest } from './state-under-test.ts';

/** A broker and a Redis on which the jobs over payments run whose state is looked at, changed, moved and rebuilt. */
export class PaymentsCluster implements AsyncDisposable {
  readonly settings: ClusterSettings;
  readonly redis: RedisService;
  /** For whatever a test writes; gone with the cluster. */
  readonly folder: string;
  readonly #broker: KafkaService;

  private constructor(folder: string, broker: KafkaService, redis: RedisService) {
    this.folder = folder;
    this.#broker = broker;
    this.redis = redis;
    this.settings = {
      kafka: { client: { brokers: [broker.bootstrap], clientId: 'test' }, replicas: 1, sessionTimeoutMs: 6_000 },
      redis: { topology: { kind: 'single', host: '127.0.0.1', port: redis.port } },
      clickHouse: null,
      schemaRegistry: null,
      workingSetBytes: 10_000_000,
    };
  }

  static async start(): Promise<PaymentsCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-payments-'));
    const settings = { 'group.min.session.timeout.ms': '1000' };
    const broker = await startKafka({ dir: join(folder, 'kafka'), settings });
    return new PaymentsCluster(folder, broker, await startRedis({ dir: join(folder, 'redis') }));
  }

  get store(): ClusterStore {
    return { settings: this.settings, clock: systemClock };
  }

  get bootstrap(): string {
    return this.#broker.bootstrap;
  }

  async newTopic(topic: string, partitions: number = 4): Promise<void> {
    using admin = new KafkaAdmin({ brokers: [this.bootstrap], clientId: 'test' });
    await admin.createTopic({ topic, partitions });
  }

  /** Sends payments, each to the partition where Kafka's default and the embedded topic have its card. */
  async produce(topic: string, some: readonly Payment[], partitions: number = 4): Promise<void> {
    const producer = new kafka.Producer({ 'bootstrap.servers': this.bootstrap, 'enable.idempotence': true });
    await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
    for (const payment of some) {
      const partition = defaultPlace(Buffer.from(payment.card), partitions);
      producer.produce(topic, partition, Buffer.from(JSON.stringify(payment)), payment.card);
    }
    await kafkaCall<undefined>((done) => producer.flush(60_000, (error) => done(error, undefined)));
    await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
  }

  /** Works off what is there. @returns what was logged. */
  async run(job: CheckedJob): Promise<readonly string[]> {
    const said: string[] = [];
    const note = (message: string): number => said.push(message);
    const logger = { info: note, warn: note, error: note };
    const { signal } = new AbortController();
    const profile = { settings: this.settings, modelsDirectory: '', logger, clock: systemClock };
    await using run = await openClusterRun(job, profile, signal);
    await run.run('availableNow', signal);
    return said;
  }

  /** All that a job has answered. */
  async answersOf(name: string): Promise<readonly string[]> {
    await using reader = await TopicReader.open(this, `${name}-answers`);
    await reader.toEnd();
    return reader.values;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.redis.kill();
    await this.#broker.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The job under a name of its own, over features of the card alone, one stage on a cluster, with some text of them for another. */
export function cardJob(test: StateUnderTest, name: string, from: string = '', to: string = ''): Promise<CheckedJob> {
  const job = named(name).replace('[./card.yaml, ./terminal.yaml]', '[./card.yaml]');
  return test.job({ 'job.yaml': job, 'card.yaml': files['card.yaml'].replace(from, to) });
}

/** The whole job under a name of its own, with some of its feature files changed: several stages on a cluster. */
export function wholeJob(
  test: StateUnderTest,
  name: string,
  changes: Partial<Record<FileName, string>> = {},
): Promise<CheckedJob> {
  return test.job({ 'job.yaml': named(name), ...changes });
}

function named(name: string): string {
  return files['job.yaml']
    .replace('job: payments', `job: ${name}`)
    .replace('topic: payments', `topic: ${name}`)
    .replace('topic: answers, partitions: 1', `topic: ${name}-answers`)
    .replace('topic: dead', `topic: ${name}-dead`);
}
