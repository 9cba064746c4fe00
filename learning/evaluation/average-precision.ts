import { catchesOf, rankScores } from './ranked-scores.ts';

/**
 * Average precision: the mean of precision over recall, Σ (Rₙ − Rₙ₋₁) · Pₙ over the distinct scores from the highest down. This is
 * scikit-learn's `average_precision_score`: steps, no interpolation, tied rows taken together.
 *
 * The metric of choice where frauds are rare: unlike AUC it is not flattered by the mass of easy legitimate rows.
 *
 * @returns between 0 and 1; NaN where there is no positive row.
 */
export function averagePrecision(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  const ranked = rankScores(scores, labels);
  let sum = 0;
  let caughtBefore = 0;
  for (const { truePositives, falsePositives } of catchesOf(ranked)) {
    if (truePositives > caughtBefore) {
      sum += (truePositives - caughtBefore) * (truePositives / (truePositives + falsePositives));
      caughtBefore = truePositives;
    }
    if (truePositives === ranked.positives.length) break;
  }
  return sum / ranked.positives.length;
}
