const seconds = (sinceMs) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;

/**
 * Says what the set-up is doing, step by step with its seconds, through `write`; says nothing where no step was taken.
 *
 * @typedef {{ note(text: string): void }} Step
 */
export class Steps {
  #write;
  #startMs = performance.now();
  #taken = 0;

  /** @param {(line: string) => void} write one line, without its end */
  constructor(write) {
    this.#write = write;
  }

  /** How many steps were taken: none means that everything was in place. */
  get taken() {
    return this.#taken;
  }

  /** The seconds since the first step could have begun, as text. */
  get elapsed() {
    return seconds(this.#startMs);
  }

  /** A line that belongs to no step. */
  say(line) {
    this.#write(line);
  }

  /**
   * Runs one step. Its notes are printed under its name as they come, then its seconds.
   *
   * @param {string} name
   * @param {(step: Step) => void | Promise<void>} work
   */
  async take(name, work) {
    const startMs = performance.now();
    this.#taken += 1;
    this.#write(`  ${name} …`);
    await work({ note: (text) => this.#write(`    ${text}`) });
    this.#write(`  ${name}: done in ${seconds(startMs)}`);
  }
}
