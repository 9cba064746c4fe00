import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from './latency-histogram.ts';

describe('the latency histogram', () => {
  it('tells any quantile to within two percent of the sorted values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.02, max: 1e6, noNaN: true }), { minLength: 1 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, q) => {
          const histogram = new LatencyHistogram();
          for (const value of values) histogram.record(value, 1);
          const sorted = values.toSorted((a, b) => a - b);
          const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1] ?? NaN;
          const told = histogram.quantileMs(q) ?? NaN;
          expect(told / exact).toBeGreaterThanOrEqual(0.999_999);
          expect(told / exact).toBeLessThanOrEqual(1.02);
        },
      ),
    );
  });

  it('tells of two what one tells that was given both', () => {
    const [a, b, both] = [new LatencyHistogram(), new LatencyHistogram(), new LatencyHistogram()];
    for (const [histogram, latencyMs] of [
      [a, 3],
      [a, 90],
      [b, 4],
      [b, 5],
    ] as const) {
      histogram.record(latencyMs, 7);
      both.record(latencyMs, 7);
    }
    a.add(b);
    expect(a.count).toBe(28);
    for (const q of [0.25, 0.5, 0.75, 1]) expect(a.quantileMs(q)).toBe(both.quantileMs(q));
  });

  it('has nothing to tell before the first, and takes clocks that disagree for zero', () => {
    const histogram = new LatencyHistogram();
    expect(histogram.quantileMs(0.5)).toBeNull();
    histogram.record(-5, 3);
    expect(histogram.count).toBe(3);
    expect(histogram.quantileMs(0.99)).toBeLessThan(0.02);
  });
});
