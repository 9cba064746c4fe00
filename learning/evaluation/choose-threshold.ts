import type { ScoredCards } from './card-precision.ts';
import { catchesOf, rankScores } from './ranked-scores.ts';

/**
 * How a decision threshold is chosen. `f-beta`: the best weighted mean of precision and recall, recall counting `beta` times as much.
 * `capacity`: as many alerted cards a day, on average, as investigators can look at. `cost`: the least sum of what missed frauds
 * and alerts cost. `fixed`: a person said so.
 */
export type ThresholdPolicy =
  | { readonly kind: 'f-beta'; readonly beta: number }
  | { readonly kind: 'capacity'; readonly cardsPerDay: number }
  | { readonly kind: 'cost'; readonly costPerAlert: number }
  | { readonly kind: 'fixed'; readonly value: number };

/** Scored, labelled rows of a time that the model was not trained on. */
export interface ThresholdRows extends ScoredCards {
  /** What each transaction was about: what a missed fraud costs. */
  readonly amounts: ArrayLike<number>;
}

/**
 * Chooses a threshold on validation rows; the result is stored with the model, and a transaction is an alert iff its probability is at
 * least that. It lies half way between the lowest score that alerts and the next one below, so that the last digit of a float32, in
 * which two runtimes may differ, decides nothing.
 *
 * @returns between 0 and 1, or above every score where the policy is best served by no alerts at all.
 */
export function chooseThreshold(policy: ThresholdPolicy, rows: ThresholdRows): number {
  switch (policy.kind) {
    case 'fixed':
      return policy.value;
    case 'f-beta':
      return byFBeta(policy.beta, rows);
    case 'capacity':
      return byCapacity(policy.cardsPerDay, rows);
    case 'cost':
      return byCost(policy.costPerAlert, rows);
  }
}

/** F-beta from counts: (1 + β²)·TP / ((1 + β²)·TP + β²·FN + FP); 0 where nothing was found. */
export function fBeta(beta: number, truePositives: number, falsePositives: number, falseNegatives: number): number {
  const weighted = (1 + beta * beta) * truePositives;
  const divisor = weighted + beta * beta * falseNegatives + falsePositives;
  return divisor === 0 ? 0 : weighted / divisor;
}

function byFBeta(beta: number, { scores, labels }: ThresholdRows): number {
  const ranked = rankScores(scores, labels);
  const frauds = ranked.positives.length;
  return bestCut(
    Array.from(catchesOf(ranked), ({ score, truePositives, falsePositives }) => ({
      score,
      worth: fBeta(beta, truePositives, falsePositives, frauds - truePositives),
    })),
  );
}

/** Each card counts once a day, with its highest score: that is what lands on a desk. Ties that would not all fit stay out together. */
function byCapacity(cardsPerDay: number, { days, cards, scores }: ThresholdRows): number {
  const highest = new Map<string, number>();
  for (let row = 0; row < days.length; row++) {
    const key = `${days[row]} ${cards[row]}`;
    highest.set(key, Math.max(scores[row] as number, highest.get(key) ?? -Infinity));
  }
  const limit = cardsPerDay * new Set(days).size;
  const falling = Float64Array.from(highest.values()).sort().reverse();
  const cuts: Cut[] = [];
  falling.forEach((score, index) => {
    if (falling[index + 1] !== score) cuts.push({ score, worth: index < limit ? index + 1 : 0 });
  });
  return bestCut(cuts);
}

/** Alerting down to a score is worth the frauds it stops less what its alerts cost. */
function byCost(costPerAlert: number, { scores, labels, amounts }: ThresholdRows): number {
  const order = Uint32Array.from({ length: scores.length }, (_, row) => row);
  order.sort((a, b) => (scores[b] as number) - (scores[a] as number));
  const cuts: Cut[] = [];
  let worth = 0;
  order.forEach((row, index) => {
    const score = scores[row] as number;
    worth += (labels[row] === 1 ? (amounts[row] as number) : 0) - costPerAlert;
    const next = order[index + 1];
    if (next === undefined || scores[next] !== score) cuts.push({ score, worth });
  });
  return bestCut(cuts);
}

/** Alerting on everything down to `score`, and what that is worth against no alerts at all. */
interface Cut {
  readonly score: number;
  readonly worth: number;
}

/** The threshold just below the score of the cut that is worth most; of equals the highest. `cuts` fall, each score once. */
function bestCut(cuts: readonly Cut[]): number {
  let best = -1;
  cuts.forEach(({ worth }, index) => {
    if (worth > (cuts[best]?.worth ?? 0)) best = index;
  });
  if (best < 0) return (cuts[0]?.score ?? 0) + 1;
  const score = cuts[best]?.score ?? 0;
  return (score + (cuts[best + 1]?.score ?? 0)) / 2;
}
