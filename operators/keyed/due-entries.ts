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
 * The entries of one watermark by the time at which they are due, ties by key: a binary heap. An entry whose due time has moved on stays where it stands and is put back when
 * its turn comes, so that a key that is touched by every record costs nothing here.
 */
export class DueEntries<E extends DueEntry> {
  readonly #places: Place<E>[] = [];

  /** Puts an entry at its due time, unless it stands at that time or before it already. */
  add(entry: E): void {
    if (entry.dueMs >= entry.queuedMs) return;
    entry.queuedMs = entry.dueMs;
    this.#push({ atMs: entry.dueMs, entry });
  }

  /** Takes out the first entry that is due at this watermark; `null` where none is. */
  take(watermarkMs: number): E | null {
    for (let first = this.#places[0]; first !== undefined && first.atMs <= watermarkMs; first = this.#places[0]) {
      this.#pop();
      const { atMs, entry } = first;
      // It has moved to an earlier time since, or is no more.
      if (!entry.isLive || entry.queuedMs !== atMs) continue;
      entry.queuedMs = Infinity;
      if (entry.dueMs === atMs) return entry;
      this.add(entry);
    }
    return null;
  }

  #push(place: Place<E>): void {
    const places = this.#places;
    let at = places.push(place) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = places[parent];
      if (above === undefined || isBefore(above, place)) break;
      places[at] = above;
      at = parent;
    }
    places[at] = place;
  }

  #pop(): void {
    const places = this.#places;
    const last = places.pop();
    if (last === undefined || places.length === 0) return;
    let at = 0;
    for (;;) {
      const [left, right] = [places[2 * at + 1], places[2 * at + 2]];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const least = isRight ? right : left;
      if (isBefore(last, least)) break;
      places[at] = least;
      at = 2 * at + (isRight ? 2 : 1);
    }
    places[at] = last;
  }
}

function isBefore<E extends DueEntry>(a: Place<E>, b: Place<E>): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && Buffer.compare(a.entry.bytes, b.entry.bytes) <= 0);
}
