import { strict as assert } from 'node:assert';
import type { Clock } from '../time/clock.ts';

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

/**
 * A clock that stands still until a test moves it. Everything that a query does by the clock (flushes of state, waits between retries, broker timestamps) then
 * happens when the test says, and a day takes no time.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #elapsedMs = 0;
  #sleepers: Sleeper[] = [];

  /** @param startMs the instant that it shows first, milliseconds since the epoch. */
  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true || durationMs <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper = { dueMs: this.#elapsedMs + durationMs, wake: resolve };
      this.#sleepers.push(sleeper);
      const abandon = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        resolve();
      };
      signal?.addEventListener('abort', abandon, { once: true });
    });
  }

  /** How many sleeps have not ended: what a test that stands still may be waiting for. */
  get sleeperCount(): number {
    return this.#sleepers.length;
  }

  /** Moves the clock on by so many milliseconds and wakes whoever slept until then. */
  advance(durationMs: number): void {
    assert(durationMs >= 0, 'a clock does not go back');
    this.#nowMs += durationMs;
    this.#elapsedMs += durationMs;
    const due = this.#sleepers.filter(({ dueMs }) => dueMs <= this.#elapsedMs);
    this.#sleepers = this.#sleepers.filter(({ dueMs }) => dueMs > this.#elapsedMs);
    for (const { wake } of due.toSorted((a, b) => a.dueMs - b.dueMs)) wake();
  }

  /** Sets what the clock shows: a test's clock is where its data are. Elapsed time is not touched. */
  setTo(instantMs: number): void {
    this.#nowMs = instantMs;
  }
}
