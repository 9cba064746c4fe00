import { describe, expect, it } from 'vitest';
import { addData, checkAnswer, checkLedger, forEveryCrashPoint, testQuery } from '../../engine/testing/index.ts';
import type { CheckedJob } from '../checked-job.ts';
import { explainJob } from '../explain/explain.ts';
import { jobOperators } from '../state/job-operators.ts';
import { jobUnderTest } from '../test-files/job-under-test.ts';
import { loadFiles } from '../testing/job-folder.ts';

const source = `source:
  topic: payments
  fields: { id: string, at: timestamp, card: string, terminal: string?, amount: double }
  key: card
  eventTime: { field: at, delay: 10s }
  duplicates: { by: id, within: 1h }
`;
const tested = `job: tested-cards
${source}features: none
pattern:
  key: card
  first: amount < 2
  followedBy: amount > 50 * first.amount && terminal != first.terminal
  within: 10m
  select: { tried: first.amount, taken: amount, tried_at: first.at }
sinks:
  - topic: tested_cards
`;
const visits = `job: visits
${source}sessions: { key: card, gap: 30m }
features: [visit]
sinks:
  - topic: visits
`;
const visit = `entity: [card, session_number]
features:
  spent_in_session: { sum: amount, over: 1d, current: include }
  since_session_start: { expr: at - session_start }
`;

const files = { 'features/visit.yaml': visit };
const load = (text: string): ReturnType<typeof loadFiles> => loadFiles({ 'jobs/job.yaml': text, ...files });

async function jobOf(text: string): Promise<CheckedJob> {
  const outcome = await load(text);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

async function problems(text: string, from: string, to: string): Promise<string[]> {
  if (!text.includes(from)) throw new RangeError(`no "${from}" to change`);
  const outcome = await load(text.replace(from, () => to));
  if (outcome.ok) return [];
  return outcome.diagnostics.map(({ line, message, expected }) => `${line}: ${message}; ${expected ?? ''}`);
}

const minute = (n: number): number => Date.UTC(2026, 10, 22, 12, n);

describe('a pattern in a job file', () => {
  const rows = [
    { id: '1', at: minute(0), card: 'a', terminal: 't1', amount: 1 },
    { id: '2', at: minute(1), card: 'a', terminal: 't1', amount: 90 },
    { id: '3', at: minute(2), card: 'b', terminal: 't2', amount: 90 },
    { id: '4', at: minute(3), card: 'a', terminal: 't2', amount: 80 },
    { id: '4', at: minute(3), card: 'a', terminal: 't2', amount: 80 },
    { id: '5', at: minute(4), card: 'a', terminal: 't2', amount: 70 },
  ];

  it('gives out one result for each match, keyed, exactly once over every crash', async () => {
    await using job = await jobUnderTest(await jobOf(tested), { modelsDirectory: 'models' });
    const answer = { card: 'a', tried: 1, taken: 80, tried_at: '2026-11-22T12:00:00.000Z' };
    await testQuery(job, [
      addData(rows),
      checkAnswer([answer], { fields: 'all' }),
      checkLedger({ read: 6, scored: 5, duplicate: 1 }),
    ]);
    const { runs } = await forEveryCrashPoint(job, rows);
    expect(runs).toBeGreaterThan(20);
  });

  it('is shown by explain, and its state by name', async () => {
    const job = await jobOf(tested);
    expect(explainJob(job, 'text')).toContain('followed by  amount > 50 * first.amount && terminal != first.terminal');
    expect(explainJob(job, 'mermaid')).toContain('pattern pattern');
    expect(jobOperators(job).map(({ describer }) => describer.kind)).toEqual(['duplicates', 'pattern']);
  });

  it('is part of the job’s digest by what it means', async () => {
    const { digest } = await jobOf(tested);
    expect((await jobOf(tested.replace('amount < 2', 'amount  <  2'))).digest).toBe(digest);
    expect((await jobOf(tested.replace('within: 10m', 'within: 600s'))).digest).toBe(digest);
    expect((await jobOf(tested.replace('within: 10m', 'within: 11m'))).digest).not.toBe(digest);
    expect((await jobOf(tested.replace('taken: amount', 'taken: amount * 2'))).digest).not.toBe(digest);
  });

  it.each([
    [
      'key: card\n  first',
      'key: amount\n  first',
      '10: "amount" is a double, which is no key; one of id, card, terminal',
    ],
    ['first: amount < 2', 'first: amount', '11: the condition is a double; a comparison, or a boolean field'],
    ['50 * first.amount', '50 * first.amonut', '12: no field or feature is named "first.amonut"; one of'],
    ['taken: amount', 'card: amount', '14: a result already has a field "card": its key; another name'],
    [
      'features: none',
      'features: [visit]',
      '8: a job has features, which answer each record, or a pattern, which answers where it is met; none',
    ],
  ])('is refused where %s is %s', async (from, to, problem) => {
    const found = await problems(tested, from, to);
    expect(found.join('\n')).toContain(problem.split(';')[0]);
    expect(found.length).toBeGreaterThan(0);
  });
});

describe('sessions in a job file', () => {
  it('are columns to features, and are published', async () => {
    await using job = await jobUnderTest(await jobOf(visits), { modelsDirectory: 'models' });
    const rows = [
      { id: '1', at: minute(0), card: 'a', terminal: null, amount: 1 },
      { id: '2', at: minute(20), card: 'a', terminal: null, amount: 2 },
      { id: '3', at: minute(50), card: 'a', terminal: null, amount: 4 },
      { id: '4', at: minute(10), card: 'a', terminal: null, amount: 8 },
    ];
    await testQuery(job, [
      addData(rows),
      checkAnswer([
        { session_number: 1, session_start: '2026-11-22T12:00:00.000Z', 'features.spent_in_session': 1, late: false },
        { session_number: 1, 'features.spent_in_session': 3, 'features.since_session_start': 1_200_000 },
        { session_number: 2, session_id: `a@${minute(50)}`, 'features.spent_in_session': 4 },
        { session_number: null, session_id: null, 'features.spent_in_session': null, late: true },
      ]),
      checkLedger({ read: 4, scored: 3, late: 1 }),
    ]);
    const { runs } = await forEveryCrashPoint(job, rows);
    expect(runs).toBeGreaterThan(20);
  });

  it('are shown by explain, and their state by name', async () => {
    const job = await jobOf(visits);
    expect(explainJob(job, 'text')).toContain('sessions  sessions  gap 30m, for each card');
    expect(explainJob(job, 'mermaid')).toContain('sessions sessions');
    expect(jobOperators(job).map(({ describer }) => describer.kind)).toEqual(['duplicates', 'sessions', 'rolling']);
  });

  it.each([
    ['gap: 30m', 'gap: 30m, forget: 10m', 'a key would be forgotten while its session may go on'],
    ['key: card, gap', 'key: cart, gap', 'the record has no field "cart"'],
    ['terminal: string?', 'session_id: string?', 'the record has a field "session_id" itself, which sessions add'],
  ])('are refused where %s is %s', async (from, to, problem) => {
    expect((await problems(visits, from, to)).join('\n')).toContain(problem);
  });
});
