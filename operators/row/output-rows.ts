import { strict as assert } from 'node:assert';
import { numberColumnOf, utf8ColumnOf, type Column } from '../../engine/record/column.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Field, Schema } from '../../engine/record/schema.ts';
import type { Row } from './row-view.ts';

/** What a column holds of a row: booleans as 0 and 1. */
export type Cell = number | string | null;

/** Where a row that goes out stands. */
export interface RowOrigin {
  /** Of the record that brought it out. */
  readonly partition: number;
  readonly offset: number;
  readonly eventTimeMs: number;
  readonly watermarkMs: number;
  readonly flags: number;
}

/**
 * A row as a person's function gave it, as cells in the order of `fields`.
 *
 * @throws {TypeError} where a value is not what its field is declared to be, or the row has a field that was not declared. The message names types, never values.
 */
export function cellsOf(fields: readonly Field[], row: Row): Cell[] {
  const cells = fields.map((field) => cellOf(field, row[field.name]));
  for (const name of Object.keys(row)) {
    if (!fields.some((field) => field.name === name)) {
      throw new TypeError(
        `a row must have no other fields than ${fields.map((f) => f.name).join(', ')}; got "${name}"`,
      );
    }
  }
  return cells;
}

function cellOf({ name, type, presence }: Field, value: unknown): Cell {
  if (value === null || value === undefined) {
    if (presence === 'optional') return null;
    throw new TypeError(`field "${name}" must be a ${type}; got none`);
  }
  switch (type) {
    case 'double':
      if (typeof value === 'number' && Number.isFinite(value)) return value;
      break;
    case 'long':
    case 'timestamp':
      if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
      break;
    case 'boolean':
      if (typeof value === 'boolean') return value ? 1 : 0;
      break;
    case 'string':
      if (typeof value === 'string') return value;
      break;
  }
  const got = typeof value === 'number' ? 'another number' : typeof value;
  throw new TypeError(`field "${name}" must be a ${type}; got ${got}`);
}

/** Rows that go out of an operator, as they come, made into a batch at the end of the batch that brought them out. */
export class OutputRows {
  readonly #schema: Schema;
  readonly #cells: Cell[][];
  readonly #origins: RowOrigin[] = [];

  /** @param schema of the rows. */
  constructor(schema: Schema) {
    this.#schema = schema;
    this.#cells = schema.fields.map(() => []);
  }

  /** Adds a row; its cells are in the order of the schema's fields. */
  add(cells: readonly Cell[], origin: RowOrigin): void {
    assert(cells.length === this.#cells.length, 'a row must have a cell for each field');
    cells.forEach((cell, index) => this.#cells[index]?.push(cell));
    this.#origins.push(origin);
  }

  /** All rows as a batch, in the order in which they were added. */
  build(): RecordBatch {
    const origins = this.#origins;
    return {
      schema: this.#schema,
      rowCount: origins.length,
      columns: this.#schema.fields.map(({ type }, index) => columnOfCells(type === 'string', this.#cells[index] ?? [])),
      partitions: Int32Array.from(origins, ({ partition }) => partition),
      offsets: Float64Array.from(origins, ({ offset }) => offset),
      eventTimesMs: Float64Array.from(origins, ({ eventTimeMs }) => eventTimeMs),
      watermarksMs: Float64Array.from(origins, ({ watermarkMs }) => watermarkMs),
      flags: Uint8Array.from(origins, ({ flags }) => flags),
    };
  }
}

/** A column of cells; `isText` says of which kind. */
export function columnOfCells(isText: boolean, cells: readonly Cell[]): Column {
  if (isText) return utf8ColumnOf(cells.map((cell) => (cell === null ? null : String(cell))));
  return numberColumnOf(
    cells.map((cell) => {
      assert(typeof cell !== 'string', 'a text cannot be in a column of numbers');
      return cell;
    }),
  );
}
