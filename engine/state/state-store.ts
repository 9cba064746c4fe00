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
}
