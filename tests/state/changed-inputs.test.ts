import { describe, expect, it } from 'vitest';
import { messageBatchOf, type MessageInput } from '../../engine/storage/message-batch-builder.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { diffLayouts } from '../../jobs/state/diff-layouts.ts';
import { layoutOf } from '../../jobs/state/job-layout.ts';
import { verifyState } from '../../jobs/state/verify-state.ts';
import { loadFiles } from '../../jobs/testing/job-folder.ts';
import { StateUnderTest } from './state-under-test.ts';

const startMs = 1_700_000_000_000;
const orders = Array.from({ length: 400 }, (_, i): MessageInput => ({
  value: JSON.stringify({ id: `o${i}`, customer: `c${i % 5}`, at: startMs + i * 1_000, amount: i % 7 }),
}));
const payments = orders.map((_, i): MessageInput => ({
  value: JSON.stringify({
    id: `p${i}`,
    order: `o${Math.max(0, i - (i % 3) * 30)}`,
    at: startMs + i * 1_000 + 100,
    paid: i % 5,
  }),
}));

const ordersInput = (more: string): string =>
  `{ topic: orders, fields: { id: string, customer: string, at: timestamp, amount: double }, key: id, eventTime: { field: at, delay: 5s }${more} }`;
const ways = {
  united: `sources:
  orders: ${ordersInput(', duplicates: { by: id, within: 1m }')}
  payments: { topic: payments, fields: { id: string, order: string, at: timestamp, paid: double }, key: id, eventTime: { field: at, delay: 20s } }
union: [orders, payments]`,
  joined: `sources:
  orders: ${ordersInput('')}
  payments: { topic: payments, fields: { order: string, at: timestamp, paid: double }, key: order, eventTime: { field: at, delay: 20s } }
join: { left: orders, right: payments, on: { left: id, right: order }, within: { after: 2m } }
select: { customer: orders.customer, paid: payments.paid }`,
} as const;

const rare = 'features:\n  seen_1m: { count: true, over: 1m }\n';

/** A job over both topics with features of the customer behind them. */
async function jobOf(way: keyof typeof ways, features: string, from = '', to = ''): Promise<CheckedJob> {
  const outcome = await loadFiles({
    'jobs/job.yaml': `job: ${way}
${ways[way].replace(from, to)}
features: [./customer.yaml]
sinks: [{ topic: out, partitions: 1 }]
deadLetters: { topic: dead }
state: { flushEvery: 0s }
`,
    'jobs/customer.yaml': `entity: customer\n${features}`,
  });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

async function add(test: StateUnderTest, from: number, to: number): Promise<void> {
  for (const [topic, messages] of Object.entries({ orders, payments })) {
    test.storage.ensureTopic(topic, { partitionCount: 1 });
    await test.storage.append(messageBatchOf(topic, messages.slice(from, to)));
  }
}

describe('a job of several inputs that is changed', () => {
  it.each([
    ['united', ['duplicates-orders kept', 'customer/0 rebuilt']],
    ['joined', ['join kept', 'customer/0 rebuilt']],
  ] as const)('goes on with the state that it would have behind what is %s', async (way, fates) => {
    await using test = await StateUnderTest.open(1);
    const old = await jobOf(way, rare);
    const changed = await jobOf(way, `${rare}  seen_3m: { count: true, over: 3m }\n`);
    const { outcome, operators } = diffLayouts(layoutOf(old), layoutOf(changed));
    expect(outcome).toBe('rebuilt');
    expect(operators.map(({ operator, fate }) => `${operator} ${fate}`)).toEqual(fates);
    await add(test, 0, 250);
    await test.run(old, 40);
    await add(test, 250, 400);
    await test.run(changed, 40);
    expect(await verifyState(changed, test.storage, test.directory, 1)).toMatchObject({ drifts: [] });

    await using twin = await StateUnderTest.open(1);
    await add(twin, 0, 250);
    await twin.run(changed, 40);
    await add(twin, 250, 400);
    await twin.run(changed, 40);
    const before = (await test.answers('out')).filter((answer) => !answer.includes('seen_3m'));
    expect(before.length).toBeGreaterThan(100);
    expect((await test.answers('out')).slice(before.length)).toEqual((await twin.answers('out')).slice(before.length));
  });

  it.each([
    ['united', 'delay: 20s', 'delay: 30s'],
    ['joined', 'after: 2m', 'after: 3m'],
    ['joined', 'paid: payments.paid', 'paid: payments.paid * 2'],
  ] as const)('is refused where it is another stream: %s with %s', async (way, from, to) => {
    const { outcome, refusals } = diffLayouts(
      layoutOf(await jobOf(way, rare)),
      layoutOf(await jobOf(way, rare, from, to)),
    );
    expect(outcome).toBe('refused');
    expect(refusals[0]).toMatch(/^source must stay several inputs/);
  });
});
