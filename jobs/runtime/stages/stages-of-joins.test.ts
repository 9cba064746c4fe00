import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MessageInput } from '../../../engine/storage/message-batch-builder.ts';
import type { JoinKind } from '../../../operators/join/join-definition.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { loadFiles } from '../../testing/job-folder.ts';
import { chooser, JointChain } from '../../testing/joint-chain.ts';
import { planStages } from './stages.ts';

/** The inputs need not have the same number of partitions. */
const counts = { orders: 2, payments: 3, shipments: 1, customers: 2 } as const;
type Input = keyof typeof counts;

const eventTime = 'eventTime: { field: at, delay: 20s }';
const inputTexts: Readonly<Record<Input, string>> = {
  orders: `fields: { id: string, at: timestamp, customer: "string?", n: long }, key: id, ${eventTime}, duplicates: { by: n, within: 1h }`,
  payments: `fields: { order: string, at: timestamp, n: long }, key: order, ${eventTime}`,
  shipments: `fields: { order: string, at: timestamp, n: long }, key: order, ${eventTime}, duplicates: { by: n, within: 1h }`,
  customers: `fields: { name: string, at: timestamp, n: long }, key: name, ${eventTime}`,
};

/** One join of a chain, as a job has it and as its twin computes it. */
interface Link {
  readonly right: Input;
  /** `orders.customer`, or `id`, the key of the join before. */
  readonly left: string;
  readonly on: string;
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly kind: JoinKind;
  readonly where?: { readonly text: string; readonly holds: (n: (input: Input) => number | null) => boolean };
}

const paid: Link = { right: 'payments', left: 'id', on: 'order', beforeMs: 5_000, afterMs: 20_000, kind: 'full' };
const shipped: Link = { right: 'shipments', left: 'id', on: 'order', beforeMs: 0, afterMs: 30_000, kind: 'left' };
const known: Link = {
  right: 'customers',
  left: 'orders.customer',
  on: 'name',
  beforeMs: 40_000,
  afterMs: 10_000,
  kind: 'left',
};
const where = {
  text: 'customers.n % 2 == orders.n % 2',
  holds: (n: (input: Input) => number | null) => (n('customers') ?? 0) % 2 === (n('orders') ?? 0) % 2,
};

const chains = {
  'by one key': [paid, shipped],
  'by another key': [
    { ...paid, kind: 'left' },
    { ...known, kind: 'full', where },
  ],
  'by another key and back': [
    { ...paid, kind: 'right' },
    { ...known, kind: 'inner' },
    { ...shipped, left: 'payments.order', kind: 'full' },
  ],
  'by one key, then by another': [{ ...paid, kind: 'inner' }, { ...shipped, left: 'orders.id', kind: 'right' }, known],
} as const satisfies Readonly<Record<string, readonly Link[]>>;
type ChainName = keyof typeof chains;
const names = Object.keys(chains) as readonly ChainName[];

function textOf(links: readonly Link[]): string {
  const inputs = ['orders' as const, ...links.map(({ right }) => right)];
  const sources = inputs.map((name) => `  ${name}: { topic: ${name}, ${inputTexts[name]} }\n`).join('');
  const joins = links.map(({ right, left, on, beforeMs, afterMs, kind, where: condition }, index) => {
    const first = index === 0 ? 'left: orders, ' : '';
    const judged = condition === undefined ? '' : `, where: "${condition.text}"`;
    const within = `within: { before: ${beforeMs}ms, after: ${afterMs}ms }`;
    return `  - { ${first}right: ${right}, on: { left: ${left}, right: ${on} }, ${within}, kind: ${kind}${judged} }\n`;
  });
  return `job: job\napp: app\nsources:\n${sources}join:\n${joins.join('')}features: none
sinks: [{ topic: out }]\ndeadLetters: { topic: bad }\n`;
}

const jobs = new Map<ChainName, CheckedJob>();

beforeAll(async () => {
  for (const name of names) {
    const outcome = await loadFiles({ 'jobs/job.yaml': textOf(chains[name]) });
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    jobs.set(name, outcome.job);
  }
});

function jobNamed(name: ChainName): CheckedJob {
  const job = jobs.get(name);
  if (job === undefined) throw new Error(name);
  return job;
}

interface Row {
  readonly topic: Input;
  readonly key: string;
  readonly customer: string | null;
  readonly at: number;
  /** Tells the records of an input apart. */
  readonly n: number;
}

const startMs = 1_700_000_000_000;

/** Records of each partition, none of them later than the delay. */
const randomRows = fc
  .array(
    fc.record({
      topic: fc.constantFrom('orders' as const, 'payments' as const, 'shipments' as const, 'customers' as const),
      key: fc.nat(4),
      customer: fc.option(fc.nat(3), { freq: 4 }),
      stepMs: fc.constantFrom(0, 500, 3_000, 12_000),
      backMs: fc.constantFrom(0, 0, 5_000, 15_000),
    }),
    { minLength: 1, maxLength: 50, size: 'max' },
  )
  .map((drawn) => {
    const newest = new Map<string, number>();
    return drawn.map(({ topic, key, customer, stepMs, backMs }, n): Row => {
      const name = topic === 'customers' ? `c${key}` : `k${key}`;
      const place = `${topic} ${placeOf(topic, name)}`;
      const now = (newest.get(place) ?? startMs) + stepMs;
      newest.set(place, now);
      return { topic, key: name, customer: customer === null ? null : `c${customer}`, at: now - backMs, n };
    });
  });

function placeOf(topic: Input, key: string): number {
  return Number(key.slice(1)) % counts[topic];
}

function messageOf({ topic, key, customer, at, n }: Row): MessageInput {
  const keyField = { orders: 'id', payments: 'order', shipments: 'order', customers: 'name' }[topic];
  const value = { [keyField]: key, at, n, ...(topic === 'orders' ? { customer } : {}) };
  return { partition: placeOf(topic, key), key, value: JSON.stringify(value), timestampMs: at + 7 };
}

/** Behind all rows, from every partition of every input, so that everything that waits comes out. */
function lastRows(links: readonly Link[]): readonly Row[] {
  return ['orders' as const, ...links.map(({ right }) => right)].flatMap((topic) =>
    [6, 12].flatMap((hours) =>
      Array.from({ length: counts[topic] }, (_, partition): Row => {
        const [key, at] = [`e${partition}`, startMs + hours * 3_600_000];
        return { topic, key, customer: key, at, n: 10_000 + hours * 10 + partition };
      }),
    ),
  );
}

type Found = Readonly<Partial<Record<Input, Row>>>;

/** A result, or a record: its time, and the records that it is of. */
interface Twin {
  readonly at: number;
  readonly key: string | null;
  readonly of: Found;
}

/** The joins as SQL has them, one behind the other. */
function twinOf(links: readonly Link[], rows: readonly Row[]): readonly Twin[] {
  const recordsOf = (topic: Input): readonly Twin[] =>
    rows.filter((row) => row.topic === topic).map((row) => ({ at: row.at, key: row.key, of: { [topic]: row } }));
  return links.reduce((left, { right, left: field, beforeMs, afterMs, kind, where: condition }) => {
    const rights = recordsOf(right);
    const paired = new Set<Twin>();
    const pairs: Twin[] = [];
    for (const l of left) {
      const key = keyAt(l, field);
      for (const r of rights) {
        if (key === null || r.key !== key || r.at < l.at - beforeMs || r.at > l.at + afterMs) continue;
        const of = { ...l.of, ...r.of };
        if (condition !== undefined && !condition.holds((input) => of[input]?.n ?? null)) continue;
        pairs.push({ at: Math.max(l.at, r.at), key, of });
        paired.add(l).add(r);
      }
    }
    const alone = (side: readonly Twin[], keyOf: (row: Twin) => string | null): readonly Twin[] =>
      side.filter((row) => !paired.has(row)).map((row) => ({ ...row, key: keyOf(row) }));
    return [
      ...pairs,
      ...(kind === 'left' || kind === 'full' ? alone(left, (row) => keyAt(row, field)) : []),
      ...(kind === 'right' || kind === 'full' ? alone(rights, ({ key }) => key) : []),
    ];
  }, recordsOf('orders'));
}

function keyAt({ key, of }: Twin, field: string): string | null {
  if (field === 'orders.customer') return of.orders?.customer ?? null;
  if (field === 'orders.id') return of.orders?.key ?? null;
  if (field === 'payments.order') return of.payments?.key ?? null;
  return key;
}

type Result = Readonly<Record<Input, { readonly n?: number | null } | null | undefined>> & {
  readonly event_time: string;
};

function nameOfResult(result: Result): string {
  const parts = (Object.keys(counts) as Input[]).map((input) => result[input]?.n ?? '-');
  return `${new Date(result.event_time).getTime() - startMs} ${parts.join(' ')}`;
}

function nameOfTwin({ at, of }: Twin): string {
  return `${at - startMs} ${(Object.keys(counts) as Input[]).map((input) => of[input]?.n ?? '-').join(' ')}`;
}

function openChain(name: ChainName, rows: readonly Row[]): Promise<JointChain> {
  const messages = [...rows, ...lastRows(chains[name])].map((row) => ({ topic: row.topic, message: messageOf(row) }));
  return JointChain.open(jobNamed(name), counts, messages);
}

function expectTwin(chain: JointChain, links: readonly Link[], rows: readonly Row[]): void {
  const results = (chain.rows('out') as readonly Result[]).map(nameOfResult).filter((text) => !/ 10\d\d\d/.test(text));
  expect(results.toSorted()).toEqual(twinOf(links, rows).map(nameOfTwin).toSorted());
  expect([...chain.texts('bad'), ...chain.texts('job-late')]).toEqual([]);
}

describe('the stages of a chain of joins', () => {
  it.each(names)('%s give what joins behind each other do, however their tasks take turns and die', async (name) => {
    const property = fc.asyncProperty(randomRows, fc.nat(), async (drawn, seed) => {
      const links: readonly Link[] = chains[name];
      const rows = drawn.filter(({ topic }) => topic === 'orders' || links.some(({ right }) => right === topic));
      const chain = await openChain(name, rows);
      await chain.drain(chooser(seed));
      expectTwin(chain, links, rows);
    });
    await fc.assert(property, { numRuns: 25 });
  });

  it('give the same where one stage after the other works off a backlog of days', async () => {
    const dayMs = 86_400_000;
    const rows = Array.from({ length: 120 }, (_, n): Row => {
      const topic = (['orders', 'payments', 'customers'] as const)[n % 3] ?? 'orders';
      const at = startMs + Math.floor(n / 12) * dayMs - 30 * dayMs + (n % 12) * 1_000;
      const key = topic === 'customers' ? `c${Math.floor(n / 3) % 4}` : `k${Math.floor(n / 3) % 4}`;
      return { topic, key, customer: `c${Math.floor(n / 3) % 4}`, at, n };
    });
    const chain = await openChain('by another key', rows);
    await chain.drainInTurn(1);
    const expected = twinOf(chains['by another key'], rows);
    expect(expected.filter(({ of }) => of.customers !== undefined && of.payments !== undefined).length).toBeGreaterThan(
      10,
    );
    expectTwin(chain, chains['by another key'], rows);
  });

  it('have an exchange for each key that is not the one before, to which results and further inputs go', () => {
    const shape = planStages(jobNamed('by one key, then by another')).map(({ suffix, key, operators, output }) => [
      suffix,
      key.join('+'),
      operators.join(', '),
      output === 'results' ? 'results' : `${output.topic} by ${output.key.join('+')}`,
    ]);
    expect(shape).toEqual([
      ['.in.orders', 'id', '', 'app.job.exchange.id by orders.id'],
      ['.in.payments', 'order', '', 'app.job.exchange.id by payments.order'],
      ['.in.shipments', 'order', '', 'app.job.exchange.id by shipments.order'],
      ['.in.customers', 'name', '', 'app.job.exchange.customer by customers.name'],
      ['.id', 'id', 'join, join-arrivals, join-2', 'app.job.exchange.customer by orders.customer'],
      ['.customer', 'customer', 'join-3', 'results'],
    ]);
  });
});
