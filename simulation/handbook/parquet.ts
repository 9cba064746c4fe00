import { writeParquetFile } from '../../engine/sink/file/parquet-writer.ts';
import { generateHandbookTransactions, type HandbookTransactions } from './transactions.ts';

/**
 * Writes the Handbook's stream as a Parquet file with the names and types of the published data, rows in order of arrival:
 * `TRANSACTION_ID`, `CUSTOMER_ID`, `TERMINAL_ID` u32, `TX_DATETIME` in milliseconds UTC, `TX_AMOUNT` f64, `TX_FRAUD` and `TX_FRAUD_SCENARIO` u8.
 * Called by `sluice simulate --handbook --out`. About 20 MB and four seconds.
 *
 * @param path replaced if it exists.
 * @param transactions what {@link generateHandbookTransactions} gives, for a caller that has it already.
 * @throws {SluiceError} `FILE_WRITE_FAILED` when the file system refuses.
 */
export function writeHandbookParquet(
  path: string,
  transactions: HandbookTransactions = generateHandbookTransactions(),
): void {
  writeParquetFile(path, [
    { name: 'TRANSACTION_ID', type: 'uint32', values: transactions.transactionId, encoding: 'delta' },
    { name: 'TX_DATETIME', type: 'timestamp', values: transactions.eventTimeMs, encoding: 'delta' },
    { name: 'CUSTOMER_ID', type: 'uint32', values: transactions.customerId },
    { name: 'TERMINAL_ID', type: 'uint32', values: transactions.terminalId },
    { name: 'TX_AMOUNT', type: 'double', values: transactions.amount },
    { name: 'TX_FRAUD', type: 'uint8', values: transactions.fraud },
    { name: 'TX_FRAUD_SCENARIO', type: 'uint8', values: transactions.fraudScenario },
  ]);
}
