import { SluiceError } from '../../engine/error.ts';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { Emitted } from '../../engine/execution/section.ts';
import { valueAt } from '../../engine/record/column.ts';
import { columnOf, MARK, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { HoldRule } from '../../engine/time/partition-watermarks.ts';
import { StateBytes, StateWriter } from '../aggregate/state-bytes.ts';
import { encodeKeys } from '../key/encode-keys.ts';
import { KeyedEntries, type EntryFormat } from '../keyed/keyed-entries.ts';
import { ScopedWatermarks } from '../keyed/scoped-watermarks.ts';
import { functionFailed, isOfTheJob, rejectionOf } from '../row/call-outcome.ts';
import { OutputRows, type Cell } from '../row/output-rows.ts';
import type { FirstRecord, OpenRules, PatternDefinition, PatternRules } from './pattern-definition.ts';

const formatVersion = 1;

/** How a key's first records are stored: `u8 version · u32 records · u32 fields · then for each record f64 event time · cells, each u8 whether it is there [· value]`, little-endian. */
export const patternFormat: EntryFormat<readonly FirstRecord[]> = {
  encode(firsts) {
    const to = new StateWriter();
    to.u8(formatVersion);
    to.u32(firsts.length);
    to.u32(firsts[0]?.cells.length ?? 0);
    for (const { eventTimeMs, cells } of firsts) {
      to.f64(eventTimeMs);
      for (const cell of cells) {
        to.u8(cell === null ? 0 : 1);
        if (cell !== null) to.value(cell);
      }
    }
    return to.take();
  },
  decode(bytes) {
    const from = new StateBytes(bytes);
    const version = from.u8();
    if (version !== formatVersion) {
      throw new SluiceError(
        'STATE_FORMAT',
        `stored beginnings of matches must have version ${formatVersion}; got ${version}: rebuild the state from the log`,
      );
    }
    const count = from.u32();
    const fields = from.u32();
    return Array.from({ length: count }, () => ({
      eventTimeMs: from.f64(),
      cells: Array.from({ length: fields }, (): Cell => (from.u8() === 0 ? null : from.value())),
    }));
  },
};

/**
 * Finds a record A and a later record B of the same key within a time, and gives out one result for each A, when its first B comes (docs/patterns.md):
 *
 *     A1 ──── x ──── A2 ──── B ──── B        results: (A1, B), (A2, B), each at the first B
 *     └──────────── within ─────────┘        x: whatever comes between does not matter
 *
 * For each record, in arrival order: first it completes what was begun before it, with `0 ≤ t − t(A) < within`; then it may begin a match itself. An A is forgotten when it is completed, and when
 * the key's watermark has reached `t(A) + within`. So results depend on the log alone, and come at once.
 *
 * Cost a record: a hash look-up, and the second condition for each A of its key that is waiting.
 */
export class PatternLogic implements StatefulLogic {
  readonly operatorId: string;
  readonly #definition: PatternDefinition;
  readonly #rules: PatternRules;
  readonly #outputSchema: Schema;
  readonly #watermarks: ScopedWatermarks;
  readonly #entries: KeyedEntries<readonly FirstRecord[]>;
  readonly #rejected: RejectedRecords;

  /** @param rejected where records go that a function of the rules throws on. */
  constructor(
    definition: PatternDefinition,
    rules: PatternRules,
    start: { readonly state: 'empty' | 'stored'; readonly hold?: HoldRule },
    rejected: RejectedRecords,
  ) {
    const { operatorId, closedBy, delayMs, inputDelaysMs } = definition;
    this.operatorId = operatorId;
    this.#definition = definition;
    this.#rules = rules;
    this.#outputSchema = new Schema(rules.outputs);
    this.#watermarks = new ScopedWatermarks(closedBy, inputDelaysMs ?? delayMs, start.hold);
    this.#entries = new KeyedEntries(operatorId, patternFormat, this.#watermarks, start);
    this.#rejected = rejected;
  }

  /** The results' schema. */
  get outputSchema(): Schema {
    return this.#outputSchema;
  }

  /** How many keys have a match begun. */
  get keyCount(): number {
    return this.#entries.size;
  }

  /** Reads all keys once, before the first batch. */
  async prefetch(_batch: RecordBatch, reader: StateReader): Promise<void> {
    await this.#entries.load(reader, (firsts) => this.#dueOf(firsts));
  }

  /** The results of a batch; {@link PatternLogic.emit} tells of its records too. */
  apply(batch: RecordBatch): RecordBatch {
    return this.emit(batch).records;
  }

  /** Takes a batch in and gives what came out, and what became of its records. */
  emit(batch: RecordBatch): Emitted {
    const outputs = new OutputRows(this.#outputSchema);
    const { slab, present } = encodeKeys(batch, this.#definition.key);
    const rules = this.#rules.open(batch);
    const carried = this.#rules.carried.map((name) => columnOf(batch, name));
    const { withinMs } = this.#definition;
    let taken = 0;
    let filtered = 0;
    for (const idle of batch.idle ?? []) this.#forget(this.#watermarks.leave(idle));
    for (let row = 0; row < batch.rowCount; row++) {
      const scope = this.#watermarks.scopeOf(batch.partitions[row] ?? 0);
      this.#watermarks.moveTo(batch, row);
      this.#forget(scope);
      const isMark = ((batch.flags[row] ?? 0) & MARK) !== 0;
      if (isMark || (present !== null && present[row] === 0)) {
        // A mark is no record: it moves the watermark alone.
        if (!isMark) filtered++;
      } else {
        const entry = this.#entries.find(slab, row, scope);
        const t = batch.eventTimesMs[row] ?? 0;
        const waiting = entry?.state ?? [];
        const met = waiting.filter(({ eventTimeMs }) => eventTimeMs <= t && t - eventTimeMs < withinMs);
        const judged = this.#judge(batch, row, rules, met);
        if (judged !== null) {
          taken++;
          const completed = new Set<FirstRecord>();
          judged.results.forEach((cells, index) => {
            const first = met[index];
            if (cells === null || first === undefined) return;
            completed.add(first);
            outputs.add(cells, originOf(batch, row));
          });
          const begun = judged.begins ? [{ eventTimeMs: t, cells: carried.map((column) => valueAt(column, row)) }] : [];
          if (completed.size > 0 || begun.length > 0) {
            const firsts = [...waiting.filter((first) => !completed.has(first)), ...begun];
            if (entry !== undefined) {
              entry.state = firsts;
              this.#keep(entry);
            } else {
              this.#keep(this.#entries.insert(slab, row, scope, firsts));
            }
          }
        }
      }
      this.#watermarks.movePast(batch, row);
      this.#forget(scope);
    }
    return { records: outputs.build(), taken, filtered, late: selectRows(batch, new Int32Array(0)) };
  }

  takeChanges(): readonly StateWrite[] {
    return this.#entries.takeChanges();
  }

  dropChanges(): void {
    this.#entries.dropChanges();
  }

  /** What the rules say of a row; `null` where they threw, and the record was rejected. */
  #judge(
    batch: RecordBatch,
    row: number,
    rules: OpenRules,
    met: readonly FirstRecord[],
  ): { readonly results: ReturnType<OpenRules['complete']>; readonly begins: boolean } | null {
    const { operatorId, errors } = this.#definition;
    try {
      return { results: met.length === 0 ? [] : rules.complete(row, met), begins: rules.begins(row) };
    } catch (thrown) {
      if (isOfTheJob(thrown)) throw thrown;
      if (errors === 'fail') {
        throw functionFailed(operatorId, `at partition ${batch.partitions[row]}, offset ${batch.offsets[row]}`, thrown);
      }
      this.#rejected.add(batch, row, rejectionOf(operatorId, thrown));
      return null;
    }
  }

  #dueOf(firsts: readonly FirstRecord[]): number {
    return Math.min(...firsts.map(({ eventTimeMs }) => eventTimeMs)) + this.#definition.withinMs;
  }

  #keep(entry: NonNullable<ReturnType<KeyedEntries<readonly FirstRecord[]>['find']>>): void {
    if (entry.state.length === 0) {
      this.#entries.remove(entry);
      return;
    }
    this.#entries.markChanged(entry);
    this.#entries.schedule(entry, this.#dueOf(entry.state));
  }

  /** Forgets what the scope's watermark lets nothing complete any more. */
  #forget(scope: number): void {
    for (let due = this.#entries.takeDue(scope); due !== null; due = this.#entries.takeDue(scope)) {
      const horizonMs = this.#watermarks.of(scope) - this.#definition.withinMs;
      due.state = due.state.filter(({ eventTimeMs }) => eventTimeMs > horizonMs);
      this.#keep(due);
    }
  }
}

function originOf(batch: RecordBatch, row: number): Parameters<OutputRows['add']>[1] {
  return {
    partition: batch.partitions[row] ?? 0,
    offset: batch.offsets[row] ?? 0,
    eventTimeMs: batch.eventTimesMs[row] ?? 0,
    watermarkMs: batch.watermarksMs[row] ?? -Infinity,
    flags: batch.flags[row] ?? 0,
  };
}
