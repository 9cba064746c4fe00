import { DEGRADED, LATE, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { StateEntry, StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { StoreSweep } from '../../engine/state/store-sweep.ts';
import { WorkingSet, type HeldKeys } from '../../engine/state/working-set.ts';
import type { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { locateKeys } from '../key/locate-keys.ts';
import { answerColumn } from './answer-column.ts';
import { ExactRecords } from './exact-records.ts';
import type { RollingDefinition } from './rolling-definition.ts';
import type { RollingRecords } from './rolling-records.ts';
import { storedValues } from './stored-values.ts';
import { TiledRecords } from './tiled-records.ts';

/** Where a rolling operator starts from: nothing, or stored state with the watermarks that it reflects. */
export interface RollingStart {
  /** `empty` spares the look-up of every new key; `stored` reads keys from the store as they come. */
  readonly state: 'empty' | 'stored';
  readonly watermarks: PartitionWatermarks;
  /** About how much of its state the operator holds in memory; all of it where absent. */
  readonly workingSetBytes?: number | undefined;
}

/**
 * The rolling operator: one answer for every record, at once, over the records of its key's window (semantics, "Rolling features"). Made whenever a section is built.
 *
 * It knows the keys: where each one's records are, which have changed since the last flush, and which the watermark has passed. What is kept of their records, and how it answers, is the affair
 * of {@link RollingRecords}: each record, or panes where the definition says so. For each record, in arrival order: forget what nobody sees any more, answer, take the record in.
 * A clock hand looks at a few more keys after each batch, and forgets those that nothing reaches. What is in the store may be let go where memory is bounded, and is read again; no answer depends
 * on it (ADR 0034).
 */
export class RollingLogic implements StatefulLogic {
  readonly operatorId: string;
  /** The input's schema and the definition's outputs after it. */
  readonly outputSchema: Schema;
  readonly #definition: RollingDefinition;
  readonly #keys = new KeyIndex();
  readonly #records: RollingRecords;
  readonly #watermarks: PartitionWatermarks;
  readonly #workingSet: WorkingSet;
  readonly #held: HeldKeys;
  readonly #storeSweep = new StoreSweep();
  /** Whether the store may hold keys that are not in memory: not while all state there is was made here and nothing was let go. */
  #readsStore: boolean;
  #deleted: Uint8Array[] = [];
  #prefetched: { readonly batch: RecordBatch; readonly slots: Int32Array } | null = null;
  #hand = 0;

  /** @param schema the input's schema, which the plan has checked to have the definition's columns. */
  constructor(definition: RollingDefinition, schema: Schema, start: RollingStart) {
    const { operatorId, panes } = definition;
    this.operatorId = operatorId;
    this.#definition = definition;
    this.#records =
      panes === undefined ? new ExactRecords(definition, schema) : new TiledRecords(definition, panes, schema);
    this.outputSchema = schema.with(...this.#records.layout.outputs.map(({ field }) => field));
    this.#watermarks = start.watermarks.copy();
    this.#readsStore = start.state === 'stored';
    this.#workingSet = new WorkingSet(start.workingSetBytes ?? Infinity);
    this.#held = this.#heldKeys();
  }

  /** How many keys are in memory. */
  get keyCount(): number {
    return this.#keys.size;
  }

  /** About how much memory the keys take. */
  get heldBytes(): number {
    return this.#held.heldBytes;
  }

  async prefetch(batch: RecordBatch, reader: StateReader): Promise<void> {
    const missing: number[] = [];
    const slots = locateKeys(batch, this.#definition.key, this.#keys, missing);
    this.#prefetched = { batch, slots };
    if (!this.#readsStore) return;
    const looks = this.#storeSweep.due(batch.rowCount);
    const keys = missing.map((slot) => this.#keys.keyOf(slot));
    // Both are sent before either is answered, so they cost one round trip.
    const [values, stored] = await Promise.all([
      keys.length === 0 ? [] : reader.getMany(this.operatorId, keys),
      looks === 0 ? [] : this.#storeSweep.look(reader, this.operatorId, looks),
    ]);
    this.#deleteExpired(stored);
    missing.forEach((slot, index) => {
      const value = values[index];
      if (value !== null && value !== undefined) this.#records.read(slot, value);
    });
  }

  apply(batch: RecordBatch): RecordBatch {
    const slots =
      this.#prefetched?.batch === batch
        ? this.#prefetched.slots
        : locateKeys(batch, this.#definition.key, this.#keys, []);
    this.#prefetched = null;
    const records = this.#records;
    const { columns, outputs } = records.layout;
    const inputs = columns.map((column) => storedValues(batch, column, records.dictionary));
    const answers = outputs.map(() => new Float64Array(batch.rowCount).fill(NaN));
    const flags = batch.flags.slice();
    const passedMs = this.#watermarks.minimumMs();
    for (let row = 0; row < batch.rowCount; row++) {
      const slot = slots[row] ?? -1;
      if (slot < 0) continue;
      this.#workingSet.touch(slot);
      flags[row] = (flags[row] ?? 0) | this.#answer(batch, row, slot, inputs, answers, passedMs);
    }
    // Before anything is forgotten: an answer may have a text that no row has any more.
    const added = outputs.map(({ form }, output) =>
      answerColumn(answers[output] ?? new Float64Array(0), form, records.dictionary),
    );
    this.#watermarks.observe(batch);
    this.#sweep(batch.rowCount);
    this.#workingSet.evict(this.#held);
    records.tidy(this.#keys);
    return withColumns({ ...batch, flags }, this.outputSchema, added);
  }

  takeChanges(): readonly StateWrite[] {
    const { operatorId } = this;
    const passedMs = this.#watermarks.minimumMs();
    const horizonMs = this.#records.horizonMs(passedMs);
    // Deletions first: a key that came back after its deletion is written again below, and the later write counts.
    const writes: StateWrite[] = this.#deleted.map((key) => ({ operatorId, key, value: null }));
    for (const slot of this.#workingSet.takeChanged()) {
      this.#records.forget(slot, passedMs);
      const value = this.#records.newestMs(slot) <= horizonMs ? null : this.#records.write(slot);
      writes.push({ operatorId, key: this.#keys.keyOf(slot), value });
    }
    this.#deleted = [];
    return writes;
  }

  dropChanges(): void {
    this.#workingSet.dropChanged();
    this.#deleted = [];
  }

  changesStored(): void {
    this.#workingSet.stored();
  }

  get needsFlush(): boolean {
    return this.#workingSet.needsFlush;
  }

  #answer(
    batch: RecordBatch,
    row: number,
    slot: number,
    inputs: readonly Float64Array[],
    answers: readonly Float64Array[],
    passedMs: number,
  ): number {
    const eventTimeMs = batch.eventTimesMs[row] ?? 0;
    const watermarkMs = batch.watermarksMs[row] ?? -Infinity;
    // A partition that was not heard from before this batch is not in the query's watermark yet, and its records may still see what the others are past.
    this.#records.forget(slot, Math.min(passedMs, watermarkMs));
    const flag = this.#records.answer(slot, row, eventTimeMs, watermarkMs, inputs, answers);
    if ((flag & LATE) !== 0) return flag;
    this.#workingSet.markChanged(slot);
    return eventTimeMs < watermarkMs - this.#definition.allowedLatenessMs ? flag | DEGRADED : flag;
  }

  /** The keys as the working set sees them. */
  #heldKeys(): HeldKeys {
    const [keys, records] = [this.#keys, this.#records];
    return {
      get slotLimit() {
        return keys.slotLimit;
      },
      get heldBytes() {
        return keys.heldBytes + records.heldBytes;
      },
      isLive: (slot) => keys.isLive(slot),
      letGo: (slot) => {
        this.#readsStore = true;
        records.clear(slot);
        keys.delete(slot);
      },
    };
  }

  /** Deletes those of these stored keys whose every record the watermark has passed; those in memory are looked at there. */
  #deleteExpired(stored: readonly StateEntry[]): void {
    const horizonMs = this.#records.horizonMs(this.#watermarks.minimumMs());
    let expired = 0;
    for (const { key, value } of stored) {
      if (this.#records.newestStoredMs(value) > horizonMs || this.#keys.has(key)) continue;
      this.#deleted.push(Uint8Array.from(key));
      expired++;
    }
    this.#storeSweep.found(stored.length, expired);
  }

  /** Looks at an eighth as many keys as the batch had records, in turn, and forgets those whose every record the watermark has passed. */
  #sweep(rowCount: number): void {
    const limit = this.#keys.slotLimit;
    const horizonMs = this.#records.horizonMs(this.#watermarks.minimumMs());
    for (let looks = Math.min(limit, (rowCount >> 3) + 1); looks > 0; looks--) {
      this.#hand = this.#hand + 1 < limit ? this.#hand + 1 : 0;
      const slot = this.#hand;
      if (!this.#keys.isLive(slot) || this.#records.newestMs(slot) > horizonMs) continue;
      this.#deleted.push(this.#keys.keyOf(slot));
      this.#records.clear(slot);
      this.#keys.delete(slot);
      this.#workingSet.forget(slot);
    }
  }
}
