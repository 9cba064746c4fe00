import { describe, expect, it } from 'vitest';
import { utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateEntry, StateReader, StateWrite } from '../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { chunkKey } from './chunk-format.ts';
import { DedupeLogic } from './dedupe-logic.ts';
import { describeDedupe } from './describe-dedupe.ts';

const schema = new Schema([{ name: 'id', type: 'string', presence: 'optional' }]);
const definition = { operatorId: 'dedupe', by: ['id'], withinMs: 50 };
const describer = describeDedupe(definition);

interface Row {
  readonly id: string | null;
  readonly t: number;
  /** The watermark as the record finds it. */
  readonly w?: number;
}

function batchOf(rows: readonly Row[]): RecordBatch {
  const batch = recordBatch(schema, [utf8ColumnOf(rows.map(({ id }) => id))], {
    partition: 0,
    offset: 0,
    eventTimesMs: Float64Array.from(rows, ({ t }) => t),
  });
  rows.forEach(({ w = -Infinity }, row) => (batch.watermarksMs[row] = w));
  return batch;
}

const ids = (count: number, from = 0): Row[] =>
  Array.from({ length: count }, (_, i) => ({ id: `id ${from + i}`, t: 0 }));

class ListStore implements StateReader {
  readonly entries = new Map<string, StateEntry>();
  scans = 0;

  write(writes: readonly StateWrite[]): void {
    for (const { key, value } of writes) {
      const name = Buffer.from(key).toString('hex');
      if (value === null) this.entries.delete(name);
      else this.entries.set(name, { key, value });
    }
  }

  getMany(): Promise<readonly null[]> {
    return Promise.resolve([]);
  }

  async *scan(operatorId: string): AsyncGenerator<StateEntry> {
    if (operatorId !== 'dedupe') throw new RangeError(`${operatorId} has no state`);
    this.scans++;
    for (const name of [...this.entries.keys()].sort()) {
      const entry = this.entries.get(name);
      if (entry !== undefined) yield await Promise.resolve(entry);
    }
  }
}

const opened = (state: 'empty' | 'stored'): DedupeLogic =>
  new DedupeLogic(definition, { state, watermarks: new PartitionWatermarks() });
const keptOf = (logic: DedupeLogic, rows: readonly Row[]): number[] => [...logic.apply(batchOf(rows)).offsets];

describe('what deduplication remembers', () => {
  it('ends exactly where the time between two records is reached, and where the watermark is that far past the first', () => {
    expect(
      keptOf(opened('empty'), [
        { id: 'a', t: 0 },
        { id: 'a', t: 49.9 },
        { id: 'a', t: 50 },
      ]),
    ).toEqual([0, 2]);
    expect(
      keptOf(opened('empty'), [
        { id: 'a', t: 0 },
        { id: 'a', t: -49.9 },
        { id: 'a', t: -50 },
      ]),
    ).toEqual([0, 2]);
    const again = (w: number): number[] =>
      keptOf(opened('empty'), [
        { id: 'a', t: 0 },
        { id: 'a', t: 1, w },
      ]);
    expect(again(49.9)).toEqual([0]);
    expect(again(50)).toEqual([0, 1]);
  });

  it('hands on a batch without duplicates as it is', () => {
    const batch = batchOf([
      { id: 'a', t: 0 },
      { id: null, t: 0 },
      { id: null, t: 0 },
    ]);
    expect(opened('empty').apply(batch)).toBe(batch);
  });

  it('is read from the store once, before the first batch, and not at all where there can be nothing', async () => {
    const store = new ListStore();
    const fresh = opened('empty');
    await fresh.prefetch(batchOf([]), store);
    expect(store.scans).toBe(0);
    const logic = opened('stored');
    await logic.prefetch(batchOf([]), store);
    await logic.prefetch(batchOf([]), store);
    expect(store.scans).toBe(1);
  });

  it('is written in chunks of 256 that a restart goes on filling, and only those that changed', async () => {
    const store = new ListStore();
    const first = opened('empty');
    first.apply(batchOf(ids(300)));
    expect(first.keyCount).toBe(300);
    store.write(first.takeChanges());
    expect(first.takeChanges()).toEqual([]);
    const second = opened('stored');
    await second.prefetch(batchOf([]), store);
    expect(second.keyCount).toBe(300);
    expect(keptOf(second, ids(301))).toEqual([300]);
    second.apply(batchOf(ids(299, 301)));
    const writes = second.takeChanges();
    expect(writes.map(({ key }) => key)).toEqual([chunkKey(1), chunkKey(2)]);
    store.write(writes);
    expect([...store.entries.values()].map((entry) => describer.rowsOf(entry).length)).toEqual([256, 256, 88]);
  });

  it('has nothing to write after changes were dropped, deleted chunks included', () => {
    const logic = opened('empty');
    logic.apply(batchOf(ids(300)));
    logic.apply(batchOf([{ id: 'end', t: 1_000, w: 900 }]));
    logic.dropChanges();
    expect(logic.takeChanges()).toEqual([]);
  });

  it('lets a chunk go with the watermark exactly so far past its newest record, but for the open one', () => {
    const logic = opened('empty');
    logic.apply(batchOf([...ids(255), { id: 'newest', t: 10 }, { id: 'open', t: 0 }]));
    logic.apply(batchOf([{ id: null, t: 0, w: 59.9 }]));
    expect(logic.keyCount).toBe(257);
    logic.takeChanges();
    logic.apply(batchOf([{ id: null, t: 0, w: 60 }]));
    expect(logic.keyCount).toBe(1);
    expect(logic.takeChanges()).toEqual([{ operatorId: 'dedupe', key: chunkKey(0), value: null }]);
    logic.apply(batchOf([{ id: null, t: 0, w: 1_000 }]));
    expect(logic.keyCount).toBe(1);
    expect(logic.takeChanges()).toEqual([]);
  });

  it('does not write a chunk that is let go before it was ever stored', () => {
    const logic = opened('empty');
    logic.apply(batchOf([...ids(257), { id: null, t: 0, w: 1_000 }]));
    expect(logic.takeChanges().map(({ key, value }) => [key, value === null])).toEqual([
      [chunkKey(0), true],
      [chunkKey(1), false],
    ]);
  });

  it('keeps a key whose old record goes with its chunk while a newer record of it stays', async () => {
    const logic = opened('empty');
    const rows = [...ids(256), { id: 'id 0', t: 100 }];
    logic.apply(batchOf(rows));
    logic.apply(batchOf([{ id: null, t: 0, w: 60 }]));
    expect(logic.keyCount).toBe(1);
    expect(keptOf(logic, [{ id: 'id 0', t: 101, w: 60 }])).toEqual([]);
    expect(keptOf(logic, [{ id: 'id 1', t: 101, w: 60 }])).toEqual([0]);
    // The same after a restart, where the newer record stands behind the older one in the log.
    const store = new ListStore();
    const whole = opened('empty');
    whole.apply(batchOf(rows));
    store.write(whole.takeChanges());
    const again = opened('stored');
    await again.prefetch(batchOf([]), store);
    expect(keptOf(again, [{ id: 'id 0', t: 149 }])).toEqual([]);
    expect(keptOf(again, [{ id: 'id 0', t: 150 }])).toEqual([0]);
  });

  it('of a key is its newest record, also after an older one was let through later', async () => {
    const rows = [
      { id: 'a', t: 100 },
      { id: 'a', t: 20 },
    ];
    const logic = opened('empty');
    expect(keptOf(logic, rows)).toEqual([0, 1]);
    expect(keptOf(logic, [{ id: 'a', t: 120 }])).toEqual([]);
    const store = new ListStore();
    store.write(logic.takeChanges());
    const again = opened('stored');
    await again.prefetch(batchOf([]), store);
    expect(keptOf(again, [{ id: 'a', t: 120 }])).toEqual([]);
  });

  it('has room for as many keys as come', () => {
    const logic = opened('empty');
    const rows = ids(5_000).map(({ id }, i) => ({ id, t: i }));
    expect(keptOf(logic, rows)).toHaveLength(5_000);
    expect(keptOf(logic, rows)).toEqual([]);
  });
});
