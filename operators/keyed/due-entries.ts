import { BinaryHeap } from '../../engine/binary-heap.ts';

/** Something of a key that is to be looked at when the watermark is there. Mutable: whoever owns it moves `dueMs`. */
export interface DueEntry {
  /** The key's bytes, which order what is due at one time. */
  readonly bytes: Uint8Array;
  /** When it is to be looked at; `Infinity` for never. */
  dueMs: number;
  /** Where it stands in the queue: at its due time, or at an earlier one that has moved since. `Infinity` for nowhere. */
  queuedMs: number;
  /** Whether it still is; the queue forgets the others. */
  isLive: boolean;
}

interface Place<E> {
  readonly atMs: number;
  readonly entry: E;
}

/**
 * The entries of one watermark by the time at which they are due, ties by key. An entry whose due time has moved on stays where it stands and is put back when its turn comes, so that a key that
 * is touched by every record costs nothing here.
 */
export class DueEntries<E extends DueEntry> {
  readonly #places = new BinaryHeap<Place<E>>(
    (a, b) => a.atMs - b.atMs || Buffer.compare(a.entry.bytes, b.entry.bytes),
  );

  /** Puts an entry at its due time, unless it stands at that time or before it already. */
  add(entry: E): void {
    if (entry.dueMs >= entry.queuedMs) return;
    entry.queuedMs = entry.dueMs;
    this.#places.add({ atMs: entry.dueMs, entry });
  }

  /** Takes out the first entry that is due at this watermark; `null` where none is. */
  take(watermarkMs: number): E | null {
    const places = this.#places;
    for (let { first } = places; first !== undefined && first.atMs <= watermarkMs; { first } = places) {
      places.take();
      const { atMs, entry } = first;
      // It has moved to an earlier time since, or is no more.
      if (!entry.isLive || entry.queuedMs !== atMs) continue;
      entry.queuedMs = Infinity;
      if (entry.dueMs === atMs) return entry;
      this.add(entry);
    }
    return null;
  }
}
