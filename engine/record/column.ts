/**
 * Columns: the values of one field over the records of one batch. Rows are numbered from 0; a row whose validity byte is 0
 * is null. `valid === null` says that no row is null, which lets the loops over it skip the test.
 */

/** The values of a numeric field (`double`, `long`, `boolean`, `timestamp`); what stands in a null row is unspecified. */
export interface NumberColumn {
  readonly kind: 'number';
  readonly values: Float64Array;
  readonly valid: Uint8Array | null;
}

/** Many byte strings in one slab: string `row` is `data.subarray(offsets[row], offsets[row + 1])`. `offsets` has one entry more than rows. */
export interface ByteSlab {
  readonly data: Uint8Array;
  readonly offsets: Int32Array;
}

/** The values of a `string` field as UTF-8 in one slab, as Apache Arrow's variable-size binary layout has them; null rows are empty. */
export interface Utf8Column extends ByteSlab {
  readonly kind: 'utf8';
  readonly valid: Uint8Array | null;
}

/** One field's values. */
export type Column = NumberColumn | Utf8Column;

/** A numeric column over values that somebody else filled; no copy is made. */
export function numberColumn(values: Float64Array, valid: Uint8Array | null = null): NumberColumn {
  return { kind: 'number', values, valid };
}

/** A string column over a slab that somebody else filled; no copy is made. */
export function utf8Column(data: Uint8Array, offsets: Int32Array, valid: Uint8Array | null = null): Utf8Column {
  return { kind: 'utf8', data, offsets, valid };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A string column from JavaScript strings. For tests, files and friendly APIs; decoders on the hot path fill the slab themselves. */
export function utf8ColumnOf(strings: readonly (string | null)[]): Utf8Column {
  const offsets = new Int32Array(strings.length + 1);
  let capacity = 0;
  for (const text of strings) capacity += text === null ? 0 : text.length * 3;
  const data = new Uint8Array(capacity);
  let valid: Uint8Array | null = null;
  let end = 0;
  strings.forEach((text, row) => {
    if (text === null) {
      valid ??= new Uint8Array(strings.length).fill(1);
      valid[row] = 0;
    } else {
      end += encoder.encodeInto(text, data.subarray(end)).written;
    }
    offsets[row + 1] = end;
  });
  return utf8Column(data.slice(0, end), offsets, valid);
}

/** A numeric column from JavaScript numbers; `null` and `undefined` become null rows. For tests, files and friendly APIs. */
export function numberColumnOf(numbers: readonly (number | null | undefined)[]): NumberColumn {
  const values = new Float64Array(numbers.length);
  let valid: Uint8Array | null = null;
  numbers.forEach((value, row) => {
    if (value === null || value === undefined) {
      valid ??= new Uint8Array(numbers.length).fill(1);
      valid[row] = 0;
    } else {
      values[row] = value;
    }
  });
  return numberColumn(values, valid);
}

/** Whether the row is not null. */
export function isValid(column: Column, row: number): boolean {
  return column.valid === null || column.valid[row] === 1;
}

/** The row's value as a JavaScript value. Makes a string for string columns, so it is for edges and tests, not for loops. */
export function valueAt(column: Column, row: number): number | string | null {
  if (!isValid(column, row)) return null;
  if (column.kind === 'number') return column.values[row] ?? null;
  return decoder.decode(column.data.subarray(column.offsets[row], column.offsets[row + 1]));
}

/** The rows named by `rows`, in that order, as a new column. Cost: one pass. */
export function gather(column: Column, rows: Int32Array): Column {
  let valid: Uint8Array | null = null;
  if (column.valid !== null) {
    valid = new Uint8Array(rows.length);
    for (let i = 0; i < rows.length; i++) valid[i] = column.valid[rows[i] ?? 0] ?? 0;
  }
  if (column.kind === 'number') {
    const values = new Float64Array(rows.length);
    for (let i = 0; i < rows.length; i++) values[i] = column.values[rows[i] ?? 0] ?? 0;
    return numberColumn(values, valid);
  }
  const offsets = new Int32Array(rows.length + 1);
  let size = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0;
    size += (column.offsets[row + 1] ?? 0) - (column.offsets[row] ?? 0);
    offsets[i + 1] = size;
  }
  const data = new Uint8Array(size);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0;
    data.set(column.data.subarray(column.offsets[row], column.offsets[row + 1]), offsets[i]);
  }
  return utf8Column(data, offsets, valid);
}
