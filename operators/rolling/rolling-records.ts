import type { KeyIndex } from '../../engine/state/key-index.ts';
import type { RollingLayout } from './rolling-layout.ts';

/**
 * What a rolling operator keeps of its keys' records, and how it answers from it: each record as it came (`ExactRecords`), or panes of them (`TiledRecords`). `RollingLogic` says whose records
 * they are, when they come from the store and go to it, and when nobody can see them any more.
 *
 * All methods but `newestStoredMs` are of one key, by its slot in the operator's `KeyIndex`; a slot whose key was let go has been cleared before it is given to another.
 */
export interface RollingRecords {
  readonly layout: RollingLayout;
  /** Gives texts their codes, in the stored columns and in the answers. */
  readonly dictionary: KeyIndex;
  /** About how many bytes all records take. */
  readonly heldBytes: number;
  /** Records up to here are invisible to one that comes at this watermark, an instant in milliseconds, as the watermark is. */
  horizonMs(watermarkMs: number): number;
  /** Forgets what no record can see any more where all of them come at this watermark or a later one. Called before each record, and before a key is written. */
  forget(slot: number, watermarkMs: number): void;
  /**
   * Answers the record in `row`, and takes it in, unless it is late. Called once a record, in arrival order, with what stands before it forgotten.
   *
   * @param inputs of each stored column, the batch's values; NaN is null.
   * @param answers of each output, written at `row`.
   * @returns `LATE` where the record was not taken in, with what else the form has to say of its answer.
   */
  answer(
    slot: number,
    row: number,
    eventTimeMs: number,
    watermarkMs: number,
    inputs: readonly Float64Array[],
    answers: readonly Float64Array[],
  ): number;
  /** No record of the key is newer; `-Infinity` where there is none, and nothing to be remembered of it. */
  newestMs(slot: number): number;
  /** Forgets the key's records. */
  clear(slot: number): void;
  /**
   * Makes the key's records what the store has of them.
   *
   * @throws {SluiceError} `STATE_FORMAT` when the bytes are of another version, of other columns, or cut off.
   */
  read(slot: number, bytes: Uint8Array): void;
  /** The key's records as the store keeps them; there is something to be remembered of it. */
  write(slot: number): Uint8Array;
  /**
   * No record of a stored value is newer.
   *
   * @throws {SluiceError} `STATE_FORMAT` when the bytes are of another version, or cut off.
   */
  newestStoredMs(bytes: Uint8Array): number;
  /** Gives back what none of these keys uses any more. Called after each batch, when its answers are columns. */
  tidy(keys: KeyIndex): void;
}
