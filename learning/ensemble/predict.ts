import { leafFeature, treeCountOf, type TreeEnsemble } from './tree-ensemble.ts';

/** Feature values by column, each as long as there are rows; NaN is a missing value. */
export type FeatureColumns = readonly Float32Array[];

/**
 * Log-odds of every row, added up in float32 in tree order, as ONNX Runtime adds them: two float32 sums in another order differ in
 * the last digit, and a threshold would then tell the two predictors apart.
 *
 * Training, evaluation and tests call this; live scoring goes through ONNX Runtime or the compiled trees.
 *
 * @param columns one column a feature, in the ensemble's order.
 */
export function predictMargins(ensemble: TreeEnsemble, columns: FeatureColumns, rowCount: number): Float32Array {
  const margins = new Float32Array(rowCount);
  addTreeMargins(ensemble, columns, { first: 0, end: treeCountOf(ensemble) }, margins);
  const base = ensemble.baseScore;
  for (let row = 0; row < rowCount; row++) margins[row] = (margins[row] as number) + base;
  return margins;
}

/**
 * Adds what trees `first` up to, not including, `end` say of every row to `margins`, one tree after another. Early stopping calls it
 * with each new tree alone, so that validation costs one tree a round and not all of them.
 */
export function addTreeMargins(
  ensemble: TreeEnsemble,
  columns: FeatureColumns,
  trees: { readonly first: number; readonly end: number },
  margins: Float32Array,
): void {
  const { feature, leafValue } = ensemble;
  for (let tree = trees.first; tree < trees.end; tree++) {
    const root = ensemble.treeStarts[tree] as number;
    for (let row = 0; row < margins.length; row++) {
      let node = root;
      while ((feature[node] as number) !== leafFeature) node = nextNode(ensemble, columns, node, row);
      margins[row] = (margins[row] as number) + (leafValue[node] as number);
    }
  }
}

/** The child to which an inner node sends a row. A comparison with NaN is false, hence the test for missing values comes last. */
function nextNode(ensemble: TreeEnsemble, columns: FeatureColumns, node: number, row: number): number {
  const value = (columns[ensemble.feature[node] as number] as Float32Array)[row] as number;
  if (value <= (ensemble.threshold[node] as number)) return ensemble.left[node] as number;
  const goesLeft = value !== value && ensemble.missingGoesLeft[node] === 1;
  return (goesLeft ? ensemble.left[node] : ensemble.right[node]) as number;
}

/** Probability of the positive class for every row: the logistic function of {@link predictMargins}. */
export function predictProbabilities(ensemble: TreeEnsemble, columns: FeatureColumns, rowCount: number): Float32Array {
  const probabilities = predictMargins(ensemble, columns, rowCount);
  for (let row = 0; row < rowCount; row++) probabilities[row] = logistic(probabilities[row] as number);
  return probabilities;
}

/** Probability that belongs to log-odds. Exact at both ends: it neither overflows nor leaves [0, 1]. */
export function logistic(margin: number): number {
  return 1 / (1 + Math.exp(-margin));
}
