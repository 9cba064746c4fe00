import { logistic } from '../ensemble/predict.ts';
import type { TreeEnsemble } from '../ensemble/tree-ensemble.ts';

/** A calibrated probability is the logistic function of `slope · margin + intercept`. */
export interface PlattScaling {
  readonly slope: number;
  readonly intercept: number;
}

/** Newton steps at most; it takes five to ten from anywhere. */
const maxSteps = 100;

/**
 * Fits Platt's scaling (1999) by Newton's method with step halving, after Lin, Lin and Weng (2007), their smoothed targets included: a
 * rank-keeping correction with two parameters, for the few hundred frauds of a validation week. Class weights and sampling distort
 * probabilities; this puts them right.
 *
 * @param margins log-odds of rows that the model was not trained on.
 * @param labels 1 or 0 for each; both must occur.
 */
export function fitPlatt(margins: ArrayLike<number>, labels: ArrayLike<number>): PlattScaling {
  const positiveCount = Array.from(labels).reduce((sum, label) => sum + label, 0);
  const negativeCount = margins.length - positiveCount;
  const targetOfPositive = (positiveCount + 1) / (positiveCount + 2);
  const targetOfNegative = 1 / (negativeCount + 2);
  const targets = Float64Array.from(labels, (label) => (label === 1 ? targetOfPositive : targetOfNegative));
  let slope = 0;
  let intercept = Math.log((positiveCount + 1) / (negativeCount + 1));
  let loss = lossOf(margins, targets, slope, intercept);
  for (let step = 0; step < maxSteps; step++) {
    const { slopeStep, interceptStep } = newtonStep(margins, targets, slope, intercept);
    let share = 1;
    let next = lossOf(margins, targets, slope - slopeStep, intercept - interceptStep);
    while (next > loss && share > 1e-10) {
      share /= 2;
      next = lossOf(margins, targets, slope - share * slopeStep, intercept - share * interceptStep);
    }
    if (!(next < loss)) break;
    slope -= share * slopeStep;
    intercept -= share * interceptStep;
    loss = next;
  }
  return { slope, intercept };
}

/**
 * An ensemble whose own probabilities are the calibrated ones: every leaf times the slope, the base moved. Scaled trees need no further step
 * at run time, and no runtime needs to know of calibration.
 */
export function scaleEnsemble(ensemble: TreeEnsemble, { slope, intercept }: PlattScaling): TreeEnsemble {
  return {
    ...ensemble,
    baseScore: Math.fround(slope * ensemble.baseScore + intercept),
    leafValue: ensemble.leafValue.map((value) => slope * value),
  };
}

function newtonStep(
  margins: ArrayLike<number>,
  targets: Float64Array,
  slope: number,
  intercept: number,
): { slopeStep: number; interceptStep: number } {
  // Keeps the two equations solvable where all margins are equal.
  const ridge = 1e-12;
  let [slopeGradient, interceptGradient] = [0, 0];
  let [slopeCurvature, mixed, interceptCurvature] = [ridge, 0, ridge];
  for (let row = 0; row < margins.length; row++) {
    const margin = margins[row] as number;
    const probability = logistic(slope * margin + intercept);
    const error = probability - (targets[row] as number);
    const curvature = probability * (1 - probability);
    slopeGradient += error * margin;
    interceptGradient += error;
    slopeCurvature += curvature * margin * margin;
    mixed += curvature * margin;
    interceptCurvature += curvature;
  }
  const determinant = slopeCurvature * interceptCurvature - mixed * mixed;
  return {
    slopeStep: (interceptCurvature * slopeGradient - mixed * interceptGradient) / determinant,
    interceptStep: (slopeCurvature * interceptGradient - mixed * slopeGradient) / determinant,
  };
}

/** Cross-entropy, written so that it does not overflow at large margins. */
function lossOf(margins: ArrayLike<number>, targets: Float64Array, slope: number, intercept: number): number {
  let loss = 0;
  for (let row = 0; row < margins.length; row++) {
    const margin = slope * (margins[row] as number) + intercept;
    loss += Math.max(margin, 0) - margin * (targets[row] as number) + Math.log1p(Math.exp(-Math.abs(margin)));
  }
  return loss;
}
