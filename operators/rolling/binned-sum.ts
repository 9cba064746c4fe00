/**
 * Sums that do not depend on the order or the grouping of what is added, in a fixed number of doubles: numbers are cut into digits of 24 bits at fixed places, and digits of one
 * place are added as whole numbers, which is exact (after Demmel and Nguyen, "Parallel reproducible summation", IEEE Transactions on Computers 64, 2015). Kept are the
 * places from that of the greatest number downwards; what lies below them is cut off, of each number alone. So the state is a function of the set of numbers, and so is every
 * answer made of it: whether it was merged from panes or added up from rows cannot be seen.
 *
 *     column   0      1        2        …  bins
 *              place  digits   digits of   the lowest place
 *                     of it    place − 1   that is kept
 *
 * A sum lies in an array at `at`, `at + stride`, …, so that it can be a row of a column store; the accumulators have a stride of 1. Exact for up to 2^29 numbers. A number of
 * less than 2^−960 adds nothing. A sum that was given infinity, as the square of more than 10^154 is, is lost and stays lost: its digits are NaN.
 */
const digitBits = 24;
const lowestPlace = -40;
const highestPlace = 42;
/** The place of a sum of nothing, below all others. */
const emptyPlace = -1_000;
/** The place of a sum that is lost, above all others. */
const lostPlace = 1_000;

/** Digits that a sum of numbers keeps: at least 97 bits from the greatest number's first. */
export const sumBins = 5;
/** Digits that a sum of squares keeps: at least 121 bits, so that the squares of equal numbers, of 106, are whole, and their deviation is 0. */
export const squareBins = 6;

const places = Array.from({ length: highestPlace - lowestPlace + 1 }, (_, index) => lowestPlace + index);
const weights = Float64Array.from(places, (place) => 2 ** (digitBits * place));
const inverses = Float64Array.from(places, (place) => 2 ** (-digitBits * place));

const asDouble = new Float64Array(1);
const asWords = new Uint32Array(asDouble.buffer);
/** Splits a double into halves whose products are exact (Veltkamp; Dekker, Numerische Mathematik 18, 1971). */
const splitter = 134_217_729;

/** How many doubles a sum takes. */
export function sumWidth(bins: number): number {
  return 1 + bins;
}

/** Makes it the sum of nothing. */
export function clearSum(sums: Float64Array, at: number, stride: number, bins: number): void {
  sums[at] = emptyPlace;
  for (let bin = 1; bin <= bins; bin++) sums[at + bin * stride] = 0;
}

/** Adds a number. */
export function addToSum(sums: Float64Array, at: number, stride: number, bins: number, value: number): void {
  asDouble[0] = value;
  const exponent = (((asWords[1] ?? 0) >>> 20) & 0x7ff) - 1_023;
  let place = Math.floor(exponent / digitBits);
  if (place < lowestPlace) return;
  if (exponent === 1_024) place = lostPlace;
  let top = sums[at] ?? 0;
  if (place > top) {
    raise(sums, at, stride, bins, place);
    top = place;
  }
  let rest = value;
  for (let bin = top - place; bin < bins && rest !== 0 && place >= lowestPlace; bin++, place--) {
    const digit = Math.trunc(rest * (inverses[place - lowestPlace] ?? 0));
    const to = at + (1 + bin) * stride;
    sums[to] = (sums[to] ?? 0) + digit;
    rest -= digit * (weights[place - lowestPlace] ?? 0);
  }
}

/** Adds a number's square, without rounding it first. */
export function addSquareToSum(sums: Float64Array, at: number, stride: number, bins: number, value: number): void {
  const square = value * value;
  addToSum(sums, at, stride, bins, square);
  // Of an infinite square this is NaN, which loses the sum again.
  const high = splitter * value - (splitter * value - value);
  const low = value - high;
  addToSum(sums, at, stride, bins, low * low - (square - high * high - 2 * high * low));
}

/** Adds the sum at `at` to the accumulator `total`, which keeps as many digits. */
export function mergeSum(total: Float64Array, bins: number, sums: Float64Array, at: number, stride: number): void {
  const place = sums[at] ?? 0;
  if (place > (total[0] ?? 0)) raise(total, 0, 1, bins, place);
  const offset = (total[0] ?? 0) - place;
  let from = at + stride;
  for (let to = 1 + offset; to <= bins; to++, from += stride) total[to] = (total[to] ?? 0) + (sums[from] ?? 0);
}

/** The accumulator's sum as one double for each digit, of which the first is the greatest but for carries. Their true sum is the sum. */
export function termsOfSum(total: Float64Array, bins: number): readonly number[] {
  const top = total[0] ?? 0;
  const terms: number[] = [];
  for (let bin = 0; bin < bins && top - bin >= lowestPlace; bin++) {
    terms.push((total[1 + bin] ?? 0) * (weights[top - bin - lowestPlace] ?? 0));
  }
  return terms;
}

/** The accumulator's sum, within a unit in the last place; NaN where it is lost, or has left the finite numbers. */
export function valueOfSum(total: Float64Array, bins: number): number {
  const top = total[0] ?? 0;
  let sum = 0;
  let compensation = 0;
  for (let bin = 0; bin < bins && top - bin >= lowestPlace; bin++) {
    const term = (total[1 + bin] ?? 0) * (weights[top - bin - lowestPlace] ?? 0);
    const next = sum + term;
    // Exact also where the term is the greater: the sum is a multiple of what the term's last bit counts.
    compensation += sum - next + term;
    sum = next;
  }
  return sum + compensation;
}

/** Makes `place` the highest that is kept: the digits move down, and the lowest are cut off. */
function raise(sums: Float64Array, at: number, stride: number, bins: number, place: number): void {
  const shift = place - (sums[at] ?? 0);
  for (let bin = bins - 1; bin >= 0; bin--) {
    sums[at + (1 + bin) * stride] = bin >= shift ? (sums[at + (1 + bin - shift) * stride] ?? 0) : 0;
  }
  sums[at] = place;
}
