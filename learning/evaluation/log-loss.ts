/** Closest to 0 or 1 that a probability is taken to be, so that one sure mistake does not make the mean infinite. */
const leastProbability = 1e-15;

/** Mean of −log of the probability that was given to what came true (scikit-learn's `log_loss`). @returns NaN for no rows. */
export function logLoss(probabilities: ArrayLike<number>, labels: ArrayLike<number>): number {
  let sum = 0;
  for (let row = 0; row < probabilities.length; row++) {
    const probability = probabilities[row] as number;
    const given = labels[row] === 1 ? probability : 1 - probability;
    sum -= Math.log(Math.max(given, leastProbability));
  }
  return sum / probabilities.length;
}
