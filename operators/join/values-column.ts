import { strict as assert } from 'node:assert';
import { numberColumnOf, utf8ColumnOf, type Column } from '../../engine/record/column.ts';
import type { FieldType } from '../../engine/record/schema.ts';
import type { JoinValue } from './join-row.ts';

/** Values that were kept by row as a column again. */
export function valuesColumn(type: FieldType, values: readonly JoinValue[]): Column {
  if (type === 'string') return utf8ColumnOf(values.map((value) => (value === null ? null : String(value))));
  return numberColumnOf(
    values.map((value) => {
      assert(typeof value !== 'string', 'a text cannot be in a column of numbers');
      return value;
    }),
  );
}
