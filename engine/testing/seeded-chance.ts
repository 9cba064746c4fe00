/**
 * Chance that is the same for the same seed, on any machine: SplitMix with 32 bits of state (Steele, Lea and Flood, OOPSLA 2014, with the finisher of MurmurHash3).
 * Enough to shuffle a test's rows by; not for statistics.
 */
export class SeededChance {
  #state: number;

  /** @param seed a whole number; of a larger one the low 32 bits count. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number in `[0, 1)`. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let word = this.#state;
    word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    return ((word ^ (word >>> 16)) >>> 0) / 4_294_967_296;
  }

  /** A whole number in `[0, bound]`. */
  upTo(bound: number): number {
    return Math.floor(this.next() * (bound + 1));
  }

  /** True in this share of the cases. */
  isIn(share: number): boolean {
    return this.next() < share;
  }
}
