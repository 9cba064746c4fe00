import { utf8Column, type Utf8Column } from '../record/column.ts';

/** The length of a row's string in bytes. */
export function byteLengthAt(column: Utf8Column, row: number): number {
  return (column.offsets[row + 1] ?? 0) - (column.offsets[row] ?? 0);
}

/** Whether `length` bytes of one slab are those of another, each from its own start. A loop: strings are short, and a view a row costs more. */
export function sameBytes(a: Uint8Array, startA: number, b: Uint8Array, startB: number, length: number): boolean {
  for (let index = 0; index < length; index++) {
    if (a[startA + index] !== b[startB + index]) return false;
  }
  return true;
}

/** The order of two rows' strings by their bytes: negative, 0 or positive. */
export function compareRows(a: Utf8Column, rowA: number, b: Utf8Column, rowB: number): number {
  const startA = a.offsets[rowA] ?? 0;
  const startB = b.offsets[rowB] ?? 0;
  const lengthA = byteLengthAt(a, rowA);
  const lengthB = byteLengthAt(b, rowB);
  const shared = Math.min(lengthA, lengthB);
  for (let index = 0; index < shared; index++) {
    const difference = (a.data[startA + index] ?? 0) - (b.data[startB + index] ?? 0);
    if (difference !== 0) return difference;
  }
  return lengthA - lengthB;
}

/** The bytes of a row, as a view. */
function bytesAt(column: Utf8Column, row: number): Uint8Array {
  return column.data.subarray(column.offsets[row], column.offsets[row + 1]);
}

/**
 * A string column whose every row is a row of one of two others. `pick` says which: 0 null, 1 the first's row, 2 the second's; a row
 * that is null there is null here.
 */
export function chooseStrings(pick: Uint8Array, first: Utf8Column, second: Utf8Column): Utf8Column {
  const rowCount = pick.length;
  const offsets = new Int32Array(rowCount + 1);
  const valid = new Uint8Array(rowCount);
  const sourceOf = (row: number): Utf8Column | null => {
    const source = pick[row] === 1 ? first : pick[row] === 2 ? second : null;
    return source !== null && (source.valid === null || source.valid[row] === 1) ? source : null;
  };
  let end = 0;
  for (let row = 0; row < rowCount; row++) {
    const source = sourceOf(row);
    if (source !== null) {
      valid[row] = 1;
      end += byteLengthAt(source, row);
    }
    offsets[row + 1] = end;
  }
  const data = new Uint8Array(end);
  for (let row = 0; row < rowCount; row++) {
    const source = sourceOf(row);
    if (source !== null) data.set(bytesAt(source, row), offsets[row]);
  }
  return utf8Column(data, offsets, valid);
}

/** Each row's two strings one after the other; null where `valid` says so. */
export function joinStrings(a: Utf8Column, b: Utf8Column, valid: Uint8Array | null): Utf8Column {
  const rowCount = a.offsets.length - 1;
  const offsets = new Int32Array(rowCount + 1);
  for (let row = 0; row < rowCount; row++) {
    const size = valid === null || valid[row] === 1 ? byteLengthAt(a, row) + byteLengthAt(b, row) : 0;
    offsets[row + 1] = (offsets[row] ?? 0) + size;
  }
  const data = new Uint8Array(offsets[rowCount] ?? 0);
  for (let row = 0; row < rowCount; row++) {
    if (valid !== null && valid[row] !== 1) continue;
    const start = offsets[row] ?? 0;
    data.set(bytesAt(a, row), start);
    data.set(bytesAt(b, row), start + byteLengthAt(a, row));
  }
  return utf8Column(data, offsets, valid);
}
