import { Session } from 'chdb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { compileExpression } from '../../engine/expression/compile-expression.ts';
import { batchesOfSample, querySample, sampledRows, sampledSchema, sampleStreams } from '../testing/sampled-streams.ts';
import { expressionRules, pairSchema } from './expression-rules.ts';
import { functionRules } from './function-rules.ts';
import type { PatternRules } from './pattern-definition.ts';
import { PatternLogic } from './pattern-logic.ts';

/** Random streams for each pattern, all in one table, compared in one query. */
const streams = Number(process.env['SLUICE_STREAMS'] ?? 1_000);
const delayMs = 6;

interface Pattern {
  readonly name: string;
  readonly withinMs: number;
  readonly first: string;
  readonly followedBy: string;
  /** The same over `a` and `b`. */
  readonly sql: readonly [first: string, then: string];
}

const patterns: readonly Pattern[] = [
  {
    name: 'a small amount, then one many times as large',
    withinMs: 25,
    first: 'amount < 2',
    followedBy: 'amount > 3 * first.amount',
    sql: ['a.amount < 2', 'b.amount > 3 * a.amount'],
  },
  {
    name: 'the same place again, which every record may begin and complete',
    withinMs: 12,
    first: 'place != null',
    followedBy: 'place == first.place',
    sql: ['a.place IS NOT NULL', 'b.place = a.place'],
  },
  {
    name: 'a second condition that does not read the first record',
    withinMs: 40,
    first: "place == 'x'",
    followedBy: "amount > 5 && place != 'first.y'",
    sql: ["a.place = 'x'", "b.amount > 5 AND b.place != 'first.y'"],
  },
];

const select = { card: 'card', began: 'first.amount', ended: 'amount', from: 'first.place' };

function rulesOf({ first, followedBy }: Pattern): PatternRules {
  const pairs = pairSchema(sampledSchema);
  return expressionRules(
    {
      first: compileExpression(first, sampledSchema),
      followedBy: compileExpression(followedBy, pairs),
      select: Object.entries(select).map(([name, text]) => ({
        name,
        expression: compileExpression(text, pairs),
      })),
    },
    sampledSchema,
  );
}

describe('patterns against ClickHouse', () => {
  let session: Session;
  beforeAll(() => {
    session = new Session();
  });
  afterAll(() => {
    session.cleanup();
  });

  it.each(patterns)('give what a self-join gives over the log: $name', (pattern) => {
    const { withinMs, sql } = pattern;
    const sampled = sampleStreams(streams, withinMs);
    const definition = {
      operatorId: 'p',
      key: ['card'],
      withinMs,
      delayMs,
      closedBy: 'partition',
      errors: 'fail',
    } as const;
    const got = sampled.flatMap((items, stream) => {
      const logic = new PatternLogic(definition, rulesOf(pattern), { state: 'empty' }, new RejectedRecords('log'));
      const batches = batchesOfSample(items, delayMs, 1 + (stream % 7));
      return batches.flatMap((batch) => sampledRows(stream, logic.apply(batch)));
    });
    // For each A the first B: results stand in the order of the Bs, and of one B in that of the As.
    const wanted = querySample(
      session,
      sampled,
      delayMs,
      `SELECT stream, o, card, began, ended, from FROM (
         SELECT a.stream AS stream, a.o AS oa, min(b.o) AS o, assumeNotNull(any(a.card)) AS card,
           any(a.amount) AS began, argMin(tuple(b.amount), b.o).1 AS ended, any(a.place) AS from
         FROM log AS a INNER JOIN log AS b ON a.stream = b.stream AND a.card = b.card
         WHERE b.o > a.o AND b.t >= a.t AND b.t - a.t < ${withinMs} AND (b.w IS NULL OR b.w < a.t + ${withinMs})
           AND (${sql[0]}) AND (${sql[1]})
         GROUP BY a.stream, a.o)
       ORDER BY stream, o, oa`,
    );
    expect(got.length).toBeGreaterThan(streams / 4);
    expect(got).toEqual(wanted);
  });

  it('are the same as functions', () => {
    const [pattern] = patterns;
    const definition = {
      operatorId: 'p',
      key: ['card'],
      withinMs: 25,
      delayMs,
      closedBy: 'partition',
      errors: 'fail',
    } as const;
    const byFunctions = functionRules(
      {
        first: ({ amount }) => amount !== null && Number(amount) < 2,
        followedBy: ({ amount }, first) => amount !== null && Number(amount) > 3 * Number(first['amount']),
        select: ({ card, amount }, first) => ({
          card: card ?? null,
          began: first['amount'] ?? null,
          ended: amount ?? null,
          from: first['place'] ?? null,
        }),
      },
      'p',
      ['amount', 'place'],
      pattern === undefined ? [] : rulesOf(pattern).outputs,
      sampledSchema,
    );
    for (const items of sampleStreams(300, 7)) {
      const run = (rules: PatternRules): readonly unknown[] => {
        const logic = new PatternLogic(definition, rules, { state: 'empty' }, new RejectedRecords('log'));
        return batchesOfSample(items, delayMs, 5).flatMap((batch) => sampledRows(0, logic.apply(batch)));
      };
      expect(run(byFunctions)).toEqual(pattern === undefined ? [] : run(rulesOf(pattern)));
    }
  });
});
