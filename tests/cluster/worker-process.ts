import { randomUUID } from 'node:crypto';
import { defaultBounds, type QueryDefinition } from '../../engine/execution/query-definition.ts';
import { StreamingQuery } from '../../engine/execution/streaming-query.ts';
import { valueAt } from '../../engine/record/column.ts';
import { columnOf } from '../../engine/record/record-batch.ts';
import { JsonDecoder } from '../../engine/serde/json-decoder.ts';
import { KafkaTaskProducer } from '../../engine/sink/kafka/kafka-task-producer.ts';
import { TaskCommitLog } from '../../engine/sink/kafka/task-commit-log.ts';
import { ConsumerGroup } from '../../engine/source/kafka/consumer-group.ts';
import { GroupTasks, type TaskSignals } from '../../engine/source/kafka/group-tasks.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { connectRedis } from '../../engine/state/redis/connect-redis.ts';
import { RedisTaskState } from '../../engine/state/redis/redis-task-state.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { inputSchema, runningTotalSection, textsOf } from './running-total.ts';

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
}

/**
 * A worker of the cluster profile, put together from the engine's parts: joins the group, runs a query for each partition it is given,
 * hands over and leaves at SIGTERM. Tests start several, and kill them.
 */
async function work(worker: WorkerSettings): Promise<void> {
  const settings: KafkaSettings = { brokers: worker.brokers, clientId: worker.job };
  const redis = connectRedis(
    { topology: { kind: 'single', host: '127.0.0.1', port: worker.redisPort }, commandTimeoutMs: 3_000 },
    () => undefined,
  );
  const tasks = new GroupTasks({
    run: (partition, signals) => runTask(worker, settings, redis, () => group, partition, signals),
    halted: (partition, error) => {
      process.stderr.write(`halted ${partition}: ${error instanceof Error ? error.stack : String(error)}\n`);
      process.exitCode = 1;
    },
    trouble: (partition, error) =>
      process.stderr.write(`trouble ${partition ?? 'group'}: ${error.code} ${error.message}\n`),
    handOverTimeoutMs: 10_000,
    clock: systemClock,
  });
  const group: ConsumerGroup = await ConsumerGroup.join(
    { settings, groupId: worker.job, topic: worker.input, sessionTimeoutMs: worker.sessionTimeoutMs },
    tasks,
    systemClock,
  );
  await new Promise<void>((resolve) => process.once('SIGTERM', resolve));
  await group.leave();
  redis.disconnect();
}

async function runTask(
  worker: WorkerSettings,
  settings: KafkaSettings,
  redis: ReturnType<typeof connectRedis>,
  group: () => ConsumerGroup,
  partition: number,
  { stop, lost }: TaskSignals,
): Promise<void> {
  const task = `${worker.job}.${worker.input}-${partition}`;
  const query: QueryDefinition = {
    name: worker.job,
    jobDigest: worker.job,
    modelDigest: '',
    source: await KafkaSource.open({ settings, topic: worker.input, partitions: [partition] }),
    decoder: new JsonDecoder({ schema: inputSchema, eventTimeField: 'time', keyFields: ['card'] }),
    watermark: { delayMs: 0, maxFutureSkewMs: 60_000 },
    commitLog: new TaskCommitLog({
      task,
      partition,
      openProducer: () =>
        KafkaTaskProducer.open({
          settings,
          transactionalId: task,
          group: group(),
          topic: worker.input,
          partition,
          callTimeoutMs: 5_000,
        }),
      committed: () => group().committed(partition),
      state: new RedisTaskState(redis, { task, owner: randomUUID() }),
      servesJob: (digest) => digest === worker.job,
      lost,
    }),
    openSection: runningTotalSection,
    score: (records) => Promise.resolve({ records, deadLetters: [] }),
    encode: (records) => {
      const ids = textsOf(records, 'id');
      const totals = columnOf(records, 'total');
      const values = ids.map((id, row) => ({ value: JSON.stringify({ id, total: valueAt(totals, row) }), partition }));
      return { messages: [messageBatchOf(worker.output, values)], deadLetters: [] };
    },
    encodeDeadLetters: () => {
      throw new Error('these tests send no bad records');
    },
    bounds: { ...defaultBounds, maxBatchRecords: worker.maxBatchRecords, flushEveryMs: worker.flushEveryMs },
  };
  const streaming = new StreamingQuery(query, systemClock, (error) =>
    process.stderr.write(`retry ${partition}: ${error.code} ${error.message}\n`),
  );
  await streaming.run('realtime', stop);
}

const [argument = '{}'] = process.argv.slice(2);
await work(JSON.parse(argument) as WorkerSettings);
process.exit();
