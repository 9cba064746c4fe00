import { numpyArgsort } from '../random/numpy-argsort.ts';
import { groupRows } from './group-rows.ts';
import { rowNumbers } from './pick-rows.ts';
import { secondsPerDay, type Purchases } from './purchases.ts';

const windowSeconds = 30 * secondsPerDay;

/**
 * The order in which the transactions are taken to arrive: by time, and within a second as the published features saw them.
 *
 * 119,079 transactions share their second with the one before, so that rule matters, and it is this: by how many
 * transactions the customer has made in 30 days (this one included), then by id. Two transactions of one customer in one second come
 * as the book's feature code counted them, which sorted each customer's rows by time once more with a sort that is not stable; ten such
 * pairs change places against their ids.
 *
 * @param purchases in the order of ids, that is, ascending by time.
 * @returns the rows of `purchases` in order of arrival.
 */
export function arrivalOrder(purchases: Purchases, customerCount: number): Uint32Array {
  const { second, customerId } = purchases;
  const recentCount = new Uint32Array(second.length);
  for (const rows of groupRows(customerId, customerCount))
    countRecent(publishedOrder(rows, second), second, recentCount);

  const order = rowNumbers(second.length);
  for (let first = 0; first < order.length;) {
    let end = first + 1;
    while (end < order.length && second[end] === second[first]) end++;
    if (end - first > 1) {
      order.subarray(first, end).sort((a, b) => (recentCount[a] ?? 0) - (recentCount[b] ?? 0) || a - b);
    }
    first = end;
  }
  return order;
}

/** One customer's rows as the book's feature code had them. */
function publishedOrder(rows: Uint32Array, second: Uint32Array): Uint32Array {
  const hasTie = rows.some((row, i) => i > 0 && second[row] === second[rows[i - 1] ?? 0]);
  // Without ties every sort gives the same, and the rows are in order already.
  if (!hasTie) return rows;
  const seconds = Uint32Array.from(rows, (row) => second[row] ?? 0);
  return numpyArgsort(seconds).map((place) => rows[place] ?? 0);
}

/** Writes for each of one customer's rows how many of them lie in the 30 days that end with it. */
function countRecent(rows: Uint32Array, second: Uint32Array, recentCount: Uint32Array): void {
  let oldest = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0;
    const now = second[row] ?? 0;
    while ((second[rows[oldest] ?? 0] ?? 0) + windowSeconds <= now) oldest++;
    recentCount[row] = i - oldest + 1;
  }
}
