import { NumpyRandomState } from '../random/numpy-random-state.ts';

/** Customers and terminals of the Handbook's world, one array element each, at the place of its id. */
export interface HandbookWorld {
  readonly customerCount: number;
  readonly terminalCount: number;
  /** Mean of a customer's amounts; their standard deviation is half of it. */
  readonly meanAmount: Float64Array;
  /** Mean number of transactions a day. */
  readonly meanTransactionsPerDay: Float64Array;
  /** Ids of the terminals in each customer's reach, ascending. A customer may have none, and then never buys. */
  readonly reachableTerminals: readonly Uint32Array[];
}

const customerCount = 5_000;
const terminalCount = 10_000;
const customerSeed = 0;
const terminalSeed = 1;
/** The side of the square in which all live. */
const side = 100;
const reach = 5;

/**
 * Draws the Handbook's customers and terminals. Everything is fixed, seeds included (the book's chapter 3, section "Transaction data
 * simulator"): two calls give the same world.
 */
export function createHandbookWorld(): HandbookWorld {
  const random = new NumpyRandomState(customerSeed);
  const customerX = new Float64Array(customerCount);
  const customerY = new Float64Array(customerCount);
  const meanAmount = new Float64Array(customerCount);
  const meanTransactionsPerDay = new Float64Array(customerCount);
  for (let customer = 0; customer < customerCount; customer++) {
    customerX[customer] = random.uniform(0, side);
    customerY[customer] = random.uniform(0, side);
    meanAmount[customer] = random.uniform(5, 100);
    meanTransactionsPerDay[customer] = random.uniform(0, 4);
  }
  random.seed(terminalSeed);
  const terminalX = new Float64Array(terminalCount);
  const terminalY = new Float64Array(terminalCount);
  for (let terminal = 0; terminal < terminalCount; terminal++) {
    terminalX[terminal] = random.uniform(0, side);
    terminalY[terminal] = random.uniform(0, side);
  }
  const reachableTerminals: Uint32Array[] = [];
  const near = new Uint32Array(terminalCount);
  for (let customer = 0; customer < customerCount; customer++) {
    const x = customerX[customer] ?? 0;
    const y = customerY[customer] ?? 0;
    let count = 0;
    for (let terminal = 0; terminal < terminalCount; terminal++) {
      const dx = x - (terminalX[terminal] ?? 0);
      const dy = y - (terminalY[terminal] ?? 0);
      if (Math.sqrt(dx * dx + dy * dy) < reach) near[count++] = terminal;
    }
    reachableTerminals.push(near.slice(0, count));
  }
  return { customerCount, terminalCount, meanAmount, meanTransactionsPerDay, reachableTerminals };
}
