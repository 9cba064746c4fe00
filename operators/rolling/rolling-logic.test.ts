import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf, valueAt } from '../../engine/record/column.ts';
import {
  columnOf,
  DEGRADED,
  LATE,
  recordBatch,
  selectRows,
  type RecordBatch,
} from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stamped } from '../testing/stamped.ts';
import type { RollingAggregate, RollingDefinition, RollingFunction } from './rolling-definition.ts';
import { RollingLogic, type RollingStart } from './rolling-logic.ts';
import { CardStore } from './testing/card-rows.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
  { name: 'flagged', type: 'boolean', presence: 'optional' },
]);

interface Row {
  readonly card: string | null;
  readonly amount: number | null;
  readonly place: string | null;
  readonly flagged: number | null;
  readonly t: number;
  readonly partition: number;
}

/** Rows in arrival order with the watermarks that a delay of `delayMs` gives. */
function batchOf(rows: readonly Row[], delayMs = 0): RecordBatch {
  const batch = recordBatch(
    schema,
    [
      utf8ColumnOf(rows.map(({ card }) => card)),
      numberColumnOf(rows.map(({ amount }) => amount)),
      utf8ColumnOf(rows.map(({ place }) => place)),
      numberColumnOf(rows.map(({ flagged }) => flagged)),
    ],
    {
      partition: Int32Array.from(rows, ({ partition }) => partition),
      offset: 0,
      eventTimesMs: Float64Array.from(rows, ({ t }) => t),
    },
  );
  return stamped(batch, delayMs);
}

const fresh = (): RollingStart => ({ state: 'empty', watermarks: new PartitionWatermarks() });

function aggregate(
  name: string,
  fn: RollingFunction,
  overMs: number,
  more: Partial<RollingAggregate> = {},
): RollingAggregate {
  const defaults = { input: null, where: null, delayMs: 0, current: 'exclude', n: null, halfLifeMs: null } as const;
  return { name, function: fn, overMs, ...defaults, ...more };
}

type Answer = Record<string, number | string | null>;

/** The definition, word for word, over the whole history: no slabs, no searches, no shared walks. */
function naive(
  rows: readonly Row[],
  batch: RecordBatch,
  definition: RollingDefinition,
): { answers: Answer[]; flags: number[] } {
  const reach = Math.max(...definition.aggregates.map((a) => a.overMs + a.delayMs));
  const retention = reach + definition.allowedLatenessMs;
  const seen: Row[] = [];
  const flags: number[] = [];
  const answers = rows.map((e, row): Answer => {
    const watermark = batch.watermarksMs[row] ?? -Infinity;
    const answer: Answer = {};
    flags.push(
      e.card === null
        ? 0
        : e.t < watermark - retention
          ? LATE
          : e.t < watermark - definition.allowedLatenessMs
            ? DEGRADED
            : 0,
    );
    for (const a of definition.aggregates) {
      const names =
        a.function === 'lastN' ? Array.from({ length: a.n ?? 1 }, (_, i) => `${a.name}_${i + 1}`) : [a.name];
      for (const name of names) answer[name] = null;
      if (e.card === null) continue;
      const inWindow = seen.filter(
        (x) =>
          x.card === e.card &&
          e.t - a.delayMs - a.overMs < x.t &&
          x.t <= e.t - a.delayMs &&
          x.t > watermark - retention,
      );
      if (a.current === 'include' && a.delayMs === 0) inWindow.push(e);
      const ordered = inWindow
        .map((x, arrival) => ({ x, arrival }))
        .sort((p, q) => p.x.t - q.x.t || p.arrival - q.arrival)
        .map(({ x }) => x)
        .filter((x) => a.where === null || x.flagged === 1)
        .filter((x) => a.input === null || (a.input === 'amount' ? x.amount : x.place) !== null);
      const numbers = ordered.map((x) => x.amount ?? NaN);
      const values = ordered.map((x) => (a.input === 'place' ? x.place : x.amount));
      const total = numbers.reduce((s, v) => s + v, 0);
      if (a.function === 'count') answer[a.name] = ordered.length;
      else if (ordered.length === 0) continue;
      else if (a.function === 'sum') answer[a.name] = total;
      else if (a.function === 'avg') answer[a.name] = total / numbers.length;
      else if (a.function === 'min') answer[a.name] = Math.min(...numbers);
      else if (a.function === 'max') answer[a.name] = Math.max(...numbers);
      else if (a.function === 'first') answer[a.name] = values[0] ?? null;
      else if (a.function === 'last') answer[a.name] = values.at(-1) ?? null;
      else if (a.function === 'distinct') answer[a.name] = new Set(values).size;
      else if (a.function === 'sinceLast') answer[a.name] = (e.t - (ordered.at(-1)?.t ?? NaN)) / 1000;
      else if (a.function === 'lastN') names.forEach((name, i) => (answer[name] = values.at(-1 - i) ?? null));
      else if (a.function === 'decayedSum') {
        answer[a.name] = ordered.reduce(
          (s, x) => s + (x.amount ?? NaN) * 2 ** ((x.t - (e.t - a.delayMs)) / (a.halfLifeMs ?? 1)),
          0,
        );
      } else if (numbers.length >= 2) {
        const mean = total / numbers.length;
        answer[a.name] = Math.sqrt(numbers.reduce((s, v) => s + (v - mean) ** 2, 0) / (numbers.length - 1));
      }
    }
    if (e.card !== null && !(e.t < watermark - retention)) seen.push(e);
    return answer;
  });
  return { answers, flags };
}

function answersOf(batch: RecordBatch, definition: RollingDefinition): Answer[] {
  const added = batch.schema.fields.slice(schema.fields.length);
  expect(added.length).toBeGreaterThanOrEqual(definition.aggregates.length);
  return Array.from({ length: batch.rowCount }, (_, row) =>
    Object.fromEntries(
      added.map(({ name }, i) => {
        const column = batch.columns[schema.fields.length + i];
        return [name, column === undefined ? null : valueAt(column, row)];
      }),
    ),
  );
}

function expectClose(got: readonly Answer[], wanted: readonly Answer[]): void {
  wanted.forEach((answer, row) => {
    for (const [name, value] of Object.entries(answer)) {
      const actual = got[row]?.[name];
      if (typeof value === 'number' && typeof actual === 'number') {
        const tolerance = 1e-9 * Math.max(1, Math.abs(value));
        if (Math.abs(actual - value) <= tolerance) continue;
      }
      expect({ row, name, value: actual }).toEqual({ row, name, value });
    }
  });
}

const everyFunction: RollingAggregate[] = [
  aggregate('n', 'count', 10),
  aggregate('n_long', 'count', 40, { current: 'include' }),
  aggregate('n_flagged', 'count', 25, { where: 'flagged', delayMs: 5 }),
  aggregate('sum', 'sum', 10, { input: 'amount' }),
  aggregate('avg', 'avg', 30, { input: 'amount', current: 'include' }),
  aggregate('avg_flagged', 'avg', 30, { input: 'amount', where: 'flagged' }),
  aggregate('min', 'min', 20, { input: 'amount' }),
  aggregate('max', 'max', 20, { input: 'amount', delayMs: 7 }),
  aggregate('dev', 'stddev', 40, { input: 'amount', current: 'include' }),
  aggregate('first', 'first', 15, { input: 'place' }),
  aggregate('last', 'last', 15, { input: 'amount' }),
  aggregate('last_place', 'last', 40, { input: 'place', delayMs: 3 }),
  aggregate('places', 'distinct', 35, { input: 'place' }),
  aggregate('amounts', 'distinct', 12, { input: 'amount', current: 'include' }),
  aggregate('since', 'sinceLast', 30),
  aggregate('since_flagged', 'sinceLast', 30, { where: 'flagged', delayMs: 4 }),
  aggregate('recent', 'lastN', 30, { input: 'amount', n: 3 }),
  aggregate('recent_places', 'lastN', 30, { input: 'place', n: 2, where: 'flagged' }),
  aggregate('decayed', 'decayedSum', 40, { input: 'amount', halfLifeMs: 10 }),
];

const rowArbitrary = fc.record({
  card: fc.constantFrom('a', 'b', 'ccc', null),
  amount: fc.option(fc.double({ min: -1e6, max: 1e6, noNaN: true, noDefaultInfinity: true })),
  place: fc.option(fc.constantFrom('x', 'y', 'zürich', '')),
  flagged: fc.option(fc.constantFrom(0, 1)),
  partition: fc.constantFrom(0, 1),
});

/** Mostly forward, sometimes far back, with ties: what a topic with disorder looks like. */
const streamArbitrary = fc
  .array(
    fc.tuple(
      rowArbitrary,
      fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: 4 }) }, fc.integer({ min: -90, max: 20 })),
    ),
    {
      maxLength: 60,
    },
  )
  .map((steps) => {
    let now = 1_000;
    return steps.map(([row, step]): Row => {
      if (step >= 0) now += step;
      return { ...row, t: step >= 0 ? now : now + step };
    });
  });

const definitionOf = (allowedLatenessMs: number): RollingDefinition => ({
  operatorId: 'card',
  key: ['card'],
  aggregates: everyFunction,
  allowedLatenessMs,
});

/** A store over a plain map. Like LMDB's, its values are views of a Buffer, wherever they happen to lie. */
describe('the rolling operator', () => {
  it('answers as the definition says, for every function, with disorder, ties, nulls and late records', () => {
    fc.assert(
      fc.property(
        streamArbitrary,
        fc.integer({ min: 0, max: 30 }),
        fc.integer({ min: 0, max: 20 }),
        (rows, delay, lateness) => {
          const batch = batchOf(rows, delay);
          const definition = definitionOf(lateness);
          const answered = new RollingLogic(definition, schema, fresh()).apply(batch);
          const twin = naive(rows, batch, definition);
          expectClose(answersOf(answered, definition), twin.answers);
          expect([...answered.flags]).toEqual(twin.flags);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('answers a partition that is heard from long after the others from all of its rows, in one batch or in several', () => {
    const definition: RollingDefinition = {
      operatorId: 'op',
      key: ['card'],
      aggregates: [aggregate('n', 'count', 1_000)],
      allowedLatenessMs: 0,
    };
    const row = (card: string, t: number, partition: number): Row => {
      return { card, t, partition, amount: 1, place: null, flagged: null };
    };
    const own = [row('a', 0, 0), row('a', 900, 0)];
    const whole = batchOf(own);
    for (const cuts of [[whole], [selectRows(whole, Int32Array.of(0)), selectRows(whole, Int32Array.of(1))]]) {
      const logic = new RollingLogic(definition, schema, fresh());
      logic.apply(batchOf([row('b', 2_000, 1)]));
      const counts = cuts.flatMap((batch) => {
        const answered = logic.apply(batch);
        return Array.from({ length: batch.rowCount }, (_, at) => valueAt(columnOf(answered, 'n'), at));
      });
      expect(counts).toEqual([0, 1]);
    }
  });

  it('gives the same bits however the stream is cut into batches, and across restarts from stored state', async () => {
    await fc.assert(
      fc.asyncProperty(
        streamArbitrary,
        fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.boolean())),
        async (rows, cuts) => {
          const definition = definitionOf(0);
          const whole = batchOf(rows, 5);
          const logic = new RollingLogic(definition, schema, fresh());
          const wanted = answersOf(logic.apply(whole), definition);
          const store = new CardStore();
          let current = new RollingLogic(definition, schema, fresh());
          let watermarks = new PartitionWatermarks();
          const got: Answer[] = [];
          let at = 0;
          for (let step = 0; at < rows.length; step++) {
            const [size, restart] = cuts[step % Math.max(1, cuts.length)] ?? [4, false];
            const part = selectRows(
              whole,
              Int32Array.from({ length: Math.min(size, rows.length - at) }, (_, i) => at + i),
            );
            await current.prefetch(part, store);
            got.push(...answersOf(current.apply(part), definition));
            watermarks = watermarks.copy();
            watermarks.observe(part);
            at += part.rowCount;
            if (!restart) continue;
            store.write(current.takeChanges());
            current = new RollingLogic(definition, schema, { state: 'stored', watermarks });
          }
          expect(got).toEqual(wanted);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('forgets keys whose every row the watermark has passed', () => {
    const definition = definitionOf(0);
    const logic = new RollingLogic(definition, schema, fresh());
    const row = (t: number, card: string): Row => ({ card, amount: 1, place: 'p', flagged: 1, t, partition: 0 });
    const rows = Array.from({ length: 4_000 }, (_, i) => row(i * 10, `card ${i}`));
    logic.apply(batchOf(rows));
    const writes = logic.takeChanges();
    let t = 40_000;
    for (let i = 0; i < 20; i++) logic.apply(batchOf(Array.from({ length: 2_000 }, () => row((t += 10), 'last'))));
    expect(writes.length).toBeGreaterThan(0);
    expect(logic.keyCount).toBe(1);
    const deleted = logic.takeChanges().filter(({ value }) => value === null);
    const kept = writes.filter(({ value }) => value !== null);
    expect(deleted.length).toBeGreaterThanOrEqual(kept.length);
  });

  it('keeps a relative error of a sum below 1e-9 over a million updates of one key with cancelling amounts', () => {
    const definition: RollingDefinition = {
      ...definitionOf(0),
      aggregates: [aggregate('sum', 'sum', 500, { input: 'amount' })],
    };
    const logic = new RollingLogic(definition, schema, fresh());
    const amounts: bigint[] = [];
    let t = 0;
    let worst = 0;
    for (let round = 0; round < 1_000; round++) {
      const rows = Array.from({ length: 1_000 }, (_, i): Row => {
        const cents = ((i * 7919 + round * 104_729) % 2_000_001) - 1_000_000 + (i % 97 === 0 ? 900_000_000 : 0);
        amounts.push(BigInt(cents));
        return { card: 'one', amount: cents / 100, place: null, flagged: null, t: t++, partition: 0 };
      });
      const batch = batchOf(rows);
      const last = rows.length - 1;
      const got = answersOf(logic.apply(batch), definition)[last]?.['sum'];
      const newest = amounts.length - 1;
      const exact = Number(amounts.slice(Math.max(0, newest - 499), newest).reduce((s, v) => s + v, 0n)) / 100;
      worst = Math.max(worst, Math.abs(Number(got) - exact) / Math.max(1, Math.abs(exact)));
    }
    expect(worst).toBeLessThanOrEqual(1e-9);
  });

  it('names damaged state instead of using it', async () => {
    const definition = definitionOf(0);
    const store = new CardStore();
    const logic = new RollingLogic(definition, schema, fresh());
    const batch = batchOf([{ card: 'a', amount: 1, place: 'x', flagged: 1, t: 5, partition: 0 }]);
    logic.apply(batch);
    const writes = logic.takeChanges();
    store.write(writes.map((write) => ({ ...write, value: write.value?.subarray(0, write.value.length - 3) ?? null })));
    const restarted = new RollingLogic(definition, schema, { state: 'stored', watermarks: new PartitionWatermarks() });
    await expect(restarted.prefetch(batch, store)).rejects.toMatchObject({ code: 'STATE_FORMAT' });
  });
});
