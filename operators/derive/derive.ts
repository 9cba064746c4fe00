import { map, type OperatorFunction } from 'rxjs';
import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';

/** A column that is computed from others of the same record. Plain data of the plan; the expression was checked when the plan was made. */
export interface DerivedColumn {
  readonly name: string;
  readonly expression: CompiledExpression;
}

/** What a derive step does to the schema: its columns at the end, in order. Called once, when the plan is made. */
export function derivedSchema(columns: readonly DerivedColumn[], input: Schema): Schema {
  return input.with(
    ...columns.map(({ name, expression }) => ({ name, type: expression.type, presence: 'optional' as const })),
  );
}

/**
 * The function that adds derived columns to a batch, each seeing the ones before it. For callers that run steps themselves, such as the
 * batch loop; {@link derive} is the same for RxJS. Stateless; costs one pass for each operator of each expression.
 *
 * @param input the schema that batches come with; the output's schema is made of it once, here.
 */
export function deriveColumns(columns: readonly DerivedColumn[], input: Schema): (batch: RecordBatch) => RecordBatch {
  const steps = columns.map((column, index) => ({
    expression: column.expression,
    schema: derivedSchema(columns.slice(0, index + 1), input),
  }));
  return (batch) =>
    steps.reduce((soFar, { expression, schema }) => withColumns(soFar, schema, [expression.evaluate(soFar)]), batch);
}

/** Adds derived columns to every batch of a stream. */
export function derive(columns: readonly DerivedColumn[], input: Schema): OperatorFunction<RecordBatch, RecordBatch> {
  return map(deriveColumns(columns, input));
}
