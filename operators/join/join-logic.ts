import { strict as assert } from 'node:assert';
import type { Emitted } from '../../engine/execution/section.ts';
import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { isValid, valueAt, type Column } from '../../engine/record/column.ts';
import { columnOf, GUARDED, LATE, MARK, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { HoldRule } from '../../engine/time/partition-watermarks.ts';
import { filterRows } from '../filter/filter.ts';
import { encodeKeys, type EncodedKeys } from '../key/encode-keys.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import { inputColumn, joinFields, type JoinDefinition, type JoinSide } from './join-definition.ts';
import { readWatermarks, watermarksName, writeWatermarks } from './join-format.ts';
import { JoinResults, type JoinCause, type ResultSide } from './join-results.ts';
import { firstFrom, type JoinKey, type JoinRow, type JoinValue, type Side } from './join-row.ts';
import { JoinStore } from './join-store.ts';
import { JointWatermark } from './joint-watermark.ts';

/** Where a join starts from. Stored state says itself which watermarks it has seen. */
export interface JoinStart {
  readonly state: 'empty' | 'stored';
  /** Of each input, where partitions are the tasks that have written the records; absent where they are read directly. */
  readonly holds?: readonly HoldRule[];
}

/** What comes out beside the results: nothing, or, as rows that are no records, how far the watermark is, for an operator behind that waits for it. */
export type JoinOutputs = 'results' | 'results and marks';

/** What of one side is read from a batch. */
interface SideColumns {
  readonly side: Side;
  readonly keys: EncodedKeys;
  readonly key: readonly Column[];
  readonly values: readonly Column[];
}

/**
 * A join of two inputs on a key and an interval of event time (Flink's interval join, Spark's stream-stream join with watermarks; docs/joins.md).
 *
 * For each record, in arrival order: the joint watermark moves to where it stood before the record, and what is due leaves; the record comes out with each partner that is kept, by
 * their event times, and is kept itself; the watermark moves past it, and what is due leaves. A record leaves once the watermark says that no partner can come; where the kind of the join
 * asks for it and it never had one, it comes out alone then. So results depend on the log alone, and not on how it is cut into batches.
 *
 * Cost a record: a hash look-up, two binary searches, a heap's insertion, and a copy of the values for each partner.
 */
export class JoinLogic implements StatefulLogic {
  readonly operatorId: string;
  readonly #definition: JoinDefinition;
  readonly #condition: CompiledExpression | null;
  readonly #outputSchema: Schema;
  readonly #store: JoinStore;
  readonly #queue = new ExpiryQueue();
  readonly #watermark: JointWatermark;
  readonly #outputs: JoinOutputs;
  /** How far results may be behind the joint watermark: one that comes out alone has waited for partners. */
  readonly #heldMs: number;
  #loaded: boolean;
  #hasMoved = false;

  /**
   * @param schema the one that all inputs share, which the plan has checked to have the definition's columns.
   * @param condition what must hold for two records to be partners, beside key and time, over the results' columns; `null`: nothing.
   */
  constructor(
    definition: JoinDefinition,
    schema: Schema,
    condition: CompiledExpression | null,
    start: JoinStart,
    outputs: JoinOutputs = 'results',
  ) {
    this.operatorId = definition.operatorId;
    this.#definition = definition;
    this.#condition = condition;
    this.#outputSchema = new Schema(joinFields(definition, schema));
    this.#store = new JoinStore(definition.operatorId);
    this.#watermark = new JointWatermark(definition.delaysMs.length, start.holds);
    const { beforeMs, afterMs } = definition;
    this.#outputs = outputs;
    this.#heldMs = Math.max(this.#isPreserved('left') ? afterMs : 0, this.#isPreserved('right') ? beforeMs : 0);
    this.#loaded = start.state === 'empty';
  }

  /** The results' schema. */
  get outputSchema(): Schema {
    return this.#outputSchema;
  }

  /** How many records are kept. */
  get rowCount(): number {
    return this.#store.size;
  }

  /** Reads all that is kept once, before the first batch: any of it may be due at the next record. */
  async prefetch(_batch: RecordBatch, reader: StateReader): Promise<void> {
    if (this.#loaded) return;
    this.#loaded = true;
    const { left, right } = this.#definition;
    const countOf = (side: Side): number => (side === 'left' ? left : right).columns.length;
    for await (const entry of reader.scan(this.operatorId)) {
      if (entry.key.length === watermarksName.length) {
        const { jointMs, watermarks } = readWatermarks(entry.value);
        this.#watermark.restore(jointMs, watermarks);
        continue;
      }
      this.#queue.add(this.#store.load(entry, countOf, (side, timeMs) => this.#expiryOf(side, timeMs)));
    }
  }

  /** The results of a batch; {@link emit} tells of its records too. */
  apply(batch: RecordBatch): RecordBatch {
    return this.emit(batch).records;
  }

  /** Takes a batch in and gives what came out, and what became of its records. */
  emit(batch: RecordBatch): Emitted {
    const { left, right, allowedLatenessMs } = this.#definition;
    const results = this.#newResults();
    const inputs = columnOf(batch, inputColumn);
    assert(inputs.kind === 'number');
    const sides = new Map([
      [left.input, columnsOf('left', left, batch)],
      [right.input, columnsOf('right', right, batch)],
    ]);
    const late: number[] = [];
    let taken = 0;
    let filtered = 0;
    for (const idle of batch.idle ?? []) {
      const cause = { partition: idle.partition, offset: idle.offset, watermarkMs: this.#passedMs };
      this.#hasMoved = true;
      if (this.#watermark.leave(idle)) this.#letGo(cause, results);
    }
    for (let row = 0; row < batch.rowCount; row++) {
      const ownMs = batch.watermarksMs[row] ?? -Infinity;
      this.#advance(batch, row, ownMs, results);
      const side = isValid(inputs, row) ? sides.get(inputs.values[row] ?? -1) : undefined;
      const lateFromMs = Math.max(ownMs, this.#watermark.ms) - allowedLatenessMs;
      if (((batch.flags[row] ?? 0) & MARK) !== 0) {
        // No record: it moves the watermark alone.
      } else if (side === undefined) filtered++;
      else if ((batch.eventTimesMs[row] ?? 0) < lateFromMs) late.push(row);
      else if (this.#take(batch, row, side, results)) taken++;
      else filtered++;
      const isGuarded = ((batch.flags[row] ?? 0) & GUARDED) !== 0;
      this.#advance(batch, row, isGuarded ? -Infinity : this.#afterMs(batch, row), results);
    }
    const tooLate = selectRows(batch, Int32Array.from(late));
    for (let i = 0; i < late.length; i++) tooLate.flags[i] = (tooLate.flags[i] ?? 0) | LATE;
    const built = results.build();
    const records = this.#isJudgedAtOnce && this.#condition !== null ? filterRows(this.#condition)(built) : built;
    return { records, taken, filtered, late: tooLate };
  }

  takeChanges(): readonly StateWrite[] {
    const writes = [...this.#store.takeChanges()];
    if (this.#hasMoved) {
      const value = writeWatermarks(this.#watermark.ms, this.#watermark.entries());
      writes.push({ operatorId: this.operatorId, key: watermarksName, value });
    }
    this.#hasMoved = false;
    return writes;
  }

  dropChanges(): void {
    this.#store.dropChanges();
    this.#hasMoved = false;
  }

  /** Of an inner join nobody asks whether a record had a partner, so that all of a batch's results are judged together. */
  get #isJudgedAtOnce(): boolean {
    return this.#definition.kind === 'inner' && this.#outputs === 'results';
  }

  /** Where the results stand in time: none that comes from now on is earlier by more than the allowed lateness. */
  get #passedMs(): number {
    return this.#watermark.ms - this.#heldMs;
  }

  #newResults(): JoinResults {
    const { left, right } = this.#definition;
    return new JoinResults(this.#outputSchema, left.columns.length, right.columns.length);
  }

  /** Where the watermark of a row's partition stands behind the row. */
  #afterMs(batch: RecordBatch, row: number): number {
    const { delaysMs } = this.#definition;
    const partition = batch.partitions[row] ?? 0;
    return (batch.eventTimesMs[row] ?? 0) - (delaysMs[partition % delaysMs.length] ?? 0);
  }

  /** Whether a side's records come out without a partner. */
  #isPreserved(side: Side): boolean {
    const { kind } = this.#definition;
    return kind === 'full' || kind === side;
  }

  /** Until when a partner of a side's record may come. */
  #expiryOf(side: Side, timeMs: number): number {
    const { beforeMs, afterMs, allowedLatenessMs } = this.#definition;
    return timeMs + (side === 'left' ? afterMs : beforeMs) + allowedLatenessMs;
  }

  /** Moves the watermark of a row's partition, and lets go what no partner can come for any more. */
  #advance(batch: RecordBatch, row: number, watermarkMs: number, results: JoinResults): void {
    const partition = batch.partitions[row] ?? 0;
    const cause = { partition, offset: batch.offsets[row] ?? 0, watermarkMs: this.#passedMs };
    this.#hasMoved = true;
    if (this.#watermark.advance(partition, watermarkMs)) this.#letGo(cause, results);
  }

  /** @param cause with the watermark as it stood before it moved. */
  #letGo(cause: JoinCause, results: JoinResults): void {
    for (let due = this.#queue.take(this.#watermark.ms); due !== null; due = this.#queue.take(this.#watermark.ms)) {
      if (!due.isMatched && this.#isPreserved(due.side)) this.#addAlone(due.key.values, due.side, due, cause, results);
      this.#store.remove(due);
    }
    if (this.#outputs === 'results') return;
    results.addMark({ ...cause, watermarkMs: this.#passedMs }, MARK);
  }

  /** Brings a record out with its partners, and keeps it. @returns whether it takes part: one without a key has no partners. */
  #take(batch: RecordBatch, row: number, columns: SideColumns, results: JoinResults): boolean {
    const { side, keys } = columns;
    const timeMs = batch.eventTimesMs[row] ?? 0;
    const values = columns.values.map((column) => valueAt(column, row));
    const cause = {
      partition: batch.partitions[row] ?? 0,
      offset: batch.offsets[row] ?? 0,
      watermarkMs: this.#passedMs,
    };
    if (keys.present !== null && keys.present[row] === 0) {
      if (!this.#isPreserved(side)) return false;
      const key = columns.key.map((column) => valueAt(column, row));
      this.#addAlone(key, side, { timeMs, values }, cause, results);
      return true;
    }
    const key =
      this.#store.find(keys.slab, row) ??
      this.#store.make(
        keys.slab,
        row,
        columns.key.map((column) => valueAt(column, row)),
      );
    const { partition, offset } = cause;
    const expiresMs = this.#expiryOf(side, timeMs);
    const own: JoinRow = { key, side, timeMs, partition, offset, values, isMatched: false, isStored: false, expiresMs };
    for (const partner of this.#partnersOf(own, key, cause)) {
      if (side === 'left') results.add(key.values, own, partner, cause);
      else results.add(key.values, partner, own, cause);
      // Of a side that is not preserved nobody asks, and a row that was stored already would have to be stored again: what is stored must not depend on when.
      own.isMatched = this.#isPreserved(side);
      if (partner.isMatched || !this.#isPreserved(partner.side)) continue;
      this.#store.markChanged(partner);
      partner.isMatched = true;
    }
    this.#store.add(own);
    this.#queue.add(own);
    return true;
  }

  /** The records of the other side that a record meets, by event time. */
  #partnersOf(own: JoinRow, key: JoinKey, cause: JoinCause): readonly JoinRow[] {
    const { beforeMs, afterMs } = this.#definition;
    const isLeft = own.side === 'left';
    const others = isLeft ? key.right : key.left;
    const fromMs = own.timeMs - (isLeft ? beforeMs : afterMs);
    const toMs = own.timeMs + (isLeft ? afterMs : beforeMs);
    const partners: JoinRow[] = [];
    for (let at = firstFrom(others, fromMs); at < others.length; at++) {
      const other = others[at];
      if (other === undefined || other.timeMs > toMs) break;
      partners.push(other);
    }
    if (this.#condition === null || this.#isJudgedAtOnce || partners.length === 0) return partners;
    const candidates = this.#newResults();
    for (const other of partners) candidates.add(key.values, isLeft ? own : other, isLeft ? other : own, cause);
    const verdict = this.#condition.evaluate(candidates.build());
    assert(verdict.kind === 'number', 'the plan lets only boolean conditions come here');
    return partners.filter((_, at) => isValid(verdict, at) && verdict.values[at] === 1);
  }

  #addAlone(key: readonly JoinValue[], side: Side, own: ResultSide, cause: JoinCause, results: JoinResults): void {
    if (side === 'left') results.add(key, own, null, cause);
    else results.add(key, null, own, cause);
  }
}

function columnsOf(side: Side, { key, columns }: JoinSide, batch: RecordBatch): SideColumns {
  return {
    side,
    keys: encodeKeys(batch, key),
    key: key.map((name) => columnOf(batch, name)),
    values: columns.map((name) => columnOf(batch, name)),
  };
}
