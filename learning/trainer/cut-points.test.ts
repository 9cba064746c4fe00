import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseCutPoints } from './cut-points.ts';

const none = new Float32Array();

describe('chooseCutPoints', () => {
  it('cuts half way between values where there are few of them', () => {
    expect([...chooseCutPoints(Float32Array.of(4, 1, 1, 2), none, 254)]).toEqual([1.5, 3]);
  });

  it('has no cuts for a feature of one value or of none', () => {
    expect(chooseCutPoints(Float32Array.of(7, 7), none, 254)).toHaveLength(0);
    expect(chooseCutPoints(none, none, 254)).toHaveLength(0);
  });

  it('takes 0 and -0 for one value', () => {
    expect(chooseCutPoints(Float32Array.of(0, -0), none, 254)).toHaveLength(0);
  });

  it('keeps neighbouring float32 values apart', () => {
    const next = new Float32Array(new Uint32Array([0x3f800001]).buffer)[0] ?? 0;
    const [cut] = chooseCutPoints(Float32Array.of(1, next), none, 254);
    expect(cut).toBeGreaterThanOrEqual(1);
    expect(cut).toBeLessThan(next);
  });

  it('parts zero from not zero where nearly all values are zero', () => {
    const values = new Float32Array(10_000);
    for (let i = 0; i < 50; i++) values[i] = 1 + i / 100;
    const cuts = chooseCutPoints(values, none, 10);
    expect(cuts[0]).toBeCloseTo(0.5);
    expect(cuts.length).toBeGreaterThan(4);
  });

  it('puts as many rows between each two cuts where values are spread evenly', () => {
    const values = Float32Array.from({ length: 1_000 }, (_, i) => i);
    const cuts = chooseCutPoints(values, Float32Array.of(), 9);
    expect([...cuts]).toEqual([99.5, 199.5, 299.5, 399.5, 499.5, 599.5, 699.5, 799.5, 899.5]);
  });

  it('spends half of the cuts where the positives lie', () => {
    const all = Float32Array.from({ length: 100_000 }, (_, i) => i);
    const positives = Float32Array.from({ length: 500 }, (_, i) => 90_000 + i);
    const cuts = chooseCutPoints(all, positives, 20);
    expect(cuts.filter((cut) => cut >= 90_000 && cut < 90_500)).toHaveLength(10);
    expect(cuts).toHaveLength(20);
  });

  it('gives rising cuts, no more than asked for, each with values on both sides', () => {
    const value = fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: -3, max: 3 }));
    const values = fc.array(value, { maxLength: 300 });
    fc.assert(
      fc.property(values, fc.array(fc.nat()), fc.integer({ min: 1, max: 40 }), (drawn, picks, maxCuts) => {
        const all = Float32Array.from(drawn);
        const positives = Float32Array.from(all.length === 0 ? [] : picks.map((pick) => all[pick % all.length] ?? 0));
        const cuts = chooseCutPoints(all, positives, maxCuts);
        expect(cuts.length).toBeLessThanOrEqual(maxCuts);
        cuts.forEach((cut, i) => {
          expect(cut).toBeGreaterThan(cuts[i - 1] ?? -Infinity);
          expect(all.some((other) => other <= cut)).toBe(true);
          expect(all.some((other) => other > cut)).toBe(true);
        });
      }),
    );
  });
});
