import type { ModelTrees } from './model-trees.ts';

/** Leaves a tree may have: a bit each. */
const maxLeaves = 32;

/** A condition of a tree, of the kind "the value is at most the threshold", and the leaves that are out of reach for whoever does not meet it. */
interface Condition {
  readonly threshold: number;
  readonly tree: number;
  /** A 0 for each leaf on the left of the condition. */
  readonly mask: number;
}

/**
 * Scores rows with boosted trees by the method QuickScorer (Lucchese, Nardini, Orlando, Perego, Tonellotto and Venturini, SIGIR 2015): conditions are sorted by feature
 * and threshold, so that for a row those that do not hold are a prefix of each feature's list; each of them strikes leaves off its tree, and the
 * leftmost that is left is the one that the row comes to. No branch depends on a tree, which is what makes walks slow.
 *
 * Sums are made in float32 in the trees' order, as ONNX Runtime makes them; its logistic function may differ from this one in the last bit.
 */
export class QuickScorer {
  readonly #featureCount: number;
  readonly #baseScore: number;
  /**
   * Where each feature's conditions begin: first those of all features that a missing value does not meet, then those that it does meet. One entry
   * more than there are lists.
   */
  readonly #starts: Uint32Array;
  readonly #thresholds: Float32Array;
  readonly #trees: Uint32Array;
  readonly #masks: Int32Array;
  /** By tree and leaf, left to right. */
  readonly #leafValues: Float32Array;
  /** A bit for each leaf that is not struck off yet, by tree. */
  readonly #reachable: Int32Array;

  private constructor(trees: ModelTrees, featureCount: number) {
    const treeCount = trees.treeStarts.length - 1;
    this.#featureCount = featureCount;
    this.#baseScore = trees.baseScore;
    this.#leafValues = new Float32Array(treeCount * maxLeaves);
    this.#reachable = new Int32Array(treeCount);
    const lists = Array.from({ length: featureCount * 2 }, (): Condition[] => []);
    for (let tree = 0; tree < treeCount; tree++) this.#lay(trees, tree, lists);
    for (const list of lists) list.sort((a, b) => a.threshold - b.threshold);
    const all = lists.flat();
    this.#starts = new Uint32Array(lists.length + 1);
    lists.forEach((list, index) => (this.#starts[index + 1] = (this.#starts[index] ?? 0) + list.length));
    this.#thresholds = Float32Array.from(all, ({ threshold }) => threshold);
    this.#trees = Uint32Array.from(all, ({ tree }) => tree);
    this.#masks = Int32Array.from(all, ({ mask }) => mask);
  }

  /** @returns `null` for trees of more than 32 leaves, and for thresholds that are not finite: those are ONNX Runtime's. */
  static of(trees: ModelTrees, featureCount: number): QuickScorer | null {
    if (!trees.threshold.every(Number.isFinite)) return null;
    for (let tree = 0; tree + 1 < trees.treeStarts.length; tree++) {
      const nodeCount = (trees.treeStarts[tree + 1] ?? 0) - (trees.treeStarts[tree] ?? 0);
      if ((nodeCount + 1) / 2 > maxLeaves) return null;
    }
    return new QuickScorer(trees, featureCount);
  }

  /**
   * The probability of the positive class of each row.
   *
   * @param matrix `rowCount × features`, row-major, NaN for missing.
   */
  score(matrix: Float32Array, rowCount: number): Float32Array {
    const probabilities = new Float32Array(rowCount);
    const reachable = this.#reachable;
    const leafValues = this.#leafValues;
    for (let row = 0; row < rowCount; row++) {
      reachable.fill(-1);
      this.#strike(matrix, row * this.#featureCount);
      let margin = 0;
      for (let tree = 0; tree < reachable.length; tree++) {
        const left = reachable[tree] ?? 0;
        // The lowest bit that is set: the leftmost leaf.
        const leaf = 31 - Math.clz32(left & -left);
        margin = Math.fround(margin + (leafValues[tree * maxLeaves + leaf] ?? 0));
      }
      margin = Math.fround(margin + this.#baseScore);
      probabilities[row] = 1 / (1 + Math.exp(-margin));
    }
    return probabilities;
  }

  /** Strikes the leaves off that the row whose values begin at `at` cannot come to. */
  #strike(matrix: Float32Array, at: number): void {
    const featureCount = this.#featureCount;
    const starts = this.#starts;
    const thresholds = this.#thresholds;
    const trees = this.#trees;
    const masks = this.#masks;
    const reachable = this.#reachable;
    for (let feature = 0; feature < featureCount; feature++) {
      const value = matrix[at + feature] ?? NaN;
      // A missing value is above every threshold of the first lists, and below every one of the second.
      const first = value === value ? value : Infinity;
      for (let i = starts[feature] ?? 0, end = starts[feature + 1] ?? 0; i < end; i++) {
        if ((thresholds[i] ?? 0) >= first) break;
        const tree = trees[i] ?? 0;
        reachable[tree] = (reachable[tree] ?? 0) & (masks[i] ?? 0);
      }
      if (value !== value) continue;
      const list = feature + featureCount;
      for (let i = starts[list] ?? 0, end = starts[list + 1] ?? 0; i < end; i++) {
        if ((thresholds[i] ?? 0) >= value) break;
        const tree = trees[i] ?? 0;
        reachable[tree] = (reachable[tree] ?? 0) & (masks[i] ?? 0);
      }
    }
  }

  /** Numbers a tree's leaves from left to right, and files its conditions. */
  #lay(trees: ModelTrees, tree: number, lists: readonly Condition[][]): void {
    let leafCount = 0;
    const visit = (node: number): number => {
      const feature = trees.feature[node] ?? -1;
      if (feature < 0) {
        this.#leafValues[tree * maxLeaves + leafCount] = trees.leafValue[node] ?? 0;
        return 1 << leafCount++;
      }
      const leftLeaves = visit(trees.left[node] ?? 0);
      const rightLeaves = visit(trees.right[node] ?? 0);
      const list = trees.missingGoesLeft[node] === 1 ? feature + this.#featureCount : feature;
      lists[list]?.push({ threshold: trees.threshold[node] ?? 0, tree, mask: ~leftLeaves });
      return leftLeaves | rightLeaves;
    };
    visit(trees.treeStarts[tree] ?? 0);
  }
}
