import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { logistic, predictMargins } from '../ensemble/predict.ts';
import { randomMatrix } from '../testing/random-matrix.ts';
import { SeededRandom } from '../trainer/seeded-random.ts';
import { trainTrees } from '../trainer/train.ts';
import { fitIsotonic, isotonicProbability } from './isotonic.ts';
import { logLoss } from './log-loss.ts';
import { fitPlatt, scaleEnsemble } from './platt.ts';

describe('fitPlatt', () => {
  it('finds the line that the labels were drawn from', () => {
    const random = new SeededRandom(1);
    const margins = Array.from({ length: 50_000 }, () => random.nextUnit() * 12 - 8);
    const labels = margins.map((margin) => (random.nextUnit() < logistic(0.7 * margin - 1.5) ? 1 : 0));
    const { slope, intercept } = fitPlatt(margins, labels);
    expect(slope).toBeCloseTo(0.7, 1);
    expect(intercept).toBeCloseTo(-1.5, 1);
  });

  it('lies where no small step makes the smoothed loss smaller', () => {
    const [margins, labels] = [
      [-3, -1, 0, 0.5, 2, 4],
      [0, 0, 1, 0, 1, 1],
    ];
    const { slope, intercept } = fitPlatt(margins, labels);
    const targets = labels.map((label) => (label === 1 ? 4 / 5 : 1 / 5));
    const loss = (a: number, b: number): number =>
      margins.reduce((sum, margin, i) => {
        const probability = logistic(a * margin + b);
        const target = targets[i] ?? 0;
        return sum - target * Math.log(probability) - (1 - target) * Math.log(1 - probability);
      }, 0);
    for (const [a, b] of [
      [1e-3, 0],
      [-1e-3, 0],
      [0, 1e-3],
      [0, -1e-3],
    ] as const) {
      expect(loss(slope + a, intercept + b)).toBeGreaterThan(loss(slope, intercept));
    }
  });

  it('stays finite where the margins part the classes, and where they are all equal', () => {
    expect(fitPlatt([-1, 1], [0, 1]).slope).toBeLessThan(10);
    const flat = fitPlatt([2, 2, 2, 2], [0, 0, 0, 1]);
    expect(logistic(flat.slope * 2 + flat.intercept)).toBeCloseTo((2 / 3 + 3 / 5) / 4, 6);
  });
});

describe('scaleEnsemble', () => {
  it('makes calibrated probabilities out of class-weighted ones, and keeps the ranking', () => {
    const train = randomMatrix({ rowCount: 4_000, featureCount: 4, seed: 31 });
    const later = randomMatrix({ rowCount: 4_000, featureCount: 4, seed: 32 });
    const { ensemble } = trainTrees(train, { params: { treeCount: 40, positiveWeight: 20 } });
    const margins = predictMargins(ensemble, later.columns, later.rowCount);
    const platt = fitPlatt(margins, later.labels);
    const calibrated = predictMargins(scaleEnsemble(ensemble, platt), later.columns, later.rowCount);
    calibrated.forEach((margin, row) =>
      expect(margin).toBeCloseTo(platt.slope * (margins[row] ?? NaN) + platt.intercept, 4),
    );
    expect(logLoss(calibrated.map(logistic), later.labels)).toBeLessThan(
      0.8 * logLoss(margins.map(logistic), later.labels),
    );
  });
});

describe('fitIsotonic', () => {
  it('pools neighbours that fall, as in the textbook', () => {
    const curve = fitIsotonic([1, 2, 3, 4, 5], [0, 1, 0, 1, 1]);
    expect(curve).toEqual({ scores: [1, 2, 3, 4, 5], probabilities: [0, 0.5, 0.5, 1, 1] });
    expect(isotonicProbability(curve, 1.5)).toBeCloseTo(0.25, 12);
    expect(isotonicProbability(curve, -9)).toBe(0);
    expect(isotonicProbability(curve, 9)).toBe(1);
  });

  it('gives equal scores one probability, whatever the order of the rows', () => {
    const curve = fitIsotonic([1, 1, 1, 2], [1, 0, 0, 1]);
    expect(isotonicProbability(curve, 1)).toBeCloseTo(1 / 3, 12);
    expect(fitIsotonic([2, 1, 1, 1], [1, 0, 1, 0])).toEqual(curve);
  });

  it('keeps rows of equal scores from drawing the pool before them to their labels', () => {
    const curve = fitIsotonic([1, 2, 2], [0, 0, 1]);
    expect([1, 2].map((score) => isotonicProbability(curve, score))).toEqual([0, 0.5]);
  });

  it('never falls, and is nearer to the labels than any other of many rising curves', () => {
    const drawn = fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 1 })), {
      minLength: 1,
      maxLength: 25,
    });
    const levels = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 9, maxLength: 9 });
    fc.assert(
      fc.property(drawn, levels, (rows, other) => {
        const [scores, labels] = [rows.map(([score]) => score), rows.map(([, label]) => label)];
        const curve = fitIsotonic(scores, labels);
        const fitted = scores.map((score) => isotonicProbability(curve, score));
        const rising = other.toSorted((a, b) => a - b);
        const distance = (values: readonly number[]) =>
          values.reduce((sum, value, i) => sum + (value - (labels[i] ?? 0)) ** 2, 0);
        expect(distance(fitted)).toBeLessThanOrEqual(distance(scores.map((score) => rising[score] ?? 0)) + 1e-12);
        curve.probabilities.forEach((p, i) => expect(p).toBeGreaterThanOrEqual(curve.probabilities[i - 1] ?? 0));
      }),
      { numRuns: 5_000 },
    );
  });
});
