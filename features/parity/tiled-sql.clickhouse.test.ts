import { Session } from 'chdb';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { PlanDocument } from '../../engine/plan/plan-document.ts';
import { COMPACTED } from '../../engine/record/record-batch.ts';
import { compileFeatures } from '../compile-features.ts';
import type { FeaturePlan } from '../feature-plan.ts';
import { answersBySql, answersOf, firstDifference, logTable, writeLog } from '../testing/clickhouse-log.ts';
import { randomStream, streamBatch, streamSchema } from '../testing/random-stream.ts';
import { runPlan } from '../testing/run-plan.ts';

const session = new Session();
const propertyTimeoutMs = 240_000;
afterAll(() => session.close());

function planOf(allowedLatenessMs: number, ...texts: string[]): FeaturePlan {
  const documents = texts.map((text, index) => new PlanDocument(`f${index}.yaml`, text));
  const context = { schema: streamSchema, eventTimeField: 'event_time', allowedLatenessMs };
  const { plan, diagnostics } = compileFeatures(documents, context);
  if (plan === null) throw new Error(JSON.stringify(diagnostics));
  return plan;
}

const everyFunction = `
entity: card
resolution: 10s
features:
  n_10s:        { count: true, over: 10s }
  n_1m:         { count: true, over: 1m, current: include }
  n_fraud:      { count: true, over: 2m, where: fraud }
  sum_1m:       { sum: amount, over: 1m }
  avg_30s:      { avg: amount, over: 30s }
  share:        { avg: fraud, over: 1m, delay: 20s }
  min_1m:       { min: amount, over: 1m, current: include }
  max_1m:       { max: amount * 2, over: 1m }
  dev_2m:       { stddev: amount, over: 2m, current: include }
  first_1m:     { first: amount, over: 1m }
  last_large:   { last: amount, over: 1m, where: amount > 100 }
  last_fraud:   { last: fraud, over: 1m, delay: 10s }
  since:        { sinceLast: true, over: 2m }
  since_large:  { sinceLast: true, over: 2m, where: "amount > 1000", delay: 5s }
`;
const otherResolutions = `
entity: card
features:
  n_7s:         { count: true, over: 100s, resolution: 7s }
  sum_1m_panes: { sum: amount, over: 3m, resolution: 1m, current: include }
  exact_1m:     { sum: amount, over: 3m, current: include }
  of_panes:     { max: n_7s, over: 1m, resolution: 30s }
`;
const otherEntity = `
entity: terminal
resolution: 30s
features:
  terminal_n:    { count: true, over: 1m, delay: 30s }
  terminal_risk: { avg: fraud, over: 90s, delay: 30s, default: 0 }
  terminal_mccs: { distinct: mcc, over: 1m, resolution: exact }
`;
const compacted = `
entity: card
compact: { above: 6, to: 10s }
features:
  n_15s:        { count: true, over: 15s }
  sum_1m:       { sum: amount, over: 1m, current: include }
  dev_2m:       { stddev: amount, over: 2m }
  share:        { avg: fraud, over: 1m, delay: 20s }
  last_1m:      { last: amount, over: 65s, compact: { above: 3, to: 30s } }
  mccs:         { distinct: mcc, over: 1m, resolution: exact }
`;

describe('the SQL of features in panes', () => {
  it(
    'gives in ClickHouse what the operators give, for random streams with disorder, ties, nulls and late rows',
    { timeout: propertyTimeoutMs },
    () => {
      fc.assert(
        fc.property(
          randomStream,
          fc.constantFrom(0, 3_000, 60_000),
          fc.constantFrom(0, 10_000),
          fc.constantFrom([everyFunction], [otherResolutions, otherEntity], [compacted]),
          (rows, watermarkDelayMs, allowedLatenessMs, files) => {
            const plan = planOf(allowedLatenessMs, ...files);
            const batch = streamBatch(rows, watermarkDelayMs);
            writeLog(session, batch);
            const sql = answersBySql(session, plan, logTable(watermarkDelayMs));
            expect(firstDifference(sql, answersOf(plan, runPlan(plan)(batch)))).toBeNull();
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  it('does so with compacted keys among them, and others, which the streams above must have', () => {
    const rows = fc.sample(randomStream, { numRuns: 20, seed: 7 });
    const flags = rows.flatMap((stream) => [...runPlan(planOf(0, compacted))(streamBatch(stream, 0)).flags]);
    const reached = flags.filter((flag) => (flag & COMPACTED) !== 0).length;
    expect(reached).toBeGreaterThan(100);
    expect(flags.length - reached).toBeGreaterThan(100);
  });
});
