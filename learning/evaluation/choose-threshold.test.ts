import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseThreshold, fBeta, type ThresholdPolicy, type ThresholdRows } from './choose-threshold.ts';
import { confusionAt } from './confusion.ts';

/** `[day, card, score, label, amount]` a row. */
type Row = readonly [number, number, number, number, number];

function rowsOf(rows: readonly Row[]): ThresholdRows {
  return {
    days: Int32Array.from(rows, ([day]) => day),
    cards: Uint32Array.from(rows, ([, card]) => card),
    scores: rows.map(([, , score]) => score),
    labels: rows.map(([, , , label]) => label),
    amounts: rows.map(([, , , , amount]) => amount),
  };
}

const randomRows = fc.array(
  fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 1, max: 9 }).map((tenths) => tenths / 10),
    fc.integer({ min: 0, max: 1 }),
    fc.integer({ min: 1, max: 100 }),
  ),
  { minLength: 1, maxLength: 40 },
);

/** What alerting from `threshold` on is worth under a policy, straight from its definition; −∞ where the policy forbids it. */
function worthOf(policy: ThresholdPolicy, rows: readonly Row[], threshold: number): number {
  const alerts = rows.filter(([, , score]) => score >= threshold);
  const found = alerts.filter(([, , , label]) => label === 1);
  if (policy.kind === 'cost')
    return found.reduce((sum, [, , , , amount]) => sum + amount, 0) - policy.costPerAlert * alerts.length;
  if (policy.kind === 'capacity') {
    const desks = new Set(alerts.map(([day, card]) => `${day} ${card}`)).size;
    const days = new Set(rows.map(([day]) => day)).size;
    return desks <= policy.cardsPerDay * days ? desks : -Infinity;
  }
  const frauds = rows.filter(([, , , label]) => label === 1).length;
  return policy.kind === 'f-beta'
    ? fBeta(policy.beta, found.length, alerts.length - found.length, frauds - found.length)
    : 0;
}

describe('chooseThreshold', () => {
  it('is as good as the best of all thresholds, under every policy', () => {
    const policies: fc.Arbitrary<ThresholdPolicy> = fc.oneof(
      fc.constantFrom(0.5, 1, 2).map((beta): ThresholdPolicy => ({ kind: 'f-beta', beta })),
      fc.integer({ min: 1, max: 5 }).map((cardsPerDay): ThresholdPolicy => ({ kind: 'capacity', cardsPerDay })),
      fc.integer({ min: 0, max: 60 }).map((costPerAlert): ThresholdPolicy => ({ kind: 'cost', costPerAlert })),
    );
    fc.assert(
      fc.property(policies, randomRows, (policy, rows) => {
        const thresholds = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 2];
        const best = Math.max(...thresholds.map((threshold) => worthOf(policy, rows, threshold)));
        expect(worthOf(policy, rows, chooseThreshold(policy, rowsOf(rows)))).toBeCloseTo(best, 9);
      }),
      { numRuns: 500 },
    );
  });

  it('lies half way between the lowest score that alerts and the next one', () => {
    const rows = rowsOf([
      [1, 1, 0.9, 1, 10],
      [1, 2, 0.6, 0, 10],
      [1, 3, 0.2, 0, 10],
    ]);
    expect(chooseThreshold({ kind: 'f-beta', beta: 1 }, rows)).toBeCloseTo(0.75, 12);
    expect(chooseThreshold({ kind: 'capacity', cardsPerDay: 2 }, rows)).toBeCloseTo(0.4, 12);
  });

  it('is above every score where no alert is worth its cost', () => {
    const rows = rowsOf([[1, 1, 0.9, 1, 10]]);
    expect(chooseThreshold({ kind: 'cost', costPerAlert: 50 }, rows)).toBeGreaterThan(0.9);
  });

  it('is what a person said where a person said it', () => {
    expect(chooseThreshold({ kind: 'fixed', value: 0.3 }, rowsOf([]))).toBe(0.3);
  });
});

describe('confusionAt', () => {
  it('counts a score equal to the threshold as an alert, and values by amount', () => {
    const confusion = confusionAt(0.5, [0.5, 0.4, 0.9, 0.1], [1, 1, 0, 0], [30, 70, 5, 5]);
    expect(confusion).toEqual({
      truePositives: 1,
      falsePositives: 1,
      trueNegatives: 1,
      falseNegatives: 1,
      precision: 0.5,
      recall: 0.5,
      falsePositiveRate: 0.5,
      valueRecall: 0.3,
    });
  });

  it('has no precision without alerts', () => {
    expect(confusionAt(2, [0.5], [1]).precision).toBeNaN();
  });
});
