import { describe, expect, it } from 'vitest';
import {
  addData,
  checkAnswer,
  checkLedger,
  checkNewAnswer,
  crash,
  forEveryCrashPoint,
  near,
  restart,
  testQuery,
} from '../../engine/testing/index.ts';
import type { CheckedJob } from '../checked-job.ts';
import { explainJob } from '../explain/explain.ts';
import { jobUnderTest } from '../test-files/job-under-test.ts';
import { loadFiles } from '../testing/job-folder.ts';

const sound = `job: payments
source:
  topic: payments
  fields: { id: string, at: timestamp, card: string, terminal: string?, amount: double }
  key: card
  eventTime: { field: at, delay: 1m }
features: [card, terminal]
amendments:
  topic: corrections
  tolerance: 5%
  within: 1d
sinks:
  - topic: answers
`;
const files = {
  'features/card.yaml': `entity: card
features:
  avg_1d: { avg: amount, over: 1d }
  ratio: { expr: amount / avg_1d }
  large_1d: { count: true, where: ratio > 2, over: 1d }
`,
  'features/terminal.yaml': 'entity: terminal\nfeatures:\n  seen_1h: { count: true, over: 1h }\n',
};

async function load(text: string): Promise<CheckedJob> {
  const outcome = await loadFiles({ 'jobs/job.yaml': text, ...files });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

async function problemsWith(features: Readonly<Record<string, string>>): Promise<string> {
  const outcome = await loadFiles({ 'jobs/job.yaml': sound, ...files, ...features });
  return outcome.ok ? '' : outcome.diagnostics.map(({ line, message }) => `${line}: ${message}`).join('\n');
}

async function problems(...changes: readonly (readonly [from: string, to: string])[]): Promise<string> {
  let text = sound;
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new RangeError(`no "${from}" to change`);
    text = text.replace(from, () => to);
  }
  const outcome = await loadFiles({ 'jobs/job.yaml': text, ...files });
  if (outcome.ok) return '';
  return outcome.diagnostics
    .map(({ line, column, message, expected, nearest }) => {
      return `${line}:${column}: ${message}; ${expected ?? ''}${nearest === null ? '' : `; ${nearest}?`}`;
    })
    .join('\n');
}

const pay = (id: string, minute: number, amount: number, terminal = 't1', card = 'c1'): Record<string, unknown> => {
  return { id, at: Date.UTC(2026, 10, 22, 12, minute), card, terminal, amount };
};

const corrections = { topic: 'corrections', order: 'as written' } as const;

describe('a job that amends its decisions', () => {
  it('tells the decisions anew that a late record changes, of all that it belongs to, with both times', async () => {
    await using job = await jobUnderTest(await load(sound), { modelsDirectory: 'models' });
    await testQuery(job, [
      addData([pay('p1', 0, 10), pay('p2', 10, 30), pay('p3', 20, 40, 't2')], {
        appendedAtMs: Date.UTC(2026, 10, 22, 12, 30),
      }),
      checkAnswer([
        { id: 'p1', 'features.avg_1d': null },
        { id: 'p2', 'features.avg_1d': 10, 'features.ratio': 3 },
        { id: 'p3', 'features.avg_1d': 20, 'features.ratio': 2, 'features.large_1d': 1 },
      ]),
      // Another card at the same terminal, and a payment of the card from before all others.
      addData([pay('q1', 5, 7, 't1', 'c2')], { appendedAtMs: Date.UTC(2026, 10, 22, 12, 31) }),
      checkNewAnswer(
        [
          {
            card: 'c1',
            terminal: 't1',
            event_time: '2026-11-22T12:10:00.000Z',
            decision_time: '2026-11-22T12:30:00.000Z',
            source_partition: 0,
            source_offset: 1,
            revision: 1,
            changed: ['seen_1h'],
            'cause.event_time': '2026-11-22T12:05:00.000Z',
            'cause.arrival_time': '2026-11-22T12:31:00.000Z',
            'cause.source_offset': 3,
            'before.seen_1h': 1,
            'after.seen_1h': 2,
            'after.avg_1d': 10,
          },
        ],
        corrections,
      ),
      addData([pay('p0', -60, 1_000)], { appendedAtMs: Date.UTC(2026, 10, 22, 12, 32) }),
      // With it p1 has an average, p2 is no more three times as much as usual, and so is not among what p3 counts.
      checkNewAnswer(
        [
          { 'before.avg_1d': null, 'after.avg_1d': 1_000, 'after.seen_1h': 0, changed: ['avg_1d', 'ratio'] },
          {
            'before.avg_1d': 10,
            'after.avg_1d': 505,
            'before.ratio': 3,
            'after.ratio': near(0.0594, 0.0001),
            revision: 2,
          },
          { 'before.large_1d': 1, 'after.large_1d': 0, source_offset: 2, changed: ['avg_1d', 'ratio', 'large_1d'] },
        ],
        corrections,
      ),
      checkLedger({ read: 5, scored: 4, late: 1 }),
    ]);
  });

  it('says nothing of what stays within the tolerance, and adds up what does until it is beyond', async () => {
    await using job = await jobUnderTest(await load(sound), { modelsDirectory: 'models' });
    const late = (id: string, minute: number): Record<string, unknown> => pay(id, minute, 104, 't9');
    await testQuery(job, [
      addData([pay('p1', 0, 100, 't1'), pay('p2', 30, 100, 't2')]),
      addData([late('l1', 10)]),
      // 100 to 102 is two in a hundred; the count of its terminal is not t2's.
      checkAnswer([], corrections),
      addData([pay('l2', 11, 120, 't9')]),
      checkAnswer([{ source_offset: 1, 'before.avg_1d': 100, 'after.avg_1d': 108, revision: 1 }], corrections),
    ]);
  });

  it('goes on with what it knew after a crash, and says nothing twice', async () => {
    await using job = await jobUnderTest(await load(sound), { modelsDirectory: 'models' });
    const rows = [
      pay('p1', 0, 10),
      pay('p3', 20, 40),
      pay('p2', 10, 90),
      pay('q1', 5, 7, 't1', 'c2'),
      pay('p0', -60, 500),
      pay('p4', 30, 20),
      pay('p5', 25, 900),
    ];
    await testQuery(job, [
      addData(rows.slice(0, 2)),
      crash(),
      restart(),
      addData(rows.slice(2, 3)),
      checkAnswer([{ source_offset: 1, 'before.avg_1d': 10, 'after.avg_1d': 50, revision: 1 }], corrections),
    ]);
    const { runs } = await forEveryCrashPoint(job, rows);
    expect(runs).toBeGreaterThan(20);
  });

  it('watches only the features that are named, each with its own tolerance', async () => {
    const text = sound.replace('tolerance: 5%', 'tolerance: { seen_1h: 1, ratio: 50% }');
    await using job = await jobUnderTest(await load(text), { modelsDirectory: 'models' });
    await testQuery(job, [
      addData([pay('p1', 0, 100), pay('p2', 30, 100)]),
      addData([pay('l1', 10, 120)]),
      // One more at the terminal is not more than one; a tenth less is not more than half.
      checkAnswer([], corrections),
      addData([pay('l2', 11, 100)]),
      checkAnswer([{ changed: ['seen_1h'], 'before.seen_1h': 1, 'after.seen_1h': 3 }], corrections),
    ]);
  });

  it('lets a decision go once the watermark is further past it than it watches', async () => {
    const text = sound.replace('within: 1d', 'within: 30m');
    await using job = await jobUnderTest(await load(text), { modelsDirectory: 'models' });
    await testQuery(job, [
      addData([pay('p1', 0, 100), pay('p2', 20, 100), pay('p3', 45, 100)]),
      // The watermark is at 44 minutes: p1 and whatever is before minute 14 are not watched any more, p2 and p3 are.
      addData([pay('p0', -5, 900)]),
      checkAnswer([{ source_offset: 1 }, { source_offset: 2 }], corrections),
    ]);
  });

  it('watches decisions of a key that holds as many records as it may only where all of their windows are kept', async () => {
    const text = sound.replace('within: 1d', 'within: 1d\n  maxRecordsPerKey: 3');
    await using job = await jobUnderTest(await load(text), { modelsDirectory: 'models' });
    const hour = 60;
    await testQuery(job, [
      // Windows over windows of a day: what is decided 2 days after the oldest of three is still told anew.
      addData([pay('p1', 0, 100, 't1'), pay('p2', 49 * hour, 100, 't2'), pay('p3', 50 * hour, 100, 't3')]),
      addData([pay('l1', 48.5 * hour, 300, 't9')]),
      // Of p1, p2, p3 and l1 the first has gone, and no window is known to be whole.
      checkAnswer([], corrections),
      // Another card has two.
      addData([pay('r1', 49 * hour, 100, 't7', 'c3'), pay('r2', 48.5 * hour, 300, 't8', 'c3')]),
      checkAnswer([{ card: 'c3', 'before.avg_1d': null, 'after.avg_1d': 300 }], corrections),
    ]);
    const others = await load(sound);
    expect((await load(text)).digest).not.toBe(others.digest);
    expect(explainJob(await load(text), 'text', null)).toContain(
      '  holds  the newest 3 records of each key; decisions of a key with as many are watched only while their windows are among those',
    );
  });

  it('is shown by explain, and part of the digest', async () => {
    const job = await load(sound);
    const text = explainJob(job, 'text', null);
    expect(text).toContain(
      [
        'amend   amendments',
        '  tells a decision anew, to the topic corrections, json, when a late record has moved any feature by more than 5%',
        '  watches decisions for 1d behind the least watermark of all partitions',
        '  needs --profile local: records of one entity come from several partitions',
        '  state  98 bytes + texts, for each record of the last 3d, all of it in memory',
      ].join('\n'),
    );
    expect(explainJob(job, 'mermaid', null)).toContain('amend to corrections');
    const other = await load(sound.replace('tolerance: 5%', 'tolerance: 6%'));
    expect(other.digest).not.toBe(job.digest);
    const elsewhere = await load(sound.replace('topic: corrections', 'topic: elsewhere'));
    expect(elsewhere.digest).toBe(job.digest);
  });
});

describe('the check of amendments', () => {
  it('points at what is wrong', async () => {
    expect(await problems(['tolerance: 5%', 'tolerance: 5 %'])).toBe(
      '10:14: "tolerance" is "5 %"; a share such as 5%, or a number, or a mapping',
    );
    expect(await problems(['tolerance: 5%', 'tolerance: -1'])).toContain('10:14: "tolerance" is -1');
    expect(await problems(['tolerance: 5%', 'tolerance: { ratoi: 5% }'])).toBe(
      '10:16: "ratoi" is no feature of this job; one of avg_1d, ratio, large_1d, seen_1h; ratio?',
    );
    expect(await problems(['tolerance: 5%', 'tolerance: {}'])).toContain('10:3: no feature is named');
    expect(await problems(['within: 1d', 'within: 0s'])).toContain('more than 0s');
    expect(await problems(['  within: 1d\n', ''])).toContain('8:1: "within" is missing');
    expect(await problems(['topic: corrections', 'topic: answers'])).toContain(
      'the topic "answers" is already written by this job',
    );
    expect(await problems(['topic: corrections', 'topic: payments'])).toContain('already read by this job');
    expect(await problems(['within: 1d', 'within: 1d\n  rescore: true'])).toBe(
      '12:3: this job has no model to score with; "score", or no "rescore"',
    );
    const scored = await load(
      `${sound}score: { model: fraud@champion }\n`.replace('within: 1d', 'within: 1d\n  rescore: true'),
    );
    expect(scored.amendments?.definition.carried).toEqual(['amount']);
    expect(explainJob(scored, 'text', null)).toContain('  scores the features that were told and those that are known');
    expect(await problems(['within: 1d', 'within: 1d\n  maxRecordsPerKey: 0'])).toContain('"maxRecordsPerKey" is 0');
    const across = 'entity: terminal\nfeatures:\n  large_1h: { count: true, where: ratio > 2, over: 1h }\n';
    const outcome = await loadFiles({
      ...files,
      'jobs/job.yaml': sound.replace('within: 1d', 'within: 1d\n  maxRecordsPerKey: 9'),
      'features/terminal.yaml': across,
    });
    expect(outcome.ok ? [] : outcome.diagnostics.map(({ line, message }) => [line, message])).toEqual([
      [
        12,
        '"large_1h" is over what windows of another key have answered, so a record that a key lets go would be missed by another',
      ],
    ]);
  });

  it('refuses jobs whose decisions no late record changes, or whose results are of another kind', async () => {
    expect(await problems(['features: [card, terminal]', 'features: none'])).toContain(
      '8:1: no record changes the features of another in this job',
    );
    expect(
      await problems([
        'features: [card, terminal]',
        'features: none\nwindows: { key: card, tumbling: 1m, aggregates: { n: { count: true } } }',
      ]),
    ).toContain('"windows" makes other results; no "amendments", or no "windows"');
    expect(await problems(['amendments:', 'sessions: { key: card, gap: 30m }\namendments:'])).toContain(
      '"sessions" makes other results',
    );
    const panes = 'entity: terminal\nresolution: 10m\nfeatures:\n  seen_1h: { count: true, over: 1h }\n';
    expect(await problemsWith({ 'features/terminal.yaml': panes })).toBe(
      '8: a feature in panes is not told by single records, so a late one cannot be put in its place',
    );
    expect(await problems(['  topic: payments\n', '  jsonl: payments.jsonl\n'])).toContain(
      'amendments need the times at which a log took its records',
    );
  });
});
