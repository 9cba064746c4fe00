import { strict as assert } from 'node:assert';
import { numberColumn, utf8Column, type Column } from '../../record/column.ts';
import type { RecordBatch } from '../../record/record-batch.ts';
import type { FieldType, Schema } from '../../record/schema.ts';

/** Where a field of the common schema comes from in one input: a column of it, its event time, the input's number, or a text; `null` where the input has no such field. */
export type LiftedField =
  { readonly column: string } | { readonly text: string } | 'event time' | 'input number' | null;

/** How the records of an input become records of the schema that all inputs share: one source for each of its fields. Plain data of the plan. */
export type Lift = readonly LiftedField[];

/** The records of an input under the schema that all inputs share. Called for each batch of an input, right after decoding; columns are shared, not copied. */
export function liftRecords(records: RecordBatch, input: number, lift: Lift, schema: Schema): RecordBatch {
  const { rowCount } = records;
  assert(lift.length === schema.fields.length, 'each field of the common schema is said to come from somewhere');
  const columns = schema.fields.map(({ type }, index): Column => {
    const from = lift[index] ?? null;
    if (from === null) return nulls(type, rowCount);
    if (from === 'event time') return numberColumn(records.eventTimesMs);
    if (from === 'input number') return numberColumn(new Float64Array(rowCount).fill(input));
    if ('text' in from) return repeated(from.text, rowCount);
    const column = records.columns[records.schema.indexOf(from.column)];
    assert(column !== undefined, `the input has no column "${from.column}"`);
    return column;
  });
  return { ...records, schema, columns };
}

function repeated(text: string, rowCount: number): Column {
  const bytes = new TextEncoder().encode(text);
  const data = new Uint8Array(bytes.length * rowCount);
  const offsets = new Int32Array(rowCount + 1);
  for (let row = 0; row < rowCount; row++) {
    data.set(bytes, row * bytes.length);
    offsets[row + 1] = (row + 1) * bytes.length;
  }
  return utf8Column(data, offsets);
}

function nulls(type: FieldType, rowCount: number): Column {
  const valid = new Uint8Array(rowCount);
  return type === 'string'
    ? utf8Column(new Uint8Array(0), new Int32Array(rowCount + 1), valid)
    : numberColumn(new Float64Array(rowCount), valid);
}
