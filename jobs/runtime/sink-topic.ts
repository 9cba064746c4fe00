import { messageOf, SluiceError } from '../../engine/error.ts';
import type { ClickHouseAccess } from '../../engine/clickhouse/clickhouse-access.ts';
import { checkTable } from '../../engine/clickhouse/check-table.ts';
import type { FollowerProgress } from '../../engine/execution/follower.ts';
import { retryTransient } from '../../engine/execution/retry-transient.ts';
import { errorFields, type Logger } from '../../engine/observability/logger.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import { ConsumerGroup } from '../../engine/source/kafka/consumer-group.ts';
import { GroupTasks } from '../../engine/source/kafka/group-tasks.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import type { Clock } from '../../engine/time/clock.ts';
import type { Copy } from '../sink-job.ts';
import { copyBounds, copyPartition, type CopyBounds, type CopyOptions } from './sink-partition.ts';

/** What a sink job runs on. */
export interface SinkCluster {
  readonly kafka: KafkaSettings;
  readonly clickHouse: ClickHouseAccess;
  /** Where the schemas of topics in Avro are. */
  readonly registry: SchemaRegistry;
  readonly logger: Logger;
  readonly clock: Clock;
  /** `null` for the group's default. */
  readonly sessionTimeoutMs: number | null;
  /** Over those by which a worker stays within its memory: for tests. */
  readonly bounds?: Partial<CopyBounds>;
  /** Told of each chunk that a table has taken. */
  readonly onProgress?: (copy: Copy, partition: number, progress: FollowerProgress) => void;
}

/** How long a follower may take to write its chunk when its partition is to be handed over; then the next owner writes it. */
const handOverTimeoutMs = 10_000;

/** One topic of a sink job in one worker: joins the topic's group, and copies the partitions that it is given. */
export class TopicCopy {
  readonly #copy: Copy;
  readonly #groupId: string;
  readonly #cluster: SinkCluster;
  /** Why partitions of this worker stand still. */
  readonly #halts = new Map<number, unknown>();
  readonly #tasks: GroupTasks;
  /** Aborted when all of them do. */
  readonly #allHalted = new AbortController();
  #joined: { readonly group: ConsumerGroup; readonly bounds: CopyBounds } | null = null;

  constructor(copy: Copy, groupId: string, cluster: SinkCluster) {
    this.#copy = copy;
    this.#groupId = groupId;
    this.#cluster = cluster;
    this.#tasks = new GroupTasks({
      run: (partition, signals) => {
        // It may have halted here before, and been another worker's since.
        this.#halts.delete(partition);
        return copyPartition(this.#options(), partition, signals);
      },
      halted: (partition, error) => this.#halted(partition, error),
      trouble: (partition, error) =>
        this.#warn(
          partition === null ? `group ${groupId} is in trouble` : 'a partition is begun anew',
          partition,
          error,
        ),
      handOverTimeoutMs,
      clock: cluster.clock,
    });
  }

  /**
   * Copies until the signal; waits for a Kafka or a ClickHouse that is not there yet.
   *
   * @throws {SluiceError} see `runSinkJob`.
   */
  async run(stopped: AbortSignal): Promise<void> {
    const { kafka, clickHouse, clock, sessionTimeoutMs } = this.#cluster;
    const { topic, table } = this.#copy;
    try {
      const partitionCount = await this.#waiting(() => partitionsOf(kafka, topic), stopped);
      await this.#waiting(() => checkTable(clickHouse, table), stopped);
      const bounds = { ...copyBounds(partitionCount), ...this.#cluster.bounds };
      const membership = {
        settings: kafka,
        groupId: this.#groupId,
        topic,
        ...(sessionTimeoutMs === null ? {} : { sessionTimeoutMs }),
      };
      const group = await this.#waiting(() => ConsumerGroup.join(membership, this.#tasks, clock), stopped);
      this.#joined = { group, bounds };
    } catch (error) {
      // Told to end before it could begin.
      if (stopped.aborted && error instanceof SluiceError && error.retryable === 'transient') return;
      throw error;
    }
    await eitherAborted(stopped, this.#allHalted.signal);
    await this.#joined.group.leave();
    for (const error of this.#halts.values()) throw error;
  }

  #waiting<T>(call: () => Promise<T>, stopped: AbortSignal): Promise<T> {
    return retryTransient(call, this.#cluster.clock, stopped, (error, delayMs) =>
      this.#warn('the sink waits and tries again', null, error, delayMs),
    );
  }

  #options(): CopyOptions {
    const joined = this.#joined;
    if (joined === null) {
      // A partition came before the call that joins had returned: it is begun again a moment later.
      throw new SluiceError('KAFKA_UNAVAILABLE', 'the group is still being joined', { retryable: 'transient' });
    }
    const { kafka, clickHouse, registry, clock, onProgress } = this.#cluster;
    return {
      copy: this.#copy,
      kafka,
      clickHouse,
      registry,
      groupId: this.#groupId,
      ...joined,
      clock,
      onProgress: (partition, progress) => onProgress?.(this.#copy, partition, progress),
      onRetry: (partition, error, delayMs) =>
        this.#warn(`${whatIsAway(error)}; the messages wait in their topic`, partition, error, delayMs),
    };
  }

  #halted(partition: number, error: unknown): void {
    this.#halts.set(partition, error);
    const { topic, table } = this.#copy;
    this.#cluster.logger.error(`partition ${partition} of ${topic} is not copied any further: ${messageOf(error)}`, {
      topic,
      table,
      partition,
      ...errorFields(error),
    });
    if (this.#tasks.partitions.every((own) => this.#halts.has(own))) this.#allHalted.abort();
  }

  #warn(message: string, partition: number | null, error: unknown, delayMs?: number): void {
    this.#cluster.logger.warn(message, {
      ...this.#copy,
      ...(partition === null ? {} : { partition }),
      ...errorFields(error),
      ...(delayMs === undefined ? {} : { delayMs }),
    });
  }
}

/** Why a chunk is tried again later, by the error that says so. */
function whatIsAway(error: unknown): string {
  switch (error instanceof SluiceError ? error.code : '') {
    case 'REGISTRY_UNAVAILABLE':
      return 'the schema registry is away';
    case 'CLICKHOUSE_BUSY':
      return 'ClickHouse is too busy';
    default:
      return 'ClickHouse is away';
  }
}

async function partitionsOf(kafka: KafkaSettings, topic: string): Promise<number> {
  using admin = new KafkaAdmin(kafka);
  const count = await admin.partitionCount(topic);
  if (count !== null) return count;
  throw new SluiceError(
    'TOPIC_MISSING',
    `topic ${topic} must be there before it is copied; create it, or correct its name in the sink job`,
    { fields: { topic } },
  );
}

function eitherAborted(first: AbortSignal, second: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      resolve();
    };
    if (first.aborted || second.aborted) end();
    first.addEventListener('abort', end, { once: true });
    second.addEventListener('abort', end, { once: true });
  });
}
