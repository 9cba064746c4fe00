import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { predictProbabilities } from '../../learning/ensemble/predict.ts';
import { TreeNodes } from '../../learning/ensemble/tree-nodes.ts';
import { writeTreeEnsemble } from '../../learning/onnx/write-tree-ensemble.ts';
import { randomMatrix } from '../../learning/testing/random-matrix.ts';
import { trainTrees } from '../../learning/trainer/train.ts';
import { OnnxScorer } from './onnx-scorer.ts';
import { parityRows } from './parity-rows.ts';
import { QuickScorer } from './quick-scorer.ts';

/** Row-major, as scorers take it. */
function rowsOf(columns: readonly Float32Array[], rowCount: number): Float32Array {
  return Float32Array.from({ length: rowCount * columns.length }, (_, i) => {
    return columns[i % columns.length]?.[Math.floor(i / columns.length)] ?? NaN;
  });
}

describe('QuickScorer', () => {
  it('gives the bits that walking down every tree gives, missing values and values on a threshold included', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 40 }),
        (seed, featureCount, maxDepth, treeCount) => {
          const rowCount = 300;
          const matrix = randomMatrix({ rowCount, featureCount, seed });
          const { ensemble } = trainTrees(matrix, { params: { treeCount, maxDepth, minChildWeight: 0.1 } });
          const scorer = QuickScorer.of(ensemble, featureCount);
          expect(scorer?.score(rowsOf(matrix.columns, rowCount), rowCount)).toEqual(
            predictProbabilities(ensemble, matrix.columns, rowCount),
          );
          const parity = parityRows(ensemble, featureCount);
          const columns = matrix.columns.map((_, feature) =>
            Float32Array.from(
              { length: parity.rowCount },
              (__, row) => parity.matrix[row * featureCount + feature] ?? NaN,
            ),
          );
          expect(scorer?.score(parity.matrix, parity.rowCount)).toEqual(
            predictProbabilities(ensemble, columns, parity.rowCount),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  it('leaves trees of more leaves than a word has bits to ONNX Runtime', () => {
    const matrix = randomMatrix({ rowCount: 3_000, featureCount: 8, seed: 3 });
    const { ensemble } = trainTrees(matrix, { params: { treeCount: 2, maxDepth: 8, minChildWeight: 0 } });
    expect(QuickScorer.of(ensemble, 8)).toBeNull();
  });
});

describe('the ONNX scorer of a model made of trees', () => {
  it('takes the quick scorer where both agree, and ONNX Runtime where the trees are others than the file says', async () => {
    const featureCount = 6;
    const matrix = randomMatrix({ rowCount: 2_000, featureCount, seed: 11 });
    const { ensemble } = trainTrees(matrix, { params: { treeCount: 30, maxDepth: 4 } });
    const model = { name: 'm@1', bytes: writeTreeEnsemble(ensemble), features: ensemble.featureNames };
    await using plain = await OnnxScorer.open(model);
    await using quick = await OnnxScorer.open({ ...model, trees: ensemble });
    const leafValue = ensemble.leafValue.map((value) => value * 1.001);
    await using other = await OnnxScorer.open({ ...model, trees: { ...ensemble, leafValue } });
    expect([plain.scoredBy, quick.scoredBy, other.scoredBy]).toEqual(['onnxruntime', 'quick-scorer', 'onnxruntime']);
    const rows = rowsOf(matrix.columns, 2_000);
    const expected = await plain.score(rows.slice(), 2_000);
    const scored = await quick.score(rows.slice(), 2_000);
    expect(Math.max(...scored.map((probability, row) => Math.abs(probability - (expected[row] ?? NaN))))).toBeLessThan(
      1e-6,
    );
    expect(await other.score(rows, 2_000)).toEqual(expected);
  });

  it('keeps to ONNX Runtime for a threshold that is no number', async () => {
    const nodes = new TreeNodes();
    nodes.beginTree();
    const [root, low, high] = [nodes.addLeaf(2), nodes.addLeaf(1), nodes.addLeaf(1)];
    nodes.setSplit(root, { feature: 0, threshold: Infinity, missing: 'right' }, low, high);
    nodes.setLeafValue(low, -1);
    nodes.setLeafValue(high, 1);
    const ensemble = nodes.view(['a'], 0);
    const bytes = writeTreeEnsemble(ensemble);
    await using scorer = await OnnxScorer.open({ name: 'm@1', bytes, features: ['a'], trees: ensemble });
    expect(scorer.scoredBy).toBe('onnxruntime');
  });
});
