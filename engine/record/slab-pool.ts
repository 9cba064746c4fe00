/** Two chunks of a follower, and the poll that becomes the third. */
const mostKept = 3;

/**
 * Memory for the strings of large message batches, used again and again: a fresh slab of tens of megabytes costs more than what is copied into it, since
 * the system hands it out a page at a time, zeroed, and the garbage collector is called to look after it.
 *
 * Whoever makes a batch takes a slab; whoever has done with the batch gives it back, and must not look at it afterwards. One that is never given back is
 * garbage as any other. The slabs are shared memory: a thread that is sent a batch gets it without a copy.
 */
export class SlabPool {
  readonly #free: Uint8Array[] = [];
  readonly #leastKeptBytes: number;

  /** @param leastKeptBytes smaller ones are not worth keeping: fresh memory of a few pages costs nothing. */
  constructor(leastKeptBytes: number = 256 * 1024) {
    this.#leastKeptBytes = leastKeptBytes;
  }

  /** A slab of at least `bytes`, with anything in it: the smallest that there is. */
  take(bytes: number): Uint8Array {
    let best = -1;
    for (const [index, { length }] of this.#free.entries()) {
      if (length >= bytes && length < (this.#free[best]?.length ?? Infinity)) best = index;
    }
    const [slab] = best < 0 ? [] : this.#free.splice(best, 1);
    return slab ?? new Uint8Array(new SharedArrayBuffer(bytes));
  }

  /** Keeps a slab for later, and lets the smallest go where there are enough. It must be whole, as it was taken. */
  giveBack(slab: Uint8Array): void {
    if (slab.length < this.#leastKeptBytes) return;
    this.#free.push(slab);
    if (this.#free.length <= mostKept) return;
    this.#free.sort((a, b) => b.length - a.length);
    this.#free.pop();
  }
}
