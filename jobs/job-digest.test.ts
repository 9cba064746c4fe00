import { describe, expect, it } from 'vitest';
import { jobOf, type Change } from './testing/job-folder.ts';

const job = 'jobs/job.yaml';
const card = 'features/card.yaml';

const formatting: readonly (readonly [string, readonly Change[]])[] = [
  ['comments and blank lines', [[job, 'source:', '\n# payments of the shop\nsource:']]],
  ['the order of keys', [[job, 'eventTime: { field: at, delay: 10s }', 'eventTime: { delay: 10s, field: at }']]],
  ['how a duration is written', [[job, 'within: 1h', 'within: 60m']]],
  ['what is written out that would be so anyway', [[job, 'delay: 10s', 'delay: 10s, maxFutureSkew: 5m']]],
  ['the order of feature files', [[job, '[card, terminal]', '[terminal, card]']]],
  ['how an expression is spaced', [[card, 'amount / avg_7d', '(amount)/avg_7d']]],
  ['docs in the schema', [['schemas/payment.avsc', '"name":"id",', '"name":"id","doc":"unique",']]],
];

const elsewhere: readonly (readonly [string, readonly Change[]])[] = [
  ['sinks', [[job, '- clickhouse: scores', '- clickhouse: other']]],
  ['where dead letters go', [[job, '{ topic: bad }', 'fail']]],
  ['how often state is flushed', [[job, 'flushEvery: 5s', 'flushEvery: 0s']]],
  ['when a partition is idle', [[job, 'delay: 10s', 'delay: 10s, idleTimeout: 1h']]],
  ['what an idle partition does', [[job, 'delay: 10s', 'delay: 10s, advanceOnIdle: true']]],
  ['how far ahead a partition is read', [[job, 'delay: 10s', 'delay: 10s, maxDrift: 1h']]],
  ['the model, which every prediction names', [[job, 'fraud@champion, threshold: 0.5', 'fraud@3']]],
  ['the description', [[job, 'Scores payments.', 'Scores them.']]],
];

const meaning: readonly (readonly [string, readonly Change[]])[] = [
  ['the topic', [[job, 'topic: payments', 'topic: transfers']]],
  ['the kind of source', [[job, 'topic: payments', 'jsonl: payments']]],
  ['the simulator', [[job, 'topic: payments', 'simulator: { world: stream, seed: 1 }']]],
  ['the key', [[job, 'key: card', 'key: terminal']]],
  ['how far behind the watermark is', [[job, 'delay: 10s', 'delay: 11s']]],
  ['the future guard', [[job, 'delay: 10s', 'delay: 10s, maxFutureSkew: 1m']]],
  ['what repeats a record', [[job, 'within: 1h', 'within: 2h']]],
  ['that nothing repeats one', [[job, '  duplicates: { by: id, within: 1h }\n', '']]],
  ['the allowed lateness', [[job, 'allowedLateness: 1m', 'allowedLateness: 2m']]],
  ["a field's type", [['schemas/payment.avsc', '"amount","type":"double"', '"amount","type":"long"']]],
  ['whether a field may be absent', [['schemas/payment.avsc', '["null","boolean"]', '"boolean"']]],
  ['a window', [[card, 'avg: amount, over: 30d', 'avg: amount, over: 28d']]],
  ['what stands for null', [[card, 'default: 1', 'default: 2']]],
  ['a feature less', [[card, '  places_30d: { distinct: terminal, over: 30d }\n', '']]],
];

describe('the digest of a job', () => {
  it.each(formatting)('is not changed by %s', async (_, changes) => {
    expect((await jobOf(...changes)).digest).toBe((await jobOf()).digest);
  });

  it.each(elsewhere)('says nothing of %s', async (_, changes) => {
    expect((await jobOf(...changes)).digest).toBe((await jobOf()).digest);
  });

  it.each(meaning)('is changed by %s', async (_, changes) => {
    expect((await jobOf(...changes)).digest).not.toBe((await jobOf()).digest);
  });

  it('is different for each of these changes', async () => {
    const digests = await Promise.all(meaning.map(async ([, changes]) => (await jobOf(...changes)).digest));
    expect(new Set(digests).size).toBe(meaning.length);
  });
});
