import { utf8ColumnOf } from '../../engine/record/column.ts';
import { columnOf, selectRows, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { reasonCodes } from '../../learning/explain/reason-codes.ts';
import { TreeExplainer } from '../../learning/explain/tree-shap.ts';
import { readTreeEnsemble } from '../../learning/onnx/read-tree-ensemble.ts';
import { matrixOf, type ModelInput } from '../../operators/score/score.ts';

/** The column that holds an alert's reasons: a JSON list of feature names, the strongest first; empty for what is no alert. */
export const reasonsColumn = 'reasons';

/** The schema of scored records with their reasons. */
export function explainedSchema(schema: Schema): Schema {
  return schema.with({ name: reasonsColumn, type: 'string', presence: 'required' });
}

/** Says of each alert in a scored batch which features spoke for it. */
export type AlertExplainer = (scored: RecordBatch) => RecordBatch;

/**
 * Makes the explainer of a model: exact Shapley values of its trees, for alerts alone, since a row takes a third of a millisecond and one in a hundred is an
 * alert. Reasons are a function of the record and the model, so replays give the same.
 *
 * @param schema the scored records'.
 * @throws {SluiceError} what {@link readTreeEnsemble} throws for a model that is not one ensemble of trees.
 */
export function explainAlerts(
  model: { readonly name: string; readonly bytes: Uint8Array },
  inputs: readonly ModelInput[],
  reasonCount: number,
  schema: Schema,
): AlertExplainer {
  const explainer = new TreeExplainer(readTreeEnsemble(model.bytes, model.name));
  const output = explainedSchema(schema);
  const names = inputs.map(({ column }) => column);
  const none = '[]';
  return (scored) => {
    const predictions = columnOf(scored, 'prediction');
    const alerts: number[] = [];
    for (let row = 0; row < scored.rowCount; row++) {
      if (predictions.kind === 'number' && predictions.values[row] === 1) alerts.push(row);
    }
    const texts = new Array<string>(scored.rowCount).fill(none);
    if (alerts.length > 0) {
      const matrix = matrixOf(selectRows(scored, Int32Array.from(alerts)), inputs);
      alerts.forEach((row, index) => {
        const values = matrix.subarray(index * names.length, (index + 1) * names.length);
        const reasons = reasonCodes(explainer.explain(values), names, reasonCount);
        texts[row] = JSON.stringify(reasons.map(({ feature }) => feature));
      });
    }
    return withColumns(scored, output, [utf8ColumnOf(texts)]);
  };
}
