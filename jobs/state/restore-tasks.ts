import { randomUUID } from 'node:crypto';
import { KafkaTaskProducer } from '../../engine/sink/kafka/kafka-task-producer.ts';
import { TaskCommitLog } from '../../engine/sink/kafka/task-commit-log.ts';
import { ConsumerGroup } from '../../engine/source/kafka/consumer-group.ts';
import { GroupTasks } from '../../engine/source/kafka/group-tasks.ts';
import type { Clock } from '../../engine/time/clock.ts';
import { taskOf, type ClusterStage } from './cluster-stages.ts';
import { jobRunning } from './job-running.ts';
import { RestoringTaskState } from './restoring-task-state.ts';
import type { TaskToRestore } from './savepoint.ts';

/** Partitions that another worker still has are not given to this one. */
const assignedWithinMs = 60_000;
const lookAgainMs = 100;

/**
 * Where a restored task begins that reads an exchange: what its state came from is in no log here, so that a loss of the state is refused by name (`LOG_TRUNCATED`) and not made good by half.
 */
const beforeTheLog = -1;

/**
 * Joins the job's consumer group, which fences former owners, and puts state in the place of each partition's as it is given.
 *
 * @throws {SluiceError} `JOB_RUNNING` where other workers keep partitions; what the protocol throws.
 */
export async function restoreAll(
  cluster: ClusterStage,
  tasks: readonly (TaskToRestore | null)[],
  clock: Clock,
): Promise<void> {
  const done = new Set<number>();
  let failure: { readonly error: unknown } | null = null;
  const runner = new GroupTasks({
    run: async (partition, { lost }) => {
      const task = tasks[partition];
      if (group === null || task === undefined) return;
      if (task !== null) await restoreTask(cluster, group, partition, task, lost);
      done.add(partition);
    },
    halted: (_partition, error) => (failure ??= { error }),
    trouble: () => undefined,
    handOverTimeoutMs: assignedWithinMs,
    clock,
  });
  const { name, topic, partitions, kafka } = cluster;
  const group: ConsumerGroup | null = await ConsumerGroup.join(
    { settings: kafka, groupId: name, topic },
    runner,
    clock,
  );
  try {
    const deadlineMs = clock.monotonicMs() + assignedWithinMs;
    while (done.size < partitions && failure === null) {
      if (clock.monotonicMs() > deadlineMs) throw jobRunning(name, partitions - done.size, partitions);
      await clock.sleep(lookAgainMs);
    }
  } finally {
    await group.leave();
  }
  // The compiler does not see that `halted` sets it.
  const failed = failure as { readonly error: unknown } | null;
  if (failed !== null) throw failed.error;
}

/** The protocol's own batch, with no records and no outputs: the position in a transaction, then the state. */
async function restoreTask(
  cluster: ClusterStage,
  group: ConsumerGroup,
  partition: number,
  { committed, metadata, state }: TaskToRestore,
  lost: AbortSignal,
): Promise<void> {
  const { kafka, redis, topic, stage } = cluster;
  const to = committed.find((at) => at.partition === partition)?.offset;
  if (to === undefined) return;
  const task = taskOf(cluster, partition);
  await using log = new TaskCommitLog({
    task,
    partition,
    openProducer: () => KafkaTaskProducer.open({ settings: kafka, transactionalId: task, group, topic, partition }),
    committed: () => group.committed(partition),
    state: new RestoringTaskState(redis, { task, owner: randomUUID() }, state),
    servesJob: () => true,
    lost,
  });
  const found = await log.acquire();
  const from = found.committed[0]?.offset ?? (stage.input === 'source' ? 0 : beforeTheLog);
  await log.commit({ ranges: [{ partition, from, to }], metadata, outputs: [], state: { writes: [] } });
}
