import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Schema } from '../../../engine/record/schema.ts';
import {
  addData,
  arbitraryStream,
  check,
  checkLedger,
  crash,
  disordered,
  restart,
  testQuery,
} from '../../../engine/testing/index.ts';
import { cardTotals } from '../card-totals.ts';

const payments = Array.from({ length: 200 }, (_, index) => ({
  id: `p${index}`,
  card: `card ${index % 5}`,
  at: Date.UTC(2026, 10, 22) + index * 1_000,
  amount: index,
}));

it('counts each payment once however it is delivered', async () => {
  const delivered = disordered(payments, {
    eventTime: 'at',
    delayMs: 10_000,
    ties: 0.1,
    duplicates: 0.1,
    late: 0.05,
    seed: 7,
  });
  await testQuery(cardTotals({ delayMs: 10_000 }), [
    addData(delivered),
    check('one answer for each payment', ({ rows }) => {
      expect(new Set(rows().map(({ id }) => id)).size).toBe(payments.length);
      expect(rows()).toHaveLength(payments.length);
    }),
    checkLedger({ duplicate: delivered.length - payments.length }),
  ]);
});

const schema = new Schema([
  { name: 'id', type: 'string', presence: 'required' },
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'at', type: 'timestamp', presence: 'required' },
  { name: 'amount', type: 'double', presence: 'required' },
]);

it('gives the same answers after a crash, for any stream', async () => {
  const streams = arbitraryStream(fc, schema, {
    eventTimeField: 'at',
    delayMs: 10_000,
    texts: 20,
    late: 'some',
    repeats: 'some',
  });
  await fc.assert(
    fc.asyncProperty(streams, fc.nat(40), async (rows, cut) => {
      const answers: unknown[] = [];
      const look = check('the answers', (view) => answers.push(view.rows()));
      await testQuery(cardTotals(), [addData(rows), look]);
      await testQuery(cardTotals(), [addData(rows.slice(0, cut)), crash(), restart(), addData(rows.slice(cut)), look]);
      expect(answers[1]).toEqual(answers[0]);
    }),
    { numRuns: 100 },
  );
});
