import { expect, it } from 'vitest';
import { forEveryCrashPoint } from '../../../engine/testing/index.ts';
import { cardTotals } from '../card-totals.ts';

const payments = [
  { id: 'p1', card: 'a', at: '2026-11-22T12:00:00Z', amount: 10 },
  { id: 'p2', card: 'b', at: '2026-11-22T12:00:01Z', amount: 20 },
  { id: 'p2', card: 'b', at: '2026-11-22T12:00:01Z', amount: 20 },
  { id: 'p3', card: 'a', at: '2026-11-22T12:00:02Z', amount: 30 },
  'not JSON',
];

it('is right wherever the process dies', async () => {
  const { points, runs } = await forEveryCrashPoint(cardTotals(), payments, {
    check: ({ rows }) => expect(rows().map(({ spent_1h: spent }) => spent)).toEqual([10, 20, 40]),
  });
  expect(points).toBeGreaterThan(30);
  expect(runs).toBe(points + 1);
});
