import { describe, expect, it } from 'vitest';
import { toRows } from '../../engine/record/record-batch.ts';
import { handbookBatches } from './record-batches.ts';
import type { HandbookTransactions } from './transactions.ts';

const fiveTransactions: HandbookTransactions = {
  rowCount: 5,
  transactionId: Uint32Array.of(0, 2, 1, 3, 4),
  eventTimeMs: Float64Array.of(1_000, 2_000, 2_000, 3_000, 9_000),
  customerId: Uint32Array.of(7, 8, 7, 9, 4_999),
  terminalId: Uint32Array.of(1, 1, 2, 3, 9_999),
  amount: Float64Array.of(1.5, 2.25, 300, 0, 17.01),
  fraud: Uint8Array.of(0, 0, 1, 0, 0),
  fraudScenario: Uint8Array.of(0, 0, 1, 0, 0),
};

describe('handbookBatches', () => {
  it('gives every transaction once, in order, with consecutive offsets, the last batch being short', () => {
    const batches = [...handbookBatches(fiveTransactions, 2)];
    expect(batches.map((batch) => [...batch.offsets])).toEqual([[0, 1], [2, 3], [4]]);
    expect(batches.flatMap((batch) => [...batch.eventTimesMs])).toEqual([1_000, 2_000, 2_000, 3_000, 9_000]);
    expect(batches.flatMap(toRows)[2]).toEqual({
      TRANSACTION_ID: 1,
      TX_DATETIME: 2_000,
      CUSTOMER_ID: 7,
      TERMINAL_ID: 2,
      TX_AMOUNT: 300,
      TX_FRAUD: 1,
      TX_FRAUD_SCENARIO: 1,
    });
  });

  it('cut into one batch gives the same rows as cut into many', () => {
    const rows = (batchRecords: number): unknown[] =>
      [...handbookBatches(fiveTransactions, batchRecords)].flatMap(toRows);
    expect(rows(5)).toEqual(rows(1));
  });
});
