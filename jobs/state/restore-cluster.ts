import { strict as assert } from 'node:assert';
import { SluiceError } from '../../engine/error.ts';
import { committedPositions } from '../../engine/source/kafka/committed-positions.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import type { CheckedJob } from '../checked-job.ts';
import { ensureTopics, inputTopics, writtenTopics } from '../runtime/cluster/job-topics.ts';
import { neededServices } from '../runtime/cluster/needed-services.ts';
import { checkPartitionsKept } from '../runtime/cluster/recorded-partitions.ts';
import { planStages } from '../runtime/stages/stages.ts';
import { patient, withStages, type ClusterStage, type ClusterStore } from './cluster-stages.ts';
import { inputsOfLocal } from './inputs-to-restore.ts';
import { stateExists, type SavepointFigures } from './local-savepoint.ts';
import { restoreAll } from './restore-tasks.ts';
import { openJobSavepoint, tasksToRestore, type TaskToRestore } from './savepoint.ts';
import { stagesToRestore } from './stages-to-restore.ts';

/**
 * Puts a savepoint in the place of a job's state on a cluster. It joins the job's consumer groups as a worker would, which fences former owners, and for each partition commits the
 * savepoint's position in a transaction and then its state, at once. Behind an exchange the position is the exchange's end. A restore that dies is made again.
 *
 * @param existing `refuse` a job that has positions already, or `replace` its state.
 * @throws {SluiceError} `STATE_EXISTS`, `SAVEPOINT_POSITIONS`, `JOB_RUNNING` where other workers keep its partitions; what {@link openJobSavepoint}, {@link tasksToRestore} and
 *   {@link stagesToRestore} throw; what Kafka and Redis say.
 */
export async function restoreCluster(
  job: CheckedJob,
  store: ClusterStore,
  path: string,
  existing: 'refuse' | 'replace',
): Promise<SavepointFigures> {
  const opened = await openJobSavepoint(job, path);
  await patient(store.clock, () => makeTopics(job, store));
  return withStages(job, store, async (stages) => {
    const [first] = stages;
    assert(first !== undefined, 'a job has a stage');
    const restored = await tasksOfStages(job, opened, stages, first);
    const plans: (readonly (TaskToRestore | null)[])[] = [];
    for (const [index, cluster] of stages.entries()) {
      plans.push(await placed(cluster, restored[index] ?? [], store, existing));
    }
    let keys = 0;
    let count = 0;
    // The last stage first: whoever looks meanwhile finds nothing to be answered.
    for (const [index, cluster] of [...stages.entries()].toReversed()) {
      const tasks = plans[index] ?? [];
      await checkPartitionsKept(cluster.redis, cluster.name, cluster.topic, cluster.partitions, 'record');
      await restoreAll(cluster, tasks, store.clock);
      for (const task of tasks) {
        if (task === null) continue;
        count++;
        for (const { length } of task.state.values()) keys += length;
      }
    }
    return { path, name: opened.manifest.name, keys, tasks: count };
  });
}

async function tasksOfStages(
  job: CheckedJob,
  opened: Awaited<ReturnType<typeof openJobSavepoint>>,
  stages: readonly ClusterStage[],
  first: ClusterStage,
): Promise<readonly (readonly (TaskToRestore | null)[])[]> {
  const { manifest } = opened;
  if (job.source.kind === 'inputs' && manifest.profile === 'local') return inputsOfLocal(job, opened, stages);
  if (manifest.partitions !== first.partitions) throw otherPartitions(first, manifest.partitions);
  if (stages.length > 1) return stagesToRestore(job, opened, stages);
  return [await tasksToRestore(job, opened, first.partitions)];
}

/** The tasks of a stage at the positions where they go on. @throws {SluiceError} `STATE_EXISTS`, `SAVEPOINT_POSITIONS` */
async function placed(
  cluster: ClusterStage,
  tasks: readonly (TaskToRestore | null)[],
  { clock }: ClusterStore,
  existing: 'refuse' | 'replace',
): Promise<readonly (TaskToRestore | null)[]> {
  const { job, name, topic, partitions, kafka, stage } = cluster;
  const positions = await patient(clock, () => committedPositions(kafka, name, topic, partitions));
  if (existing === 'refuse' && positions.size > 0) throw stateExists(job, `group ${name}`);
  using admin = new KafkaAdmin(kafka);
  const held = await patient(clock, () => admin.heldOffsets(topic, partitions));
  if (stage.input !== 'source') {
    return tasks.map((task, partition) => {
      return task && { ...task, committed: [{ partition, offset: held[partition]?.end ?? 0 }] };
    });
  }
  for (const task of tasks) {
    for (const { partition, offset } of task?.committed ?? []) {
      const { start, end } = held[partition] ?? { start: 0, end: 0 };
      const at = positions.get(partition)?.offset ?? 0;
      if (offset > end || offset < start || at > offset)
        throw unfitPosition(cluster, { partition, offset, start, end, at });
    }
  }
  return tasks;
}

/** Makes the topics that the job writes where they are not there: exchanges among them, which have positions. */
async function makeTopics(job: CheckedJob, { settings, clock }: ClusterStore): Promise<void> {
  const { client, replicas } = neededServices(settings).kafka;
  using admin = new KafkaAdmin(client);
  const written = writtenTopics(job, planStages(job));
  await ensureTopics(inputTopics(job), written, { admin, replicas, clock }, () => undefined);
}

function otherPartitions({ topic, partitions }: ClusterStage, saved: number): SluiceError {
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

function unfitPosition(
  { topic, name }: ClusterStage,
  { partition, offset, start, end, at }: UnfitPosition,
): SluiceError {
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
