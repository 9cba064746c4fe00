import { retryTransient, type RetryListener } from '../../../engine/execution/retry-transient.ts';
import { committedPositions } from '../../../engine/source/kafka/committed-positions.ts';
import { KafkaAdmin } from '../../../engine/source/kafka/kafka-admin.ts';
import type { KafkaSettings } from '../../../engine/source/kafka/kafka-settings.ts';
import type { Clock } from '../../../engine/time/clock.ts';

/** A table's topic, and the consumer group of the stage that reads it. */
export interface ReadTable {
  readonly group: string;
  readonly topic: string;
  readonly partitions: number;
}

const lookAgainMs = 500;
/** Behind the last record of a topic that is written by transactions stand marks that no position goes beyond: whoever has come no further for so long has read it. */
const noProgressMs = 15_000;

/**
 * Resolves once what the tables' topics held at the call was read by the stages that bring it to the exchange, whichever workers have these; then records may be looked up. Called before the stage of those
 * records starts, by every worker for itself.
 */
export async function tablesRead(
  tables: readonly ReadTable[],
  kafka: KafkaSettings,
  clock: Clock,
  stopped: AbortSignal,
  onRetry: RetryListener,
): Promise<void> {
  const asked = <T>(call: () => Promise<T>): Promise<T> => retryTransient(call, clock, stopped, onRetry);
  for (const { group, topic, partitions } of tables) {
    using admin = new KafkaAdmin(kafka);
    const held = await asked(() => admin.heldOffsets(topic, partitions));
    let before = '';
    for (let quietMs = 0; quietMs < noProgressMs && !stopped.aborted; quietMs += lookAgainMs) {
      const positions = await asked(() => committedPositions(kafka, group, topic, partitions));
      const at = held.map(({ start }, partition) => positions.get(partition)?.offset ?? start);
      if (at.every((offset, partition) => offset >= (held[partition]?.end ?? 0))) break;
      if (at.join() !== before) quietMs = 0;
      before = at.join();
      await clock.sleep(lookAgainMs, stopped);
    }
  }
}
