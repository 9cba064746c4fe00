import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import type { SluiceError } from '../../../engine/error.ts';
import type { CommitLog } from '../../../engine/execution/commit-log.ts';
import type { QueryDefinition } from '../../../engine/execution/query-definition.ts';
import { retryTransient } from '../../../engine/execution/retry-transient.ts';
import { StreamingQuery, type Trigger } from '../../../engine/execution/streaming-query.ts';
import { errorFields, type Logger } from '../../../engine/observability/logger.ts';
import { KafkaTaskProducer } from '../../../engine/sink/kafka/kafka-task-producer.ts';
import { TaskCommitLog } from '../../../engine/sink/kafka/task-commit-log.ts';
import { BoundedKafkaSource, boundKafkaSource } from '../../../engine/source/kafka/bounded-kafka-source.ts';
import { ConsumerGroup } from '../../../engine/source/kafka/consumer-group.ts';
import { GroupTasks, type TaskSignals } from '../../../engine/source/kafka/group-tasks.ts';
import { KafkaSource } from '../../../engine/source/kafka/kafka-source.ts';
import type { Source } from '../../../engine/source/source.ts';
import type { RedisClient } from '../../../engine/state/redis/connect-redis.ts';
import { OnlineTaskState } from '../../../engine/state/redis/online-task-state.ts';
import type { OnlineValues } from '../../../engine/state/redis/online-values.ts';
import type { TaskState } from '../../../engine/state/redis/task-state.ts';
import type { Clock } from '../../../engine/time/clock.ts';
import { ChangedTaskState, type FateOf } from '../../state/changed-tasks.ts';
import type { ClusterKafka } from './cluster-settings.ts';
import { jobRunning } from '../../state/job-running.ts';
import { partitionsChanged } from './recorded-partitions.ts';
import { RunTotals, type StageTotals } from './run-totals.ts';

/** When a worker ends by itself. `rebuild`: once all state was computed anew from the log, up to where each task is committed, and nothing else was done. */
export type WorkerTrigger = Trigger | 'rebuild';

/** A stage of a job, and what its tasks in this process share. */
export interface StageWorkerOptions {
  /** `app.job` and the stage's suffix: the consumer group, and what the names of tasks begin with. */
  readonly name: string;
  readonly topic: string;
  /** How many partitions the topic had when the job was opened. */
  readonly partitions: number;
  /** What becomes of what a job of some digest has left. */
  readonly fateOf: FateOf;
  readonly kafka: ClusterKafka;
  /** Shared by all tasks of the process; outlives the worker. */
  readonly redis: RedisClient;
  /** Where the online values go that its query hands on with the state; `null` for a stage that has none. */
  readonly online: OnlineValues | null;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The query of one task. Called once for each acquisition. */
  openQuery(partition: number, source: Source, commitLog: CommitLog): QueryDefinition;
}

/** A worker that takes longer gives its partitions up as lost; docker compose gives a service 30 s to end. */
const handOverTimeoutMs = 15_000;
/** A worker that is to work off what is there, and was given nothing for so long, has nothing to do. */
const idleBeforeEndMs = 3_000;
const lookAgainMs = 50;
/** Partitions that another worker still has are not given to one that is to rebuild them all. */
const assignedWithinMs = 60_000;

/**
 * One process's part in a stage: a member of its consumer group, and a task for each partition that the group gives it (exactly-once). It restarts its tasks after
 * whatever waiting mends, saying so, and ends with the first error that it does not: then its other tasks hand over in good order, and the
 * task that failed has committed nothing since.
 */
export class StageWorker {
  readonly #options: StageWorkerOptions;
  readonly #totals = new RunTotals();
  readonly #ended = new AbortController();
  /** Partitions that were worked off, or rebuilt, where that is the trigger. */
  readonly #done = new Set<number>();
  /** Partitions that it was given. */
  readonly #begun = new Set<number>();
  #failure: { readonly error: unknown } | null = null;

  constructor(options: StageWorkerOptions) {
    this.#options = options;
  }

  /** What its tasks have done so far. */
  get totals(): StageTotals {
    return this.#totals.totals;
  }

  /**
   * Joins the group and works until the signal; with `availableNow`, until the partitions that it has are worked off. Then it hands over and leaves. Called once.
   *
   * @throws {SluiceError} the first error that waiting cannot mend; `JOB_RUNNING` for a rebuild where other workers keep partitions.
   */
  async run(trigger: WorkerTrigger, stopped: AbortSignal): Promise<void> {
    const { name, topic, kafka, clock } = this.#options;
    const end = (): void => this.#ended.abort();
    stopped.addEventListener('abort', end, { once: true });
    if (stopped.aborted) end();
    const tasks = new GroupTasks({
      run: async (partition, signals) => {
        assert(group !== null, 'partitions come from a group that was joined');
        await this.#runTask(group, partition, trigger, signals);
        if (!signals.stop.aborted) this.#done.add(partition);
      },
      halted: (partition, error) => this.#fail(partition, error),
      trouble: (partition, error) => this.#warn(partition, error),
      handOverTimeoutMs,
      clock,
    });
    const { client: settings, sessionTimeoutMs } = kafka;
    const options = { settings, groupId: name, topic, ...(sessionTimeoutMs === null ? {} : { sessionTimeoutMs }) };
    const join = (): Promise<ConsumerGroup> => ConsumerGroup.join(options, tasks, clock);
    const group: ConsumerGroup | null = await retryTransient(join, clock, this.#ended.signal, (error) =>
      this.#warn(null, error),
    ).catch((error: unknown) => {
      // Stopped before it had joined: nothing is to be handed over.
      if (this.#ended.signal.aborted) return null;
      throw error;
    });
    if (group === null) return;
    try {
      if (trigger === 'availableNow') await this.#untilDone(group, tasks);
      else if (trigger === 'rebuild') await this.#untilRebuilt();
      else await aborted(this.#ended.signal);
    } finally {
      await group.leave();
      stopped.removeEventListener('abort', end);
    }
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Resolves when everything that the group has given to this worker is worked off. */
  async #untilDone(group: ConsumerGroup, tasks: GroupTasks): Promise<void> {
    const { clock } = this.#options;
    const ended = this.#ended.signal;
    await Promise.race([group.assigned, aborted(ended)]);
    // A newcomer is given nothing at first, until the others have handed over.
    for (
      let idleMs = 0;
      tasks.partitions.length === 0 && idleMs < idleBeforeEndMs && !ended.aborted;
      idleMs += lookAgainMs
    ) {
      await clock.sleep(lookAgainMs, ended);
    }
    while (!ended.aborted && !tasks.partitions.every((partition) => this.#done.has(partition))) {
      await clock.sleep(lookAgainMs, ended);
    }
  }

  async #untilRebuilt(): Promise<void> {
    const { name, partitions, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + assignedWithinMs;
    while (!this.#ended.signal.aborted && this.#done.size < partitions) {
      if (this.#begun.size < partitions && clock.monotonicMs() > deadlineMs) {
        throw jobRunning(name, partitions - this.#begun.size, partitions);
      }
      await clock.sleep(lookAgainMs, this.#ended.signal);
    }
  }

  async #runTask(
    group: ConsumerGroup,
    partition: number,
    trigger: WorkerTrigger,
    { stop, lost }: TaskSignals,
  ): Promise<void> {
    const { name, topic, partitions, fateOf, kafka, redis, clock, online } = this.#options;
    if (partition >= partitions) throw partitionsChanged(name, topic, partitions, partition + 1);
    const task = `${name}.${topic}-${partition}`;
    this.#begun.add(partition);
    const fate: FateOf = (digest) => {
      const left = fateOf(digest);
      return trigger === 'rebuild' && left === 'serve' ? 'rebuild' : left;
    };
    const source = await this.#openSource(group, partition, trigger);
    const keepOnline = (state: TaskState): TaskState => (online === null ? state : new OnlineTaskState(state, online));
    const commitLog = new TaskCommitLog({
      task,
      partition,
      openProducer: () =>
        KafkaTaskProducer.open({ settings: kafka.client, transactionalId: task, group, topic, partition }),
      committed: () => group.committed(partition),
      state: keepOnline(new ChangedTaskState(redis, { task, owner: randomUUID() }, fate, source)),
      servesJob: (committed) => fateOf(committed) !== 'refuse',
      lost,
    });
    const query = new StreamingQuery(this.#options.openQuery(partition, source, commitLog), clock, (error) =>
      this.#warn(partition, error),
    );
    // A source that is bounded ends by itself; the query's own bound counts the records that it saw, which a topic written by transactions may not end with.
    await this.#totals.of(query, () => query.run('realtime', stop));
  }

  async #openSource(group: ConsumerGroup, partition: number, trigger: WorkerTrigger): Promise<Source> {
    const { topic, kafka } = this.#options;
    const source = await KafkaSource.open({ settings: kafka.client, topic, partitions: [partition] });
    if (trigger === 'realtime') return source;
    try {
      if (trigger === 'availableNow') return await boundKafkaSource(source);
      const committed = await group.committed(partition);
      return new BoundedKafkaSource(source, new Map([[partition, committed?.offset ?? 0]]));
    } catch (error) {
      await source[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A task that was stopped may have been in trouble; what it met last is of no account then. */
  #fail(partition: number, error: unknown): void {
    const { name, topic, logger } = this.#options;
    logger.error(`task ${name}.${topic}-${partition} has halted; the worker hands over and ends`, errorFields(error));
    this.#failure ??= { error };
    this.#ended.abort();
  }

  #warn(partition: number | null, error: SluiceError): void {
    const { name, topic, logger } = this.#options;
    const who = partition === null ? `the worker's part in group ${name}` : `task ${name}.${topic}-${partition}`;
    logger.warn(`${who} waits and tries again`, errorFields(error));
  }
}

/** Resolves when the signal is aborted. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
