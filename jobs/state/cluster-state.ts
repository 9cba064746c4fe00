import { SluiceError } from '../../engine/error.ts';
import { readNote, type CommitNote } from '../../engine/sink/kafka/commit-note.ts';
import type { PartitionOffset } from '../../engine/source/source.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { connectRedis, type RedisClient } from '../../engine/state/redis/connect-redis.ts';
import { StoredTaskState } from '../../engine/state/redis/stored-task-state.ts';
import { readTaskHeader, recordedPartitions } from '../../engine/state/redis/task-header.ts';
import type { StateEntry, StateReader } from '../../engine/state/state-store.ts';
import type { CheckedJob } from '../checked-job.ts';
import { clusterRegistry } from '../runtime/cluster/cluster-registry.ts';
import { topicOf } from '../runtime/cluster/job-topics.ts';
import { neededServices } from '../runtime/cluster/needed-services.ts';
import { openStageDecoder } from '../runtime/stages/stage-decoder.ts';
import { upstreamsOf } from '../runtime/stages/stage-upstreams.ts';
import { keepsState, planStages, type Stage } from '../runtime/stages/stages.ts';
import type { ClusterStore } from './cluster-stages.ts';
import { jobOperators } from './job-operators.ts';
import { MemoryState } from './memory-state.ts';
import type { ReplayedState } from './replay-state.ts';
import { replayTask } from './replay-task.ts';
import { countKeys, driftsOf, sampleOf, type Drift } from './state-sample.ts';
import type { StateView } from './state-view.ts';
import type { Verified } from './verify-state.ts';

/** A task of a job, as Redis has it. */
interface StoredTask {
  readonly task: string;
  readonly stage: Stage;
  /** That the stage reads. */
  readonly topic: string;
  readonly partition: number;
  /** Partitions of the topic that the stage before reads. */
  readonly upstreamPartitions: number;
  /** See `upstreamsOf`. */
  readonly upstreams: readonly number[];
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
      reader: new TasksState(redis, planStages(job), tasks),
      watermarksMs: [{ partition: 0, watermarkMs: Math.min(Infinity, ...seenMs) }],
    });
  } finally {
    redis.disconnect();
  }
}

/**
 * Computes the state of a sample of keys anew from the topics, task by task and stage by stage, and compares it with what Redis holds, as of each task's last flush.
 *
 * @param share of the keys: above 0, at most 1.
 * @throws {SluiceError} `STATE_NONE`, `JOB_CHANGED`; `LOG_TRUNCATED` where a topic does not reach back to where a task began; `STATE_BUSY` where a task flushed meanwhile.
 */
export async function verifyCluster(job: CheckedJob, store: ClusterStore, share: number): Promise<Verified> {
  const redis = connectRedis(neededServices(store.settings).redis, () => undefined);
  let keys = 0;
  let replayedRecords = 0;
  const drifts: Drift[] = [];
  try {
    for (const stored of await storedTasks(job, redis)) {
      const { task, stage, offset, note } = stored;
      if (!keepsState(job, stage)) continue;
      const operators = jobOperators(job);
      const { watermarksMs } = note.metadata;
      const found = await sampleOf({ operators, reader: new StoredTaskState(redis, task), watermarksMs }, share);
      if ((await readTaskHeader(redis, task)).offset !== offset) throw busy(task);
      const replayed = await fromLog(job, store, stored, offset);
      const expected = await sampleOf({ operators, reader: replayed.reader, watermarksMs }, share);
      keys += countKeys(expected, found);
      replayedRecords += replayed.replayedRecords;
      drifts.push(...driftsOf(expected, found));
    }
  } finally {
    redis.disconnect();
  }
  return { keys, drifts, replayedRecords };
}

/**
 * Looks at the state of a task as it was before a record was read, computed from the topic.
 *
 * @param operator whose stage's topic the position is one of; `null`: the job's own.
 * @throws {SluiceError} `STATE_NONE`, `JOB_CHANGED`, `LOG_TRUNCATED`; `POSITION_UNKNOWN` for a partition that has no state, or a record that its task has not read.
 */
export async function viewClusterAt<T>(
  job: CheckedJob,
  store: ClusterStore,
  { partition, offset }: PartitionOffset,
  operator: string | null,
  use: (view: StateView) => Promise<T>,
): Promise<T> {
  const redis = connectRedis(neededServices(store.settings).redis, () => undefined);
  try {
    const tasks = await storedTasks(job, redis);
    const stage = stageOf(planStages(job), operator);
    const task = tasks.find((each) => each.stage.suffix === stage?.suffix && each.partition === partition);
    if (task === undefined || offset > task.offset || offset < task.note.origin) {
      throw positionUnknown(job, { partition, offset }, task);
    }
    const { reader, watermarksMs } = await fromLog(job, store, task, offset);
    return await use({ operators: jobOperators(job), reader, watermarksMs });
  } finally {
    redis.disconnect();
  }
}

/** What a task's topic says of its state before an offset. */
async function fromLog(
  job: CheckedJob,
  { settings, clock }: ClusterStore,
  { task, stage, topic, partition, upstreamPartitions, upstreams, note }: StoredTask,
  to: number,
): Promise<ReplayedState & { readonly reader: StateReader }> {
  if (note.metadata.jobDigest !== stage.digest) throw changed(job, task);
  const { client } = neededServices(settings).kafka;
  await using source = await KafkaSource.open({ settings: client, topic, partitions: [partition] });
  const decoder = openStageDecoder(job, stage, clusterRegistry(settings, clock));
  const { origin: from } = note;
  const replayed = await replayTask(
    job,
    { stage, topic, partition, upstreamPartitions, upstreams, source, decoder },
    { from, to },
  );
  const reader = new MemoryState();
  reader.put(replayed.writes);
  return { ...replayed, reader };
}

/** The tasks of a job that have state. @throws {SluiceError} `STATE_NONE` */
async function storedTasks(job: CheckedJob, redis: RedisClient): Promise<readonly StoredTask[]> {
  const tasks: StoredTask[] = [];
  const stages = planStages(job);
  const nameOf = ({ suffix }: Stage): string => `${job.app}.${job.name}${suffix}`;
  const counts = new Map<Stage, number>();
  for (const stage of stages) {
    counts.set(stage, (await recordedPartitions(redis, nameOf(stage), topicOf(job, stage), null)) ?? 0);
  }
  const partitionsOf = (stage: Stage): number => counts.get(stage) ?? 0;
  let upstreamPartitions = 1;
  for (const stage of stages) {
    const name = nameOf(stage);
    const topic = topicOf(job, stage);
    const partitions = partitionsOf(stage);
    const upstreams = upstreamsOf(stages, stage, partitionsOf);
    for (let partition = 0; partition < partitions; partition++) {
      const task = `${name}.${topic}-${partition}`;
      const { offset, metadata } = await readTaskHeader(redis, task);
      if (offset === null || metadata === null) continue;
      const note = readNote(metadata, `the state of task ${task}`);
      tasks.push({ task, stage, topic, partition, upstreamPartitions, upstreams, offset, note });
    }
    upstreamPartitions = partitions;
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
  readonly #stages: readonly Stage[];
  readonly #readers: readonly { readonly stage: Stage; readonly state: StoredTaskState }[];

  constructor(redis: RedisClient, stages: readonly Stage[], tasks: readonly StoredTask[]) {
    this.#stages = stages;
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

  #of(operatorId: string): readonly StoredTaskState[] {
    const stage = stageOf(this.#stages, operatorId);
    return this.#readers.filter((reader) => reader.stage.suffix === stage?.suffix).map(({ state }) => state);
  }
}

/** The stage of an operator: what no stage names, as what drops repeated records, is in the first one, or where several inputs meet. */
function stageOf(stages: readonly Stage[], operatorId: string | null): Stage | undefined {
  const own = stages.find((stage) => operatorId !== null && stage.operators.includes(operatorId));
  if (own !== undefined) return own;
  // What drops the repeated records of one of several inputs is where these meet.
  const output = stages.find(({ suffix }) => operatorId === suffix.replace(/^\.in\./, 'duplicates-'))?.output;
  const meeting = stages.find(
    ({ input }) => input !== 'source' && output !== 'results' && input.topic === output?.topic,
  );
  return meeting ?? stages.find(({ input }) => input === 'source');
}

function positionUnknown(
  { name }: CheckedJob,
  { partition, offset }: PartitionOffset,
  task: StoredTask | undefined,
): SluiceError {
  const read =
    task === undefined
      ? 'it has no state there'
      : `its state there is of offsets ${task.note.origin} to ${task.offset}`;
  return new SluiceError(
    'POSITION_UNKNOWN',
    `job ${name} must have read partition ${partition} up to offset ${offset}; ${read}`,
    { fields: { job: name, partition, offset } },
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
