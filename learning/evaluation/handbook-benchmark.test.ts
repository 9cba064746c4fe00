import { describe, expect, it } from 'vitest';
import { generateHandbookTransactions } from '../../simulation/handbook/transactions.ts';
import { handbookFeatures } from '../testing/handbook-features.ts';
import { runHandbookBenchmark } from './handbook-benchmark.ts';

describe('runHandbookBenchmark', () => {
  const stream = generateHandbookTransactions();
  const features = { ...stream, features: handbookFeatures(stream) };

  it('beats the best published single-week figure with the 15 features and 28 mature days', () => {
    const { folds, mean } = runHandbookBenchmark(features, 'baseline');
    expect(folds).toMatchObject([{ trainWeekStart: '2018-07-25', testRows: 58_264, testFrauds: 385 }]);
    expect(mean.averagePrecision).toBeGreaterThanOrEqual(0.658);
    expect(mean.cardPrecision100).toBeGreaterThanOrEqual(0.28);
  });

  it('trains on the published week where it is told to, and says so fold by fold', () => {
    const started: string[] = [];
    const options = {
      trainDays: 7,
      params: { treeCount: 20 },
      onFold: (_: string, week: string) => started.push(week),
    };
    const { folds, mean, deviation } = runHandbookBenchmark(features, 'prequential', options);
    expect(started).toEqual(['2018-08-15', '2018-08-08', '2018-08-01', '2018-07-25']);
    expect(folds[3]).toMatchObject({ trainRows: 67_240, trainFrauds: 598, testRows: 58_264, testFrauds: 385 });
    const figures = folds.map(({ averagePrecision }) => averagePrecision);
    expect(mean.averagePrecision).toBeCloseTo(figures.reduce((sum, figure) => sum + figure, 0) / 4, 12);
    expect(deviation.averagePrecision).toBeLessThan(Math.max(...figures) - Math.min(...figures));
  });

  it('gives nothing away: features without information score as the published random model does', () => {
    const noise = { ...stream, features: new Map([['constant', new Float64Array(stream.rowCount)]]) };
    const { mean } = runHandbookBenchmark(noise, 'baseline', { params: { treeCount: 1 } });
    expect(mean.aucRoc).toBe(0.5);
    expect(mean.averagePrecision).toBeCloseTo(0.0066, 4);
  });
});
