import type { ClickHouseAccess } from '../../engine/clickhouse/clickhouse-access.ts';
import type { SluiceError } from '../../engine/error.ts';
import { followTopic, type FollowerProgress } from '../../engine/execution/follower.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import { ClickHouseSink } from '../../engine/sink/clickhouse/clickhouse-sink.ts';
import { KafkaTaskProducer } from '../../engine/sink/kafka/kafka-task-producer.ts';
import type { ConsumerGroup } from '../../engine/source/kafka/consumer-group.ts';
import type { TaskSignals } from '../../engine/source/kafka/group-tasks.ts';
import { KafkaPositions } from '../../engine/source/kafka/kafka-positions.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import type { Clock } from '../../engine/time/clock.ts';
import type { Copy } from '../sink-job.ts';

/** What copying one topic works with, whichever partition. */
export interface CopyOptions {
  readonly copy: Copy;
  readonly kafka: KafkaSettings;
  readonly clickHouse: ClickHouseAccess;
  readonly registry: SchemaRegistry;
  readonly group: ConsumerGroup;
  readonly groupId: string;
  readonly bounds: CopyBounds;
  readonly clock: Clock;
  /** Told after each chunk that is in the table. */
  readonly onProgress: (partition: number, progress: FollowerProgress) => void;
  /** Told of each failure that is tried again, before the wait. */
  readonly onRetry: (partition: number, error: SluiceError, delayMs: number) => void;
}

/** How large one partition's chunks are, and how much is read ahead of them. */
export interface CopyBounds {
  readonly chunkRows: number;
  readonly chunkMs: number;
  readonly chunkBytes: number;
  readonly readAheadKiB: number;
}

/** What all partitions of a topic may hold in one worker together, when ClickHouse is away and every one of them is full. */
const budgetBytes = 256 * 1024 * 1024;
/** A chunk is there as what was polled, put together, and as the body of an insert; and as much again is read ahead. */
const copiesOfChunk = 4;
const smallestChunkBytes = 1024 * 1024;
const largestChunkBytes = 16 * 1024 * 1024;
const pollRows = 1_000;

/**
 * The bounds by which a worker that has every partition of a topic stays within 256 MiB, however long ClickHouse is away (below some 64 partitions; a
 * chunk is never smaller than a mebibyte).
 */
export function copyBounds(partitionCount: number): CopyBounds {
  const share = Math.floor(budgetBytes / copiesOfChunk / partitionCount);
  const chunkBytes = Math.max(smallestChunkBytes, Math.min(largestChunkBytes, share));
  return { chunkRows: 10_000, chunkMs: 1_000, chunkBytes, readAheadKiB: chunkBytes / 1024 };
}

/**
 * Copies one partition's committed messages to a table until it is told to stop (exactly-once, "The ClickHouse sink"): a task of `GroupTasks`.
 *
 * @throws {SluiceError} what `followTopic` throws. After a `transient` error, or `TASK_FENCED`, it is begun anew.
 */
export async function copyPartition(options: CopyOptions, partition: number, signals: TaskSignals): Promise<void> {
  const { copy, kafka, clickHouse, registry, group, groupId, bounds, clock } = options;
  const { topic, table } = copy;
  const { readAheadKiB, ...chunks } = bounds;
  await using source = await KafkaSource.open({ settings: kafka, topic, partitions: [partition], readAheadKiB });
  await using positions = new KafkaPositions({
    topic,
    partition,
    groupId,
    openProducer: () =>
      KafkaTaskProducer.open({ settings: kafka, transactionalId: `${groupId}-${partition}`, group, topic, partition }),
    committed: () => group.committed(partition),
    lost: signals.lost,
  });
  await using sink = new ClickHouseSink({ clickHouse, table, registry });
  await followTopic({
    source,
    sink,
    positions,
    clock,
    ...chunks,
    pollRows,
    standsAt: () => source.positions(),
    signal: signals.stop,
    onProgress: (progress) => options.onProgress(partition, progress),
    onRetry: (error, delayMs) => options.onRetry(partition, error, delayMs),
  });
}
