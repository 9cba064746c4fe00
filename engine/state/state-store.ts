/** One key's state as bytes; `null` says that the key has none any more. Absolute, never a difference, so that writing it twice is harmless. */
export interface StateWrite {
  readonly operatorId: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** A key and its state, as a scan gives them, in byte order of the key within an operator. */
export interface StateEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A step of a scan in small steps. */
export interface StateScanStep {
  /** In no order; a key may come in more than one step. */
  readonly entries: readonly StateEntry[];
  /** Where to go on; `null` at the end of a pass. A pass may miss a key that the store puts elsewhere meanwhile; the next one has it. */
  readonly next: string | null;
}

/**
 * Reads of a task's state: bytes in, bytes out; types and formats are the operators' affair (each value begins with its format's version).
 *
 * Operators hold the working set in memory. Before a batch is computed, the runtime asks each stateful operator which keys it
 * misses and reads them here in one call per operator; writes go through the commit log, with the offset that they reflect.
 */
export interface StateReader {
  /** The values of `keys`, in order, `null` for a key without state. One round trip, whatever the number of keys. */
  getMany(operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]>;
  /** All keys of one operator, for `sluice state scan`, savepoints and verification. Not used while records flow. */
  scan(operatorId: string): AsyncIterable<StateEntry>;
  /**
   * About so many keys of one operator (a store may give a few more or less, also none before the end), for whoever sweeps a store while records flow. As
   * with `getMany`, what is given is what the owner of the task left. Absent where a store has nothing to sweep.
   *
   * @param from what the step before gave as `next`; `null` to begin.
   */
  scanSome?(operatorId: string, from: string | null, aboutKeys: number): Promise<StateScanStep>;
}
