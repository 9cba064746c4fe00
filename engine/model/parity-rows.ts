import type { ModelTrees } from './model-trees.ts';

/** Rows of each kind: every condition of a usual model is met and missed by some of them. */
const rowCount = 512;

/**
 * Rows on which two ways to score the same trees are compared before one takes the other's place: each value is a threshold of its feature, the float32 beside it on
 * either side, or missing. Made by counting, so that the same model is always judged by the same rows.
 */
export function parityRows(
  trees: ModelTrees,
  featureCount: number,
): { readonly matrix: Float32Array; readonly rowCount: number } {
  const values = Array.from({ length: featureCount }, (): number[] => [NaN, 0]);
  trees.feature.forEach((feature, node) => {
    const threshold = trees.threshold[node] ?? 0;
    values[feature]?.push(threshold, beside(threshold, 1), beside(threshold, -1));
  });
  const matrix = new Float32Array(rowCount * featureCount);
  for (let row = 0; row < rowCount; row++) {
    for (let feature = 0; feature < featureCount; feature++) {
      const choices = values[feature] ?? [NaN];
      // Steps that have no divisor in common with most list lengths, so that features do not go in step with each other.
      matrix[row * featureCount + feature] = choices[(row * 7_919 + feature * 104_729) % choices.length] ?? NaN;
    }
  }
  return { matrix, rowCount };
}

const float = new Float32Array(1);
const word = new Int32Array(float.buffer);

/** The float32 next to one, by so many steps of its bits. */
function beside(value: number, step: 1 | -1): number {
  float[0] = value;
  word[0] = (word[0] ?? 0) + step;
  const next = float[0];
  return Number.isFinite(next) ? next : value;
}
