import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTestFile } from './load-test-file.ts';
import { runTestFile } from './run-test-file.ts';

const job = `job: paid
sources:
  orders:
    topic: orders
    fields: { id: string, at: timestamp, amount: double }
    key: id
    eventTime: { field: at, delay: 10s }
  payments:
    topic: payments
    fields: { order: string, at: timestamp, method: string? }
    key: order
    eventTime: { field: at, delay: 0s }
join: { left: orders, right: payments, on: { left: id, right: order }, within: { after: 1h }, kind: left }
select: { amount: orders.amount, method: payments.method }
features: none
sinks: [{ topic: paid }]
`;

const tests = `partitions: 2
defaults:
  orders: { amount: 10 }
tests:
  - name: an order is paid at once, another never
    steps:
      - given:
          - orders: { id: a, at: 2026-01-01T00:00:00Z }
          - orders: { id: b, at: 2026-01-01T00:00:01Z, amount: 20 }
      - given: [{ payments: { order: a, at: 2026-01-01T00:10:00Z, method: card } }]
        expect: [{ id: a, event_time: 2026-01-01T00:10:00.000Z, amount: 10, method: card }]
      - crash: now
        restart: now
        advanceWatermark: 2026-01-01T01:00:02Z
        expect: [{ id: b, amount: 20, method: null }]
      - given: [{ orders: { id: c, at: 2026-01-01T00:00:00Z } }]
        expectLate: [{ orders.id: c, source_offset: 3 }]
        expectLedger: { read: 4, scored: 3, late: 1 }
`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-inputs-'));
  await writeFile(join(folder, 'paid.yaml'), job);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function load(text: string): ReturnType<typeof loadTestFile> {
  const file = join(folder, 'paid.test.yaml');
  await writeFile(file, text);
  return loadTestFile(file);
}

describe('a test file for a job of several inputs', () => {
  it('gives each record to its input, with the defaults of that input, and moves the watermarks of all', async () => {
    const outcome = await load(tests);
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    const results = await runTestFile(outcome.testFile, '');
    expect(results.map(({ findings, story }) => ({ findings, story }))).toEqual([{ findings: [], story: '' }]);
  });

  it('is refused where a record is of no input, or has a field that its input has not', async () => {
    const wrong = tests
      .replace('- orders: { id: b', '- order: { id: b')
      .replace('method: card } }]', 'methd: card } }]');
    const outcome = await load(wrong);
    expect(outcome.ok ? [] : outcome.diagnostics.map(({ line, message, nearest }) => [line, message, nearest])).toEqual(
      [
        [9, 'the job has no input "order"', 'orders'],
        [10, 'the job\'s records have no field "methd"', 'method'],
      ],
    );
  });
});
