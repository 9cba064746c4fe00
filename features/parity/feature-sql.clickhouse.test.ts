import { Session } from 'chdb';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { MessageBatch } from '../../engine/record/message-batch.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import { usualColumns } from '../feature-sql.ts';
import { PlanDocument } from '../../engine/plan/plan-document.ts';
import { compileFeatures } from '../compile-features.ts';
import type { FeaturePlan } from '../feature-plan.ts';
import {
  answersBySql,
  answersOf,
  firstDifference,
  logTable,
  writeLog,
  type Answer,
} from '../testing/clickhouse-log.ts';
import { randomStream, streamBatch, streamSchema, type StreamRow } from '../testing/random-stream.ts';
import { runPlan } from '../testing/run-plan.ts';

const session = new Session();
/** For forty queries of dozens of window functions each, with other tests beside them: it took 83 s on a machine with much else to do. */
const propertyTimeoutMs = 240_000;
afterAll(() => session.close());

function planOf(allowedLatenessMs: number, ...texts: string[]): FeaturePlan {
  const documents = texts.map((text, index) => new PlanDocument(`f${index}.yaml`, text));
  const { plan, diagnostics } = compileFeatures(documents, {
    schema: streamSchema,
    eventTimeField: 'event_time',
    allowedLatenessMs,
  });
  if (plan === null) throw new Error(JSON.stringify(diagnostics));
  return plan;
}

/** What differs between SQL and the operators over the rows; `null` when nothing does. */
function difference(plan: FeaturePlan, rows: readonly StreamRow[], watermarkDelayMs: number): string | null {
  const batch = streamBatch(rows, watermarkDelayMs);
  writeLog(session, batch);
  return firstDifference(
    answersBySql(session, plan, logTable(watermarkDelayMs)),
    answersOf(plan, runPlan(plan)(batch)),
  );
}

/** The undecoded messages that a batch's records would have come from, all with one broker timestamp. */
function messagesAt({ rowCount, partitions, offsets }: RecordBatch, timestampMs: number): MessageBatch {
  const empty = { data: new Uint8Array(0), offsets: new Int32Array(rowCount + 1) };
  const timestampsMs = new Float64Array(rowCount).fill(timestampMs);
  return { topic: 't', messageCount: rowCount, partitions, offsets, timestampsMs, keys: empty, values: empty };
}

const everyFunction = `
entity: card
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
  first_mcc:    { first: mcc, over: 1m }
  last_mcc:     { last: mcc, over: 1m, where: amount > 100 }
  last_fraud:   { last: fraud, over: 1m, delay: 10s }
  terminals:    { distinct: terminal, over: 2m }
  mccs:         { distinct: mcc, over: 1m, current: include }
  since:        { sinceLast: true, over: 2m }
  since_large:  { sinceLast: true, over: 2m, where: "amount > 1000", delay: 5s }
  recent:       { lastN: amount, n: 3, over: 1m }
  recent_mcc:   { lastN: mcc, n: 2, over: 1m, current: include }
  decayed:      { decayedSum: amount, halfLife: 10s, over: 1m }
  decayed_late: { decayedSum: amount, halfLife: 30s, over: 1m, delay: 15s, where: "mcc != ''" }
`;
const chained = `
entity: card
features:
  avg_1m:       { avg: amount, over: 1m }
  ratio:        { expr: amount / avg_1m, default: 1 }
  large:        { count: true, where: ratio > 3, over: 2m }
  ratio_max:    { max: ratio, over: 1m, current: include }
  large_share:  { expr: "count_1m > 0 ? large / count_1m : null" }
  count_1m:     { count: true, over: 1m }
  of_shares:    { avg: large_share, over: 90s }
`;
const otherEntities = `
entity: [card, terminal]
features:
  pair_n:       { count: true, over: 5m }
  pair_since:   { sinceLast: true, over: 5m, current: exclude }
  pair_last:    { last: amount, over: 30s }
`;
const delayed = `
entity: terminal
features:
  terminal_n:   { count: true, over: 1m, delay: 30s, current: include }
  terminal_risk: { avg: fraud, over: 1m, delay: 30s, current: include, default: 0 }
  terminal_ratio: { avg: ratio, over: 30s }
`;
const ofRecord = `
features:
  hour:         { expr: hour(event_time) }
  odd:          { expr: "mcc in ['5411', 'é'] || amount < 0" }
`;

describe('the SQL of a feature plan', () => {
  it(
    'gives in ClickHouse what the operators give, for random streams with disorder, ties, nulls and late rows',
    { timeout: propertyTimeoutMs },
    () => {
      fc.assert(
        fc.property(
          randomStream,
          fc.constantFrom(0, 3_000, 60_000),
          fc.constantFrom(0, 10_000),
          fc.constantFrom([everyFunction], [everyFunction, chained, otherEntities, delayed, ofRecord]),
          (rows, watermarkDelayMs, allowedLatenessMs, files) => {
            const plan = planOf(allowedLatenessMs, ...files);
            expect(difference(plan, rows, watermarkDelayMs)).toBeNull();
          },
        ),
        { numRuns: 40 },
      );
    },
  );

  it('does so with late rows among them, which the streams above must have', () => {
    const rows = fc.sample(randomStream, { numRuns: 40, seed: 7 }).flat();
    const plan = planOf(0, 'entity: card\nfeatures: { n: { count: true, over: 10s } }\n');
    const flags = runPlan(plan)(streamBatch(rows, 0)).flags;
    expect(flags.filter((flag) => flag > 0).length).toBeGreaterThan(20);
  });

  it('lets no record from the future move the watermark', () => {
    const start = 1_522_540_800_000;
    const row = (timeMs: number): StreamRow => {
      return { partition: 0, timeMs, card: 'a', terminal: 1, amount: 1, fraud: null, mcc: null };
    };
    // The second record claims to be an hour ahead of the broker; without the guard the third would be late.
    const rows = [row(start), row(start + 3_600_000), row(start + 1_000), row(start + 2_000)];
    const batch = streamBatch(rows, 0);
    writeLog(session, batch);
    const timestamp = start + 5_000;
    const plan = planOf(0, 'entity: card\nfeatures: { past: { count: true, over: 1m } }\n');
    const table = `(SELECT *, ${timestamp} AS timestamp_ms FROM log)`;
    const guard = { timestampColumn: 'timestamp_ms', maxFutureSkewMs: 300_000 };
    const answer = (futureGuard: typeof guard | null): readonly Answer[] =>
      answersBySql(session, plan, { table, columns: usualColumns, watermarkDelayMs: 0, futureGuard });
    const messages = messagesAt(batch, timestamp);
    stampWatermarks(batch, messages, new PartitionWatermarks(), { delayMs: 0, maxFutureSkewMs: 300_000 });
    const guarded = answersOf(plan, runPlan(plan)(batch));
    expect(guarded.map(({ past }) => past)).toEqual([0, 0, 1, 2]);
    expect(firstDifference(answer(guard), guarded)).toBeNull();
    expect(answer(null).map(({ past }) => past)).toEqual([0, 0, 0, 0]);
  });

  it('reaches further back than ClickHouse counts milliseconds in a frame', () => {
    const dayMs = 86_400_000;
    const blank = { partition: 0, terminal: 1, amount: 1, fraud: false, mcc: null };
    const rows = [0, 1, 29, 30, 31, 61].map((day): StreamRow => ({ ...blank, card: 'a', timeMs: day * dayMs + 1 }));
    const plan = planOf(
      0,
      'entity: card\nfeatures: { n: { count: true, over: 30d }, d: { sum: amount, over: 90d, delay: 30d } }\n',
    );
    expect(difference(plan, rows, 0)).toBeNull();
  });

  it.each(['n', 'x', 'log', 'records', 'step_1', 'finite', 'choose', 'seq', 'not', 'interval', 'partition'])(
    'has room for a feature that is called %s',
    (name) => {
      const text = `entity: card\nfeatures:\n  ${name}: { sum: amount, over: 1m }\n  ratio: { expr: amount / ${name} }\n  more: { max: ${name}, where: ${name} > 1, over: 1m }\n`;
      const [rows] = fc.sample(randomStream, { numRuns: 1, seed: 11 });
      expect(difference(planOf(0, text), rows ?? [], 0)).toBeNull();
    },
  );

  it('manages tens of thousands of records', () => {
    const rows = Array.from({ length: 20_000 }, (_, index): StreamRow => {
      const random = (index * 7_919) % 1_000;
      return {
        partition: index % 2,
        timeMs: 1_522_540_800_000 + index * 500 - (index % 37 === 0 ? 90_000 : 0),
        card: `card ${random % 211}`,
        terminal: random % 401,
        amount: ((index * 104_729) % 50_000) / 100,
        fraud: random % 50 === 0,
        mcc: String(random % 7),
      };
    });
    const plan = planOf(10_000, everyFunction.replaceAll('m,', 'h,').replaceAll('m }', 'h }'), chained, delayed);
    expect(difference(plan, rows, 5_000)).toBeNull();
  });
});
