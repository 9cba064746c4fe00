import { pickFloat64, pickUint32, pickUint8 } from '../../simulation/handbook/pick-rows.ts';
import { handbookStartMs, type HandbookTransactions } from '../../simulation/handbook/transactions.ts';

const dayMs = 86_400_000;

/** The first days of the Handbook's stream, of some customers, in the stream's order. */
export function firstDays(
  stream: HandbookTransactions,
  days: number,
  isWanted: (customer: number) => boolean,
): HandbookTransactions {
  const endMs = handbookStartMs + days * dayMs;
  const rows: number[] = [];
  stream.customerId.forEach((customer, row) => {
    if ((stream.eventTimeMs[row] ?? endMs) < endMs && isWanted(customer)) rows.push(row);
  });
  const order = Uint32Array.from(rows);
  return {
    rowCount: order.length,
    transactionId: pickUint32(stream.transactionId, order),
    eventTimeMs: pickFloat64(stream.eventTimeMs, order),
    customerId: pickUint32(stream.customerId, order),
    terminalId: pickUint32(stream.terminalId, order),
    amount: pickFloat64(stream.amount, order),
    fraud: pickUint8(stream.fraud, order),
    fraudScenario: pickUint8(stream.fraudScenario, order),
  };
}
