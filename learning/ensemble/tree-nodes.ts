import { leafFeature, type TreeEnsemble } from './tree-ensemble.ts';

/**
 * Collects the nodes of a growing ensemble in arrays that double when full. The trainer appends to it tree by tree, the ONNX reader
 * node by node.
 */
export class TreeNodes {
  #capacity = 256;
  #count = 0;
  #feature = new Int32Array(this.#capacity);
  #threshold = new Float32Array(this.#capacity);
  #left = new Uint32Array(this.#capacity);
  #right = new Uint32Array(this.#capacity);
  #missingGoesLeft = new Uint8Array(this.#capacity);
  #leafValue = new Float32Array(this.#capacity);
  #cover = new Float32Array(this.#capacity);
  readonly #treeStarts: number[] = [];

  /** Declares that the next node appended is the root of a new tree. */
  beginTree(): void {
    this.#treeStarts.push(this.#count);
  }

  /**
   * Appends a leaf of value zero and returns its index; {@link setSplit} may later turn it into an inner node.
   *
   * @param cover sum of second derivatives of the rows that reach it.
   */
  addLeaf(cover: number): number {
    if (this.#count === this.#capacity) this.#grow();
    this.#feature[this.#count] = leafFeature;
    this.#cover[this.#count] = cover;
    return this.#count++;
  }

  /** Gives a leaf its value, rounded to float32; returns the rounded value, which is the one that training must go on with. */
  setLeafValue(node: number, value: number): number {
    const rounded = Math.fround(value);
    this.#leafValue[node] = rounded;
    return rounded;
  }

  /** Turns a leaf into an inner node: values at most `threshold` go to `left`, greater ones to `right`, NaN as told. */
  setSplit(
    node: number,
    split: { feature: number; threshold: number; missing: 'left' | 'right' },
    left: number,
    right: number,
  ): void {
    this.#feature[node] = split.feature;
    this.#threshold[node] = split.threshold;
    this.#missingGoesLeft[node] = split.missing === 'left' ? 1 : 0;
    this.#left[node] = left;
    this.#right[node] = right;
    this.#leafValue[node] = 0;
  }

  /**
   * The nodes so far as an ensemble over this collector's own memory, without a copy: good until the next node is appended. Training
   * predicts with its newest tree this way; `firstTrees` makes a copy to keep.
   */
  view(featureNames: readonly string[], baseScore: number): TreeEnsemble {
    const count = this.#count;
    return {
      featureNames,
      baseScore: Math.fround(baseScore),
      treeStarts: Uint32Array.from([...this.#treeStarts, count]),
      feature: this.#feature.subarray(0, count),
      threshold: this.#threshold.subarray(0, count),
      left: this.#left.subarray(0, count),
      right: this.#right.subarray(0, count),
      missingGoesLeft: this.#missingGoesLeft.subarray(0, count),
      leafValue: this.#leafValue.subarray(0, count),
      cover: this.#cover.subarray(0, count),
    };
  }

  #grow(): void {
    this.#capacity *= 2;
    this.#feature = grown(this.#feature, new Int32Array(this.#capacity));
    this.#threshold = grown(this.#threshold, new Float32Array(this.#capacity));
    this.#left = grown(this.#left, new Uint32Array(this.#capacity));
    this.#right = grown(this.#right, new Uint32Array(this.#capacity));
    this.#missingGoesLeft = grown(this.#missingGoesLeft, new Uint8Array(this.#capacity));
    this.#leafValue = grown(this.#leafValue, new Float32Array(this.#capacity));
    this.#cover = grown(this.#cover, new Float32Array(this.#capacity));
  }
}

function grown<A extends { set(source: ArrayLike<number>): void }>(from: ArrayLike<number>, into: A): A {
  into.set(from);
  return into;
}
