import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rebuildState } from '../../jobs/state/rebuild-state.ts';
import { verifyState } from '../../jobs/state/verify-state.ts';
import { arbitraryPayments } from './payments-arbitrary.ts';
import { files, StateUnderTest } from './state-under-test.ts';

const base = files['job.yaml'].replace('[./card.yaml, ./terminal.yaml]', 'none');
const aggregates = 'aggregates: { count: { count: true }, total: { sum: amount }, all: { collect: terminal } }';
const joined = `job: payments
sources:
  payments:
    topic: payments
    fields: { id: string, at: timestamp, card: string, amount: double? }
    key: card
    eventTime: { field: at, delay: 10s }
  others:
    topic: payments
    fields: { id: string, at: timestamp, card: string, terminal: string }
    key: card
    eventTime: { field: at, delay: 10s }
join: { left: payments, right: others, on: { left: card, right: card }, within: { before: 5m, after: 5m }, kind: left }
features: none
sinks:
  - { topic: answers, partitions: 1 }
deadLetters: { topic: dead }
state: { flushEvery: 0s }
`;

/** Jobs with an operator of every kind that keeps state, beside those of features. */
const jobs: readonly (readonly [what: string, kind: string, text: string])[] = [
  ['tumbling windows', 'window', `${base}windows: { key: card, tumbling: 10m, ${aggregates} }\n`],
  [
    'hopping windows',
    'window',
    `${base}windows: { key: terminal, hopping: { size: 10m, every: 5m }, ${aggregates} }\n`,
  ],
  ['session windows', 'window', `${base}windows: { key: card, session: { gap: 7m }, ${aggregates} }\n`],
  ['count windows', 'window', `${base}windows: { key: card, count: 3, ${aggregates} }\n`],
  ['sessions', 'sessions', `${base}sessions: { key: card, gap: 5m, forget: 1h }\n`],
  [
    'a pattern',
    'pattern',
    `${base}pattern: { key: card, first: amount < 10, followedBy: amount > first.amount, within: 20m, select: { low: first.amount, high: amount } }\n`,
  ],
  ['a join', 'join', joined],
  ['amendments', 'amendments', `${files['job.yaml']}amendments: { topic: corrections, tolerance: 5%, within: 30m }\n`],
];

describe('the state of an operator', () => {
  it.each(jobs)('reads as rows, is what the log says, and is rebuilt: %s', async (_what, kind, text) => {
    let seen = 0;
    await fc.assert(
      fc.asyncProperty(arbitraryPayments(40), fc.integer({ min: 1, max: 39 }), async (payments, cut) => {
        await using test = await StateUnderTest.open(2);
        const job = await test.job({ 'job.yaml': text });
        await test.add(payments.slice(0, cut));
        await test.run(job, 5);
        await test.add(payments.slice(cut));
        await test.run(job, 7);
        if (payments.length === 0) return;
        expect((await verifyState(job, test.storage, test.directory, 1)).drifts).toEqual([]);
        const before = await test.rows(job);
        seen += before.filter((row) => row.kind === kind && row.key !== null).length;
        await rebuildState(job, test.storage, test.directory);
        expect(await test.rows(job)).toEqual(before);
      }),
      { numRuns: 20 },
    );
    expect(seen).toBeGreaterThan(0);
  });
});
