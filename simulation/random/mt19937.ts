const stateWords = 624;
const shiftWords = 397;
const upperMask = 0x80000000;
const lowerMask = 0x7fffffff;

/**
 * The Mersenne Twister with a period of 2^19937 - 1 (Matsumoto and Nishimura, ACM TOMACS 8(1), 1998), the engine under both numpy's
 * legacy `RandomState` and CPython's `random`. They differ only in how they seed it and in what they make of its words, so those
 * two are separate classes over this one.
 *
 * Not for secrets: 624 outputs reveal the state.
 */
export class Mt19937 {
  readonly #words: Uint32Array = new Uint32Array(stateWords);
  #next: number = stateWords;

  /** Seeds with one 32-bit word: the reference's `init_genrand`, as numpy's `RandomState(seed)` does it. */
  seedWord(seed: number): void {
    const words = this.#words;
    let previous = seed >>> 0;
    words[0] = previous;
    for (let i = 1; i < stateWords; i++) {
      previous = (Math.imul(1812433253, previous ^ (previous >>> 30)) + i) >>> 0;
      words[i] = previous;
    }
    this.#next = stateWords;
  }

  /** Seeds with any number of 32-bit words: the reference's `init_by_array`, as CPython does it even for small integers. */
  seedWords(key: readonly number[]): void {
    this.seedWord(19650218);
    const words = this.#words;
    let i = 1;
    let j = 0;
    let previous = words[0] ?? 0;
    for (let rounds = Math.max(stateWords, key.length); rounds > 0; rounds--) {
      previous = ((words[i] ?? 0) ^ Math.imul(previous ^ (previous >>> 30), 1664525)) + (key[j] ?? 0) + j;
      words[i] = previous;
      previous >>>= 0;
      if (++i === stateWords) {
        words[0] = previous;
        i = 1;
      }
      if (++j >= key.length) j = 0;
    }
    for (let rounds = stateWords - 1; rounds > 0; rounds--) {
      previous = (((words[i] ?? 0) ^ Math.imul(previous ^ (previous >>> 30), 1566083941)) - i) >>> 0;
      words[i] = previous;
      if (++i === stateWords) {
        words[0] = previous;
        i = 1;
      }
    }
    words[0] = upperMask;
    this.#next = stateWords;
  }

  /** The next word, uniform over 0 … 2^32 - 1. */
  nextUint32(): number {
    if (this.#next === stateWords) this.#refill();
    let y = this.#words[this.#next++] ?? 0;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** The next double in [0, 1) with 53 random bits, made of two words: the reference's `genrand_res53`. */
  nextDouble(): number {
    const high = this.nextUint32() >>> 5;
    const low = this.nextUint32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  #refill(): void {
    const words = this.#words;
    // Every word depends on its successor and on the one 397 further on, both taken around the ring.
    for (let i = 0; i < stateWords; i++) {
      const successor = words[i + 1 === stateWords ? 0 : i + 1] ?? 0;
      const far = words[i + shiftWords < stateWords ? i + shiftWords : i + shiftWords - stateWords] ?? 0;
      const y = ((words[i] ?? 0) & upperMask) | (successor & lowerMask);
      words[i] = far ^ (y >>> 1) ^ ((y & 1) === 0 ? 0 : 0x9908b0df);
    }
    this.#next = 0;
  }
}
