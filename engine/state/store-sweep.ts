import type { StateEntry, StateReader } from './state-store.ts';

/** The least share of records for each of which a stored key is looked at, and the largest. */
const leastLooks = 1 / 64;
const mostLooks = 4;
/** Where as large a share of what was looked at is to be deleted, the sweep becomes faster, and otherwise slower. */
const quickenAbove = 1 / 4;
/** A step reads no fewer keys, so that a stream of small batches does not pay a read for each. */
const leastStepKeys = 16;
/** A step reads no more keys, since their values come with them. */
const mostStepKeys = 2048;

/**
 * Looks at all stored keys of an operator in turn, a few beside each batch, for those that nothing reaches any more: keys that are not in memory expire where nobody sees it.
 *
 * How many are looked at follows what is found, as Redis's own active expiry does: one for every 64 records while there is little to delete, and up to four for every record while there
 * is much. It depends on the store alone, never on a clock; no answer depends on it.
 */
export class StoreSweep {
  #cursor: string | null = null;
  #looksPerRecord = leastLooks;
  /** So that the first step comes with the first batch. */
  #looksDue = leastStepKeys;

  /** How many keys are to be looked at beside a batch of so many records: none, or enough to be worth a read. */
  due(records: number): number {
    this.#looksDue += records * this.#looksPerRecord;
    const keys = Math.floor(this.#looksDue);
    if (keys < leastStepKeys) return 0;
    this.#looksDue = 0;
    return Math.min(keys, mostStepKeys);
  }

  /** The next few keys. */
  async look(reader: StateReader, operatorId: string, keys: number): Promise<readonly StateEntry[]> {
    if (reader.scanSome === undefined) return [];
    const { entries, next } = await reader.scanSome(operatorId, this.#cursor, keys);
    this.#cursor = next;
    return entries;
  }

  /** Says how many of the keys looked at are to be deleted. */
  found(looked: number, expired: number): void {
    if (looked === 0) return;
    const factor = expired / looked > quickenAbove ? 2 : 1 / 2;
    this.#looksPerRecord = Math.min(mostLooks, Math.max(leastLooks, this.#looksPerRecord * factor));
  }
}
