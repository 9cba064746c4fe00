import { Xoshiro128 } from '../random/xoshiro128.ts';
import type { StreamOptions } from './stream-options.ts';

/** The Handbook's pace: two of 10,000 terminals and three of 5,000 customers each day. */
const terminalsPerDay = 2 / 10_000;
const customersPerDay = 3 / 5_000;
const terminalDays = 28;
const customerDays = 14;

/**
 * Which terminals are compromised and which customers' credentials have leaked, day by day. Days must be entered in order. The world has been like
 * this for 28 days before the stream begins, so that its first day has as much fraud as any other.
 */
export class Compromises {
  readonly #random: Xoshiro128;
  readonly #terminalUntilDay: Int32Array;
  readonly #customerUntilDay: Int32Array;

  constructor(options: StreamOptions) {
    this.#random = new Xoshiro128(options.seed, 'compromises');
    this.#terminalUntilDay = new Int32Array(options.terminals).fill(-terminalDays);
    this.#customerUntilDay = new Int32Array(options.customers).fill(-terminalDays);
    for (let day = -terminalDays; day < 0; day++) this.enterDay(day);
  }

  /** Draws the day's new victims. Called at each midnight, before the day's purchases. */
  enterDay(day: number): void {
    this.#drawVictims(this.#terminalUntilDay, terminalsPerDay, day + terminalDays);
    this.#drawVictims(this.#customerUntilDay, customersPerDay, day + customerDays);
  }

  /** Whether whatever is bought there on that day is a fraud. The day is the one entered last. */
  isTerminalCompromised(terminal: number, day: number): boolean {
    return day < (this.#terminalUntilDay[terminal] ?? 0);
  }

  /** Whether thieves use the card on that day, for a share of its transactions. The day is the one entered last. */
  isCustomerLeaked(customer: number, day: number): boolean {
    return day < (this.#customerUntilDay[customer] ?? 0);
  }

  #drawVictims(untilDay: Int32Array, perDay: number, lastsUntil: number): void {
    const expected = untilDay.length * perDay;
    const chance = this.#random.nextDouble();
    // Where the expected number is not whole, the fraction decides by chance whether there is one more.
    const count = Math.floor(expected) + (chance < expected % 1 ? 1 : 0);
    for (let i = 0; i < count; i++) untilDay[this.#random.below(untilDay.length)] = lastsUntil;
  }
}
