import { numberColumn, utf8Column, type Utf8Column } from '../../record/column.ts';
import type { ExpressionProblem } from '../expression-problem.ts';
import { argument, type Overload } from '../overload.ts';
import { sqlString, stringsOf, type TypedNode } from '../typed-node.ts';
import { byteLengthAt, sameBytes } from '../utf8-loops.ts';

/** Where `piece` stands in `data` from `start` on and before `end`; −1 where it does not. */
function indexOf(data: Uint8Array, start: number, end: number, piece: Uint8Array): number {
  for (let at = start; at + piece.length <= end; at++) {
    if (sameBytes(data, at, piece, 0, piece.length)) return at;
  }
  return -1;
}

function pieceOf(nodes: readonly TypedNode[]): string {
  return String(argument(nodes, 1).constant?.value);
}

function refuseEmpty(nodes: readonly TypedNode[]): ExpressionProblem | null {
  if (pieceOf(nodes) !== '') return null;
  return {
    span: argument(nodes, 1).span,
    message: 'the text is empty',
    expected: 'at least one letter',
    nearest: null,
  };
}

/** Which part is asked for; NaN where that is not known at plan time. */
function numberOf(nodes: readonly TypedNode[]): number {
  const value = argument(nodes, 2).constant?.value;
  return typeof value === 'number' ? value : NaN;
}

function refusePart(nodes: readonly TypedNode[]): ExpressionProblem | null {
  const number = numberOf(nodes);
  if (Number.isSafeInteger(number) && number >= 0) return refuseEmpty(nodes);
  const { span } = argument(nodes, 2);
  const message = 'which part is asked for must be known at plan time, and be a whole number';
  return { span, message, expected: '0 for the first part, 1 for the second', nearest: null };
}

/** Copies of what lies between `starts` and `ends` of each row of `column`; null where `valid` is 0. */
function slices(column: Utf8Column, starts: Int32Array, ends: Int32Array, valid: Uint8Array): Utf8Column {
  const offsets = new Int32Array(valid.length + 1);
  for (let row = 0; row < valid.length; row++) {
    offsets[row + 1] = (offsets[row] ?? 0) + (ends[row] ?? 0) - (starts[row] ?? 0);
  }
  const data = new Uint8Array(offsets[valid.length] ?? 0);
  for (let row = 0; row < valid.length; row++) {
    data.set(column.data.subarray(starts[row], ends[row]), offsets[row]);
  }
  return utf8Column(data, offsets, valid);
}

/** `part(url, "/", 3)`: the part behind the third separator and before the next; null where there are fewer. */
const part: Overload = {
  parameters: ['string', 'text', 'number'],
  result: 'string',
  refuse: refusePart,
  build: (nodes) => {
    const first = argument(nodes, 0);
    const separator = new TextEncoder().encode(pieceOf(nodes));
    const number = numberOf(nodes);
    return (batch) => {
      const column = stringsOf(first, batch);
      const starts = new Int32Array(batch.rowCount);
      const ends = new Int32Array(batch.rowCount);
      const valid = new Uint8Array(batch.rowCount);
      for (let row = 0; row < valid.length; row++) {
        if (column.valid !== null && column.valid[row] !== 1) continue;
        const end = column.offsets[row + 1] ?? 0;
        let start = column.offsets[row] ?? 0;
        let next = indexOf(column.data, start, end, separator);
        let skipped = 0;
        for (; skipped < number && next >= 0; skipped++) {
          start = next + separator.length;
          next = indexOf(column.data, start, end, separator);
        }
        if (skipped < number) continue;
        valid[row] = 1;
        starts[row] = start;
        ends[row] = next < 0 ? end : next;
      }
      return slices(column, starts, ends, valid);
    };
  },
  sql: ([a], nodes) => {
    const parts = `splitByString(${sqlString(pieceOf(nodes))}, ifNull(${a}, ''))`;
    return `if(isNull(${a}) OR length(${parts}) <= ${numberOf(nodes)}, NULL, ${parts}[${numberOf(nodes) + 1}])`;
  },
};

/** `occurrences(text, "ab")`: how often a text stands in another, without overlap. */
const occurrences: Overload = {
  parameters: ['string', 'text'],
  result: 'long',
  refuse: refuseEmpty,
  build: (nodes) => {
    const first = argument(nodes, 0);
    const piece = new TextEncoder().encode(pieceOf(nodes));
    return (batch) => {
      const column = stringsOf(first, batch);
      const out = new Float64Array(batch.rowCount);
      for (let row = 0; row < out.length; row++) {
        const start = column.offsets[row] ?? 0;
        const end = start + byteLengthAt(column, row);
        let count = 0;
        for (let at = indexOf(column.data, start, end, piece); at >= 0; count++) {
          at = indexOf(column.data, at + piece.length, end, piece);
        }
        out[row] = count;
      }
      return numberColumn(out, column.valid);
    };
  },
  sql: ([a], nodes) => `toFloat64(countSubstrings(${a}, ${sqlString(pieceOf(nodes))}))`,
};

/** Parts of strings, by their UTF-8 bytes; what is looked for is known at plan time. */
export const stringParts: Readonly<Record<string, readonly Overload[]>> = { part: [part], occurrences: [occurrences] };
