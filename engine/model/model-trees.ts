/**
 * A boosted-tree classifier as flat arrays, as a model's file holds it: trees one after another, roots first, children by absolute index. Everything is float32,
 * as ONNX Runtime computes.
 */
export interface ModelTrees {
  /** Log-odds that every row starts from. */
  readonly baseScore: number;
  /** Where each tree's nodes begin; one entry more than there are trees. */
  readonly treeStarts: Uint32Array;
  /** The input that a node asks for; −1 where the node is a leaf. */
  readonly feature: Int32Array;
  /** A row goes left iff its value is at most this. */
  readonly threshold: Float32Array;
  readonly left: Uint32Array;
  readonly right: Uint32Array;
  /** 1 where a missing value (NaN) goes left. */
  readonly missingGoesLeft: Uint8Array;
  /** What a leaf adds to the log-odds. */
  readonly leafValue: Float32Array;
}
