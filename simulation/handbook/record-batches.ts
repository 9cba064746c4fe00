import { numberColumn } from '../../engine/record/column.ts';
import { recordBatch, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import type { HandbookTransactions } from './transactions.ts';

const field = (name: string, type: Field['type']): Field => ({ name, type, presence: 'required' });

/** The published columns as a schema, in the published order. */
export const handbookSchema: Schema = new Schema([
  field('TRANSACTION_ID', 'long'),
  field('TX_DATETIME', 'timestamp'),
  field('CUSTOMER_ID', 'long'),
  field('TERMINAL_ID', 'long'),
  field('TX_AMOUNT', 'double'),
  field('TX_FRAUD', 'long'),
  field('TX_FRAUD_SCENARIO', 'long'),
]);

/**
 * The Handbook's stream as micro-batches of partition 0, offsets from 0 in order of arrival: what a Parquet source gives of the written file, without the
 * file. For benchmarks of features and for tests that need the real stream where no file is.
 *
 * @param batchRecords rows in each batch but the last.
 */
export function* handbookBatches(
  transactions: HandbookTransactions,
  batchRecords: number,
): Generator<RecordBatch, void, void> {
  for (let start = 0; start < transactions.rowCount; start += batchRecords) {
    yield handbookRows(transactions, start, Math.min(start + batchRecords, transactions.rowCount));
  }
}

/** Rows `[start, end)` of the stream as one batch. */
export function handbookRows(transactions: HandbookTransactions, start: number, end: number): RecordBatch {
  const { transactionId, eventTimeMs, customerId, terminalId, amount, fraud, fraudScenario } = transactions;
  const columns = [transactionId, eventTimeMs, customerId, terminalId, amount, fraud, fraudScenario].map((values) =>
    numberColumn(Float64Array.from(values.subarray(start, end))),
  );
  return recordBatch(handbookSchema, columns, {
    partition: 0,
    offset: start,
    eventTimesMs: eventTimeMs.slice(start, end),
  });
}
