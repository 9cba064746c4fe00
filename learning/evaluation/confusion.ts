/** What a threshold does to a set of labelled, scored rows. */
export interface Confusion {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly trueNegatives: number;
  readonly falseNegatives: number;
  /** Share of alerts that were frauds; NaN without alerts. */
  readonly precision: number;
  /** Share of frauds that were alerts; NaN without frauds. */
  readonly recall: number;
  /** Share of legitimate rows that were alerts; NaN without legitimate rows. */
  readonly falsePositiveRate: number;
  /** Share of the fraudulent amount that was alerted on; NaN where no amounts were given or none was fraudulent. */
  readonly valueRecall: number;
}

/**
 * Counts alerts, where a row is one iff its score is at least `threshold`. Evaluation calls it with a model's threshold on rows that the
 * model has not seen.
 *
 * @param amounts what each row was about, for {@link Confusion.valueRecall}.
 */
export function confusionAt(
  threshold: number,
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  amounts?: ArrayLike<number>,
): Confusion {
  const counts = { truePositives: 0, falsePositives: 0, trueNegatives: 0, falseNegatives: 0 };
  let fraudAmount = 0;
  let caughtAmount = 0;
  for (let row = 0; row < scores.length; row++) {
    const alert = (scores[row] as number) >= threshold;
    const amount = amounts?.[row] ?? 0;
    if (labels[row] === 1) {
      counts[alert ? 'truePositives' : 'falseNegatives']++;
      fraudAmount += amount;
      if (alert) caughtAmount += amount;
    } else {
      counts[alert ? 'falsePositives' : 'trueNegatives']++;
    }
  }
  const { truePositives, falsePositives, trueNegatives, falseNegatives } = counts;
  return {
    ...counts,
    precision: truePositives / (truePositives + falsePositives),
    recall: truePositives / (truePositives + falseNegatives),
    falsePositiveRate: falsePositives / (falsePositives + trueNegatives),
    valueRecall: caughtAmount / fraudAmount,
  };
}
