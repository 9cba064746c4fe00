import { describe, expect, it } from 'vitest';
import {
  addData,
  checkAnswer,
  checkDeadLetters,
  checkLedger,
  forEveryCrashPoint,
  testQuery,
} from '../../engine/testing/index.ts';
import type { CheckedJob } from '../checked-job.ts';
import { explainJob } from '../explain/explain.ts';
import { jobUnderTest } from '../test-files/job-under-test.ts';
import { loadFiles } from '../testing/job-folder.ts';

const sound = `job: items
source:
  topic: orders
  fields: { order: string, at: timestamp, items: string?, total: double }
  key: order
  eventTime: { field: at, delay: 10s }
where: total > 0
flatMap: { from: items, as: item }
features: [item]
sinks:
  - topic: items
`;
const files = { 'features/item.yaml': 'entity: item\nfeatures:\n  sold_1h: { count: true, over: 1h }\n' };

async function jobOf(text: string): Promise<CheckedJob> {
  const outcome = await loadFiles({ 'jobs/job.yaml': text, ...files });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

async function problems(from: string, to: string): Promise<string> {
  if (!sound.includes(from)) throw new RangeError(`no "${from}" to change`);
  const outcome = await loadFiles({ 'jobs/job.yaml': sound.replace(from, () => to), ...files });
  if (outcome.ok) return '';
  return outcome.diagnostics.map(({ line, message, expected }) => `${line}: ${message}; ${expected ?? ''}`).join('\n');
}

const order = (id: string, minute: number, items: string | null, total = 1): Record<string, unknown> => {
  return { order: id, at: Date.UTC(2026, 10, 22, 12, minute), items, total };
};

describe('what a job does with its records first', () => {
  const rows = [
    order('o1', 0, '["pen","ink"]'),
    order('o2', 1, '["pen"]', 0),
    order('o3', 2, null),
    order('o4', 3, 'pen, ink'),
    order('o5', 4, '["pen",7,{"a":1},"pen"]'),
  ];

  it('keeps those that a condition is true of, and makes a record of each item of a list, for the features to see', async () => {
    await using job = await jobUnderTest(await jobOf(sound), { modelsDirectory: 'models' });
    await testQuery(job, [
      addData(rows),
      checkAnswer([
        { order: 'o1', item: 'pen', 'features.sold_1h': 0 },
        { order: 'o1', item: 'ink', 'features.sold_1h': 0 },
        { order: 'o5', item: 'pen', 'features.sold_1h': 1 },
        { order: 'o5', item: '7', 'features.sold_1h': 0 },
        { order: 'o5', item: '{"a":1}', 'features.sold_1h': 0 },
        { order: 'o5', item: 'pen', 'features.sold_1h': 2 },
      ]),
      checkDeadLetters([{ topic: 'orders', stage: 'operator', code: 'LIST_MALFORMED', offset: 3 }]),
      checkLedger({ read: 5, scored: 3, filtered: 1, deadLettered: 1 }),
    ]);
    const { runs } = await forEveryCrashPoint(job, rows);
    expect(runs).toBeGreaterThan(20);
  });

  it('takes texts between separators, too', async () => {
    const text = sound.replace('as: item }', 'as: item, separator: "," }');
    await using job = await jobUnderTest(await jobOf(text), { modelsDirectory: 'models' });
    await testQuery(job, [addData([order('o4', 3, ' pen,, ink ,')]), checkAnswer([{ item: 'pen' }, { item: 'ink' }])]);
  });

  it('is shown by explain, and part of the digest', async () => {
    const job = await jobOf(sound);
    expect(explainJob(job, 'text')).toContain('filter  only records where total > 0');
    expect(explainJob(job, 'mermaid')).toContain('flatMap  a record for each item of items');
    expect((await jobOf(sound.replace('total > 0', 'total  >  0'))).digest).toBe(job.digest);
    expect((await jobOf(sound.replace('total > 0', 'total > 1'))).digest).not.toBe(job.digest);
    expect((await jobOf(sound.replace('as: item }', 'as: item, separator: ";" }'))).digest).not.toBe(job.digest);
  });

  it.each([
    ['where: total > 0', 'where: total', '7: the condition is a double'],
    ['from: items', 'from: itmes', '8: the record has no field "itmes"; one of order, items'],
    ['from: items', 'from: total', '8: "total" is a double, which holds no list'],
    ['as: item', 'as: order', '8: the record has a field "order" itself'],
    [
      'features: [item]',
      'features: none\nwindows: { key: item, tumbling: 1m, aggregates: { n: { count: true } } }',
      '"windows" cannot be behind "flatMap" in one job',
    ],
  ])('is refused where %s is %s', async (from, to, problem) => {
    expect(await problems(from, to)).toContain(problem);
  });
});
