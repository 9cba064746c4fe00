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

function at(i: number): number {
  return startMs + i * 1_000 - ((i * 7_919) % 4) * 1_000;
}

/** Each order is paid once, twice or never, within a minute or long after. */
function payments(from: number, to: number): readonly MessageInput[] {
  return Array.from({ length: to - from }, (_, index) => from + index).flatMap((i) =>
    Array.from({ length: i % 3 }, (_, n) => {
      const order = `o${Math.max(0, i - 5 - n * 40)}`;
      return keyed(order, { order, at: at(i), amount: i % 11 });
    }),
  );
}

function orders(from: number, to: number): readonly MessageInput[] {
  return Array.from({ length: to - from }, (_, index) => {
    const i = from + index;
    return keyed(`o${i}`, { id: `o${i}`, customer: `c${i % 37}`, currency: `x${i % 6}`, at: at(i), amount: i % 7 });
  });
}

/** Behind all others, so that everything that waits comes out. */
function last(kind: 'order' | 'payment'): readonly MessageInput[] {
  return [10, 20].flatMap((hours) =>
    Array.from({ length: 120 }, (_, i) => {
      const id = `end${i}`;
      const common = { at: startMs + hours * 3_600_000, amount: 1 };
      const order = { id, customer: id, currency: 'x1', ...common };
      return keyed(id, kind === 'order' ? order : { order: id, ...common });
    }),
  );
}

const eventTime = 'eventTime: { field: at, delay: 5s }';
const ordersText = (topic: string, indent: string): string =>
  ['fields: { id: string, customer: string, currency: string, at: timestamp, amount: double }', 'key: id', eventTime]
    .map((line) => `\n${indent}${line}`)
    .join('')
    .replace(/^/, `\n${indent}topic: ${topic}`);

describe('several inputs on a cluster', () => {
  it('are joined as on the embedded profile, over two workers, a kill, and a Redis that has lost everything', async () => {
    const { file, job } = await newJob(
      services,
      'paid',
      `job: paid
app: shop
sources:
  orders:${ordersText('paid.orders', '    ')}
  payments:
    topic: paid.payments
    fields: { order: string, at: timestamp, amount: double }
    key: order
    ${eventTime}
join:
  left: orders
  right: payments
  on: { left: id, right: order }
  within: { after: 1m }
  kind: full
  where: payments.amount >= orders.amount
select: { customer: orders.customer, missing: orders.amount - payments.amount, paid: payments.amount }
features: none
late: { policy: route, allowedLateness: 10s }
sinks: [{ topic: paid.out }, { topic: paid.unpaid, where: paid == null }]
deadLetters: { topic: paid.bad }
state: { flushEvery: 200ms }
`,
    );
    const allOrders = [...orders(0, 1_200), ...last('order')];
    const allPayments = [...payments(0, 1_200), ...last('payment')];
    const inputs = { 'paid.orders': allOrders, 'paid.payments': allPayments };
    const expected = await embeddedAnswers(job, inputs, shopPartitions);
    const answers = (texts: readonly string[]): readonly string[] =>
      texts.filter((text) => !text.includes('"end')).toSorted();
    const embedded = answers(expected.get('paid.out')?.flat() ?? []);
    expect(embedded.length).toBeGreaterThan(1_000);

    await produce(services, 'paid.orders', orders(0, 600));
    await produce(services, 'paid.payments', payments(0, 600));
    const first = services.run(file, '--workers', '2');
    const reader = await TopicReader.open(services, 'paid.out');
    await reader.until(({ length }) => length >= 100);
    const [victim = 0] = await first.workers();
    process.kill(victim, 'SIGKILL');
    await produce(services, 'paid.orders', allOrders.slice(600));
    await produce(services, 'paid.payments', allPayments.slice(payments(0, 600).length));
    await reader.until((read) => answers(read).length >= embedded.length);
    first.child.kill('SIGTERM');
    expect([await first.ended, first.stderr]).toEqual([0, expect.stringContaining('has died by SIGKILL')]);
    await reader.toEnd();
    expect(answers(reader.values)).toEqual(embedded);

    await services.loseRedis();
    // A late partner finds what was before Redis lost it: the state is made anew from the exchange.
    const second = services.run(file, '--trigger', 'availableNow');
    expect([await second.ended, second.stderr]).toEqual([0, expect.any(String)]);
    expect(second.figures).toMatchObject({ read: 0, deadLettered: 0 });
    expect(second.figures['replayed']).toBeGreaterThanOrEqual(allOrders.length + allPayments.length);
    expect(await verifiedState(services, file)).toMatchObject({ drift: 0 });
    const before = reader.values.length;
    await reader.toEnd();
    expect(reader.values).toHaveLength(before);
    await reader[Symbol.asyncDispose]();
    await using unpaid = await TopicReader.open(services, 'paid.unpaid');
    await unpaid.toEnd();
    expect(answers(unpaid.values)).toEqual(answers(expected.get('paid.unpaid')?.flat() ?? []));
  }, 300_000);

  it('are looked up, and united, as on the embedded profile', async () => {
    const rates = Array.from({ length: 300 }, (_, i) =>
      keyed(`x${i % 6}`, { currency: `x${i % 6}`, updated: startMs + i * 3_000, rate: i }),
    );
    const jobs = {
      priced: `job: priced
app: shop
source:${ordersText('priced.orders', '  ')}
tables:
  rates:
    topic: priced.rates
    fields: { currency: string, updated: timestamp, rate: double }
    key: currency
    eventTime: { field: updated, delay: 0s }
enrich: [{ table: rates, on: currency }]
features: none
windows: { key: customer, tumbling: 1m, aggregates: { orders: { count: true }, value: { sum: amount * rates.rate } } }
`,
      moved: `job: moved
app: shop
sources:
  orders:${ordersText('moved.orders', '    ')}
  more:${ordersText('moved.more', '    ')}
union: [orders, more]
features: none
windows: { key: customer, tumbling: 1m, aggregates: { orders: { count: true }, value: { sum: amount } } }
`,
    };
    const sent = [...orders(0, 800), ...last('order')];
    for (const [name, text] of Object.entries(jobs)) {
      const further = `sinks: [{ topic: ${name}.out }]\ndeadLetters: { topic: ${name}.bad }\n`;
      const { file, job } = await newJob(services, name, text + further);
      const other = name === 'priced' ? { 'priced.rates': rates } : { 'moved.more': [...sent].slice(200) };
      const inputs = { ...other, [`${name}.orders`]: sent };
      const expected = await embeddedAnswers(job, inputs, shopPartitions);
      for (const [topic, messages] of Object.entries(inputs)) await produce(services, topic, messages);
      const command = services.run(file);
      const results = (texts: readonly string[]): readonly string[] =>
        texts.filter((value) => !value.includes('"end')).toSorted();
      const embedded = results(expected.get(`${name}.out`)?.flat() ?? []);
      expect(embedded.length).toBeGreaterThan(300);
      await using reader = await TopicReader.open(services, `${name}.out`);
      await reader.until((read) => results(read).length >= embedded.length);
      command.child.kill('SIGTERM');
      expect([await command.ended, command.stderr]).toEqual([0, expect.any(String)]);
      await reader.toEnd();
      expect(results(reader.values)).toEqual(embedded);
      expect(await verifiedState(services, file)).toMatchObject({ drift: 0 });
    }
  }, 300_000);
});
