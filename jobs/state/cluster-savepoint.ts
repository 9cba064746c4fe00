import { strict as assert } from 'node:assert';
import { SluiceError } from '../../engine/error.ts';
import { readNote } from '../../engine/sink/kafka/commit-note.ts';
import { boundKafkaSource } from '../../engine/source/kafka/bounded-kafka-source.ts';
import { committedPositions } from '../../engine/source/kafka/committed-positions.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import type { PartitionOffset } from '../../engine/source/source.ts';
import { SavepointWriter } from '../../engine/state/savepoint-file.ts';
import { StoredTaskState } from '../../engine/state/redis/stored-task-state.ts';
import { readTaskHeader } from '../../engine/state/redis/task-header.ts';
import type { CheckedJob } from '../checked-job.ts';
import { keepsState } from '../runtime/stages/stages.ts';
import { patient, taskOf, withStages, type ClusterStage, type ClusterStore } from './cluster-stages.ts';
import { jobOperators } from './job-operators.ts';
import { layoutOf } from './job-layout.ts';
import type { SavepointFigures } from './local-savepoint.ts';
import {
  checkAllKnown,
  manifestVersion,
  storedMetadata,
  type SavepointManifest,
  type SavepointTask,
} from './savepoint.ts';

/**
 * Writes a savepoint of a job on a cluster: the state of each task of each stage, where it is that of the last commit and nothing is under way between stages, as it is when the job's workers have worked off
 * what was there and were stopped.
 *
 * @throws {SluiceError} `STATE_NONE`, `STATE_BEHIND`, `STATE_BUSY`, `JOB_CHANGED`, `SAVEPOINT_UNWRITABLE`; what Kafka and Redis say.
 */
export async function saveCluster(
  job: CheckedJob,
  store: ClusterStore,
  { path, name }: Pick<SavepointFigures, 'path' | 'name'>,
): Promise<SavepointFigures> {
  return withStages(job, store, async (stages) => {
    const tasks: SavepointTask[] = [];
    const names: string[] = [];
    for (const [stage, cluster] of stages.entries()) {
      for (const task of await savedTasks(cluster, store)) {
        names.push(taskOf(cluster, task.partition));
        tasks.push(stages.length === 1 ? withoutPlace(task) : { ...task, stage });
      }
      // Of several inputs one may be quiet still: where it begins is known.
      const needed = job.source.kind === 'inputs' ? 1 : cluster.partitions;
      if (stage === 0 && tasks.length < needed) throw incomplete(job, tasks.length, cluster.partitions);
    }
    const manifest: SavepointManifest = {
      manifestVersion,
      name,
      job: job.name,
      profile: 'cluster',
      createdAt: new Date(store.clock.nowMs()).toISOString(),
      layout: layoutOf(job),
      partitions: stages[0]?.partitions ?? 0,
      ...(stages.length === 1 ? {} : { stagePartitions: stages.map(({ partitions }) => partitions) }),
      keysLie: 'otherwise',
      tasks,
      order: null,
    };
    await using writer = await SavepointWriter.open(path, manifest);
    let keys = 0;
    for (const [index, task] of names.entries()) {
      const cluster = stages[tasks[index]?.stage ?? 0];
      assert(cluster !== undefined, 'a task is of a stage');
      const { redis, stage } = cluster;
      if (!keepsState(job, stage)) continue;
      const reader = new StoredTaskState(redis, task);
      await checkAllKnown(job, await reader.operators(), reader);
      for (const { describer } of jobOperators(job)) {
        keys += await writer.add(index, describer.operatorId, reader.scan(describer.operatorId));
      }
      const { offset } = await readTaskHeader(redis, task);
      if (offset !== tasks[index]?.committed[0]?.offset) throw busy(job, task);
    }
    for (const [stage, cluster] of stages.entries()) {
      await checkUnmoved(
        cluster,
        tasks.filter((task) => (task.stage ?? 0) === stage),
        store,
      );
    }
    await writer.finish();
    return { path, name, keys, tasks: tasks.length };
  });
}

/** A stage without state has its positions alone to tell by whether anybody works on it. @throws {SluiceError} `STATE_BUSY` */
async function checkUnmoved(
  { job, name, topic, partitions, kafka }: ClusterStage,
  tasks: readonly SavepointTask[],
  { clock }: ClusterStore,
): Promise<void> {
  const now = await patient(clock, () => committedPositions(kafka, name, topic, partitions));
  const saved = new Map(tasks.flatMap(({ committed }) => committed).map((at) => [at.partition, at.offset]));
  for (const [partition, { offset }] of now) {
    if (saved.get(partition) !== offset) throw busy(job, taskOf({ name, topic }, partition));
  }
}

/** The tasks of a stage that have read something, in the order of their partitions. */
async function savedTasks(
  { job, name, topic, partitions, kafka, redis, stage }: ClusterStage,
  { clock }: ClusterStore,
): Promise<readonly (SavepointTask & { readonly partition: number })[]> {
  const positions = await patient(clock, () => committedPositions(kafka, name, topic, partitions));
  const tasks: (SavepointTask & { readonly partition: number })[] = [];
  for (const [partition, { offset, metadata }] of [...positions].sort(([a], [b]) => a - b)) {
    const task = taskOf({ name, topic }, partition);
    const header = await readTaskHeader(redis, task);
    const note = readNote(metadata, `the position of task ${task}`);
    if (note.metadata.jobDigest !== stage.digest) throw anotherJob(job, task);
    if (keepsState(job, stage) && header.offset !== offset) throw behind(job, task, header.offset, offset);
    tasks.push({ partition, committed: [{ partition, offset }], metadata: storedMetadata(note.metadata) });
  }
  if (stage.input !== 'source') {
    for (let partition = 0; partition < partitions; partition++) {
      const from = positions.get(partition)?.offset ?? 0;
      if (await hasMore(kafka, topic, { partition, offset: from })) throw underWay(job, topic, partition);
    }
  }
  return tasks;
}

/** Whether anything that was committed lies behind a position of a topic. */
async function hasMore(kafka: KafkaSettings, topic: string, { partition, offset }: PartitionOffset): Promise<boolean> {
  await using source = await boundKafkaSource(
    await KafkaSource.open({ settings: kafka, topic, partitions: [partition] }),
  );
  await source.seek([{ partition, offset }]);
  for (;;) {
    const polled = await source.poll({ maxRecords: 1, maxWaitMs: 1_000 });
    if (polled === 'end') return false;
    if (polled !== null) return true;
  }
}

/** As a savepoint of one stage has it. */
function withoutPlace({ committed, metadata }: SavepointTask): SavepointTask {
  return { committed, metadata };
}

function underWay({ name }: CheckedJob, topic: string, partition: number): SluiceError {
  return new SluiceError(
    'STATE_BEHIND',
    `nothing must be under way between the stages of job ${name}; partition ${partition} of ${topic} has records that were not read. Let it run until its topics are quiet, or with --trigger availableNow, and stop it`,
    { retryable: 'transient', fields: { topic, partition } },
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
