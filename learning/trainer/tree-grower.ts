import type { TreeNodes } from '../ensemble/tree-nodes.ts';
import type { BinnedMatrix } from './binned-matrix.ts';
import { HistogramBuilder, subtractHistogram } from './histogram.ts';
import { findSplit, type GradientSums, type Split } from './split-finder.ts';
import type { TrainingParams } from './training-params.ts';

/** A node that may yet be split: its rows lie at `rows[begin … end)`. */
interface OpenNode {
  readonly node: number;
  readonly begin: number;
  readonly end: number;
  readonly sums: GradientSums;
  readonly histogram: Float64Array;
}

/** A child that its parent's split has made; a histogram is found for it only if it may be split again. */
type NewChild = Omit<OpenNode, 'histogram'>;

/** One leaf of a grown tree and the rows that ended there. */
export interface GrownLeaf {
  readonly begin: number;
  readonly end: number;
  /** What it adds to a row's log-odds; float32. */
  readonly value: number;
}

/**
 * Grows one tree at a time, level by level, over binned rows. The trainer holds one for a whole training, since it owns the memory
 * that trees reuse: the row order, the scratch half of it, and a pool of histograms.
 */
export class TreeGrower {
  readonly #binned: BinnedMatrix;
  readonly #params: TrainingParams;
  readonly #nodes: TreeNodes;
  readonly #builder: HistogramBuilder;
  readonly #pool: Float64Array[] = [];
  readonly #scratch: Uint32Array;
  readonly #gainByFeature: Float64Array;

  /** @param nodes where grown trees are appended. */
  constructor(binned: BinnedMatrix, params: TrainingParams, nodes: TreeNodes) {
    this.#binned = binned;
    this.#params = params;
    this.#nodes = nodes;
    this.#builder = new HistogramBuilder(binned);
    this.#scratch = new Uint32Array(binned.rowCount);
    this.#gainByFeature = new Float64Array(binned.featureCount);
  }

  /** Gain of all splits so far by feature: how much each has lowered the objective, the usual measure of importance. */
  get gainByFeature(): Float64Array {
    return this.#gainByFeature.slice();
  }

  /**
   * Grows the next tree.
   *
   * @param rows the rows that the tree sees; reordered so that each leaf's lie side by side.
   * @param gradients first and second derivative of each row's loss, side by side, by row number.
   * @param features numbers of the features that may be split on, rising.
   * @returns the leaves, which part `rows` among them.
   */
  grow(rows: Uint32Array, gradients: Float64Array, features: Uint32Array): GrownLeaf[] {
    const wantedWords = new Uint8Array(this.#binned.wordsPerRow);
    for (const feature of features) wantedWords[feature >> 2] = 1;
    const build = (child: NewChild): Float64Array => {
      const histogram = this.#pool.pop() ?? this.#builder.allocate();
      this.#builder.build(histogram, rows, child.begin, child.end, gradients, wantedWords);
      return histogram;
    };

    this.#nodes.beginTree();
    const sums = sumOf(rows, gradients);
    const root: NewChild = { node: this.#nodes.addLeaf(sums.curvature), begin: 0, end: rows.length, sums };
    let level: OpenNode[] = [{ ...root, histogram: build(root) }];
    const leaves: GrownLeaf[] = [];
    for (let depth = 1; level.length > 0; depth++) {
      const next: OpenNode[] = [];
      for (const open of level) {
        const split = findSplit(open.histogram, open.sums, features, this.#binned, this.#params);
        if (split === undefined) {
          leaves.push(this.#close(open));
          this.#pool.push(open.histogram);
          continue;
        }
        const [left, right] = this.#divide(open, split, rows);
        if (depth === this.#params.maxDepth) {
          leaves.push(this.#close(left), this.#close(right));
          this.#pool.push(open.histogram);
          continue;
        }
        const leftIsSmaller = left.end - left.begin <= right.end - right.begin;
        const smaller = build(leftIsSmaller ? left : right);
        subtractHistogram(open.histogram, smaller);
        next.push({ ...left, histogram: leftIsSmaller ? smaller : open.histogram });
        next.push({ ...right, histogram: leftIsSmaller ? open.histogram : smaller });
      }
      level = next;
    }
    return leaves;
  }

  #close(child: NewChild): GrownLeaf {
    const { gradient, curvature } = child.sums;
    const { learningRate, l2 } = this.#params;
    const step = curvature + l2 > 0 ? (-learningRate * gradient) / (curvature + l2) : 0;
    return { begin: child.begin, end: child.end, value: this.#nodes.setLeafValue(child.node, step) };
  }

  #divide(open: OpenNode, split: Split, rows: Uint32Array): [NewChild, NewChild] {
    const middle = this.#partition(open, split, rows);
    const left = this.#nodes.addLeaf(split.left.curvature);
    const right = this.#nodes.addLeaf(split.right.curvature);
    this.#nodes.setSplit(open.node, split, left, right);
    this.#gainByFeature[split.feature] = (this.#gainByFeature[split.feature] as number) + split.gain;
    return [
      { node: left, begin: open.begin, end: middle, sums: split.left },
      { node: right, begin: middle, end: open.end, sums: split.right },
    ];
  }

  /** Moves the rows that go left to the front of the node's stretch, both sides in their old order; returns where the right side begins. */
  #partition(open: OpenNode, split: Split, rows: Uint32Array): number {
    const scratch = this.#scratch;
    const codes = this.#binned.codeColumns[split.feature] as Uint8Array;
    // Missing rows carry the greatest code: shifted by one, modulo 256, it becomes the least, and one comparison serves both cases.
    const bias = split.missing === 'left' ? 1 : 0;
    const limit = split.lastLeftCode + bias;
    let left = open.begin;
    let right = 0;
    for (let i = open.begin; i < open.end; i++) {
      const row = rows[i] as number;
      const goesLeft = (((codes[row] as number) + bias) & 255) <= limit ? 1 : 0;
      // Both stores happen always, and one is overwritten: a branch that falls either way half of the time would cost more.
      rows[left] = row;
      scratch[right] = row;
      left += goesLeft;
      right += 1 - goesLeft;
    }
    rows.set(scratch.subarray(0, right), left);
    return left;
  }
}

function sumOf(rows: Uint32Array, gradients: Float64Array): GradientSums {
  let gradient = 0;
  let curvature = 0;
  for (const row of rows) {
    gradient += gradients[2 * row] as number;
    curvature += gradients[2 * row + 1] as number;
  }
  return { gradient, curvature };
}
