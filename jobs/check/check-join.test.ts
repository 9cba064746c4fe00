import { describe, expect, it } from 'vitest';
import { explainJob } from '../explain/explain.ts';
import { loadFiles } from '../testing/job-folder.ts';

const sound = `job: paid
sources:
  orders:
    topic: orders
    fields: { id: string, at: timestamp, customer: long, amount: double }
    key: id
    eventTime: { field: at, delay: 10s }
    duplicates: { by: id, within: 1h }
  payments:
    topic: payments
    fields: { order: string, at: timestamp, amount: double?, note: string? }
    key: order
    eventTime: { field: at, delay: 1m }
join:
  left: orders
  right: payments
  on: { left: id, right: order }
  within: { before: 5m, after: 1h }
  kind: left
  where: payments.amount >= orders.amount
select:
  customer: orders.customer
  paid: payments.amount
  missing: orders.amount - payments.amount
features: none
sinks:
  - topic: paid
late: { allowedLateness: 30s }
`;

const load = (text: string): ReturnType<typeof loadFiles> => loadFiles({ 'jobs/job.yaml': text });

async function problems(from: string, to: string): Promise<string[]> {
  if (!sound.includes(from)) throw new RangeError(`no "${from}" to change`);
  const outcome = await load(sound.replace(from, () => to));
  if (outcome.ok) return [];
  return outcome.diagnostics.map(({ line, column, message, expected }) => {
    return `${line}:${column}: ${message}; ${expected ?? ''}`;
  });
}

const digestOf = async (text: string): Promise<string> => {
  const outcome = await load(text);
  return outcome.ok ? outcome.job.digest : 'refused';
};

describe('a join in a job file', () => {
  it('becomes a definition over the inputs’ fields, each under the name of its input', async () => {
    const outcome = await load(sound);
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    const { source, schema, late } = outcome.job;
    if (source.kind !== 'inputs') throw new Error('expected inputs');
    expect(source.plan.schema.fields.map(({ name }) => name)).toEqual([
      '(input)',
      ...['id', 'at', 'customer', 'amount'].map((name) => `orders.${name}`),
      ...['order', 'at', 'amount', 'note'].map((name) => `payments.${name}`),
    ]);
    expect(source.plan.join?.definition).toMatchObject({
      operatorId: 'join',
      kind: 'left',
      left: { input: 0, key: ['orders.id'] },
      right: { input: 1, key: ['payments.order'] },
      key: ['id'],
      beforeMs: 300_000,
      afterMs: 3_600_000,
      allowedLatenessMs: 30_000,
      delaysMs: [10_000, 60_000],
    });
    expect(schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'id string',
      'event_time timestamp',
      'customer long',
      'paid double',
      'missing double',
    ]);
    expect(late).toEqual({ allowedLatenessMs: 30_000, policy: 'route', topic: 'paid-late' });
  });

  it('is explained with its inputs, its bounds and what it keeps for how long', async () => {
    const outcome = await load(sound);
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    const text = explainJob(outcome.job, 'text');
    expect(text).toContain(`sources
  orders  topic orders, json, keyed by id
    fields  id string, at timestamp, customer long, amount double
    event time at; the watermark is 10s behind the newest record of its partition
  payments  topic payments, json, keyed by order`);
    expect(text).toContain('dedupe  duplicates-orders');
    expect(text).toContain(`join    join  left, orders.id = payments.order
  partners  payments from 5m before to 1h after orders, where payments.amount >= orders.amount
  results  as soon as both are there; records of orders without a partner once the watermark says that none can come
  watermark  the least of the inputs, each the least of its partitions that are not idle; an input without records holds it back until it is idle
  state  4 fields of each record of orders, until the watermark is more than 1h30s past it
  state  4 fields of each record of payments, until the watermark is more than 5m30s past it
  late records, behind the watermark by more than 30s, go to the topic paid-late and are counted`);
    const drawing = explainJob(outcome.job, 'mermaid');
    expect(drawing).toContain('source2[/"payments: topic payments<br/>key order"/]');
    expect(drawing).toContain('source2 --> operator1');
    const json = JSON.parse(explainJob(outcome.job, 'json')) as { operators: readonly unknown[] };
    expect(json.operators).toContainEqual(expect.objectContaining({ operator: 'join', kind: 'left' }));
  });

  it.each<readonly [string, string, string[]]>([
    ['left: orders', 'left: oders', ['15:9: the job has no input "oders"; one of orders, payments']],
    [
      'right: payments',
      'right: orders',
      ['16:10: "orders" is joined with itself; another input; the same topic may be read under two names'],
    ],
    [
      'within: { before: 5m, after: 1h }',
      'within: {}',
      [
        '18:11: "within" says neither "before" nor "after", and state without a bound would grow for ever; { before: 1h, after: 1h }',
      ],
    ],
    [
      'on: { left: id, right: order }',
      'on: { left: customer, right: order }',
      ['17:32: "orders.customer" is a long, and "payments.order" a string; a long on both sides'],
    ],
    [
      'on: { left: id, right: order }',
      'on: { left: amount, right: order }',
      ['17:15: "orders.amount" is a double, which is no key; one of id, customer'],
    ],
    ['on: { left: id, right: order }', 'on: id', ['17:7: "payments" has no field "id"; one of order, note']],
    [
      'on: { left: id, right: order }',
      'on: { left: [id, customer], right: order }',
      ['17:7: the left key has 2 fields, and the right one 1; as many on each side'],
    ],
    ['kind: left', 'kind: outer', ['19:9: "kind" is "outer"; one of inner, left, right, full']],
    [
      'where: payments.amount >= orders.amount',
      'where: payments.amout > 1.0',
      [
        '20:10: no field or feature is named "payments.amout"; one of id, event_time, orders.id, orders.at, orders.customer, orders.amount, payments.order, payments.at, payments.amount, payments.note',
      ],
    ],
    ['customer: orders.customer', 'id: orders.customer', ['22:3: a result already has a field "id"; another name']],
    [
      'late: { allowedLateness: 30s }',
      'late: { policy: answer }',
      ['28:17: "answer" is for jobs that answer each record: the partners of a late one may be gone; route or drop'],
    ],
    [
      'late: { allowedLateness: 30s }',
      'late: { policy: update, allowedLateness: 1s }',
      ['28:17: "update" lets a window fire again, and what has gone through a join is not taken back; route or drop'],
    ],
    [
      '    topic: payments',
      '    simulator: { world: stream }',
      ['10:5: the simulator is no input beside others: where it stands is not recorded; a topic'],
    ],
    [
      '    eventTime: { field: at, delay: 1m }',
      '    eventTime: { field: when, delay: 1m }',
      ['13:25: the record has no field "when"; one of at'],
    ],
    [
      '  - topic: paid',
      '  - topic: payments',
      ['27:12: the topic "payments" is already read by this job; another topic'],
    ],
    [
      'job: paid',
      'job: paid\nsource: { topic: x }',
      ['3:1: one key says where records come from; here are source and sources; one of source, sources'],
    ],
    ['features: none', 'where: amount > 1.0\nfeatures: none', [expect.stringMatching(/^25:8: .*amount/) as string]],
  ])('is refused where it cannot be meant: %s → %s', async (from, to, expected) => {
    expect(await problems(from, to)).toEqual(expected);
  });

  it('needs inputs, and inputs need it', async () => {
    const alone = sound.replace(
      /sources:[^]*?join:/,
      'source: { topic: x, fields: { id: string, at: timestamp }, key: id, eventTime: { field: at, delay: 1s } }\njoin:',
    );
    const outcome = await load(alone);
    expect(outcome.ok ? [] : outcome.diagnostics.map(({ message }) => message)).toContain(
      '"join" is for jobs of several inputs',
    );
    const none = await load(sound.replace(/join:[^]*?features/, 'features'));
    expect(none.ok ? [] : none.diagnostics.map(({ message }) => message)).toContain(
      'nothing says what becomes of the inputs',
    );
  });

  it('is part of what a job means', async () => {
    const one = await digestOf(sound);
    expect(await digestOf(sound.replace('after: 1h', 'after: 60m'))).toBe(one);
    for (const [from, to] of [
      ['after: 1h', 'after: 2h'],
      ['kind: left', 'kind: full'],
      ['where: payments.amount >= orders.amount', 'where: payments.amount > orders.amount'],
      ['delay: 1m', 'delay: 2m'],
      ['topic: payments', 'topic: paying'],
      ['paid: payments.amount', 'paid: orders.amount'],
    ] as const) {
      const other = await digestOf(sound.replace(from, to));
      expect(other).not.toBe('refused');
      expect(other).not.toBe(one);
    }
  });
});
