import { strict as assert } from 'node:assert';
import { SluiceError } from '../../engine/error.ts';
import type { Emitted } from '../../engine/execution/section.ts';
import type { ByteSlab } from '../../engine/record/column.ts';
import {
  GUARDED,
  LATE,
  MARK,
  selectRows,
  type IdlePartition,
  type RecordBatch,
} from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { PartitionWatermarks, type HoldRule } from '../../engine/time/partition-watermarks.ts';
import { aggregatorOf } from '../aggregate/aggregate-spec.ts';
import type { Aggregator } from '../aggregate/aggregator.ts';
import type { AggregateValue } from '../aggregate/state-bytes.ts';
import { encodeKeys } from '../key/encode-keys.ts';
import { DueWindows } from './due-windows.ts';
import { compareWindows, type OpenWindow, type WindowKey } from './open-window.ts';
import { WindowInputs } from './window-inputs.ts';
import { windowFields, type WindowDefinition } from './window-definition.ts';
import { readWatermarks, watermarksName, writeWatermarks } from './window-format.ts';
import { WindowResults } from './window-results.ts';
import { WindowStore } from './window-store.ts';

/** The scope of windows that the query's watermark closes. */
const queryScope = -1;
/** `complete` publishes every window again and again: beyond this many, that is no table any more. */
const mostCompleteWindows = 10_000;

/** The keys of a batch, and where a key that is new gets its values from. */
interface BatchKeys {
  readonly slab: ByteSlab;
  readonly valuesAt: (row: number) => readonly AggregateValue[];
}

/** Where a window operator starts from. Stored state says itself which watermarks it has seen. */
export interface WindowStart {
  readonly state: 'empty' | 'stored';
  /** Where partitions are the tasks that have written the records; absent where they are read directly. */
  readonly hold?: HoldRule;
}

/**
 * Windows over keyed records: every record is added to the windows that it is in, and results come out as the watermark closes them, or as the output mode says
 * (semantics, "Windows that close"; docs/windows.md).
 *
 * For each record, in arrival order: the watermark moves to where it stood before the record, and what is due comes out; the record is taken in; the watermark
 * moves past the record, and what is due comes out. Partitions that are idle leave the least watermark before the batch's first record. So results depend on the log and the recorded order alone,
 * and not on how it is cut into batches.
 *
 * Cost a record: a hash look-up, and an update of each aggregate for each window that it is in.
 */
export class WindowLogic implements StatefulLogic {
  readonly operatorId: string;
  readonly #definition: WindowDefinition;
  readonly #outputSchema: Schema;
  readonly #aggregators: readonly Aggregator<unknown>[];
  readonly #inputs: WindowInputs;
  readonly #store: WindowStore;
  readonly #watermarks: PartitionWatermarks;
  /** The inputs that have had a record, or are idle. */
  readonly #heard = new Set<number>();
  /** By scope. */
  readonly #due = new Map<number, DueWindows>();
  /** The least of the partitions' watermarks, which never moves back though a partition may join with an earlier one. */
  #queryWatermarkMs = -Infinity;
  #loaded: boolean;
  #hasMoved = false;

  /** @param schema the input's schema, which the plan has checked to have the definition's columns. */
  constructor(definition: WindowDefinition, schema: Schema, start: WindowStart) {
    const { operatorId, outputMode, window, lateness, closedBy } = definition;
    assert(outputMode !== 'complete' || closedBy === 'query', 'a table of all results has one watermark');
    assert(window.kind !== 'session' || outputMode !== 'update', 'the plan refuses update for sessions');
    assert(window.kind !== 'session' || lateness === 'wait', 'the plan refuses to let sessions fire again');
    this.operatorId = operatorId;
    this.#definition = definition;
    this.#outputSchema = new Schema(windowFields(definition, schema));
    this.#aggregators = definition.aggregates.map(({ spec }) => aggregatorOf(spec));
    this.#inputs = new WindowInputs(definition, this.#aggregators);
    this.#store = new WindowStore(operatorId, this.#aggregators);
    this.#watermarks = new PartitionWatermarks([], start.hold);
    this.#loaded = start.state === 'empty';
  }

  /** The results' schema. */
  get outputSchema(): Schema {
    return this.#outputSchema;
  }

  /** How many windows are not over. */
  get windowCount(): number {
    return this.#store.size;
  }

  /** Reads all windows once, before the first batch: each may be closed by a record of any key. */
  async prefetch(_batch: RecordBatch, reader: StateReader): Promise<void> {
    if (this.#loaded) return;
    this.#loaded = true;
    for await (const entry of reader.scan(this.operatorId)) {
      if (entry.key.length === watermarksName.length) {
        const stored = readWatermarks(entry.value);
        for (const { partition, watermarkMs } of stored) {
          if (partition === queryScope) this.#queryWatermarkMs = watermarkMs;
          else this.#move(partition, watermarkMs);
        }
        this.#watermarks.restore(stored.filter(({ partition }) => partition !== queryScope));
        continue;
      }
      this.#schedule(this.#store.load(entry));
    }
  }

  /** The results of a batch; {@link emit} tells of its records too. */
  apply(batch: RecordBatch): RecordBatch {
    return this.emit(batch).records;
  }

  /** Takes a batch in and gives what came out, and what became of its records. */
  emit(batch: RecordBatch): Emitted {
    const results = new WindowResults(this.#outputSchema, this.#aggregators);
    const { slab, present } = encodeKeys(batch, this.#definition.key);
    const keys: BatchKeys = { slab, valuesAt: this.#inputs.open(batch) };
    const late: number[] = [];
    let taken = 0;
    let filtered = 0;
    for (const idle of batch.idle ?? []) this.#leave(idle, results);
    for (let row = 0; row < batch.rowCount; row++) {
      const partition = batch.partitions[row] ?? 0;
      this.#advance(batch, row, batch.watermarksMs[row] ?? -Infinity, results);
      const isMark = ((batch.flags[row] ?? 0) & MARK) !== 0;
      if (isMark) {
        // No record: it moves the watermark alone.
      } else if ((present !== null && present[row] === 0) || !this.#inputs.isWanted(row)) filtered++;
      else if (this.#take(batch, row, keys, this.#scopeOf(partition), results)) taken++;
      else late.push(row);
      const isGuarded = ((batch.flags[row] ?? 0) & GUARDED) !== 0;
      const afterMs = isGuarded ? -Infinity : (batch.eventTimesMs[row] ?? 0) - this.#delayOf(partition);
      this.#advance(batch, row, afterMs, results);
    }
    this.#inputs.close();
    const tooLate = selectRows(batch, Int32Array.from(late));
    for (let i = 0; i < late.length; i++) tooLate.flags[i] = (tooLate.flags[i] ?? 0) | LATE;
    return { records: results.build(), taken, filtered, late: tooLate };
  }

  takeChanges(): readonly StateWrite[] {
    const writes = [...this.#store.takeChanges()];
    if (this.#hasMoved) {
      const query = { partition: queryScope, watermarkMs: this.#queryWatermarkMs };
      const value = writeWatermarks([query, ...this.#watermarks.entries()]);
      writes.push({ operatorId: this.operatorId, key: watermarksName, value });
    }
    this.#hasMoved = false;
    return writes;
  }

  dropChanges(): void {
    this.#store.dropChanges();
    this.#hasMoved = false;
  }

  #scopeOf(partition: number): number {
    return this.#definition.closedBy === 'query' ? queryScope : partition;
  }

  #watermarkOf(scope: number): number {
    return scope === queryScope ? this.#queryWatermarkMs : this.#watermarks.of(scope);
  }

  /** Moves the watermark of a row's partition, and brings out what is due then. */
  #advance(batch: RecordBatch, row: number, watermarkMs: number, results: WindowResults): void {
    const partition = batch.partitions[row] ?? 0;
    this.#move(partition, watermarkMs);
    this.#moveQuery();
    this.#bringOut(partition, batch.offsets[row] ?? 0, results);
  }

  /** Takes an idle partition out of the least of all, and brings out what is due then. */
  #leave({ partition, offset, watermarkMs }: IdlePartition, results: WindowResults): void {
    // Nothing is waited for from an input all of whose partitions are idle.
    this.#hear(partition);
    this.#watermarks.leave(partition, watermarkMs);
    this.#moveQuery();
    this.#bringOut(partition, offset, results);
  }

  /** Moves the least watermark up to where the partitions let it, once all inputs were heard from. */
  #moveQuery(): void {
    if (this.#heard.size < (this.#definition.inputDelaysMs?.length ?? 1)) return;
    this.#queryWatermarkMs = Math.max(this.#queryWatermarkMs, this.#watermarks.minimumMs());
  }

  /** @param offset of the record under whose position it comes out. */
  #bringOut(partition: number, offset: number, results: WindowResults): void {
    this.#hasMoved = true;
    const scope = this.#scopeOf(partition);
    const queue = this.#due.get(scope);
    if (queue === undefined || queue.nextMs > this.#watermarkOf(scope)) return;
    const due = queue.take(this.#watermarkOf(scope));
    if (due.length === 0) return;
    const { outputMode } = this.#definition;
    const cause = { partition, offset, watermarkMs: this.#watermarkOf(scope) };
    for (const window of due.sort(compareWindows)) {
      if (outputMode === 'append' && window.phase === 'open') results.add(window, cause);
      this.#finish(window);
    }
    if (outputMode !== 'complete') return;
    for (const window of [...this.#store.all()].sort(compareWindows)) results.add(window, cause);
  }

  #delayOf(partition: number): number {
    const { delayMs, inputDelaysMs } = this.#definition;
    return inputDelaysMs?.[partition % inputDelaysMs.length] ?? delayMs;
  }

  #move(partition: number, watermarkMs: number): void {
    this.#hear(partition);
    this.#watermarks.hear(partition);
    this.#watermarks.advance(partition, watermarkMs);
  }

  #hear(partition: number): void {
    this.#heard.add(partition % (this.#definition.inputDelaysMs?.length ?? 1));
  }

  /** Ends what a window was due for: it is kept for late records, kept for ever, or over. */
  #finish(window: OpenWindow): void {
    const { outputMode, lateness, allowedLatenessMs } = this.#definition;
    const isKept =
      outputMode === 'complete' ||
      (outputMode === 'append' && lateness === 'fire' && window.phase === 'open' && allowedLatenessMs > 0);
    window.queuedMs = Infinity;
    if (!isKept) {
      this.#store.remove(window);
      return;
    }
    window.phase = 'fired';
    this.#store.markChanged(window);
    this.#schedule(window);
  }

  /** Puts a window where its time will come. */
  #schedule(window: OpenWindow): void {
    const { window: kind, outputMode, lateness, allowedLatenessMs } = this.#definition;
    const isFirst = outputMode === 'complete' || (outputMode === 'append' && lateness === 'fire');
    if (kind.kind === 'count') window.dueMs = Infinity;
    else if (outputMode === 'complete' && window.phase === 'fired') window.dueMs = Infinity;
    else if (isFirst && window.phase === 'open') window.dueMs = window.endMs;
    else window.dueMs = window.endMs + allowedLatenessMs;
    if (window.queuedMs !== Infinity) return;
    let queue = this.#due.get(window.scope);
    if (queue === undefined) this.#due.set(window.scope, (queue = new DueWindows()));
    queue.add(window);
  }

  /** Adds a record to its windows. @returns whether there was one that is not over. */
  #take(batch: RecordBatch, row: number, keys: BatchKeys, scope: number, results: WindowResults): boolean {
    const { window: kind } = this.#definition;
    const eventTimeMs = batch.eventTimesMs[row] ?? 0;
    switch (kind.kind) {
      case 'tumbling':
        return this.#takeAligned(batch, row, keys, scope, results, kind.sizeMs, kind.sizeMs, kind.startMs);
      case 'hopping':
        return this.#takeAligned(batch, row, keys, scope, results, kind.sizeMs, kind.everyMs, kind.startMs);
      case 'session': {
        const window = this.#sessionFor(keys, row, scope, eventTimeMs, eventTimeMs + kind.gapMs);
        if (window === null) return false;
        this.#add(batch, row, window, results);
        return true;
      }
      case 'count': {
        const key = this.#store.find(keys.slab, row);
        const open = key?.windows.find((window) => window.scope === scope);
        const window = open ?? this.#open(keys, row, scope, eventTimeMs, eventTimeMs + 1);
        if (eventTimeMs < window.startMs) this.#store.moveStart(window, eventTimeMs);
        window.endMs = Math.max(window.endMs, eventTimeMs + 1);
        this.#add(batch, row, window, results);
        if (window.records < kind.size) return true;
        if (this.#definition.outputMode === 'append') results.add(window, this.#causeOf(batch, row, scope));
        this.#store.remove(window);
        return true;
      }
    }
  }

  #takeAligned(
    batch: RecordBatch,
    row: number,
    keys: BatchKeys,
    scope: number,
    results: WindowResults,
    sizeMs: number,
    everyMs: number,
    startMs: number,
  ): boolean {
    const eventTimeMs = batch.eventTimesMs[row] ?? 0;
    const newest = eventTimeMs - ((((eventTimeMs - startMs) % everyMs) + everyMs) % everyMs);
    let isIn = false;
    let key = this.#store.find(keys.slab, row);
    const oldest = newest - Math.floor((newest + sizeMs - 1 - eventTimeMs) / everyMs) * everyMs;
    for (let start = oldest; start <= newest; start += everyMs) {
      if (this.#isOver(start + sizeMs, scope)) continue;
      isIn = true;
      const open = key?.windows.find((window) => window.startMs === start && window.scope === scope);
      const window = open ?? this.#open(keys, row, scope, start, start + sizeMs);
      key = window.key;
      this.#add(batch, row, window, results);
    }
    return isIn;
  }

  /** Whether a window that ends there is over, so that what comes for it is late. A table of all results is never over. */
  #isOver(endMs: number, scope: number): boolean {
    const { outputMode, allowedLatenessMs } = this.#definition;
    return outputMode !== 'complete' && this.#watermarkOf(scope) >= endMs + allowedLatenessMs;
  }

  /** The session that a record belongs to: a new one, one that it lengthens, or the one that it makes of several. `null` where it is late. */
  #sessionFor(keys: BatchKeys, row: number, scope: number, startMs: number, endMs: number): OpenWindow | null {
    const met = (this.#store.find(keys.slab, row)?.windows ?? []).filter(
      (window) => window.scope === scope && window.startMs < endMs && window.endMs > startMs,
    );
    const [session, ...others] = met;
    if (session === undefined) return this.#isOver(endMs, scope) ? null : this.#open(keys, row, scope, startMs, endMs);
    for (const other of others) {
      this.#aggregators.forEach((aggregator, index) => aggregator.merge(session.states[index], other.states[index]));
      session.records += other.records;
      session.endMs = Math.max(session.endMs, other.endMs);
      this.#store.remove(other);
    }
    if (startMs < session.startMs) this.#store.moveStart(session, startMs);
    session.endMs = Math.max(session.endMs, endMs);
    session.phase = 'open';
    this.#schedule(session);
    return session;
  }

  #open(keys: BatchKeys, row: number, scope: number, startMs: number, endMs: number): OpenWindow {
    const { outputMode, operatorId } = this.#definition;
    if (outputMode === 'complete' && this.#store.size >= mostCompleteWindows) {
      throw new SluiceError(
        'WINDOW_TABLE_FULL',
        `output mode complete must keep at most ${mostCompleteWindows} windows, all of which it publishes again and again; operator ${operatorId} has as many: ` +
          'use append or update, or larger windows',
        { fields: { operator: operatorId } },
      );
    }
    const key: WindowKey = this.#store.find(keys.slab, row) ?? this.#store.make(keys.slab, row, keys.valuesAt(row));
    const window = this.#store.open(key, scope, startMs, endMs);
    this.#schedule(window);
    return window;
  }

  /** Adds a record to one window, and brings its result out where the mode says so. */
  #add(batch: RecordBatch, row: number, window: OpenWindow, results: WindowResults): void {
    const { outputMode, lateness } = this.#definition;
    this.#inputs.update(row, window);
    window.records++;
    this.#store.markChanged(window);
    if (outputMode === 'update') {
      results.add(window, this.#causeOf(batch, row, window.scope));
    } else if (outputMode === 'complete' && window.phase === 'fired') {
      // A closed window of the table has changed: the table is due again.
      window.phase = 'open';
      this.#schedule(window);
    } else if (lateness === 'fire' && window.endMs <= this.#watermarkOf(window.scope) && outputMode === 'append') {
      results.add(window, this.#causeOf(batch, row, window.scope));
      window.phase = 'fired';
      this.#schedule(window);
    }
  }

  #causeOf(batch: RecordBatch, row: number, scope: number): Parameters<WindowResults['add']>[1] {
    return {
      partition: batch.partitions[row] ?? 0,
      offset: batch.offsets[row] ?? 0,
      watermarkMs: this.#watermarkOf(scope),
    };
  }
}
