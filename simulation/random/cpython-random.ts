import { Mt19937 } from './mt19937.ts';

/**
 * CPython's `random.Random` as far as the Handbook's simulator needs it, with the same numbers for the same integer seed
 * (Python 3.2 and later; `Lib/random.py` and `Modules/_randommodule.c` are the reference).
 */
export class CpythonRandom {
  readonly #twister: Mt19937 = new Mt19937();

  /** @param seed an integer in 0 … 2^32 - 1. */
  constructor(seed: number) {
    this.seed(seed);
  }

  /** Starts anew, as `random.seed(seed)`. */
  seed(seed: number): void {
    this.#twister.seedWords([seed]);
  }

  /** An integer of `bits` random bits, 1 to 32: the high ones of a word. */
  getrandbits(bits: number): number {
    return this.#twister.nextUint32() >>> (32 - bits);
  }

  /** Uniform over 0 … `limit` - 1, for `limit` in 1 … 2^31; `random.choice(s)` is `s[below(len(s))]`. */
  below(limit: number): number {
    const bits = 32 - Math.clz32(limit);
    let value = this.getrandbits(bits);
    while (value >= limit) value = this.getrandbits(bits);
    return value;
  }

  /**
   * The positions that `random.sample(population, count)` picks, in the order in which it picks them. A population that is small beside
   * the sample is drawn from by moving its last element into each gap; a large one by drawing again what was drawn before. The limit
   * between the two belongs to the stream of numbers, so it is kept as CPython has it.
   */
  sample(populationSize: number, count: number): Uint32Array {
    const picked = new Uint32Array(count);
    if (populationSize <= poolLimit(count)) {
      const pool = Uint32Array.from({ length: populationSize }, (_, i) => i);
      for (let i = 0; i < count; i++) {
        const j = this.below(populationSize - i);
        picked[i] = pool[j] ?? 0;
        pool[j] = pool[populationSize - i - 1] ?? 0;
      }
      return picked;
    }
    const seen = new Set<number>();
    for (let i = 0; i < count; i++) {
      let j = this.below(populationSize);
      while (seen.has(j)) j = this.below(populationSize);
      seen.add(j);
      picked[i] = j;
    }
    return picked;
  }
}

/** The largest population for which a list of `n` is reckoned smaller than a set of `count`. */
function poolLimit(count: number): number {
  let limit = 21;
  if (count > 5) {
    // 4^ceil(log4(3·count)), by multiplication, so that no rounding of a logarithm matters.
    let power = 1;
    while (power < 3 * count) power *= 4;
    limit += power;
  }
  return limit;
}
