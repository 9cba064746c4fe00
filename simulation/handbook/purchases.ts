import { CpythonRandom } from '../random/cpython-random.ts';
import { NumpyRandomState } from '../random/numpy-random-state.ts';
import type { HandbookWorld } from './world.ts';

/** Transactions in columns, without labels. */
export interface Purchases {
  /** Seconds since the first day's midnight. */
  readonly second: Uint32Array;
  readonly customerId: Uint32Array;
  readonly terminalId: Uint32Array;
  readonly amount: Float64Array;
}

/** Days that the Handbook's stream lasts. */
export const handbookDays = 183;

/** Seconds of a day. */
export const secondsPerDay = 86_400;

/** More than the 1,754,155 rows that there always are. */
const roomForRows = 1_800_000;

const meanSecond = secondsPerDay / 2;
const standardDeviationSeconds = 20_000;

/**
 * Lets every customer buy for 183 days, in the order customer, day, drawing: the frame that the Handbook's code has before it sorts
 * by time. A customer's purchases depend on the id alone, which seeds both generators anew. Drawn times outside the day are
 * thrown away, so a customer makes somewhat fewer purchases than the mean says.
 */
export function drawPurchases(world: HandbookWorld): Purchases {
  const second = new Uint32Array(roomForRows);
  const customerId = new Uint32Array(roomForRows);
  const terminalId = new Uint32Array(roomForRows);
  const amount = new Float64Array(roomForRows);
  let rows = 0;
  const choices = new CpythonRandom(0);
  const numbers = new NumpyRandomState(0);
  for (let customer = 0; customer < world.customerCount; customer++) {
    const terminals = world.reachableTerminals[customer] ?? new Uint32Array(0);
    if (terminals.length === 0) continue;
    const mean = world.meanAmount[customer] ?? 0;
    const rate = world.meanTransactionsPerDay[customer] ?? 0;
    choices.seed(customer);
    numbers.seed(customer);
    for (let day = 0; day < handbookDays; day++) {
      for (let left = numbers.poisson(rate); left > 0; left--) {
        const secondOfDay = Math.trunc(numbers.normal(meanSecond, standardDeviationSeconds));
        if (secondOfDay <= 0 || secondOfDay >= secondsPerDay) continue;
        let drawn = numbers.normal(mean, mean / 2);
        if (drawn < 0) drawn = numbers.uniform(0, mean * 2);
        second[rows] = day * secondsPerDay + secondOfDay;
        customerId[rows] = customer;
        amount[rows] = toCents(drawn);
        terminalId[rows] = terminals[choices.below(terminals.length)] ?? 0;
        rows++;
      }
    }
  }
  return {
    second: second.slice(0, rows),
    customerId: customerId.slice(0, rows),
    terminalId: terminalId.slice(0, rows),
    amount: amount.slice(0, rows),
  };
}

/** Rounds to hundredths as numpy does: the value times 100 to the nearest integer, halves to the even one, divided by 100. */
function toCents(amount: number): number {
  const scaled = amount * 100;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  return (up ? floor + 1 : floor) / 100;
}
