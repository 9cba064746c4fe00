import { strict as assert } from 'node:assert';
import { gather, valueAt, type Column } from './column.ts';
import type { Field, Schema } from './schema.ts';

/**
 * A record was answered, but the watermark had already passed it by more than the allowed lateness, so that rows which its
 * window reaches may have been evicted (semantics, "State's life"; ADR 0010).
 */
export const DEGRADED = 1;
/** A record was older than the state's horizon: answered, and kept out of state (semantics, "Rolling features"). */
export const LATE = 2;
/** A record's event time was too far ahead of its broker timestamp, so it did not move the watermark (semantics, "Watermark": the future guard). */
export const GUARDED = 4;
/** A row that is no record: it says how far the watermark is, to an operator behind one that gives records of its own, and has nothing but nulls. */
export const MARK = 8;
/** A record of a table that says that its key has no value any more (`engine/source/merged/deletion-decoder.ts`). */
export const DELETED = 16;
/** Of a mark that came through an exchange: its writer's partition is idle from here on. The batch loop makes {@link RecordBatch.idle} of it (`decodeParts`), and no operator meets it. */
export const IDLE = 64;
/** A window of the record began or ended where its key has been compacted to panes, and so may begin earlier than it says (semantics, "Rolling features"). */
export const COMPACTED = 32;

/** A partition that was found idle: read to its end, and quiet for the time that the job says. */
export interface IdlePartition {
  readonly partition: number;
  /** Of the last record that was read of it, under whose position stands what comes out; -1 where there was none. */
  readonly offset: number;
  /** How far its watermark has gone on by the clock, for a job with `advanceOnIdle`; `-Infinity` where it stays. */
  readonly watermarkMs: number;
}

/**
 * A micro-batch in columns: what flows through RxJS, and what every operator takes and gives.
 *
 * Rows are in arrival order. `partitions[row]` and `offsets[row]` are the source position; `eventTimesMs[row]` the event
 * time; `watermarksMs[row]` the watermark of the row's own partition as it stood *before* the row (semantics,
 * "Watermark"; `-Infinity` before the first record), so that whatever depends on time is defined per record and any cut into
 * batches gives the same answer; `flags[row]` a set of {@link DEGRADED}, {@link LATE}, {@link GUARDED}, {@link MARK} and {@link DELETED}.
 *
 * `idle`: the partitions that left the minimum before the first row (ADR 0045). Operators whose answers wait for the least watermark take it in first, and no other looks at it; a batch
 * may have no rows, and nothing but this. It reaches what emits through all steps before it (`runSection`).
 *
 * A batch is never changed once it has been handed on: operators share its columns and add their own.
 */
export interface RecordBatch {
  readonly schema: Schema;
  readonly rowCount: number;
  readonly columns: readonly Column[];
  readonly partitions: Int32Array;
  readonly offsets: Float64Array;
  readonly eventTimesMs: Float64Array;
  readonly watermarksMs: Float64Array;
  readonly flags: Uint8Array;
  readonly idle?: readonly IdlePartition[];
}

/** The column of that name. An absent one is our bug: plans are checked before anything starts. */
export function columnOf(batch: RecordBatch, name: string): Column {
  const column = batch.columns[batch.schema.indexOf(name)];
  assert(column !== undefined, `the batch has no column "${name}"`);
  return column;
}

/** The batch with further columns at the end, under `schema`, which the operator made once, at plan time, with {@link Schema.with}. */
export function withColumns(batch: RecordBatch, schema: Schema, added: readonly Column[]): RecordBatch {
  assert(schema.fields.length === batch.columns.length + added.length, 'the schema must name each column once');
  return { ...batch, schema, columns: [...batch.columns, ...added] };
}

/** The rows named by `rows`, in that order: how filters and routers cut a batch. */
export function selectRows(batch: RecordBatch, rows: Int32Array): RecordBatch {
  const partitions = new Int32Array(rows.length);
  const offsets = new Float64Array(rows.length);
  const eventTimesMs = new Float64Array(rows.length);
  const watermarksMs = new Float64Array(rows.length);
  const flags = new Uint8Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0;
    partitions[i] = batch.partitions[row] ?? 0;
    offsets[i] = batch.offsets[row] ?? 0;
    eventTimesMs[i] = batch.eventTimesMs[row] ?? 0;
    watermarksMs[i] = batch.watermarksMs[row] ?? 0;
    flags[i] = batch.flags[row] ?? 0;
  }
  const columns = batch.columns.map((column) => gather(column, rows));
  return {
    schema: batch.schema,
    rowCount: rows.length,
    columns,
    partitions,
    offsets,
    eventTimesMs,
    watermarksMs,
    flags,
  };
}

/** What a source knows of a batch besides its columns; `partition` may be one number for all rows. */
export interface RecordOrigin {
  readonly partition: number | Int32Array;
  /** The first row's offset; the others follow it one by one. Or each row's own. */
  readonly offset: number | Float64Array;
  readonly eventTimesMs: Float64Array;
}

/** A batch fresh from a source: no watermark yet, no flags. */
export function recordBatch(schema: Schema, columns: readonly Column[], origin: RecordOrigin): RecordBatch {
  const rowCount = origin.eventTimesMs.length;
  assert(columns.length === schema.fields.length, 'a batch must have a column for each field');
  const { partition, offset } = origin;
  return {
    schema,
    rowCount,
    columns,
    partitions: typeof partition === 'number' ? new Int32Array(rowCount).fill(partition) : partition,
    offsets: typeof offset === 'number' ? Float64Array.from({ length: rowCount }, (_, row) => offset + row) : offset,
    eventTimesMs: origin.eventTimesMs,
    watermarksMs: new Float64Array(rowCount).fill(-Infinity),
    flags: new Uint8Array(rowCount),
  };
}

/** The rows as plain objects, for tests, consoles and friendly APIs. Booleans come as booleans, instants as milliseconds. */
export function toRows(batch: RecordBatch): Record<string, number | string | boolean | null>[] {
  return Array.from({ length: batch.rowCount }, (_, row) =>
    Object.fromEntries(
      batch.schema.fields.map((field, index) => [field.name, plainValue(field, batch.columns[index], row)]),
    ),
  );
}

function plainValue(field: Field, column: Column | undefined, row: number): number | string | boolean | null {
  assert(column !== undefined);
  const value = valueAt(column, row);
  return field.type === 'boolean' && value !== null ? value === 1 : value;
}
