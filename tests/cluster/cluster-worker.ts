import { randomUUID } from 'node:crypto';
import { SluiceError } from '../../engine/error.ts';
import type { CommitLog } from '../../engine/execution/commit-log.ts';
import { defaultBounds, type QueryDefinition } from '../../engine/execution/query-definition.ts';
import { StreamingQuery } from '../../engine/execution/streaming-query.ts';
import { JsonDecoder } from '../../engine/serde/json-decoder.ts';
import { KafkaTaskProducer } from '../../engine/sink/kafka/kafka-task-producer.ts';
import { TaskCommitLog } from '../../engine/sink/kafka/task-commit-log.ts';
import type { TaskProducer } from '../../engine/sink/kafka/task-producer.ts';
import { ConsumerGroup } from '../../engine/source/kafka/consumer-group.ts';
import { GroupTasks, type TaskSignals } from '../../engine/source/kafka/group-tasks.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { connectRedis, type RedisClient } from '../../engine/state/redis/connect-redis.ts';
import { RedisTaskState } from '../../engine/state/redis/redis-task-state.ts';
import type { TaskState } from '../../engine/state/redis/task-state.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { inputSchema } from './running-total.ts';

/** What a worker is told on its command line, as JSON. */
export interface WorkerSettings {
  readonly brokers: readonly string[];
  readonly redisPort: number;
  readonly job: string;
  readonly input: string;
  readonly output: string;
  readonly sessionTimeoutMs: number;
  readonly maxBatchRecords: number;
  readonly flushEveryMs: number;
  /** How much of its keys' state a task holds; the default where absent. */
  readonly workingSetBytes?: number;
  /** A name that outlives the process, where it has one. */
  readonly instanceId?: string;
}

/** What a worker has for one of its tasks, when its query is put together. */
export interface WorkerTask {
  readonly worker: WorkerSettings;
  readonly settings: KafkaSettings;
  readonly group: ConsumerGroup;
  readonly partition: number;
  /** Different in each acquisition. */
  readonly owner: string;
  readonly redis: RedisClient;
}

/**
 * Where tests take hold of a worker: each hook is given a part as it should be and gives back the one that the task gets. What is absent stays
 * as it should be.
 */
export interface WorkerSeams {
  producer?(producer: TaskProducer, task: WorkerTask): TaskProducer;
  redis?(client: RedisClient, task: WorkerTask): RedisClient;
  state?(state: TaskState, task: WorkerTask): TaskState;
  commitLog?(log: CommitLog, state: TaskState, task: WorkerTask): CommitLog;
  query?(query: QueryDefinition, task: WorkerTask): QueryDefinition;
}

/** What the worker's job does with records; how they are read and committed is the worker's. */
export type WorkerJob = (task: WorkerTask) => Pick<QueryDefinition, 'openSection' | 'encode' | 'encodeDeadLetters'> & {
  readonly watermark: QueryDefinition['watermark'];
};

/**
 * A worker of the cluster profile, put together from the engine's parts: joins the group, runs a query for each partition it is given,
 * hands over and leaves at SIGTERM. Tests start several, and kill them. Resolves when it has left.
 */
export async function runWorker(worker: WorkerSettings, job: WorkerJob, seams: WorkerSeams = {}): Promise<void> {
  const settings: KafkaSettings = { brokers: worker.brokers, clientId: worker.job };
  const redis = connectRedis(
    { topology: { kind: 'single', host: '127.0.0.1', port: worker.redisPort }, commandTimeoutMs: 3_000 },
    () => undefined,
  );
  const say = (words: string): void => void process.stderr.write(`${words}\n`);
  const tasks = new GroupTasks({
    run: (partition, signals) =>
      runTask({ worker, settings, group, partition, owner: randomUUID(), redis }, job, seams, signals),
    halted: (partition, error) => {
      const code = error instanceof SluiceError ? error.code : 'UNEXPECTED';
      say(`halted ${partition}: ${code} ${error instanceof Error ? error.stack : String(error)}`);
      process.exitCode = 1;
    },
    trouble: (partition, error) => say(`trouble ${partition ?? 'group'}: ${error.code} ${error.message}`),
    handOverTimeoutMs: 10_000,
    clock: systemClock,
  });
  const group: ConsumerGroup = await ConsumerGroup.join(
    {
      settings,
      groupId: worker.job,
      topic: worker.input,
      sessionTimeoutMs: worker.sessionTimeoutMs,
      ...(worker.instanceId === undefined ? {} : { instanceId: worker.instanceId }),
    },
    tasks,
    systemClock,
  );
  await new Promise<void>((resolve) => process.once('SIGTERM', resolve));
  await group.leave();
  redis.disconnect();
}

async function runTask(task: WorkerTask, job: WorkerJob, seams: WorkerSeams, signals: TaskSignals): Promise<void> {
  const { worker, settings, group, partition, owner } = task;
  const name = `${worker.job}.${worker.input}-${partition}`;
  const redis = seams.redis?.(task.redis, task) ?? task.redis;
  const plainState = new RedisTaskState(redis, { task: name, owner });
  const state = seams.state?.(plainState, task) ?? plainState;
  const plainLog = new TaskCommitLog({
    task: name,
    partition,
    openProducer: async () => {
      const producer = await KafkaTaskProducer.open({
        settings,
        transactionalId: name,
        group,
        topic: worker.input,
        partition,
        callTimeoutMs: 5_000,
      });
      return seams.producer?.(producer, task) ?? producer;
    },
    committed: () => group.committed(partition),
    state,
    servesJob: (digest) => digest === worker.job,
    lost: signals.lost,
  });
  const plainQuery: QueryDefinition = {
    name: worker.job,
    jobDigest: worker.job,
    modelDigest: '',
    source: await KafkaSource.open({ settings, topic: worker.input, partitions: [partition] }),
    decoder: new JsonDecoder({ schema: inputSchema, eventTimeField: 'time', keyFields: ['card'] }),
    commitLog: seams.commitLog?.(plainLog, state, task) ?? plainLog,
    score: (records) => Promise.resolve({ records, deadLetters: [] }),
    bounds: {
      ...defaultBounds,
      maxBatchRecords: worker.maxBatchRecords,
      flushEveryMs: worker.flushEveryMs,
      workingSetBytes: worker.workingSetBytes ?? defaultBounds.workingSetBytes,
    },
    ...job(task),
  };
  const query = seams.query?.(plainQuery, task) ?? plainQuery;
  const streaming = new StreamingQuery(query, systemClock, (error) =>
    process.stderr.write(`retry ${partition}: ${error.code} ${error.message}\n`),
  );
  await streaming.run('realtime', signals.stop);
}
