import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedClickHouse } from '../../engine/clickhouse/embedded-clickhouse.ts';
import { messageValue } from '../../engine/record/message-batch.ts';
import { boundToNow } from '../../engine/source/bounded-source.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { describeJob } from '../../jobs/explain/describe-job.ts';
import { explainText } from '../../jobs/explain/explain-text.ts';
import { loadJob } from '../../jobs/load-job.ts';
import { openTopicSource } from '../../jobs/runtime/open-source.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import { verifyState } from '../../jobs/state/verify-state.ts';

let folder: string;
let storage: Storage;
let clickHouse: EmbeddedClickHouse;
const said: string[] = [];
const logger = {
  info: (words: string) => void said.push(words),
  warn: (words: string) => void said.push(words),
  error: (words: string) => void said.push(words),
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-table-copy-'));
  storage = await Storage.open({ directory: folder, access: 'write', clock: systemClock });
  clickHouse = await EmbeddedClickHouse.open({ directory: folder, clock: systemClock });
  storage.ensureTopic('payments', { partitionCount: 2 });
});

afterAll(async () => {
  await clickHouse[Symbol.asyncDispose]();
  await storage[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function execute(...statements: readonly string[]): Promise<void> {
  const client = await clickHouse.client();
  for (const query of statements) await client.command({ query });
}

const hour = 3_600_000;
/** Two hours ago: what is written first is from the past, what is deleted is so from now on, and the last records are from the hours to come. */
const start = Math.floor(systemClock.nowMs() / hour - 2) * hour;

async function job(query: string, asOf = 'event-time', every = '1h'): Promise<CheckedJob> {
  const file = join(folder, 'limits.yaml');
  writeFileSync(
    file,
    `job: limits
source:
  topic: payments
  fields: { id: string, at: timestamp, merchant: string }
  key: merchant
  eventTime: { field: at, delay: 1m }
tables:
  limits:
    topic: merchant-limits
    copyOf: { clickhouse: "${query}", every: ${every} }
    fields: { merchant: string, amount: double?, updated: timestamp }
    key: merchant
    eventTime: { field: updated, delay: 0s }
enrich: [{ table: limits, on: merchant, asOf: ${asOf} }]
features: none
sinks: [{ topic: answers }]
`,
  );
  const loaded = await loadJob(file);
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('; '));
  return loaded.job;
}

let sent = 0;

/** Sends a payment of each merchant at an hour. */
async function pay(atHour: number, ...merchants: readonly string[]): Promise<void> {
  const at = new Date(start + atHour * hour).toISOString();
  const payments = merchants.map((merchant) => {
    return { key: merchant, value: JSON.stringify({ id: `p${sent++}`, at, merchant }) };
  });
  await storage.append(messageBatchOf('payments', payments));
}

async function run(of: CheckedJob): Promise<void> {
  await using running = await openLocalRun(of, { storage, directory: folder, modelsDirectory: folder, logger });
  await running.run('availableNow', new AbortController().signal);
}

/** What was answered since the last call: by payment, the limit that was found. */
let answersFrom = new Map<number, number>();
async function answers(): Promise<readonly (readonly [id: string, limit: number | null])[]> {
  await using source = await boundToNow(openTopicSource(storage, 'answers'));
  const ranges = await source.ranges();
  await source.seek(ranges.map(({ partition }) => ({ partition, offset: answersFrom.get(partition) ?? 0 })));
  const found: (readonly [string, number | null])[] = [];
  const { signal } = new AbortController();
  for (;;) {
    const polled = await source.poll({ maxRecords: 1_000, maxWaitMs: 0, signal });
    if (polled === 'end') break;
    if (polled?.kind !== 'messages') continue;
    const { messages } = polled;
    for (let index = 0; index < messages.messageCount; index++) {
      const { id, limits } = JSON.parse(Buffer.from(messageValue(messages, index)).toString('utf8')) as {
        readonly id: string;
        readonly limits: { readonly amount: number | null };
      };
      found.push([id, limits.amount]);
    }
  }
  answersFrom = new Map(ranges.map(({ partition, endOffset }) => [partition, endOffset]));
  return found.toSorted(([a], [b]) => Number(a.slice(1)) - Number(b.slice(1)));
}

const at = (atHour: number): string => new Date(start + atHour * hour).toISOString().slice(0, 19).replace('T', ' ');

describe("a job's table that is a copy of what ClickHouse says", () => {
  it('is looked up as of event time, with what was changed and deleted meanwhile', async () => {
    await execute(
      "CREATE TABLE merchants (merchant String, amount Nullable(Float64), updated DateTime64(3, 'UTC')) ENGINE = ReplacingMergeTree ORDER BY merchant",
      `INSERT INTO merchants VALUES ('shop', 100, '${at(0)}'), ('bar', 50, '${at(0)}')`,
    );
    const limits = await job('SELECT * FROM merchants FINAL');
    await pay(1, 'shop', 'bar', 'kiosk');
    await run(limits);
    expect(await answers()).toEqual([
      ['p0', 100],
      ['p1', 50],
      ['p2', null],
    ]);
    await execute(
      `INSERT INTO merchants VALUES ('shop', 200, '${at(5)}'), ('kiosk', 7, '${at(2)}')`,
      "ALTER TABLE merchants DELETE WHERE merchant = 'bar' SETTINGS mutations_sync = 2",
    );
    await pay(6, 'shop', 'kiosk', 'bar');
    await pay(3, 'shop');
    await run(limits);
    expect(await answers()).toEqual([
      ['p3', 200],
      ['p4', 7],
      ['p5', null],
      ['p6', 100],
    ]);
  });

  it('is the same after a start, and in a replay, whatever the query gives by then', async () => {
    await execute("ALTER TABLE merchants DELETE WHERE merchant != 'shop' SETTINGS mutations_sync = 2");
    const limits = await job('SELECT * FROM merchants FINAL');
    said.length = 0;
    await run(limits);
    expect(said).toEqual(['table limits was copied']);
    said.length = 0;
    await run(limits);
    expect(said).toEqual([]);
    const { keys, drifts } = await verifyState(limits, storage, folder, 1);
    expect(drifts).toEqual([]);
    expect(keys).toBeGreaterThan(2);
  });

  it('may be a dictionary', async () => {
    await execute(
      `CREATE DICTIONARY limits_by_merchant (merchant String, amount Float64) PRIMARY KEY merchant
       SOURCE(CLICKHOUSE(QUERY 'SELECT merchant, ifNull(amount, 0) AS amount FROM default.merchants FINAL')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(1)`,
    );
    const limits = await job(`SELECT merchant, amount, now64(3) AS updated FROM dictionary(limits_by_merchant)`);
    said.length = 0;
    await run(limits);
    // The rows are those of the table, but for the time.
    expect(said).toEqual([]);
  });

  it('is copied again while the job runs, and stays as it was while the query fails', async () => {
    const limits = await job('SELECT * FROM merchants FINAL', 'latest', '50ms');
    storage.ensureTopic('other-answers', { partitionCount: 2 });
    said.length = 0;
    const stop = new AbortController();
    const renamed = { ...limits, name: 'limits-again' };
    await using running = await openLocalRun(renamed, { storage, directory: folder, modelsDirectory: folder, logger });
    const run_ = running.run('realtime', stop.signal);
    await execute(`INSERT INTO merchants VALUES ('stall', 9, '${at(0)}')`);
    await expect
      .poll(() => said.filter((words) => words === 'table limits was copied').length, { timeout: 60_000 })
      .toBe(1);
    await execute('DROP DICTIONARY limits_by_merchant', 'RENAME TABLE merchants TO gone');
    await expect
      .poll(() => said.includes('table limits is not copied, and stays as it was'), { timeout: 60_000 })
      .toBe(true);
    await pay(7, 'stall');
    await expect
      .poll(async () => (await answers()).map(([, limit]) => limit).includes(9), { timeout: 60_000 })
      .toBe(true);
    stop.abort();
    await run_;
    await execute('RENAME TABLE gone TO merchants');
  });

  it('is refused before the job starts where the query is wrong, or does not give the table', async () => {
    await expect(run(await job('SELECT 1 FROM nowhere'))).rejects.toMatchObject({ code: 'CLICKHOUSE_REFUSED' });
    await expect(run(await job("SELECT 'x' AS merchant"))).rejects.toMatchObject({ code: 'TABLE_ROWS_WRONG' });
  });

  it('is shown by explain', async () => {
    expect(explainText(describeJob(await job('SELECT * FROM merchants'), null))).toContain(
      'copied  from ClickHouse, every 1h: SELECT * FROM merchants',
    );
  });
});
