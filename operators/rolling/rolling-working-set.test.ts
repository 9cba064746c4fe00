import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf, valueAt } from '../../engine/record/column.ts';
import { recordBatch, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateEntry, StateReader, StateScanStep, StateWrite } from '../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import type { RollingAggregate, RollingDefinition } from './rolling-definition.ts';
import { RollingLogic } from './rolling-logic.ts';
import { newestStoredMs } from './row-format.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
]);

const aggregate = (name: string, fn: RollingAggregate['function'], input: string | null): RollingAggregate => ({
  name,
  function: fn,
  input,
  where: null,
  overMs: 40,
  delayMs: 0,
  current: 'exclude',
  n: null,
  halfLifeMs: null,
});

const definition: RollingDefinition = {
  operatorId: 'card',
  key: ['card'],
  aggregates: [
    aggregate('count', 'count', null),
    aggregate('sum', 'sum', 'amount'),
    aggregate('places', 'distinct', 'place'),
    aggregate('last_place', 'last', 'place'),
  ],
  allowedLatenessMs: 5,
};
const retentionMs = 45;

interface Row {
  readonly card: string | null;
  readonly place: string | null;
  readonly t: number;
}

/** Rows in arrival order, of one partition, with the watermarks that a delay of 3 ms gives. */
function batchOf(rows: readonly Row[]): RecordBatch {
  const batch = recordBatch(
    schema,
    [
      utf8ColumnOf(rows.map(({ card }) => card)),
      numberColumnOf(rows.map((_, row) => row * 1.1)),
      utf8ColumnOf(rows.map(({ place }) => place)),
    ],
    { partition: new Int32Array(rows.length), offset: 0, eventTimesMs: Float64Array.from(rows, ({ t }) => t) },
  );
  let highest = -Infinity;
  rows.forEach(({ t }, row) => {
    batch.watermarksMs[row] = highest - 3;
    highest = Math.max(highest, t);
  });
  return batch;
}

/** The store of one task. Reads are counted, and what is on its way is not to be read. */
class TaskStore implements StateReader {
  readonly values = new Map<string, Uint8Array>();
  reads = 0;

  write(writes: readonly StateWrite[]): void {
    for (const { key, value } of writes) {
      const name = Buffer.from(key).toString('hex');
      if (value === null) this.values.delete(name);
      else this.values.set(name, Uint8Array.from(value));
    }
  }

  getMany(_operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    this.reads++;
    return Promise.resolve(keys.map((key) => this.values.get(Buffer.from(key).toString('hex')) ?? null));
  }

  async *scan(): AsyncGenerator<never> {}

  scanSome(_operatorId: string, from: string | null, aboutKeys: number): Promise<StateScanStep> {
    const names = [...this.values.keys()].toSorted().filter((name) => from === null || name > from);
    const step = names.slice(0, aboutKeys);
    const entries = step.map((name): StateEntry => ({
      key: Buffer.from(name, 'hex'),
      value: this.values.get(name) ?? new Uint8Array(0),
    }));
    return Promise.resolve({ entries, next: step.length < names.length ? (step.at(-1) ?? null) : null });
  }
}

/** What happens after a batch. `commit`: the oldest flush on its way is stored. `crash`: the process dies; the next one begins at what is stored. */
type After = 'go on' | 'flush' | 'commit' | 'crash';

interface Cut {
  readonly size: number;
  readonly after: After;
}

interface Flush {
  readonly at: number;
  readonly watermarks: PartitionWatermarks;
  readonly writes: readonly StateWrite[];
}

/** What a run came to: its answers, what it left in the store, and after which batches it was flushed because it held too much. */
interface Run {
  readonly answers: readonly unknown[];
  readonly store: TaskStore;
  readonly forced: ReadonlySet<number>;
}

/**
 * Runs a stream as a task does, with flushes that reach the store later.
 *
 * @param forced after which batches a flush is taken beside those of `cuts`; `null` where the operator says so itself.
 */
async function run(
  rows: readonly Row[],
  cuts: readonly Cut[],
  workingSetBytes: number,
  forced: ReadonlySet<number> | null,
): Promise<Run> {
  const forcedHere = new Set<number>();
  const whole = batchOf(rows);
  const store = new TaskStore();
  const answers: unknown[] = [];
  let onTheirWay: Flush[] = [];
  let stored = { at: 0, watermarks: new PartitionWatermarks() };
  let watermarks = new PartitionWatermarks();
  let logic = new RollingLogic(definition, schema, { state: 'empty', watermarks, workingSetBytes });
  const apply = async (from: number, to: number): Promise<RecordBatch> => {
    const part = selectRows(
      whole,
      Int32Array.from({ length: to - from }, (_, i) => from + i),
    );
    await logic.prefetch(part, store);
    const answered = logic.apply(part);
    watermarks.observe(part);
    return answered;
  };
  const take = (at: number): void => {
    onTheirWay.push({ at, watermarks: watermarks.copy(), writes: logic.takeChanges() });
  };
  const commit = (): void => {
    const flush = onTheirWay.shift();
    if (flush === undefined) return;
    store.write(flush.writes);
    stored = flush;
    logic.changesStored();
  };
  for (let at = 0, step = 0; at < rows.length; step++) {
    const { size, after } = cuts[step % cuts.length] ?? { size: 4, after: 'flush' };
    const to = Math.min(at + size, rows.length);
    const answered = await apply(at, to);
    for (let row = 0; row < answered.rowCount; row++) {
      answers.push([...answered.columns.map((column) => valueAt(column, row)), answered.flags[row]]);
    }
    at = to;
    const isForced = forced === null ? logic.needsFlush && after !== 'crash' : forced.has(step);
    if (isForced) forcedHere.add(step);
    if (after === 'flush' || isForced) take(at);
    if (after === 'commit') commit();
    if (after !== 'crash') continue;
    onTheirWay = [];
    watermarks = stored.watermarks.copy();
    const state = stored.at === 0 ? 'empty' : 'stored';
    logic = new RollingLogic(definition, schema, { state, watermarks, workingSetBytes });
    if (stored.at < at) await apply(stored.at, at);
  }
  take(rows.length);
  while (onTheirWay.length > 0) commit();
  return { answers, store, forced: forcedHere };
}

/** The values that some record may still reach, as bytes: what the watermark has passed may be there still, or not. */
function reachable({ values }: TaskStore, rows: readonly Row[]): string[] {
  const horizonMs = Math.max(...rows.map(({ t }) => t)) - 3 - retentionMs;
  return [...values]
    .filter(([, value]) => newestStoredMs(value) > horizonMs)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('hex')}`)
    .toSorted();
}

const streamArbitrary = fc
  .array(
    fc.tuple(
      fc.record({
        card: fc.constantFrom('a', 'b', 'cc', 'd', 'e', 'ffff', null),
        place: fc.constantFrom('x', 'zürich', '', null),
      }),
      fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: 12 }) }, fc.integer({ min: -70, max: -1 })),
    ),
    { minLength: 1, maxLength: 50 },
  )
  .map((steps) => {
    let now = 1_000;
    return steps.map(([row, step]): Row => {
      now += Math.max(0, step);
      return { ...row, t: step >= 0 ? now : now + step };
    });
  });

const cutsArbitrary = fc.array(
  fc.record({
    size: fc.integer({ min: 1, max: 7 }),
    after: fc.constantFrom<After>('go on', 'go on', 'flush', 'flush', 'commit', 'commit', 'crash'),
  }),
  { minLength: 1, maxLength: 8 },
);

describe('a rolling operator with a bounded working set', () => {
  it('gives the same answers and leaves the same state for any bound, wherever it is flushed and crashes', async () => {
    const boundArbitrary = fc.constantFrom(1, 150, 400, 1_000);
    await fc.assert(
      fc.asyncProperty(streamArbitrary, cutsArbitrary, boundArbitrary, async (rows, cuts, bound) => {
        const bounded = await run(rows, cuts, bound, null);
        const unbounded = await run(rows, cuts, Infinity, bounded.forced);
        expect(bounded.answers).toEqual(unbounded.answers);
        expect(reachable(bounded.store, rows)).toEqual(reachable(unbounded.store, rows));
      }),
      { numRuns: 1_500 },
    );
  });

  it('holds no more than its bound once what changed is in the store, and reads the rest in one call a batch', async () => {
    const store = new TaskStore();
    const watermarks = new PartitionWatermarks();
    const bound = 20_000;
    const logic = new RollingLogic(definition, schema, { state: 'empty', watermarks, workingSetBytes: bound });
    const rows = Array.from({ length: 5_000 }, (_, i): Row => ({ card: `card ${(i * 7) % 1_000}`, place: 'p', t: 0 }));
    let most = 0;
    for (let at = 0; at < rows.length; at += 50) {
      const batch = batchOf(rows.slice(at, at + 50));
      const readsBefore = store.reads;
      await logic.prefetch(batch, store);
      expect(store.reads - readsBefore).toBeLessThanOrEqual(1);
      logic.apply(batch);
      most = Math.max(most, logic.keyCount);
      if (!logic.needsFlush) continue;
      store.write(logic.takeChanges());
      logic.changesStored();
    }
    expect(store.reads).toBeGreaterThan(50);
    // A key takes about 130 bytes; a batch of changed ones may stand over the bound.
    expect(most).toBeLessThan(250);
    expect(store.values.size).toBeGreaterThan(900);
  });

  it('deletes keys from the store whose rows expired while they were not in memory', async () => {
    const store = new TaskStore();
    const watermarks = new PartitionWatermarks();
    const logic = new RollingLogic(definition, schema, { state: 'empty', watermarks, workingSetBytes: 1 });
    let most = 0;
    for (let batch = 0; batch < 400; batch++) {
      // Each record is of a card of its own, and a batch is as long as rows are kept: nearly all that is stored has expired.
      const rows = Array.from({ length: 100 }, (_, i): Row => ({
        card: `card ${batch}/${i}`,
        place: 'p',
        t: batch * 50 + i / 2,
      }));
      const records = batchOf(rows);
      await logic.prefetch(records, store);
      logic.apply(records);
      store.write(logic.takeChanges());
      logic.changesStored();
      most = Math.max(most, store.values.size);
    }
    // 40,000 cards came by; a hundred or two are reachable at any time.
    expect(most).toBeLessThan(2_500);
  });

  it('answers with the text of a record that is not kept, also in the batch in which unused texts are forgotten', () => {
    const own: RollingDefinition = {
      ...definition,
      aggregates: [{ ...aggregate('last_place', 'last', 'place'), current: 'include' }],
    };
    const logic = new RollingLogic(own, schema, { state: 'empty', watermarks: new PartitionWatermarks() });
    for (let batch = 0; batch < 70; batch++) {
      const rows = Array.from({ length: 1_000 }, (_, i): Row => ({
        card: `card ${i % 7}`,
        place: `place ${batch}/${i}`,
        // The last one is too late to be kept.
        t: i < 999 ? 10_000 + batch * 100 : 1,
      }));
      const answered = logic.apply(batchOf(rows));
      const places = answered.columns[schema.fields.length];
      expect(places === undefined ? null : valueAt(places, 999)).toBe(`place ${batch}/999`);
    }
  });

  it('deletes keys that expired while the job was stopped', async () => {
    const store = new TaskStore();
    const open = (state: 'empty' | 'stored', watermarks: PartitionWatermarks): RollingLogic =>
      new RollingLogic(definition, schema, { state, watermarks });
    const first = open('empty', new PartitionWatermarks());
    first.apply(batchOf(Array.from({ length: 200 }, (_, i): Row => ({ card: `old ${i}`, place: 'p', t: i / 10 }))));
    store.write(first.takeChanges());
    expect(store.values.size).toBe(200);
    const next = open('stored', new PartitionWatermarks());
    for (let batch = 0; batch < 30; batch++) {
      const records = batchOf(Array.from({ length: 100 }, (): Row => ({ card: 'new', place: 'p', t: 10_000 + batch })));
      await next.prefetch(records, store);
      next.apply(records);
    }
    store.write(next.takeChanges());
    expect(store.values.size).toBe(1);
  });
});
