import type { Clock } from '../time/clock.ts';
import { SluiceError } from '../error.ts';

const firstDelayMs = 50;
const longestDelayMs = 5_000;

/** Told of each attempt that failed and will be made again. */
export type RetryListener = (error: SluiceError, delayMs: number) => void;

/**
 * Makes the same call again for as long as it fails with a `transient` error, waiting 50 ms, then twice as long each time, 5 s at most. A
 * dependency that is away thus costs time, and no record: whoever calls holds its one bounded batch and reads no further.
 *
 * @throws whatever the call rejects with that is not transient; the transient error itself once `signal` is aborted.
 */
export async function retryTransient<T>(
  call: () => Promise<T>,
  clock: Clock,
  signal: AbortSignal,
  onRetry: RetryListener,
): Promise<T> {
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof SluiceError) || error.retryable !== 'transient' || signal.aborted) throw error;
      onRetry(error, delayMs);
      await clock.sleep(delayMs, signal);
    }
  }
}
