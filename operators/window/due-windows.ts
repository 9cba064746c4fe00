import type { OpenWindow } from './open-window.ts';

/**
 * The windows of one watermark by the time at which they are due. A window whose due time has moved on, as a session's does with every record, stays where it
 * stands and is put back when its turn comes, so a record costs nothing here.
 */
export class DueWindows {
  /** A binary heap of the times in `#byTime`. */
  readonly #times: number[] = [];
  readonly #byTime = new Map<number, OpenWindow[]>();

  /** No window is due at an earlier watermark than this; `Infinity` where there are none. */
  get nextMs(): number {
    return this.#times[0] ?? Infinity;
  }

  /** Puts a window at its due time; one that is never due stays out. */
  add(window: OpenWindow): void {
    const { dueMs } = window;
    if (dueMs === Infinity) return;
    window.queuedMs = dueMs;
    const others = this.#byTime.get(dueMs);
    if (others !== undefined) {
      others.push(window);
      return;
    }
    this.#byTime.set(dueMs, [window]);
    this.#rise(dueMs);
  }

  /** Takes out the windows that are due at this watermark, in no order. */
  take(watermarkMs: number): OpenWindow[] {
    const due: OpenWindow[] = [];
    for (let next = this.#times[0]; next !== undefined && next <= watermarkMs; next = this.#times[0]) {
      this.#sink();
      const windows = this.#byTime.get(next) ?? [];
      this.#byTime.delete(next);
      for (const window of windows) {
        if (!window.isLive || window.queuedMs !== next) continue;
        if (window.dueMs <= watermarkMs) due.push(window);
        else this.add(window);
      }
    }
    return due;
  }

  #rise(time: number): void {
    const times = this.#times;
    let at = times.push(time) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = times[parent] ?? 0;
      if (above <= time) break;
      times[at] = above;
      at = parent;
    }
    times[at] = time;
  }

  #sink(): void {
    const times = this.#times;
    const time = times.pop();
    if (time === undefined || times.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= times.length) break;
      const right = left + 1;
      const least = right < times.length && (times[right] ?? 0) < (times[left] ?? 0) ? right : left;
      const below = times[least] ?? 0;
      if (below >= time) break;
      times[at] = below;
      at = least;
    }
    times[at] = time;
  }
}
