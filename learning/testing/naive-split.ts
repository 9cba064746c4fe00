import { fitOf, type SplitLimits } from '../trainer/split-finder.ts';
import type { TrainingMatrix } from '../trainer/training-matrix.ts';

/** A split as values alone describe it, without bins. */
export interface ValueSplit {
  readonly feature: number;
  readonly threshold: number;
  readonly missing: 'left' | 'right';
}

/** Row numbers 0 up to, not including, `rowCount`. */
export function rowsOf(rowCount: number): Uint32Array {
  return Uint32Array.from({ length: rowCount }, (_, row) => row);
}

/** Whether a row goes left. */
export function goesLeft(matrix: TrainingMatrix, row: number, split: ValueSplit): boolean {
  const value = matrix.columns[split.feature]?.[row] ?? NaN;
  return Number.isNaN(value) ? split.missing === 'left' : value <= split.threshold;
}

/**
 * Gain of one split, summed from the rows: the naive twin of what the split finder reads off a histogram. −∞ where the split would leave
 * a child without rows or too light.
 */
export function naiveGain(
  matrix: TrainingMatrix,
  gradients: Float64Array,
  rows: Uint32Array,
  split: ValueSplit,
  limits: SplitLimits,
): number {
  const sums = { left: [0, 0, 0], right: [0, 0, 0] };
  for (const row of rows) {
    const side = goesLeft(matrix, row, split) ? sums.left : sums.right;
    side[0] = (side[0] ?? 0) + (gradients[2 * row] ?? 0);
    side[1] = (side[1] ?? 0) + (gradients[2 * row + 1] ?? 0);
    side[2] = (side[2] ?? 0) + 1;
  }
  const [leftGradient = 0, leftWeight = 0, leftCount = 0] = sums.left;
  const [rightGradient = 0, rightWeight = 0, rightCount = 0] = sums.right;
  const lightest = Math.max(limits.minChildWeight, 1e-6);
  if (leftCount === 0 || rightCount === 0 || Math.min(leftWeight, rightWeight) < lightest) return -Infinity;
  return (
    fitOf(leftGradient, leftWeight, limits.l2) +
    fitOf(rightGradient, rightWeight, limits.l2) -
    fitOf(leftGradient + rightGradient, leftWeight + rightWeight, limits.l2)
  );
}

/** The greatest gain of any split of these rows: every value that occurs in the whole matrix as threshold, missing rows on either side. */
export function bestNaiveGain(
  matrix: TrainingMatrix,
  gradients: Float64Array,
  rows: Uint32Array,
  limits: SplitLimits,
): number {
  let best = -Infinity;
  matrix.columns.forEach((column, feature) => {
    for (const threshold of new Set(column.filter((value) => !Number.isNaN(value)))) {
      for (const missing of ['left', 'right'] as const) {
        best = Math.max(best, naiveGain(matrix, gradients, rows, { feature, threshold, missing }, limits));
      }
    }
  });
  return best;
}
