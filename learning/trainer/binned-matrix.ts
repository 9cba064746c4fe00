import { chooseCutPoints } from './cut-points.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { TrainingMatrix } from './training-matrix.ts';

/** Codes a histogram has room for: 255 bins of values, and {@link missingCode}. */
export const codeCount = 256;

/** The code of a missing value. */
export const missingCode = 255;

/** Features whose codes share one 32-bit word. */
export const featuresPerWord = 4;

/** Rows that the cut points are computed from, at most: sorting a million values by feature would cost more than some of the trees. */
const maxSampleRows = 262_144;

/**
 * The training rows with every value replaced by the number of its bin, kept twice, once for each of the two loops that training
 * consists of. Histograms read whole rows: there four features share a 32-bit word and a row's words lie side by side, so that a row
 * is one cache line and one load brings four codes. Parting a node's rows reads one feature of scattered rows: a column of bytes stays in the
 * cache where a column of rows does not.
 */
export interface BinnedMatrix {
  readonly rowCount: number;
  readonly featureCount: number;
  readonly wordsPerRow: number;
  /** `codes[row * wordsPerRow + (feature >> 2)]`, the feature's byte `feature & 3`, lowest first. */
  readonly codes: Uint32Array;
  /** The same codes by feature, one byte a row. */
  readonly codeColumns: readonly Uint8Array[];
  /** Each feature's cut points: a value's code is the number of cuts that are less than it. */
  readonly cuts: readonly Float32Array[];
  /** 1 where the feature has missing values in the training rows. */
  readonly hasMissing: Uint8Array;
}

/**
 * Bins a training matrix; the trainer calls it once, before the first tree. Costs a binary search a value.
 *
 * @param random chooses the sample that cut points are computed from, where there are more rows than 2^18.
 */
export function binMatrix(matrix: TrainingMatrix, maxBins: number, random: SeededRandom): BinnedMatrix {
  const { rowCount, columns, labels } = matrix;
  const wordsPerRow = Math.ceil(columns.length / featuresPerWord);
  const codes = new Uint32Array(rowCount * wordsPerRow);
  const hasMissing = new Uint8Array(columns.length);
  const sample = stratifiedSample(rowCount, random);
  const positives = Uint32Array.from({ length: rowCount }, (_, row) => row).filter((row) => labels[row] === 1);
  const positiveSample = stratifiedSample(positives.length, random).map((index) => positives[index] as number);
  const cuts = columns.map((column) =>
    chooseCutPoints(present(column, sample), present(column, positiveSample), maxBins - 1),
  );
  const codeColumns = columns.map((column, feature) => {
    const codeColumn = binColumn(column, cuts[feature] as Float32Array);
    const word = feature >> 2;
    const shift = (feature & 3) * 8;
    for (let row = 0, at = word; row < rowCount; row++, at += wordsPerRow) {
      codes[at] = (codes[at] as number) | ((codeColumn[row] as number) << shift);
    }
    hasMissing[feature] = codeColumn.includes(missingCode) ? 1 : 0;
    return codeColumn;
  });
  return { rowCount, featureCount: columns.length, wordsPerRow, codes, codeColumns, cuts, hasMissing };
}

function binColumn(column: Float32Array, cuts: Float32Array): Uint8Array {
  const codes = new Uint8Array(column.length);
  for (let row = 0; row < column.length; row++) {
    const value = column[row] as number;
    codes[row] = value === value ? countBelow(cuts, value) : missingCode;
  }
  return codes;
}

/** How many of the rising `cuts` are less than `value`. */
function countBelow(cuts: Float32Array, value: number): number {
  let low = 0;
  let high = cuts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cuts[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One row from each of many equal stretches, so that a sample of a time-ordered log covers all of its time. */
function stratifiedSample(rowCount: number, random: SeededRandom): Uint32Array {
  const sampleCount = Math.min(rowCount, maxSampleRows);
  const stretch = rowCount / sampleCount;
  if (stretch === 1) return Uint32Array.from({ length: rowCount }, (_, row) => row);
  return Uint32Array.from({ length: sampleCount }, (_, i) => Math.floor((i + random.nextUnit()) * stretch));
}

function present(column: Float32Array, rows: Uint32Array): Float32Array {
  const values = new Float32Array(rows.length);
  let count = 0;
  for (const row of rows) {
    const value = column[row] as number;
    if (value === value) values[count++] = value;
  }
  return values.subarray(0, count);
}
