import { logistic } from '../ensemble/predict.ts';
import { SeededRandom } from '../trainer/seeded-random.ts';
import type { TrainingMatrix } from '../trainer/training-matrix.ts';

/** What a random matrix looks like. */
export interface RandomMatrixShape {
  readonly rowCount: number;
  readonly featureCount: number;
  readonly seed: number;
  /** Share of values that are missing; 0.1 unless told. */
  readonly missingShare?: number;
}

/**
 * A matrix whose labels depend on its first three features, missingness included: for tests and benchmarks of whatever trains. Each
 * third feature takes few distinct values, so that ties and whole bins occur.
 */
export function randomMatrix({ rowCount, featureCount, seed, missingShare = 0.1 }: RandomMatrixShape): TrainingMatrix {
  const random = new SeededRandom(seed);
  const columns = Array.from({ length: featureCount }, (_, feature) =>
    Float32Array.from({ length: rowCount }, () => {
      if (random.nextUnit() < missingShare) return NaN;
      return feature % 3 === 2 ? random.nextBelow(6) : random.nextUnit() * 10 - 5;
    }),
  );
  const at = (feature: number, row: number): number => columns[feature]?.[row] ?? 0;
  const labels = Uint8Array.from({ length: rowCount }, (_, row) => {
    const first = at(0, row);
    const margin = (Number.isNaN(first) ? 2 : first) + Math.sin(at(1, row) || 0) * (at(2, row) || 1) - 3;
    return random.nextUnit() < logistic(margin) ? 1 : 0;
  });
  const featureNames = columns.map((_, feature) => `feature_${feature}`);
  return { rowCount, featureNames, columns, labels };
}
