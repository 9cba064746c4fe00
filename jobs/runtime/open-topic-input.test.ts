import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LedgerCounts } from '../../engine/observability/ledger.ts';
import { messageValue } from '../../engine/record/message-batch.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../checked-job.ts';
import { loadJob } from '../load-job.ts';
import { openLocalRun } from './run-local.ts';

const partitions = 3;
const startMs = Date.UTC(2026, 0, 1);
const windowMs = 10_000;

let folder = '';
let runs = 0;
let job: CheckedJob;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-topic-input-'));
  await writeFile(
    join(folder, 'job.yaml'),
    `job: shops
source:
  topic: payments
  fields: { card: long, shop: long, at: timestamp }
  key: card
  eventTime: { field: at, delay: 0s }
features: none
windows:
  key: shop
  tumbling: 10s
  aggregates:
    payments: { count: true }
sinks: [{ topic: shops, partitions: 1 }]
`,
  );
  const outcome = await loadJob(join(folder, 'job.yaml'));
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  ({ job } = outcome);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Payment {
  readonly card: number;
  readonly shop: number;
  readonly at: number;
}

/** Payments in the order of their time, and behind them one in each partition that closes every window. */
const payments = fc
  .array(fc.tuple(fc.nat(5), fc.nat(1), fc.integer({ min: 0, max: 4_000 })), { minLength: 1, maxLength: 60 })
  .map((steps): readonly Payment[] => {
    let at = startMs;
    const made = steps.map(([card, shop, stepMs]) => ({ card, shop, at: (at += stepMs) }));
    const last = Array.from({ length: partitions }, (_, card) => ({ card, shop: 9, at: at + 2 * windowMs }));
    return [...made, ...last];
  });

async function run(
  list: readonly Payment[],
  maxBatchRecords: number,
  firstRun: number,
): Promise<{ results: string[]; ledgers: LedgerCounts[] }> {
  const directory = join(folder, `run-${runs++}`);
  await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
  storage.ensureTopic('payments', { partitionCount: partitions });
  const ledgers: LedgerCounts[] = [];
  for (const part of [list.slice(0, firstRun), list.slice(firstRun)]) {
    const messages = part.map((payment) => ({
      partition: payment.card % partitions,
      value: JSON.stringify(payment),
      timestampMs: payment.at,
    }));
    if (messages.length > 0) await storage.append(messageBatchOf('payments', messages));
    const logger = { info: fail, warn: fail, error: fail };
    await using open = await openLocalRun(job, {
      storage,
      directory,
      modelsDirectory: '',
      logger,
      bounds: { maxBatchRecords },
    });
    await open.run('availableNow', new AbortController().signal);
    ledgers.push(open.query.totals.ledger);
  }
  return { results: await readAll(storage), ledgers };
}

function expected(list: readonly Payment[]): string[] {
  const counts = new Map<string, number>();
  for (const { shop, at } of list) {
    if (shop === 9) continue;
    const window = `${shop} ${new Date(Math.floor(at / windowMs) * windowMs).toISOString()}`;
    counts.set(window, (counts.get(window) ?? 0) + 1);
  }
  return [...counts].map(([window, count]) => `${window} ${count}`).sort();
}

describe('a backlog of several partitions that one watermark closes windows of', () => {
  it('has no late record where none came out of order, whatever is read at once', async () => {
    await fc.assert(
      fc.asyncProperty(payments, fc.integer({ min: partitions, max: 80 }), async (list, maxBatchRecords) => {
        const { results, ledgers } = await run(list, maxBatchRecords, list.length);
        expect(ledgers[0]).toMatchObject({ read: list.length, late: 0 });
        expect(results).toEqual(expected(list));
      }),
      { numRuns: 25 },
    );
  });

  it('has none after a restart either, once each partition was heard from', async () => {
    const list = Array.from({ length: 60 }, (_, i) => ({ card: i % 6, shop: i % 2, at: startMs + i * 1_500 }));
    const last = Array.from({ length: partitions }, (_, card) => ({ card, shop: 9, at: startMs + 300_000 }));
    for (const firstRun of [7, 30, 59]) {
      const { results, ledgers } = await run([...list, ...last], 12, firstRun);
      expect(ledgers.map(({ late }) => late)).toEqual([0, 0]);
      expect(results).toEqual(expected(list));
    }
  });
});

function fail(message: string): never {
  throw new Error(`nothing should be logged; got "${message}"`);
}

async function readAll(storage: Storage): Promise<string[]> {
  await using source = new EmbeddedTopicSource(storage, 'shops');
  const [range] = await source.ranges();
  await source.seek([{ partition: 0, offset: 0 }]);
  const texts: string[] = [];
  while (texts.length < (range?.endOffset ?? 0)) {
    const polled = await source.poll({ maxRecords: 1_000, maxWaitMs: 20 });
    if (polled?.kind !== 'messages') continue;
    for (let i = 0; i < polled.messages.messageCount; i++) {
      texts.push(Buffer.from(messageValue(polled.messages, i)).toString());
    }
  }
  return texts
    .map((text) => JSON.parse(text) as { shop: number; window_start: string; payments: number })
    .map(({ shop, window_start, payments: count }) => `${shop} ${window_start} ${count}`)
    .sort();
}
