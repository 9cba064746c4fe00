import { AssertionError } from 'node:assert';
import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { compileExpression } from '../../engine/expression/compile-expression.ts';
import { numberColumn, numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { filter, filterRows } from './filter.ts';

const schema = new Schema([{ name: 'amount', type: 'double', presence: 'optional' }]);

function batchOf(amounts: readonly (number | null)[]): RecordBatch {
  return recordBatch(schema, [numberColumnOf(amounts)], {
    partition: 3,
    offset: 100,
    eventTimesMs: Float64Array.from(amounts, (_, row) => row * 10),
  });
}

describe('filter', () => {
  const large = compileExpression('amount > 5', schema);

  it('keeps the rows for which the condition is true, not those where it is null', () => {
    const kept = filterRows(large)(batchOf([1, 6, null, 9]));
    expect(toRows(kept)).toEqual([{ amount: 6 }, { amount: 9 }]);
  });

  it('keeps each row with its own position and event time', () => {
    const kept = filterRows(large)(batchOf([1, 6, null, 9]));
    expect([...kept.offsets]).toEqual([101, 103]);
    expect([...kept.eventTimesMs]).toEqual([10, 30]);
    expect([...kept.partitions]).toEqual([3, 3]);
  });

  it('hands on a batch that loses nothing as it is', () => {
    const batch = batchOf([7, 8]);
    expect(filterRows(large)(batch)).toBe(batch);
  });

  it('takes a row whose condition is null for one that does not meet it, whatever lies under the null', () => {
    const valid = Uint8Array.of(1, 0, 1);
    const condition = { ...large, evaluate: () => numberColumn(Float64Array.of(1, 1, 0), valid) };
    expect(toRows(filterRows(condition)(batchOf([1, 2, 3])))).toEqual([{ amount: 1 }]);
  });

  it('takes no expression that is not boolean', () => {
    expect(() => filterRows(compileExpression('amount * 2', schema))).toThrow('only boolean conditions come here');
    const lying = { ...large, evaluate: () => utf8ColumnOf(['a']) };
    expect(() => filterRows(lying)(batchOf([1]))).toThrow(AssertionError);
  });

  it('may leave a batch empty', async () => {
    const outputs = await lastValueFrom(from([batchOf([1]), batchOf([])]).pipe(filter(large), toArray()));
    expect(outputs.map(({ rowCount }) => rowCount)).toEqual([0, 0]);
  });
});
