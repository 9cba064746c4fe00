import type { RecordBatch } from '../record/record-batch.ts';
import type { StateReader, StateWrite } from './state-store.ts';

/**
 * The logic of a stateful operator: pure and synchronous but for `prefetch`, without clock or randomness, so that the same records in the
 * same order give the same columns and the same state, however they are cut into batches.
 *
 * The runtime calls, one batch at a time: `await prefetch(batch, reader)`, then `apply(batch)`; between batches, whenever the coalescing
 * interval is up, `takeChanges()`. After a failed commit the logic is thrown away and a new one is built from the store.
 */
export interface StatefulLogic {
  /** Names this operator's state in the store. */
  readonly operatorId: string;
  /** Reads the state of the batch's keys that are not in memory, in one call of `getMany`; returns at once when none is missing. */
  prefetch(batch: RecordBatch, reader: StateReader): Promise<void>;
  /** Answers the batch and moves the state past it. */
  apply(batch: RecordBatch): RecordBatch;
  /** The absolute state of every key that changed since the last call, evicted keys as `null`. Forgets that they changed. */
  takeChanges(): readonly StateWrite[];
  /** Forgets what changed without making bytes of it: for replays, which keep no state. */
  dropChanges(): void;
  /**
   * Says that the oldest `takeChanges()` of which this was not said yet is in the store now, where `prefetch` finds it: keys that have not changed since may be let go, and
   * are read again when they come. Called between batches or while one is prefetched, so nothing is let go within it. Absent for a logic that keeps all it has.
   */
  changesStored?(): void;
  /**
   * How many records a bound that the job declares has made the logic let go before their time, since it was last asked. Asked behind each batch; absent for a logic without such a bound. Records
   * that are replayed are in no count.
   */
  takeLetGoEarly?(): number;
  /** Whether the logic holds more than it is to, and only a flush lets it hold less. Looked at after each batch. */
  readonly needsFlush?: boolean;
}
