/**
 * xoshiro128** (Blackman and Vigna, ACM TOMS 47(4), 2021): four 32-bit words of state and nothing but 32-bit arithmetic, which is what
 * JavaScript is fastest at. It drives the simulated stream; the Handbook's data need the Mersenne Twister. Not for secrets.
 */
export class Xoshiro128 {
  #a: number;
  #b: number;
  #c: number;
  #d: number;
  #spareNormal: number | undefined;

  /**
   * @param seed any integer; its low 32 bits count.
   * @param purpose what the numbers are for. Generators of one seed and different purposes are independent, so that what is drawn for one
   * part of a simulation never shifts what another part draws.
   */
  constructor(seed: number, purpose: string) {
    let mixed = seed >>> 0;
    for (let i = 0; i < purpose.length; i++) mixed = Math.imul(mixed ^ purpose.charCodeAt(i), 0x01000193) >>> 0;
    const nextWord = (): number => {
      // Steele and Vigna's SplitMix, in its 32-bit form: spreads seeds that lie close together far apart.
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let word = mixed ^ (mixed >>> 16);
      word = Math.imul(word, 0x21f0aaad);
      word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
      return word ^ (word >>> 15);
    };
    this.#a = nextWord();
    this.#b = nextWord();
    this.#c = nextWord();
    this.#d = nextWord() | 1;
  }

  /** Uniform over 0 … 2^32 - 1. */
  nextUint32(): number {
    const scrambled = Math.imul(this.#b, 5);
    const word = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return word;
  }

  /** Uniform over [0, 1) in steps of 2^-32. */
  nextDouble(): number {
    return this.nextUint32() * 2.3283064365386963e-10;
  }

  /** Uniform over [`low`, `high`). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.nextDouble();
  }

  /** Uniform over 0 … `limit` - 1. */
  below(limit: number): number {
    return Math.floor(this.nextDouble() * limit);
  }

  /** The gap to the next event of a Poisson process with one event per unit of time. */
  exponential(): number {
    return -Math.log(1 - this.nextDouble());
  }

  /** A standard normal, by Marsaglia's polar method. */
  normal(): number {
    const spare = this.#spareNormal;
    if (spare !== undefined) {
      this.#spareNormal = undefined;
      return spare;
    }
    let x: number;
    let y: number;
    let squared: number;
    do {
      x = 2 * this.nextDouble() - 1;
      y = 2 * this.nextDouble() - 1;
      squared = x * x + y * y;
    } while (squared >= 1 || squared === 0);
    const factor = Math.sqrt((-2 * Math.log(squared)) / squared);
    this.#spareNormal = factor * x;
    return factor * y;
  }
}
