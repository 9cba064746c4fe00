import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { messageBatchOf } from '../../../engine/storage/message-batch-builder.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { loadFiles } from '../../testing/job-folder.ts';
import { chooser, JointChain, type TopicMessage } from '../../testing/joint-chain.ts';
import { inputTopics } from '../cluster/job-topics.ts';
import { planStages } from './stages.ts';

const counts = { cards: 2, transfers: 3, limits: 2 } as const;
type Input = keyof typeof counts;

const fields = '{ id: string, at: timestamp, card: string, n: long }';
const eventTime = 'eventTime: { field: at, delay: 20s }';
const united = (behind: string): string => `job: job
app: app
sources:
  cards: { topic: cards, fields: ${fields}, key: id, ${eventTime} }
  transfers: { topic: transfers, fields: ${fields}, key: id, ${eventTime} }
union: [cards, transfers]
${behind}
deadLetters: { topic: bad }
sinks: [{ topic: out }]
`;
const enriched = (behind: string): string => `job: job
app: app
source: { topic: cards, fields: ${fields}, key: id, ${eventTime} }
tables:
  limits: { topic: limits, fields: { card: string, at: timestamp, n: long }, key: card, eventTime: { field: at, delay: 0s } }
enrich: [{ table: limits, on: card }]
${behind}
deadLetters: { topic: bad }
sinks: [{ topic: out }]
`;
const joined = (behind: string): string =>
  united(behind).replace(
    'union: [cards, transfers]',
    'join: { left: cards, right: transfers, on: card, within: { before: 1s, after: 1s } }\nselect: { n: cards.n }',
  );
const pattern =
  'features: none\npattern: { key: card, first: n % 3 == 0, followedBy: n % 3 == 1, within: 1h, select: { first: first.n, next: n } }';
const sessions = 'features: none\nsessions: { key: card, gap: 1m }';
const texts = {
  pattern: united(pattern),
  sessions: united(sessions),
  'pattern behind look-ups': enriched(pattern),
  'sessions behind look-ups': enriched(sessions),
  'sessions, then windows': united(
    'features: none\nsessions: { key: card, gap: 1m }\nwindows: { key: [card, session_number], tumbling: 1h, aggregates: { n: { count: true } } }',
  ),
  'behind a join': joined(
    'features: none\nsessions: { key: card, gap: 1m }\npattern: { key: card, first: session_number == 1, followedBy: n > first.n, within: 1h, select: { first: first.n, next: n } }',
  ),
  'all windows': united('features: none\nwindows: { tumbling: 1h, aggregates: { n: { count: true } } }'),
} as const;
type JobName = keyof typeof texts;

const jobs = new Map<JobName, CheckedJob>();

beforeAll(async () => {
  for (const [name, text] of Object.entries(texts)) jobs.set(name as JobName, await jobOf(text));
});

async function jobOf(text: string): Promise<CheckedJob> {
  const outcome = await loadFiles({ 'jobs/job.yaml': text, 'features/item.yaml': byItem });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

const byItem = 'entity: item\nfeatures:\n  n_1h: { count: true, over: 1h }\n';

function jobNamed(name: JobName): CheckedJob {
  const job = jobs.get(name);
  if (job === undefined) throw new Error(name);
  return job;
}

interface Row {
  readonly topic: Input;
  readonly card: string;
  readonly at: number;
  readonly n: number;
}

const startMs = 1_700_000_000_000;
const gapMs = 60_000;
const withinMs = 3_600_000;

interface Window {
  readonly window_start: string;
  readonly n: number;
}

/** Records in the order in which they meet, none of them later than the delay. */
const randomRows = fc
  .array(
    fc.record({
      topic: fc.constantFrom('cards' as const, 'transfers' as const),
      card: fc.nat(3),
      stepMs: fc.constantFrom(0, 7_000, 50_000, 90_000),
      backMs: fc.constantFrom(0, 0, 5_000, 15_000),
    }),
    { minLength: 1, maxLength: 40, size: 'max' },
  )
  .map((drawn) => {
    let now = startMs;
    return drawn.map(({ topic, card, stepMs, backMs }, n): Row => {
      now += stepMs;
      return { topic, card: `k${card}`, at: now - backMs, n };
    });
  });

/** Behind all rows, from every partition of every input. */
const lastRows = (['cards', 'transfers'] as const).flatMap((topic) =>
  [6, 12].flatMap((hours) =>
    Array.from({ length: 60 }, (_, index): Row => {
      return { topic, card: `e${index}`, at: startMs + hours * 3_600_000, n: 100_000 + index };
    }),
  ),
);

function messageOf({ topic, card, at, n }: Row): TopicMessage {
  const value = JSON.stringify({ id: `${topic}${n}`, at, card, n });
  return { topic, message: { partition: n % counts[topic], key: `${topic}${n}`, value, timestampMs: at + 7 } };
}

/** Runs a job over records that come to its exchange one after the other. */
async function ran(name: JobName, rows: readonly Row[], seed: number): Promise<JointChain> {
  const chain = await JointChain.open(jobNamed(name), counts, []);
  const inputs = chain.tasks.filter(({ stage }) => stage < planStages(jobNamed(name)).length - 1);
  for (const row of rows) {
    const { topic, message } = messageOf(row);
    chain.log.append(messageBatchOf(topic, [message]));
    for (const { task } of inputs) if (task.lag > 0) await task.work(1);
  }
  await chain.drain(chooser(seed));
  expect(chain.texts('bad')).toEqual([]);
  return chain;
}

interface Matched {
  readonly card: string;
  readonly first: number;
  readonly next: number;
}

interface Answered {
  readonly card: string;
  readonly n: number;
  readonly session_number: number | null;
}

/** Each first record with the first later one that completes it. */
function matchesOf(rows: readonly Row[]): readonly string[] {
  return rows.flatMap((first, index) => {
    const next = rows.slice(index + 1).find(({ card, at, n }) => {
      return card === first.card && n % 3 === 1 && at >= first.at && at - first.at < withinMs;
    });
    return first.n % 3 !== 0 || next === undefined ? [] : [`${first.card} ${first.n} ${next.n}`];
  });
}

/** The session of each record: its number, or null where it is before the current one. */
function sessionsOf(rows: readonly Row[]): readonly string[] {
  const open = new Map<string, { number: number; startMs: number; newestMs: number }>();
  return rows.map(({ card, at, n }) => {
    const session = open.get(card) ?? { number: 0, startMs: -Infinity, newestMs: -Infinity };
    open.set(card, session);
    if (session.startMs - at >= gapMs) return `${card} ${n} null`;
    if (at - session.newestMs >= gapMs) {
      session.number++;
      session.startMs = at;
    }
    session.newestMs = Math.max(session.newestMs, at);
    return `${card} ${n} ${session.number}`;
  });
}

const isTest = ({ card }: { readonly card: string }): boolean => !card.startsWith('e');

describe('the stages of a job whose inputs go on as one stream', () => {
  it.each(['pattern', 'pattern behind look-ups'] as const)(
    'find the matches of a %s in the order in which records met, however their tasks take turns and die',
    async (name) => {
      const property = fc.asyncProperty(randomRows, fc.nat(), async (drawn, seed) => {
        const rows = name === 'pattern' ? drawn : drawn.filter(({ topic }) => topic === 'cards');
        const chain = await ran(name, rows, seed);
        const found = (chain.rows('out') as readonly Matched[]).map(
          ({ card, first, next }) => `${card} ${first} ${next}`,
        );
        expect(found.toSorted()).toEqual(matchesOf(rows).toSorted());
      });
      await fc.assert(property, { numRuns: 25 });
    },
  );

  it.each(['sessions', 'sessions behind look-ups'] as const)(
    'tell %s in the order in which records met, however their tasks take turns and die',
    async (name) => {
      const property = fc.asyncProperty(randomRows, fc.nat(), async (drawn, seed) => {
        const rows = name === 'sessions' ? drawn : drawn.filter(({ topic }) => topic === 'cards');
        const chain = await ran(name, rows, seed);
        const found = (chain.rows('out') as readonly Answered[]).map(
          ({ card, n, session_number: number }) => `${card} ${n} ${number}`,
        );
        expect(found.toSorted()).toEqual(sessionsOf(rows).toSorted());
      });
      await fc.assert(property, { numRuns: 25 });
    },
  );

  it('count records by session in windows, and all records together in one partition', async () => {
    const property = fc.asyncProperty(randomRows, fc.nat(), async (rows, seed) => {
      const bySession = await ran('sessions, then windows', [...rows, ...lastRows], seed);
      const windows = new Map<string, number>();
      const hours = new Map<string, number>();
      const hourOf = ({ at }: Row): string => new Date(Math.floor(at / 3_600_000) * 3_600_000).toISOString();
      sessionsOf(rows).forEach((session, index) => {
        const row = rows[index];
        if (row === undefined) return;
        hours.set(hourOf(row), (hours.get(hourOf(row)) ?? 0) + 1);
        const [card = '', , number = ''] = session.split(' ');
        const window = `${card} ${number} ${hourOf(row)}`;
        if (number !== 'null') windows.set(window, (windows.get(window) ?? 0) + 1);
      });
      const found = (bySession.rows('out') as readonly (Answered & Window)[]).filter(isTest);
      expect(
        Object.fromEntries(found.map((row) => [`${row.card} ${row.session_number} ${row.window_start}`, row.n])),
      ).toEqual(Object.fromEntries(windows));
      const all = await ran('all windows', [...rows, ...lastRows], seed);
      const counted = (all.rows('out') as readonly Window[]).filter((row) => hours.has(row.window_start));
      expect(Object.fromEntries(counted.map((row) => [row.window_start, row.n]))).toEqual(Object.fromEntries(hours));
      expect(counted).toHaveLength(hours.size);
    });
    await fc.assert(property, { numRuns: 20 });
  });

  it('tell sessions, and find patterns, of what comes out of a join', async () => {
    const pair = (n: number, card: string, at: number): readonly Row[] => [
      { topic: 'cards', card, at: startMs + at, n },
      { topic: 'transfers', card, at: startMs + at, n },
    ];
    const rows = [...pair(1, 'k0', 0), ...pair(2, 'k1', 1_000), ...pair(3, 'k0', 90_000), ...pair(4, 'k0', 95_000)];
    for (const seed of [1, 2, 3, 4, 5]) {
      const chain = await ran('behind a join', [...rows, ...lastRows], seed);
      const found = (chain.rows('out') as readonly Matched[]).filter(isTest);
      expect(found).toMatchObject([{ card: 'k0', first: 1, next: 3 }]);
    }
  });

  it('are refused with what they are keyed by, where no field is in all keys', async () => {
    const job = await jobOf(
      united(
        'features: none\nsessions: { key: card, gap: 1m }\npattern: { key: id, first: n > 1, followedBy: n > 2, within: 1m, select: { m: n } }',
      ),
    );
    expect(() => inputTopics(job)).toThrow('(pattern by id, sessions by card). Run it with --profile local');
    const items = await jobOf(united('flatMap: { from: card, as: item, separator: "," }\nfeatures: [item]'));
    expect(() => inputTopics(items)).toThrow('it keys records by item, which is taken out of a list');
  });
});
