import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../engine/error.ts';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { compileExpression } from '../../engine/expression/compile-expression.ts';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { Row } from '../row/row-view.ts';
import { answersOverRestarts } from '../testing/over-restarts.ts';
import { stamped } from '../testing/stamped.ts';
import { expressionRules, pairSchema } from './expression-rules.ts';
import { functionRules } from './function-rules.ts';
import type { PatternDefinition, PatternRules } from './pattern-definition.ts';
import { PatternLogic } from './pattern-logic.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
  { name: 'flagged', type: 'boolean', presence: 'optional' },
]);

interface Item {
  readonly card: string | null;
  readonly amount: number | null;
  readonly place: string | null;
  readonly flagged: boolean | null;
  readonly t: number;
  readonly partition: number;
}

const plain: Item = { card: 'a', amount: 1, place: 'x', flagged: null, t: 0, partition: 0 };

function batchOf(items: readonly Item[], delayMs: number): RecordBatch {
  const batch = recordBatch(
    schema,
    [
      utf8ColumnOf(items.map(({ card }) => card)),
      numberColumnOf(items.map(({ amount }) => amount)),
      utf8ColumnOf(items.map(({ place }) => place)),
      numberColumnOf(items.map(({ flagged }) => (flagged === null ? null : Number(flagged)))),
    ],
    {
      partition: Int32Array.from(items, ({ partition }) => partition),
      offset: 0,
      eventTimesMs: Float64Array.from(items, ({ t }) => t),
    },
  );
  return stamped(batch, delayMs);
}

const base: PatternDefinition = {
  operatorId: 'p',
  key: ['card'],
  withinMs: 20,
  delayMs: 5,
  closedBy: 'partition',
  errors: 'fail',
};

const pairs = pairSchema(schema);
const selected = ['first.amount', 'amount', 'first.flagged', 'place'];

/** A smaller amount, and then a larger one: the second condition reads both records. */
const rising = expressionRules(
  {
    first: compileExpression('amount < 5', schema),
    followedBy: compileExpression('amount > first.amount', pairs),
    select: selected.map((name) => ({ name, expression: compileExpression(name, pairs) })),
  },
  schema,
);

/** A smaller amount, and then one at place x: the second condition reads its record alone. */
const thenAtX = expressionRules(
  {
    first: compileExpression('amount < 5', schema),
    followedBy: compileExpression("place == 'x'", pairs),
    select: selected.map((name) => ({ name, expression: compileExpression(name, pairs) })),
  },
  schema,
);

const outputs = pairs.fields.filter(({ name }) => selected.includes(name));

/** The rules of `rising`, as functions. */
const risingFunctions = functionRules(
  {
    first: ({ amount }) => typeof amount === 'number' && amount < 5,
    followedBy: ({ amount }, first) => typeof amount === 'number' && amount > Number(first['amount']),
    select: ({ amount, place }, first): Row => ({
      'first.amount': first['amount'] ?? null,
      amount: amount ?? null,
      'first.flagged': first['flagged'] ?? null,
      place: place ?? null,
    }),
  },
  'p',
  ['amount', 'flagged'],
  outputs,
  schema,
);

type IsMet = (second: Item, first: Item) => boolean;
const isRising: IsMet = (second, first) => second.amount !== null && second.amount > (first.amount ?? NaN);
const isAtX: IsMet = (second) => second.place === 'x';

/** For each record, the first ones before it that nobody has completed, and that neither their time nor the watermark has passed. */
function naive(items: readonly Item[], definition: PatternDefinition, isMet: IsMet): string[] {
  const done = new Set<Item>();
  const results: string[] = [];
  const highest = new Map<number, number>();
  let leastMs = -Infinity;
  const forgotten = new Set<Item>();
  items.forEach((second, row) => {
    const before = items.slice(0, row);
    for (const first of before) {
      if (first.card === null || first.card !== second.card || done.has(first) || forgotten.has(first)) continue;
      if (definition.closedBy === 'partition' && first.partition !== second.partition) continue;
      if (!(first.amount !== null && first.amount < 5)) continue;
      const sinceMs = second.t - first.t;
      if (sinceMs < 0 || sinceMs >= definition.withinMs || !isMet(second, first)) continue;
      done.add(first);
      results.push(JSON.stringify([row, second.t, first.amount, second.amount, first.flagged, second.place]));
    }
    highest.set(second.partition, Math.max(highest.get(second.partition) ?? -Infinity, second.t));
    leastMs = Math.max(leastMs, Math.min(...highest.values()) - definition.delayMs);
    for (const first of items.slice(0, row + 1)) {
      const watermarkMs =
        definition.closedBy === 'query' ? leastMs : (highest.get(first.partition) ?? -Infinity) - definition.delayMs;
      if (watermarkMs >= first.t + definition.withinMs) forgotten.add(first);
    }
  });
  return results;
}

function textsOf(batch: RecordBatch): string[] {
  return toRows(batch).map((row, i) =>
    JSON.stringify([batch.offsets[i], batch.eventTimesMs[i], ...selected.map((name) => row[name] ?? null)]),
  );
}

const open = (
  rules: PatternRules,
  definition = base,
  state: 'empty' | 'stored' = 'empty',
  rejected = new RejectedRecords('input'),
): PatternLogic => new PatternLogic(definition, rules, { state }, rejected);

const streams = fc
  .array(
    fc.record({
      step: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -9, max: 7 }) }, fc.integer({ min: 8, max: 60 })),
      card: fc.oneof({ weight: 12, arbitrary: fc.constantFrom('a', 'b') }, fc.constant(null)),
      amount: fc.option(fc.integer({ min: 0, max: 9 }), { freq: 8 }),
      place: fc.option(fc.constantFrom('x', 'y'), { freq: 5 }),
      flagged: fc.option(fc.boolean()),
      partition: fc.nat(1),
    }),
    { maxLength: 30 },
  )
  .map((steps) => {
    let t = 0;
    return steps.map(({ step, ...rest }): Item => ({ ...rest, t: (t += step) }));
  });
const definitions = fc
  .record({
    withinMs: fc.integer({ min: 1, max: 40 }),
    delayMs: fc.constantFrom(0, 5, 15),
    closedBy: fc.constantFrom<PatternDefinition['closedBy']>('partition', 'query'),
  })
  .map((choice): PatternDefinition => ({ ...base, ...choice }));

describe('a pattern', () => {
  it.each([
    ['expressions over both records', rising, isRising],
    ['an expression over the second record alone', thenAtX, isAtX],
    ['functions', risingFunctions, isRising],
  ] as const)('gives what one would find by hand, at the same records, by %s', (_name, rules, isMet) => {
    fc.assert(
      fc.property(definitions, streams, (definition, items) => {
        const { records, taken, filtered, late } = open(rules, definition).emit(batchOf(items, definition.delayMs));
        expect(textsOf(records)).toEqual(naive(items, definition, isMet));
        const keyless = items.filter(({ card }) => card === null).length;
        expect([taken, filtered, late.rowCount]).toEqual([items.length - keyless, keyless, 0]);
      }),
      { numRuns: 500 },
    );
  });

  it('goes on from its stored state as if nothing had happened, wherever it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        definitions,
        streams,
        fc.array(fc.nat(30), { maxLength: 4 }),
        async (definition, items, cuts) => {
          const batch = batchOf(items, definition.delayMs);
          const opened = (state: 'empty' | 'stored'): PatternLogic => open(rising, definition, state);
          const got = await answersOverRestarts(batch, cuts, opened, textsOf);
          expect(got).toEqual(textsOf(opened('empty').apply(batch)));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is about a record within the time, from the first one’s instant on and before the time is over', () => {
    const at = (...times: number[]): string[] => {
      const items = times.map((t, i) => ({ ...plain, t, amount: i + 1 }));
      return textsOf(open(rising).apply(batchOf(items, 100))).map((text) => String(JSON.parse(text)[0]));
    };
    expect(at(0, 0)).toEqual(['1']);
    expect(at(0, 19.9)).toEqual(['1']);
    expect(at(0, 20)).toEqual([]);
    expect(at(0, -1)).toEqual([]);
  });

  it('forgets a first record when the watermark has reached its time and the time within which it may be completed', () => {
    const logic = open(rising);
    logic.apply(batchOf([{ ...plain, t: 0 }], 5));
    logic.apply(batchOf([{ ...plain, card: 'b', amount: 9, t: 24.9 }], 5));
    expect(logic.keyCount).toBe(1);
    logic.apply(batchOf([{ ...plain, card: 'b', amount: 9, t: 25 }], 5));
    expect(logic.keyCount).toBe(0);
    const deleted = logic.takeChanges().filter(({ value }) => value === null);
    expect(deleted).toHaveLength(1);
    logic.apply(batchOf([{ ...plain, t: 30 }], 5));
    logic.dropChanges();
    expect(logic.takeChanges()).toEqual([]);
  });

  it('has its results under the position of the record that completes them, with its watermark and flags', () => {
    const batch = batchOf(
      [
        { ...plain, t: 3, partition: 2 },
        { ...plain, amount: 4, t: 7, partition: 2 },
      ],
      5,
    );
    batch.flags[1] = 4;
    batch.offsets[1] = 77;
    const { records } = open(rising).emit(batch);
    expect(records.schema.fields.map(({ name, type, presence }) => [name, type, presence])).toEqual([
      ['first.amount', 'double', 'optional'],
      ['amount', 'double', 'optional'],
      ['first.flagged', 'boolean', 'optional'],
      ['place', 'string', 'optional'],
    ]);
    expect(open(rising).outputSchema.fields).toEqual(records.schema.fields);
    const { partitions, offsets, eventTimesMs, watermarksMs, flags } = records;
    expect([[...partitions], [...offsets], [...eventTimesMs], [...watermarksMs], [...flags]]).toEqual([
      [2],
      [77],
      [7],
      [-2],
      [4],
    ]);
  });
});

describe('the functions of a pattern', () => {
  const failing = (first: (record: Row) => unknown): PatternRules =>
    functionRules(
      { first: first as (record: Row) => boolean, followedBy: () => true, select: () => ({ place: 'x' }) },
      'p',
      ['amount'],
      [{ name: 'place', type: 'string', presence: 'required' }],
      schema,
    );
  const one = { ...plain, t: 1 };

  function refusalOf(run: () => unknown): SluiceError {
    try {
      run();
    } catch (error) {
      if (error instanceof SluiceError) return error;
      throw error;
    }
    throw new Error('it did not fail');
  }

  it('end the query where they throw and the job says so, with the record’s place', () => {
    const rules = failing(() => {
      throw new RangeError('secret');
    });
    const refusal = refusalOf(() => open(rules).emit(batchOf([one], 5)));
    expect(refusal).toMatchObject({ code: 'FUNCTION_FAILED', fields: { operator: 'p' } });
    expect(refusal.message).toContain('threw a RangeError at partition 0, offset 0');
    expect(refusal.message).not.toContain('secret');
  });

  it('send the record to the dead letters otherwise, which leaves the others as they were', () => {
    const rejected = new RejectedRecords('input');
    const rules = failing(({ amount }) => {
      if (amount === 7) throw new RangeError('secret');
      return amount === 1;
    });
    const logic = open(rules, { ...base, errors: 'dead-letter' }, 'empty', rejected);
    const { records, taken, filtered } = logic.emit(batchOf([one, { ...one, amount: 7 }, { ...one, amount: 3 }], 5));
    expect([taken, filtered, toRows(records)]).toEqual([2, 0, [{ place: 'x' }]]);
    expect(rejected.take()).toMatchObject([{ code: 'FUNCTION_FAILED', offset: 1, stage: 'operator' }]);
  });

  it('are refused, whatever the job says, where they are async, and begin nothing with what is not true', () => {
    const policy = { ...base, errors: 'dead-letter' } as const;
    const later = failing(() => Promise.resolve(true));
    expect(refusalOf(() => open(later, policy).emit(batchOf([one], 5)))).toMatchObject({ code: 'FUNCTION_ASYNC' });
    const logic = open(failing(() => 'yes'));
    logic.emit(batchOf([one], 5));
    expect(logic.keyCount).toBe(0);
  });
});

describe('expressions over two records', () => {
  it('keep of the first record what they read of it, and no more', () => {
    expect(rising.carried).toEqual(['amount', 'flagged']);
    expect(thenAtX.carried).toEqual(['amount', 'flagged']);
    expect(risingFunctions.carried).toEqual(['amount', 'flagged']);
    expect(rising.outputs.map(({ name }) => name)).toEqual(selected);
  });

  it('see the record’s own field where it has the name that one of the first would have', () => {
    const odd = schema.with({ name: 'first.amount', type: 'string', presence: 'optional' });
    expect(pairSchema(odd).field('first.amount')?.type).toBe('string');
    expect(
      pairSchema(odd)
        .fields.map(({ name }) => name)
        .slice(5),
    ).toEqual(['first.card', 'first.place', 'first.flagged', 'first.first.amount']);
  });
});
