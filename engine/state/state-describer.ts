import type { StateEntry } from './state-store.ts';

/** A value as JSON has it. */
export type KeptValue = string | number | boolean | null | readonly KeptValue[];

/** One thing that an operator remembers: a record's row, an id, a window. */
export interface KeptRow {
  /** Whose it is, as the operator's key bytes are; `null` for what an operator remembers of itself. */
  readonly key: Uint8Array | null;
  /** By which the row is forgotten: invisible once the watermark is {@link StateDescriber.keepsMs} past it. `null`: kept until the operator says otherwise. */
  readonly eventTimeMs: number | null;
  readonly values: Readonly<Record<string, KeptValue>>;
}

/**
 * How the stored bytes of one operator read: what `sluice state` prints, what `state verify` compares, and what savepoints and `plan --diff` know of an operator's
 * state. Made from the operator's definition, beside its format; pure. An operator joins by a line in `jobs/state/job-operators.ts`.
 */
export interface StateDescriber {
  readonly operatorId: string;
  /** The operator, in a word: `rolling`, `duplicates`, `window`. */
  readonly kind: string;
  /** The columns of its key, in order. */
  readonly keyFields: readonly string[];
  /** `key`: an entry lies under its key's bytes, and holds that key alone. `inside`: the key is to be looked for in all entries. */
  readonly filedBy: 'key' | 'inside';
  /** How long behind the watermark a row is kept; `null` for an operator that says itself when it forgets. */
  readonly keepsMs: number | null;
  /** What must never change under the same operator id, or the state would be taken for something else; compared as text. */
  readonly identity: string;
  /** What the bytes hold: with another, they cannot be read, or mean other values; compared as text. */
  readonly layout: string;
  /** The rows of an entry, in the operator's order. @throws {SluiceError} `STATE_FORMAT` where the bytes are of another format, or damaged. */
  rowsOf(entry: StateEntry): readonly KeptRow[];
  /**
   * Makes the entries of one store of those of several, or several of one: `place` says which of `count` stores a key belongs to. Absent where an entry lies
   * under its key alone, and goes where its key does.
   */
  redistribute?(stores: readonly (readonly StateEntry[])[], count: number, place: KeyPlace): readonly StateEntry[][];
}

/** Which of several stores a key belongs to. */
export type KeyPlace = (key: Uint8Array) => number;
