import { catchesOf, rankScores } from './ranked-scores.ts';

/**
 * Area under the receiver operating curve: the chance that a positive row scores above a negative one, a tie counting one half
 * (Mann–Whitney). Equals scikit-learn's `roc_auc_score`.
 *
 * @returns between 0 and 1; NaN where either class is absent.
 */
export function aucRoc(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  const ranked = rankScores(scores, labels);
  const negativeCount = ranked.negatives.length;
  let wins = 0;
  let positivesAbove = 0;
  let negativesAbove = 0;
  for (const { truePositives, falsePositives } of catchesOf(ranked)) {
    const tiedNegatives = falsePositives - negativesAbove;
    wins += (truePositives - positivesAbove) * (negativeCount - falsePositives + tiedNegatives / 2);
    positivesAbove = truePositives;
    negativesAbove = falsePositives;
  }
  return wins / (ranked.positives.length * negativeCount);
}
