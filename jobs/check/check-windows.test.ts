import { describe, expect, it } from 'vitest';
import { addData, advanceWatermark, checkAnswer, forEveryCrashPoint, testQuery } from '../../engine/testing/index.ts';
import { explainJob } from '../explain/explain.ts';
import { jobUnderTest } from '../test-files/job-under-test.ts';
import { loadFiles } from '../testing/job-folder.ts';

const sound = `job: spend
source:
  topic: payments
  fields: { at: timestamp, card: string, terminal: string, amount: double? }
  key: card
  eventTime: { field: at, delay: 10s }
features: none
windows:
  key: [card]
  hopping: { size: 10m, every: 5m }
  where: amount > 0
  aggregates:
    n: { count: true }
    total: { sum: amount * 2, where: amount > 1 }
    p95: { quantile: amount, q: 0.95 }
    top: { topK: terminal, k: 3 }
    bins: { histogram: amount, boundaries: [1, 10] }
  having: total > 5
outputMode: append
late: { policy: route, allowedLateness: 5s }
sinks:
  - topic: spend
`;

const load = (text: string): ReturnType<typeof loadFiles> => loadFiles({ 'jobs/job.yaml': text });

async function problems(from: string, to: string): Promise<string[]> {
  if (!sound.includes(from)) throw new RangeError(`no "${from}" to change`);
  const outcome = await load(sound.replace(from, () => to));
  if (outcome.ok) return [];
  return outcome.diagnostics.map(({ line, message, expected }) => `${line}: ${message}; ${expected ?? ''}`);
}

const digestOf = async (text: string): Promise<string> => {
  const outcome = await load(text);
  return outcome.ok ? outcome.job.digest : 'refused';
};

describe('windows in a job file', () => {
  it('become a definition, with arguments that are expressions derived before it', async () => {
    const outcome = await load(sound);
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    const { windows, late, outputMode } = outcome.job;
    expect(windows?.definition).toMatchObject({
      operatorId: 'windows',
      key: ['card'],
      window: { kind: 'hopping', sizeMs: 600_000, everyMs: 300_000, startMs: 0 },
      where: '(amount > 0)',
      lateness: 'wait',
      closedBy: 'partition',
      delayMs: 10_000,
    });
    expect(windows?.definition.aggregates.map(({ input, where }) => [input, where])).toContainEqual([
      '(amount * 2)',
      '(amount > 1)',
    ]);
    expect(late).toEqual({ policy: 'route', allowedLatenessMs: 5_000, topic: 'spend-late' });
    expect(outputMode).toBe('append');
    expect(explainJob(outcome.job, 'mermaid')).toContain('hopping, 10m every 5m');
    expect(explainJob(outcome.job, 'text')).toContain('bounded: 24 bytes; reversible; exact');
  });

  it('may be of all records together, and know which of them come first by a number', async () => {
    const text = sound
      .replace('  key: [card]\n', '')
      .replace(
        '    bins:',
        '    payer: { argMax: card, by: amount * 2, where: amount > 1 }\n    least: { argMin: at, by: amount }\n    best: { top: [card, amount], by: amount, n: 2 }\n    bins:',
      );
    const outcome = await load(text);
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    const { windows } = outcome.job;
    expect(windows?.definition).toMatchObject({ key: [], closedBy: 'query' });
    expect(windows?.definition.aggregates.slice(4, 7)).toMatchObject([
      { spec: { function: 'argMax' }, input: '(amount * 2)', carried: ['card'], where: '(amount > 1)' },
      { spec: { function: 'argMin' }, input: 'amount', carried: ['at'] },
      { spec: { function: 'top', n: 2, order: 'descending' }, input: 'amount', carried: ['card', 'amount'] },
    ]);
    expect(windows?.outputSchema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual(
      expect.arrayContaining(['payer string', 'least timestamp', 'best string']) as string[],
    );
    const explained = explainJob(outcome.job, 'text');
    expect(explained).toContain('hopping, 10m every 5m, of all records');
    expect(explained).toMatch(/best +=.* top of card, amount by amount +bounded: for each of at most 2 records/);
    expect(await digestOf(text)).not.toBe(await digestOf(text.replace('argMax: card', 'argMax: terminal')));
    const rows = [1, 5, 3].map((amount, n) => ({ at: n, card: `c${n}`, terminal: 't', amount }));
    await using job = await jobUnderTest(outcome.job, { modelsDirectory: '', partitions: 2 });
    await testQuery(job, [
      addData(rows),
      advanceWatermark(700_000),
      checkAnswer([
        {
          window_start: '1969-12-31T23:55:00.000Z',
          n: 3,
          payer: 'c1',
          least: '1970-01-01T00:00:00.000Z',
          best: [
            { card: 'c1', amount: 5 },
            { card: 'c2', amount: 3 },
          ],
        },
        { window_start: '1970-01-01T00:00:00.000Z', n: 3 },
      ]),
    ]);
    await forEveryCrashPoint(job, [...rows, { at: 700_000, card: 'c', terminal: 't', amount: 1 }]);
  });

  it('are closed by the least watermark of all partitions where the key is not the topic’s, or the table is complete', async () => {
    for (const text of [
      sound.replace('key: [card]', 'key: terminal'),
      sound.replace('outputMode: append', 'outputMode: complete'),
    ]) {
      const outcome = await load(text);
      expect(outcome.ok && outcome.job.windows?.definition.closedBy).toBe('query');
    }
  });

  it('are part of the job’s digest by what they mean', async () => {
    const digest = await digestOf(sound);
    expect(await digestOf(sound.replace('amount * 2', 'amount  *  2'))).toBe(digest);
    expect(await digestOf(sound.replace('q: 0.95', 'q: 0.9'))).not.toBe(digest);
    expect(await digestOf(sound.replace('every: 5m', 'every: 2m'))).not.toBe(digest);
    expect(await digestOf(sound.replace('total > 5', 'total > 6'))).not.toBe(digest);
  });

  it.each([
    ['{ topK: terminal, k: 3 }', '{ argMax: terminal }', '16: "argMax" needs "by"; by: amount'],
    [
      '{ topK: terminal, k: 3 }',
      '{ argMax: amount, by: terminal }',
      '16: what "argMax" ranks by cannot be a string; a double or long or boolean or timestamp',
    ],
    [
      '{ topK: terminal, k: 3 }',
      '{ top: [amount, amount], by: amount, n: 2 }',
      '16: "amount" is here twice; one of at, card, terminal, amount',
    ],
    [
      '{ topK: terminal, k: 3 }',
      '{ top: [amount * 2], by: amount, n: 2 }',
      '16: "amount * 2" is no field, which an object could have; one of at, card, terminal, amount',
    ],
    ['{ topK: terminal, k: 3 }', '{ topK: terminal, k: 3, by: amount }', '16: "by" means nothing to "topK"; '],
    ['hopping: { size: 10m, every: 5m }', 'id: w', 'nothing says which windows there are'],
    ['hopping: { size: 10m, every: 5m }', 'tumbling: 1m\n  count: 5', 'one key says which windows there are'],
    ['every: 5m', 'every: 20m', 'windows that start less often than they are long leave records in none; at most 10m'],
    ['every: 5m', 'every: 1ms', 'a record would be in more than 1000 windows'],
    ['key: [card]', 'key: [cart]', 'the record has no field "cart"; one of card, terminal'],
    ['key: [card]', 'key: amount', '"amount" is a double, which is no key'],
    ['where: amount > 0', 'where: amount', 'the condition is a double; a comparison'],
    ['n: { count: true }', 'card: { count: true }', 'a result already has a field "card"'],
    ['n: { count: true }', 'n: { where: amount > 1 }', 'the aggregate says nothing to compute'],
    [
      'n: { count: true }',
      'n: { count: true, sum: amount }',
      'an aggregate computes one thing; this one has count and sum',
    ],
    ['{ quantile: amount, q: 0.95 }', '{ quantile: amount }', '"quantile" needs "q"; q: 0.95'],
    ['{ quantile: amount, q: 0.95 }', '{ sum: amount, q: 0.5 }', '"q" means nothing to "sum"'],
    ['{ quantile: amount, q: 0.95 }', '{ sum: terminal }', '"sum" cannot take a string'],
    ['boundaries: [1, 10]', 'boundaries: [10, 1]', 'the boundaries do not ascend'],
    ['having: total > 5', 'having: totl > 5', 'totl'],
    ['features: none', 'features: [card]', 'a job has features, which answer each record, or windows'],
    ['policy: route', 'policy: answer', 'one of route, update, drop'],
    ['policy: route, allowedLateness: 5s', 'policy: update', 'and "allowedLateness" keeps none'],
    ['policy: route', 'policy: drop, topic: x', 'no record is sent there'],
    ['policy: route', 'policy: route, topic: payments', 'the topic "payments" is already read by this job'],
  ])('are refused in words: %s as %s', async (from, to, message) => {
    expect((await problems(from, to)).join('\n')).toContain(message);
  });

  it('are refused in output modes that Spark refuses too', async () => {
    const session = sound.replace('hopping: { size: 10m, every: 5m }', 'session: { gap: 5m }');
    const outcome = await load(session.replace('outputMode: append', 'outputMode: update'));
    expect(outcome.ok ? [] : outcome.diagnostics.map(({ line, expected }) => [line, expected])).toEqual([
      [19, 'append, or complete'],
    ]);
    expect((await load(session.replace('outputMode: append', 'outputMode: complete'))).ok).toBe(true);
  });

  it('leave jobs that answer each record without a complete mode', async () => {
    const features = sound.replace(/windows:[^]*outputMode: append\nlate:.*\n/, 'outputMode: complete\n');
    const outcome = await load(features);
    expect(outcome.ok ? [] : outcome.diagnostics.map(({ message }) => message)).toEqual([
      'complete publishes a whole table of results, and a job that answers each record has none',
    ]);
  });

  it('may be read by time, with a limit', async () => {
    const outcome = await load(`${sound}trigger: { processingTime: 10s }\nmaxOffsetsPerTrigger: 500\n`);
    expect(outcome.ok && outcome.job.trigger).toEqual({
      kind: 'processingTime',
      everyMs: 10_000,
      maxOffsetsPerTrigger: 500,
    });
    expect(outcome.ok && explainJob(outcome.job, 'text')).toContain(
      'read every 10s, at most 500 at once, split by lag',
    );
    const once = await load(`${sound}trigger: once\nmaxOffsetsPerTrigger: 500\n`);
    expect(once.ok && once.job.trigger).toEqual({ kind: 'once', everyMs: 0, maxOffsetsPerTrigger: null });
  });
});
