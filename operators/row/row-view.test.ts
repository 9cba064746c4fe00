import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, toRows } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { RowView } from './row-view.ts';

const schema = new Schema([
  { name: 'text', type: 'string', presence: 'optional' },
  { name: 'flag', type: 'boolean', presence: 'optional' },
  { name: 'n', type: 'double', presence: 'optional' },
]);
const batch = recordBatch(
  schema,
  [utf8ColumnOf(['é', null, '']), numberColumnOf([1, 0, null]), numberColumnOf([0.5, null, -0])],
  { partition: 0, offset: 0, eventTimesMs: new Float64Array(3) },
);

describe('a view of records', () => {
  const view = new RowView(schema);
  view.open(batch);

  it('reads what the row holds, nulls, booleans and texts included', () => {
    toRows(batch).forEach((row, index) => {
      expect({ ...view.at(index) }).toEqual(row);
      expect(JSON.stringify(view.at(index))).toBe(JSON.stringify(row));
    });
  });

  it('is one object for all rows: a copy is kept by spreading it', () => {
    const kept = view.at(0);
    const copy = { ...kept };
    view.at(1);
    expect(kept['text']).toBeNull();
    expect(copy['text']).toBe('é');
  });

  it('takes no other properties', () => {
    expect(() => Object.assign(view.at(0), { more: 1 })).toThrow(TypeError);
    expect(() => Object.assign(view.at(0), { n: 1 })).toThrow(TypeError);
  });
});
