import { SluiceError } from '../../engine/error.ts';
import { readNote } from '../../engine/sink/kafka/commit-note.ts';
import { committedPositions } from '../../engine/source/kafka/committed-positions.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { connectRedis } from '../../engine/state/redis/connect-redis.ts';
import { StoredTaskState } from '../../engine/state/redis/stored-task-state.ts';
import { readTaskHeader } from '../../engine/state/redis/task-header.ts';
import { SavepointWriter } from '../../engine/state/savepoint-file.ts';
import type { Clock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { ClusterSettings } from '../runtime/cluster/cluster-settings.ts';
import { inputTopics } from '../runtime/cluster/job-topics.ts';
import { neededServices } from '../runtime/cluster/needed-services.ts';
import { checkPartitionsKept } from '../runtime/cluster/recorded-partitions.ts';
import { planStages } from '../runtime/stages.ts';
import { jobOperators } from './job-operators.ts';
import { layoutOf } from './job-layout.ts';
import { stateExists, type SavepointFigures } from './local-savepoint.ts';
import { restoreAll, taskOf, type ClusterJob } from './restore-tasks.ts';
import {
  checkAllKnown,
  manifestVersion,
  openJobSavepoint,
  storedMetadata,
  tasksToRestore,
  type SavepointManifest,
  type SavepointTask,
} from './savepoint.ts';

const attempts = 10;
const tryAgainMs = 300;

/** Where the services are. */
export interface ClusterStore {
  readonly settings: ClusterSettings;
  readonly clock: Clock;
}

/**
 * Writes a savepoint of a job on a cluster: the state of each of its tasks, where it is that of the last commit, as it is when the job's workers have been stopped.
 *
 * @throws {SluiceError} `SAVEPOINT_STAGES` for a job of several stages; `STATE_NONE`, `STATE_BEHIND`, `STATE_BUSY`, `JOB_CHANGED`, `SAVEPOINT_UNWRITABLE`; what Kafka and Redis say.
 */
export async function saveCluster(
  job: CheckedJob,
  store: ClusterStore,
  { path, name }: Pick<SavepointFigures, 'path' | 'name'>,
): Promise<SavepointFigures> {
  return withJob(job, store, async (cluster) => {
    const { topic, partitions, kafka, redis } = cluster;
    const positions = await patient(store.clock, () => committedPositions(kafka, cluster.name, topic, partitions));
    const tasks: SavepointTask[] = [];
    const saved: number[] = [];
    for (const [partition, { offset, metadata }] of [...positions].sort(([a], [b]) => a - b)) {
      const task = taskOf(cluster, partition);
      const header = await readTaskHeader(redis, task);
      const note = readNote(metadata, `the position of task ${task}`);
      if (note.metadata.jobDigest !== job.digest) throw anotherJob(job, task);
      if (header.offset !== offset) throw behind(job, task, header.offset, offset);
      tasks.push({ committed: [{ partition, offset }], metadata: storedMetadata(note.metadata) });
      saved.push(partition);
    }
    if (tasks.length < partitions) throw incomplete(job, tasks.length, partitions);
    const manifest: SavepointManifest = {
      manifestVersion,
      name,
      job: job.name,
      profile: 'cluster',
      createdAt: new Date(store.clock.nowMs()).toISOString(),
      layout: layoutOf(job),
      partitions,
      keysLie: 'otherwise',
      tasks,
      order: null,
    };
    await using writer = await SavepointWriter.open(path, manifest);
    let keys = 0;
    for (const [index, partition] of saved.entries()) {
      const task = taskOf(cluster, partition);
      const reader = new StoredTaskState(redis, task);
      await checkAllKnown(job, await reader.operators(), reader);
      for (const { describer } of jobOperators(job)) {
        keys += await writer.add(index, describer.operatorId, reader.scan(describer.operatorId));
      }
      const { offset } = await readTaskHeader(redis, task);
      if (offset !== tasks[index]?.committed[0]?.offset) throw busy(job, task);
    }
    await writer.finish();
    return { path, name, keys, tasks: tasks.length };
  });
}

/**
 * Puts a savepoint in the place of a job's state on a cluster. It joins the job's consumer group as a worker would, which fences former owners, and for each partition commits the
 * savepoint's position in a transaction and then its state, at once. A restore that dies is made again.
 *
 * @param existing `refuse` a job that has positions already, or `replace` its state.
 * @throws {SluiceError} `SAVEPOINT_STAGES`, `STATE_EXISTS`, `SAVEPOINT_POSITIONS`, `JOB_RUNNING` where other workers keep its partitions; what {@link openJobSavepoint} and
 *   {@link tasksToRestore} throw; what Kafka and Redis say.
 */
export async function restoreCluster(
  job: CheckedJob,
  store: ClusterStore,
  path: string,
  existing: 'refuse' | 'replace',
): Promise<SavepointFigures> {
  const opened = await openJobSavepoint(job, path);
  return withJob(job, store, async (cluster) => {
    const { topic, partitions, kafka, redis, name } = cluster;
    if (opened.manifest.partitions !== partitions) throw otherPartitions(cluster, opened.manifest.partitions);
    const tasks = await tasksToRestore(job, opened, partitions);
    const positions = await patient(store.clock, () => committedPositions(kafka, name, topic, partitions));
    if (existing === 'refuse' && positions.size > 0) throw stateExists(job, `group ${name}`);
    using admin = new KafkaAdmin(kafka);
    const held = await patient(store.clock, () => admin.heldOffsets(topic, partitions));
    for (const { committed } of tasks) {
      for (const { partition, offset } of committed) {
        const { start, end } = held[partition] ?? { start: 0, end: 0 };
        const at = positions.get(partition)?.offset ?? 0;
        if (offset > end || offset < start || at > offset)
          throw unfitPosition(cluster, { partition, offset, start, end, at });
      }
    }
    await checkPartitionsKept(redis, name, topic, partitions, 'record');
    await restoreAll(cluster, tasks, store.clock);
    const keys = tasks.reduce(
      (sum, { state }) => sum + [...state.values()].reduce((all, { length }) => all + length, 0),
      0,
    );
    return { path, name: opened.manifest.name, keys, tasks: tasks.length };
  });
}

/** A topic that was made a moment ago has no leader yet: what fails for now is tried again, a few times. */
async function patient<T>(clock: Clock, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof SluiceError) || error.retryable !== 'transient' || attempt >= attempts) throw error;
      await clock.sleep(tryAgainMs);
    }
  }
}

async function withJob<T>(
  job: CheckedJob,
  { settings }: ClusterStore,
  use: (cluster: ClusterJob) => Promise<T>,
): Promise<T> {
  const { kafka, redis: redisSettings } = neededServices(settings);
  if (planStages(job).length > 1) throw stages(job);
  const [topic = ''] = inputTopics(job);
  using admin = new KafkaAdmin(kafka.client);
  const partitions = await admin.partitionCount(topic);
  if (partitions === null) {
    throw new SluiceError('TOPIC_MISSING', `topic ${topic}, which job ${job.name} reads, must be there; it is not`, {
      fields: { topic },
    });
  }
  const redis = connectRedis(redisSettings, () => undefined);
  try {
    return await use({ job, name: `${job.app}.${job.name}`, topic, partitions, kafka: kafka.client, redis });
  } finally {
    redis.disconnect();
  }
}

function stages({ name }: CheckedJob): SluiceError {
  return new SluiceError(
    'SAVEPOINT_STAGES',
    `a savepoint must be of a job of one stage; job ${name} is split into several on a cluster (\`sluice explain\` shows them), whose exchange topics hold what is under way between them. ` +
      'Split it into jobs of one entity, or keep it on the embedded profile',
    { fields: { job: name } },
  );
}

function anotherJob({ name, digest }: CheckedJob, task: string): SluiceError {
  return new SluiceError(
    'JOB_CHANGED',
    `task ${task} must have been left by job ${name} as its file is (${digest}); another version of it was`,
    {
      fields: { task },
    },
  );
}

function behind({ name }: CheckedJob, task: string, at: number | null, committed: number): SluiceError {
  return new SluiceError(
    'STATE_BEHIND',
    `the state of task ${task} must stand where the task is committed (${committed}); it stands at ${at ?? 'nothing'}. Let job ${name} run until its topic is quiet, or with --trigger availableNow, and stop it`,
    { retryable: 'transient', fields: { task, stateOffset: at, committed } },
  );
}

function busy({ name }: CheckedJob, task: string): SluiceError {
  return new SluiceError(
    'STATE_BUSY',
    `could not read the state of task ${task} as of one moment: job ${name} moved it meanwhile. Stop its workers first`,
    {
      retryable: 'transient',
      fields: { task },
    },
  );
}

function incomplete({ name }: CheckedJob, tasks: number, partitions: number): SluiceError {
  return new SluiceError(
    'STATE_NONE',
    `every partition of the input must have been read before a savepoint is made; job ${name} has committed in ${tasks} of ${partitions}`,
    { fields: { job: name } },
  );
}

function otherPartitions({ topic, partitions }: ClusterJob, saved: number): SluiceError {
  return new SluiceError(
    'SAVEPOINT_PARTITIONS',
    `topic ${topic} must have the ${saved} partitions that the savepoint was made with; it has ${partitions}. Its records have other offsets there: fill a topic of ${saved} partitions`,
    { fields: { topic, partitions, saved } },
  );
}

interface UnfitPosition {
  readonly partition: number;
  readonly offset: number;
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

function unfitPosition({ topic, name }: ClusterJob, { partition, offset, start, end, at }: UnfitPosition): SluiceError {
  const found =
    at > offset
      ? `group ${name} has gone on to ${at} already, and a position never goes back`
      : `it holds ${start} to ${end}`;
  return new SluiceError(
    'SAVEPOINT_POSITIONS',
    `topic ${topic}, partition ${partition}, must hold offset ${offset}, where the savepoint stands, with nothing committed behind it; ${found}`,
    { fields: { topic, partition, offset } },
  );
}
