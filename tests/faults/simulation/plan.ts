import { asItShould, faultsOf, type CallKind, type Fate } from './fate.ts';
import { RandomSource } from './random-source.ts';

/** Things that befall the services between two calls. */
export type WorldEvent = 'failover' | 'wipe' | 'transaction timeout' | 'takeover' | 'truncate';

/** Decides all that is left to chance in a run: the order of calls, what goes wrong, and when. */
export interface Plan {
  /** Which of so many calls that could be carried out now is. */
  choose(count: number): number;
  /** What becomes of the call, the `number`th of the run. */
  fateOf(kind: CallKind, number: number): Fate;
  /** What happens before the next call; asked before each. */
  event(): WorldEvent | null;
  /** For everything that is neither order nor fault: pauses, delays, how much is appended. */
  readonly random: RandomSource;
  /** How many things went wrong so far. */
  readonly faults: number;
}

/** Faults at random moments, a few in each run, from one seed. */
export class RandomPlan implements Plan {
  readonly random: RandomSource;
  readonly #budget: number;
  readonly #rarity: number;
  readonly #mayTruncate: boolean;
  faults = 0;

  constructor(seed: number) {
    this.random = new RandomSource(seed);
    this.#budget = 1 + this.random.below(10);
    this.#rarity = 4 + this.random.below(30);
    this.#mayTruncate = this.random.oneIn(16);
  }

  choose(count: number): number {
    return count === 1 ? 0 : this.random.below(count);
  }

  fateOf(kind: CallKind): Fate {
    // Half of the faults strike where an answer decides what has been committed.
    const isDecisive = kind === 'commit' || kind === 'write' || kind === 'claim' || kind === 'init';
    if (this.faults >= this.#budget || !this.random.oneIn(isDecisive ? this.#rarity >> 1 : this.#rarity * 2)) {
      return asItShould;
    }
    this.faults++;
    const choices = faultsOf[kind];
    return choices[this.random.below(choices.length)] ?? asItShould;
  }

  event(): WorldEvent | null {
    if (this.faults >= this.#budget || !this.random.oneIn(this.#rarity * 3)) return null;
    this.faults++;
    if (this.#mayTruncate && this.random.oneIn(3)) return 'truncate';
    return this.random.pick(['failover', 'failover', 'failover', 'wipe', 'transaction timeout', 'takeover']);
  }
}

/** What is to go wrong at which call; everything else goes in order and as it should. */
export class ScriptedPlan implements Plan {
  readonly random: RandomSource;
  readonly #fates: ReadonlyMap<number, Fate>;
  readonly #seen: CallKind[] = [];
  faults = 0;

  constructor(fates: ReadonlyMap<number, Fate>, seed = 1) {
    this.random = new RandomSource(seed);
    this.#fates = fates;
  }

  /** The calls of the run, by number: what a next script can strike. */
  get calls(): readonly CallKind[] {
    return this.#seen;
  }

  choose(): number {
    return 0;
  }

  fateOf(kind: CallKind, number: number): Fate {
    this.#seen[number] = kind;
    const fate = this.#fates.get(number);
    if (fate === undefined) return asItShould;
    this.faults++;
    return fate;
  }

  event(): null {
    return null;
  }
}
