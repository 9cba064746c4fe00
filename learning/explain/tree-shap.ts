import { strict as assert } from 'node:assert';
import { featureCountOf, leafFeature, treeCountOf, type TreeEnsemble } from '../ensemble/tree-ensemble.ts';
import { ShapleyTables } from './shapley-tables.ts';

/** Contributions that tables may hold when nothing else is said: 32 MiB of them, enough for 1,000 trees of depth 5. */
const defaultTableLength = 4 * 1024 * 1024;

/**
 * Says how much each feature moved one row's log-odds: exact Shapley values of the trees, path-dependent (Lundberg, Erion and Lee 2018,
 * algorithm 2), where a feature that is "not known" follows both branches in proportion to the training rows that took them.
 *
 * Contributions and {@link expectedMargin} add up to the row's log-odds. Scoring makes one explainer a model and calls it for alerts, or on
 * request. Where the trees are small enough, everything is looked up in tables (see {@link ShapleyTables}); else a row costs about 1.6 ms for 100 trees of
 * depth 6. Not shared between threads.
 */
export class TreeExplainer {
  /** Log-odds that the model gives on average over its training rows, weighted as training weighted them: what is said of a row of which nothing is known. */
  readonly expectedMargin: number;

  readonly #ensemble: TreeEnsemble;
  /** Of a node's weight in its parent: the chance to go that way where the feature is not known. */
  readonly #shareOfParent: Float64Array;
  readonly #tables: ShapleyTables | null;
  readonly #path: FeaturePath;
  #row: ArrayLike<number> = [];
  #contributions = new Float64Array();

  /** @param maxTableLength contributions that tables may hold; with 0, every row is walked down the trees. */
  constructor(ensemble: TreeEnsemble, maxTableLength: number = defaultTableLength) {
    this.#ensemble = ensemble;
    const { covers, depth } = measure(ensemble);
    this.#path = new FeaturePath(depth);
    this.#shareOfParent = new Float64Array(covers.length);
    for (let node = 0; node < covers.length; node++) {
      if (ensemble.feature[node] === leafFeature) continue;
      for (const child of [ensemble.left[node] as number, ensemble.right[node] as number]) {
        this.#shareOfParent[child] = (covers[child] as number) / (covers[node] as number);
      }
    }
    this.#tables = ShapleyTables.of(ensemble, this.#shareOfParent, maxTableLength);
    this.expectedMargin = ensemble.baseScore + expectedSum(ensemble, this.#shareOfParent);
  }

  /**
   * Explains one row.
   *
   * @param row values in the ensemble's order, as the model was given them: float32, NaN for missing.
   * @returns one contribution a feature, in the same order, in log-odds; positive ones speak for fraud.
   */
  explain(row: ArrayLike<number>): Float64Array {
    assert(row.length === featureCountOf(this.#ensemble), 'a row must have a value for every feature');
    this.#row = row;
    this.#contributions = new Float64Array(row.length);
    if (this.#tables !== null) {
      this.#tables.explain(row, this.#contributions);
      return this.#contributions;
    }
    for (let tree = 0; tree < treeCountOf(this.#ensemble); tree++) {
      this.#visit(this.#ensemble.treeStarts[tree] as number, 0, 0, 1, 1, -1);
    }
    return this.#contributions;
  }

  /**
   * Walks down to every leaf, with the features asked on the way and how the row, and the training rows, fared at each.
   *
   * @param length of the path above this node.
   * @param zero share of the training rows that come this way from the parent; @param one 1 where the row itself does, else 0.
   */
  #visit(node: number, start: number, length: number, zero: number, one: number, feature: number): void {
    const ensemble = this.#ensemble;
    const path = this.#path;
    path.extend(start, length, zero, one, feature);
    const split = ensemble.feature[node] as number;
    if (split === leafFeature) {
      const value = ensemble.leafValue[node] as number;
      for (let i = 1; i <= length; i++) {
        const known = path.features[start + i] as number;
        const difference = (path.ones[start + i] as number) - (path.zeros[start + i] as number);
        const moved = path.weightWithout(start, length, i) * difference * value;
        this.#contributions[known] = (this.#contributions[known] as number) + moved;
      }
      return;
    }
    const [hot, cold] = this.#childrenOf(node);
    // A feature asked for the second time takes the place of the first: its two answers are one.
    const earlier = path.find(start, length, split);
    let below = length + 1;
    let zeroBefore = 1;
    let oneBefore = 1;
    if (earlier >= 0) {
      zeroBefore = path.zeros[start + earlier] as number;
      oneBefore = path.ones[start + earlier] as number;
      path.remove(start, length, earlier);
      below = length;
    }
    for (const child of [hot, cold]) {
      const copy = path.copy(start, below);
      const share = zeroBefore * (this.#shareOfParent[child] as number);
      this.#visit(child, copy, below, share, child === hot ? oneBefore : 0, split);
    }
  }

  /** The child that the row goes to, and the other. */
  #childrenOf(node: number): readonly [number, number] {
    const { feature, threshold, left, right, missingGoesLeft } = this.#ensemble;
    const value = Math.fround(this.#row[feature[node] as number] as number);
    const goesLeft = value !== value ? missingGoesLeft[node] === 1 : value <= (threshold[node] as number);
    const children = [left[node] as number, right[node] as number] as const;
    return goesLeft ? children : [children[1], children[0]];
  }
}

/**
 * The different features on the way from a root to a node. Of each: the share of training rows (`zeros`) and of this row (`ones`) that its
 * answers let through. `weights[i]` is the weight of all subsets of `i` of them. Every level of the walk has its own stretch of the arrays.
 */
class FeaturePath {
  readonly features: Int32Array;
  readonly zeros: Float64Array;
  readonly ones: Float64Array;
  readonly #weights: Float64Array;

  constructor(depth: number) {
    // One stretch a level, each one element longer than the last.
    const size = ((depth + 2) * (depth + 3)) / 2;
    this.features = new Int32Array(size);
    this.zeros = new Float64Array(size);
    this.ones = new Float64Array(size);
    this.#weights = new Float64Array(size);
  }

  /** Copies the first `length` elements of a stretch to behind it, where the next level works; returns where that begins. */
  copy(start: number, length: number): number {
    const to = start + length;
    this.features.copyWithin(to, start, to);
    this.zeros.copyWithin(to, start, to);
    this.ones.copyWithin(to, start, to);
    this.#weights.copyWithin(to, start, to);
    return to;
  }

  extend(start: number, length: number, zero: number, one: number, feature: number): void {
    const weights = this.#weights;
    this.features[start + length] = feature;
    this.zeros[start + length] = zero;
    this.ones[start + length] = one;
    weights[start + length] = length === 0 ? 1 : 0;
    for (let i = length - 1; i >= 0; i--) {
      const weight = weights[start + i] as number;
      weights[start + i + 1] = (weights[start + i + 1] as number) + (one * weight * (i + 1)) / (length + 1);
      weights[start + i] = (zero * weight * (length - i)) / (length + 1);
    }
  }

  /** Takes element `at` out of a path of `length` + 1 elements, as if it had never been asked. */
  remove(start: number, length: number, at: number): void {
    const weights = this.#weights;
    const zero = this.zeros[start + at] as number;
    const one = this.ones[start + at] as number;
    let next = weights[start + length] as number;
    for (let i = length - 1; i >= 0; i--) {
      const weight = weights[start + i] as number;
      if (one === 0) {
        weights[start + i] = (weight * (length + 1)) / (zero * (length - i));
      } else {
        const kept = (next * (length + 1)) / ((i + 1) * one);
        weights[start + i] = kept;
        next = weight - (kept * zero * (length - i)) / (length + 1);
      }
    }
    for (let i = start + at; i < start + length; i++) {
      this.features[i] = this.features[i + 1] as number;
      this.zeros[i] = this.zeros[i + 1] as number;
      this.ones[i] = this.ones[i + 1] as number;
    }
  }

  /** The sum of the weights that {@link remove} would leave. */
  weightWithout(start: number, length: number, at: number): number {
    const weights = this.#weights;
    const zero = this.zeros[start + at] as number;
    const one = this.ones[start + at] as number;
    let next = weights[start + length] as number;
    let total = 0;
    for (let i = length - 1; i >= 0; i--) {
      const weight = weights[start + i] as number;
      if (one === 0) {
        total += (weight * (length + 1)) / (zero * (length - i));
      } else {
        const kept = (next * (length + 1)) / ((i + 1) * one);
        total += kept;
        next = weight - (kept * zero * (length - i)) / (length + 1);
      }
    }
    return total;
  }

  /** Where a feature stands in a path of `length` + 1 elements; −1 where it does not. Element 0 is the root, which asks nothing. */
  find(start: number, length: number, feature: number): number {
    for (let i = 1; i <= length; i++) {
      if (this.features[start + i] === feature) return i;
    }
    return -1;
  }
}

/**
 * Covers with every inner node's the exact sum of its children's, and the greatest depth. Stored covers are float32, whose sums are
 * off in the eighth digit, and contributions would then not add up.
 */
function measure(ensemble: TreeEnsemble): { covers: Float64Array; depth: number } {
  const covers = Float64Array.from(ensemble.cover);
  const heights = new Uint32Array(covers.length);
  for (let node = covers.length - 1; node >= 0; node--) {
    if (ensemble.feature[node] === leafFeature) {
      assert((covers[node] as number) > 0, 'a leaf must have a cover to be explained');
      continue;
    }
    const left = ensemble.left[node] as number;
    const right = ensemble.right[node] as number;
    covers[node] = (covers[left] as number) + (covers[right] as number);
    heights[node] = 1 + Math.max(heights[left] as number, heights[right] as number);
  }
  return { covers, depth: heights.reduce((greatest, height) => Math.max(greatest, height), 0) };
}

/** The mean leaf over the training rows, summed over the trees: what the shares let through to each leaf, times its value. */
function expectedSum(ensemble: TreeEnsemble, shareOfParent: Float64Array): number {
  const reach = new Float64Array(shareOfParent.length);
  let sum = 0;
  for (let tree = 0; tree < treeCountOf(ensemble); tree++) reach[ensemble.treeStarts[tree] as number] = 1;
  for (let node = 0; node < reach.length; node++) {
    const share = reach[node] as number;
    if (ensemble.feature[node] === leafFeature) {
      sum += share * (ensemble.leafValue[node] as number);
      continue;
    }
    for (const child of [ensemble.left[node] as number, ensemble.right[node] as number]) {
      reach[child] = share * (shareOfParent[child] as number);
    }
  }
  return sum;
}
