import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SluiceError } from '../../engine/error.ts';
import type { Commit } from '../../engine/execution/commit-log.ts';
import { retryTransient } from '../../engine/execution/retry-transient.ts';
import { messageValue } from '../../engine/record/message-batch.ts';
import { KafkaTaskProducer, type KafkaTaskProducerOptions } from '../../engine/sink/kafka/kafka-task-producer.ts';
import { TaskCommitLog, type TaskCommitLogOptions } from '../../engine/sink/kafka/task-commit-log.ts';
import { ProducerFailure, type PositionToCommit, type TaskProducer } from '../../engine/sink/kafka/task-producer.ts';
import { ConsumerGroup } from '../../engine/source/kafka/consumer-group.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { connectRedis, type RedisClient } from '../../engine/state/redis/connect-redis.ts';
import { RedisTaskState } from '../../engine/state/redis/redis-task-state.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';
import { startTcpProxy, type TcpProxy } from '../../tools/services/tcp-proxy.ts';

/** A real broker, which is reached through a proxy that can break connections, and a real Redis. One for each test file; ended with it. */
export class ClusterUnderTest implements AsyncDisposable {
  readonly proxy: TcpProxy;
  readonly redis: RedisClient;
  readonly settings: KafkaSettings;
  readonly #dir: string;
  readonly #redisServer: RedisService;
  #broker: KafkaService;
  #opened: AsyncDisposable[] = [];
  #tasks = 0;

  private constructor(dir: string, proxy: TcpProxy, broker: KafkaService, redisServer: RedisService) {
    this.#dir = dir;
    this.proxy = proxy;
    this.#broker = broker;
    this.#redisServer = redisServer;
    this.settings = { brokers: [`127.0.0.1:${proxy.port}`], clientId: 'test' };
    const { host, port } = redisServer;
    this.redis = connectRedis({ topology: { kind: 'single', host, port } }, () => undefined);
  }

  static async start(): Promise<ClusterUnderTest> {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-cluster-'));
    let brokerPort = 0;
    const proxy = await startTcpProxy(() => brokerPort);
    const broker = await startBroker(dir, proxy);
    brokerPort = broker.port;
    return new ClusterUnderTest(dir, proxy, broker, await startRedis({ dir: join(dir, 'redis') }));
  }

  /** Kills the broker as a crash would; resolves the returned call's promise when it is back. */
  async killBroker(): Promise<() => Promise<void>> {
    const { port } = this.#broker;
    await this.#broker.kill();
    return async () => {
      this.#broker = await startBroker(this.#dir, this.proxy, port);
    };
  }

  /** Disposes of it with the test that runs, the last one opened first. */
  closeAfterTest(thing: AsyncDisposable): void {
    this.#opened.push(thing);
  }

  /** A task of its own: topics (one input partition), and a worker that is a member of its group. */
  async newTask(outputPartitions: number = 1): Promise<TaskUnderFaults> {
    const name = `task-${this.#tasks++}`;
    using admin = new KafkaAdmin(this.settings);
    await admin.createTopic({ topic: `${name}.in`, partitions: 1 });
    await admin.createTopic({ topic: `${name}.out`, partitions: outputPartitions });
    let wake = (): void => undefined;
    const assigned = new Promise<void>((resolve) => (wake = resolve));
    const handOver = (): Promise<void> => Promise.resolve();
    const group = await ConsumerGroup.join(
      { settings: this.settings, groupId: name, topic: `${name}.in` },
      { assigned: wake, revoked: handOver, lost: handOver, trouble: () => undefined },
      systemClock,
    );
    this.closeAfterTest({ [Symbol.asyncDispose]: () => group.leave() });
    await assigned;
    return new TaskUnderFaults(this, name, group);
  }

  /** After each test. */
  async mend(): Promise<void> {
    this.proxy.setMode('pass');
    this.proxy.cutEvery(null);
    const opened = this.#opened.toReversed();
    this.#opened = [];
    for (const thing of opened) await thing[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.redis.disconnect();
    await this.#redisServer.kill();
    await this.#broker.kill();
    await this.proxy.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function startBroker(dir: string, proxy: TcpProxy, port?: number): Promise<KafkaService> {
  return startKafka({
    dir: join(dir, 'kafka'),
    ...(port === undefined ? {} : { port }),
    settings: { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${proxy.port}` },
  });
}

/** One input partition, an output topic of one partition, and owners that come one after the other. */
export class TaskUnderFaults {
  readonly name: string;
  readonly #cluster: ClusterUnderTest;
  readonly #group: ConsumerGroup;
  #owners = 0;

  constructor(cluster: ClusterUnderTest, name: string, group: ConsumerGroup) {
    this.#cluster = cluster;
    this.name = name;
    this.#group = group;
  }

  /** A new owner, not acquired yet. */
  own(changes: Partial<TaskCommitLogOptions> & { readonly job?: string } = {}): TaskCommitLog {
    const { job = 'job 1', ...options } = changes;
    const log = new TaskCommitLog({
      task: this.name,
      partition: 0,
      openProducer: () => this.openProducer(),
      committed: () => this.#group.committed(0),
      state: new RedisTaskState(this.#cluster.redis, { task: this.name, owner: `owner ${this.#owners++}` }),
      servesJob: (digest) => digest === job,
      lost: new AbortController().signal,
      ...options,
    });
    this.#cluster.closeAfterTest(log);
    return log;
  }

  /** A producer of the task whose calls may be made to fail. */
  async openProducer(
    faults: ProducerFaults = {},
    options: Partial<KafkaTaskProducerOptions> = {},
  ): Promise<TaskProducer> {
    const producer = await KafkaTaskProducer.open({
      settings: this.#cluster.settings,
      transactionalId: this.name,
      group: this.#group,
      topic: `${this.name}.in`,
      partition: 0,
      callTimeoutMs: 5_000,
      ...options,
    });
    return new FaultyProducer(producer, faults);
  }

  /** A batch of records `[from, to)`, each of which gives one output. */
  batch(from: number, to: number, state: Readonly<Record<string, string>> | null = null): Commit {
    // Without a timestamp of their own: the broker deletes by it, and would take outputs of long ago away while the test runs.
    const outputs = outs(from, to).map((value) => ({ value }));
    const writes = Object.entries(state ?? {}).map(([key, value]) => ({
      operatorId: 'card',
      key: Buffer.from(key),
      value: Buffer.from(value),
    }));
    return {
      ranges: [{ partition: 0, from, to }],
      metadata: metadataAt(to),
      outputs: [messageBatchOf(`${this.name}.out`, outputs)],
      state: state === null ? null : { writes },
    };
  }

  /** What a committed reader sees of a partition of the output topic, once no transaction in it is open. */
  async outputs(partition: number = 0): Promise<string[]> {
    const { settings } = this.#cluster;
    const topic = `${this.name}.out`;
    await using source = await KafkaSource.open({ settings, topic, partitions: [partition] });
    // A commit is decided before it is marked in the partitions, some milliseconds later: only then do readers see it.
    using admin = new KafkaAdmin(settings);
    let [range] = await source.ranges();
    while (range?.endOffset !== (await admin.endOffset(topic, partition))) [range] = await source.ranges();
    await source.seek([{ partition, offset: 0 }]);
    const values: string[] = [];
    while ((source.positions()[0]?.offset ?? 0) < (range?.endOffset ?? 0)) {
      const polled = await source.poll({ maxRecords: 1_000, maxWaitMs: 1_000 });
      if (polled?.kind !== 'messages') continue;
      const { messages } = polled;
      for (let i = 0; i < messages.messageCount; i++) values.push(Buffer.from(messageValue(messages, i)).toString());
    }
    return values;
  }
}

/** The outputs of records `[from, to)`. */
export function outs(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `out ${from + i}`);
}

/** What batches that end at an offset are committed with. */
export function metadataAt(offset: number): Commit['metadata'] {
  return {
    batchSequence: offset,
    watermarksMs: [{ partition: 0, watermarkMs: offset === 3 ? -Infinity : offset * 10 }],
    jobDigest: 'job 1',
    modelDigest: 'model',
  };
}

/** The value of one key of the operator that the batches write. */
export async function valueOf(log: TaskCommitLog, key: string): Promise<string | null> {
  const [value] = await log.state.getMany('card', [Buffer.from(key)]);
  return value === null || value === undefined ? null : Buffer.from(value).toString();
}

/** Commits as the batch loop does: again for as long as the error says that waiting may mend it. Gives the errors met on the way. */
export async function commitThrough(log: TaskCommitLog, batch: Commit): Promise<SluiceError[]> {
  const met: SluiceError[] = [];
  const never = new AbortController().signal;
  await retryTransient(
    () => log.commit(batch),
    systemClock,
    never,
    (error) => met.push(error),
  );
  return met;
}

/** Stands in the place of a call to the broker: makes it, or not, and fails, or not. */
export type CallFault = (call: () => Promise<void>) => Promise<void>;

/** The calls that can be made to fail. */
export interface ProducerFaults {
  readonly onCommit?: CallFault;
  readonly onPosition?: CallFault;
}

/** A failure as the client would report it. */
export function failure(fault: ProducerFailure['fault']): ProducerFailure {
  return new ProducerFailure(fault, `a test says ${fault}`, { retryable: 'transient' });
}

class FaultyProducer implements TaskProducer {
  readonly #producer: TaskProducer;
  readonly #faults: ProducerFaults;

  constructor(producer: TaskProducer, faults: ProducerFaults) {
    this.#producer = producer;
    this.#faults = faults;
  }

  init(): Promise<void> {
    return this.#producer.init();
  }

  begin(): Promise<void> {
    return this.#producer.begin();
  }

  send(messages: Commit['outputs'][number]): Promise<void> {
    return this.#producer.send(messages);
  }

  sendPosition(position: PositionToCommit): Promise<void> {
    const { onPosition = (call) => call() } = this.#faults;
    return onPosition(() => this.#producer.sendPosition(position));
  }

  commit(): Promise<void> {
    const { onCommit = (call) => call() } = this.#faults;
    return onCommit(() => this.#producer.commit());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer[Symbol.asyncDispose]();
  }
}
