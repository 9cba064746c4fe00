/** Lets a bounded number of calls through at a time, and a bounded number wait; the rest are turned away. */
export class Slots {
  #free: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number, maxWaiting: number) {
    this.#free = count;
    this.#maxWaiting = maxWaiting;
  }

  /** Resolves with the slot's release, or with `null` at once when too many wait already. */
  async take(): Promise<(() => void) | null> {
    if (this.#free > 0) this.#free -= 1;
    else if (this.#waiting.length >= this.#maxWaiting) return null;
    else await new Promise<void>((go) => this.#waiting.push(go));
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    };
  }
}
