import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  addData,
  advanceWatermark,
  checkAnswer,
  checkNewAnswer,
  forEveryCrashPoint,
  near,
  stop,
  restart,
  testQuery,
  type Action,
} from '../../../engine/testing/index.ts';
import { jobUnderTest, loadJob, type JobUnderTest } from '../../../jobs/test-files/job-under-test.ts';

const top = fileURLToPath(new URL('../../..', import.meta.url));
const payment = (id: string, time: string, amount: number): Record<string, unknown> => ({
  transaction_id: id,
  event_time: time,
  card_id: 'card-1',
  terminal_id: 'terminal-1',
  amount,
});

describe('the fraud-scoring job, from its YAML', () => {
  let job: JobUnderTest;
  beforeAll(async () => {
    const outcome = await loadJob(`${top}/jobs/fraud-scoring.yaml`);
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    job = await jobUnderTest(outcome.job, { modelsDirectory: `${top}/models` });
  });
  afterAll(async () => {
    await job[Symbol.asyncDispose]();
  });

  const week: readonly Action[] = [
    addData([payment('t1', '2026-11-01T10:00:00Z', 300)]),
    addData([payment('t2', '2026-11-03T10:00:00Z', 501)]),
    stop(),
    restart(),
    addData([payment('t3', '2026-11-04T10:00:00Z', 899)]),
  ];

  it('compares an amount with the mean of the last seven days', async () => {
    await testQuery(job, [
      ...week,
      checkAnswer([
        { transaction_id: 't1', rolling_avg_7d: null },
        { transaction_id: 't2', rolling_avg_7d: 300 },
        { transaction_id: 't3', rolling_avg_7d: 400.5, amount_to_avg_ratio: near(2.24, 0.005) },
      ]),
      advanceWatermark(Date.UTC(2027, 5, 1)),
      addData([payment('t4', '2026-11-05T10:00:00Z', 1)]),
      checkNewAnswer([{ transaction_id: 't4', late: true }]),
    ]);
  });

  it('publishes the same predictions wherever its process dies', async () => {
    const rows = [
      payment('t1', '2026-11-01T10:00:00Z', 300),
      payment('t2', '2026-11-03T10:00:00Z', 501),
      payment('t2', '2026-11-03T10:00:00Z', 501),
      payment('t3', '2026-11-04T10:00:00Z', 899),
      'not JSON',
    ];
    const { points, runs } = await forEveryCrashPoint(job, rows, {
      check: ({ rows: written }) => expect(written().map(({ transaction_id: id }) => id)).toEqual(['t1', 't2', 't3']),
    });
    expect(points).toBeGreaterThan(30);
    expect(runs).toBe(points + 1);
  });
});
