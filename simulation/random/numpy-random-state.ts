import { Mt19937 } from './mt19937.ts';

/**
 * numpy's legacy `RandomState` (the object behind `np.random.seed`, whose streams numpy has promised never to change), as far as the
 * Handbook's simulator needs it: the same seed gives the same numbers to the last bit. numpy's `legacy-distributions.c` is the
 * reference for which method draws what, and how many words each takes.
 */
export class NumpyRandomState {
  readonly #twister: Mt19937 = new Mt19937();
  #spareGauss: number | undefined;

  /** @param seed an integer in 0 … 2^32 - 1. */
  constructor(seed: number) {
    this.#twister.seedWord(seed);
  }

  /** Starts anew, as `np.random.seed(seed)`; a normal value that was held back is forgotten. */
  seed(seed: number): void {
    this.#twister.seedWord(seed);
    this.#spareGauss = undefined;
  }

  /** Uniform over [`low`, `high`). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.#twister.nextDouble();
  }

  /** Normal with the given mean and standard deviation, by Marsaglia's polar method. */
  normal(mean: number, standardDeviation: number): number {
    return mean + standardDeviation * this.#gauss();
  }

  /**
   * The number of events of a Poisson process: as many uniforms as can be multiplied before the product falls to e^-rate (Knuth).
   *
   * @param rate in [0, 10); above, numpy changes to another method, which nobody here needs.
   */
  poisson(rate: number): number {
    if (rate === 0) return 0;
    const floor = Math.exp(-rate);
    let count = 0;
    for (let product = this.#twister.nextDouble(); product > floor; product *= this.#twister.nextDouble()) count++;
    return count;
  }

  /**
   * `count` distinct integers below `populationSize`, as `choice(…, replace=False)` and with it pandas' `sample(n=…)` draw them: the head
   * of a whole permutation. Cost: O(populationSize).
   */
  sample(populationSize: number, count: number): Uint32Array {
    const order = Uint32Array.from({ length: populationSize }, (_, i) => i);
    for (let i = populationSize - 1; i > 0; i--) {
      const j = this.#upTo(i);
      const moved = order[i] ?? 0;
      order[i] = order[j] ?? 0;
      order[j] = moved;
    }
    return order.slice(0, count);
  }

  /** Uniform over 0 … `largest`: words masked to the next power of two, those that are too large drawn again. */
  #upTo(largest: number): number {
    const mask = 0xffffffff >>> Math.clz32(largest);
    let value = this.#twister.nextUint32() & mask;
    while (value > largest) value = this.#twister.nextUint32() & mask;
    return value;
  }

  /** A standard normal. The polar method makes two at a time; the first of the pair is kept for the next call. */
  #gauss(): number {
    const spare = this.#spareGauss;
    if (spare !== undefined) {
      this.#spareGauss = undefined;
      return spare;
    }
    let x: number;
    let y: number;
    let squared: number;
    do {
      x = 2 * this.#twister.nextDouble() - 1;
      y = 2 * this.#twister.nextDouble() - 1;
      squared = x * x + y * y;
    } while (squared >= 1 || squared === 0);
    const factor = Math.sqrt((-2 * Math.log(squared)) / squared);
    this.#spareGauss = factor * x;
    return factor * y;
  }
}
