import type { DeadLetter } from '../record/dead-letter.ts';
import type { RecordBatch } from '../record/record-batch.ts';

/** Why a record cannot be processed: a stable code, and a sentence without the record's values. */
export interface Rejection {
  readonly code: string;
  readonly message: string;
}

/**
 * Where operators put records that a person's function failed on, for the batch loop to make dead letters of (semantics, "Bad records"). One for each section; its
 * operators add to it while a batch passes, `runSection` empties it behind each batch.
 */
export class RejectedRecords {
  readonly #topic: string;
  #letters: DeadLetter[] = [];

  /** @param topic what the section's records are read from, as dead letters name it. */
  constructor(topic: string) {
    this.#topic = topic;
  }

  /** How many there are since they were last taken. */
  get count(): number {
    return this.#letters.length;
  }

  /** Adds a row of a batch; the operator leaves it out of what it gives. */
  add({ partitions, offsets }: RecordBatch, row: number, { code, message }: Rejection): void {
    const [partition, offset] = [partitions[row] ?? 0, offsets[row] ?? 0];
    this.#letters.push({ topic: this.#topic, partition, offset, stage: 'operator', code, message, value: null });
  }

  /** Takes them all out, in the order in which they were added. */
  take(): readonly DeadLetter[] {
    const letters = this.#letters;
    this.#letters = [];
    return letters;
  }
}
