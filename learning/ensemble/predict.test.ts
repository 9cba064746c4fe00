import { describe, expect, it } from 'vitest';
import { logistic, predictMargins, predictProbabilities } from './predict.ts';
import { firstTrees, treeCountOf } from './tree-ensemble.ts';
import { TreeNodes } from './tree-nodes.ts';

/** `a <= 1 ? -2 : (b <= 0.1 ? 0.5 : 3)`, a missing `a` going right and a missing `b` left; then a single leaf of 0.25. */
function twoTrees() {
  const nodes = new TreeNodes();
  nodes.beginTree();
  const [root, low, high, small, large] = [10, 4, 6, 2, 4].map((cover) => nodes.addLeaf(cover)) as [
    number,
    ...number[],
  ];
  nodes.setSplit(root, { feature: 0, threshold: 1, missing: 'right' }, low ?? 0, high ?? 0);
  nodes.setSplit(high ?? 0, { feature: 1, threshold: Math.fround(0.1), missing: 'left' }, small ?? 0, large ?? 0);
  nodes.setLeafValue(low ?? 0, -2);
  nodes.setLeafValue(small ?? 0, 0.5);
  nodes.setLeafValue(large ?? 0, 3);
  nodes.beginTree();
  nodes.setLeafValue(nodes.addLeaf(10), 0.25);
  return nodes.view(['a', 'b'], -1);
}

describe('predictMargins', () => {
  it('sends a value equal to the threshold left, as a float32, and a missing one where it was told', () => {
    const a = Float32Array.of(1, 1.0000001, NaN, 5, 5, 5, Infinity, -Infinity);
    const b = Float32Array.of(9, 9, 9, 0.1, NaN, 0.11, 0, 0);
    const margins = predictMargins(twoTrees(), [a, b], 8);
    expect([...margins].map((margin) => margin + 1 - 0.25)).toEqual([-2, 3, 3, 0.5, 0.5, 3, 0.5, -2]);
  });

  it('adds in float32, as ONNX Runtime does', () => {
    const nodes = new TreeNodes();
    for (const value of [1, 1e-8, 1e-8]) {
      nodes.beginTree();
      nodes.setLeafValue(nodes.addLeaf(1), value);
    }
    expect(predictMargins(nodes.view(['a'], 0), [Float32Array.of(0)], 1)[0]).toBe(1);
  });

  it('says of the first trees what they alone would say', () => {
    const [all, first] = [twoTrees(), firstTrees(twoTrees(), 1)];
    expect(treeCountOf(first)).toBe(1);
    expect(first.feature).toHaveLength(5);
    const columns = [Float32Array.of(0), Float32Array.of(0)];
    expect(predictMargins(first, columns, 1)[0]).toBe((predictMargins(all, columns, 1)[0] ?? NaN) - 0.25);
  });
});

describe('predictProbabilities', () => {
  it('is the logistic function of the margins', () => {
    const columns = [Float32Array.of(0), Float32Array.of(0)];
    expect(predictProbabilities(twoTrees(), columns, 1)[0]).toBeCloseTo(1 / (1 + Math.exp(2.75)), 7);
  });

  it('stays within 0 and 1 at any margin', () => {
    expect([logistic(-1e4), logistic(0), logistic(1e4)]).toEqual([0, 0.5, 1]);
  });
});
