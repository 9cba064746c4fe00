import { BinaryHeap } from '../../engine/binary-heap.ts';

/** A record that has happened but not yet arrived. */
export interface Delayed {
  readonly arrivalMs: number;
  readonly sequence: number;
  readonly eventTimeMs: number;
  readonly card: number;
  readonly terminal: number;
  readonly amount: number;
  readonly scenario: number;
  readonly defect: number;
}

/** Delayed records, the next to arrive first: by arrival time, then by sequence, so that equal times have one order. */
export class ArrivalQueue {
  readonly #waiting = new BinaryHeap<Delayed>((a, b) => a.arrivalMs - b.arrivalMs || a.sequence - b.sequence);

  /** When the next one arrives; `Infinity` when none waits. */
  get nextArrivalMs(): number {
    return this.#waiting.first?.arrivalMs ?? Infinity;
  }

  /** Puts one on its way. */
  push(record: Delayed): void {
    this.#waiting.add(record);
  }

  /** Takes out the next to arrive. */
  shift(): Delayed | undefined {
    return this.#waiting.take();
  }
}
