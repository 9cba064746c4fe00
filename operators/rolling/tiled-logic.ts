import { COMPACTED, DEGRADED, LATE, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { StateEntry, StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { StoreSweep } from '../../engine/state/store-sweep.ts';
import { WorkingSet, type HeldKeys } from '../../engine/state/working-set.ts';
import type { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { locateKeys } from '../key/locate-keys.ts';
import { answerColumn } from './answer-column.ts';
import { paneAggregatorOf, runPaneWalk } from './pane-aggregators.ts';
import { decodePanes, encodePanes, newestInPanesMs } from './pane-format.ts';
import { layOutPanes, type PaneLayout } from './pane-layout.ts';
import { PaneStore } from './pane-store.ts';
import { paneStartMs } from './pane-times.ts';
import { PaneWalk } from './pane-walk.ts';
import type { PaneRule, RollingDefinition } from './rolling-definition.ts';
import type { Reading } from './rolling-layout.ts';
import type { RollingStart } from './rolling-logic.ts';
import { RowReadings } from './row-readings.ts';
import { storedValues } from './stored-values.ts';

/** The windows that end at the same record, with the aggregators that answer them. */
interface PreparedReading {
  readonly reading: Reading;
  readonly walks: readonly {
    readonly run: Reading['walks'][number];
    readonly aggregator: ReturnType<typeof paneAggregatorOf>;
  }[];
}

/**
 * The rolling operator over panes: as `RollingLogic`, with windows that begin at the start of a pane (semantics, "Rolling features"; ADR 0043).
 *
 * What an answer sees is told by the log alone. With `W(e)` the watermark of the record's own partition, records up to `pane start of (W(e) − longest delay − allowed lateness)` are seen as
 * whole panes: no window of a record in time ends there, and one of a degraded record that would is cut off at the pane's start. Which of them are still kept one by one is a matter of memory:
 * aggregates are functions of the set of records, whatever its form.
 *
 * Cost a record: a hash look-up, some binary searches, and one walk of the longest window's panes for each (column, aggregate).
 */
export class TiledLogic implements StatefulLogic {
  readonly operatorId: string;
  readonly #definition: RollingDefinition;
  readonly #layout: PaneLayout;
  /** Whether keys are kept in panes once they have too many records, and not from the beginning. */
  readonly #compacts: boolean;
  readonly #outputSchema: Schema;
  readonly #keys = new KeyIndex();
  readonly #store: PaneStore;
  readonly #walk: PaneWalk;
  readonly #readings: readonly PreparedReading[];
  /** For keys that are not compacted. */
  readonly #rowReadings: RowReadings;
  readonly #lowsMs: Float64Array;
  readonly #results: Float64Array;
  /** The stored columns of the record at hand. */
  readonly #values: Float64Array;
  readonly #watermarks: PartitionWatermarks;
  readonly #workingSet: WorkingSet;
  readonly #held: HeldKeys;
  readonly #storeSweep = new StoreSweep();
  /** For what takes texts; panes have none. */
  readonly #dictionary = new KeyIndex();
  #readsStore: boolean;
  #deleted: Uint8Array[] = [];
  #prefetched: { readonly batch: RecordBatch; readonly slots: Int32Array } | null = null;
  #hand = 0;

  /** @param schema the input's schema, which the plan has checked to have the definition's columns. */
  constructor(definition: RollingDefinition, rule: PaneRule, schema: Schema, start: RollingStart) {
    this.operatorId = definition.operatorId;
    this.#definition = definition;
    this.#layout = layOutPanes(definition, rule, schema);
    this.#compacts = rule.aboveRecords !== undefined;
    const { columns, outputs, readings } = this.#layout.rolling;
    this.#outputSchema = schema.with(...outputs.map(({ field }) => field));
    this.#store = new PaneStore(this.#layout);
    const windows = Math.max(1, ...readings.map(({ lengthsMs }) => lengthsMs.length));
    this.#walk = new PaneWalk(this.#store, rule.sizeMs, windows);
    this.#readings = readings.map((reading) => prepare(reading, this.#layout));
    this.#rowReadings = new RowReadings(readings);
    this.#lowsMs = new Float64Array(windows);
    this.#results = new Float64Array(windows);
    this.#values = new Float64Array(columns.length);
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
    const [values, stored] = await Promise.all([
      keys.length === 0 ? [] : reader.getMany(this.operatorId, keys),
      looks === 0 ? [] : this.#storeSweep.look(reader, this.operatorId, looks),
    ]);
    this.#deleteExpired(stored);
    missing.forEach((slot, index) => {
      const value = values[index];
      if (value !== null && value !== undefined) decodePanes(value, this.#store, slot, this.#layout);
    });
  }

  apply(batch: RecordBatch): RecordBatch {
    const slots =
      this.#prefetched?.batch === batch
        ? this.#prefetched.slots
        : locateKeys(batch, this.#definition.key, this.#keys, []);
    this.#prefetched = null;
    const { columns, outputs } = this.#layout.rolling;
    const inputs = columns.map((column) => storedValues(batch, column, this.#dictionary));
    const answers = outputs.map(() => new Float64Array(batch.rowCount).fill(NaN));
    const flags = batch.flags.slice();
    const passedMs = this.#watermarks.minimumMs();
    for (let row = 0; row < batch.rowCount; row++) {
      const slot = slots[row] ?? -1;
      if (slot < 0) continue;
      this.#workingSet.touch(slot);
      inputs.forEach((input, column) => (this.#values[column] = input[row] ?? NaN));
      const eventTimeMs = batch.eventTimesMs[row] ?? 0;
      const watermarkMs = batch.watermarksMs[row] ?? -Infinity;
      this.#forget(slot, Math.min(passedMs, watermarkMs));
      const isExact = this.#compacts && this.#store.sealedToMs(slot) <= this.#horizonMs(watermarkMs);
      const flag = isExact
        ? this.#answerFromRows(slot, eventTimeMs, watermarkMs, row, answers)
        : this.#read(slot, eventTimeMs, watermarkMs, row, answers) | this.#take(slot, eventTimeMs, watermarkMs);
      flags[row] = (flags[row] ?? 0) | flag;
    }
    const added = outputs.map(({ form }, output) =>
      answerColumn(answers[output] ?? new Float64Array(0), form, this.#dictionary),
    );
    this.#watermarks.observe(batch);
    this.#sweep(batch.rowCount);
    this.#workingSet.evict(this.#held);
    return withColumns({ ...batch, flags }, this.#outputSchema, added);
  }

  takeChanges(): readonly StateWrite[] {
    const { operatorId } = this;
    const passedMs = this.#watermarks.minimumMs();
    // Deletions first: a key that came back after its deletion is written again below, and the later write counts.
    const writes: StateWrite[] = this.#deleted.map((key) => ({ operatorId, key, value: null }));
    for (const slot of this.#workingSet.takeChanged()) {
      this.#forget(slot, passedMs);
      const isForgotten = this.#store.newestMs(slot) <= this.#horizonMs(passedMs);
      const value = isForgotten ? null : encodePanes(this.#store, slot, this.#layout);
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

  /** Forgets what no record can see any more, or only as a part of a pane, where all partitions have passed `watermarkMs`. */
  #forget(slot: number, watermarkMs: number): void {
    this.#store.trim(slot, this.#horizonMs(watermarkMs));
    if (!this.#compacts) this.#store.seal(slot, this.#panesToMs(watermarkMs));
  }

  /** Records up to here are invisible to one that comes at this watermark. */
  #horizonMs(watermarkMs: number): number {
    return paneStartMs(watermarkMs - this.#layout.rolling.retentionMs, this.#layout.rule.sizeMs);
  }

  /** Records up to here are seen as whole panes by one that comes at this watermark. */
  #panesToMs(watermarkMs: number): number {
    return paneStartMs(watermarkMs - this.#layout.looseMs, this.#layout.rule.sizeMs);
  }

  /** Answers every window of the record, before it is taken in, and says whether one reached into panes that its key was compacted to. */
  #read(slot: number, eventTimeMs: number, watermarkMs: number, row: number, answers: readonly Float64Array[]): number {
    const { sizeMs } = this.#layout.rule;
    const results = this.#results;
    const lowsMs = this.#lowsMs;
    const horizonMs = this.#horizonMs(watermarkMs);
    const sealedToMs = this.#store.sealedToMs(slot);
    const compacts = this.#compacts;
    const panesToMs = compacts ? sealedToMs : Math.max(this.#panesToMs(watermarkMs), sealedToMs);
    let seen = 0;
    for (const { reading, walks } of this.#readings) {
      const { delayMs, current, lengthsMs } = reading;
      const endMs = eventTimeMs - delayMs;
      const highMs = endMs < panesToMs ? paneStartMs(endMs, sizeMs) : endMs;
      for (let w = 0; w < lengthsMs.length; w++) {
        const startMs = endMs - (lengthsMs[w] ?? 0);
        const isWhole = !compacts || startMs < panesToMs;
        lowsMs[w] = Math.max(horizonMs, isWhole ? paneStartMs(startMs, sizeMs) : startMs);
        if (compacts && (lowsMs[w] ?? 0) < panesToMs) seen = COMPACTED;
      }
      this.#walk.find(slot, highMs, lowsMs, lengthsMs.length);
      for (const { run, aggregator } of walks) {
        const own = current === 'exclude' ? NaN : run.column < 0 ? 1 : (this.#values[run.column] ?? NaN);
        runPaneWalk(aggregator, this.#walk, run.windows, eventTimeMs, own, results);
        for (let w = 0; w < run.outputs.length; w++) {
          const answer = answers[run.outputs[w] ?? 0];
          if (answer !== undefined) answer[row] = results[w] ?? NaN;
        }
      }
    }
    return seen;
  }

  /** Answers a record of a key of which nothing that can be seen is compacted, with the very bits of an exact operator, takes it in, unless it is late, and says how it came. */
  #answerFromRows(
    slot: number,
    eventTimeMs: number,
    watermarkMs: number,
    row: number,
    answers: readonly Float64Array[],
  ): number {
    const { rows } = this.#store;
    const values = this.#values;
    const position = rows.insert(slot, eventTimeMs);
    const chunk = rows.chunk(slot);
    const start = rows.start(slot);
    const stride = rows.stride(slot);
    const own = start + position;
    for (let column = 0; column < values.length; column++) chunk[own + (1 + column) * stride] = values[column] ?? NaN;
    this.#rowReadings.read(chunk, start, own, stride, eventTimeMs, this.#horizonMs(watermarkMs), row, answers);
    if (eventTimeMs >= watermarkMs - this.#layout.rolling.retentionMs && this.#store.sealedToMs(slot) === -Infinity) {
      return this.#taken(slot, eventTimeMs, watermarkMs);
    }
    rows.removeAt(slot, position);
    return this.#take(slot, eventTimeMs, watermarkMs);
  }

  /** Takes the record in, unless it is late, and says how it came. */
  #take(slot: number, eventTimeMs: number, watermarkMs: number): number {
    if (eventTimeMs < watermarkMs - this.#layout.rolling.retentionMs) return LATE;
    this.#store.insert(slot, eventTimeMs, this.#values);
    return this.#taken(slot, eventTimeMs, watermarkMs);
  }

  /** The record is among the others: compacts its key where that has too many now. */
  #taken(slot: number, eventTimeMs: number, watermarkMs: number): number {
    this.#workingSet.markChanged(slot);
    const { aboveRecords } = this.#layout.rule;
    if (aboveRecords !== undefined && this.#store.recordsAfter(slot, this.#horizonMs(watermarkMs)) > aboveRecords) {
      this.#store.seal(slot, this.#panesToMs(watermarkMs));
    }
    return eventTimeMs < watermarkMs - this.#definition.allowedLatenessMs ? DEGRADED : 0;
  }

  /** The keys as the working set sees them. */
  #heldKeys(): HeldKeys {
    const [keys, store] = [this.#keys, this.#store];
    return {
      get slotLimit() {
        return keys.slotLimit;
      },
      get heldBytes() {
        return keys.heldBytes + store.heldBytes;
      },
      isLive: (slot) => keys.isLive(slot),
      letGo: (slot) => {
        this.#readsStore = true;
        store.clear(slot);
        keys.delete(slot);
      },
    };
  }

  /** Deletes those of these stored keys whose every record the watermark has passed; those in memory are looked at there. */
  #deleteExpired(stored: readonly StateEntry[]): void {
    const horizonMs = this.#horizonMs(this.#watermarks.minimumMs());
    let expired = 0;
    for (const { key, value } of stored) {
      if (newestInPanesMs(value) > horizonMs || this.#keys.has(key)) continue;
      this.#deleted.push(Uint8Array.from(key));
      expired++;
    }
    this.#storeSweep.found(stored.length, expired);
  }

  /** Looks at an eighth as many keys as the batch had records, in turn, and forgets those whose every record the watermark has passed. */
  #sweep(rowCount: number): void {
    const limit = this.#keys.slotLimit;
    const horizonMs = this.#horizonMs(this.#watermarks.minimumMs());
    for (let looks = Math.min(limit, (rowCount >> 3) + 1); looks > 0; looks--) {
      this.#hand = this.#hand + 1 < limit ? this.#hand + 1 : 0;
      const slot = this.#hand;
      if (!this.#keys.isLive(slot) || this.#store.newestMs(slot) > horizonMs) continue;
      this.#deleted.push(this.#keys.keyOf(slot));
      this.#store.clear(slot);
      this.#keys.delete(slot);
      this.#workingSet.forget(slot);
    }
  }
}

function prepare(reading: Reading, layout: PaneLayout): PreparedReading {
  return {
    reading,
    walks: reading.walks.map((run) => {
      const part = layout.parts.find(({ column }) => column === run.column);
      if (part === undefined) throw new RangeError('each walk is of a stored column, or of the records');
      return { run, aggregator: paneAggregatorOf(run.function, part) };
    }),
  };
}
