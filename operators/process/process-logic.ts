import type { Emitted } from '../../engine/execution/section.ts';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { encodeKeys } from '../key/encode-keys.ts';
import { KeyedEntries, type KeyedEntry } from '../keyed/keyed-entries.ts';
import { ScopedWatermarks } from '../keyed/scoped-watermarks.ts';
import { functionFailed, refusePromise, rejectionOf } from '../row/call-outcome.ts';
import { OutputRows, type RowOrigin } from '../row/output-rows.ts';
import { RowView, type Row } from '../row/row-view.ts';
import { ProcessCall } from './process-call.ts';
import { processSchema, type ProcessDefinition } from './process-definition.ts';
import { processFormat, type ProcessEntry } from './process-format.ts';

/** Whom a row is given out for: the record that is being worked on. */
type Cause = Omit<RowOrigin, 'eventTimeMs' | 'watermarkMs' | 'flags'>;

/**
 * A person's functions over keyed state, with timers and a time to live, both in event time (docs/process.md).
 *
 * For each record, in arrival order: the watermark moves to where it stood before the record, and what is due then is done; `onRecord` is called; the watermark moves past the record,
 * and what is due then is done. Due are timers, and states at the end of their life, by time, ties by key; at one time and key the timer comes first. So everything depends on
 * the log alone, and not on how it is cut into batches.
 *
 * Cost a record: a hash look-up, the function, and reading and writing the key's state as bytes where the function does.
 */
export class ProcessLogic<State> implements StatefulLogic {
  readonly operatorId: string;
  readonly #definition: ProcessDefinition<State>;
  readonly #outputSchema: Schema;
  readonly #record: RowView;
  readonly #call: ProcessCall<State>;
  readonly #watermarks: ScopedWatermarks;
  readonly #entries: KeyedEntries<ProcessEntry>;
  readonly #rejected: RejectedRecords;

  /**
   * @param schema the input's schema, which the plan has checked to have the key.
   * @param rejected where records go that `onRecord` throws on.
   */
  constructor(
    definition: ProcessDefinition<State>,
    schema: Schema,
    start: { readonly state: 'empty' | 'stored' },
    rejected: RejectedRecords,
  ) {
    const { operatorId, codec, outputs, ttlMs, closedBy, delayMs } = definition;
    this.operatorId = operatorId;
    this.#definition = definition;
    this.#outputSchema = processSchema(definition, schema);
    this.#record = new RowView(schema);
    this.#call = new ProcessCall(codec, outputs, ttlMs);
    this.#watermarks = new ScopedWatermarks(closedBy, delayMs);
    this.#entries = new KeyedEntries(operatorId, processFormat, this.#watermarks, start);
    this.#rejected = rejected;
  }

  /** The schema of what is given out. */
  get outputSchema(): Schema {
    return this.#outputSchema;
  }

  /** How many keys have state, or timers. */
  get keyCount(): number {
    return this.#entries.size;
  }

  /** Reads all keys once, before the first batch: each may have a timer that the next record lets fire. */
  async prefetch(_batch: RecordBatch, reader: StateReader): Promise<void> {
    await this.#entries.load(reader, dueOf);
  }

  /** What is given out for a batch; {@link ProcessLogic.emit} tells of its records too. */
  apply(batch: RecordBatch): RecordBatch {
    return this.emit(batch).records;
  }

  /** Takes a batch in and gives what came out, and what became of its records. */
  emit(batch: RecordBatch): Emitted {
    const outputs = new OutputRows(this.#outputSchema);
    const { slab, present } = encodeKeys(batch, this.#definition.key);
    const keyRow = keyReader(batch, this.#definition.key);
    this.#record.open(batch);
    let taken = 0;
    let filtered = 0;
    for (const idle of batch.idle ?? []) this.#doDue(this.#watermarks.leave(idle), idle, outputs);
    for (let row = 0; row < batch.rowCount; row++) {
      const cause = { partition: batch.partitions[row] ?? 0, offset: batch.offsets[row] ?? 0 };
      const scope = this.#watermarks.scopeOf(cause.partition);
      this.#watermarks.moveTo(batch, row);
      this.#doDue(scope, cause, outputs);
      if (present !== null && present[row] === 0) {
        filtered++;
      } else {
        const kept = this.#entries.find(slab, row, scope);
        const entry: ProcessEntry = kept?.state ?? { key: keyRow(row), ...nothing };
        const eventTimeMs = batch.eventTimesMs[row] ?? 0;
        this.#call.begin(entry, { eventTimeMs, watermarkMs: this.#watermarks.of(scope), timerMs: null });
        if (this.#callOnRecord(batch, row)) {
          taken++;
          const isChanged = this.#call.apply() === 'changed';
          this.#giveOut(entry, eventTimeMs, batch.flags[row] ?? 0, scope, cause, outputs);
          if (isChanged && kept !== undefined) this.#keep(kept);
          else if (isChanged && !isEmpty(entry)) this.#keep(this.#entries.insert(slab, row, scope, entry));
        }
      }
      this.#watermarks.movePast(batch, row);
      this.#doDue(scope, cause, outputs);
    }
    return { records: outputs.build(), taken, filtered, late: selectRows(batch, new Int32Array(0)) };
  }

  takeChanges(): readonly StateWrite[] {
    return this.#entries.takeChanges();
  }

  dropChanges(): void {
    this.#entries.dropChanges();
  }

  /** @returns whether the function took the record; otherwise the record was rejected. */
  #callOnRecord(batch: RecordBatch, row: number): boolean {
    const { operatorId, errors } = this.#definition;
    let given: unknown;
    try {
      given = this.#definition.onRecord(this.#record.at(row), this.#call);
    } catch (thrown) {
      if (errors === 'fail') {
        throw functionFailed(operatorId, `at partition ${batch.partitions[row]}, offset ${batch.offsets[row]}`, thrown);
      }
      this.#rejected.add(batch, row, rejectionOf(operatorId, thrown));
      return false;
    }
    refusePromise(operatorId, given);
    return true;
  }

  /** Fires timers and forgets states until nothing is due at the scope's watermark. */
  #doDue(scope: number, cause: Cause, outputs: OutputRows): void {
    for (let due = this.#entries.takeDue(scope); due !== null; due = this.#entries.takeDue(scope)) {
      const { state: entry } = due;
      const timerMs = entry.timersMs[0] ?? Infinity;
      if (timerMs <= entry.expiresMs) this.#fire(entry, timerMs, scope, cause, outputs);
      else forget(entry);
      this.#keep(due);
    }
  }

  #fire(entry: ProcessEntry, timerMs: number, scope: number, cause: Cause, outputs: OutputRows): void {
    const { operatorId } = this.#definition;
    this.#call.begin(entry, { eventTimeMs: timerMs, watermarkMs: this.#watermarks.of(scope), timerMs });
    try {
      refusePromise(operatorId, this.#definition.onTimer?.(this.#call));
    } catch (thrown) {
      const place = `in a timer, as the watermark moved at partition ${cause.partition}, offset ${cause.offset}`;
      throw functionFailed(operatorId, place, thrown);
    }
    this.#call.apply();
    this.#giveOut(entry, timerMs, 0, scope, cause, outputs);
  }

  #giveOut(
    { key }: ProcessEntry,
    eventTimeMs: number,
    flags: number,
    scope: number,
    cause: Cause,
    outputs: OutputRows,
  ): void {
    const { rows } = this.#call;
    if (rows.length === 0) return;
    const origin = { ...cause, eventTimeMs, watermarkMs: this.#watermarks.of(scope), flags };
    for (const cells of rows) outputs.add([...key, ...cells], origin);
  }

  /** Keeps a key that has changed, until it is due next; one that has nothing any more is forgotten. */
  #keep(entry: KeyedEntry<ProcessEntry>): void {
    if (isEmpty(entry.state)) {
      this.#entries.remove(entry);
      return;
    }
    this.#entries.markChanged(entry);
    this.#entries.schedule(entry, dueOf(entry.state));
  }
}

/** A key of which nothing is kept. */
const nothing: Omit<ProcessEntry, 'key'> = { bytes: null, version: 0, expiresMs: Infinity, timersMs: [] };

function isEmpty({ bytes, timersMs }: ProcessEntry): boolean {
  return bytes === null && timersMs.length === 0;
}

function dueOf({ timersMs, expiresMs }: ProcessEntry): number {
  return Math.min(timersMs[0] ?? Infinity, expiresMs);
}

function forget(entry: ProcessEntry): void {
  entry.bytes = null;
  entry.expiresMs = Infinity;
}

/** Reads the values of the key's fields in a row of the batch. */
function keyReader(batch: RecordBatch, key: readonly string[]): (row: number) => readonly (number | string)[] {
  const view = new RowView(batch.schema);
  view.open(batch);
  return (row) => {
    const record: Row = view.at(row);
    return key.map((name) => {
      const value = record[name] ?? '';
      return typeof value === 'boolean' ? Number(value) : value;
    });
  };
}
