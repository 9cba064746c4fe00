import { describe, expect, it } from 'vitest';
import { addData, checkAnswer, checkLedger, crashAt, restart } from '../../engine/testing/action.ts';
import { testQuery } from '../../engine/testing/test-query.ts';
import { explainJob } from '../explain/explain.ts';
import { loadFiles } from '../testing/job-folder.ts';
import { jobUnderTest } from '../test-files/job-under-test.ts';

const sound = `job: split
source:
  topic: payments
  fields: { card: string, at: timestamp, amount: double? }
  key: card
  eventTime: { field: at, delay: 10s }
features: [card]
sinks:
  - topic: large
    where: amount >= 100.0 || n > 2
  - topic: small
    where: amount < 100.0
  - topic: all
`;
const load = (text: string): ReturnType<typeof loadFiles> =>
  loadFiles({
    'jobs/job.yaml': text,
    'features/card.yaml': 'entity: card\nfeatures:\n  n: { count: true, over: 1h, current: include }\n',
  });

describe('sinks with conditions', () => {
  it('take each result to every topic whose condition holds, and to none where none does, over its features too', async () => {
    const outcome = await load(sound);
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    await using job = await jobUnderTest(outcome.job, { modelsDirectory: '' });
    await testQuery(job, [
      addData([
        { card: 'a', at: 1_000, amount: 5 },
        { card: 'a', at: 2_000, amount: 500 },
      ]),
      crashAt('commit', 'before'),
      addData([
        { card: 'a', at: 3_000, amount: 7 },
        { card: 'b', at: 4_000 },
      ]),
      restart(),
      checkAnswer([{ amount: 500 }, { amount: 7, 'features.n': 3 }], { topic: 'large' }),
      checkAnswer([{ amount: 5 }, { amount: 7 }], { topic: 'small' }),
      checkAnswer([{ amount: 5 }, { amount: 500 }, { amount: 7 }, { card: 'b', amount: null }], { topic: 'all' }),
      checkLedger({ read: 4, scored: 4 }),
    ]);
    expect(explainJob(outcome.job, 'text')).toContain('topic small, json, results where amount < 100.0');
  });

  it.each([
    ['where: amount < 100.0', 'where: amout < 100.0', '12:12: no field or feature is named "amout"'],
    ['where: amount < 100.0', 'where: amount', '12:12: the condition is a double'],
    [
      '  - topic: all',
      '  - topic: all\n  - { jsonl: x.jsonl, where: amount > 1.0 }',
      '14:23: "where" belongs to a topic',
    ],
  ])('are refused where they cannot be meant: %s → %s', async (from, to, expected) => {
    const outcome = await load(sound.replace(from, to));
    const found = outcome.ok ? [] : outcome.diagnostics.map((each) => `${each.line}:${each.column}: ${each.message}`);
    expect(found).toEqual([expected]);
  });
});
