import { describe, expect, it } from 'vitest';
import { AliasTable } from './alias-table.ts';
import { Xoshiro128 } from './xoshiro128.ts';

function mean(count: number, draw: () => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += draw();
  return sum / count;
}

describe('Xoshiro128', () => {
  it('gives the same numbers for the same seed and purpose, and others for another seed or purpose', () => {
    const words = (seed: number, purpose: string): number[] => {
      const random = new Xoshiro128(seed, purpose);
      return Array.from({ length: 8 }, () => random.nextUint32());
    };
    expect(words(1, 'a')).toEqual(words(1, 'a'));
    expect(words(1, 'a')).not.toEqual(words(2, 'a'));
    expect(words(1, 'a')).not.toEqual(words(1, 'b'));
  });

  it('has the means and the variance of its distributions', () => {
    const random = new Xoshiro128(3, 'test');
    expect(mean(200_000, () => random.nextDouble())).toBeCloseTo(0.5, 2);
    expect(mean(200_000, () => random.exponential())).toBeCloseTo(1, 2);
    expect(mean(200_000, () => random.normal())).toBeCloseTo(0, 1);
    expect(mean(200_000, () => random.normal() ** 2)).toBeCloseTo(1, 1);
  });

  it('draws every integer below a limit, about equally often', () => {
    const random = new Xoshiro128(4, 'test');
    const counts = Array.from({ length: 7 }, () => 0);
    for (let i = 0; i < 70_000; i++) {
      const drawn = random.below(7);
      counts[drawn] = (counts[drawn] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});

describe('AliasTable', () => {
  it('picks each index in proportion to its weight, and never one without weight', () => {
    const random = new Xoshiro128(5, 'test');
    const table = new AliasTable(Float64Array.of(1, 0, 3, 6));
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 100_000; i++) {
      const picked = table.pick(random);
      counts[picked] = (counts[picked] ?? 0) + 1;
    }
    expect(counts[1]).toBe(0);
    expect((counts[0] ?? 0) / 100_000).toBeCloseTo(0.1, 1);
    expect((counts[2] ?? 0) / 100_000).toBeCloseTo(0.3, 1);
    expect((counts[3] ?? 0) / 100_000).toBeCloseTo(0.6, 1);
  });

  it('picks the only index there is', () => {
    expect(new AliasTable(Float64Array.of(0.3)).pick(new Xoshiro128(1, 'test'))).toBe(0);
  });
});
