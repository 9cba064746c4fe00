import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leafFeature } from '../ensemble/tree-ensemble.ts';
import { TreeNodes } from '../ensemble/tree-nodes.ts';
import { bestNaiveGain, goesLeft, naiveGain, rowsOf } from '../testing/naive-split.ts';
import { randomMatrix } from '../testing/random-matrix.ts';
import { binMatrix } from './binned-matrix.ts';
import { SeededRandom } from './seeded-random.ts';
import { readTrainingParams, type TrainingParamsInput } from './training-params.ts';
import { TreeGrower } from './tree-grower.ts';

function growOne(seed: number, params: TrainingParamsInput, rowCount = 120) {
  const matrix = randomMatrix({ rowCount, featureCount: 4, seed });
  const random = new SeededRandom(seed);
  const gradients = new Float64Array(2 * rowCount);
  for (let row = 0; row < rowCount; row++) {
    const probability = random.nextUnit();
    gradients[2 * row] = probability - (matrix.labels[row] ?? 0);
    gradients[2 * row + 1] = probability * (1 - probability);
  }
  const nodes = new TreeNodes();
  const full = readTrainingParams(params);
  const grower = new TreeGrower(binMatrix(matrix, 255, random), full, nodes);
  const rows = rowsOf(rowCount);
  const leaves = grower.grow(rows, gradients, Uint32Array.of(0, 1, 2, 3));
  return { matrix, gradients, rows, leaves, limits: full, tree: nodes.view(matrix.featureNames, 0), grower };
}

describe('TreeGrower', () => {
  it('splits every node as well as trying everything would, and stops only where nothing gains or the tree is deep enough', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 5 }), (seed, maxDepth) => {
        const { matrix, gradients, tree, limits } = growOne(seed, { maxDepth, minChildWeight: 0.2 });
        const stops: { depth: number; best: number }[] = [];
        const visit = (node: number, rows: Uint32Array, depth: number): void => {
          const best = bestNaiveGain(matrix, gradients, rows, limits);
          const feature = tree.feature[node] ?? leafFeature;
          if (feature === leafFeature) {
            stops.push({ depth, best });
            return;
          }
          const missing = tree.missingGoesLeft[node] === 1 ? ('left' as const) : ('right' as const);
          const split = { feature, threshold: tree.threshold[node] ?? NaN, missing };
          expect(naiveGain(matrix, gradients, rows, split, limits)).toBeCloseTo(best, 8);
          visit(
            tree.left[node] ?? 0,
            rows.filter((row) => goesLeft(matrix, row, split)),
            depth + 1,
          );
          visit(
            tree.right[node] ?? 0,
            rows.filter((row) => !goesLeft(matrix, row, split)),
            depth + 1,
          );
        };
        visit(0, rowsOf(matrix.rowCount), 0);
        expect(stops.filter(({ depth, best }) => depth < maxDepth && best > 1e-9)).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  it('parts the rows among the leaves, each with the step that its sums ask for', () => {
    const { rows, leaves, gradients, limits } = growOne(11, { maxDepth: 4, learningRate: 0.3 });
    expect([...rows].sort((a, b) => a - b)).toEqual([...rowsOf(120)]);
    expect(leaves.reduce((count, leaf) => count + leaf.end - leaf.begin, 0)).toBe(120);
    for (const leaf of leaves) {
      let gradient = 0;
      let curvature = 0;
      for (const row of rows.subarray(leaf.begin, leaf.end)) {
        gradient += gradients[2 * row] ?? 0;
        curvature += gradients[2 * row + 1] ?? 0;
      }
      expect(leaf.value).toBeCloseTo((-0.3 * gradient) / (curvature + limits.l2), 6);
    }
  });

  it("keeps each node's cover equal to the sum of its children's", () => {
    const { tree } = growOne(12, { maxDepth: 5 });
    tree.feature.forEach((feature, node) => {
      if (feature === leafFeature) return;
      const children = (tree.cover[tree.left[node] ?? 0] ?? 0) + (tree.cover[tree.right[node] ?? 0] ?? 0);
      expect(tree.cover[node]).toBeCloseTo(children, 4);
    });
  });

  it('counts gain for the features that were split on and for no other', () => {
    const { grower, tree } = growOne(13, { maxDepth: 2 });
    const used = new Set(tree.feature.filter((feature) => feature !== leafFeature));
    grower.gainByFeature.forEach((gain, feature) => expect(gain > 0).toBe(used.has(feature)));
  });
});
