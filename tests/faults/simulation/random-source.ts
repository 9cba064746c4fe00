import { Xoshiro128 } from '../../../simulation/random/xoshiro128.ts';

/** Seeded chance, in the words of the harness: the same seed gives the same run on any machine. */
export class RandomSource {
  readonly #numbers: Xoshiro128;

  constructor(seed: number) {
    this.#numbers = new Xoshiro128(seed, 'fault simulation');
  }

  /** A whole number in `[0, bound)`. */
  below(bound: number): number {
    return this.#numbers.below(bound);
  }

  /** True once in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  /** One of them. */
  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }
}
