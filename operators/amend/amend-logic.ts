import { passengers } from '../../engine/exchange/exchange-format.ts';
import type { AmendedRecords } from '../../engine/execution/amended-records.ts';
import { isValid, valueAt } from '../../engine/record/column.ts';
import { columnOf, DEGRADED, LATE, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { ScopedWatermarks } from '../keyed/scoped-watermarks.ts';
import type { AmendDefinition, Tolerance } from './amend-definition.ts';
import { layOutAmend, type AmendLayout, type KeptColumn } from './amend-layout.ts';
import { AmendmentRows, amendmentSchema } from './amendment-rows.ts';
import { ComputeAgain } from './compute-again.ts';
import { KeptRecords } from './kept-records.ts';
import type { KeptRecord, Values } from './kept-record.ts';
import { isBeyond } from './tolerance.ts';

/** A watched column of a kept record. */
interface Watched {
  readonly column: KeptColumn;
  readonly tolerance: Tolerance;
}

/**
 * Watches decisions that were given out, and says so when one that is no older than `withinMs` behind the watermark would be made on other features, now that a record has come late
 * (docs/amendments.md, ADR 0044). Stands behind the steps that compute the features; records pass it as they are, and amendments leave by the side.
 *
 * Behind every record, for each decision in watch: what was told of it last, with the decision or with an amendment of it, is within the tolerance of what the same features would be had
 * all records that have arrived come in order of event time. Records of one time are in order as they came, so a stream in order is never amended.
 *
 * Cost a record in order: keeping it, and looking whether its key has later ones. One that comes late costs the windows of each decision that it falls into, again.
 */
export class AmendLogic implements StatefulLogic {
  readonly operatorId: string;
  readonly #definition: AmendDefinition;
  readonly #layout: AmendLayout;
  readonly #outputSchema: Schema;
  readonly #amendmentSchema: Schema;
  readonly #watermarks: ScopedWatermarks;
  readonly #kept: KeptRecords;
  readonly #again: ComputeAgain;
  readonly #watched: readonly Watched[];
  readonly #into: AmendedRecords;

  /**
   * @param input the schema of what the first of the definition's steps is given, without the arrivals that a decoder may have added.
   * @param schema the schema of the batches that come in, which the last step gives.
   * @param into where amendments go.
   */
  constructor(
    definition: AmendDefinition,
    input: Schema,
    schema: Schema,
    start: { readonly state: 'empty' | 'stored' },
    into: AmendedRecords,
  ) {
    this.operatorId = definition.operatorId;
    this.#definition = definition;
    this.#layout = layOutAmend(definition, input);
    this.#outputSchema = new Schema(schema.fields.filter(({ name }) => name !== passengers.arrival));
    this.#amendmentSchema = amendmentSchema(definition, schema);
    this.#watermarks = new ScopedWatermarks(definition.closedBy, 0);
    const { operatorId, maxRecordsPerKey } = definition;
    this.#kept = new KeptRecords(operatorId, this.#layout, this.#watermarks, start, maxRecordsPerKey);
    this.#again = new ComputeAgain(this.#layout, this.#kept);
    const columnOfName = new Map(this.#layout.columns.map((column) => [column.field.name, column]));
    this.#watched = definition.watched.flatMap(({ column: name, tolerance }) => {
      const column = columnOfName.get(name);
      return column === undefined ? [] : { column, tolerance };
    });
    this.#into = into;
  }

  /** The schema of what passes: the input's without arrivals. */
  get outputSchema(): Schema {
    return this.#outputSchema;
  }

  /** How many records are kept. */
  get recordCount(): number {
    return this.#kept.size;
  }

  /** Reads all records once, before the first batch: any of them may be in the window of the next. */
  prefetch(_batch: RecordBatch, reader: StateReader): Promise<void> {
    return this.#kept.load(reader);
  }

  apply(batch: RecordBatch): RecordBatch {
    const rows = new AmendmentRows(this.#definition, this.#layout, this.#amendmentSchema);
    const read = this.#reader(batch);
    for (let row = 0; row < batch.rowCount; row++) {
      this.#watermarks.moveTo(batch, row);
      const partition = batch.partitions[row] ?? 0;
      const eventTimeMs = batch.eventTimesMs[row] ?? 0;
      const horizonMs = this.#kept.letGo(this.#watermarks.scopeOf(partition));
      if (eventTimeMs <= horizonMs) continue;
      const flags = batch.flags[row] ?? 0;
      const values = read.valuesOf(row);
      const record = this.#kept.add({
        partition,
        offset: batch.offsets[row] ?? 0,
        eventTimeMs,
        arrivedMs: read.arrivedMsOf(row),
        values,
        told: values,
        revision: 0,
        // Live windows do not see what was too late for them.
        isDiverged: (flags & LATE) !== 0,
      });
      const need = this.#again.needFor(record);
      const own = need.own || (flags & (LATE | DEGRADED)) !== 0;
      if (own || need.others) this.#amend(record, own, rows, batch.watermarksMs[row] ?? -Infinity);
    }
    const amendments = rows.build();
    if (amendments !== null) this.#into.add(amendments);
    const { fields } = batch.schema;
    return {
      ...batch,
      schema: this.#outputSchema,
      columns: batch.columns.filter((_, index) => fields[index]?.name !== passengers.arrival),
    };
  }

  takeChanges(): readonly StateWrite[] {
    return this.#kept.takeChanges();
  }

  dropChanges(): void {
    this.#kept.dropChanges();
  }

  takeLetGoEarly(): number {
    return this.#kept.takeLetGoEarly();
  }

  #amend(cause: KeptRecord, own: boolean, rows: AmendmentRows, watermarkMs: number): void {
    const affected = this.#again.run(cause, own ? 'to be computed' : 'as answered');
    const decisions = [...affected]
      .filter((record) => record.eventTimeMs > this.#kept.watchedBehindMs(record) - this.#definition.withinMs)
      .toSorted((a, b) => a.eventTimeMs - b.eventTimeMs || a.order - b.order);
    for (const decision of decisions) {
      const changed = this.#changedIn(decision);
      if (changed.length === 0) continue;
      decision.revision++;
      rows.add(decision, cause, changed, watermarkMs);
      decision.told = decision.values;
      this.#kept.markChanged(decision);
    }
  }

  /** The watched columns that are beyond their tolerance. */
  #changedIn({ values, told }: KeptRecord): readonly string[] {
    return this.#watched
      .filter(({ column: { field, form, slot }, tolerance }) => {
        if (form === 'text') return (values.texts[slot] ?? null) !== (told.texts[slot] ?? null);
        return isBeyond(field.type, tolerance, told.numbers[slot] ?? NaN, values.numbers[slot] ?? NaN);
      })
      .map(({ column: { field } }) => field.name);
  }

  /** Reads the kept columns of a batch, row by row. */
  #reader(batch: RecordBatch): {
    readonly valuesOf: (row: number) => Values;
    readonly arrivedMsOf: (row: number) => number;
  } {
    const { columns, numbers, texts } = this.#layout;
    const sources = columns.map(({ field, form, slot }) => ({ column: columnOf(batch, field.name), form, slot }));
    const arrivals = batch.schema.indexOf(passengers.arrival) < 0 ? null : columnOf(batch, passengers.arrival);
    return {
      valuesOf: (row) => {
        const values: Values = { numbers: new Float64Array(numbers), texts: Array.from({ length: texts }, () => null) };
        for (const { column, form, slot } of sources) {
          if (column.kind === 'utf8') {
            if (form === 'text') values.texts[slot] = valueAt(column, row) as string | null;
          } else values.numbers[slot] = isValid(column, row) ? (column.values[row] ?? NaN) : NaN;
        }
        return values;
      },
      arrivedMsOf: (row) => {
        const arrivedMs = arrivals?.kind === 'number' ? (arrivals.values[row] ?? -1) : -1;
        return arrivedMs < 0 ? NaN : arrivedMs;
      },
    };
  }
}
