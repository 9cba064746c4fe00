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
import type { RollingDefinition } from './rolling-definition.ts';
import { layOut, type RollingLayout } from './rolling-layout.ts';
import { decodeRows, newestStoredMs } from './row-format.ts';
import { RowReadings } from './row-readings.ts';
import { RowStore } from './row-store.ts';
import { RowWriter } from './row-writer.ts';
import { storedValues } from './stored-values.ts';

/** The dictionary is searched for texts that no row uses any more once it has doubled since the last search, but not below this size. */
const smallestDictionarySweep = 65_536;

/** Where a rolling operator starts from: nothing, or stored state with the watermarks that it reflects. */
export interface RollingStart {
  /** `empty` spares the look-up of every new key; `stored` reads keys from the store as they come. */
  readonly state: 'empty' | 'stored';
  readonly watermarks: PartitionWatermarks;
  /** About how much of its state the operator holds in memory; all of it where absent. */
  readonly workingSetBytes?: number | undefined;
}

/**
 * The rolling operator: one answer for every record, at once, over the exact records of its key's window (semantics, "Rolling features").
 *
 * It keeps the rows of each key in event-time order and recomputes every aggregate from them. For each record, in arrival order: insert its row
 * where its event time belongs, find each window's first and last row by binary search, walk them, and leave the row in place (or take it
 * out again, if it was late). State that the watermark has passed is evicted on the way, and by a clock hand that looks at a few more keys after each batch.
 * What is in the store may be let go where memory is bounded, and is read again; no answer depends on it (ADR 0034).
 *
 * Cost a record: a hash look-up, two binary searches a window, and one walk of the longest window for each (column, aggregate).
 */
export class RollingLogic implements StatefulLogic {
  readonly operatorId: string;
  readonly #definition: RollingDefinition;
  readonly #layout: RollingLayout;
  readonly #outputSchema: Schema;
  readonly #keys = new KeyIndex();
  readonly #rows: RowStore;
  readonly #dictionary = new KeyIndex();
  readonly #writer: RowWriter;
  readonly #readings: RowReadings;
  readonly #watermarks: PartitionWatermarks;
  readonly #workingSet: WorkingSet;
  readonly #held: HeldKeys;
  readonly #storeSweep = new StoreSweep();
  /** Whether the store may hold keys that are not in memory: not while all state there is was made here and nothing was let go. */
  #readsStore: boolean;
  #deleted: Uint8Array[] = [];
  #prefetched: { readonly batch: RecordBatch; readonly slots: Int32Array } | null = null;
  #hand = 0;
  #dictionarySweepSize = smallestDictionarySweep;

  /** @param schema the input's schema, which the plan has checked to have the definition's columns. */
  constructor(definition: RollingDefinition, schema: Schema, start: RollingStart) {
    this.operatorId = definition.operatorId;
    this.#definition = definition;
    this.#layout = layOut(definition, schema);
    this.#outputSchema = schema.with(...this.#layout.outputs.map(({ field }) => field));
    this.#rows = new RowStore(this.#layout.columns.length);
    this.#writer = new RowWriter(this.#layout.columns, this.#dictionary);
    this.#readings = new RowReadings(this.#layout.readings);
    this.#watermarks = start.watermarks.copy();
    this.#readsStore = start.state === 'stored';
    this.#workingSet = new WorkingSet(start.workingSetBytes ?? Infinity);
    this.#held = this.#heldKeys();
  }

  /** The input's schema and the definition's outputs after it. */
  get outputSchema(): Schema {
    return this.#outputSchema;
  }

  /** How many keys are in memory. */
  get keyCount(): number {
    return this.#keys.size;
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
      if (value !== null && value !== undefined) {
        decodeRows(value, this.#rows, slot, this.#layout.columns, this.#dictionary);
      }
    });
  }

  apply(batch: RecordBatch): RecordBatch {
    const slots =
      this.#prefetched?.batch === batch
        ? this.#prefetched.slots
        : locateKeys(batch, this.#definition.key, this.#keys, []);
    this.#prefetched = null;
    const inputs = this.#layout.columns.map((column) => storedValues(batch, column, this.#dictionary));
    const answers = this.#layout.outputs.map(() => new Float64Array(batch.rowCount).fill(NaN));
    const flags = batch.flags.slice();
    const evictedToMs = this.#watermarks.minimumMs() - this.#layout.retentionMs;
    for (let row = 0; row < batch.rowCount; row++) {
      const slot = slots[row] ?? -1;
      if (slot < 0) continue;
      this.#workingSet.touch(slot);
      flags[row] = (flags[row] ?? 0) | this.#answer(batch, row, slot, inputs, answers, evictedToMs);
    }
    // Before anything is forgotten: an answer may have a text that no row has any more.
    const columns = this.#layout.outputs.map(({ form }, output) =>
      answerColumn(answers[output] ?? new Float64Array(0), form, this.#dictionary),
    );
    this.#watermarks.observe(batch);
    this.#sweep(batch.rowCount);
    this.#workingSet.evict(this.#held);
    this.#sweepDictionary();
    return withColumns({ ...batch, flags }, this.#outputSchema, columns);
  }

  takeChanges(): readonly StateWrite[] {
    const { operatorId } = this;
    const horizonMs = this.#watermarks.minimumMs() - this.#layout.retentionMs;
    // Deletions first: a key that came back after its deletion is written again below, and the later write counts.
    const writes: StateWrite[] = this.#deleted.map((key) => ({ operatorId, key, value: null }));
    for (const slot of this.#workingSet.takeChanged()) {
      this.#rows.trim(slot, horizonMs);
      const value = this.#rows.count(slot) === 0 ? null : this.#writer.write(this.#rows, slot);
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

  /** The keys as the working set sees them. */
  #heldKeys(): HeldKeys {
    const [keys, rows] = [this.#keys, this.#rows];
    return {
      get slotLimit() {
        return keys.slotLimit;
      },
      get heldBytes() {
        return keys.heldBytes + rows.heldBytes;
      },
      isLive: (slot) => keys.isLive(slot),
      letGo: (slot) => {
        this.#readsStore = true;
        rows.clear(slot);
        keys.delete(slot);
      },
    };
  }

  /** Deletes those of these stored keys whose every row the watermark has passed; those in memory are looked at there. */
  #deleteExpired(stored: readonly StateEntry[]): void {
    const horizonMs = this.#watermarks.minimumMs() - this.#layout.retentionMs;
    let expired = 0;
    for (const { key, value } of stored) {
      if (newestStoredMs(value) > horizonMs || this.#keys.has(key)) continue;
      this.#deleted.push(Uint8Array.from(key));
      expired++;
    }
    this.#storeSweep.found(stored.length, expired);
  }

  #answer(
    batch: RecordBatch,
    row: number,
    slot: number,
    inputs: readonly Float64Array[],
    answers: readonly Float64Array[],
    evictedToMs: number,
  ): number {
    const { retentionMs } = this.#layout;
    const eventTimeMs = batch.eventTimesMs[row] ?? 0;
    const watermarkMs = batch.watermarksMs[row] ?? -Infinity;
    const store = this.#rows;
    // A partition that was not heard from before this batch is not in the query's watermark yet, and its records may still see what the others are past.
    store.trim(slot, Math.min(evictedToMs, watermarkMs - retentionMs));
    const position = store.insert(slot, eventTimeMs);
    const chunk = store.chunk(slot);
    const start = store.start(slot);
    const stride = store.stride(slot);
    const own = start + position;
    for (let column = 0; column < inputs.length; column++) {
      chunk[own + (1 + column) * stride] = inputs[column]?.[row] ?? NaN;
    }
    this.#readings.read(chunk, start, own, stride, eventTimeMs, watermarkMs - retentionMs, row, answers);
    if (eventTimeMs < watermarkMs - retentionMs) {
      store.removeAt(slot, position);
      return LATE;
    }
    this.#workingSet.markChanged(slot);
    return eventTimeMs < watermarkMs - this.#definition.allowedLatenessMs ? DEGRADED : 0;
  }

  /** Looks at an eighth as many keys as the batch had records, in turn, and forgets those whose every row the watermark has passed. */
  #sweep(rowCount: number): void {
    const limit = this.#keys.slotLimit;
    const horizonMs = this.#watermarks.minimumMs() - this.#layout.retentionMs;
    for (let looks = Math.min(limit, (rowCount >> 3) + 1); looks > 0; looks--) {
      this.#hand = this.#hand + 1 < limit ? this.#hand + 1 : 0;
      const slot = this.#hand;
      if (!this.#keys.isLive(slot) || this.#rows.newestTimeMs(slot) > horizonMs) continue;
      this.#deleted.push(this.#keys.keyOf(slot));
      this.#rows.clear(slot);
      this.#keys.delete(slot);
      this.#workingSet.forget(slot);
    }
  }

  /** Gives back dictionary codes that no row uses, so that the dictionary is bounded by what the windows hold. */
  #sweepDictionary(): void {
    if (this.#dictionary.size < this.#dictionarySweepSize) return;
    const used = new Uint8Array(this.#dictionary.slotLimit);
    const codeColumns = this.#layout.columns.flatMap(({ form }, column) => (form === 'code' ? [column] : []));
    for (let slot = 0; slot < this.#keys.slotLimit; slot++) {
      const count = this.#keys.isLive(slot) ? this.#rows.count(slot) : 0;
      if (count === 0) continue;
      const chunk = this.#rows.chunk(slot);
      for (const column of codeColumns) {
        const from = this.#rows.start(slot) + (1 + column) * this.#rows.stride(slot);
        for (let i = from; i < from + count; i++) {
          const code = chunk[i] ?? NaN;
          if (code === code) used[code] = 1;
        }
      }
    }
    for (let code = 0; code < used.length; code++) {
      if (used[code] === 0 && this.#dictionary.isLive(code)) this.#dictionary.delete(code);
    }
    this.#dictionarySweepSize = Math.max(smallestDictionarySweep, this.#dictionary.size * 2);
  }
}
