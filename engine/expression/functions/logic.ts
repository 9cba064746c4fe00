import { numberColumn, type NumberColumn } from '../../record/column.ts';
import type { RecordBatch } from '../../record/record-batch.ts';
import { unary } from '../number-loops.ts';
import { argument, type Overload } from '../overload.ts';
import { numbersOf, type TypedNode } from '../typed-node.ts';

/**
 * Three-valued: the `decisive` value decides whatever the other side is; else null if either is null; else the other value. `&&` is
 * decided by 0, `||` by 1.
 */
function threeValued(a: NumberColumn, b: NumberColumn, decisive: 0 | 1): NumberColumn {
  const rowCount = a.values.length;
  const out = new Float64Array(rowCount);
  if (a.valid === null && b.valid === null) {
    for (let row = 0; row < rowCount; row++) {
      out[row] = a.values[row] === decisive || b.values[row] === decisive ? decisive : 1 - decisive;
    }
    return numberColumn(out);
  }
  const valid = new Uint8Array(rowCount);
  for (let row = 0; row < rowCount; row++) {
    const knownA = a.valid === null || a.valid[row] === 1;
    const knownB = b.valid === null || b.valid[row] === 1;
    const decided = (knownA && a.values[row] === decisive) || (knownB && b.values[row] === decisive);
    out[row] = decided ? decisive : 1 - decisive;
    valid[row] = decided || (knownA && knownB) ? 1 : 0;
  }
  return numberColumn(out, valid);
}

function connective(decisive: 0 | 1, word: 'AND' | 'OR'): Overload {
  return {
    parameters: ['boolean', 'boolean'],
    result: 'boolean',
    build: (nodes: readonly TypedNode[]) => {
      const first = argument(nodes, 0);
      const second = argument(nodes, 1);
      return (batch: RecordBatch) => threeValued(numbersOf(first, batch), numbersOf(second, batch), decisive);
    },
    sql: ([a, b]) => `(${a} ${word} ${b})`,
  };
}

const not: Overload = {
  parameters: ['boolean'],
  result: 'boolean',
  build: unary((a, out) => {
    for (let row = 0; row < out.length; row++) out[row] = a[row] === 1 ? 0 : 1;
  }, 'finite'),
  sql: ([a]) => `(NOT ${a})`,
};

/** `&&`, `||` and `!`, three-valued as in SQL: `false && null` is false, `true && null` is null. */
export const logic: Readonly<Record<string, readonly Overload[]>> = {
  '&&': [connective(0, 'AND')],
  '||': [connective(1, 'OR')],
  '!': [not],
};
