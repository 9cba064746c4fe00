import { describe, expect, it } from 'vitest';
import {
  addData,
  checkAnswer,
  checkDeadLetters,
  checkLedger,
  forEveryCrashPoint,
  testQuery,
} from '../engine/testing/index.ts';
import type { CheckedJob } from './checked-job.ts';
import { explainJob } from './explain/explain.ts';
import { jobUnderTest } from './test-files/job-under-test.ts';
import { loadFiles } from './testing/job-folder.ts';

const fields = '{ id: string, at: timestamp, card: string, amount: double, tags: string? }';
const united = (behind: string): string => `job: moved
sources:
  cards: { topic: cards, fields: ${fields}, key: id, eventTime: { field: at, delay: 0s } }
  transfers: { topic: transfers, fields: ${fields}, key: id, eventTime: { field: at, delay: 1m } }
union: [cards, transfers]
${behind}
features: none
sinks: [{ topic: found }]
`;
const enriched = (behind: string, key = 'id'): string => `job: moved
source: { topic: cards, fields: ${fields}, key: ${key}, eventTime: { field: at, delay: 0s } }
tables:
  limits: { topic: limits, fields: { card: string, at: timestamp, most: double, kinds: string? }, key: card, eventTime: { field: at, delay: 0s } }
enrich: [{ table: limits, on: card, asOf: latest }]
${behind}
features: none
sinks: [{ topic: found }]
`;

async function jobOf(text: string): Promise<CheckedJob> {
  const outcome = await loadFiles({ 'jobs/job.yaml': text });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

const minute = (n: number): string => new Date(Date.UTC(2026, 10, 22, 12, n)).toISOString();
const card = (id: string, n: number, of: string, amount: number, tags: string | null = null) => ({
  cards: { id, at: minute(n), card: of, amount, tags },
});
const transfer = (id: string, n: number, of: string, amount: number, tags: string | null = null) => ({
  transfers: { id, at: minute(n), card: of, amount, tags },
});
const ofStream = (row: ReturnType<typeof card>) => ({ source: row.cards });
const limit = (of: string, n: number, most: number, kinds: string | null = null) => ({
  limits: { card: of, at: minute(n), most, kinds },
});

const moved = [
  card('c1', 0, 'ann', 1, 'a, b'),
  transfer('t1', 1, 'ann', 60, 'c'),
  card('c2', 2, 'bob', 1),
  card('c3', 3, 'ann', 1),
  transfer('t2', 40, 'bob', 70),
  transfer('t3', 12, 'ann', 80),
  card('c4', 45, 'ann', 90),
];
const pattern = (within: string): string =>
  `pattern: { key: card, first: amount < 2, followedBy: amount > 50, within: ${within}, select: { tried: first.id, taken: id } }`;

async function answers(
  text: string,
  rows: readonly Readonly<Record<string, unknown>>[],
  expected: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  await using job = await jobUnderTest(await jobOf(text), { modelsDirectory: '' });
  await testQuery(job, [addData(rows), checkAnswer(expected)]);
  await forEveryCrashPoint(job, rows);
}

describe('a union in a job file', () => {
  it('may be looked through for patterns whose records are of different inputs', async () => {
    await answers(united(pattern('10m')), moved, [
      { card: 'ann', tried: 'c1', taken: 't1' },
      { card: 'ann', tried: 'c3', taken: 't3' },
    ]);
    const text = explainJob(await jobOf(united(pattern('10m'))), 'text');
    expect(text.indexOf('union')).toBeLessThan(text.indexOf('pattern'));
  });

  it('forgets no beginning of a pattern before every input has been heard from, by its own delay', async () => {
    const rows = [card('c1', 0, 'ann', 1), card('c2', 90, 'bob', 1), transfer('t1', 5, 'ann', 60)];
    await answers(united(pattern('10m')), rows, [{ tried: 'c1', taken: 't1' }]);
    // Transfers are late by up to a minute, so only with the second is the least watermark past the ten minutes.
    const both = [
      ...rows.slice(0, 2),
      transfer('t2', 10, 'x', 0),
      transfer('t3', 9, 'ann', 60),
      card('c3', 91, 'ann', 1),
      card('c4', 101, 'x', 0),
      transfer('t4', 102, 'x', 0),
      transfer('t5', 99, 'ann', 60),
    ];
    await answers(united(pattern('10m')), both, [{ tried: 'c1', taken: 't3' }]);
  });

  it('may tell sessions over all inputs', async () => {
    await answers(united('sessions: { key: card, gap: 30m }'), moved, [
      { id: 'c1', input: 'cards', session_number: 1 },
      { id: 't1', input: 'transfers', session_number: 1 },
      { id: 'c2', session_number: 1 },
      { id: 'c3', session_number: 1 },
      { id: 't2', session_number: 2 },
      { id: 't3', session_number: 1 },
      { id: 'c4', session_number: 2 },
    ]);
  });

  it('may be taken apart, and what has no list is a dead letter at its place in its own input', async () => {
    await using job = await jobUnderTest(await jobOf(united('flatMap: { from: tags, as: tag }')), {
      modelsDirectory: '',
    });
    const rows = [card('c1', 0, 'ann', 1, '["a","b"]'), transfer('t0', 1, 'x', 0), transfer('t1', 1, 'ann', 60, 'c')];
    await testQuery(job, [
      addData(rows),
      checkAnswer([
        { id: 'c1', tag: 'a', input: 'cards' },
        { id: 'c1', tag: 'b', input: 'cards' },
      ]),
      checkDeadLetters([{ code: 'LIST_MALFORMED', topic: 'transfers', offset: 1 }]),
      checkLedger({ read: 3, scored: 2, deadLettered: 1 }),
    ]);
    await forEveryCrashPoint(job, rows);
  });
});

describe('records that are looked up in tables, in a job file', () => {
  const rows = [
    limit('ann', 0, 50, '["day","night"]'),
    limit('bob', 0, 100, 'no list'),
    ...[
      card('c1', 1, 'ann', 1),
      card('c2', 2, 'bob', 1),
      card('c3', 3, 'ann', 60),
      card('c4', 4, 'bob', 60),
      card('c5', 50, 'ann', 60),
    ].map(ofStream),
  ];

  it('may be looked through for patterns that read what was found', async () => {
    const behind =
      'pattern: { key: card, first: amount < 2, followedBy: amount > limits.most, within: 10m, select: { tried: first.id, taken: id, most: limits.most } }';
    await answers(enriched(behind), rows, [{ card: 'ann', tried: 'c1', taken: 'c3', most: 50 }]);
    await answers(enriched(behind, 'card'), rows, [{ card: 'ann', tried: 'c1', taken: 'c3', most: 50 }]);
  });

  it('may tell sessions', async () => {
    await answers(enriched('sessions: { key: card, gap: 30m }'), rows, [
      { id: 'c1', session_number: 1 },
      { id: 'c2', session_number: 1 },
      { id: 'c3', session_number: 1 },
      { id: 'c4', session_number: 1 },
      { id: 'c5', session_number: 2, limits: { most: 50 } },
    ]);
  });

  it('may be taken apart by a list that was found, and what has none is a dead letter of the record', async () => {
    const text = enriched('flatMap: { from: limits.kinds, as: kind }');
    await using job = await jobUnderTest(await jobOf(text), { modelsDirectory: '' });
    const given = rows.slice(0, 4);
    await testQuery(job, [
      addData(given),
      checkAnswer([
        { id: 'c1', kind: 'day' },
        { id: 'c1', kind: 'night' },
      ]),
      checkDeadLetters([{ code: 'LIST_MALFORMED', topic: 'cards', offset: 1 }]),
      checkLedger({ read: 4, scored: 3, deadLettered: 1 }),
    ]);
    await forEveryCrashPoint(job, given);
  });
});
