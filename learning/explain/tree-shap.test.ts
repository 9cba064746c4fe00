import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { predictMargins } from '../ensemble/predict.ts';
import { leafFeature, treeCountOf, type TreeEnsemble } from '../ensemble/tree-ensemble.ts';
import { TreeNodes } from '../ensemble/tree-nodes.ts';
import { randomMatrix } from '../testing/random-matrix.ts';
import { trainTrees } from '../trainer/train.ts';
import { reasonCodes } from './reason-codes.ts';
import { TreeExplainer } from './tree-shap.ts';

/** The sum of a node's leaf covers: what its weight is when nothing is rounded. */
function weightOf(ensemble: TreeEnsemble, node: number): number {
  if (ensemble.feature[node] === leafFeature) return ensemble.cover[node] ?? 0;
  return weightOf(ensemble, ensemble.left[node] ?? 0) + weightOf(ensemble, ensemble.right[node] ?? 0);
}

/** What a tree says of a row of which only the features in `known` (a bit each) are known. */
function expectationOf(ensemble: TreeEnsemble, node: number, row: readonly number[], known: number): number {
  const feature = ensemble.feature[node] ?? leafFeature;
  if (feature === leafFeature) return ensemble.leafValue[node] ?? 0;
  const [left, right] = [ensemble.left[node] ?? 0, ensemble.right[node] ?? 0];
  if ((known & (1 << feature)) !== 0) {
    const value = row[feature] ?? NaN;
    const goesLeft = Number.isNaN(value)
      ? ensemble.missingGoesLeft[node] === 1
      : value <= (ensemble.threshold[node] ?? 0);
    return expectationOf(ensemble, goesLeft ? left : right, row, known);
  }
  const [leftWeight, rightWeight] = [weightOf(ensemble, left), weightOf(ensemble, right)];
  const sum =
    leftWeight * expectationOf(ensemble, left, row, known) + rightWeight * expectationOf(ensemble, right, row, known);
  return sum / (leftWeight + rightWeight);
}

function marginOf(ensemble: TreeEnsemble, row: readonly number[], known: number): number {
  let margin = ensemble.baseScore;
  for (let tree = 0; tree < treeCountOf(ensemble); tree++) {
    margin += expectationOf(ensemble, ensemble.treeStarts[tree] ?? 0, row, known);
  }
  return margin;
}

const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));

/** Shapley's definition: what a feature adds, averaged over all orders in which features may become known. */
function bruteForce(ensemble: TreeEnsemble, row: readonly number[]): number[] {
  const count = ensemble.featureNames.length;
  const marginWith = Array.from({ length: 1 << count }, (_, known) => marginOf(ensemble, row, known));
  return row.map((_, feature) => {
    let sum = 0;
    for (let known = 0; known < 1 << count; known++) {
      if ((known & (1 << feature)) !== 0) continue;
      const size = known.toString(2).replaceAll('0', '').length;
      const weight = (factorial(size) * factorial(count - size - 1)) / factorial(count);
      sum += weight * ((marginWith[known | (1 << feature)] ?? NaN) - (marginWith[known] ?? NaN));
    }
    return sum;
  });
}

describe('TreeExplainer', () => {
  it("equals Shapley's definition, tried over all subsets of features", () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 5 }),
        (seed, featureCount, maxDepth, treeCount) => {
          const matrix = randomMatrix({ rowCount: 150, featureCount, seed });
          const { ensemble } = trainTrees(matrix, { params: { treeCount, maxDepth, minChildWeight: 0.1 } });
          const [lookedUp, walked] = [new TreeExplainer(ensemble), new TreeExplainer(ensemble, 0)];
          for (const at of [0, 1, 2]) {
            const row = matrix.columns.map((column) => column[at] ?? NaN);
            const [fromTables, fromPaths] = [lookedUp.explain(row), walked.explain(row)];
            bruteForce(ensemble, row).forEach((expected, feature) => {
              expect(fromTables[feature]).toBeCloseTo(expected, 9);
              expect(fromPaths[feature]).toBeCloseTo(expected, 9);
            });
          }
          expect(lookedUp.expectedMargin).toBeCloseTo(marginOf(ensemble, [], 0), 9);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('adds up to the log-odds of every row', () => {
    const matrix = randomMatrix({ rowCount: 1_000, featureCount: 12, seed: 5 });
    const { ensemble } = trainTrees(matrix, { params: { treeCount: 60, maxDepth: 7 } });
    const [lookedUp, walked] = [new TreeExplainer(ensemble, Infinity), new TreeExplainer(ensemble, 0)];
    predictMargins(ensemble, matrix.columns, matrix.rowCount).forEach((margin, at) => {
      const row = matrix.columns.map((column) => column[at] ?? NaN);
      const contributions = lookedUp.explain(row);
      walked.explain(row).forEach((part, feature) => expect(contributions[feature]).toBeCloseTo(part, 9));
      expect(lookedUp.expectedMargin + contributions.reduce((sum, part) => sum + part, 0)).toBeCloseTo(margin, 5);
    });
  });

  it('gives the only feature asked everything, and a feature never asked nothing', () => {
    const nodes = new TreeNodes();
    nodes.beginTree();
    const [root, low, high] = [nodes.addLeaf(4), nodes.addLeaf(1), nodes.addLeaf(3)];
    nodes.setSplit(root, { feature: 1, threshold: 0, missing: 'left' }, low, high);
    nodes.setLeafValue(low, -2);
    nodes.setLeafValue(high, 2);
    const explainer = new TreeExplainer(nodes.view(['a', 'b'], 0.5));
    expect(explainer.expectedMargin).toBe(1.5);
    expect([...explainer.explain([9, 1])]).toEqual([0, 1]);
    expect([...explainer.explain([9, NaN])]).toEqual([0, -3]);
  });
});

describe('reasonCodes', () => {
  it('names what raised the score, most first, and nothing that lowered it', () => {
    expect(reasonCodes([0.2, -3, 1.5, 0], ['a', 'b', 'c', 'd'], 3)).toEqual([
      { feature: 'c', contribution: 1.5 },
      { feature: 'a', contribution: 0.2 },
    ]);
  });
});
