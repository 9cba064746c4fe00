import type { Clock } from '../time/clock.ts';

/** How long a reader sleeps before it looks again for what *another* process may have committed: at first, and at most. */
const firstSleepMs = 2;
const longestSleepMs = 5;

/**
 * Wakes readers that wait for messages: at once by a commit of this process, and within milliseconds by one of another, for which they
 * look at the environment again (a read of one page; LMDB has no notification between processes).
 */
export class AppendSignal {
  readonly #waiting = new Set<() => void>();

  /** Called after every commit of this process that appended. */
  notify(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /**
   * Waits until `look` finds something, `maxWaitMs` have passed, or the signal is aborted.
   *
   * @param look is called at once, and again after each commit or sleep; `null` means "nothing yet".
   */
  async until<T>(look: () => T | null, maxWaitMs: number, clock: Clock, signal?: AbortSignal): Promise<T | null> {
    const deadlineMs = clock.monotonicMs() + maxWaitMs;
    let sleepMs = firstSleepMs;
    for (;;) {
      if (signal?.aborted === true) return null;
      const found = look();
      if (found !== null) return found;
      const leftMs = deadlineMs - clock.monotonicMs();
      if (leftMs <= 0) return null;
      await this.#wait(Math.min(leftMs, sleepMs), clock, signal);
      sleepMs = Math.min(longestSleepMs, sleepMs * 1.5);
    }
  }

  async #wait(durationMs: number, clock: Clock, signal?: AbortSignal): Promise<void> {
    const over = new AbortController();
    const end = (): void => {
      over.abort();
    };
    this.#waiting.add(end);
    signal?.addEventListener('abort', end, { once: true });
    await clock.sleep(durationMs, over.signal);
    this.#waiting.delete(end);
    signal?.removeEventListener('abort', end);
  }
}
