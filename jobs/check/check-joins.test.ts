import { describe, expect, it } from 'vitest';
import { addData, checkAnswer, checkLedger, forEveryCrashPoint, testQuery } from '../../engine/testing/index.ts';
import { explainJob } from '../explain/explain.ts';
import { jobOperators } from '../state/job-operators.ts';
import { jobUnderTest } from '../test-files/job-under-test.ts';
import { loadFiles } from '../testing/job-folder.ts';

const sound = `job: shipped
sources:
  shipments:
    topic: shipments
    fields: { order: string, at: timestamp, by: string }
    key: order
    eventTime: { field: at, delay: 0s }
  orders:
    topic: orders
    fields: { id: string, at: timestamp, customer: string, amount: double }
    key: id
    eventTime: { field: at, delay: 0s }
  payments:
    topic: payments
    fields: { order: string, at: timestamp, amount: double }
    key: order
    eventTime: { field: at, delay: 0s }
  people:
    topic: people
    fields: { name: string, at: timestamp, level: long }
    key: name
    eventTime: { field: at, delay: 0s }
join:
  - { left: orders, right: payments, on: { left: id, right: order }, within: { after: 1h }, kind: left }
  - { right: shipments, on: { left: id, right: order }, within: { before: 10m, after: 1h }, where: orders.amount > 1 }
  - { id: known, right: people, on: { left: orders.customer, right: name }, within: { before: 1d }, kind: left }
select:
  order: orders.id
  paid: payments.amount
  by: shipments.by
  level: people.level
features: none
sinks:
  - topic: shipped
`;

const load = (text: string): ReturnType<typeof loadFiles> => loadFiles({ 'jobs/job.yaml': text });

async function jobOf(text: string) {
  const outcome = await load(text);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

async function problems(from: string, to: string): Promise<string[]> {
  if (!sound.includes(from)) throw new RangeError(`no "${from}" to change`);
  const outcome = await load(sound.replace(from, () => to));
  if (outcome.ok) return [];
  return outcome.diagnostics.map(({ line, column, message, expected }) => {
    return `${line}:${column}: ${message}; ${expected ?? ''}`;
  });
}

const minute = (n: number): string => new Date(Date.UTC(2026, 10, 22, 12, n)).toISOString();
const rows = [
  { people: { name: 'ann', at: minute(0), level: 3 } },
  { orders: { id: 'o1', at: minute(1), customer: 'ann', amount: 10 } },
  { orders: { id: 'o2', at: minute(1), customer: 'bob', amount: 20 } },
  { orders: { id: 'o3', at: minute(2), customer: 'ann', amount: 1 } },
  { payments: { order: 'o1', at: minute(3), amount: 10 } },
  { payments: { order: 'o3', at: minute(3), amount: 1 } },
  { shipments: { order: 'o1', at: minute(5), by: 'post' } },
  { shipments: { order: 'o2', at: minute(6), by: 'bike' } },
  { shipments: { order: 'o3', at: minute(6), by: 'foot' } },
];
const ends = [600, 5_000].flatMap((n) => [
  { orders: { id: `x${n}`, at: minute(n), customer: 'x', amount: 0 } },
  { payments: { order: `y${n}`, at: minute(n), amount: 0 } },
  { shipments: { order: `z${n}`, at: minute(n), by: 'x' } },
  { people: { name: `p${n}`, at: minute(n), level: 0 } },
]);

describe('joins of more than two inputs in a job file', () => {
  it('give the left side of each what came out of the one before', async () => {
    await using job = await jobUnderTest(await jobOf(sound), { modelsDirectory: '', partitions: 2 });
    const pairs = { order: 'o1', paid: 10, by: 'post', level: 3, customer: 'ann' };
    // The order without a payment comes out of the first join an hour late, and waits for its shipment from ten minutes before it on: which has long come by.
    await testQuery(job, [addData(rows), checkAnswer([{ ...pairs, event_time: minute(5) }])]);
    await testQuery(job, [
      addData(rows),
      addData(ends),
      checkAnswer([{ order: 'o1' }, { order: 'o2', paid: null, by: 'bike', level: null, customer: 'bob' }]),
      checkLedger({ late: 0, filtered: 0, read: 17, scored: 17 }),
    ]);
    await forEveryCrashPoint(job, [...rows.slice(0, 7), ...ends.slice(0, 4)]);
  });

  it('may be followed by windows', async () => {
    const windows = sound.replace(
      /select:[^]*features: none\n/,
      'windows: { key: customer, tumbling: 1h, aggregates: { n: { count: true }, paid: { sum: payments.amount } } }\nfeatures: none\n',
    );
    const job = await jobOf(windows);
    await using under = await jobUnderTest(job, { modelsDirectory: '' });
    await testQuery(under, [
      addData(rows),
      addData(ends),
      checkAnswer([
        { customer: 'ann', n: 1, paid: 10 },
        { customer: 'bob', n: 1, paid: null },
      ]),
    ]);
    await forEveryCrashPoint(under, [...rows.slice(0, 7), ...ends.slice(0, 4)]);
  });

  it('are explained one by one, with the state of each', async () => {
    const job = await jobOf(sound);
    const text = explainJob(job, 'text');
    expect(text).toContain('join    join  left, orders.id = payments.order');
    expect(text).toContain('join    join-2  inner, id = shipments.order');
    expect(text).toContain('join    known  left, orders.customer = people.name');
    expect(text).toContain(
      '7 fields of each record of orders and payments, until the watermark is more than 1h past it',
    );
    expect(explainJob(job, 'mermaid')).toContain('left join of orders and payments and shipments and people');
    expect(jobOperators(job).map(({ describer }) => describer.operatorId)).toEqual([
      'join',
      'join-arrivals',
      'join-2',
      'join-2-arrivals',
      'known',
    ]);
  });

  it('are checked where they stand', async () => {
    expect(await problems('right: people,', 'right: peple,')).toEqual([
      '26:25: the job has no input "peple"; one of shipments, orders, payments, people',
    ]);
    expect(await problems('right: shipments,', 'right: orders,')).toEqual([
      '25:14: "orders" is joined twice; another input; the same topic may be read under two names',
    ]);
    const last =
      '  - { id: known, right: people, on: { left: orders.customer, right: name }, within: { before: 1d }, kind: left }\n';
    expect((await problems(last, ''))[0]).toBe(
      '18:3: "people" is read for nothing: no "join" has it; an item of "join" with "right: people"',
    );
    expect(await problems('left: orders.customer', 'left: customer')).toEqual([
      expect.stringMatching(
        /^26:\d+: "orders and payments and shipments" has no field "customer"; one of id, orders.id/,
      ) as string,
    ]);
    expect(await problems('right: name }', 'right: level }')).toEqual([
      expect.stringMatching(/"orders.customer" is a string, and "people.level" a long/) as string,
    ]);
    expect(await problems('id: known, ', 'id: join, ')).toEqual([
      expect.stringMatching(/^26:\d+: "join" is another join's state, too/) as string,
    ]);
    expect(await problems('{ right: shipments,', '{ left: orders, right: shipments,')).not.toEqual([]);
  });

  it('change the digest where they change', async () => {
    const [one, other] = await Promise.all([jobOf(sound), jobOf(sound.replace('before: 10m', 'before: 11m'))]);
    expect(one.digest).not.toBe(other.digest);
  });
});
