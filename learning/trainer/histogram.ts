import { type BinnedMatrix, codeCount, featuresPerWord } from './binned-matrix.ts';

/** Numbers a feature takes in a histogram: for each code the sum of gradients and, beside it, the sum of second derivatives. */
export const histogramStride: number = 2 * codeCount;

/** Rows gathered at a time: their codes and gradients then stay in the first-level cache while every feature passes over them. */
const blockRows = 1_024;

/**
 * Adds up gradients by feature and bin for one node after another. It owns the scratch memory of that loop; the grower holds one for
 * the whole training.
 */
export class HistogramBuilder {
  readonly #binned: BinnedMatrix;
  readonly #blockCodes: Uint32Array;
  readonly #blockGradients = new Float64Array(2 * blockRows);

  constructor(binned: BinnedMatrix) {
    this.#binned = binned;
    this.#blockCodes = new Uint32Array(binned.wordsPerRow * blockRows);
  }

  /** A zeroed histogram over all features, padded to whole words. */
  allocate(): Float64Array {
    return new Float64Array(this.#binned.wordsPerRow * featuresPerWord * histogramStride);
  }

  /**
   * Overwrites `histogram` with the sums over `rows[begin … end)`.
   *
   * @param rows row numbers; a node's rows lie side by side.
   * @param gradients first and second derivative of each row's loss, side by side, by row number.
   * @param wantedWords 1 for each word of four features of which the tree may use any; the others' sums are left at zero.
   */
  build(
    histogram: Float64Array,
    rows: Uint32Array,
    begin: number,
    end: number,
    gradients: Float64Array,
    wantedWords: Uint8Array,
  ): void {
    const { wordsPerRow } = this.#binned;
    histogram.fill(0);
    for (let from = begin; from < end; from += blockRows) {
      const count = Math.min(blockRows, end - from);
      this.#gather(rows, from, count, gradients);
      for (let word = 0; word < wordsPerRow; word++) {
        if (wantedWords[word] === 0) continue;
        const start = word * featuresPerWord * histogramStride;
        const part = histogram.subarray(start, start + featuresPerWord * histogramStride);
        addFourFeatures(part, this.#blockCodes, word, wordsPerRow, this.#blockGradients, count);
      }
    }
  }

  /** Apart from the summing, since a light loop lets the processor have many cache misses under way at once. */
  #gather(rows: Uint32Array, from: number, count: number, gradients: Float64Array): void {
    const { codes, wordsPerRow } = this.#binned;
    const blockCodes = this.#blockCodes;
    const blockGradients = this.#blockGradients;
    let next = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[from + i] as number;
      blockGradients[2 * i] = gradients[2 * row] as number;
      blockGradients[2 * i + 1] = gradients[2 * row + 1] as number;
      const first = row * wordsPerRow;
      for (let word = 0; word < wordsPerRow; word++) blockCodes[next++] = codes[first + word] as number;
    }
  }
}

/** The innermost loop of training: one load of codes and one of gradients for four features' sums. */
function addFourFeatures(
  part: Float64Array,
  codes: Uint32Array,
  word: number,
  wordsPerRow: number,
  gradients: Float64Array,
  count: number,
): void {
  for (let i = 0, at = word; i < count; i++, at += wordsPerRow) {
    const packed = codes[at] as number;
    const gradient = gradients[2 * i] as number;
    const curvature = gradients[2 * i + 1] as number;
    const first = (packed & 255) << 1;
    const second = 512 + ((packed >>> 7) & 510);
    const third = 1_024 + ((packed >>> 15) & 510);
    const fourth = 1_536 + ((packed >>> 23) & 510);
    part[first] = (part[first] as number) + gradient;
    part[first + 1] = (part[first + 1] as number) + curvature;
    part[second] = (part[second] as number) + gradient;
    part[second + 1] = (part[second + 1] as number) + curvature;
    part[third] = (part[third] as number) + gradient;
    part[third + 1] = (part[third + 1] as number) + curvature;
    part[fourth] = (part[fourth] as number) + gradient;
    part[fourth + 1] = (part[fourth + 1] as number) + curvature;
  }
}

/**
 * Turns a parent's histogram into that of one child by taking the other child's away. A node's rows are its children's rows, so only the smaller
 * child is ever summed from its rows, which halves the work of every level below the root.
 */
export function subtractHistogram(parent: Float64Array, child: Float64Array): void {
  for (let i = 0; i < parent.length; i++) parent[i] = (parent[i] as number) - (child[i] as number);
}
