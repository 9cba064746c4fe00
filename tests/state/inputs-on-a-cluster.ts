import type { MessageInput } from '../../engine/storage/message-batch-builder.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { TopicReader } from '../cluster/card-job.ts';
import { keyed, newJob, produce } from '../cluster/shop-records.ts';
import type { PaymentsCluster } from './payments-cluster.ts';

const startMs = 1_700_000_000_000;
const lastMs = startMs + 36_000_000;

function at(i: number): number {
  return startMs + i * 1_000 - ((i * 7_919) % 4) * 1_000;
}

function orders(from: number, to: number): readonly MessageInput[] {
  return Array.from({ length: to - from }, (_, index) => {
    const i = from + index;
    return keyed(`o${i}`, { id: `o${i}`, customer: `c${i % 7}`, currency: `x${i % 6}`, at: at(i), amount: i % 7 });
  });
}

/** Where their customers' are, so that the order of these is the same in every run; those of another topic are of others. */
function byCustomer(some: readonly MessageInput[], prefix: string): readonly MessageInput[] {
  return some.map(({ value }) => {
    const order = JSON.parse(String(value)) as { readonly id: string; readonly customer: string };
    const customer = `${prefix}${order.customer}`;
    return keyed(customer, { ...order, id: `${prefix}${order.id}`, customer });
  });
}

/** Each order is paid once, twice or never, soon or some minutes after. */
function payments(from: number, to: number): readonly MessageInput[] {
  return Array.from({ length: to - from }, (_, index) => from + index).flatMap((i) =>
    Array.from({ length: i % 3 }, (_, n) => {
      const order = `o${Math.max(0, i - 5 - n * 40)}`;
      return keyed(order, { order, at: at(i), amount: i % 11 });
    }),
  );
}

/** Behind all others, in every partition, so that everything that waits comes out; left out of what is compared. */
function last(record: (id: string) => Readonly<Record<string, unknown>>): readonly MessageInput[] {
  return Array.from({ length: 60 }, (_, i) => keyed(`end${i}`, { ...record(`end${i}`), at: lastMs, amount: 1 }));
}

const lastOrders = last((id) => ({ id, customer: id, currency: 'x1' }));
const lastPayments = last((order) => ({ order }));
const rates: readonly MessageInput[] = Array.from({ length: 120 }, (_, i) =>
  keyed(`x${i % 6}`, { currency: `x${i % 6}`, updated: startMs + i * 3_000, rate: i }),
);
const eventTime = 'eventTime: { field: at, delay: 5s }';
const orderFields = 'fields: { id: string, customer: string, currency: string, at: timestamp, amount: double }';

/** A job of several stages, most of several inputs, and what its topics are sent before and behind a cut. */
export interface InputsCase {
  readonly name: string;
  /** As another application has it; the topics of its inputs are the same. */
  readonly text: (app: string) => string;
  readonly files: Readonly<Record<string, string>>;
  readonly inputs: Readonly<Record<string, readonly [former: readonly MessageInput[], later: readonly MessageInput[]]>>;
}

const tail = (app: string, name: string): string => `sinks: [{ topic: ${app}.${name}.out }]
deadLetters: { topic: ${app}.${name}.bad }
state: { flushEvery: 200ms }
`;

/** Orders and payments, joined; features over the pairs. */
export const joined: InputsCase = {
  name: 'joined',
  files: {},
  text: (app) => `job: joined
app: ${app}
sources:
  orders: { topic: joined.orders, ${orderFields}, key: id, ${eventTime}, duplicates: { by: id, within: 1h } }
  payments: { topic: joined.payments, fields: { order: string, at: timestamp, amount: double }, key: order, ${eventTime} }
join:
  left: orders
  right: payments
  on: { left: id, right: order }
  within: { after: 2m }
  kind: full
select: { customer: orders.customer, missing: orders.amount - payments.amount, paid: payments.amount }
features: none
${tail(app, 'joined')}`,
  inputs: {
    'joined.orders': [orders(0, 300), [...orders(290, 500), ...lastOrders]],
    'joined.payments': [payments(0, 280), [...payments(280, 500), ...lastPayments]],
  },
};

/** Orders, each with the rate that held, in windows by customer. */
export const priced: InputsCase = {
  name: 'priced',
  files: {},
  text: (app) => `job: priced
app: ${app}
source: { topic: priced.orders, ${orderFields}, key: id, ${eventTime} }
tables:
  rates:
    topic: priced.rates
    fields: { currency: string, updated: timestamp, rate: double }
    key: currency
    eventTime: { field: updated, delay: 0s }
enrich: [{ table: rates, on: currency }]
features: none
windows: { key: customer, tumbling: 1m, aggregates: { orders: { count: true }, value: { sum: amount * rates.rate } } }
${tail(app, 'priced')}`,
  inputs: {
    'priced.rates': [rates.slice(0, 100), rates.slice(100)],
    'priced.orders': [orders(0, 300), [...orders(300, 500), ...lastOrders]],
  },
};

/** Orders of one topic, in windows by another field than its key. */
export const grouped: InputsCase = {
  name: 'grouped',
  files: {},
  text: (app) => `job: grouped
app: ${app}
source: { topic: grouped.orders, ${orderFields}, key: id, ${eventTime}, duplicates: { by: id, within: 1h } }
features: none
windows: { key: customer, tumbling: 1m, aggregates: { orders: { count: true }, value: { sum: amount } } }
${tail(app, 'grouped')}`,
  inputs: { 'grouped.orders': [orders(0, 300), [...orders(290, 500), ...lastOrders]] },
};

/** Orders of two topics as one stream, with features of the customer, a repeated order once. */
export const united: InputsCase = {
  name: 'united',
  files: {
    'features/customer.yaml': `entity: customer
features:
  orders_10m: { count: true, over: 10m, current: include }
  spent_1h: { sum: amount, over: 1h }
`,
  },
  text: (app) => `job: united
app: ${app}
sources:
  orders: { topic: united.orders, ${orderFields}, key: customer, ${eventTime}, duplicates: { by: id, within: 1h } }
  more: { topic: united.more, ${orderFields}, key: customer, ${eventTime} }
union: [orders, more]
features: [../features/customer.yaml]
${tail(app, 'united')}`,
  inputs: {
    'united.orders': [byCustomer(orders(0, 300), 'a'), byCustomer(orders(280, 500), 'a')],
    'united.more': [byCustomer(orders(0, 50), 'b'), byCustomer(orders(50, 200), 'b')],
  },
};

/** The same as one topic, a repeated order once, and nothing else. */
export const merged: InputsCase = {
  name: 'merged',
  files: {},
  text: (app) => united.text(app).replaceAll('united', 'merged').replace('[../features/customer.yaml]', 'none'),
  inputs: Object.fromEntries(
    Object.entries(united.inputs).map(([topic, halves]) => [topic.replace('united', 'merged'), halves]),
  ),
};

/** Makes the job of a case under an application's name, and its inputs' topics. */
export async function jobOf(
  cluster: PaymentsCluster,
  { name, text, files }: InputsCase,
  app: string,
): Promise<CheckedJob> {
  return (await newJob({ dir: `${cluster.folder}/${app}`, bootstrap: cluster.bootstrap }, name, text(app), files)).job;
}

/** Sends one half of a case's messages. */
export async function sendHalf(cluster: PaymentsCluster, { inputs }: InputsCase, half: 0 | 1): Promise<void> {
  for (const [topic, halves] of Object.entries(inputs)) await produce(cluster, topic, halves[half]);
}

/** What a job has written, in one order, without the records that are behind all others. */
export async function outOf(cluster: PaymentsCluster, { name }: InputsCase, app: string): Promise<readonly string[]> {
  await using reader = await TopicReader.open(cluster, `${app}.${name}.out`);
  await reader.toEnd();
  return counted(reader.values);
}

/** The same of what was read elsewhere. */
export function counted(texts: readonly string[]): readonly string[] {
  return texts.filter((text) => !text.includes('"end')).toSorted();
}
