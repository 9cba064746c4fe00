import { compareExpiry, type JoinRow } from './join-row.ts';

/** The records of a join in the order in which they are due: a binary heap. */
export class ExpiryQueue {
  readonly #heap: JoinRow[] = [];

  /** Puts a record in. */
  add(row: JoinRow): void {
    const heap = this.#heap;
    let at = heap.push(row) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || compareExpiry(above, row) <= 0) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = row;
  }

  /** Takes out the first record that is due before the watermark; `null` where there is none. */
  take(watermarkMs: number): JoinRow | null {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.expiresMs >= watermarkMs) return null;
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.#sink(last);
    return first;
  }

  #sink(row: JoinRow): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [one, other] = [heap[left], heap[left + 1]];
      if (one === undefined) break;
      const isOther = other !== undefined && compareExpiry(other, one) < 0;
      const below = isOther ? other : one;
      if (compareExpiry(row, below) <= 0) break;
      heap[at] = below;
      at = isOther ? left + 1 : left;
    }
    heap[at] = row;
  }
}
