import type { Xoshiro128 } from './xoshiro128.ts';

/** Picks an index with a probability proportional to its weight, in constant time (Walker's method, built as Vose does). */
export class AliasTable {
  readonly #threshold: Float64Array;
  readonly #alias: Uint32Array;

  /** @param weights at least one, none negative, not all zero. */
  constructor(weights: Float64Array) {
    const count = weights.length;
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    this.#threshold = new Float64Array(count).fill(1);
    this.#alias = new Uint32Array(count);
    const share = weights.map((weight) => (weight * count) / total);
    const small: number[] = [];
    const large: number[] = [];
    share.forEach((each, index) => (each < 1 ? small : large).push(index));
    for (let poor = small.pop(); poor !== undefined; poor = small.pop()) {
      const rich = large.pop();
      // Only rounding leaves a poor one without a rich one; its own share is then one but for that rounding.
      if (rich === undefined) break;
      this.#threshold[poor] = share[poor] ?? 0;
      this.#alias[poor] = rich;
      const rest = (share[rich] ?? 0) + (share[poor] ?? 0) - 1;
      share[rich] = rest;
      (rest < 1 ? small : large).push(rich);
    }
  }

  /** Takes two numbers from `random`. */
  pick(random: Xoshiro128): number {
    const index = random.below(this.#alias.length);
    return random.nextDouble() < (this.#threshold[index] ?? 1) ? index : (this.#alias[index] ?? 0);
  }
}
