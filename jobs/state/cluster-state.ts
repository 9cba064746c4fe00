import { SluiceError } from '../../engine/error.ts';
import { readNote, type CommitNote } from '../../engine/sink/kafka/commit-note.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { connectRedis, type RedisClient } from '../../engine/state/redis/connect-redis.ts';
import { StoredTaskState } from '../../engine/state/redis/stored-task-state.ts';
import { readTaskHeader, recordedPartitions } from '../../engine/state/redis/task-header.ts';
import type { StateEntry, StateReader } from '../../engine/state/state-store.ts';
import type { CheckedJob } from '../checked-job.ts';
import { clusterRegistry } from '../runtime/cluster/cluster-registry.ts';
import { inputTopic } from '../runtime/cluster/job-topics.ts';
import { neededServices } from '../runtime/cluster/needed-services.ts';
import { openDecoder } from '../runtime/open-source.ts';
import { operatorsOf, planStages, type Stage } from '../runtime/stages.ts';
import type { ClusterStore } from './cluster-savepoint.ts';
import { jobOperators } from './job-operators.ts';
import { MemoryState } from './memory-state.ts';
import { replayState } from './replay-state.ts';
import { countKeys, driftsOf, sampleOf, type Drift } from './state-sample.ts';
import type { StateView } from './state-view.ts';
import type { Verified } from './verify-state.ts';

/** A task of a job, as Redis has it. */
interface StoredTask {
  readonly task: string;
  readonly stage: Stage;
  readonly partition: number;
  readonly offset: number;
  readonly note: CommitNote;
}

/**
 * Looks at the state that Redis holds of a job, of all its tasks together; also while its workers run, as of their last flushes.
 *
 * @throws {SluiceError} `STATE_NONE`; what the settings and Redis say.
 */
export async function viewCluster<T>(
  job: CheckedJob,
  { settings }: ClusterStore,
  use: (view: StateView) => Promise<T>,
): Promise<T> {
  const redis = connectRedis(neededServices(settings).redis, () => undefined);
  try {
    const tasks = await storedTasks(job, redis);
    const seenMs = tasks.flatMap(({ note }) => note.metadata.watermarksMs.map(({ watermarkMs }) => watermarkMs));
    return await use({
      operators: jobOperators(job),
      reader: new TasksState(redis, tasks),
      watermarksMs: [{ partition: 0, watermarkMs: Math.min(Infinity, ...seenMs) }],
    });
  } finally {
    redis.disconnect();
  }
}

/**
 * Computes the state of a sample of keys anew from the topic, task by task, and compares it with what Redis holds, as of each task's last flush.
 *
 * @param share of the keys: above 0, at most 1.
 * @throws {SluiceError} `STATE_NONE`, `JOB_CHANGED`; `LOG_TRUNCATED` where the topic does not reach back to where a task began; `VERIFY_STAGES` for a job of several stages; `STATE_BUSY` where a task
 *   flushed meanwhile.
 */
export async function verifyCluster(job: CheckedJob, store: ClusterStore, share: number): Promise<Verified> {
  const { kafka, redis: redisSettings } = neededServices(store.settings);
  const topic = inputTopic(job);
  const redis = connectRedis(redisSettings, () => undefined);
  let keys = 0;
  let replayedRecords = 0;
  const drifts: Drift[] = [];
  try {
    if (planStages(job).length > 1) throw severalStages(job);
    for (const { task, partition, offset, note } of await storedTasks(job, redis)) {
      if (note.metadata.jobDigest !== job.digest) throw changed(job, task);
      const operators = jobOperators(job);
      const { watermarksMs } = note.metadata;
      const stored = await sampleOf({ operators, reader: new StoredTaskState(redis, task), watermarksMs }, share);
      if ((await readTaskHeader(redis, task)).offset !== offset) throw busy(task);
      await using source = await KafkaSource.open({ settings: kafka.client, topic, partitions: [partition] });
      const plan = {
        from: [{ partition, offset: note.origin }],
        watermarksMs: null,
        ranges: [{ partition, from: note.origin, to: offset }],
      };
      const decoder = openDecoder(job, clusterRegistry(store.settings, store.clock));
      const replayed = await replayState(job, { source, decoder }, plan);
      const reader = new MemoryState();
      reader.put(replayed.writes);
      const expected = await sampleOf({ operators, reader, watermarksMs }, share);
      keys += countKeys(expected, stored);
      replayedRecords += replayed.replayedRecords;
      drifts.push(...driftsOf(expected, stored));
    }
  } finally {
    redis.disconnect();
  }
  return { keys, drifts, replayedRecords };
}

/** The tasks of a job that have state. @throws {SluiceError} `STATE_NONE` */
async function storedTasks(job: CheckedJob, redis: RedisClient): Promise<readonly StoredTask[]> {
  const tasks: StoredTask[] = [];
  for (const stage of planStages(job)) {
    const name = `${job.app}.${job.name}${stage.suffix}`;
    const topic = stage.input === 'source' ? inputTopic(job) : stage.input.topic;
    const partitions = (await recordedPartitions(redis, name, topic, null)) ?? 0;
    for (let partition = 0; partition < partitions; partition++) {
      const task = `${name}.${topic}-${partition}`;
      const { offset, metadata } = await readTaskHeader(redis, task);
      if (offset === null || metadata === null) continue;
      tasks.push({ task, stage, partition, offset, note: readNote(metadata, `the state of task ${task}`) });
    }
  }
  if (tasks.length > 0) return tasks;
  throw new SluiceError(
    'STATE_NONE',
    `job ${job.name} must have run on this cluster before its state can be looked at; Redis has none of ${job.app}.${job.name}`,
    { fields: { job: job.name } },
  );
}

/** The state of several tasks as one: each operator in the tasks of its stage. */
class TasksState implements StateReader {
  readonly #readers: readonly { readonly stage: Stage; readonly state: StoredTaskState }[];

  constructor(redis: RedisClient, tasks: readonly StoredTask[]) {
    this.#readers = tasks.map(({ task, stage }) => ({ stage, state: new StoredTaskState(redis, task) }));
  }

  async getMany(operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    const found: (Uint8Array | null)[] = keys.map(() => null);
    for (const state of this.#of(operatorId)) {
      const values = await state.getMany(operatorId, keys);
      values.forEach((value, index) => (found[index] ??= value));
    }
    return found;
  }

  async *scan(operatorId: string): AsyncIterable<StateEntry> {
    for (const state of this.#of(operatorId)) yield* state.scan(operatorId);
  }

  /** What no stage names, as what drops repeated records, is in the first one. */
  #of(operatorId: string): readonly StoredTaskState[] {
    const own = this.#readers.filter(({ stage }) => operatorsOf(stage).includes(operatorId));
    const readers = own.length > 0 ? own : this.#readers.filter(({ stage }) => stage.input === 'source');
    return readers.map(({ state }) => state);
  }
}

function severalStages({ name }: CheckedJob): SluiceError {
  return new SluiceError(
    'VERIFY_STAGES',
    `a job must be of one stage to be verified on a cluster; ${name} is split into several. Its state is verified on the embedded profile`,
    { fields: { job: name } },
  );
}

function changed({ name, digest }: CheckedJob, task: string): SluiceError {
  return new SluiceError(
    'JOB_CHANGED',
    `task ${task} must have been left by job ${name} as its file is (${digest}); another version of it was`,
    { fields: { task } },
  );
}

function busy(task: string): SluiceError {
  return new SluiceError(
    'STATE_BUSY',
    `could not read the state of task ${task} as of one moment: it was flushed meanwhile. Verify it again, or while its topic is quiet`,
    { retryable: 'transient', fields: { task } },
  );
}
