import { Xoshiro128 } from '../random/xoshiro128.ts';
import { dayMs } from './day-shape.ts';
import type { StreamOptions } from './stream-options.ts';

/** One small transaction by which a thief tries whether a stolen card works. */
export interface CardTest {
  readonly eventTimeMs: number;
  readonly card: number;
  readonly terminal: number;
  readonly amount: number;
}

const burstsPerDay = 4;
const fewestTests = 8;
const mostTests = 15;
const longestGapMs = 30_000;

/** The drift drill's bursts of card testing: four a day, each 8 to 15 transactions of 0.50 to 3.00 on one card at one terminal, seconds apart. */
export class CardTesting {
  readonly #random: Xoshiro128;
  readonly #options: StreamOptions;

  constructor(options: StreamOptions) {
    this.#random = new Xoshiro128(options.seed, 'card testing');
    this.#options = options;
  }

  /** The day's tests in order of time, all within the day. Days must be asked for in order, each once. */
  drawDay(dayStartMs: number): readonly CardTest[] {
    const random = this.#random;
    const tests: CardTest[] = [];
    for (let burst = 0; burst < burstsPerDay; burst++) {
      const card = random.below(this.#options.customers);
      const terminal = random.below(this.#options.terminals);
      let eventTimeMs = dayStartMs + random.below(dayMs - mostTests * longestGapMs);
      for (let left = fewestTests + random.below(mostTests - fewestTests + 1); left > 0; left--) {
        tests.push({ eventTimeMs, card, terminal, amount: Math.round(random.uniform(50, 300)) / 100 });
        eventTimeMs += 1_000 + random.below(longestGapMs - 1_000);
      }
    }
    return tests.sort((a, b) => a.eventTimeMs - b.eventTimeMs);
  }
}
