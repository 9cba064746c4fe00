import { CpythonRandom } from '../random/cpython-random.ts';
import { NumpyRandomState } from '../random/numpy-random-state.ts';
import { groupRows } from './group-rows.ts';
import { handbookDays, secondsPerDay, type Purchases } from './purchases.ts';
import type { HandbookWorld } from './world.ts';

const largeAmount = 220;
const terminalsPerDay = 2;
const terminalDays = 28;
const customersPerDay = 3;
const customerDays = 14;
const stolenFactor = 5;

/**
 * Marks frauds in `purchases`, which must be in the Handbook's order of ids, and multiplies the amounts of scenario 3 in place. A later
 * scenario overwrites the mark of an earlier one, never the earlier one's amount.
 *
 * @returns the scenario of each row: 0 (none), 1 (amount over 220), 2 (compromised terminal), 3 (leaked credentials).
 */
export function commitFrauds(purchases: Purchases, world: HandbookWorld): Uint8Array {
  const { amount, second } = purchases;
  const scenario = new Uint8Array(amount.length);
  for (let row = 0; row < amount.length; row++) if ((amount[row] ?? 0) > largeAmount) scenario[row] = 1;

  const rowsByTerminal = groupRows(purchases.terminalId, world.terminalCount);
  const rowsByCustomer = groupRows(purchases.customerId, world.customerCount);
  // The book's loop runs to the last day without it.
  for (let day = 0; day < handbookDays - 1; day++) {
    for (const terminal of new NumpyRandomState(day).sample(world.terminalCount, terminalsPerDay)) {
      for (const row of rowsByTerminal[terminal] ?? []) {
        if (isWithinDays(second[row] ?? 0, day, terminalDays)) scenario[row] = 2;
      }
    }
  }
  for (let day = 0; day < handbookDays - 1; day++) {
    const customers = new NumpyRandomState(day).sample(world.customerCount, customersPerDay);
    const candidates: number[] = [];
    for (const customer of customers) {
      for (const row of rowsByCustomer[customer] ?? []) {
        if (isWithinDays(second[row] ?? 0, day, customerDays)) candidates.push(row);
      }
    }
    candidates.sort((a, b) => a - b);
    for (const position of new CpythonRandom(day).sample(candidates.length, Math.trunc(candidates.length / 3))) {
      const row = candidates[position] ?? 0;
      amount[row] = (amount[row] ?? 0) * stolenFactor;
      scenario[row] = 3;
    }
  }
  return scenario;
}

function isWithinDays(second: number, firstDay: number, days: number): boolean {
  return second >= firstDay * secondsPerDay && second < (firstDay + days) * secondsPerDay;
}
