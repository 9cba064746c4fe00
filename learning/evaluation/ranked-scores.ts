/**
 * The scores of each class in falling order. Average precision, AUC and the thresholds are all walks down these two lists, which is
 * also what makes them right on ties: rows with one score are taken together, never in the order they happened to have.
 */
export interface RankedScores {
  /** Scores of rows with label 1, falling. */
  readonly positives: Float64Array;
  /** Scores of rows with label 0, falling. */
  readonly negatives: Float64Array;
}

/**
 * Sorts scores by class. Typed arrays sort numerically in native code, several times faster than sorting row numbers by a comparison.
 *
 * @param scores one a row, higher meaning more likely positive; no NaN.
 * @param labels 1 or 0, as many as there are scores.
 */
export function rankScores(scores: ArrayLike<number>, labels: ArrayLike<number>): RankedScores {
  const positives = new Float64Array(scores.length);
  const negatives = new Float64Array(scores.length);
  let positiveCount = 0;
  let negativeCount = 0;
  for (let row = 0; row < scores.length; row++) {
    const score = scores[row] as number;
    if (labels[row] === 1) positives[positiveCount++] = score;
    else negatives[negativeCount++] = score;
  }
  return {
    positives: positives.subarray(0, positiveCount).sort().reverse(),
    negatives: negatives.subarray(0, negativeCount).sort().reverse(),
  };
}

/** What lies at or above one score: how many positives are caught and how many negatives with them. */
export interface Catch {
  readonly score: number;
  readonly truePositives: number;
  readonly falsePositives: number;
}

/** The catches at each distinct score, from the highest score down. Each is the confusion of "alert iff score >= this". */
export function* catchesOf(ranked: RankedScores): Generator<Catch> {
  const { positives, negatives } = ranked;
  let truePositives = 0;
  let falsePositives = 0;
  while (truePositives < positives.length || falsePositives < negatives.length) {
    const score = Math.max(positives[truePositives] ?? -Infinity, negatives[falsePositives] ?? -Infinity);
    while (truePositives < positives.length && (positives[truePositives] as number) >= score) truePositives++;
    while (falsePositives < negatives.length && (negatives[falsePositives] as number) >= score) falsePositives++;
    yield { score, truePositives, falsePositives };
  }
}
