/** Buckets a power of two is cut into: values are told to within 1.6 %. */
const bucketsPerOctave = 64;
const smallestMs = 0.01;
const bucketCount = bucketsPerOctave * 32;

/**
 * Latencies in buckets of equal ratio, from 10 µs to half a day, in constant memory: enough to tell p50 and p99 without keeping samples
 * (the idea of HdrHistogram). Filled per batch; read by progress reports.
 */
export class LatencyHistogram {
  readonly #counts = new Float64Array(bucketCount);
  #total = 0;

  /** How many latencies were recorded. */
  get count(): number {
    return this.#total;
  }

  /** Records `count` latencies of the same length; below zero (clocks that disagree) counts as zero. */
  record(latencyMs: number, count: number): void {
    const bucket = latencyMs <= smallestMs ? 0 : Math.floor(Math.log2(latencyMs / smallestMs) * bucketsPerOctave);
    const index = Math.min(bucket, bucketCount - 1);
    this.#counts[index] = (this.#counts[index] ?? 0) + count;
    this.#total += count;
  }

  /** Takes over all that another histogram has recorded: for whoever sums up several queries. */
  add(other: LatencyHistogram): void {
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + (other.#counts[bucket] ?? 0);
    }
    this.#total += other.#total;
  }

  /** The latency that a share `quantile` (0 … 1) of those recorded do not exceed, in milliseconds; `null` before the first. */
  quantileMs(quantile: number): number | null {
    if (this.#total === 0) return null;
    const rank = Math.max(1, Math.ceil(quantile * this.#total));
    let seen = 0;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= rank) return smallestMs * 2 ** ((bucket + 1) / bucketsPerOctave);
    }
    return null;
  }
}
