import { strict as assert } from 'node:assert';
import type { Column } from '../../engine/record/column.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Field, Schema } from '../../engine/record/schema.ts';

/** A field's value as a person's function sees it: booleans as booleans, instants in milliseconds since the epoch. */
export type RowValue = number | string | boolean | null;

/** A record as a person's function sees it: its fields by name. */
export type Row = Readonly<Record<string, RowValue>>;

/**
 * A window onto one row of a batch at a time, for functions that are called record by record. There is one object for all rows: its properties read the columns of the row
 * that {@link RowView.at} was last asked for, so a field that nobody reads costs nothing, and a text is made only where it is read.
 *
 * What `at` gives is valid until the next call. A function that keeps a record makes a copy, `{ ...record }`, which the properties allow: they are its own, and enumerable.
 */
export class RowView {
  readonly #schema: Schema;
  readonly #row: Row;
  #columns: readonly Column[] = [];
  /** For each column of texts, its slab as a buffer, which reads faster than a decoder. */
  #texts: readonly (Buffer | null)[] = [];
  #at = 0;

  /** @param schema of the batches that it will be shown. */
  constructor(schema: Schema) {
    this.#schema = schema;
    const row: Row = {};
    schema.fields.forEach((field, index) => {
      Object.defineProperty(row, field.name, { enumerable: true, get: () => this.#read(field, index) });
    });
    this.#row = Object.preventExtensions(row);
  }

  /** Turns to a batch. Called once a batch, before its rows. */
  open(batch: RecordBatch): void {
    assert(batch.columns.length === this.#schema.fields.length, 'a view is shown batches of its schema');
    this.#columns = batch.columns;
    this.#texts = batch.columns.map((column) =>
      column.kind === 'utf8' ? Buffer.from(column.data.buffer, column.data.byteOffset, column.data.byteLength) : null,
    );
  }

  /** The row with this number of the batch that is open. */
  at(row: number): Row {
    this.#at = row;
    return this.#row;
  }

  #read({ type }: Field, index: number): RowValue {
    const column = this.#columns[index];
    assert(column !== undefined, 'a record is read while its function runs, or copied: { ...record }');
    const at = this.#at;
    if (column.valid !== null && column.valid[at] !== 1) return null;
    if (column.kind === 'number') {
      const value = column.values[at] ?? 0;
      return type === 'boolean' ? value === 1 : value;
    }
    return this.#texts[index]?.toString('utf8', column.offsets[at], column.offsets[at + 1]) ?? null;
  }
}
