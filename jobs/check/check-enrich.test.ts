import { describe, expect, it } from 'vitest';
import { addData, advanceWatermark, checkLedger, checkNewAnswer, crash, restart } from '../../engine/testing/action.ts';
import { forEveryCrashPoint } from '../../engine/testing/for-every-crash-point.ts';
import { testQuery } from '../../engine/testing/test-query.ts';
import type { CheckedJob } from '../checked-job.ts';
import { explainJob } from '../explain/explain.ts';
import { loadFiles } from '../testing/job-folder.ts';
import { jobUnderTest } from '../test-files/job-under-test.ts';

/** The example of Flink's "Temporal Joins": what orders are worth at the rate of their own time. */
const sound = `job: worth
source:
  topic: orders
  fields: { id: string, currency: string, at: timestamp, amount: double }
  key: id
  eventTime: { field: at, delay: 1m }
tables:
  rates:
    topic: rates
    fields: { currency: string, updated: timestamp, rate: double, source: string? }
    key: currency
    eventTime: { field: updated, delay: 0s }
enrich:
  - { table: rates, on: currency, fields: [rate] }
features: [order]
sinks:
  - topic: worth
`;
const features =
  'entity: currency\nfeatures:\n  worth: { expr: amount * rates.rate }\n  all_1h: { sum: amount * rates.rate, over: 1h, current: include }\n';

const load = (text: string): ReturnType<typeof loadFiles> =>
  loadFiles({ 'jobs/job.yaml': text, 'features/order.yaml': features });

async function jobOf(text: string): Promise<CheckedJob> {
  const outcome = await load(text);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

async function problems(from: string, to: string): Promise<string[]> {
  if (!sound.includes(from)) throw new RangeError(`no "${from}" to change`);
  const outcome = await load(sound.replace(from, () => to));
  return outcome.ok ? [] : outcome.diagnostics.map(({ line, column, message }) => `${line}:${column}: ${message}`);
}

const at = (time: string): number => Date.parse(`2026-03-01T${time}:00Z`);
const rate = (time: string, currency: string, value: number): Record<string, unknown> => ({
  rates: { currency, updated: at(time), rate: value },
});
const order = (time: string, id: string, amount: number, currency: string): Record<string, unknown> => ({
  source: { id, currency, at: at(time), amount },
});

describe('look-ups in a job file', () => {
  it('add the table’s fields to the records, under its name, for features to read', async () => {
    const job = await jobOf(sound);
    expect(job.schema.fields.map(({ name, presence }) => `${name} ${presence}`)).toEqual([
      'id required',
      'currency required',
      'at required',
      'amount required',
      'rates.rate optional',
    ]);
    expect(job.source).toMatchObject({ key: 'id', eventTime: { field: 'at', delayMs: 60_000 } });
    const text = explainJob(job, 'text');
    expect(text).toContain('enrich  enrich-rates  currency = rates.currency: rates.rate');
    expect(text).toContain('state  the versions of each key since the watermark, and the newest before it, for ever');
    expect(explainJob(job, 'mermaid')).toContain('enrich from rates');
  });

  it.each<readonly [string, string, string[]]>([
    [
      'table: rates',
      'table: rate',
      ['8:3: "rates" is read for nothing: no "enrich" looks anything up in it', '14:14: the job has no table "rate"'],
    ],
    ['on: currency', 'on: amount', ['14:25: "amount" is a double, and "rates.currency" a string']],
    ['[rate]', '[rat]', ['14:44: "rates" has no field "rat" beside its key']],
    [
      'enrich:\n  - { table: rates, on: currency, fields: [rate] }\n',
      '',
      ['7:1: "tables" means nothing without "enrich"'],
    ],
    [
      '  topic: orders',
      '  simulator: { world: stream }',
      ['3:14: the simulator is no input beside tables: where it stands is not recorded'],
    ],
    ['    topic: rates', '    topic: worth', ['17:12: the topic "worth" is already read by this job']],
  ])('are refused where they cannot be meant: %s → %s', async (from, to, expected) => {
    expect(await problems(from, to)).toEqual(expected);
  });

  it('are part of what a job means', async () => {
    const { digest } = await jobOf(sound);
    for (const to of ['asOf: latest', 'missing: drop']) {
      expect((await jobOf(sound.replace('fields: [rate]', `fields: [rate], ${to}`))).digest).not.toBe(digest);
    }
  });
});

describe('Flink’s "Temporal Joins": orders and the rates of their currencies', () => {
  const rates = [
    rate('09:00', 'US Dollar', 102),
    rate('09:00', 'Euro', 114),
    rate('09:00', 'Yen', 1),
    rate('10:45', 'Euro', 116),
    rate('11:15', 'Euro', 119),
    rate('11:49', 'Pounds', 108),
  ];
  const orders = [
    order('10:15', 'o1', 2, 'Euro'),
    order('10:30', 'o2', 1, 'US Dollar'),
    order('10:32', 'o3', 50, 'Yen'),
    order('10:52', 'o4', 3, 'Euro'),
    order('11:04', 'o5', 5, 'US Dollar'),
  ];
  const worth = [228, 102, 50, 348, 510];

  it('gives each order the rate of its own time, though all later rates have come before it', async () => {
    await using job = await jobUnderTest(await jobOf(sound), { modelsDirectory: '', partitions: 2 });
    await testQuery(job, [
      addData(rates),
      crash(),
      restart(),
      ...orders.map((row) => addData([row])),
      checkNewAnswer(worth.map((value, index) => ({ id: `o${index + 1}`, 'features.worth': value }))),
      // No rate of its time, and a currency that the table has not.
      addData([order('11:48', 'o6', 1, 'Pounds')]),
      addData([order('11:50', 'o7', 1, 'Pounds')]),
      addData([order('11:50', 'o8', 1, 'Franc')]),
      checkNewAnswer([
        { id: 'o6', 'rates.rate': null, 'features.worth': null },
        { id: 'o7', 'rates.rate': 108 },
        { id: 'o8', 'rates.rate': null },
      ]),
      checkLedger({ read: 14, scored: 14, filtered: 0 }),
    ]);
  });

  it('gives the latest rate where that is asked for, and leaves out what has none', async () => {
    const text = sound.replace('fields: [rate]', 'fields: [rate], asOf: latest, missing: drop');
    await using job = await jobUnderTest(await jobOf(text), { modelsDirectory: '' });
    await testQuery(job, [
      addData(rates),
      addData([order('10:15', 'o1', 2, 'Euro')]),
      addData([order('10:16', 'o2', 2, 'Franc')]),
      checkNewAnswer([{ id: 'o1', 'rates.rate': 119 }]),
      // A correction of an older time, which came last.
      addData([rate('09:30', 'Euro', 100)]),
      addData([order('10:17', 'o3', 2, 'Euro')]),
      checkNewAnswer([{ id: 'o3', 'rates.rate': 100 }]),
      checkLedger({ read: 10, scored: 9, filtered: 1 }),
    ]);
  });

  it('loses and repeats nothing when its process dies at any step', async () => {
    await using job = await jobUnderTest(await jobOf(sound), { modelsDirectory: '' });
    const rows = [...rates.slice(0, 4), ...orders.slice(0, 4), 'no record'];
    const { points } = await forEveryCrashPoint(job, rows);
    expect(points).toBeGreaterThan(50);
  });

  it('feeds windows, which the table does not hold back', async () => {
    const windows =
      'features: none\nwindows:\n  key: currency\n  tumbling: 1h\n  aggregates: { total: { sum: amount * rates.rate } }\n';
    await using job = await jobUnderTest(await jobOf(sound.replace('features: [order]\n', windows)), {
      modelsDirectory: '',
    });
    await testQuery(job, [
      addData(rates),
      ...orders.map((row) => addData([row])),
      addData([order('13:00', 'o9', 1, 'Euro')]),
      checkNewAnswer([
        { currency: 'Euro', total: 576 },
        { currency: 'US Dollar', total: 102 },
        { currency: 'Yen', total: 50 },
        { currency: 'US Dollar', total: 510 },
      ]),
      advanceWatermark(at('14:00')),
      checkNewAnswer([{ currency: 'Euro', total: 119 }]),
    ]);
  });
});
