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

/** Delayed records, the next to arrive first: a binary heap by arrival time, then by sequence, so that equal times have one order. */
export class ArrivalQueue {
  readonly #heap: Delayed[] = [];

  /** When the next one arrives; `Infinity` when none waits. */
  get nextArrivalMs(): number {
    return this.#heap[0]?.arrivalMs ?? Infinity;
  }

  /** Puts one on its way. */
  push(record: Delayed): void {
    const heap = this.#heap;
    let hole = heap.length;
    heap.push(record);
    while (hole > 0) {
      const parentAt = (hole - 1) >> 1;
      const parent = heap[parentAt];
      if (parent === undefined || !comesBefore(record, parent)) break;
      heap[hole] = parent;
      hole = parentAt;
    }
    heap[hole] = record;
  }

  /** Takes out the next to arrive. */
  shift(): Delayed | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const moved = heap.pop();
    if (moved === undefined || heap.length === 0) return first;
    let hole = 0;
    for (;;) {
      let childAt = 2 * hole + 1;
      let child = heap[childAt];
      const right = heap[childAt + 1];
      if (child !== undefined && right !== undefined && comesBefore(right, child)) {
        child = right;
        childAt++;
      }
      if (child === undefined || !comesBefore(child, moved)) break;
      heap[hole] = child;
      hole = childAt;
    }
    heap[hole] = moved;
    return first;
  }
}

function comesBefore(a: Delayed, b: Delayed): boolean {
  return a.arrivalMs === b.arrivalMs ? a.sequence < b.sequence : a.arrivalMs < b.arrivalMs;
}
