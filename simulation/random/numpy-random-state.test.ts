import { describe, expect, it } from 'vitest';
import { NumpyRandomState } from './numpy-random-state.ts';

// The expected numbers were printed by numpy 1.24.4.
describe('NumpyRandomState', () => {
  it("draws numpy's uniforms, normals and Poisson counts from one stream, in turn", () => {
    const random = new NumpyRandomState(7);
    expect([random.uniform(-1, 3), random.uniform(-1, 3)]).toEqual([-0.6947668425041713, 2.1196751689604585]);
    const normals = Array.from({ length: 3 }, () => random.normal(10, 2));
    expect(normals).toEqual([13.381051407600712, 9.068125258918334, 10.065640327357169]);
    const counts = Array.from({ length: 12 }, () => random.poisson(3.5));
    expect(counts).toEqual([2, 4, 3, 1, 5, 4, 4, 4, 4, 4, 4, 3]);
  });

  it("draws numpy's Poisson counts at every rate below ten, and takes no word at rate zero", () => {
    const random = new NumpyRandomState(20180401);
    expect([0, 0.1, 1, 2, 4, 9.5].map((rate) => random.poisson(rate))).toEqual([0, 0, 2, 3, 2, 10]);
  });

  it('forgets the second value of a pair of normals when it is seeded', () => {
    const random = new NumpyRandomState(0);
    const pair = [random.normal(0, 1), random.normal(0, 1)];
    expect(pair).toEqual([1.764052345967664, 0.4001572083672233]);
    random.normal(0, 1);
    random.seed(0);
    expect([random.normal(0, 1), random.normal(0, 1)]).toEqual(pair);
  });

  it("samples without replacement as numpy's choice does", () => {
    expect([...new NumpyRandomState(3).sample(10, 10)]).toEqual([5, 4, 1, 2, 9, 6, 7, 0, 3, 8]);
    expect([...new NumpyRandomState(181).sample(10_000, 2)]).toEqual([8036, 7289]);
  });
});
