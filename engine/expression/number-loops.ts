import { numberColumn, type NumberColumn } from '../record/column.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import { argument } from './overload.ts';
import { numbersOf, type Evaluate, type TypedNode } from './typed-node.ts';

/** Fills `out` from one array; rows that are null are computed too, and masked afterwards. */
export type UnaryLoop = (a: Float64Array, out: Float64Array) => void;
/** Fills `out` from two arrays of its length. */
export type BinaryLoop = (a: Float64Array, b: Float64Array, out: Float64Array) => void;

/** The validity of a result that is null wherever either operand is. Shares an operand's mask where the other has none. */
export function bothValid(a: Uint8Array | null, b: Uint8Array | null): Uint8Array | null {
  if (a === null) return b;
  if (b === null || a === b) return a;
  const valid = new Uint8Array(a.length);
  for (let row = 0; row < valid.length; row++) valid[row] = (a[row] ?? 0) & (b[row] ?? 0);
  return valid;
}

/**
 * A column whose NaN and infinite values are null: NaN and infinities never leave an operation (semantics, "Bad records"), so `x / 0` is
 * null, and so is what is computed from it. One pass where all is finite, as it nearly always is.
 */
function finite(values: Float64Array, valid: Uint8Array | null): NumberColumn {
  let remainder = 0;
  for (let row = 0; row < values.length; row++) {
    const value = values[row] ?? 0;
    remainder += value - value;
  }
  if (remainder === 0) return numberColumn(values, valid);
  const checked = new Uint8Array(values.length);
  for (let row = 0; row < values.length; row++) {
    checked[row] = Number.isFinite(values[row]) ? (valid?.[row] ?? 1) : 0;
  }
  return numberColumn(values, checked);
}

/** Builds a node of one numeric argument. `range`: whether the loop can leave the finite numbers. */
export function unary(loop: UnaryLoop, range: 'finite' | 'any'): (nodes: readonly TypedNode[]) => Evaluate {
  return (nodes) => {
    const a = argument(nodes, 0);
    return (batch) => {
      const { values, valid } = numbersOf(a, batch);
      const out = new Float64Array(batch.rowCount);
      loop(values, out);
      return range === 'any' ? finite(out, valid) : numberColumn(out, valid);
    };
  };
}

/** Builds a node of two numeric arguments, null where either is. */
export function binary(loop: BinaryLoop, range: 'finite' | 'any'): (nodes: readonly TypedNode[]) => Evaluate {
  return (nodes) => {
    const first = argument(nodes, 0);
    const second = argument(nodes, 1);
    return (batch) => {
      const a = numbersOf(first, batch);
      const b = numbersOf(second, batch);
      const out = new Float64Array(batch.rowCount);
      loop(a.values, b.values, out);
      const valid = bothValid(a.valid, b.valid);
      return range === 'any' ? finite(out, valid) : numberColumn(out, valid);
    };
  };
}

/** A loop that calls `compute` a row: for functions that cost far more than the call. */
export function eachNumber(compute: (value: number) => number): UnaryLoop {
  return (a, out) => {
    for (let row = 0; row < out.length; row++) out[row] = compute(a[row] ?? 0);
  };
}

/** The truth of each row of a predicate over strings, as a boolean column. */
export function truths(batch: RecordBatch, valid: Uint8Array | null, test: (row: number) => boolean): NumberColumn {
  const out = new Float64Array(batch.rowCount);
  for (let row = 0; row < out.length; row++) out[row] = test(row) ? 1 : 0;
  return numberColumn(out, valid);
}
