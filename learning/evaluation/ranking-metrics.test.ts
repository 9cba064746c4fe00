import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aucRoc } from './auc-roc.ts';
import { averagePrecision } from './average-precision.ts';
import { logLoss } from './log-loss.ts';

/** Rows with few distinct scores, so that ties are the rule, and both classes present. */
const rows = fc
  .array(fc.record({ score: fc.integer({ min: 0, max: 5 }), label: fc.integer({ min: 0, max: 1 }) }), {
    minLength: 2,
    maxLength: 40,
  })
  .filter((drawn) => new Set(drawn.map(({ label }) => label)).size === 2);

const scoresOf = (drawn: readonly { score: number }[]) => drawn.map(({ score }) => score);
const labelsOf = (drawn: readonly { label: number }[]) => drawn.map(({ label }) => label);

describe('averagePrecision', () => {
  it('is 1 where all positives come first, and the share of positives where all scores are equal', () => {
    expect(averagePrecision([0.9, 0.8, 0.1], [1, 1, 0])).toBe(1);
    expect(averagePrecision([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 0])).toBe(0.25);
  });

  it('equals scikit-learn on the example of its documentation', () => {
    expect(averagePrecision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])).toBeCloseTo(0.8333333333, 9);
  });

  it('takes tied rows together: 2 of 3 at the top, then 3 of 5', () => {
    // Recall 2/3 at precision 2/3, then recall 1 at precision 3/5.
    expect(averagePrecision([3, 3, 3, 2, 2], [1, 1, 0, 0, 1])).toBeCloseTo((2 / 3) * (2 / 3) + (1 / 3) * (3 / 5), 12);
  });

  it('equals its definition, step by step over every threshold', () => {
    fc.assert(
      fc.property(rows, (drawn) => {
        const positives = drawn.filter(({ label }) => label === 1).length;
        const thresholds = [...new Set(scoresOf(drawn))].sort((a, b) => b - a);
        let [sum, recallBefore] = [0, 0];
        for (const threshold of thresholds) {
          const alerts = drawn.filter(({ score }) => score >= threshold);
          const found = alerts.filter(({ label }) => label === 1).length;
          sum += (found / positives - recallBefore) * (found / alerts.length);
          recallBefore = found / positives;
        }
        expect(averagePrecision(scoresOf(drawn), labelsOf(drawn))).toBeCloseTo(sum, 12);
      }),
    );
  });

  it('does not depend on the order of the rows', () => {
    fc.assert(
      fc.property(rows, (drawn) => {
        const turned = drawn.toReversed();
        expect(averagePrecision(scoresOf(turned), labelsOf(turned))).toBe(
          averagePrecision(scoresOf(drawn), labelsOf(drawn)),
        );
      }),
    );
  });

  it('is not a number without positives', () => {
    expect(averagePrecision([0.1, 0.2], [0, 0])).toBeNaN();
  });
});

describe('aucRoc', () => {
  it('equals scikit-learn on the example of its documentation', () => {
    expect(aucRoc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])).toBe(0.75);
  });

  it('is the share of pairs in which the positive scores higher, a tie counting one half', () => {
    fc.assert(
      fc.property(rows, (drawn) => {
        let [wins, pairs] = [0, 0];
        for (const positive of drawn.filter(({ label }) => label === 1)) {
          for (const negative of drawn.filter(({ label }) => label === 0)) {
            pairs++;
            if (positive.score > negative.score) wins++;
            if (positive.score === negative.score) wins += 0.5;
          }
        }
        expect(aucRoc(scoresOf(drawn), labelsOf(drawn))).toBeCloseTo(wins / pairs, 12);
      }),
    );
  });
});

describe('logLoss', () => {
  it('is the mean surprise, finite even where a sure prediction was wrong', () => {
    expect(logLoss([0.9, 0.2], [1, 0])).toBeCloseTo(-(Math.log(0.9) + Math.log(0.8)) / 2, 12);
    expect(logLoss([1], [0])).toBeCloseTo(-Math.log(1e-15), 9);
  });
});
