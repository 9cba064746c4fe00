import { type BinnedMatrix, missingCode } from './binned-matrix.ts';
import { histogramStride } from './histogram.ts';
import type { TrainingParams } from './training-params.ts';

/** First and second derivatives of the loss, added up over a node's rows. */
export interface GradientSums {
  readonly gradient: number;
  readonly curvature: number;
}

/** The best way found to part a node in two. */
export interface Split {
  readonly feature: number;
  /** Bins up to and including this one go left. */
  readonly lastLeftCode: number;
  /** The float32 that says the same of values: at most this goes left. */
  readonly threshold: number;
  readonly missing: 'left' | 'right';
  /** How much the split lowers the objective, twice over, as XGBoost counts it. */
  readonly gain: number;
  readonly left: GradientSums;
  readonly right: GradientSums;
}

/** What a split must satisfy; see {@link TrainingParams}. */
export type SplitLimits = Pick<TrainingParams, 'l2' | 'minChildWeight' | 'minSplitGain'>;

/** Parts "present" from "missing": every finite float32 is at most this. */
const largestFloat32 = 3.4028234663852886e38;

/**
 * Rows leave traces of about 1e-16 of the sums in bins that a subtraction emptied. A missing share below this is such a trace: the node
 * has no missing rows.
 */
const traceShare = 1e-10;

/** Never let a child be made of traces alone, whatever `minChildWeight` says. */
const leastChildWeight = 1e-6;

/**
 * Finds the split of one node with the greatest gain over all bins of all given features, trying missing values on either side
 * (Chen and Guestrin 2016, algorithm 3). Of equal gains the first feature's first bin wins, so that the result does not depend on
 * anything but the sums. Where a node has no missing rows, they are sent where more of its weight goes.
 *
 * @param features in rising order; those the tree may use.
 * @returns undefined where no split gains more than `minSplitGain`.
 */
export function findSplit(
  histogram: Float64Array,
  total: GradientSums,
  features: Uint32Array,
  binned: BinnedMatrix,
  limits: SplitLimits,
): Split | undefined {
  let best: Split | undefined;
  for (const feature of features) {
    const found = findSplitOfFeature(histogram, total, feature, binned, limits, best?.gain ?? 0);
    if (found !== undefined) best = found;
  }
  return best;
}

/** How well one value fits rows with these sums: the objective's fall from letting them have a leaf of their own, twice over. */
export function fitOf(gradient: number, curvature: number, l2: number): number {
  return (gradient * gradient) / (curvature + l2);
}

function findSplitOfFeature(
  histogram: Float64Array,
  total: GradientSums,
  feature: number,
  binned: BinnedMatrix,
  limits: SplitLimits,
  gainToBeat: number,
): Split | undefined {
  const { l2, minSplitGain } = limits;
  const offset = feature * histogramStride;
  const cuts = binned.cuts[feature] as Float32Array;
  const missingGradient = histogram[offset + 2 * missingCode] as number;
  const missingCurvature = histogram[offset + 2 * missingCode + 1] as number;
  const someMissing = binned.hasMissing[feature] === 1 && missingCurvature > traceShare * total.curvature;
  const leastWeight = Math.max(limits.minChildWeight, leastChildWeight);
  const nodeFit = fitOf(total.gradient, total.curvature, l2) + minSplitGain;

  let bestGain = gainToBeat;
  let bestCode = -1;
  let bestMissing: 'left' | 'right' = 'right';
  let bestGradient = 0;
  let bestCurvature = 0;
  let gradient = 0;
  let curvature = 0;
  // The code after the last cut leaves only missing rows on the right: a split of its own where there are any.
  const endCode = someMissing ? cuts.length + 1 : cuts.length;
  for (let code = 0; code < endCode; code++) {
    gradient += histogram[offset + 2 * code] as number;
    curvature += histogram[offset + 2 * code + 1] as number;
    const rightCurvature = total.curvature - curvature;
    if (curvature >= leastWeight && rightCurvature >= leastWeight) {
      const gain = fitOf(gradient, curvature, l2) + fitOf(total.gradient - gradient, rightCurvature, l2) - nodeFit;
      if (gain > bestGain) {
        bestGain = gain;
        bestCode = code;
        bestMissing = someMissing || rightCurvature >= curvature ? 'right' : 'left';
        bestGradient = gradient;
        bestCurvature = curvature;
      }
    }
    if (!someMissing || code === cuts.length) continue;
    const leftCurvature = curvature + missingCurvature;
    const presentCurvature = total.curvature - leftCurvature;
    if (leftCurvature >= leastWeight && presentCurvature >= leastWeight) {
      const leftGradient = gradient + missingGradient;
      const gain =
        fitOf(leftGradient, leftCurvature, l2) + fitOf(total.gradient - leftGradient, presentCurvature, l2) - nodeFit;
      if (gain > bestGain) {
        bestGain = gain;
        bestCode = code;
        bestMissing = 'left';
        bestGradient = leftGradient;
        bestCurvature = leftCurvature;
      }
    }
  }
  if (bestCode < 0) return undefined;
  return {
    feature,
    lastLeftCode: bestCode,
    threshold: cuts[bestCode] ?? largestFloat32,
    missing: bestMissing,
    gain: bestGain + minSplitGain,
    left: { gradient: bestGradient, curvature: bestCurvature },
    right: { gradient: total.gradient - bestGradient, curvature: total.curvature - bestCurvature },
  };
}
