import { describe, expect, it } from 'vitest';
import { CpythonRandom } from './cpython-random.ts';

// The expected numbers were printed by CPython 3.11.7.
describe('CpythonRandom', () => {
  it("draws CPython's bits and bounded integers", () => {
    const random = new CpythonRandom(0);
    const bits = [1, 7, 16, 31, 32].map((count) => random.getrandbits(count));
    expect(bits).toEqual([1, 49, 49673, 1911784257, 1806341205]);
    const bounded = [1, 2, 3, 10, 1000, 4990].map((limit) => random.below(limit));
    expect(bounded).toEqual([0, 1, 2, 7, 414, 2484]);
  });

  it('samples as CPython does from small populations by a pool and from large ones by a set', () => {
    const random = new CpythonRandom(181);
    expect([...random.sample(10, 3)]).toEqual([9, 1, 0]);
    expect([...random.sample(30, 6)]).toEqual([10, 29, 26, 6, 24, 9]);
    expect([...random.sample(2000, 9)]).toEqual([1543, 680, 474, 920, 934, 1531, 1710, 505, 138]);
    const third = [...random.sample(100, 33)];
    expect(third.slice(0, 6)).toEqual([28, 3, 7, 39, 46, 35]);
    expect(third.slice(-3)).toEqual([69, 51, 11]);
  });

  it("changes from pool to set at CPython's population sizes, 21 for five and 85 for six", () => {
    const six = new CpythonRandom(11);
    expect([...six.sample(85, 6)]).toEqual([57, 71, 59, 84, 65, 75]);
    expect([...six.sample(86, 6)]).toEqual([24, 23, 65, 60, 80, 78]);
    const random = new CpythonRandom(4999);
    random.sample(277, 6);
    random.sample(278, 6);
    expect([...random.sample(21, 5)]).toEqual([8, 15, 14, 17, 2]);
    expect([...random.sample(22, 5)]).toEqual([16, 21, 19, 8, 4]);
  });

  it('gives an empty sample without drawing', () => {
    const [sampled, untouched] = [new CpythonRandom(3), new CpythonRandom(3)];
    expect([...sampled.sample(0, 0)]).toEqual([]);
    expect(sampled.below(1000)).toBe(untouched.below(1000));
  });
});
