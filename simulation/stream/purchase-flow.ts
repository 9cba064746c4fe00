import { AliasTable } from '../random/alias-table.ts';
import { Xoshiro128 } from '../random/xoshiro128.ts';
import { CardTesting, type CardTest } from './card-testing.ts';
import { Compromises } from './compromises.ts';
import { dayMs, dayShape, slotMs, slotsPerDay } from './day-shape.ts';
import type { StreamOptions } from './stream-options.ts';
import { TerminalMap, worldSide } from './terminal-map.ts';

/** Why a transaction is a fraud: the Handbook's three scenarios, and the drift drill's own. */
export const fraudScenarios = { none: 0, largeAmount: 1, terminal: 2, leakedCard: 3, cardTesting: 4 } as const;

const largeAmount = 220;
const usualTheft = { share: 1 / 3, factor: 5 };
const driftedTheft = { share: 1 / 2, factor: 2 };
const driftedPrices = 1.3;

/**
 * The world's purchases one after the other in order of event time, without end. A cursor: each {@link advance} moves it on by one purchase, whose
 * values are then in its fields, so that a purchase costs no object.
 *
 * Each customer buys as a Poisson process whose rate follows the time of day. All customers together are then one Poisson process with the sum of
 * their rates, each of whose events belongs to a customer with a probability proportional to that customer's rate; so times come out sorted and
 * nothing but the next purchase is ever held, whatever the number of customers.
 */
export class PurchaseFlow {
  eventTimeMs = 0;
  card = 0;
  terminal = 0;
  amount = 0;
  /** One of {@link fraudScenarios}. */
  scenario: number = fraudScenarios.none;

  readonly #random: Xoshiro128;
  readonly #startMs: number;
  readonly #driftFromDay: number;
  readonly #map: TerminalMap;
  readonly #x: Float64Array;
  readonly #y: Float64Array;
  readonly #meanAmount: Float64Array;
  readonly #customers: AliasTable;
  readonly #compromises: Compromises;
  readonly #cardTesting: CardTesting;
  /** Mean gap between purchases in each part of the day, of all customers together. */
  readonly #meanGapMs: Float64Array;
  /** Part of the stream that the process is in, counted from the start, and its time since the start. */
  #slot = 0;
  #sinceStartMs = 0;
  #tests: readonly CardTest[] = [];
  #nextTest = 0;

  constructor(options: StreamOptions) {
    const random = new Xoshiro128(options.seed, 'world');
    const count = options.customers;
    this.#x = new Float64Array(count);
    this.#y = new Float64Array(count);
    this.#meanAmount = new Float64Array(count);
    const perDay = new Float64Array(count);
    let totalPerDay = 0;
    for (let card = 0; card < count; card++) {
      this.#x[card] = random.uniform(0, worldSide);
      this.#y[card] = random.uniform(0, worldSide);
      this.#meanAmount[card] = random.uniform(5, 100);
      perDay[card] = random.uniform(0, 4);
      totalPerDay += perDay[card] ?? 0;
    }
    this.#map = new TerminalMap(options.terminals, random);
    this.#customers = new AliasTable(perDay);
    this.#compromises = new Compromises(options);
    this.#cardTesting = new CardTesting(options);
    this.#meanGapMs = dayShape().map((share) => slotMs / (totalPerDay * share));
    this.#random = new Xoshiro128(options.seed, 'purchases');
    this.#startMs = options.startMs;
    this.#driftFromDay = options.driftFromDay ?? Infinity;
    this.#enterDay(0);
    this.#moveOn();
  }

  /** Moves to the next purchase. */
  advance(): void {
    const test = this.#tests[this.#nextTest];
    if (test !== undefined && test.eventTimeMs <= this.#startMs + this.#sinceStartMs) {
      this.#nextTest++;
      this.eventTimeMs = test.eventTimeMs;
      this.card = test.card;
      this.terminal = test.terminal;
      this.amount = test.amount;
      this.scenario = fraudScenarios.cardTesting;
      return;
    }
    this.#buy();
    this.#moveOn();
  }

  #buy(): void {
    const random = this.#random;
    const card = this.#customers.pick(random);
    const terminal = this.#map.pick(this.#x[card] ?? 0, this.#y[card] ?? 0, random);
    const mean = this.#meanAmount[card] ?? 0;
    let amount = mean + (mean / 2) * random.normal();
    if (amount < 0) amount = random.uniform(0, 2 * mean);

    const day = Math.floor(this.#slot / slotsPerDay);
    const drifted = day >= this.#driftFromDay;
    let scenario: number = amount > largeAmount ? fraudScenarios.largeAmount : fraudScenarios.none;
    if (this.#compromises.isTerminalCompromised(terminal, day)) scenario = fraudScenarios.terminal;
    if (this.#compromises.isCustomerLeaked(card, day)) {
      const theft = drifted ? driftedTheft : usualTheft;
      if (random.nextDouble() < theft.share) {
        amount *= theft.factor;
        scenario = fraudScenarios.leakedCard;
      }
    }
    // Prices rise for all and after the fact: what was an ordinary amount before stays one, and a model that learned the old amounts is wrong.
    if (drifted) amount *= driftedPrices;

    this.eventTimeMs = this.#startMs + Math.floor(this.#sinceStartMs);
    this.card = card;
    this.terminal = terminal;
    this.amount = Math.round(amount * 100) / 100;
    this.scenario = scenario;
  }

  /** Draws the time of the next purchase. A gap that would leave the part of the day is drawn anew from its end: the process has no memory. */
  #moveOn(): void {
    for (;;) {
      const gapMs = this.#random.exponential() * (this.#meanGapMs[this.#slot % slotsPerDay] ?? 0);
      const slotEndMs = (this.#slot + 1) * slotMs;
      if (this.#sinceStartMs + gapMs < slotEndMs) {
        this.#sinceStartMs += gapMs;
        return;
      }
      this.#sinceStartMs = slotEndMs;
      this.#slot++;
      if (this.#slot % slotsPerDay === 0) this.#enterDay(this.#slot / slotsPerDay);
    }
  }

  #enterDay(day: number): void {
    this.#compromises.enterDay(day);
    if (day < this.#driftFromDay) return;
    const left = this.#tests.slice(this.#nextTest);
    this.#tests = [...left, ...this.#cardTesting.drawDay(this.#startMs + day * dayMs)];
    this.#nextTest = 0;
  }
}
