import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MessageInput } from '../../engine/storage/message-batch-builder.ts';
import { TopicReader } from './card-job.ts';
import { CommandCluster } from './command-cluster.ts';
import { embeddedAnswers } from './embedded-answers.ts';
import { keyed, newJob, produce, shopPartitions, verifiedState } from './shop-records.ts';

let services: CommandCluster;

beforeAll(async () => {
  services = await CommandCluster.start();
});

afterEach(() => {
  services.endCommands();
});

afterAll(async () => {
  await services[Symbol.asyncDispose]();
});

const startMs = 1_700_000_000_000;
const count = 800;
const inputs = ['orders', 'payments', 'shipments', 'customers'] as const;
type Input = (typeof inputs)[number];

/** Each order is paid once, twice or never, and sent or not, or something else is; customers change at every tenth order. */
function recordsOf(input: Input, i: number): readonly MessageInput[] {
  const at = startMs + i * 1_000 - ((i * 7_919) % 4) * 1_000;
  switch (input) {
    case 'orders':
      return [keyed(`o${i}`, { id: `o${i}`, customer: i % 13 === 0 ? null : `c${i % 17}`, at, amount: i % 7 })];
    case 'payments':
      return Array.from({ length: i % 3 }, (_, n) => {
        const order = `o${Math.max(0, i - 5 - n * 40)}`;
        return keyed(order, { order, at, amount: i % 11 });
      });
    case 'shipments': {
      const order = i % 9 === 0 ? `lost${i}` : `o${i}`;
      return i % 4 === 0 ? [] : [keyed(order, { order, at: at + 20_000, by: `van${i % 3}` })];
    }
    case 'customers':
      return i % 10 === 0 ? [keyed(`c${i % 17}`, { name: `c${i % 17}`, at, level: i })] : [];
  }
}

/** Behind all others, so that everything that waits comes out; by less than the day for which a partition that is heard from late is waited for. */
function last(input: Input): readonly MessageInput[] {
  return [6, 12, 20].flatMap((hours) =>
    Array.from({ length: 60 }, (_, i) => {
      const [name, at] = [`end${i}`, startMs + hours * 3_600_000];
      const orders = { id: name, customer: name, at, amount: 0 };
      const others = { payments: { order: name, at, amount: 0 }, shipments: { order: name, at, by: 'end' } };
      return keyed(name, { orders, ...others, customers: { name, at, level: 0 } }[input]);
    }),
  );
}

function sent(input: Input, from: number, to: number): readonly MessageInput[] {
  return Array.from({ length: to - from }, (_, index) => recordsOf(input, from + index)).flat();
}

const text = `job: chain
app: shop
sources:
  orders:
    topic: chain.orders
    fields: { id: string, customer: 'string?', at: timestamp, amount: double }
    key: id
    eventTime: { field: at, delay: 5s }
    duplicates: { by: id, within: 1h }
  payments:
    topic: chain.payments
    fields: { order: string, at: timestamp, amount: double }
    key: order
    eventTime: { field: at, delay: 5s }
  shipments:
    topic: chain.shipments
    fields: { order: string, at: timestamp, by: string }
    key: order
    eventTime: { field: at, delay: 5s }
  customers:
    topic: chain.customers
    fields: { name: string, at: timestamp, level: long }
    key: name
    eventTime: { field: at, delay: 5s }
join:
  - { left: orders, right: payments, on: { left: id, right: order }, within: { after: 1m }, kind: left, where: payments.amount >= orders.amount }
  - { right: shipments, on: { left: id, right: order }, within: { before: 1m, after: 1m }, kind: full }
  - { id: known, right: customers, on: { left: orders.customer, right: name }, within: { before: 5m, after: 10s }, kind: left }
select:
  order: orders.id
  paid: payments.amount
  by: shipments.by
  sent: shipments.order
  level: customers.level
features: none
late: { policy: route, allowedLateness: 10s }
sinks: [{ topic: chain.out }]
deadLetters: { topic: chain.bad }
state: { flushEvery: 200ms }
`;

describe('a chain of joins on a cluster', () => {
  it('gives what the embedded profile does, once, through two workers, a kill, and a Redis that has lost everything', async () => {
    const { file, job } = await newJob(services, 'chain', text);
    const all = new Map(inputs.map((input) => [`chain.${input}`, [...sent(input, 0, count), ...last(input)]]));
    const expected = await embeddedAnswers(job, Object.fromEntries(all), shopPartitions);
    const answers = (texts: readonly string[]): readonly string[] =>
      texts.filter((value) => !value.includes('"end')).toSorted();
    const embedded = answers(expected.get('chain.out')?.flat() ?? []);
    expect(embedded.length).toBeGreaterThan(800);
    for (const field of ['"paid":null', '"by":null', '"level":null', '"order":null']) {
      expect(embedded.some((value) => value.includes(field))).toBe(true);
    }

    const explained = services.command('explain', file);
    expect([await explained.ended, explained.stdout]).toEqual([
      0,
      expect.stringContaining('writes shop.chain.exchange.customer, keyed by orders.customer'),
    ]);
    for (const input of inputs) await produce(services, `chain.${input}`, sent(input, 0, count / 2));
    const first = services.run(file, '--workers', '2');
    const reader = await TopicReader.open(services, 'chain.out');
    await reader.until(({ length }) => length >= 50);
    const [victim = 0] = await first.workers();
    process.kill(victim, 'SIGKILL');
    for (const input of inputs) {
      await produce(services, `chain.${input}`, [...sent(input, count / 2, count), ...last(input)]);
    }
    await reader.until((read) => answers(read).length >= embedded.length);
    first.child.kill('SIGTERM');
    expect([await first.ended, first.stderr]).toEqual([0, expect.stringContaining('has died by SIGKILL')]);
    await reader.toEnd();
    expect(answers(reader.values)).toEqual(embedded);

    await services.loseRedis();
    // The state of both joint stages is made anew from their exchanges.
    const second = services.run(file, '--trigger', 'availableNow');
    expect([await second.ended, second.stderr]).toEqual([0, expect.any(String)]);
    expect(second.figures).toMatchObject({ read: 0, deadLettered: 0 });
    expect(second.figures['replayed']).toBeGreaterThan([...all.values()].flat().length);
    expect(await verifiedState(services, file)).toMatchObject({ drift: 0 });
    const before = reader.values.length;
    await reader.toEnd();
    expect(reader.values).toHaveLength(before);
    await reader[Symbol.asyncDispose]();
  }, 300_000);
});
