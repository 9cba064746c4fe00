/**
 * The calls of one client that were made and have not returned. The client runs them on other threads and frees itself on `disconnect`
 * without waiting for them: a producer that is closed during a commit, or a consumer during another producer's `sendOffsetsToTransaction`,
 * takes the whole process down. Whoever closes a client awaits {@link drained} first; every call has a time limit of its own.
 */
export class CallsInFlight {
  readonly #calls = new Set<Promise<unknown>>();

  /** Makes a call, and counts it until it has settled. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    const made = call();
    this.#calls.add(made);
    try {
      return await made;
    } finally {
      this.#calls.delete(made);
    }
  }

  /** Resolves when no call is out. */
  async drained(): Promise<void> {
    while (this.#calls.size > 0) await Promise.allSettled(this.#calls);
  }
}
