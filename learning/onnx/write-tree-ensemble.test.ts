import { createHash } from 'node:crypto';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { predictProbabilities } from '../ensemble/predict.ts';
import type { TreeEnsemble } from '../ensemble/tree-ensemble.ts';
import { TreeNodes } from '../ensemble/tree-nodes.ts';
import { randomMatrix } from '../testing/random-matrix.ts';
import { SeededRandom } from '../trainer/seeded-random.ts';
import { trainTrees } from '../trainer/train.ts';
import { decodeOnnxModel } from './onnx-messages.ts';
import { readTreeEnsemble } from './read-tree-ensemble.ts';
import { writeTreeEnsemble } from './write-tree-ensemble.ts';

const matrix = randomMatrix({ rowCount: 4_000, featureCount: 9, seed: 21 });

/** Rows of which many lie exactly on a threshold of the ensemble, and some are missing. */
function hardRows(ensemble: TreeEnsemble, rowCount: number): Float32Array[] {
  const random = new SeededRandom(8);
  return ensemble.featureNames.map((_, feature) => {
    const thresholds = ensemble.threshold.filter((_value, node) => ensemble.feature[node] === feature);
    return Float32Array.from({ length: rowCount }, () => {
      const kind = random.nextUnit();
      if (kind < 0.15) return NaN;
      if (kind < 0.5 && thresholds.length > 0) return thresholds[random.nextBelow(thresholds.length)] ?? 0;
      return random.nextUnit() * 12 - 6;
    });
  });
}

async function runtimeOutputs(bytes: Uint8Array, columns: readonly Float32Array[], rowCount: number) {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1 });
  const rows = new Float32Array(rowCount * columns.length);
  columns.forEach((column, feature) => column.forEach((value, row) => (rows[row * columns.length + feature] = value)));
  const outputs = await session.run({ features: new Tensor('float32', rows, [rowCount, columns.length]) });
  const probabilities = outputs['probabilities']?.data as Float32Array;
  return {
    label: outputs['label'],
    shape: outputs['probabilities']?.dims,
    negative: probabilities.filter((_, i) => i % 2 === 0),
    positive: probabilities.filter((_, i) => i % 2 === 1),
  };
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b[i] ?? NaN))), 0);
}

describe('writeTreeEnsemble', () => {
  it('gives a file in which ONNX Runtime finds our own probabilities, on 10,000 rows, missing values and exact thresholds', async () => {
    for (const params of [
      { treeCount: 150, maxDepth: 6, learningRate: 0.1 },
      { treeCount: 5, maxDepth: 2, positiveWeight: 30 },
      { treeCount: 1, maxDepth: 1 },
    ]) {
      const { ensemble } = trainTrees(matrix, { params });
      const rowCount = 10_000;
      const columns = hardRows(ensemble, rowCount);
      const ours = predictProbabilities(ensemble, columns, rowCount);
      const theirs = await runtimeOutputs(writeTreeEnsemble(ensemble), columns, rowCount);
      expect(theirs.shape).toEqual([rowCount, 2]);
      expect(largestDifference(ours, theirs.positive)).toBeLessThanOrEqual(1e-6);
      expect(
        largestDifference(
          ours.map((p) => 1 - p),
          theirs.negative,
        ),
      ).toBeLessThanOrEqual(1e-6);
      expect(theirs.label?.type).toBe('int64');
    }
  });

  it('gives the same answer for one row at a time as for many', async () => {
    const { ensemble } = trainTrees(matrix, { params: { treeCount: 120 } });
    const columns = hardRows(ensemble, 50);
    const bytes = writeTreeEnsemble(ensemble);
    const together = (await runtimeOutputs(bytes, columns, 50)).positive;
    for (let row = 0; row < 50; row++) {
      const alone = await runtimeOutputs(
        bytes,
        columns.map((column) => column.slice(row, row + 1)),
        1,
      );
      expect(Math.abs((alone.positive[0] ?? NaN) - (together[row] ?? NaN))).toBeLessThanOrEqual(1e-6);
    }
  });

  it('writes an ensemble whose every leaf is positive or negative as such, not as votes', async () => {
    for (const value of [0.7, -0.7]) {
      const nodes = new TreeNodes();
      nodes.beginTree();
      nodes.setLeafValue(nodes.addLeaf(1), value);
      const ensemble = nodes.view(['a'], 0.2);
      const outputs = await runtimeOutputs(writeTreeEnsemble(ensemble), [Float32Array.of(0)], 1);
      expect(outputs.positive[0]).toBeCloseTo(1 / (1 + Math.exp(-(value + 0.2))), 6);
    }
  });

  it('writes the same bytes for the same training', () => {
    const digest = () => {
      const { ensemble } = trainTrees(matrix, { params: { treeCount: 30, rowSample: 0.8, seed: 4 } });
      return createHash('sha256').update(writeTreeEnsemble(ensemble)).digest('hex');
    };
    expect(digest()).toBe(digest());
  });

  it('names the features, in order, in the metadata', () => {
    const { ensemble } = trainTrees(matrix, { params: { treeCount: 1 } });
    const { metadataProps } = decodeOnnxModel(writeTreeEnsemble(ensemble));
    expect(metadataProps).toEqual([{ key: 'feature_names', value: JSON.stringify(matrix.featureNames) }]);
  });
});

describe('readTreeEnsemble', () => {
  it('gives back the very ensemble that was written', () => {
    const { ensemble } = trainTrees(matrix, { params: { treeCount: 40, maxDepth: 5 } });
    expect(readTreeEnsemble(writeTreeEnsemble(ensemble), 'fraud@1')).toEqual(ensemble);
  });

  it('refuses what is no such file, in words', () => {
    const { ensemble } = trainTrees(matrix, { params: { treeCount: 2 } });
    const bytes = writeTreeEnsemble(ensemble);
    const broken = [bytes.slice(0, 100), new Uint8Array(), new TextEncoder().encode('not a model at all')];
    for (const file of broken) {
      expect(() => readTreeEnsemble(file, 'fraud@1')).toThrow(/model fraud@1 must be a tree ensemble/);
    }
  });
});
