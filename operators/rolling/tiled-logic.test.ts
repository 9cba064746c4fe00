import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMPACTED, DEGRADED, selectRows } from '../../engine/record/record-batch.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import type { PaneRule, RollingAggregate, RollingDefinition, RollingFunction } from './rolling-definition.ts';
import { RollingLogic, type RollingStart } from './rolling-logic.ts';
import {
  cardAnswers,
  cardBatch,
  cardSchema,
  CardStore,
  cardStreams,
  type CardAnswer,
  type CardRow,
} from './testing/card-rows.ts';
import { naivePanes } from './testing/naive-panes.ts';

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

const everyFunction: readonly RollingAggregate[] = [
  aggregate('n', 'count', 10),
  aggregate('n_long', 'count', 45, { current: 'include' }),
  aggregate('n_flagged', 'count', 25, { where: 'flagged', delayMs: 5 }),
  aggregate('n_of_amount', 'count', 20, { input: 'amount' }),
  aggregate('sum', 'sum', 10, { input: 'amount' }),
  aggregate('sum_long', 'sum', 40, { input: 'amount' }),
  aggregate('avg', 'avg', 30, { input: 'amount', current: 'include' }),
  aggregate('avg_flagged', 'avg', 30, { input: 'amount', where: 'flagged' }),
  aggregate('min', 'min', 20, { input: 'amount' }),
  aggregate('max', 'max', 20, { input: 'amount', delayMs: 7 }),
  aggregate('dev', 'stddev', 40, { input: 'amount', current: 'include' }),
  aggregate('first', 'first', 15, { input: 'amount' }),
  aggregate('last', 'last', 15, { input: 'amount' }),
  aggregate('last_flagged', 'last', 40, { input: 'amount', where: 'flagged', delayMs: 3, current: 'include' }),
  aggregate('first_own', 'first', 15, { input: 'amount', current: 'include' }),
  aggregate('since', 'sinceLast', 30),
  aggregate('since_flagged', 'sinceLast', 30, { where: 'flagged', delayMs: 4 }),
];

const definitionOf = (...aggregates: readonly RollingAggregate[]): RollingDefinition => ({
  operatorId: 'card',
  key: ['card'],
  aggregates,
  allowedLatenessMs: 0,
});

const rowAt = (t: number): CardRow => ({ card: 'a', amount: 1, flagged: 1, t });

interface Shape {
  readonly definition: RollingDefinition;
  readonly rule: PaneRule;
  readonly delayMs: number;
}

/** Of few functions, so that panes are small, and made of few records; with delays, records are kept one by one for longer. */
const shapes: fc.Arbitrary<Shape> = fc
  .record({
    aggregates: fc.subarray([...everyFunction], { minLength: 1, maxLength: 4 }),
    delays: fc.constantFrom('as they are', 'none'),
    sizeMs: fc.constantFrom(1, 3, 5, 10),
    aboveRecords: fc.constantFrom(null, null, 0, 3, 8, 20),
    delayMs: fc.constantFrom(0, 3, 20),
    allowedLatenessMs: fc.constantFrom(0, 0, 7, 20),
  })
  .map(({ aggregates: some, delays, sizeMs, aboveRecords, delayMs, allowedLatenessMs }) => {
    const aggregates = delays === 'none' ? some.map((each) => ({ ...each, delayMs: 0 })) : some;
    return {
      definition: { operatorId: 'card', key: ['card'], aggregates, allowedLatenessMs },
      rule: aboveRecords === null ? { sizeMs } : { sizeMs, aboveRecords },
      delayMs,
    };
  });

/** After so many rows a batch ends; then perhaps the state is stored, and what is in memory let go, or the operator made anew. */
type Cut = readonly [size: number, after: 'go on' | 'flush' | 'restart'];
const cutsArbitrary: fc.Arbitrary<readonly Cut[]> = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom('go on', 'flush', 'restart')),
);

interface Run {
  readonly answers: readonly CardAnswer[];
  readonly flags: readonly number[];
}

async function runInBatches(
  rows: readonly CardRow[],
  { definition, rule, delayMs }: Shape,
  cuts: readonly Cut[],
): Promise<Run> {
  const whole = cardBatch(rows, delayMs);
  const store = new CardStore();
  // No more than a key need be in memory.
  const workingSetBytes = 1;
  let logic = new RollingLogic({ ...definition, panes: rule }, cardSchema, { ...fresh(), workingSetBytes });
  const watermarks = new PartitionWatermarks();
  const answers: CardAnswer[] = [];
  const flags: number[] = [];
  for (let at = 0, step = 0; at < rows.length; step++) {
    const [size, after] = cuts[step % Math.max(1, cuts.length)] ?? [rows.length, 'go on'];
    const part = selectRows(
      whole,
      Int32Array.from({ length: Math.min(size, rows.length - at) }, (_, i) => at + i),
    );
    await logic.prefetch(part, store);
    const answered = logic.apply(part);
    answers.push(...cardAnswers(answered));
    flags.push(...answered.flags);
    watermarks.observe(part);
    at += part.rowCount;
    if (after === 'go on') continue;
    store.write(logic.takeChanges());
    logic.changesStored();
    if (after === 'flush') continue;
    logic = new RollingLogic({ ...definition, panes: rule }, cardSchema, {
      state: 'stored',
      watermarks,
      workingSetBytes,
    });
  }
  return { answers, flags };
}

/** Within 1e-9 of the greatest amount that may have been in the window: the twin adds in doubles. */
function expectClose(got: readonly CardAnswer[], wanted: readonly CardAnswer[], scale: number): void {
  wanted.forEach((answer, row) => {
    for (const [name, value] of Object.entries(answer)) {
      const actual = got[row]?.[name];
      if (typeof value === 'number' && typeof actual === 'number') {
        // The twin adds in doubles; a deviation of doubles is good to the root of their accuracy.
        const tolerance = name === 'dev' ? 1e-7 * scale : 1e-12 * scale;
        const isAdded = name.startsWith('sum') || name.startsWith('avg') || name === 'dev';
        if (isAdded ? Math.abs(actual - value) <= tolerance : actual === value) continue;
      }
      expect({ row, name, value: actual }).toEqual({ row, name, value });
    }
  });
}

describe('the rolling operator in panes', () => {
  it('answers as the definition says, for every function, with disorder, ties, nulls and late records, over batches and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(cardStreams, shapes, cutsArbitrary, async (rows, shape, cuts) => {
        const got = await runInBatches(rows, shape, cuts);
        const twin = naivePanes(rows, cardBatch(rows, shape.delayMs), shape.definition, shape.rule);
        const scale = Math.max(1, ...rows.map(({ amount }) => Math.abs(amount ?? 0)));
        expect(got.flags).toEqual(twin.flags);
        expectClose(got.answers, twin.answers, scale);
      }),
      { numRuns: 1_000 },
    );
  }, 120_000);

  it('gives the same bits however the stream is cut into batches, and across restarts from stored state', async () => {
    await fc.assert(
      fc.asyncProperty(cardStreams, shapes, cutsArbitrary, async (rows, shape, cuts) => {
        const got = await runInBatches(rows, shape, cuts);
        expect(got).toEqual(await runInBatches(rows, shape, []));
      }),
      { numRuns: 1_000 },
    );
  }, 120_000);

  it('gives keys that are not compacted the very bits of an exact operator', () => {
    fc.assert(
      fc.property(cardStreams, fc.subarray([...everyFunction], { minLength: 1, maxLength: 4 }), (rows, aggregates) => {
        const definition = { ...definitionOf(...aggregates), allowedLatenessMs: 100 };
        const batch = cardBatch(rows, 5);
        const compacting = new RollingLogic(
          { ...definition, panes: { sizeMs: 5, aboveRecords: 100 } },
          cardSchema,
          fresh(),
        );
        expect(cardAnswers(compacting.apply(batch))).toEqual(
          cardAnswers(new RollingLogic(definition, cardSchema, fresh()).apply(batch)),
        );
      }),
      { numRuns: 300 },
    );
  });

  //            pane 0          pane 10         pane 20         pane 30
  //   (0 ·············· 10](10 ········· 20](20 ········· 30](30 ····
  //           3                12   17          23  e 28          the window of e = 28 over 12: (pane start of 16, 28] = (10, 28]
  it('begins a window at the start of the pane and ends it at the record', () => {
    const definition = definitionOf(aggregate('n', 'count', 12));
    const counts = (...times: readonly number[]): unknown[] =>
      cardAnswers(
        new RollingLogic({ ...definition, panes: { sizeMs: 10 } }, cardSchema, fresh()).apply(
          cardBatch(times.map(rowAt), 100),
        ),
      ).map(({ n }) => n);
    expect(counts(3, 12, 17, 23, 28)).toEqual([0, 1, 2, 2, 3]);
    // A record that lies at the start of the pane is not in it: panes are open on the left, as windows are.
    expect(counts(10, 11, 28)).toEqual([0, 1, 1]);
    // Where t − R is the start of a pane, the window is R long.
    expect(counts(20, 21, 32)).toEqual([0, 1, 1]);
    // What came before an out-of-order record and is later than it is not in its window, though in its pane.
    expect(counts(12, 17, 28, 13)).toEqual([0, 1, 2, 1]);
  });

  it('ends the window of a degraded record at the start of a pane that is kept as one', () => {
    const definition = definitionOf(aggregate('n', 'count', 100));
    const times = [1, 2, 11, 12, 13, 14, 15, 16, 45, 14];
    const answered = new RollingLogic({ ...definition, panes: { sizeMs: 10 } }, cardSchema, fresh()).apply(
      cardBatch(times.map(rowAt)),
    );
    // The watermark is 45: of the pane (10, 20] the last record cannot see a part, so it sees the pane before.
    expect(cardAnswers(answered).at(-1)).toEqual({ n: 2 });
    expect(answered.flags.at(-1)).toBe(DEGRADED);
  });

  it('holds a key of a hundred thousand records in the memory of its panes, and writes as many bytes', () => {
    const definition = definitionOf(
      aggregate('n', 'count', 30_000),
      aggregate('sum', 'sum', 30_000, { input: 'amount' }),
    );
    const logic = new RollingLogic({ ...definition, panes: { sizeMs: 1_000 } }, cardSchema, fresh());
    const batches = 100;
    let wanted = 0;
    let got: CardAnswer | undefined;
    for (let batch = 0; batch < batches; batch++) {
      const rows = Array.from({ length: 1_000 }, (_, i): CardRow => ({
        ...rowAt(batch * 300 + Math.floor(i * 0.3)),
        amount: 0.25,
      }));
      const stamped = cardBatch(rows, 50);
      stamped.watermarksMs.fill(batch * 300 - 50);
      got = cardAnswers(logic.apply(stamped)).at(-1);
      logic.dropChanges();
      wanted += rows.length;
    }
    expect(got).toEqual({ n: wanted - 1, sum: (wanted - 1) / 4 });
    logic.apply(cardBatch([rowAt(30_000)], 50));
    const [write] = logic.takeChanges();
    const panes = 30;
    const head = 1_050 / 0.3;
    expect(write?.value?.length).toBeLessThan(32 + (panes + 1) * 9 * 8 + head * 16 * 1.2);
    expect(logic.heldBytes).toBeLessThan(200_000);
  });

  it('compacts a key that holds more records than the bound, at a record that the log alone tells, and flags what it answers from panes', () => {
    const definition = definitionOf(aggregate('n', 'count', 25));
    const run = (aboveRecords: number | null): { readonly counts: unknown[]; readonly flags: number[] } => {
      const rule = { sizeMs: 10, ...(aboveRecords === null ? {} : { aboveRecords }) };
      const rows = Array.from({ length: 60 }, (_, i) => rowAt(i));
      const answered = new RollingLogic({ ...definition, panes: rule }, cardSchema, fresh()).apply(cardBatch(rows));
      return { counts: cardAnswers(answered).map(({ n }) => n), flags: [...answered.flags] };
    };
    const exact = run(1_000);
    const compacted = run(18);
    const inPanes = run(null);
    expect(exact.flags).not.toContain(COMPACTED);
    // 19 records are held for the first time at time 18, with the watermark at 17: panes up to 10 are compacted, and windows begin there from the next record on.
    expect(compacted.flags.indexOf(COMPACTED)).toBe(19);
    expect(compacted.counts.slice(0, 19)).toEqual(exact.counts.slice(0, 19));
    compacted.counts.forEach((count, row) => {
      expect(count).toBeGreaterThanOrEqual(Number(exact.counts[row]));
      expect(count).toBeLessThan(Number(exact.counts[row]) + 10);
    });
    expect(compacted.counts.slice(19)).toEqual(inPanes.counts.slice(19));
  });

  it('counts what came into sealed panes later among what a key holds', () => {
    const definition = definitionOf(aggregate('n', 'count', 25));
    const rule = { sizeMs: 10, aboveRecords: 8 };
    // Two records of time 12 come when their pane is sealed: with them the key holds nine at time 38, and is compacted up to 30.
    const times = [1, 2, 3, 4, 5, 6, 11, 12, 13, 21, 36, 37, 12, 12, 38, 48];
    const batch = cardBatch(times.map(rowAt));
    const answered = new RollingLogic({ ...definition, panes: rule }, cardSchema, fresh()).apply(batch);
    expect(cardAnswers(answered).at(-1)).toEqual({ n: 4 });
    expect(answered.flags.at(-1)).toBe(COMPACTED);
    expect(naivePanes(times.map(rowAt), batch, definition, rule).answers).toEqual(cardAnswers(answered));
  });

  it('remembers up to where a key is compacted for as long as a record may come that lies before', () => {
    const definition = definitionOf(aggregate('n', 'count', 25));
    const other = (t: number): CardRow => ({ ...rowAt(t), card: 'c' });
    // The third record of the card is degraded, and compacts it up to 40. All its records are gone when the watermark is 60, and one of time 36 is still in time for state.
    const rows = [
      rowAt(20),
      rowAt(21),
      other(44),
      rowAt(22),
      ...Array.from({ length: 6 }, () => other(60)),
      rowAt(36),
      rowAt(38),
    ];
    for (const size of [1, rows.length]) {
      const logic = new RollingLogic({ ...definition, panes: { sizeMs: 10, aboveRecords: 1 } }, cardSchema, fresh());
      const whole = cardBatch(rows);
      let last: unknown = null;
      for (let at = 0; at < rows.length; at += size) {
        const part = selectRows(
          whole,
          Int32Array.from({ length: size }, (_, i) => at + i),
        );
        last = cardAnswers(logic.apply(part)).at(-1);
      }
      expect(last).toEqual({ n: 0 });
    }
  });

  it('adds as an exact operator does again once nothing compacted can be seen, since the key may have been forgotten by then', () => {
    const definition = definitionOf(aggregate('sum', 'sum', 25, { input: 'amount' }));
    const amounts: readonly (readonly [t: number, amount: number])[] = [
      ...[1, 2, 3, 4].map((t) => [t, 1] as const),
      [60, 1e40],
      [61, 1],
      [62, -1e40],
      [63, 0],
    ];
    const rows = amounts.map(([t, amount]): CardRow => ({ ...rowAt(t), amount }));
    const sumOf = (rule: PaneRule): unknown =>
      cardAnswers(new RollingLogic({ ...definition, panes: rule }, cardSchema, fresh()).apply(cardBatch(rows))).at(
        -1,
      )?.['sum'];
    // Digits more than 97 bits below the greatest are cut off; compensated doubles keep this one.
    expect(sumOf({ sizeMs: 10, aboveRecords: 3 })).toBe(1);
    expect(sumOf({ sizeMs: 10 })).toBe(0);
  });

  it('forgets keys whose every pane the watermark has passed', () => {
    const logic = new RollingLogic(
      { ...definitionOf(aggregate('n', 'count', 40)), panes: { sizeMs: 10 } },
      cardSchema,
      fresh(),
    );
    const row = (card: string, t: number): CardRow => ({ ...rowAt(t), card });
    logic.apply(cardBatch(Array.from({ length: 4_000 }, (_, i) => row(`card ${i}`, i * 10))));
    const kept = logic.takeChanges().filter(({ value }) => value !== null);
    let t = 40_000;
    for (let i = 0; i < 20; i++) logic.apply(cardBatch(Array.from({ length: 2_000 }, () => row('last', (t += 10)))));
    expect(kept.length).toBeGreaterThan(0);
    expect(logic.keyCount).toBe(1);
    const deleted = logic.takeChanges().filter(({ value }) => value === null);
    expect(deleted.length).toBeGreaterThanOrEqual(kept.length);
  });

  it('names damaged state, and state of another form, instead of using it', async () => {
    const definition = definitionOf(aggregate('n', 'count', 100), aggregate('sum', 'sum', 100, { input: 'amount' }));
    const batch = cardBatch([rowAt(5)]);
    const logic = new RollingLogic({ ...definition, panes: { sizeMs: 10 } }, cardSchema, fresh());
    logic.apply(batch);
    const [written] = logic.takeChanges();
    const bytes = written?.value ?? new Uint8Array(0);
    const others = [bytes.subarray(0, bytes.length - 8), bytes.subarray(0, 20), new Uint8Array(0)];
    const other = bytes.slice();
    other[0] = 1;
    const wide = bytes.slice();
    wide[2] = 99;
    for (const value of [...others, other, wide]) {
      const store = new CardStore();
      store.write([{ operatorId: 'card', key: Buffer.from('a'), value }]);
      const restarted = new RollingLogic({ ...definition, panes: { sizeMs: 10 } }, cardSchema, {
        ...fresh(),
        state: 'stored',
      });
      await expect(restarted.prefetch(batch, store)).rejects.toMatchObject({ code: 'STATE_FORMAT' });
    }
  });
});
