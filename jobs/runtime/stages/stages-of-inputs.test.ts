import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { messageBatchOf, type MessageInput } from '../../../engine/storage/message-batch-builder.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { loadFiles } from '../../testing/job-folder.ts';
import { chooser, JointChain } from '../../testing/joint-chain.ts';
import { planStages } from './stages.ts';

/** The inputs need not have the same number of partitions. */
const counts: Readonly<Record<string, number>> = { orders: 2, payments: 3 };

const orders = `
    topic: orders
    fields: { id: string, at: timestamp, amount: double }
    key: id
    eventTime: { field: at, delay: 20s }
`;
const tail = `deadLetters: { topic: bad }
features: none
sinks: [{ topic: out }]
`;
const both = `job: job
app: app
sources:
  orders:${orders}    duplicates: { by: id, within: 1h }
  payments:
    topic: payments
    fields: { order: string, at: timestamp, amount: double }
    key: order
    eventTime: { field: at, delay: 20s }
`;
const texts = {
  join: `${both}join:
  left: orders
  right: payments
  on: { left: id, right: order }
  within: { before: 10s, after: 30s }
  kind: full
  where: payments.amount >= orders.amount
${tail}`,
  union: `${both.replace('{ order: string', '{ id: string').replace('key: order', 'key: id')}union: [orders, payments]
windows: { key: amount, tumbling: 10s, aggregates: { n: { count: true }, ids: { distinct: id } } }
${tail}`.replaceAll('amount: double', 'amount: long'),
  table: `job: job
app: app
source:${orders.replaceAll('\n    ', '\n  ')}tables:
  payments:
    topic: payments
    fields: { order: string, at: timestamp, amount: double }
    key: order
    eventTime: { field: at, delay: 20s }
enrich: [{ table: payments, on: id }]
${tail}`,
};

const jobs = new Map<string, CheckedJob>();

beforeAll(async () => {
  for (const [name, text] of Object.entries(texts)) {
    const outcome = await loadFiles({ 'jobs/job.yaml': text });
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    jobs.set(name, outcome.job);
  }
});

function jobNamed(name: keyof typeof texts): CheckedJob {
  const job = jobs.get(name);
  if (job === undefined) throw new Error(name);
  return job;
}

interface Row {
  readonly topic: 'orders' | 'payments';
  readonly key: string;
  readonly at: number;
  readonly amount: number;
}

const startMs = 1_700_000_000_000;

/** Records of each partition, none of them later than the delay; orders of their own ids. */
const randomRows = fc
  .array(
    fc.record({
      topic: fc.constantFrom('orders' as const, 'payments' as const),
      key: fc.nat(5),
      stepMs: fc.constantFrom(0, 500, 3_000, 12_000),
      backMs: fc.constantFrom(0, 0, 5_000, 15_000),
      amount: fc.integer({ min: 0, max: 3 }),
    }),
    { minLength: 1, maxLength: 60, size: 'max' },
  )
  .map((drawn) => {
    const newest = new Map<string, number>();
    const seen = new Set<string>();
    return drawn.flatMap(({ topic, key, stepMs, backMs, amount }): Row[] => {
      const name = `k${key}`;
      // An order comes once; what comes twice is a duplicate, which is for a test of its own.
      if (topic === 'orders' && seen.has(name)) return [];
      if (topic === 'orders') seen.add(name);
      const place = `${topic} ${placeOf(topic, name)}`;
      const now = (newest.get(place) ?? startMs) + stepMs;
      newest.set(place, now);
      return [{ topic, key: name, at: now - backMs, amount }];
    });
  });

function placeOf(topic: string, key: string): number {
  return Number(key.slice(1)) % (counts[topic] ?? 1);
}

function messageOf({ topic, key, at, amount }: Row, keyField: string): MessageInput {
  const value = JSON.stringify({ [keyField]: key, at, amount });
  return { partition: placeOf(topic, key), key, value, timestampMs: at + 7 };
}

/** Behind all rows, from every partition to every partition of the exchange. */
const lastRows = (['orders', 'payments'] as const).flatMap((topic) =>
  [1, 2].flatMap((hours) =>
    Array.from({ length: 60 }, (_, index): Row => {
      return { topic, key: `e${index + 100 * hours}`, at: startMs + (5 + hours) * 3_600_000, amount: 9 + index };
    }),
  ),
);

function open(job: CheckedJob, rows: readonly Row[]): Promise<JointChain> {
  const isUnion = job.windows !== null;
  const messages = rows.map((row) => {
    return { topic: row.topic, message: messageOf(row, row.topic === 'orders' || isUnion ? 'id' : 'order') };
  });
  return JointChain.open(job, counts, messages);
}

interface Side {
  readonly at: string;
  readonly amount: number;
}

function nameOf(left: Pick<Row, 'key' | 'at'> | null, right: Pick<Row, 'key' | 'at'> | null): string {
  return [left, right].map((row) => (row === null ? '-' : `${row.key}@${row.at}`)).join(' ');
}

describe('the stages of a job of several inputs', () => {
  it('give the pairs of a join, and what has no partner, from inputs alone, however their tasks take turns and die', async () => {
    const property = fc.asyncProperty(randomRows, fc.nat(), async (rows, seed) => {
      const chain = await open(jobNamed('join'), [...rows, ...lastRows]);
      await chain.drain(chooser(seed));
      const [left, right] = (['orders', 'payments'] as const).map((topic) => rows.filter((row) => row.topic === topic));
      const expected: string[] = [];
      const paired = new Set<Row>();
      for (const l of left ?? []) {
        for (const r of right ?? []) {
          if (l.key !== r.key || r.at < l.at - 10_000 || r.at > l.at + 30_000 || r.amount < l.amount) continue;
          expected.push(nameOf(l, r));
          paired.add(l).add(r);
        }
      }
      for (const l of left ?? []) if (!paired.has(l)) expected.push(nameOf(l, null));
      for (const r of right ?? []) if (!paired.has(r)) expected.push(nameOf(null, r));
      const results = chain.rows('out') as readonly { id: string; orders?: Side | null; payments?: Side | null }[];
      const sideOf = (key: string, side: Side | null | undefined): Pick<Row, 'key' | 'at'> | null =>
        side?.at === undefined || side.at === null ? null : { key, at: new Date(side.at).getTime() };
      const found = results
        .filter(({ id }) => !id.startsWith('e'))
        .map(({ id, orders: l, payments: r }) => nameOf(sideOf(id, l), sideOf(id, r)));
      expect(found.toSorted()).toEqual(expected.toSorted());
      expect([...chain.texts('bad'), ...chain.texts('job-late')]).toEqual([]);
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('close the windows of a union with the records of all inputs, once', async () => {
    const property = fc.asyncProperty(randomRows, fc.nat(), async (rows, seed) => {
      const chain = await open(jobNamed('union'), [...rows, ...lastRows]);
      await chain.drain(chooser(seed));
      const windows = new Map<string, number>();
      for (const { amount, at } of rows) {
        const name = `${amount} ${Math.floor(at / 10_000) * 10_000}`;
        windows.set(name, (windows.get(name) ?? 0) + 1);
      }
      const results = chain.rows('out') as readonly { amount: number; window_start: string; n: number }[];
      const found = results
        .filter(({ amount }) => amount < 9)
        .map(({ amount, window_start, n }) => [`${amount} ${new Date(window_start).getTime()}`, n]);
      expect(Object.fromEntries(found)).toEqual(Object.fromEntries(windows));
      expect(found).toHaveLength(windows.size);
      expect([...chain.texts('bad'), ...chain.texts('job-late')]).toEqual([]);
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('look records up in tables that were read before them, in every partition of the exchange', async () => {
    const property = fc.asyncProperty(randomRows, fc.nat(), async (rows, seed) => {
      const chain = await open(jobNamed('table'), rows);
      const choose = chooser(seed);
      for (const { stage, task } of chain.tasks) while (stage === 0 && task.lag > 0) await task.work(1 + choose(15));
      await chain.drain(choose);
      const versions = rows.filter(({ topic }) => topic === 'payments');
      const expected = rows
        .filter(({ topic }) => topic === 'orders')
        .map(({ key, at }) => {
          const known = versions.filter((version) => version.key === key && version.at <= at);
          const newest = known.toSorted((a, b) => a.at - b.at).at(-1);
          return `${key} ${newest?.amount ?? 'none'}`;
        });
      const results = chain.rows('out') as readonly { id: string; payments: { amount: number | null } }[];
      const found = results.map(({ id, payments }) => `${id} ${payments.amount ?? 'none'}`);
      expect(found.toSorted()).toEqual(expected.toSorted());
      const positions = (chain.rows('out') as readonly { source_partition: number; source_offset: number }[]).map(
        ({ source_partition: partition, source_offset: offset }) => `${partition}/${offset}`,
      );
      expect(new Set(positions).size).toBe(expected.length);
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('are one for each input, and one behind the exchange that they share', () => {
    const shape = planStages(jobNamed('join')).map(({ suffix, key, output }) => [
      suffix,
      key.join('+'),
      output === 'results' ? 'results' : `${output.topic} by ${output.key.join('+')}`,
    ]);
    expect(shape).toEqual([
      ['.in.orders', 'id', 'app.job.exchange.id by orders.id'],
      ['.in.payments', 'order', 'app.job.exchange.id by payments.order'],
      ['.id', 'id', 'results'],
    ]);
  });

  it('name a bad record at its place in its own input', async () => {
    const chain = await open(jobNamed('join'), []);
    chain.log.append(messageBatchOf('payments', [{ partition: 2, key: 'k', value: '{"order":' }]));
    await chain.drain(chooser(1));
    expect(chain.rows('bad')).toMatchObject([{ topic: 'payments', partition: 2, offset: 0, stage: 'decode' }]);
  });
});
