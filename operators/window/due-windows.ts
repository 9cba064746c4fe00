import { BinaryHeap } from '../../engine/binary-heap.ts';
import type { OpenWindow } from './open-window.ts';

/** The windows that stand at one time. */
interface DueTime {
  readonly atMs: number;
  readonly windows: OpenWindow[];
}

/**
 * The windows of one watermark by the time at which they are due. A window whose due time has moved on, as a session's does with every record, stays where it
 * stands and is put back when its turn comes, so a record costs nothing here.
 */
export class DueWindows {
  readonly #times = new BinaryHeap<DueTime>((a, b) => a.atMs - b.atMs);
  readonly #byTime = new Map<number, OpenWindow[]>();

  /** No window is due at an earlier watermark than this; `Infinity` where there are none. */
  get nextMs(): number {
    return this.#times.first?.atMs ?? Infinity;
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
    const windows = [window];
    this.#byTime.set(dueMs, windows);
    this.#times.add({ atMs: dueMs, windows });
  }

  /** Takes out the windows that are due at this watermark, in no order. */
  take(watermarkMs: number): OpenWindow[] {
    const times = this.#times;
    const due: OpenWindow[] = [];
    for (let next = times.first; next !== undefined && next.atMs <= watermarkMs; next = times.first) {
      const { atMs, windows } = next;
      times.take();
      this.#byTime.delete(atMs);
      for (const window of windows) {
        if (!window.isLive || window.queuedMs !== atMs) continue;
        if (window.dueMs <= watermarkMs) due.push(window);
        else this.add(window);
      }
    }
    return due;
  }
}
