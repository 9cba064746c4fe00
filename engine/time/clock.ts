/**
 * The one way to the wall clock and to timers. Everything that reads time, or waits, takes a `Clock` by parameter, so that a
 * test drives a virtual one and a lint rule can forbid `Date.now`, `performance.now` and `setTimeout` elsewhere.
 *
 * Event time never comes from here: it is read from the record (semantics, "Time").
 */
export interface Clock {
  /** Milliseconds since the epoch, UTC; may step when the machine's clock is set. For timestamps that people read. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start, never going back, with sub-millisecond digits. For measuring how long something took. */
  monotonicMs(): number;
  /** Resolves after `durationMs`, or at once (without an error) when `signal` is aborted. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's clock: what every command hands to the rooms below. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (durationMs, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, durationMs);
      signal?.addEventListener('abort', finish, { once: true });
    }),
};
