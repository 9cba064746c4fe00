import { describe, expect, it } from 'vitest';
import { addData, checkAnswer, checkDeadLetters, forEveryCrashPoint, testQuery } from '../engine/testing/index.ts';
import type { CheckedJob } from './checked-job.ts';
import { explainJob } from './explain/explain.ts';
import { jobUnderTest } from './test-files/job-under-test.ts';
import { loadFiles } from './testing/job-folder.ts';

const jobWith = (behind: string): string => `job: paid
sources:
  orders:
    topic: orders
    fields: { id: string, at: timestamp, customer: string, amount: double, items: string? }
    key: id
    eventTime: { field: at, delay: 0s }
  payments:
    topic: payments
    fields: { order: string, at: timestamp, amount: double }
    key: order
    eventTime: { field: at, delay: 0s }
join: { left: orders, right: payments, on: { left: id, right: order }, within: { after: 1h }, kind: left }
select: { customer: orders.customer, amount: orders.amount, paid: payments.amount, items: orders.items }
${behind}
features: none
sinks:
  - topic: paid
`;

async function jobOf(behind: string): Promise<CheckedJob> {
  const outcome = await loadFiles({ 'jobs/job.yaml': jobWith(behind) });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

const minute = (n: number): string => new Date(Date.UTC(2026, 10, 22, 12, n)).toISOString();
const order = (id: string, n: number, customer: string, amount: number, items: string | null = null) => ({
  orders: { id, at: minute(n), customer, amount, items },
});
const payment = (id: string, n: number, amount: number) => ({ payments: { order: id, at: minute(n), amount } });
const rows = [
  order('o1', 0, 'ann', 1, '["tea"]'),
  payment('o1', 1, 1),
  order('o2', 2, 'ann', 90, '["cup","pot"]'),
  payment('o2', 3, 90),
  order('o3', 4, 'bob', 5, 'no list'),
  payment('o3', 50, 5),
  order('o4', 55, 'ann', 3),
  payment('o4', 56, 3),
  order('x', 500, 'x', 0),
  payment('y', 500, 0),
  order('z', 900, 'x', 0),
  payment('z', 900, 0),
];

async function answers(behind: string, expected: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
  await using job = await jobUnderTest(await jobOf(behind), { modelsDirectory: '' });
  await testQuery(job, [addData(rows), checkAnswer(expected)]);
  await forEveryCrashPoint(job, rows);
}

describe('what comes out of a join in a job file', () => {
  it('may be filtered', async () => {
    await answers('where: amount > 2', [{ id: 'o2' }, { id: 'o3' }, { id: 'o4' }]);
  });

  it('may be filtered before it goes into windows, which wait for the watermark all the same', async () => {
    await answers(
      'where: amount > 2\nwindows: { key: customer, tumbling: 1h, aggregates: { n: { count: true }, sum: { sum: paid } } }',
      [
        { customer: 'ann', window_start: minute(0), n: 2, sum: 93 },
        { customer: 'bob', window_start: minute(0), n: 1, sum: 5 },
      ],
    );
  });

  it('may be taken apart, and what has no list is a dead letter of the record that brought it out', async () => {
    const behind = 'flatMap: { from: items, as: item }';
    await using job = await jobUnderTest(await jobOf(behind), { modelsDirectory: '' });
    await testQuery(job, [
      addData(rows),
      checkAnswer([
        { id: 'o1', item: 'tea' },
        { id: 'o2', item: 'cup' },
        { id: 'o2', item: 'pot' },
      ]),
      // The payment, which came after the order, is the sixth record, and the third of its topic.
      checkDeadLetters([{ code: 'LIST_MALFORMED', topic: 'payments', offset: 2 }]),
    ]);
    await forEveryCrashPoint(job, rows);
  });

  it('may tell sessions', async () => {
    await answers('sessions: { key: customer, gap: 30m }', [
      { id: 'o1', session_number: 1 },
      { id: 'o2', session_number: 1 },
      { id: 'o3', session_number: 1 },
      { id: 'o4', session_number: 2 },
      { id: 'z', session_number: 1 },
      // It has waited for its payment, and is of a session before the current one by now.
      { id: 'x', session_number: null },
    ]);
  });

  it('may be looked through for patterns, and is explained with them', async () => {
    const behind =
      'pattern: { key: customer, first: amount < 2, followedBy: amount > 50, within: 10m, select: { tried: first.id, taken: id } }';
    await answers(behind, [{ customer: 'ann', tried: 'o1', taken: 'o2' }]);
    const text = explainJob(await jobOf(behind), 'text');
    expect(text.indexOf('join    join')).toBeLessThan(text.indexOf('pattern'));
  });
});
