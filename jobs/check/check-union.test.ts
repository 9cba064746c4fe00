import { describe, expect, it } from 'vitest';
import { addData, advanceWatermark, checkLedger, checkNewAnswer, crash, restart } from '../../engine/testing/action.ts';
import { testQuery } from '../../engine/testing/test-query.ts';
import type { CheckedJob } from '../checked-job.ts';
import { explainJob } from '../explain/explain.ts';
import { loadFiles } from '../testing/job-folder.ts';
import { jobUnderTest } from '../test-files/job-under-test.ts';

const sound = `job: spending
sources:
  cards:
    topic: cards
    fields: { id: string, customer: string, at: timestamp, amount: double, card: string }
    key: customer
    eventTime: { field: at, delay: 10s }
    duplicates: { by: id, within: 1h }
  transfers:
    topic: transfers
    fields: { customer: string, sent: timestamp, amount: double? }
    key: customer
    eventTime: { field: sent, delay: 1m }
union: [cards, transfers]
features: none
sinks:
  - topic: spending
`;
const features = 'entity: customer\nfeatures:\n  total_1h: { sum: amount, over: 1h, current: include }\n';
const windows = `windows:
  key: customer
  tumbling: 1m
  aggregates: { n: { count: true }, total: { sum: amount } }
`;

const load = (text: string): ReturnType<typeof loadFiles> =>
  loadFiles({ 'jobs/job.yaml': text, 'features/customer.yaml': features });

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

describe('a union in a job file', () => {
  it('has the fields of its inputs by name, and says which input a record is of', async () => {
    const { schema, source } = await jobOf(sound);
    expect(schema.fields.map(({ name, type, presence }) => `${name} ${type} ${presence}`)).toEqual([
      'input string required',
      'event_time timestamp required',
      'id string optional',
      'customer string required',
      'at timestamp optional',
      'amount double optional',
      'card string optional',
      'sent timestamp optional',
      '(cards.id) string optional',
    ]);
    expect(source).toMatchObject({ key: 'customer', eventTime: { field: 'event_time', delayMs: 60_000 } });
    const one = await jobOf(sound.replaceAll('sent', 'at'));
    expect(one.schema.field('event_time')).toBeUndefined();
    expect(one.source.eventTime.field).toBe('at');
    const text = explainJob(one, 'text');
    expect(text).toContain('union   cards, transfers, in the order in which they are read; no state');
    expect(explainJob(one, 'mermaid')).toContain('["union of cards, transfers"]');
  });

  it.each<readonly [string, string, string[]]>([
    [
      '[cards, transfers]',
      '[cards, transfer]',
      ['9:3: "transfers" is read for nothing: it is not in "union"', '14:16: the job has no input "transfer"'],
    ],
    ['[cards, transfers]', '[cards]', ['9:3: "transfers" is read for nothing: it is not in "union"']],
    ['amount: double? }', 'amount: long }', ['11:58: "amount" is a long, and in "cards" a double']],
    [
      '    key: customer\n    eventTime: { field: sent',
      '    key: iban\n    eventTime: { field: sent',
      ['12:10: the record has no field "iban"'],
    ],
    [
      'customer: string, sent: timestamp',
      'input: string, customer: string, sent: timestamp',
      ['11:22: "input" is what a union calls the input\'s name'],
    ],
    [
      'features: none',
      'select: { x: amount }\nfeatures: none',
      ['15:1: "select" is for what comes out of a join; a union has the fields of its inputs'],
    ],
    [
      'union: [cards, transfers]',
      'union: [cards, transfers]\njoin: { left: cards, right: transfers, on: customer, within: { after: 1h } }',
      ['14:1: one key says what becomes of the inputs; here are join and union'],
    ],
  ])('is refused where it cannot be meant: %s → %s', async (from, to, expected) => {
    expect(await problems(from, to)).toEqual(expected);
  });
});

const at = (second: number): number => Date.UTC(2026, 2, 1) + second * 1_000;

describe('a job over a union', () => {
  it('computes features over the records of all inputs, drops the duplicates of the input that has them, and goes on after a crash', async () => {
    const job = await jobOf(sound.replace('features: none', 'features: [customer]'));
    await using underTest = await jobUnderTest(job, { modelsDirectory: '', partitions: 2 });
    await testQuery(underTest, [
      addData([{ cards: { id: 'c1', customer: 'x', at: at(0), amount: 1, card: 'visa' } }]),
      addData([{ transfers: { customer: 'x', sent: at(5), amount: 10 } }]),
      addData([{ cards: { id: 'c1', customer: 'x', at: at(1), amount: 1, card: 'visa' } }]),
      checkNewAnswer([
        { input: 'cards', customer: 'x', amount: 1, id: 'c1', source_offset: 0, 'features.total_1h': 1 },
        {
          input: 'transfers',
          customer: 'x',
          amount: 10,
          id: null,
          card: null,
          source_offset: 0,
          'features.total_1h': 11,
        },
      ]),
      crash(),
      restart(),
      addData([{ transfers: { customer: 'x', sent: at(6) } }, 'no record']),
      addData([{ cards: { id: 'c2', customer: 'x', at: at(7), amount: 100, card: 'visa' } }]),
      checkNewAnswer([
        { input: 'transfers', amount: null, 'features.total_1h': 11 },
        { input: 'cards', amount: 100, 'features.total_1h': 111 },
      ]),
      checkLedger({ read: 6, scored: 4, duplicate: 1, deadLettered: 1 }),
    ]);
  });

  it('closes windows when the watermarks of all inputs have passed their end, heard from or not', async () => {
    const job = await jobOf(sound.replace('sinks:', `${windows}sinks:`));
    await using underTest = await jobUnderTest(job, { modelsDirectory: '' });
    await testQuery(underTest, [
      addData([{ cards: { id: 'c1', customer: 'x', at: at(0), amount: 1, card: 'visa' } }]),
      addData([{ cards: { id: 'c2', customer: 'y', at: at(600), amount: 1, card: 'visa' } }]),
      checkNewAnswer([]),
      // The transfer is ten minutes behind the newest card, and in time.
      addData([{ transfers: { customer: 'x', sent: at(5), amount: 10 } }]),
      crash(),
      restart(),
      addData([{ transfers: { customer: 'z', sent: at(120), amount: 10 } }]),
      checkNewAnswer([{ customer: 'x', n: 2, total: 11 }]),
      advanceWatermark(at(700)),
      checkNewAnswer([
        { customer: 'z', n: 1 },
        { customer: 'y', n: 1 },
      ]),
    ]);
  });
});

describe('a job with windows over a join', () => {
  const joined = sound
    .replace(
      'union: [cards, transfers]',
      'join: { left: cards, right: transfers, on: customer, within: { after: 30s }, kind: left }',
    )
    .replace('features: none', 'select: { amount: cards.amount, transferred: transfers.amount }\nfeatures: none')
    .replace(
      'sinks:',
      `${windows.replace('total: { sum: amount }', 'lone: { count: true, where: transferred == null }')}sinks:`,
    );

  it('counts each result in the window of its event time, lone records too, which come long after the watermark passed them', async () => {
    const job = await jobOf(joined);
    await using underTest = await jobUnderTest(job, { modelsDirectory: '', partitions: 2 });
    await testQuery(underTest, [
      addData([{ cards: { id: 'c1', customer: 'x', at: at(1), amount: 1, card: 'visa' } }]),
      addData([{ cards: { id: 'c2', customer: 'x', at: at(50), amount: 1, card: 'visa' } }]),
      addData([{ cards: { id: 'c3', customer: 'y', at: at(58), amount: 1, card: 'visa' } }]),
      addData([{ transfers: { customer: 'x', sent: at(20), amount: 10 } }]),
      addData([{ transfers: { customer: 'x', sent: at(70), amount: 10 } }]),
      checkNewAnswer([]),
      advanceWatermark(at(88)),
      checkNewAnswer([]),
      crash(),
      restart(),
      // Records of the left input may come out alone until the watermark is 30 s past them, and so a window is kept open for them.
      advanceWatermark(at(90)),
      checkNewAnswer(
        [
          { customer: 'x', n: 1, lone: 0 },
          { customer: 'y', n: 1, lone: 1 },
        ],
        { order: 'any' },
      ),
      advanceWatermark(at(150)),
      checkNewAnswer([{ customer: 'x', n: 1, lone: 0 }]),
    ]);
  });
});
