import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadJob } from '../../jobs/load-job.ts';
import { generateHandbookTransactions } from '../../simulation/handbook/transactions.ts';
import { ExpectedAnswers } from './expected-answers.ts';
import { firstDays } from './handbook-days.ts';
import { runHandbookParity } from './handbook-parity.ts';

describe("the Handbook's features on a cluster", () => {
  it('are those of one undisturbed process, each once, while workers are killed', async () => {
    const outcome = await loadJob(fileURLToPath(new URL('../../jobs/handbook.yaml', import.meta.url)));
    if (!outcome.ok) throw new Error('the shipped job must be sound');
    // Beyond a week, since a label counts 7 days later.
    const transactions = firstDays(generateHandbookTransactions(), 16, (customer) => customer < 300);
    const figures = await runHandbookParity({
      transactions,
      expected: await ExpectedAnswers.ofReplay(outcome.job, transactions),
      partitions: 4,
      workers: 2,
      killEveryMs: 5_000,
      seed: 1,
      say: () => undefined,
    });
    expect(figures).toMatchObject({
      rows: transactions.rowCount,
      columns: 14,
      mismatches: 0,
      missing: 0,
      repeated: 0,
      differences: [],
    });
    expect(figures.kills).toBeGreaterThan(0);
  }, 400_000);
});
