import { numberOf, type Aggregator } from './aggregator.ts';
import type { StateBytes, StateWriter } from './state-bytes.ts';

/** Buckets of one sign that a sketch keeps at most; with an error of 1 % that many span 17 powers of ten. */
const mostBuckets = 2_048;

/** Counts by bucket: bucket `i` holds magnitudes in `(γ^(i−1), γ^i]`. */
type Buckets = Map<number, number>;

interface Sketch {
  readonly positive: Buckets;
  readonly negative: Buckets;
  zeros: number;
}

/**
 * A quantile with a relative error: DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB 12, 2019).
 * It counts values in buckets whose bounds grow by the same factor, so merging is adding counts: exact, in any order. Chosen over t-digest and KLL for that: theirs
 * depends on the order of merging, or on chance.
 *
 * The answer is within `error` of the value that stands at rank ⌊q·(n − 1)⌋ among the n values in ascending order. Beyond 2,048 buckets a sign, those
 * nearest to zero are counted together, and quantiles that fall there come out too far from zero. Null for no values.
 *
 * @param q in [0, 1]: 0.5 is the median.
 * @param error relative, in (0, 0.5].
 */
export function quantile(q: number, error: number): Aggregator<Sketch> {
  const gamma = (1 + error) / (1 - error);
  const logGamma = Math.log(gamma);
  const centre = (bucket: number): number => (2 * Math.exp(bucket * logGamma)) / (gamma + 1);
  return {
    traits: {
      reversal: 'irreversible',
      memory: 'bounded',
      stateSize: `12 bytes a bucket, at most ${((2 * mostBuckets * 12) / 1024).toFixed(0)} KiB`,
      accuracy: `relative error at most ${100 * error} %`,
    },
    create: () => ({ positive: new Map(), negative: new Map(), zeros: 0 }),
    update: (state, value) => {
      const number = numberOf(value);
      if (number === 0) {
        state.zeros++;
        return;
      }
      const bucket = Math.ceil(Math.log(Math.abs(number)) / logGamma);
      addTo(number > 0 ? state.positive : state.negative, bucket, 1);
    },
    merge: (into, from) => {
      into.zeros += from.zeros;
      for (const [bucket, count] of from.positive) addTo(into.positive, bucket, count);
      for (const [bucket, count] of from.negative) addTo(into.negative, bucket, count);
    },
    finish: ({ positive, negative, zeros }) => {
      const total = countOf(positive) + countOf(negative) + zeros;
      if (total === 0) return null;
      let left = Math.floor(q * (total - 1));
      for (const [bucket, count] of ascending(negative).toReversed()) {
        if (left < count) return -centre(bucket);
        left -= count;
      }
      if (left < zeros) return 0;
      left -= zeros;
      for (const [bucket, count] of ascending(positive)) {
        if (left < count) return centre(bucket);
        left -= count;
      }
      throw new RangeError('a rank is below the number of values');
    },
    encode: (state, to) => {
      to.f64(state.zeros);
      encodeBuckets(state.positive, to);
      encodeBuckets(state.negative, to);
    },
    decode: (from) => ({ zeros: from.f64(), positive: decodeBuckets(from), negative: decodeBuckets(from) }),
  };
}

/**
 * Counts in a bucket. When there are too many, the lowest goes into the one above it, so the highest buckets stay as they are: whatever the order of values and
 * merges, what is left is the highest `mostBuckets` of all buckets that ever had a value, with everything below in the last.
 */
function addTo(buckets: Buckets, bucket: number, count: number): void {
  buckets.set(bucket, (buckets.get(bucket) ?? 0) + count);
  if (buckets.size <= mostBuckets) return;
  let lowest = Infinity;
  let second = Infinity;
  for (const each of buckets.keys()) {
    if (each < lowest) {
      second = lowest;
      lowest = each;
    } else if (each < second) second = each;
  }
  buckets.set(second, (buckets.get(second) ?? 0) + (buckets.get(lowest) ?? 0));
  buckets.delete(lowest);
}

function ascending(buckets: Buckets): readonly (readonly [bucket: number, count: number])[] {
  return [...buckets].sort(([a], [b]) => a - b);
}

function countOf(buckets: Buckets): number {
  let count = 0;
  for (const value of buckets.values()) count += value;
  return count;
}

function encodeBuckets(buckets: Buckets, to: StateWriter): void {
  to.u32(buckets.size);
  for (const [bucket, count] of ascending(buckets)) {
    to.i32(bucket);
    to.f64(count);
  }
}

function decodeBuckets(from: StateBytes): Buckets {
  const size = from.u32();
  return new Map(Array.from({ length: size }, () => [from.i32(), from.f64()] as const));
}
