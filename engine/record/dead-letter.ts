/** Where on a record's way it failed. */
export type DeadLetterStage = 'decode' | 'event-time' | 'key' | 'operator' | 'score' | 'encode';

/**
 * A record that cannot be processed, with everything needed to find it, understand it and send it again: the original bytes and
 * position, the stage, and the error (semantics, "Bad records"). It goes to the job's dead-letter topic in the same commit as the batch
 * that it came in, exactly once.
 *
 * `message` says what was expected and what was got of *shape* (types, lengths, names), never the record's values: those are in `value`, and
 * nothing else may carry card numbers (exactly-once, I13).
 */
export interface DeadLetter {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly stage: DeadLetterStage;
  /** Stable, upper-case: `JSON_MALFORMED`, `FIELD_MISSING`, `FIELD_TYPE`, `NUMBER_NOT_FINITE`, `SCORE_NOT_FINITE` … */
  readonly code: string;
  readonly message: string;
  /** The record's own bytes; `null` where the source had no bytes (a Parquet row). */
  readonly value: Uint8Array | null;
}
