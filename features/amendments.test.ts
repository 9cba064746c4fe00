import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AmendedRecords } from '../engine/execution/amended-records.ts';
import type { StateEntry, StateReader } from '../engine/state/state-store.ts';
import { PlanDocument } from '../engine/plan/plan-document.ts';
import { selectRows, toRows, type RecordBatch } from '../engine/record/record-batch.ts';
import { acrossEntities } from '../operators/amend/across-entities.ts';
import type { AmendDefinition, Tolerance } from '../operators/amend/amend-definition.ts';
import { layOutAmend } from '../operators/amend/amend-layout.ts';
import { AmendLogic } from '../operators/amend/amend-logic.ts';
import { afterColumn, amendmentColumns, beforeColumn } from '../operators/amend/amendment-rows.ts';
import { compileFeatures } from './compile-features.ts';
import type { FeaturePlan } from './feature-plan.ts';
import { randomDeclarations } from './testing/random-declarations.ts';
import { randomStream, streamBatch, streamSchema, type StreamRow } from './testing/random-stream.ts';
import { runPlan } from './testing/run-plan.ts';

const allowedLatenessMs = 5_000;
/** Random jobs and streams, each held against its twin. */
const runs = 1_000;
const patienceMs = 300_000;

type Told = Readonly<Record<string, number | string | boolean | null>>;

interface Amendment {
  readonly decision: string;
  readonly cause: string;
  readonly revision: number;
  readonly changed: readonly string[];
  readonly before: Told;
  readonly after: Told;
}

function planOf(texts: readonly string[]): FeaturePlan {
  const { plan, diagnostics } = compileFeatures(
    texts.map((text, index) => new PlanDocument(`f${index}.yaml`, text)),
    { schema: streamSchema, eventTimeField: 'event_time', allowedLatenessMs },
  );
  if (plan === null) throw new Error(JSON.stringify(diagnostics));
  return plan;
}

function definitionOf(
  { steps, columns }: FeaturePlan,
  tolerance: Tolerance,
  withinMs: number,
  closedBy: AmendDefinition['closedBy'],
  maxRecordsPerKey?: number,
): AmendDefinition {
  const features = columns.map(({ name }) => name);
  return {
    operatorId: 'amendments',
    key: ['card'],
    identity: ['card'],
    features,
    watched: features.map((column) => ({ column, tolerance })),
    withinMs,
    steps,
    closedBy,
    ...(maxRecordsPerKey === undefined ? {} : { maxRecordsPerKey }),
  };
}

/** What the operator says of a stream that is cut into batches of these sizes. */
function amend(
  plan: FeaturePlan,
  definition: AmendDefinition,
  answered: RecordBatch,
  sizes: readonly number[],
  figures = { letGoEarly: 0 },
): readonly Amendment[] {
  const into = new AmendedRecords();
  const start = { state: 'empty' } as const;
  const logic = new AmendLogic(definition, plan.inputSchema, plan.outputSchema, start, into);
  const told: Amendment[] = [];
  for (let at = 0, turn = 0; at < answered.rowCount; turn++) {
    const end = Math.min(answered.rowCount, at + (sizes[turn % sizes.length] ?? 1));
    const from = at;
    const part = selectRows(
      answered,
      Int32Array.from({ length: end - from }, (_, index) => from + index),
    );
    expect(toRows(logic.apply(part))).toEqual(toRows(part));
    const amended = into.take();
    if (amended !== null) told.push(...amendmentsIn(amended, definition.features));
    at = end;
  }
  figures.letGoEarly = logic.takeLetGoEarly();
  return told;
}

function amendmentsIn(batch: RecordBatch, features: readonly string[]): readonly Amendment[] {
  return toRows(batch).map((row, index) => {
    const told = (nameOf: (feature: string) => string): Told =>
      Object.fromEntries(features.map((feature) => [feature, row[nameOf(feature)] ?? null]));
    return {
      decision: `${batch.partitions[index]}/${batch.offsets[index]}`,
      cause: `${row[amendmentColumns.causePartition]}/${row[amendmentColumns.causeOffset]}`,
      revision: Number(row[amendmentColumns.revision]),
      changed: JSON.parse(String(row[amendmentColumns.changed])) as string[],
      before: told(beforeColumn),
      after: told(afterColumn),
    };
  });
}

/**
 * The definition, word for word: after each record all that has arrived is put in order of event time and answered anew, as a stream without any disorder, and every decision in watch is held
 * against that. Nothing is ever forgotten.
 */
function naive(
  plan: FeaturePlan,
  definition: AmendDefinition,
  answered: RecordBatch,
  rows: readonly StreamRow[],
): readonly Amendment[] {
  const { features, withinMs, closedBy } = definition;
  const toldOf = (row: Readonly<Record<string, Told[string]>> | undefined): Told =>
    Object.fromEntries(features.map((name) => [name, row?.[name] ?? null]));
  const last = toRows(answered).map(toldOf);
  const revisions = rows.map(() => 0);
  const typeOf = new Map(plan.columns.map(({ name, type }) => [name, type]));
  const ofPartition = new Map<number, number>();
  let leastMs = -Infinity;
  const told: Amendment[] = [];
  const place = (row: number): string => `${answered.partitions[row]}/${answered.offsets[row]}`;
  const orders = rows.map((_, cause) => {
    const arrived = [...rows.keys()].slice(0, cause + 1);
    return arrived.toSorted((a, b) => (rows[a]?.timeMs ?? 0) - (rows[b]?.timeMs ?? 0) || a - b);
  });
  const truths = inWorlds(plan, orders, rows);
  const { entities, columns } = layOutAmend(definition, plan.inputSchema);
  const keys = toRows(answered).map((row) =>
    entities.map(({ key }) => {
      const cells = key.map((column) => row[columns[column]?.field.name ?? ''] ?? null);
      return cells.includes(null) ? null : JSON.stringify(cells);
    }),
  );
  /** Where a key of a record has had as many as it may hold: as far as windows reach from the oldest of the newest so many. */
  const wholeBehindMs = (row: number, arrived: readonly number[]): number => {
    if (definition.maxRecordsPerKey === undefined) return -Infinity;
    const { maxRecordsPerKey: most } = definition;
    const bounds = entities.map(({ keepsMs }, entity) => {
      const key = keys[row]?.[entity] ?? null;
      const ofKey = key === null ? [] : arrived.filter((other) => keys[other]?.[entity] === key);
      return (rows[ofKey.at(-most) ?? -1]?.timeMs ?? -Infinity) + keepsMs;
    });
    return Math.max(...bounds);
  };
  orders.forEach((order, cause) => {
    ofPartition.set(answered.partitions[cause] ?? 0, answered.watermarksMs[cause] ?? -Infinity);
    leastMs = Math.max(leastMs, Math.min(...ofPartition.values()));
    order.forEach((row, index) => {
      const own = ofPartition.get(answered.partitions[row] ?? 0) ?? -Infinity;
      const watermarkMs = Math.max(closedBy === 'query' ? leastMs : own, wholeBehindMs(row, order));
      if ((rows[row]?.timeMs ?? 0) <= watermarkMs - withinMs) return;
      const now = toldOf(truths[cause]?.[index]);
      const before = last[row] ?? {};
      const changed = definition.watched.flatMap(({ column, tolerance }) =>
        isOff(typeOf.get(column) ?? 'double', tolerance, before[column] ?? null, now[column] ?? null) ? [column] : [],
      );
      if (changed.length === 0) return;
      last[row] = now;
      const revision = (revisions[row] = (revisions[row] ?? 0) + 1);
      told.push({ decision: place(row), cause: place(cause), revision, changed, before, after: now });
    });
  });
  return told;
}

/** Answers several streams at once, each in a world of its own: no two share a key. */
function inWorlds(
  plan: FeaturePlan,
  orders: readonly (readonly number[])[],
  rows: readonly StreamRow[],
): readonly (readonly Told[])[] {
  const all = orders.flatMap((order, world) =>
    order.flatMap((at): StreamRow[] => {
      const row = rows[at];
      if (row === undefined) return [];
      const { card, terminal, mcc } = row;
      const apart = (text: string | null): string | null => (text === null ? null : `${text}#${world}`);
      const own = terminal === null ? null : terminal + 10 * world;
      return [{ ...row, card: apart(card), terminal: own, mcc: apart(mcc) }];
    }),
  );
  const batch = streamBatch(all, 0);
  batch.watermarksMs.fill(-Infinity);
  const answers = toRows(runPlan(plan)(batch)).map((row): Told => {
    const plain = (value: Told[string]): Told[string] =>
      typeof value === 'string' ? value.replace(/#\d+$/, '') : value;
    return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]));
  });
  let at = 0;
  return orders.map(({ length }) => answers.slice(at, (at += length)));
}

function isOff(type: string, tolerance: Tolerance, before: Told[string], after: Told[string]): boolean {
  if (before === null || after === null || typeof before !== 'number' || typeof after !== 'number') {
    return before !== after;
  }
  if (type === 'timestamp') return before !== after;
  const off = Math.abs(after - before);
  return off > (tolerance.kind === 'absolute' ? tolerance.by : tolerance.share * Math.abs(before));
}

/** Zero deviation tells whether what is computed again has the very bits of an answer. */
const tolerances = fc.constantFrom<Tolerance>(
  { kind: 'relative', share: 0 },
  { kind: 'relative', share: 0.05 },
  { kind: 'absolute', by: 1 },
);
const withins = fc.constantFrom(4_000, 30_000, 300_000, 86_400_000);
/** Features whose windows are over what records say, or what windows of the same key have answered. */
const ofOneEntity = [
  'entity: card\nfeatures:\n  mean: { avg: amount, over: 5m }\n  large: { count: true, where: amount > mean, over: 2m }\n',
  'entity: terminal\nfeatures:\n  seen: { count: true, over: 7m }\n  place: { last: mcc, over: 10s, delay: 20s }\n',
  'entity: [card, terminal]\nfeatures:\n  most: { max: amount, over: 1m, current: include }\n',
];
const streams = randomStream.map((rows) => rows.slice(0, 16));

describe('amendments of random jobs over random streams', () => {
  it(
    'are those of a twin that answers all that has arrived anew, in order, after each record',
    () => {
      let amendments = 0;
      let chained = 0;
      const holds = fc.property(
        randomDeclarations,
        streams,
        tolerances,
        withins,
        fc.constantFrom(0, 3_000, 20_000),
        fc.constantFrom('query', 'partition'),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
        (texts, rows, tolerance, withinMs, delayMs, closedBy, sizes) => {
          const plan = planOf(texts);
          if (!plan.steps.some(({ kind }) => kind === 'rolling')) return;
          // A key whose records are all of one partition may be let go by that partition's watermark.
          const placed = closedBy === 'query' ? rows : rows.map((row): StreamRow => ({ ...row, partition: 0 }));
          const definition = definitionOf(plan, tolerance, withinMs, closedBy);
          const answered = runPlan(plan)(streamBatch(placed, delayMs));
          const expected = naive(plan, definition, answered, placed);
          expect(amend(plan, definition, answered, sizes)).toEqual(expected);
          amendments += expected.length;
          chained += expected.filter(({ decision, cause }) => decision === cause).length;
        },
      );
      fc.assert(holds, { numRuns: runs });
      // Streams without any would prove nothing.
      assert(amendments > runs && chained > 0, `there were ${amendments} amendments, ${chained} of them at once`);
    },
    patienceMs,
  );

  it(
    'are, where a key holds only so many records, those of its decisions whose windows reach no further back',
    () => {
      let [amendments, letGo] = [0, 0];
      const holds = fc.property(
        fc.subarray(ofOneEntity, { minLength: 1 }),
        streams,
        tolerances,
        fc.constantFrom(30_000, 300_000, 86_400_000),
        fc.constantFrom('query', 'partition'),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 8 }),
        (texts, rows, tolerance, withinMs, closedBy, sizes, most) => {
          const plan = planOf(texts);
          expect(acrossEntities(plan.steps)).toBeNull();
          const placed = closedBy === 'query' ? rows : rows.map((row): StreamRow => ({ ...row, partition: 0 }));
          const definition = definitionOf(plan, tolerance, withinMs, closedBy, most);
          const answered = runPlan(plan)(streamBatch(placed, 3_000));
          const expected = naive(plan, definition, answered, placed);
          const figures = { letGoEarly: 0 };
          expect(amend(plan, definition, answered, sizes, figures)).toEqual(expected);
          amendments += expected.length;
          letGo += figures.letGoEarly;
        },
      );
      fc.assert(holds, { numRuns: runs });
      assert(amendments > 100 && letGo > runs, `there were ${amendments} amendments, and ${letGo} records were let go`);
    },
    patienceMs,
  );

  it('are the same from state that was stored after any batch, where keys hold only so many records', async () => {
    const holds = fc.asyncProperty(
      fc.subarray(ofOneEntity, { minLength: 1 }),
      streams,
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 5 }),
      async (texts, rows, most, size) => {
        const plan = planOf(texts);
        const definition = definitionOf(plan, { kind: 'absolute', by: 0 }, 300_000, 'query', most);
        const answered = runPlan(plan)(streamBatch(rows, 3_000));
        const told: Amendment[] = [];
        const stored = new Map<string, StateEntry>();
        const reader: StateReader = {
          getMany: (_, names) => Promise.resolve(names.map(() => null)),
          async *scan() {
            yield* await Promise.resolve([...stored.values()]);
          },
        };
        for (let at = 0; at < answered.rowCount; at += size) {
          const into = new AmendedRecords();
          const logic = new AmendLogic(definition, plan.inputSchema, plan.outputSchema, { state: 'stored' }, into);
          const count = Math.min(size, answered.rowCount - at);
          const part = selectRows(
            answered,
            Int32Array.from({ length: count }, (_, index) => at + index),
          );
          await logic.prefetch(part, reader);
          logic.apply(part);
          const amended = into.take();
          if (amended !== null) told.push(...amendmentsIn(amended, definition.features));
          for (const { key, value } of logic.takeChanges()) {
            const name = Buffer.from(key).toString('hex');
            if (value === null) stored.delete(name);
            else stored.set(name, { key, value });
          }
          // Beside the watermarks: no more than 3 cards, 2 terminals and 6 of both may hold.
          expect(stored.size - 1).toBeLessThanOrEqual(11 * most);
        }
        expect(told).toEqual(amend(plan, definition, answered, [rows.length]));
      },
    );
    await fc.assert(holds, { numRuns: 300 });
  }, 240_000);

  it('are none where records come in order of event time', () => {
    const holds = fc.property(randomDeclarations, streams, (texts, rows) => {
      const plan = planOf(texts);
      if (!plan.steps.some(({ kind }) => kind === 'rolling')) return;
      const inOrder = rows.toSorted((a, b) => a.timeMs - b.timeMs).map((row): StreamRow => ({ ...row, partition: 0 }));
      const definition = definitionOf(plan, { kind: 'absolute', by: 0 }, 86_400_000, 'partition');
      expect(amend(plan, definition, runPlan(plan)(streamBatch(inOrder, 0)), [3])).toEqual([]);
    });
    fc.assert(holds, { numRuns: 200 });
  });
});
