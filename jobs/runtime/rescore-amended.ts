import { numberColumn, utf8ColumnOf, type Column } from '../../engine/record/column.ts';
import { withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Field, Schema } from '../../engine/record/schema.ts';
import type { AmendDefinition } from '../../operators/amend/amend-definition.ts';
import { afterColumn, beforeColumn, recordColumn } from '../../operators/amend/amendment-rows.ts';
import { matrixOf, type ModelInput } from '../../operators/score/score.ts';
import type { BoundModel } from './bind-model.ts';

/** Columns of an amendment that say which model scored it. */
export const rescoredBy = { model: '(model)', version: '(model version)' } as const;

/** What a model says, as features are named among those before and after. */
export const scoreNames = ['probability', 'prediction'] as const;

/** The schema of amendments that were scored: a score is null where the model has given none. */
export function rescoredSchema(schema: Schema): Schema {
  const scores = (columnOf: (name: string) => string): readonly Field[] => [
    { name: columnOf('probability'), type: 'double', presence: 'optional' },
    { name: columnOf('prediction'), type: 'long', presence: 'optional' },
  ];
  return schema.with(
    ...scores(beforeColumn),
    ...scores(afterColumn),
    {
      name: rescoredBy.model,
      type: 'string',
      presence: 'required',
    },
    { name: rescoredBy.version, type: 'string', presence: 'required' },
  );
}

/**
 * Scores amendments, both sides by the model at hand: what it says of the features that were told last, and what it says of those that are known now, so that what differs is the features' doing and no
 * other model's. In one call of the model for a batch. A number that is not finite is no score.
 */
export function rescoreAmended(
  { features }: AmendDefinition,
  { scorer, inputs, threshold, identity }: BoundModel,
): (amended: RecordBatch) => Promise<RecordBatch> {
  const sideOf = (columnOf: (name: string) => string): readonly ModelInput[] =>
    inputs.map(({ column, whenNull }) => ({
      column: features.includes(column) ? columnOf(column) : recordColumn(column),
      whenNull,
    }));
  const [before, after] = [sideOf(beforeColumn), sideOf(afterColumn)];
  return async (amended) => {
    const { rowCount } = amended;
    const matrix = new Float32Array(2 * rowCount * inputs.length);
    matrix.set(matrixOf(amended, before));
    matrix.set(matrixOf(amended, after), rowCount * inputs.length);
    const scores = await scorer.score(matrix, 2 * rowCount);
    const repeated = (text: string): Column => utf8ColumnOf(Array.from({ length: rowCount }, () => text));
    return withColumns(amended, rescoredSchema(amended.schema), [
      ...scoresOf(scores.subarray(0, rowCount), threshold),
      ...scoresOf(scores.subarray(rowCount, 2 * rowCount), threshold),
      repeated(identity.name),
      repeated(identity.version),
    ]);
  };
}

/** Probabilities, and the predictions that they come to. */
function scoresOf(scores: Float32Array, threshold: number): readonly Column[] {
  const valid = Uint8Array.from(scores, (score) => (Number.isFinite(score) ? 1 : 0));
  const probabilities = Float64Array.from(scores, (score) => (Number.isFinite(score) ? score : 0));
  const predictions = Float64Array.from(probabilities, (probability) => (probability >= threshold ? 1 : 0));
  return [numberColumn(probabilities, valid), numberColumn(predictions, valid)];
}
