import { describe, expect, it } from 'vitest';
import { PlanDocument } from '../engine/plan/plan-document.ts';
import { Schema } from '../engine/record/schema.ts';
import { compileFeatures } from './compile-features.ts';
import { featureDigest } from './feature-digest.ts';
import type { FeaturePlan } from './feature-plan.ts';

const schema = new Schema([
  { name: 'id', type: 'string', presence: 'required' },
  { name: 'event_time', type: 'timestamp', presence: 'required' },
  { name: 'card_id', type: 'string', presence: 'required' },
  { name: 'terminal_id', type: 'long', presence: 'required' },
  { name: 'amount', type: 'double', presence: 'required' },
  { name: 'fraud', type: 'boolean', presence: 'optional' },
]);
const context = { schema, eventTimeField: 'event_time', allowedLatenessMs: 60_000 };

const card = `
entity: card_id
features:
  rolling_avg_7d: { avg: amount, over: 7d }
  txn_count_1h: { count: true, over: 1h, current: include }
  seconds_since_last: { sinceLast: event_time, over: 90d }
  distinct_terminals_30d: { distinct: terminal_id, over: 30d }
  large_count_14d: { count: true, where: "amount_to_avg_ratio > 3", over: 14d }
  amount_to_avg_ratio: { expr: amount / rolling_avg_7d, default: 1 }
  last_amounts: { lastN: amount, n: 3, over: 30d }
  decayed: { decayedSum: amount * 2, halfLife: 1d, over: 30d }
`;
const terminal = `
entity: [terminal_id]
features:
  risk_7d: { avg: fraud, over: 7d, delay: 7d, current: include, default: 0 }
`;

function outcome(...texts: string[]): ReturnType<typeof compileFeatures> {
  return compileFeatures(
    texts.map((text, index) => new PlanDocument(`f${index}.yaml`, text)),
    context,
  );
}

function planOf(...texts: string[]): FeaturePlan {
  const { plan, diagnostics } = outcome(...texts);
  expect(diagnostics).toBeNull();
  if (plan === null) throw new Error('no plan');
  return plan;
}

function problems(...texts: string[]): [string, number, number, string][] {
  return (outcome(...texts).diagnostics ?? []).map(({ file, line, column, message }) => [file, line, column, message]);
}

function messages(text: string): string[] {
  return problems(`entity: card_id\nfeatures:\n  ${text}\n`).map(([, , , message]) => message);
}

describe('a feature plan', () => {
  const plan = planOf(card, terminal);

  it('runs one operator for each entity, and a second level where a window reads what another gave', () => {
    const steps = plan.steps.map((step) =>
      step.kind === 'derive'
        ? `derive ${step.columns.map(({ name }) => name).join(', ')}`
        : `${step.definition.operatorId}: ${step.definition.aggregates.map(({ name }) => name).join(', ')}`,
    );
    expect(steps).toEqual([
      'derive (amount * 2)',
      'card_id/0: decayed, distinct_terminals_30d, last_amounts, rolling_avg_7d, seconds_since_last, txn_count_1h',
      'terminal_id/0: risk_7d',
      'derive amount_to_avg_ratio, (amount_to_avg_ratio > 3)',
      'card_id/1: large_count_14d',
    ]);
  });

  it('gives columns in the order of their declaration, with types and defaults', () => {
    expect(plan.columns.map(({ name, type, default: missing }) => `${name} ${type} ${missing}`)).toEqual([
      'rolling_avg_7d double null',
      'txn_count_1h long null',
      'seconds_since_last double null',
      'distinct_terminals_30d long null',
      'large_count_14d long null',
      'amount_to_avg_ratio double 1',
      'last_amounts_1 double null',
      'last_amounts_2 double null',
      'last_amounts_3 double null',
      'decayed double null',
      'risk_7d double 0',
    ]);
    for (const { name } of plan.columns) expect(plan.outputSchema.indexOf(name)).toBeGreaterThan(0);
  });

  it('holds what the rolling operator is to do', () => {
    const [, , step] = plan.steps;
    expect(step?.kind === 'rolling' ? step.definition : null).toEqual({
      operatorId: 'terminal_id/0',
      key: ['terminal_id'],
      allowedLatenessMs: 60_000,
      aggregates: [
        {
          name: 'risk_7d',
          function: 'avg',
          input: 'fraud',
          where: null,
          overMs: 604_800_000,
          delayMs: 604_800_000,
          current: 'include',
          n: null,
          halfLifeMs: null,
        },
      ],
    });
  });

  it('is frozen', () => {
    expect(Object.isFrozen(plan)).toBe(true);
    expect(plan.steps.every((step) => Object.isFrozen(step))).toBe(true);
    expect(plan.features.every((feature) => Object.isFrozen(feature))).toBe(true);
  });

  it('chains through any number of levels, over several files', () => {
    const deep = planOf(
      'entity: card_id\nfeatures:\n  c: { sum: b, over: 1d }\n  e: { expr: d + 1 }\n',
      'entity: terminal_id\nfeatures:\n  a: { sum: amount, over: 1d }\n  d: { max: c, over: 1d }\n',
      'features:\n  b: { expr: a * 2 }\n',
    );
    const ids = deep.steps.map((step) =>
      step.kind === 'rolling' ? step.definition.operatorId : step.columns[0]?.name,
    );
    expect(ids).toEqual(['terminal_id/0', 'b', 'card_id/1', 'terminal_id/2', 'e']);
    expect(deep.columns.map(({ name }) => name)).toEqual(['c', 'e', 'a', 'd', 'b']);
  });

  it('derives an argument that two features share once', () => {
    const shared = planOf(
      'entity: card_id\nfeatures:\n  a: { sum: amount*2, over: 1d }\n  b: { max: "(amount * 2)", over: 7d }\n',
    );
    expect(shared.steps.map((step) => (step.kind === 'derive' ? step.columns.length : step.kind))).toEqual([
      1,
      'rolling',
    ]);
  });

  it('may hold features of the record alone, without an entity', () => {
    const alone = planOf('features:\n  hour: { expr: hour(event_time) }\n');
    expect(alone.steps).toHaveLength(1);
    expect(alone.columns).toEqual([{ name: 'hour', type: 'long', default: null }]);
  });
});

describe('features in panes', () => {
  const inPanes = `
entity: terminal_id
resolution: 1h
features:
  n_30d: { count: true, over: 30d }
  n_7d: { count: true, over: 7d, resolution: 10m }
  ids_1d: { distinct: card_id, over: 1d, resolution: exact }
  avg_30d: { avg: amount, over: 30d, resolution: 60m }
`;

  it('have an operator of their own for each resolution', () => {
    const operators = planOf(inPanes).steps.flatMap((step) => (step.kind === 'rolling' ? [step.definition] : []));
    expect(operators.map(({ operatorId, panes, aggregates }) => [operatorId, panes, aggregates.length])).toEqual([
      ['terminal_id/0', undefined, 1],
      ['terminal_id/0@10m', { sizeMs: 600_000 }, 1],
      ['terminal_id/0@1h', { sizeMs: 3_600_000 }, 2],
    ]);
  });

  it('may be those of keys with too many records alone', () => {
    const text = `
entity: terminal_id
compact: { above: 5000, to: 1m }
features:
  n_30d: { count: true, over: 30d }
  n_7d: { count: true, over: 7d, resolution: 10m }
  ids_1d: { distinct: card_id, over: 1d, resolution: exact }
  sum_1d: { sum: amount, over: 1d, compact: { above: 100, to: 1h } }
`;
    const operators = planOf(text).steps.flatMap((step) => (step.kind === 'rolling' ? [step.definition] : []));
    expect(operators.map(({ operatorId, panes }) => [operatorId, panes])).toEqual([
      ['terminal_id/0', undefined],
      ['terminal_id/0@10m', { sizeMs: 600_000 }],
      ['terminal_id/0@1h-above-100', { sizeMs: 3_600_000, aboveRecords: 100 }],
      ['terminal_id/0@1m-above-5000', { sizeMs: 60_000, aboveRecords: 5_000 }],
    ]);
    expect(planOf(text.replace('above: 5000', 'above: 6000')).digest).not.toBe(planOf(text).digest);
  });

  it('are other numbers than the same features over each record', () => {
    const text = 'entity: card_id\nfeatures:\n  a: { sum: amount, over: 1d }\n';
    const exact = planOf(text).digest;
    expect(planOf(text.replace('1d }', '1d, resolution: exact }')).digest).toBe(exact);
    const hourly = planOf(text.replace('1d }', '1d, resolution: 1h }')).digest;
    expect(hourly).not.toBe(exact);
    expect(planOf(text.replace('features:', 'resolution: 60m\nfeatures:')).digest).toBe(hourly);
    expect(planOf(text.replace('1d }', '1d, resolution: 2h }')).digest).not.toBe(hourly);
  });

  it.each([
    [
      'a: { distinct: card_id, over: 7d, resolution: 1h }',
      '"distinct" needs each value, so panes of 1h cannot answer it',
    ],
    [
      'a: { lastN: amount, n: 3, over: 7d, resolution: 1h }',
      '"lastN" needs each of the newest records, so panes of 1h cannot answer it',
    ],
    [
      'a: { decayedSum: amount, halfLife: 1d, over: 7d, resolution: 1h }',
      '"decayedSum" needs the age of each record, so panes of 1h cannot answer it',
    ],
    [
      'a: { last: card_id, over: 7d, resolution: 1h }',
      '"last" of texts needs each of them, so panes of 1h cannot answer it',
    ],
    ['a: { count: true, over: 30m, resolution: 1h }', 'the window of 30m is shorter than a pane of 1h'],
    ['a: { count: true, over: 30m, resolution: soon }', '"resolution" is "soon"'],
    [
      'a: { distinct: card_id, over: 7d, compact: { above: 9, to: 1h } }',
      '"distinct" needs each value, so panes of 1h cannot answer it',
    ],
    [
      'a: { count: true, over: 7d, resolution: 2h, compact: { above: 9, to: 1h } }',
      '"compact" is of features that keep each record, and "resolution" says panes of 2h',
    ],
    ['a: { count: true, over: 7d, compact: { above: 0, to: 1h } }', '"above" is 0'],
    ['a: { count: true, over: 7d, compact: { above: 10 } }', '"to" is missing'],
    ['a: { expr: amount, resolution: 1h }', '"resolution" means nothing to "expr"'],
  ])('are refused: %s', (text, message) => {
    expect(messages(text)).toEqual([message]);
  });

  it('are refused at the place that says so', () => {
    const text = 'entity: card_id\nresolution: 1h\nfeatures:\n  a: { distinct: card_id, over: 7d }\n';
    expect(problems(text)).toEqual([
      ['f0.yaml', 4, 18, '"distinct" needs each value, so panes of 1h cannot answer it'],
    ]);
    expect(problems(text.replace('1h', '1hour'))[0]?.slice(1, 3)).toEqual([2, 13]);
  });
});

describe('the digest of a feature set', () => {
  it('does not depend on formatting, the order of keys and files, quotes and spaces', () => {
    const rewritten = `
# a comment
features:
  decayed: {over: 720h, decayedSum: "amount*2", halfLife: 24h}
  last_amounts: { n: 3, over: 30d, lastN: amount, description: of this card }
  amount_to_avg_ratio:
    default: 1.0
    expr: (amount/rolling_avg_7d)
  large_count_14d: { where: amount_to_avg_ratio>3, over: 14d, count: true }
  distinct_terminals_30d: { distinct: terminal_id, over: 30d, current: exclude }
  seconds_since_last: { sinceLast: true, over: 90d }
  txn_count_1h: { count: true, over: 1h, current: include }
  rolling_avg_7d: { avg: amount, over: 7d, delay: 0s }
entity: [card_id]
`;
    const risk = 'entity: terminal_id\nfeatures:\n  risk_7d: { avg: fraud, over: 7d, delay: 7d, default: 0 }\n';
    expect(planOf(risk, rewritten).digest).toBe(planOf(card, terminal).digest);
  });

  it.each([
    ['an expression', 'amount / rolling_avg_7d', 'amount / rolling_avg_7d + 1'],
    ['a default', 'default: 1', 'default: 2'],
    ['a window', 'over: 7d', 'over: 8d'],
    ['a function', 'avg: amount', 'sum: amount'],
    ['whether the record is in its window', ', current: include', ''],
    ['a condition', '> 3', '> 4'],
    ['an entity', 'entity: card_id', 'entity: id'],
  ])('changes with %s', (_, from, to) => {
    expect(planOf(card.replace(from, to)).digest).not.toBe(planOf(card).digest);
  });

  it('of some columns covers what they are computed from and nothing else', () => {
    const plan = planOf(card, terminal);
    const ofRatio = featureDigest(plan, ['amount_to_avg_ratio']);
    const without = planOf(card.replace('over: 90d', 'over: 60d'));
    const changed = planOf(card.replace('over: 7d', 'over: 8d'));
    expect(featureDigest(without, ['amount_to_avg_ratio'])).toBe(ofRatio);
    expect(featureDigest(changed, ['amount_to_avg_ratio'])).not.toBe(ofRatio);
    expect(featureDigest(plan, ['amount_to_avg_ratio', 'amount'])).not.toBe(ofRatio);
    expect(
      featureDigest(
        plan,
        plan.columns.map(({ name }) => name),
      ),
    ).toBe(plan.digest);
  });
});

describe('what is wrong with features', () => {
  it('is reported over all files at once', () => {
    const first = 'entity: crad_id\nfeatures:\n  a: { avg: amonut, over: 7d }\n  b: { expr: amount + }\n';
    const second = 'features:\n  c: { expr: amount, ovr: 1d }\n  d: { sum: amount, over: 1d }\n';
    expect(problems(first, second)).toEqual([
      ['f0.yaml', 1, 9, 'the record has no field "crad_id"'],
      ['f1.yaml', 2, 22, '"ovr" is not a key that stands here'],
      ['f1.yaml', 3, 8, '"sum" is computed over the records of an entity, and the file names none'],
      ['f0.yaml', 3, 13, 'no field or feature is named "amonut"'],
      ['f0.yaml', 4, 22, 'the expression ends too early'],
    ]);
  });

  it('points at the part of an expression, with the nearest name of a field or feature', () => {
    const { diagnostics } = outcome(card.replace('"amount_to_avg_ratio > 3"', '"amount_to_avg_ration > 3"'));
    expect(diagnostics).toMatchObject([
      {
        line: 8,
        column: 43,
        length: 20,
        message: 'no field or feature is named "amount_to_avg_ration"',
        nearest: 'amount_to_avg_ratio',
      },
    ]);
  });

  it('is a circle, told in words, once', () => {
    expect(
      problems(
        'entity: card_id\nfeatures:\n  a: { expr: b + 1 }\n  b: { sum: c, over: 1d }\n  c: { expr: a }\n  d: { expr: a }\n',
      ),
    ).toEqual([
      [
        'f0.yaml',
        3,
        3,
        'features cannot be computed from each other in a circle: a needs b, which needs c, which needs a',
      ],
    ]);
    expect(messages('a: { expr: a + 1 }')).toEqual(['"a" is computed from itself']);
  });

  it('is not said again of features that read a broken one', () => {
    expect(messages('a: { avg: amount, over: soon }\n  b: { expr: a * 2 }')).toEqual(['"soon" is no duration']);
    expect(messages('a: { avg: amonut, over: 1d }\n  b: { expr: a * 2 + nothing }')).toEqual([
      'no field or feature is named "amonut"',
      'no field or feature is named "nothing"',
    ]);
  });

  it.each([
    ['a: { over: 7d }', 'the feature says nothing to compute'],
    ['a: { avg: amount, sum: amount, over: 7d }', 'a feature computes one thing; this one has sum and avg'],
    ['a: { avg: amount }', '"avg" needs "over"'],
    ['a: { lastN: amount, over: 7d }', '"lastN" needs "n"'],
    ['a: { decayedSum: amount, over: 7d }', '"decayedSum" needs "halfLife"'],
    ['a: { avg: amount, over: 7d, n: 3 }', '"n" means nothing to "avg"'],
    ['a: { expr: amount, over: 7d }', '"over" means nothing to "expr"'],
    ['a: { avg: card_id, over: 7d }', '"avg" cannot take a string'],
    ['a: { min: event_time, over: 7d }', '"min" cannot take a timestamp'],
    ['a: { count: true, over: 7d, where: amount }', 'the condition is a double'],
    ['a: { sinceLast: amount, over: 7d }', '"sinceLast" measures event time, which is read from "event_time"'],
    ['a: { last: card_id, over: 7d, default: 1 }', 'the feature is a string, which no model is given'],
    ['amount: { expr: 1 + 1 }', 'the record already has a field "amount"'],
    ['in: { expr: amount }', '"in" cannot be read by an expression'],
    ['_a: { expr: amount }', '"_a" cannot be read by an expression'],
    ['a-b: { expr: amount }', '"a-b" cannot be read by an expression'],
    ['a: { count: 3, over: 7d }', '"count" is 3'],
    ['a: 7', '"a" is 7'],
    ['x: { lastN: amount, n: 2, over: 1d }\n  x_2: { expr: amount }', '"x_2" is already made by "x" (f0.yaml:3)'],
    ['x: { lastN: amount, n: 2, over: 1d }\n  y: { expr: x * 2 }', 'no field or feature is named "x"'],
  ])('is said of %s', (text, message) => {
    expect(messages(text)).toEqual([message]);
  });

  it('is that a feature is declared twice, in two files', () => {
    const text = 'features:\n  a: { expr: amount }\n';
    expect(problems(text, text)).toEqual([['f1.yaml', 2, 3, '"a" is already made by "a" (f0.yaml:2)']]);
  });

  it('is that a file is no mapping, or has no features', () => {
    expect(problems('- a\n')[0]?.[3]).toBe('a file of features must be a mapping');
    expect(problems('entity: card_id\n')[0]?.[3]).toBe('"features" is missing');
    expect(problems('feature: {}\nfeatures: {}\n')[0]?.[3]).toBe('"feature" is not a key that stands here');
    expect(problems('a: [\n').length).toBeGreaterThan(0);
  });

  it('is an entity that cannot be a key', () => {
    expect(problems('entity: [card_id, amount]\nfeatures: { a: { count: true, over: 1d } }\n')).toEqual([
      ['f0.yaml', 1, 19, '"amount" is a double, which is no key'],
    ]);
  });
});
