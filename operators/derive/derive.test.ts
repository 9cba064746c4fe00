import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { compileExpression } from '../../engine/expression/compile-expression.ts';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { derive, deriveColumns, derivedSchema, type DerivedColumn } from './derive.ts';

const schema = new Schema([
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'card', type: 'string', presence: 'required' },
]);

function batchOf(amounts: readonly (number | null)[]): RecordBatch {
  return recordBatch(schema, [numberColumnOf(amounts), utf8ColumnOf(amounts.map(() => 'c'))], {
    partition: 0,
    offset: 0,
    eventTimesMs: new Float64Array(amounts.length),
  });
}

function columnsOf(...texts: readonly (readonly [string, string])[]): DerivedColumn[] {
  const columns: DerivedColumn[] = [];
  for (const [name, text] of texts) {
    columns.push({ name, expression: compileExpression(text, derivedSchema(columns, schema)) });
  }
  return columns;
}

describe('derive', () => {
  it('adds columns in order, each seeing the ones before it', () => {
    const columns = columnsOf(['doubled', 'amount * 2'], ['large', 'doubled > 5']);
    expect(toRows(deriveColumns(columns, schema)(batchOf([1, 3, null])))).toEqual([
      { amount: 1, card: 'c', doubled: 2, large: false },
      { amount: 3, card: 'c', doubled: 6, large: true },
      { amount: null, card: 'c', doubled: null, large: null },
    ]);
  });

  it('names a column again without a copy', () => {
    const input = batchOf([1, 2]);
    const output = deriveColumns(columnsOf(['again', 'amount']), schema)(input);
    const [amount, , again] = output.columns;
    expect(again?.kind === 'number' && amount?.kind === 'number' && again.values === amount.values).toBe(true);
  });

  it('maps a stream batch by batch, empty ones too', async () => {
    const batches = [batchOf([1]), batchOf([]), batchOf([2, 3])];
    const added = derive(columnsOf(['doubled', 'amount * 2']), schema);
    const outputs = await lastValueFrom(from(batches).pipe(added, toArray()));
    expect(outputs.map((batch) => toRows(batch).map((row) => row['doubled']))).toEqual([[2], [], [4, 6]]);
  });

  it('leaves the batch that it was given as it was', () => {
    const input = batchOf([1, null]);
    const before = toRows(input);
    deriveColumns(columnsOf(['doubled', 'amount * 2']), schema)(input);
    expect(toRows(input)).toEqual(before);
  });
});
