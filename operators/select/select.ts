import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';

/** A column of what is selected: a column of the input, under its own name or another, or an expression over the record. */
export interface SelectedColumn {
  readonly name: string;
  readonly from: string | CompiledExpression;
}

/** The schema of what is selected. Called once, when the plan is made. */
export function selectedSchema(columns: readonly SelectedColumn[], input: Schema): Schema {
  return new Schema(
    columns.map(({ name, from }): Field => {
      if (typeof from !== 'string') return { name, type: from.type, presence: 'optional' };
      const { type, presence } = input.field(from) ?? { type: 'string', presence: 'optional' };
      return { name, type, presence };
    }),
  );
}

/** The function that makes a batch of the selected columns and no others, in their order. Stateless; costs nothing but the expressions. */
export function selectColumns(columns: readonly SelectedColumn[], input: Schema): (batch: RecordBatch) => RecordBatch {
  const schema = selectedSchema(columns, input);
  return (batch) => ({
    ...batch,
    schema,
    columns: columns.map(({ from }) => (typeof from === 'string' ? columnOf(batch, from) : from.evaluate(batch))),
  });
}
