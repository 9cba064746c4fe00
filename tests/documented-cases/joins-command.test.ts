import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBalanced } from '../../engine/observability/ledger.ts';
import { messageValue } from '../../engine/record/message-batch.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { forEveryCrashPoint } from '../../engine/testing/for-every-crash-point.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { loadJob } from '../../jobs/load-job.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import { jobUnderTest } from '../../jobs/test-files/job-under-test.ts';
import { sluice } from '../embedded/sluice-process.ts';

const jobText = (orders: string, payments: string, more: string): string => `
job: paid
sources:
  orders:
    ${orders}
    fields: { id: string, at: timestamp, amount: double }
    key: id
    eventTime: { field: at, delay: 10s }
    duplicates: { by: id, within: 1h }
  payments:
    ${payments}
    fields: { order: string, at: timestamp, amount: double? }
    key: order
    eventTime: { field: at, delay: 30s }
join:
  left: orders
  right: payments
  on: { left: id, right: order }
  within: { before: 10s, after: 5m }
  kind: full
features: none
${more}
`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-joins-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function jobOf(text: string): Promise<CheckedJob> {
  const file = join(folder, `${systemClock.monotonicMs()}.yaml`);
  await writeFile(file, text);
  const outcome = await loadJob(file);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

const at = (time: string): string => `2026-03-01T${time}Z`;

describe('a job that joins two inputs, by the command', () => {
  it('publishes pairs and what has no partner, routes what is late, and explains itself', async () => {
    const orders = [
      { id: 'o1', at: at('12:00:00'), amount: 10 },
      { id: 'o2', at: at('12:01:00'), amount: 20 },
      { id: 'o2', at: at('12:01:00'), amount: 20 },
      { id: 'o3', at: at('12:30:00'), amount: 30 },
      { id: 'o4', at: at('12:02:00'), amount: 40 },
    ];
    const payments = [
      { order: 'o1', at: at('12:04:00'), amount: 10 },
      { order: 'o9', at: at('12:04:30'), amount: 90 },
      { order: 'o3', at: at('12:29:55'), amount: null },
      { order: 'o3', at: at('12:34:59'), amount: 30 },
      { order: 'o3', at: at('12:36:00'), amount: 30 },
    ];
    const lines = (rows: readonly unknown[]): string => rows.map((row) => JSON.stringify(row)).join('\n');
    await writeFile(join(folder, 'orders.jsonl'), lines(orders));
    await writeFile(join(folder, 'payments.jsonl'), lines(payments));
    const file = join(folder, 'paid.yaml');
    const more = 'trigger: availableNow\nsinks: [{ topic: paid, partitions: 1 }, { jsonl: paid.jsonl }]';
    await writeFile(file, jobText('jsonl: orders.jsonl', 'jsonl: payments.jsonl', more));
    const dir = join(folder, 'data');
    const ran = await sluice('run', file, '--profile', 'local', '--dir', dir);
    expect(ran.stderr).toBe('');
    expect(JSON.parse(ran.stdout)).toMatchObject({ read: 10, scored: 8, duplicate: 1, late: 1, deadLettered: 0 });
    const results = (await readFile(join(folder, 'paid.jsonl'), 'utf8')).trim().split('\n');
    interface Result {
      readonly id: string;
      readonly event_time: string;
      readonly orders: { readonly amount: number | null };
      readonly payments: { readonly amount: number | null };
    }
    const told = results.map((line) => {
      const { id, orders: order, payments: payment, event_time: time } = JSON.parse(line) as Result;
      return `${id} ${order.amount} ${payment.amount} ${time}`;
    });
    expect(told.toSorted()).toEqual([
      'o1 10 10 2026-03-01T12:04:00.000Z',
      'o2 20 null 2026-03-01T12:01:00.000Z',
      'o3 30 30 2026-03-01T12:34:59.000Z',
      'o3 30 null 2026-03-01T12:30:00.000Z',
      'o9 null 90 2026-03-01T12:04:30.000Z',
    ]);
    const late = await sluice('topic', 'tail', 'paid-late', '--no-follow', '--dir', dir);
    expect(JSON.parse(late.stdout)).toMatchObject({
      orders: { id: 'o4', amount: 40 },
      payments: { order: null },
      source_partition: 0,
      source_offset: 4,
      late: true,
    });
    const explained = await sluice('explain', file);
    expect(explained.stdout).toContain('join    join  full, orders.id = payments.order');
  });
});

describe('a job that looks records up in a table, by the command', () => {
  it('reads the table before the records, and gives each the version of its own time', async () => {
    const lines = (rows: readonly unknown[]): string => rows.map((row) => JSON.stringify(row)).join('\n');
    // Many versions, and times that overlap the records': more than one batch of each.
    const versions = Array.from({ length: 3_000 }, (_, minute) => ({
      currency: minute % 2 === 0 ? 'Euro' : 'Yen',
      updated: Date.UTC(2026, 2, 1) + minute * 60_000,
      rate: minute,
    }));
    const orders = Array.from({ length: 2_500 }, (_, index) => ({
      id: `o${index}`,
      currency: index % 3 === 0 ? 'Yen' : 'Euro',
      at: Date.UTC(2026, 2, 1) + index * 61_000 + 30_000,
    }));
    await writeFile(join(folder, 'rates.jsonl'), lines(versions));
    await writeFile(join(folder, 'exchange-orders.jsonl'), lines(orders));
    const file = join(folder, 'worth.yaml');
    await writeFile(
      file,
      `job: worth
source:
  jsonl: exchange-orders.jsonl
  fields: { id: string, currency: string, at: timestamp }
  key: id
  eventTime: { field: at, delay: 1m }
tables:
  rates:
    jsonl: rates.jsonl
    fields: { currency: string, updated: timestamp, rate: double }
    key: currency
    eventTime: { field: updated, delay: 0s }
enrich: [{ table: rates, on: currency, missing: drop }]
features: none
trigger: availableNow
sinks: [{ topic: worth }, { jsonl: worth.jsonl }]
`,
    );
    const ran = await sluice('run', file, '--dir', join(folder, 'enriched'));
    expect(ran.stderr).toBe('');
    expect(JSON.parse(ran.stdout)).toMatchObject({ read: 5_500, scored: 5_499, filtered: 1, late: 0 });
    const results = (await readFile(join(folder, 'worth.jsonl'), 'utf8')).trim().split('\n');
    const got = new Map(
      results.map((line) => {
        const { id, rates } = JSON.parse(line) as { readonly id: string; readonly rates: { readonly rate: number } };
        return [id, rates.rate] as const;
      }),
    );
    const wanted = orders.flatMap(({ id, currency, at: orderedAt }) => {
      const version = versions.findLast((each) => each.currency === currency && each.updated <= orderedAt);
      return version === undefined ? [] : [[id, version.rate] as const];
    });
    expect(wanted).toHaveLength(2_499);
    expect(got).toEqual(new Map(wanted));
  });
});

describe('a job that joins two topics on the embedded profile', () => {
  const names = Array.from({ length: 60 }, (_, index) => `o${index}`);
  const start = Date.UTC(2026, 2, 1);
  const orders = names.map((id, index) => ({
    value: JSON.stringify({ id, at: start + index * 7_000 - ((index * 13) % 5) * 2_000, amount: index }),
    key: id,
  }));
  const payments = Array.from({ length: 90 }, (_, index) => {
    const order = `o${(index * 17) % 70}`;
    const paid = start + ((index * 17) % 70) * 7_000 + ((index * 7) % 11) * 31_000 - ((index * 29) % 6) * 9_000;
    return { value: JSON.stringify({ order, at: paid, amount: index / 4 }), key: order, paid };
  })
    .toSorted((a, b) => a.paid - b.paid + ((a.paid * 7) % 40_000) - ((b.paid * 7) % 40_000))
    .map(({ value, key }) => ({ value, key }));
  let runs = 0;

  async function run(
    job: CheckedJob,
    maxBatchRecords: number,
    parts: readonly (readonly [orders: number, payments: number])[],
  ): Promise<{ results: string[]; late: number }> {
    const directory = join(folder, `run-${runs++}`);
    await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
    storage.ensureTopic('orders', { partitionCount: 3 });
    storage.ensureTopic('payments', { partitionCount: 2 });
    let [ordersFrom, paymentsFrom] = [0, 0];
    let [read, late] = [0, 0];
    const spread = (
      messages: readonly { value: string; key: string }[],
      count: number,
    ): { value: string; partition: number }[] =>
      messages.map(({ value, key }) => ({ value, partition: Number(key.slice(1)) % count }));
    for (const [ordersTo, paymentsTo] of [...parts, [orders.length, payments.length] as const]) {
      const some = spread(orders.slice(ordersFrom, ordersTo), 3);
      const others = spread(payments.slice(paymentsFrom, paymentsTo), 2);
      if (some.length > 0) await storage.append(messageBatchOf('orders', some));
      if (others.length > 0) await storage.append(messageBatchOf('payments', others));
      [ordersFrom, paymentsFrom] = [Math.max(ordersFrom, ordersTo), Math.max(paymentsFrom, paymentsTo)];
      const logger = { info: fail, warn: fail, error: fail };
      const bounds = { maxBatchRecords };
      await using open = await openLocalRun(job, { storage, directory, modelsDirectory: '', logger, bounds });
      await open.run('availableNow', new AbortController().signal);
      const { ledger } = open.query.totals;
      expect(isBalanced(ledger)).toBe(true);
      read += ledger.read;
      late += ledger.late;
    }
    expect(read).toBe(orders.length + payments.length);
    return { results: await readAll(storage, 'paid'), late };
  }

  it('publishes the same results whatever the batches, the restarts, and which input is read when', async () => {
    const more = 'sinks: [{ topic: paid, partitions: 1 }]\nstate: { flushEvery: 0s }\nlate: { policy: drop }';
    const inner = jobText('topic: orders', 'topic: payments', more).replace('kind: full', 'kind: inner');
    const job = await jobOf(inner);
    const whole = await run(job, 1_000, []);
    expect(whole.results.length).toBeGreaterThan(30);
    // Every partition is heard from in the first part: one that is heard from later than the others may bring late records.
    const some = fc.tuple(fc.integer({ min: 12, max: orders.length }), fc.integer({ min: 12, max: payments.length }));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 5, max: 90 }), fc.array(some, { maxLength: 3 }), async (size, parts) => {
        const { results, late } = await run(job, size, parts);
        expect(results.toSorted()).toEqual(whole.results.toSorted());
        expect(late).toBe(whole.late);
      }),
      { numRuns: Number(process.env['SLUICE_STREAMS'] ?? 8) },
    );
  });

  it('loses and repeats nothing when its process dies at any step', async () => {
    const job = await jobOf(jobText('topic: orders', 'topic: payments', 'sinks: [{ topic: paid }]'));
    await using underTest = await jobUnderTest(job, { modelsDirectory: '', partitions: 2 });
    const rows = [
      { orders: { id: 'o1', at: start, amount: 1 } },
      { payments: { order: 'o1', at: start + 5_000, amount: 1 } },
      { orders: { id: 'o2', at: start + 20_000, amount: 2 } },
      { orders: { id: 'o2', at: start + 20_000, amount: 2 } },
      { payments: { order: 'o7', at: start + 9_000, amount: 7 } },
      { orders: { id: 'o3', at: start + 900_000, amount: 3 } },
      { payments: { order: 'o3', at: start + 950_000 } },
      { payments: { order: 'o1', at: start + 999_000, amount: 5 } },
    ];
    const { points, runs: done } = await forEveryCrashPoint(underTest, [...rows, 'no record']);
    expect(points).toBeGreaterThan(60);
    expect(done).toBe(points + 1);
  });
});

function fail(message: string): never {
  throw new Error(`nothing should be logged; got "${message}"`);
}

async function readAll(storage: Storage, topic: string): Promise<string[]> {
  const source = new EmbeddedTopicSource(storage, topic);
  const ranges = await source.ranges();
  await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
  const texts: string[] = [];
  const total = ranges.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
  while (texts.length < total) {
    const polled = await source.poll({ maxRecords: 1_000, maxWaitMs: 100 });
    if (polled?.kind !== 'messages') continue;
    for (let i = 0; i < polled.messages.messageCount; i++) {
      texts.push(Buffer.from(messageValue(polled.messages, i)).toString());
    }
  }
  return texts;
}
