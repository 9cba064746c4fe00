import type { ByteSlab, Column, NumberColumn } from '../../engine/record/column.ts';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';

/** Stands between the parts of a composite key: no UTF-8 text contains it. */
const separator = 0xff;

/** The keys of a batch, one a row, as bytes; `present[row]` is 0 where any part of the key is null (`present === null`: nowhere). */
export interface EncodedKeys {
  readonly slab: ByteSlab;
  readonly present: Uint8Array | null;
}

/**
 * The key of each row as readable bytes: text as its UTF-8, whole numbers as decimal digits, other numbers as JavaScript prints them, the parts of
 * a composite key joined by a byte that text cannot contain. The same bytes name the key in the state store, in `sluice state`
 * and in Redis. Without names all rows have one key, which is empty. Cost: nothing for a single string column, one pass otherwise.
 */
export function encodeKeys(batch: RecordBatch, names: readonly string[]): EncodedKeys {
  const columns = names.map((name) => columnOf(batch, name));
  if (columns.length === 0) return oneKey(batch);
  const [only] = columns;
  if (only !== undefined && columns.length === 1) {
    const slab = only.kind === 'utf8' ? only : decimalSlab(only, batch.rowCount);
    return { slab, present: only.valid };
  }
  const parts = columns.map((column) => (column.kind === 'utf8' ? column : decimalSlab(column, batch.rowCount)));
  return { slab: joinSlabs(parts, batch.rowCount), present: allValid(columns, batch.rowCount) };
}

/** Of an operator without a key: every row has the empty one, but for rows that have no value at all and so are no records. */
function oneKey({ columns, rowCount }: RecordBatch): EncodedKeys {
  const slab = { data: new Uint8Array(0), offsets: new Int32Array(rowCount + 1) };
  if (columns.some(({ valid }) => valid === null)) return { slab, present: null };
  const present = new Uint8Array(rowCount);
  for (const { valid } of columns)
    for (let row = 0; row < rowCount; row++) present[row] = (present[row] ?? 0) | (valid?.[row] ?? 0);
  return { slab, present };
}

function allValid(columns: readonly Column[], rowCount: number): Uint8Array | null {
  if (columns.every((column) => column.valid === null)) return null;
  const present = new Uint8Array(rowCount).fill(1);
  for (const { valid } of columns) {
    if (valid === null) continue;
    for (let row = 0; row < rowCount; row++) present[row] = (present[row] ?? 0) & (valid[row] ?? 0);
  }
  return present;
}

function joinSlabs(parts: readonly ByteSlab[], rowCount: number): ByteSlab {
  const size = parts.reduce((sum, part) => sum + (part.offsets[rowCount] ?? 0), 0) + rowCount * (parts.length - 1);
  const data = new Uint8Array(size);
  const offsets = new Int32Array(rowCount + 1);
  let end = 0;
  for (let row = 0; row < rowCount; row++) {
    parts.forEach((part, index) => {
      if (index > 0) data[end++] = separator;
      const to = part.offsets[row + 1] ?? 0;
      for (let i = part.offsets[row] ?? 0; i < to; i++) data[end++] = part.data[i] ?? 0;
    });
    offsets[row + 1] = end;
  }
  return { data, offsets };
}

/** The longest text of a double: sign, 17 digits, point, exponent. */
const longestNumber = 25;

function decimalSlab(column: NumberColumn, rowCount: number): ByteSlab {
  const data = new Uint8Array(rowCount * longestNumber);
  const offsets = new Int32Array(rowCount + 1);
  let end = 0;
  for (let row = 0; row < rowCount; row++) {
    const value = column.values[row] ?? 0;
    if (column.valid === null || column.valid[row] === 1) {
      end =
        value >= 0 && Number.isSafeInteger(value) ? writeDigits(value, data, end) : writeText(String(value), data, end);
    }
    offsets[row + 1] = end;
  }
  return { data, offsets };
}

function writeDigits(value: number, data: Uint8Array, start: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  let rest = value;
  for (let at = start + digits - 1; at >= start; at--) {
    const quotient = Math.floor(rest / 10);
    data[at] = 48 + (rest - quotient * 10);
    rest = quotient;
  }
  return start + digits;
}

function writeText(text: string, data: Uint8Array, start: number): number {
  for (let i = 0; i < text.length; i++) data[start + i] = text.charCodeAt(i);
  return start + text.length;
}
