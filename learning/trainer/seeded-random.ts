/**
 * A small pseudo-random generator (xoshiro128**, Blackman and Vigna 2018, seeded through splitmix32), so that a seed names the same
 * sample on every machine and Node version. Training draws rows and columns from it, tests draw data; nothing secret may.
 */
export class SeededRandom {
  readonly #state = new Uint32Array(4);

  /** @param seed any integer; its lowest 32 bits count. */
  constructor(seed: number) {
    let counter = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      counter = (counter + 0x9e3779b9) >>> 0;
      let mixed = Math.imul(counter ^ (counter >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      this.#state[i] = mixed ^ (mixed >>> 15);
    }
  }

  /** The next 32 bits as a whole number in [0, 2^32). */
  nextUint32(): number {
    const state = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const third = c ^ a;
    const fourth = d ^ b;
    state[1] = b ^ third;
    state[0] = a ^ fourth;
    state[2] = third ^ (b << 9);
    state[3] = rotateLeft(fourth, 11);
    return result;
  }

  /** A number in [0, 1) with 32 random bits. */
  nextUnit(): number {
    return this.nextUint32() / 4_294_967_296;
  }

  /** A whole number in [0, bound); `bound` at most 2^32. Off from uniform by less than bound / 2^32. */
  nextBelow(bound: number): number {
    return Math.floor(this.nextUnit() * bound);
  }

  /** `count` different whole numbers below `bound`, in rising order. */
  sample(bound: number, count: number): Uint32Array {
    const numbers = Uint32Array.from({ length: bound }, (_, index) => index);
    const chosen = Math.min(count, bound);
    for (let i = 0; i < chosen; i++) {
      const other = i + this.nextBelow(bound - i);
      const swapped = numbers[i] as number;
      numbers[i] = numbers[other] as number;
      numbers[other] = swapped;
    }
    return numbers.slice(0, chosen).sort();
  }
}

function rotateLeft(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}
