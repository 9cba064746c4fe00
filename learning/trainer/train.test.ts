import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { predictMargins, predictProbabilities } from '../ensemble/predict.ts';
import { type TreeEnsemble, treeCountOf } from '../ensemble/tree-ensemble.ts';
import { aucRoc } from '../evaluation/auc-roc.ts';
import { averagePrecision } from '../evaluation/average-precision.ts';
import { logLoss } from '../evaluation/log-loss.ts';
import { randomMatrix } from '../testing/random-matrix.ts';
import { SeededRandom } from './seeded-random.ts';
import { trainTrees } from './train.ts';
import { selectRows, type TrainingMatrix } from './training-matrix.ts';
import type { TrainingParamsInput } from './training-params.ts';

const matrix = randomMatrix({ rowCount: 3_000, featureCount: 7, seed: 1 });
const later = randomMatrix({ rowCount: 3_000, featureCount: 7, seed: 2 });

function bytesOf(ensemble: TreeEnsemble): string {
  const { treeStarts, feature, threshold, left, right, missingGoesLeft, leafValue, cover } = ensemble;
  const arrays = [treeStarts, feature, threshold, left, right, missingGoesLeft, leafValue, cover];
  return arrays.map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex')).join();
}

function lossOf(ensemble: TreeEnsemble, rows: TrainingMatrix): number {
  return logLoss(predictProbabilities(ensemble, rows.columns, rows.rowCount), rows.labels);
}

describe('trainTrees', () => {
  it('learns what is there to be learnt, also on rows it has not seen', () => {
    const { ensemble } = trainTrees(matrix, { params: { treeCount: 80, learningRate: 0.2 } });
    const scores = predictMargins(ensemble, later.columns, later.rowCount);
    expect(aucRoc(scores, later.labels)).toBeGreaterThan(0.85);
    expect(lossOf(ensemble, later)).toBeLessThan(
      0.9 * logLoss(new Float64Array(later.rowCount).fill(0.35), later.labels),
    );
  });

  it('gives the same bytes for the same rows and parameters, sampling included', () => {
    const params = { treeCount: 20, rowSample: 0.7, columnSample: 0.5, seed: 9 };
    const first = trainTrees(matrix, { params });
    expect(bytesOf(trainTrees(matrix, { params }).ensemble)).toBe(bytesOf(first.ensemble));
    expect(bytesOf(trainTrees(matrix, { params: { ...params, seed: 10 } }).ensemble)).not.toBe(bytesOf(first.ensemble));
  });

  it('lowers the loss on its own rows with every tree', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const rows = randomMatrix({ rowCount: 200, featureCount: 3, seed });
        const losses = [0, 1, 2, 5, 10].map((treeCount) =>
          treeCount === 0 ? Infinity : lossOf(trainTrees(rows, { params: { treeCount } }).ensemble, rows),
        );
        losses.forEach((loss, i) => expect(loss).toBeLessThanOrEqual(losses[i - 1] ?? Infinity));
      }),
      { numRuns: 20 },
    );
  });

  it('takes a row of weight two for the same row twice', () => {
    const whole = randomMatrix({ rowCount: 200, featureCount: 3, seed: 5 });
    const doubled = Uint32Array.from({ length: 300 }, (_, i) => (i < 200 ? i : i - 200));
    const weights = Float64Array.from({ length: 200 }, (_, row) => (row < 100 ? 2 : 1));
    const params: TrainingParamsInput = { treeCount: 15, minChildWeight: 0.5 };
    const byWeight = trainTrees({ ...whole, weights }, { params }).ensemble;
    const byCopies = trainTrees(selectRows(whole, doubled), { params }).ensemble;
    const difference = predictMargins(byWeight, whole.columns, 200).map(
      (margin, row) => margin - (predictMargins(byCopies, whole.columns, 200)[row] ?? NaN),
    );
    expect(Math.max(...difference.map(Math.abs))).toBeLessThan(1e-4);
  });

  it('weighs positives by positiveWeight as by row weights, and balances the classes on request', () => {
    const positives = matrix.labels.reduce((sum, label) => sum + label, 0);
    const ratio = (matrix.rowCount - positives) / positives;
    const weights = Float64Array.from(matrix.labels, (label) => (label === 1 ? ratio : 1));
    const byWeights = trainTrees({ ...matrix, weights }, { params: { treeCount: 5 } });
    expect(bytesOf(trainTrees(matrix, { params: { treeCount: 5, positiveWeight: ratio } }).ensemble)).toBe(
      bytesOf(byWeights.ensemble),
    );
    const balanced = trainTrees(matrix, { params: { treeCount: 5, positiveWeight: 'balanced' } });
    expect(bytesOf(balanced.ensemble)).toBe(bytesOf(byWeights.ensemble));
    expect(balanced.ensemble.baseScore).toBeCloseTo(0);
  });

  it('finds out on which side missing values belong', () => {
    const random = new SeededRandom(3);
    const column = Float32Array.from({ length: 1_000 }, () => (random.nextUnit() < 0.2 ? NaN : random.nextUnit()));
    const labels = Uint8Array.from(column, (value) => (Number.isNaN(value) || value > 0.7 ? 1 : 0));
    const rows = { rowCount: 1_000, featureNames: ['a'], columns: [column], labels };
    const { ensemble } = trainTrees(rows, { params: { treeCount: 50, learningRate: 0.3, maxDepth: 1 } });
    const [missing = 0, low = 0, high = 0] = predictProbabilities(ensemble, [Float32Array.of(NaN, 0.2, 0.9)], 3);
    expect(missing).toBeGreaterThan(0.9);
    expect(low).toBeLessThan(0.1);
    expect(high).toBeGreaterThan(0.9);
  });

  it('keeps the number of trees that was best on the validation rows', () => {
    for (const metric of ['average-precision', 'log-loss'] as const) {
      const params = { treeCount: 400, learningRate: 0.4, earlyStopping: { metric, patienceTrees: 10 } };
      const { ensemble, validationScores } = trainTrees(matrix, { params, validation: later });
      const best = metric === 'log-loss' ? Math.min(...validationScores) : Math.max(...validationScores);
      expect(treeCountOf(ensemble)).toBe(validationScores.indexOf(best) + 1);
      expect(validationScores).toHaveLength(treeCountOf(ensemble) + 10);
      const keptScore =
        metric === 'log-loss'
          ? lossOf(ensemble, later)
          : averagePrecision(predictMargins(ensemble, later.columns, later.rowCount), later.labels);
      expect(keptScore).toBeCloseTo(best, 6);
    }
  });

  it('ignores the order of the features except in their numbering', () => {
    const order = [3, 1, 0, 2, 6, 5, 4];
    const turned = {
      ...matrix,
      featureNames: order.map((feature) => matrix.featureNames[feature] ?? ''),
      columns: order.map((feature) => matrix.columns[feature] ?? new Float32Array()),
    };
    const straight = trainTrees(matrix, { params: { treeCount: 10 } });
    const shuffled = trainTrees(turned, { params: { treeCount: 10 } });
    expect(predictMargins(shuffled.ensemble, turned.columns, 3_000)).toEqual(
      predictMargins(straight.ensemble, matrix.columns, 3_000),
    );
    expect(shuffled.importances[0]).toBeCloseTo(straight.importances[3] ?? NaN, 12);
    expect(straight.importances.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
  });

  it('refuses what cannot be trained on, by name', () => {
    const codeOf = (run: () => unknown): string => {
      try {
        run();
      } catch (thrown) {
        return (thrown as { code: string }).code;
      }
      return 'none';
    };
    const column = new Float32Array(matrix.rowCount);
    const refused = (change: Partial<TrainingMatrix>) => codeOf(() => trainTrees({ ...matrix, ...change }));
    expect(refused({ labels: new Uint8Array(matrix.rowCount) })).toBe('TRAINING_ONE_CLASS');
    expect(refused({ labels: new Uint8Array(5) })).toBe('TRAINING_MATRIX_INVALID');
    expect(refused({ labels: new Uint8Array(matrix.rowCount).fill(2) })).toBe('TRAINING_MATRIX_INVALID');
    expect(refused({ columns: [column] })).toBe('TRAINING_MATRIX_INVALID');
    expect(refused({ columns: [column.slice(1)], featureNames: ['a'] })).toBe('TRAINING_MATRIX_INVALID');
    expect(refused({ columns: [column.slice().fill(Infinity)], featureNames: ['a'] })).toBe('TRAINING_MATRIX_INVALID');
    expect(refused({ columns: [column, column], featureNames: ['a', 'a'] })).toBe('TRAINING_MATRIX_INVALID');
    expect(refused({ weights: new Float64Array(matrix.rowCount) })).toBe('TRAINING_MATRIX_INVALID');
    expect(codeOf(() => trainTrees(matrix, { params: { maxDepth: 40 } }))).toBe('TRAINING_PARAMS_INVALID');
    const earlyStopping = { metric: 'log-loss', patienceTrees: 3 } as const;
    expect(codeOf(() => trainTrees(matrix, { params: { earlyStopping } }))).toBe('TRAINING_VALIDATION_MISSING');
  });
});
