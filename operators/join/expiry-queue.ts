import { BinaryHeap } from '../../engine/binary-heap.ts';
import { compareExpiry, type JoinRow } from './join-row.ts';

/** The records of a join in the order in which they are due. */
export class ExpiryQueue {
  readonly #rows = new BinaryHeap<JoinRow>(compareExpiry);

  /** Puts a record in. */
  add(row: JoinRow): void {
    this.#rows.add(row);
  }

  /** Takes out the first record that is due before the watermark; `null` where there is none. */
  take(watermarkMs: number): JoinRow | null {
    const { first } = this.#rows;
    if (first === undefined || first.expiresMs >= watermarkMs) return null;
    this.#rows.take();
    return first;
  }
}
