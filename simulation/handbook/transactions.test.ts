import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { handbookIdentity, publishedHandbookIdentity } from './identity.ts';
import { generateHandbookTransactions, type HandbookTransactions } from './transactions.ts';

describe('generateHandbookTransactions', () => {
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
});
