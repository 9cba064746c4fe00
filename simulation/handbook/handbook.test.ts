import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openParquetSource } from '../../engine/source/file/parquet-source.ts';
import { handbookIdentity, publishedHandbookIdentity } from './identity.ts';
import { writeHandbookParquet } from './parquet.ts';
import { handbookSchema } from './record-batches.ts';
import { generateHandbookTransactions, type HandbookTransactions } from './transactions.ts';

const publishedPath = join(process.env['SLUICE_SHARED'] ?? '../shared', 'data/handbook/transactions.parquet');

/** How many values of the file differ from the generated ones, by column, and how many rows it has. */
async function compare(path: string, transactions: HandbookTransactions): Promise<Record<string, number>> {
  const { transactionId, eventTimeMs, customerId, terminalId, amount, fraud, fraudScenario } = transactions;
  const generated = [transactionId, eventTimeMs, customerId, terminalId, amount, fraud, fraudScenario];
  const differences = handbookSchema.fields.map(() => 0);
  await using source = await openParquetSource({
    path,
    schema: handbookSchema,
    eventTimeField: 'TX_DATETIME',
    keyFields: ['CUSTOMER_ID'],
  });
  await source.seek([{ partition: 0, offset: 0 }]);
  let rows = 0;
  for (;;) {
    const polled = await source.poll({ maxRecords: 10_000, maxWaitMs: 0 });
    if (polled === 'end') break;
    if (polled === null || polled.kind !== 'records') throw new Error('a Parquet source gives records');
    const { columns, rowCount } = polled.records;
    columns.forEach((column, index) => {
      const ours = generated[index];
      for (let row = 0; row < rowCount; row++) {
        const theirs = column.kind === 'number' && column.valid === null ? column.values[row] : undefined;
        if (theirs !== ours?.[rows + row]) differences[index] = (differences[index] ?? 0) + 1;
      }
    });
    rows += rowCount;
  }
  return Object.fromEntries([
    ['rows', rows],
    ...handbookSchema.fields.map((field, i) => [field.name, differences[i] ?? 0]),
  ]);
}

const noDifference = {
  rows: 1_754_155,
  TRANSACTION_ID: 0,
  TX_DATETIME: 0,
  CUSTOMER_ID: 0,
  TERMINAL_ID: 0,
  TX_AMOUNT: 0,
  TX_FRAUD: 0,
  TX_FRAUD_SCENARIO: 0,
};

describe("the Handbook's stream", () => {
  let transactions: HandbookTransactions;
  beforeAll(() => {
    transactions = generateHandbookTransactions();
  });

  it('equals the published stream by its SHA-256', () => {
    expect(handbookIdentity(transactions)).toBe(publishedHandbookIdentity);
  });

  it('has the published counts of rows, customers, frauds and scenarios', () => {
    const scenarios = [0, 0, 0, 0];
    for (const scenario of transactions.fraudScenario) scenarios[scenario] = (scenarios[scenario] ?? 0) + 1;
    expect(transactions.rowCount).toBe(1_754_155);
    expect(new Set(transactions.customerId).size).toBe(4_990);
    expect(transactions.fraud.reduce((sum, fraud) => sum + fraud, 0)).toBe(14_681);
    expect(scenarios).toEqual([1_739_474, 973, 9_077, 4_631]);
  });

  it('has the published sums of amounts, in all and of frauds', () => {
    let all = 0;
    let stolen = 0;
    transactions.amount.forEach((amount, row) => {
      all += amount;
      stolen += transactions.fraud[row] === 1 ? amount : 0;
    });
    expect(all).toBeCloseTo(94_079_370.08, 2);
    expect(stolen).toBeCloseTo(1_925_677.76, 2);
  });

  it('comes in order of time, with every id once', () => {
    const seen = new Uint8Array(transactions.rowCount);
    let backwards = 0;
    transactions.transactionId.forEach((id, row) => {
      seen[id] = 1;
      if (row > 0 && (transactions.eventTimeMs[row] ?? 0) < (transactions.eventTimeMs[row - 1] ?? 0)) backwards++;
    });
    expect(backwards).toBe(0);
    expect(seen.every((each) => each === 1)).toBe(true);
  });

  it('comes in the order in which the published features saw it', () => {
    // SHA-256 of the published data's ids in order of arrival, as little-endian 32-bit words.
    const order = createHash('sha256').update(new Uint8Array(transactions.transactionId.buffer)).digest('hex');
    expect(order).toBe('09d21bcd26f27cff00d5a78257d5e7070df4165ce576f67a00be0788c52eda01');
  });

  describe('as a Parquet file', () => {
    let directory: string;
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'sluice-handbook-'));
    });
    afterAll(async () => {
      await rm(directory, { recursive: true, force: true });
    });

    it('writes every value so that a job reads it back', async () => {
      const path = join(directory, 'transactions.parquet');
      writeHandbookParquet(path, transactions);
      expect(await compare(path, transactions)).toEqual(noDifference);
    });

    it.runIf(existsSync(publishedPath))(
      'holds what the published file holds, row by row and column by column',
      async () => {
        expect(await compare(publishedPath, transactions)).toEqual(noDifference);
      },
    );
  });
});
