/**
 * A boosted-tree classifier as flat arrays: what the trainer makes, the ONNX writer stores, and the explainer reads.
 *
 * All trees lie one after another in the same node arrays; the nodes of tree `t` are `treeStarts[t]` up to, not including,
 * `treeStarts[t + 1]`, its root first, parents before children. Child indexes are absolute. Everything that takes part in a
 * prediction is a float32, because that is what ONNX Runtime computes with: a row must fall on the same side of a threshold here,
 * in the runtime, and in whatever compiles the trees later.
 */
export interface TreeEnsemble {
  /** The inputs in the order in which a row gives them. */
  readonly featureNames: readonly string[];
  /** Log-odds that every row starts from, a float32. */
  readonly baseScore: number;
  /** Where each tree's nodes begin; one entry more than there are trees. */
  readonly treeStarts: Uint32Array;
  /** The feature that a node asks for, or {@link leafFeature} where the node is a leaf. */
  readonly feature: Int32Array;
  /** A row goes left iff its value is at most this. Zero at leaves. */
  readonly threshold: Float32Array;
  /** Node index of the left child; zero at leaves. */
  readonly left: Uint32Array;
  /** Node index of the right child; zero at leaves. */
  readonly right: Uint32Array;
  /** 1 where a missing value (NaN) goes left, 0 where it goes right. */
  readonly missingGoesLeft: Uint8Array;
  /** What a leaf adds to the log-odds, the learning rate already applied. Zero at inner nodes. */
  readonly leafValue: Float32Array;
  /** Sum of the second derivatives of the training rows that reached the node: the weight that TreeSHAP gives it. */
  readonly cover: Float32Array;
}

/** Stands in {@link TreeEnsemble.feature} where a node is a leaf. */
export const leafFeature = -1;

/** How many trees an ensemble has. */
export function treeCountOf(ensemble: TreeEnsemble): number {
  return ensemble.treeStarts.length - 1;
}

/** How many inputs a row must bring. */
export function featureCountOf(ensemble: TreeEnsemble): number {
  return ensemble.featureNames.length;
}

/**
 * The ensemble's first `treeCount` trees, in arrays of their own. Early stopping calls it with the best number of trees.
 *
 * @param treeCount between 0 and the number of trees.
 */
export function firstTrees(ensemble: TreeEnsemble, treeCount: number): TreeEnsemble {
  const nodeCount = ensemble.treeStarts[treeCount] ?? 0;
  return {
    featureNames: ensemble.featureNames,
    baseScore: ensemble.baseScore,
    treeStarts: ensemble.treeStarts.slice(0, treeCount + 1),
    feature: ensemble.feature.slice(0, nodeCount),
    threshold: ensemble.threshold.slice(0, nodeCount),
    left: ensemble.left.slice(0, nodeCount),
    right: ensemble.right.slice(0, nodeCount),
    missingGoesLeft: ensemble.missingGoesLeft.slice(0, nodeCount),
    leafValue: ensemble.leafValue.slice(0, nodeCount),
    cover: ensemble.cover.slice(0, nodeCount),
  };
}
