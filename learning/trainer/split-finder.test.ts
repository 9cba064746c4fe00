import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { binMatrix } from './binned-matrix.ts';
import { HistogramBuilder, subtractHistogram } from './histogram.ts';
import { bestNaiveGain, naiveGain, rowsOf } from '../testing/naive-split.ts';
import { randomMatrix } from '../testing/random-matrix.ts';
import { SeededRandom } from './seeded-random.ts';
import { findSplit, type SplitLimits } from './split-finder.ts';
import type { TrainingMatrix } from './training-matrix.ts';

const limits: SplitLimits = { l2: 1, minChildWeight: 0.5, minSplitGain: 0 };

/** Random derivatives in the ranges that the logistic loss has. */
function randomGradients(rowCount: number, random: SeededRandom): Float64Array {
  const gradients = new Float64Array(2 * rowCount);
  for (let row = 0; row < rowCount; row++) {
    const probability = random.nextUnit();
    gradients[2 * row] = probability - (random.nextUnit() < 0.3 ? 1 : 0);
    gradients[2 * row + 1] = probability * (1 - probability);
  }
  return gradients;
}

function setUp(matrix: TrainingMatrix, seed: number) {
  const random = new SeededRandom(seed);
  const gradients = randomGradients(matrix.rowCount, random);
  const binned = binMatrix(matrix, 255, random);
  const builder = new HistogramBuilder(binned);
  const features = Uint32Array.from(matrix.columns, (_, feature) => feature);
  const histogramOf = (rows: Uint32Array): Float64Array => {
    const histogram = builder.allocate();
    builder.build(histogram, rows, 0, rows.length, gradients, new Uint8Array(binned.wordsPerRow).fill(1));
    return histogram;
  };
  return { binned, gradients, features, histogramOf };
}

describe('findSplit', () => {
  it('finds as good a split as trying every value of every feature with missing rows on either side', () => {
    const weights = fc.double({ min: 0.01, max: 3, noNaN: true });
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 2, max: 60 }), weights, weights, (seed, rowCount, l2, minChildWeight) => {
        const matrix = randomMatrix({ rowCount, featureCount: 4, seed });
        const { binned, gradients, features, histogramOf } = setUp(matrix, seed);
        const rows = rowsOf(rowCount);
        const loose = { l2, minChildWeight, minSplitGain: 0 };
        const total = sums(gradients, rows);
        const split = findSplit(histogramOf(rows), total, features, binned, loose);
        const best = bestNaiveGain(matrix, gradients, rows, loose);
        const tolerance = 1e-9 * Math.max(1, best);
        expect(Math.abs((split?.gain ?? 0) - Math.max(0, best))).toBeLessThan(tolerance);
        if (split === undefined) return;
        expect(Math.abs(naiveGain(matrix, gradients, rows, split, loose) - split.gain)).toBeLessThan(tolerance);
      }),
      { numRuns: 300 },
    );
  });

  it('finds the same split in a histogram that was got by subtraction', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const matrix = randomMatrix({ rowCount: 200, featureCount: 5, seed });
        const { binned, gradients, features, histogramOf } = setUp(matrix, seed);
        const all = rowsOf(matrix.rowCount);
        const [smaller, larger] = [all.filter((row) => row % 3 === 0), all.filter((row) => row % 3 !== 0)];
        const subtracted = histogramOf(all);
        subtractHistogram(subtracted, histogramOf(smaller));
        const total = sums(gradients, larger);
        const fromSubtraction = findSplit(subtracted, total, features, binned, limits);
        expect(fromSubtraction?.gain ?? 0).toBeCloseTo(
          findSplit(histogramOf(larger), total, features, binned, limits)?.gain ?? 0,
          9,
        );
      }),
    );
  });

  it('asks for more gain than minSplitGain', () => {
    const matrix = randomMatrix({ rowCount: 100, featureCount: 3, seed: 5 });
    const { binned, gradients, features, histogramOf } = setUp(matrix, 5);
    const rows = rowsOf(100);
    const total = sums(gradients, rows);
    const split = findSplit(histogramOf(rows), total, features, binned, limits);
    const gain = split?.gain ?? 0;
    expect(gain).toBeGreaterThan(0);
    const findWith = (minSplitGain: number) =>
      findSplit(histogramOf(rows), total, features, binned, { ...limits, minSplitGain });
    expect(findWith(gain * 0.99)?.gain).toBeCloseTo(gain);
    expect(findWith(gain * 1.01)).toBeUndefined();
  });

  it('splits a feature of one value by whether it is missing', () => {
    const columns = [Float32Array.of(1, NaN, 1, NaN, 1, NaN)];
    const matrix = { rowCount: 6, featureNames: ['a'], columns, labels: Uint8Array.of(0, 1, 0, 1, 0, 1) };
    const { binned, features, histogramOf } = setUp(matrix, 0);
    const gradients = Float64Array.of(0.5, 0.25, -0.5, 0.25, 0.5, 0.25, -0.5, 0.25, 0.5, 0.25, -0.5, 0.25);
    const builder = new HistogramBuilder(binned);
    const histogram = histogramOf(Uint32Array.of());
    builder.build(histogram, rowsOf(6), 0, 6, gradients, Uint8Array.of(1));
    const split = findSplit(histogram, sums(gradients, rowsOf(6)), features, binned, { ...limits, minChildWeight: 0 });
    expect(split).toMatchObject({ feature: 0, missing: 'right', left: { gradient: 1.5 }, right: { gradient: -1.5 } });
    expect(split?.threshold).toBeGreaterThan(3e38);
  });

  it('sends values that were never missing in training where more of the weight goes', () => {
    const columns = [Float32Array.of(1, 2, 2, 2)];
    const matrix = { rowCount: 4, featureNames: ['a'], columns, labels: Uint8Array.of(1, 0, 0, 0) };
    const { binned, features, histogramOf } = setUp(matrix, 0);
    const gradients = Float64Array.of(-0.5, 0.25, 0.5, 0.25, 0.5, 0.25, 0.5, 0.25);
    const builder = new HistogramBuilder(binned);
    const histogram = histogramOf(Uint32Array.of());
    builder.build(histogram, rowsOf(4), 0, 4, gradients, Uint8Array.of(1));
    const split = findSplit(histogram, sums(gradients, rowsOf(4)), features, binned, { ...limits, minChildWeight: 0 });
    expect(split).toMatchObject({ threshold: 1.5, missing: 'right' });
  });
});

function sums(gradients: Float64Array, rows: Uint32Array): { gradient: number; curvature: number } {
  let gradient = 0;
  let curvature = 0;
  for (const row of rows) {
    gradient += gradients[2 * row] ?? 0;
    curvature += gradients[2 * row + 1] ?? 0;
  }
  return { gradient, curvature };
}
