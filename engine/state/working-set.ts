/** What is known of a slot, bit by bit. */
const changed = 1;
const warm = 2;

/** What a {@link WorkingSet} decides about: the keys that a logic has in memory, by their slots. */
export interface HeldKeys {
  /** Slots are below it. */
  readonly slotLimit: number;
  /** Whether the slot has a key now. */
  isLive(slot: number): boolean;
  /** About how much memory all of them take. */
  readonly heldBytes: number;
  /** Forgets the key, which can be read from the store again. */
  letGo(slot: number): void;
}

/**
 * Which keys of a keyed logic have changed since the last flush, and which may be let go: those whose every change is in the store. One for each logic, over the slots of
 * its `KeyIndex`.
 *
 *     changed ──takeChanged()──► on its way ──stored()──► in the store ──evict()──► let go
 *        ▲                            │                        │
 *        └────────markChanged()───────┴────────────────────────┘
 *
 * What goes is chosen by a clock hand (second chance, as in the CLOCK of page replacement): a key that was asked for since the hand last passed is passed over once. So the keys of
 * the batches at hand stay, and the cost is a byte and a number a key, and a look or two for each key that goes.
 */
export class WorkingSet {
  readonly #limitBytes: number;
  #marks: Uint8Array = new Uint8Array(1024);
  /** Per slot: the flush, counted from 1, that took its last change; 0 for none. */
  #flushOf: Float64Array = new Float64Array(1024);
  #changed: number[] = [];
  #flushesTaken = 0;
  #flushesStored = 0;
  #hand = 0;
  /** Whether the hand went round and found nothing more to let go: it need not go round again before a flush is in the store. */
  #isStuck = false;
  #isOver = false;

  /** @param limitBytes how much the logic is to hold; `Infinity` to let nothing go. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Whether there is more than there is to be, and no flush on its way that might end that. */
  get needsFlush(): boolean {
    return this.#isOver && this.#flushesTaken === this.#flushesStored;
  }

  /** Says that the slot's key was asked for. */
  touch(slot: number): void {
    if (slot >= this.#marks.length) this.#grow(slot);
    this.#marks[slot] = (this.#marks[slot] ?? 0) | warm;
  }

  /** Says that the slot's key must be written with the next flush. */
  markChanged(slot: number): void {
    if (slot >= this.#marks.length) this.#grow(slot);
    const marks = this.#marks[slot] ?? 0;
    if ((marks & changed) !== 0) return;
    this.#marks[slot] = marks | changed;
    this.#changed.push(slot);
  }

  /** The slots that have changed since the last call, in the order in which they first did. They are on their way to the store now. */
  takeChanged(): readonly number[] {
    this.#flushesTaken++;
    const taken = this.#dropChanged();
    for (const slot of taken) this.#flushOf[slot] = this.#flushesTaken;
    return taken;
  }

  /** Forgets what has changed, for a logic whose state is not kept. */
  dropChanged(): void {
    this.#dropChanged();
  }

  /** Says that the oldest flush on its way is in the store. */
  stored(): void {
    this.#flushesStored++;
    this.#isStuck = false;
  }

  /** Says that the slot's key is gone. */
  forget(slot: number): void {
    if (slot >= this.#marks.length) return;
    this.#marks[slot] = 0;
    this.#flushOf[slot] = 0;
  }

  /** Lets keys go until what is left is within the limit, or cannot be let go. Called after each batch, when no batch is under way that has looked its keys up. */
  evict(keys: HeldKeys): void {
    this.#isOver = keys.heldBytes > this.#limitBytes;
    if (!this.#isOver || this.#isStuck) return;
    const { slotLimit } = keys;
    // Twice round: once to find who was not asked for, and, where everybody was, once more.
    for (let looks = 2 * slotLimit; looks > 0; looks--) {
      this.#hand = this.#hand + 1 < slotLimit ? this.#hand + 1 : 0;
      if (!this.#mayGo(this.#hand, keys)) continue;
      keys.letGo(this.#hand);
      this.forget(this.#hand);
      if (keys.heldBytes > this.#limitBytes) continue;
      this.#isOver = false;
      return;
    }
    this.#isStuck = true;
  }

  #mayGo(slot: number, keys: HeldKeys): boolean {
    const marks = this.#marks[slot] ?? 0;
    if (!keys.isLive(slot) || (marks & changed) !== 0 || (this.#flushOf[slot] ?? 0) > this.#flushesStored) return false;
    if ((marks & warm) === 0) return true;
    this.#marks[slot] = marks & ~warm;
    return false;
  }

  /** Without the slots whose keys have gone since. */
  #dropChanged(): readonly number[] {
    const slots = this.#changed;
    this.#changed = [];
    return slots.filter((slot) => {
      const marks = this.#marks[slot] ?? 0;
      this.#marks[slot] = marks & ~changed;
      return (marks & changed) !== 0;
    });
  }

  #grow(slot: number): void {
    const size = Math.max(this.#marks.length * 2, slot + 1);
    const marks = new Uint8Array(size);
    marks.set(this.#marks);
    const flushOf = new Float64Array(size);
    flushOf.set(this.#flushOf);
    this.#marks = marks;
    this.#flushOf = flushOf;
  }
}
