import { numpyArgsort } from '../random/numpy-argsort.ts';
import { arrivalOrder } from './arrival-order.ts';
import { commitFrauds } from './fraud-scenarios.ts';
import { pickFloat64, pickUint32, pickUint8 } from './pick-rows.ts';
import { drawPurchases, type Purchases } from './purchases.ts';
import { createHandbookWorld } from './world.ts';

/** The Handbook's stream in columns of equal length, one element a transaction, in order of arrival. */
export interface HandbookTransactions {
  readonly rowCount: number;
  /** The rank by time in the published data. Not quite the order of arrival: within a second the two differ. */
  readonly transactionId: Uint32Array;
  /** Milliseconds since the epoch, UTC; whole seconds. */
  readonly eventTimeMs: Float64Array;
  readonly customerId: Uint32Array;
  readonly terminalId: Uint32Array;
  readonly amount: Float64Array;
  /** 1 for a fraud, else 0. */
  readonly fraud: Uint8Array;
  /** 0 none, 1 amount over 220, 2 compromised terminal, 3 leaked credentials. */
  readonly fraudScenario: Uint8Array;
}

/** 2018-04-01T00:00:00Z, when the stream begins. */
export const handbookStartMs: number = Date.UTC(2018, 3, 1);

/**
 * Generates the transactions of the *Fraud Detection Handbook* (Le Borgne, Siblini, Lebichot, Bontempi; ULB and Worldline) from its
 * parameters: 1,754,155 rows over 183 days, equal to the published data in every bit, ids and order included. There is nothing to choose;
 * two calls give the same. Takes one to two seconds and about 150 MB while it runs.
 */
export function generateHandbookTransactions(): HandbookTransactions {
  const world = createHandbookWorld();
  const purchases = inIdOrder(drawPurchases(world));
  const scenario = commitFrauds(purchases, world);
  const order = arrivalOrder(purchases, world.customerCount);
  const fraudScenario = pickUint8(scenario, order);
  const eventTimeMs = new Float64Array(order.length);
  for (let i = 0; i < order.length; i++) {
    eventTimeMs[i] = handbookStartMs + (purchases.second[order[i] ?? 0] ?? 0) * 1_000;
  }
  return {
    rowCount: order.length,
    transactionId: order,
    eventTimeMs,
    customerId: pickUint32(purchases.customerId, order),
    terminalId: pickUint32(purchases.terminalId, order),
    amount: pickFloat64(purchases.amount, order),
    fraud: fraudScenario.map((each) => (each === 0 ? 0 : 1)),
    fraudScenario,
  };
}

/** Sorts by time as pandas did when the ids were given: a transaction's id is its row in the result. */
function inIdOrder(purchases: Purchases): Purchases {
  const order = numpyArgsort(purchases.second);
  return {
    second: pickUint32(purchases.second, order),
    customerId: pickUint32(purchases.customerId, order),
    terminalId: pickUint32(purchases.terminalId, order),
    amount: pickFloat64(purchases.amount, order),
  };
}
