import { strict as assert } from 'node:assert';
import { map, type OperatorFunction } from 'rxjs';
import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { MARK, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';

/**
 * The function that keeps the rows of a batch for which a boolean expression is true; where it is false or null the row goes. Marks, which are no records, stay. A batch
 * that loses no row is handed on as it is. Whoever calls it counts what went: `read − kept` is the ledger's `filtered`.
 */
export function filterRows(condition: CompiledExpression): (batch: RecordBatch) => RecordBatch {
  assert(condition.type === 'boolean', 'the plan lets only boolean conditions come here');
  return (batch) => {
    const column = condition.evaluate(batch);
    assert(column.kind === 'number');
    const kept = new Int32Array(batch.rowCount);
    let count = 0;
    for (let row = 0; row < batch.rowCount; row++) {
      const isMark = ((batch.flags[row] ?? 0) & MARK) !== 0;
      if (isMark || (column.values[row] === 1 && (column.valid === null || column.valid[row] === 1)))
        kept[count++] = row;
    }
    return count === batch.rowCount ? batch : selectRows(batch, kept.subarray(0, count));
  };
}

/** Keeps the rows of every batch of a stream for which the condition is true. Batches may come out empty. */
export function filter(condition: CompiledExpression): OperatorFunction<RecordBatch, RecordBatch> {
  return map(filterRows(condition));
}
