import { describe, expect, it } from 'vitest';
import {
  addData,
  advanceClock,
  advanceWatermark,
  checkAnswer,
  checkNewAnswer,
  crash,
  restart,
} from '../../engine/testing/action.ts';
import { testQuery } from '../../engine/testing/test-query.ts';
import type { CheckedJob } from '../checked-job.ts';
import { explainJob } from '../explain/explain.ts';
import { partitionRules, refuseAdvanceOnIdle } from '../runtime/partition-rules.ts';
import { jobUnderTest } from '../test-files/job-under-test.ts';
import { loadFiles } from '../testing/job-folder.ts';

const joined = `job: paid
sources:
  orders:
    topic: orders
    fields: { id: string, at: timestamp, amount: double }
    key: id
    eventTime: { field: at, delay: 10s, idleTimeout: 1m }
  payments:
    topic: payments
    fields: { order: string, at: timestamp, amount: double }
    key: order
    eventTime: { field: at, delay: 10s }
join:
  left: orders
  right: payments
  on: { left: id, right: order }
  within: { before: 5m, after: 5m }
  kind: left
features: none
late: { policy: route, allowedLateness: 0s }
sinks:
  - topic: paid
`;
const counted = `job: counts
source:
  topic: visits
  fields: { id: string, at: timestamp, shop: string, page: string }
  key: id
  eventTime: { field: at, delay: 0s }
features: none
windows: { key: shop, tumbling: 1m, aggregates: { n: { count: true } } }
sinks:
  - topic: counts
`;

const tables = `tables:
  shops:
    topic: shops
    fields: { shop: string, at: timestamp, city: string }
    key: shop
    eventTime: { field: at, delay: 0s }
enrich:
  - { table: shops, on: shop, fields: [city], asOf: event-time, missing: keep }
`;

async function jobOf(text: string, from = '', to = ''): Promise<CheckedJob> {
  if (!text.includes(from)) throw new RangeError(`no "${from}" to change`);
  const outcome = await loadFiles({ 'jobs/job.yaml': text.replace(from, () => to) });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

const at = (second: number): number => Date.UTC(2026, 2, 1) + second * 1_000;
const order = (id: string, second: number): object => ({ orders: { id, at: at(second), amount: 1 } });
const payment = (id: string, second: number): object => ({ payments: { order: id, at: at(second), amount: 1 } });
const rowsOf = (...rows: readonly object[]): Readonly<Record<string, unknown>>[] => rows.map((row) => ({ ...row }));

describe('what a job says of partitions that are quiet, or ahead', () => {
  it.each([
    ['delay: 0s', 'delay: 0s, idleTimeout: 0s', 6],
    ['delay: 0s', 'delay: 0s, advanceOnIdle: perhaps', 6],
    ['delay: 0s', 'delay: 0s, maxDrift: soon', 6],
    ['delay: 0s', 'delay: 0s, maxdrift: 1h', 6],
  ])('is refused by line and column where it cannot be meant: %s → %s', async (from, to, line) => {
    const outcome = await loadFiles({ 'jobs/job.yaml': counted.replace(from, to) });
    const found = outcome.ok ? [] : outcome.diagnostics;
    expect(found.map((diagnostic) => [diagnostic.line, diagnostic.column])).toEqual([
      [line, to.includes('maxdrift') ? 38 : expect.any(Number)],
    ]);
    expect(found[0]?.column).toBeGreaterThan(37);
  });

  it('is explained', async () => {
    const text = explainJob(await jobOf(counted, 'delay: 0s', 'delay: 0s, advanceOnIdle: true, maxDrift: 1h'), 'text');
    expect(text).toContain(`behind the newest record of its partition
  that of a partition that brings nothing for 30s goes on by the clock: results depend on speed
  partitions wait for others that are more than 1h behind, and not idle
`);
  });

  it('is of no matter where nothing waits for another partition', async () => {
    const alone = await jobOf(counted, 'key: shop', 'key: id');
    expect(partitionRules(alone)).toEqual({});
    const goesOn = await jobOf(counted.replace('key: shop', 'key: id'), 'delay: 0s', 'delay: 0s, advanceOnIdle: true');
    expect(partitionRules(goesOn).idle?.inputs).toEqual([{ timeoutMs: 30_000, watermark: 'goes on' }]);
    expect(partitionRules(goesOn, 0)).toEqual({});
  });

  it('is refused on a cluster with sessions alone', async () => {
    const told = await jobOf(
      counted.replace('delay: 0s', 'delay: 0s, advanceOnIdle: true'),
      'features',
      'sessions: { key: shop, gap: 1m }\nfeatures',
    );
    expect(() => refuseAdvanceOnIdle(told)).toThrow('advanceOnIdle must be false on a cluster for a job with sessions');
    const windows = await jobOf(counted, 'delay: 0s', 'delay: 0s, advanceOnIdle: true');
    expect(() => refuseAdvanceOnIdle(windows)).not.toThrow();
  });
});

describe('a job over inputs that go quiet', () => {
  it('lets lone records of a join out once the other input is idle, had it records or not', async () => {
    await using underTest = await jobUnderTest(await jobOf(joined), { modelsDirectory: '' });
    await testQuery(underTest, [
      addData(rowsOf(order('a', 0), order('b', 1_000))),
      checkAnswer([]),
      // Payments were never heard from; orders are quiet for half of their own timeout.
      advanceClock(30_000),
      checkNewAnswer([{ id: 'a', 'payments.amount': null }]),
      crash(),
      restart(),
      addData(rowsOf(payment('b', 1_000), order('c', 2_000))),
      checkNewAnswer([{ id: 'b', 'payments.amount': 1 }]),
      advanceClock(30_000),
      addData(rowsOf(order('d', 2_400))),
      checkNewAnswer([{ id: 'c', 'payments.amount': null }]),
    ]);
  });

  it('closes windows of keys that come from several partitions without the quiet ones', async () => {
    await using underTest = await jobUnderTest(await jobOf(counted), { modelsDirectory: '', partitions: 2 });
    const visit = (second: number): Readonly<Record<string, unknown>> => {
      return { id: 'v', at: at(second), shop: 's', page: 'p' };
    };
    await testQuery(underTest, [
      addData([visit(0)], { partition: 0 }),
      addData([visit(1)], { partition: 1 }),
      addData([visit(60)], { partition: 0 }),
      checkAnswer([]),
      advanceClock(20_000),
      addData([visit(70)], { partition: 0 }),
      advanceClock(10_000),
      checkNewAnswer([{ shop: 's', n: 2 }]),
      advanceWatermark(at(120)),
      checkNewAnswer([{ shop: 's', n: 2 }]),
    ]);
  });

  it('closes windows of records that are looked up in a table, which is waited for by nobody', async () => {
    const job = await jobOf(
      counted.replace('features: none', `${tables}features: none`),
      'n: { count: true }',
      "n: { count: true }, last: { last: 'shops.city' }",
    );
    await using underTest = await jobUnderTest(job, { modelsDirectory: '', partitions: 2 });
    const visit = (second: number): Readonly<Record<string, unknown>> => {
      return { source: { id: 'v', at: at(second), shop: 's', page: 'p' } };
    };
    await testQuery(underTest, [
      addData([{ shops: { shop: 's', at: at(-9_000), city: 'Ghent' } }]),
      addData([visit(0)], { partition: 0 }),
      addData([visit(1)], { partition: 1 }),
      addData([visit(60)], { partition: 0 }),
      advanceClock(20_000),
      addData([visit(70)], { partition: 0 }),
      checkAnswer([]),
      advanceClock(10_000),
      checkNewAnswer([{ shop: 's', n: 2, last: 'Ghent' }]),
    ]);
  });
});
