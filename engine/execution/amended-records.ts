import type { RecordBatch } from '../record/record-batch.ts';

/**
 * Where an operator puts what it says anew of records that were answered before, beside its answers to those at hand. One for each section that has such an operator, which adds to it while a
 * batch passes; `runSection` empties it behind each batch. What was added is committed with the batch that brought it out, so it is known once, as the batch's answers are.
 */
export class AmendedRecords {
  #batch: RecordBatch | null = null;

  /** Adds what a batch brought out; at most one for each batch. */
  add(batch: RecordBatch): void {
    this.#batch = batch;
  }

  /** Takes it out; `null` for none. */
  take(): RecordBatch | null {
    const batch = this.#batch;
    this.#batch = null;
    return batch;
  }
}
