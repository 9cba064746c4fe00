import type { HandbookTransactions } from '../../simulation/handbook/transactions.ts';

const dayMs = 86_400_000;

/**
 * The Handbook's 15 features, straight from their definition, for tests of what is learnt from them. A simple twin of the rolling operator: one
 * pass a window over each entity's rows, in arrival order, the window `(t − delay − w, t − delay]`.
 */
export function handbookFeatures(stream: HandbookTransactions): Map<string, Float64Array> {
  const { rowCount, eventTimeMs, customerId, terminalId, amount, fraud } = stream;
  const weekday = (t: number): number => (Math.floor(t / dayMs) + 4) % 7;
  const features = new Map([
    ['TX_AMOUNT', amount],
    ['TX_DURING_WEEKEND', eventTimeMs.map((t) => (weekday(t) === 0 || weekday(t) === 6 ? 1 : 0))],
    ['TX_DURING_NIGHT', eventTimeMs.map((t) => (t % dayMs < 7 * 3_600_000 ? 1 : 0))],
  ]);
  const byCustomer = rowsByEntity(customerId);
  const byTerminal = rowsByEntity(terminalId);
  for (const days of [1, 7, 30]) {
    const cards = window(byCustomer, eventTimeMs, amount, { overMs: days * dayMs, delayMs: 0 });
    features.set(`CUSTOMER_ID_NB_TX_${days}DAY_WINDOW`, cards.counts);
    features.set(`CUSTOMER_ID_AVG_AMOUNT_${days}DAY_WINDOW`, cards.means);
  }
  for (const days of [1, 7, 30]) {
    const labels = Float64Array.from(fraud);
    const terminals = window(byTerminal, eventTimeMs, labels, { overMs: days * dayMs, delayMs: 7 * dayMs });
    features.set(`TERMINAL_ID_NB_TX_${days}DAY_WINDOW`, terminals.counts);
    features.set(`TERMINAL_ID_RISK_${days}DAY_WINDOW`, terminals.means);
  }
  for (const [name, values] of features) {
    if (values.length !== rowCount) throw new Error(`${name} must have a value a row`);
  }
  return features;
}

function rowsByEntity(ids: Uint32Array): number[][] {
  const rows: number[][] = [];
  ids.forEach((id, row) => (rows[id] ??= []).push(row));
  return rows.filter((own) => own !== undefined);
}

/** Counts and means over the window that ends `delayMs` before each row, the row itself included where there is no delay; 0 where it is empty. */
function window(
  entities: readonly number[][],
  eventTimeMs: Float64Array,
  values: Float64Array,
  { overMs, delayMs }: { overMs: number; delayMs: number },
): { counts: Float64Array; means: Float64Array } {
  const counts = new Float64Array(values.length);
  const means = new Float64Array(values.length);
  const at = (array: Float64Array, row: number | undefined): number => array[row ?? -1] ?? NaN;
  for (const rows of entities) {
    let [low, high, sum] = [0, 0, 0];
    rows.forEach((row, position) => {
      const endMs = at(eventTimeMs, row) - delayMs;
      while (high <= position && at(eventTimeMs, rows[high]) <= endMs) sum += at(values, rows[high++]);
      while (low < high && at(eventTimeMs, rows[low]) <= endMs - overMs) sum -= at(values, rows[low++]);
      counts[row] = high - low;
      means[row] = high > low ? sum / (high - low) : 0;
    });
  }
  return { counts, means };
}
