import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateEntry, StateReader, StateWrite } from '../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { DedupeLogic } from './dedupe-logic.ts';

const schema = new Schema([{ name: 'id', type: 'string', presence: 'optional' }]);
const withinMs = 50;
const definition = { operatorId: 'dedupe', by: ['id'], withinMs };

interface Row {
  readonly id: string | null;
  readonly t: number;
}

function batchOf(rows: readonly Row[]): RecordBatch {
  const eventTimesMs = Float64Array.from(rows, ({ t }) => t);
  const batch = recordBatch(schema, [utf8ColumnOf(rows.map(({ id }) => id))], {
    partition: 0,
    offset: 0,
    eventTimesMs,
  });
  let highest = -Infinity;
  rows.forEach(({ t }, row) => {
    batch.watermarksMs[row] = highest;
    highest = Math.max(highest, t);
  });
  return batch;
}

/** Offsets of the records that a list of all kept ones lets through. */
function naive(rows: readonly Row[], batch: RecordBatch, within: number): number[] {
  const newest = new Map<string, number>();
  return rows.flatMap(({ id, t }, row) => {
    if (id === null) return [row];
    const keptMs = newest.get(id) ?? -Infinity;
    const remembered = keptMs > (batch.watermarksMs[row] ?? 0) - within;
    if (remembered && Math.abs(t - keptMs) < within) return [];
    newest.set(id, Math.max(keptMs, t));
    return [row];
  });
}

class MapStore implements StateReader {
  readonly #values = new Map<string, StateEntry>();

  write(writes: readonly StateWrite[]): void {
    for (const { key, value } of writes) {
      const name = Buffer.from(key).toString('hex');
      if (value === null) this.#values.delete(name);
      else this.#values.set(name, { key, value: Buffer.concat([Buffer.from('x'), value]).subarray(1) });
    }
  }

  getMany(): Promise<readonly null[]> {
    return Promise.resolve([]);
  }

  async *scan(): AsyncGenerator<StateEntry> {
    for (const name of [...this.#values.keys()].sort()) {
      const entry = this.#values.get(name);
      if (entry !== undefined) yield await Promise.resolve(entry);
    }
  }
}

const streamArbitrary = fc
  .array(fc.tuple(fc.option(fc.integer({ min: 0, max: 12 })), fc.integer({ min: -60, max: 30 })), { maxLength: 120 })
  .map((steps) => {
    let now = 0;
    return steps.map(([id, step]): Row => {
      now += Math.max(0, step);
      return { id: id === null ? null : `id ${id}`, t: now + Math.min(0, step) };
    });
  });

describe('deduplication', () => {
  it.each([
    ['for a while', withinMs],
    ['for ever', Infinity],
  ])(
    '%s lets through what a list of everything let through would, whatever the batches and restarts',
    async (_length, within) => {
      const remembered = { ...definition, withinMs: within };
      await fc.assert(
        fc.asyncProperty(
          streamArbitrary,
          fc.array(fc.tuple(fc.integer({ min: 1, max: 30 }), fc.boolean())),
          async (rows, cuts) => {
            const whole = batchOf(rows);
            const store = new MapStore();
            let watermarks = new PartitionWatermarks();
            let logic = new DedupeLogic(remembered, { state: 'empty', watermarks });
            const kept: number[] = [];
            for (let at = 0, step = 0; at < rows.length; step++) {
              const [size, restart] = cuts[step % Math.max(1, cuts.length)] ?? [7, true];
              const part = selectRows(
                whole,
                Int32Array.from({ length: Math.min(size, rows.length - at) }, (_, i) => at + i),
              );
              await logic.prefetch(part, store);
              kept.push(...logic.apply(part).offsets);
              at += part.rowCount;
              watermarks = watermarks.copy();
              watermarks.observe(part);
              if (!restart) continue;
              store.write(logic.takeChanges());
              logic = new DedupeLogic(remembered, { state: 'stored', watermarks });
            }
            expect(kept).toEqual(naive(rows, whole, within));
          },
        ),
        { numRuns: 1_000 },
      );
    },
  );

  it('for ever forgets nothing, also where the watermark has passed everything', () => {
    const remembered = { ...definition, withinMs: Infinity };
    const logic = new DedupeLogic(remembered, { state: 'empty', watermarks: new PartitionWatermarks() });
    logic.apply(batchOf(Array.from({ length: 5_000 }, (_, i) => ({ id: `id ${i}`, t: i }))));
    const last = batchOf([{ id: 'id 0', t: 9_000_000 }]);
    last.watermarksMs.fill(Infinity);
    expect(logic.apply(last).rowCount).toBe(0);
    expect(logic.keyCount).toBe(5_000);
    expect(logic.takeChanges().filter(({ value }) => value === null)).toEqual([]);
  });

  it('forgets what the watermark has passed, and keeps only the open chunk of a stream that went on without its ids', () => {
    const logic = new DedupeLogic(definition, { state: 'empty', watermarks: new PartitionWatermarks() });
    logic.apply(batchOf(Array.from({ length: 5_000 }, (_, i) => ({ id: `id ${i}`, t: i }))));
    logic.apply(
      batchOf([
        { id: 'end', t: 90_000 },
        { id: 'after', t: 90_001 },
      ]),
    );
    expect(logic.keyCount).toBeLessThan(600);
    expect(logic.takeChanges().filter(({ value }) => value === null).length).toBeGreaterThan(0);
  });
});
