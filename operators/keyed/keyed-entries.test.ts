import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../engine/error.ts';
import { numberColumnOf, type ByteSlab } from '../../engine/record/column.ts';
import { GUARDED, recordBatch, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateEntry, StateReader, StateWrite } from '../../engine/state/state-store.ts';
import { DueEntries, type DueEntry } from './due-entries.ts';
import { keptEntry } from './kept-entry.ts';
import { KeyedEntries, watermarksName, type EntryFormat } from './keyed-entries.ts';
import { ScopedWatermarks } from './scoped-watermarks.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function dueEntry(key: string, dueMs: number): DueEntry {
  return { bytes: bytesOf(key), dueMs, queuedMs: Infinity, isLive: true };
}

const named = (entry: DueEntry | null): string | null =>
  entry === null ? null : `${textOf(entry.bytes)} ${entry.dueMs}`;

describe('the entries that are due', () => {
  it('come out by their time, ties by key, and not before it, whatever the order in which they were put in', () => {
    const added = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'bb', 'c'), fc.integer({ min: -9, max: 9 })), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(added, fc.integer({ min: -11, max: 11 })), { maxLength: 6 }), (turns) => {
        const queue = new DueEntries();
        let waiting: DueEntry[] = [];
        for (const [more, watermarkMs] of turns) {
          const entries = more.map(([key, dueMs]) => dueEntry(key, dueMs));
          for (const entry of entries) queue.add(entry);
          waiting.push(...entries);
          const wanted = waiting
            .filter(({ dueMs }) => dueMs <= watermarkMs)
            .sort((a, b) => a.dueMs - b.dueMs || Buffer.compare(a.bytes, b.bytes));
          expect(wanted.map(() => named(queue.take(watermarkMs)))).toEqual(wanted.map(named));
          expect(queue.take(watermarkMs)).toBeNull();
          waiting = waiting.filter(({ dueMs }) => dueMs > watermarkMs);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('are put back where their time has moved on, and stand at an earlier one where it has moved there', () => {
    const queue = new DueEntries();
    const [later, earlier] = [dueEntry('later', 5), dueEntry('earlier', 5)];
    for (const entry of [later, earlier]) queue.add(entry);
    later.dueMs = 8;
    queue.add(later);
    earlier.dueMs = 2;
    queue.add(earlier);
    expect([later.queuedMs, earlier.queuedMs]).toEqual([5, 2]);
    expect(named(queue.take(2))).toBe('earlier 2');
    expect(earlier.queuedMs).toBe(Infinity);
    expect(queue.take(7)).toBeNull();
    expect(later.queuedMs).toBe(8);
    expect(queue.take(7.9)).toBeNull();
    expect(named(queue.take(8))).toBe('later 8');
    expect(queue.take(Infinity)).toBeNull();
  });

  it('are forgotten where they are no more, and stay out where they are never due', () => {
    const queue = new DueEntries();
    const [gone, never] = [dueEntry('gone', 1), dueEntry('never', Infinity)];
    for (const entry of [gone, never]) queue.add(entry);
    gone.isLive = false;
    expect(queue.take(Infinity)).toBeNull();
  });
});

const schema = new Schema([{ name: 'x', type: 'double', presence: 'optional' }]);

/** Rows of partitions, with the watermark that each finds. */
function batchOf(
  rows: readonly { readonly p: number; readonly t: number; readonly w?: number; readonly flags?: number }[],
): RecordBatch {
  const batch = recordBatch(schema, [numberColumnOf(rows.map(() => 1))], {
    partition: Int32Array.from(rows, ({ p }) => p),
    offset: 0,
    eventTimesMs: Float64Array.from(rows, ({ t }) => t),
  });
  rows.forEach(({ w = -Infinity, flags = 0 }, row) => {
    batch.watermarksMs[row] = w;
    batch.flags[row] = flags;
  });
  return batch;
}

describe('the watermarks of keys', () => {
  const rows = batchOf([
    { p: 0, t: 10, w: 3 },
    { p: 1, t: 30 },
    { p: 0, t: 25, flags: GUARDED },
    { p: 1, t: 20 },
  ]);

  it('are those of their partition, before a row and behind it', () => {
    const watermarks = new ScopedWatermarks('partition', 2);
    expect([watermarks.scopeOf(0), watermarks.scopeOf(5), watermarks.of(0)]).toEqual([0, 5, -Infinity]);
    watermarks.moveTo(rows, 0);
    expect(watermarks.of(0)).toBe(3);
    watermarks.movePast(rows, 0);
    expect([watermarks.of(0), watermarks.of(1)]).toEqual([8, -Infinity]);
    watermarks.movePast(rows, 1);
    // One from too far in the future does not move it, and none moves it back.
    watermarks.movePast(rows, 2);
    watermarks.movePast(rows, 3);
    expect([watermarks.of(0), watermarks.of(1)]).toEqual([8, 28]);
  });

  it('are the least of all partitions where keys come from several, which never moves back', () => {
    const watermarks = new ScopedWatermarks('query', 2);
    expect([watermarks.scopeOf(0), watermarks.scopeOf(5), watermarks.of(-1)]).toEqual([-1, -1, -Infinity]);
    watermarks.movePast(rows, 1);
    expect(watermarks.of(-1)).toBe(28);
    watermarks.movePast(rows, 0);
    expect(watermarks.of(-1)).toBe(28);
    watermarks.movePast(batchOf([{ p: 0, t: 50 }]), 0);
    watermarks.movePast(batchOf([{ p: 1, t: 41 }]), 0);
    expect(watermarks.of(-1)).toBe(39);
  });

  it('go on from what was stored of them', () => {
    const watermarks = new ScopedWatermarks('query', 2);
    watermarks.movePast(rows, 1);
    watermarks.movePast(rows, 0);
    const restored = new ScopedWatermarks('query', 2);
    restored.restore(watermarks.encode());
    expect([restored.of(-1), restored.of(0), restored.of(1), restored.of(2)]).toEqual([28, 8, 28, -Infinity]);
    expect([...restored.encode()]).toEqual([...watermarks.encode()]);
  });

  it('are refused by name where they are of another version', () => {
    const bytes = new ScopedWatermarks('query', 2).encode();
    bytes[0] = 7;
    const refused = (): void => new ScopedWatermarks('query', 2).restore(bytes);
    expect(refused).toThrow(SluiceError);
    expect(refused).toThrow('stored watermarks must have version 1; got 7: rebuild the state from the log');
    expect(refused).toThrow(expect.objectContaining({ code: 'STATE_FORMAT' }));
  });
});

/** State that is a number, in one byte. */
const format: EntryFormat<number> = {
  encode: (state) => Uint8Array.of(1, state),
  decode: (bytes) => {
    expect(bytes.buffer.byteLength).toBe(2);
    return bytes[1] ?? NaN;
  },
};

class Store implements StateReader {
  readonly values = new Map<string, Uint8Array>();
  scans = 0;

  write(writes: readonly StateWrite[]): void {
    for (const { key, value } of writes) {
      const name = Buffer.from(key).toString('latin1');
      if (value === null) this.values.delete(name);
      else this.values.set(name, value);
    }
  }

  getMany(): Promise<readonly null[]> {
    return Promise.reject(new Error('keys are scanned'));
  }

  async *scan(operatorId: string): AsyncGenerator<StateEntry> {
    if (operatorId !== 'op') throw new RangeError(`${operatorId} has no state`);
    this.scans++;
    // As a store that hands out views of what it has read.
    for (const [name, value] of this.values) {
      yield await Promise.resolve({
        key: Buffer.from(`.${name}`, 'latin1').subarray(1),
        value: Buffer.concat([value, value]).subarray(0, value.length),
      });
    }
  }
}

function slabOf(...keys: readonly string[]): ByteSlab {
  const offsets = Int32Array.from(keys, () => 0);
  const ends = keys.reduce<number[]>((so, key) => [...so, (so.at(-1) ?? 0) + bytesOf(key).length], [0]);
  return { data: bytesOf(keys.join('')), offsets: Int32Array.from([...ends].slice(0, offsets.length + 1)) };
}

function opened(state: 'empty' | 'stored', watermarks = new ScopedWatermarks('partition', 0)): KeyedEntries<number> {
  return new KeyedEntries('op', format, watermarks, { state });
}

const hexOf = (writes: readonly StateWrite[]): (readonly [string, string | null])[] =>
  writes.map(({ operatorId, key, value }) => {
    expect(operatorId).toBe('op');
    return [Buffer.from(key).toString('hex'), value === null ? null : Buffer.from(value).toString('hex')];
  });

describe('the state of an operator by key', () => {
  const keys = slabOf('a', 'bc', 'a');

  it('is found by key and scope', () => {
    const entries = opened('empty');
    const [a0, a1, b0] = [entries.insert(keys, 0, 0, 5), entries.insert(keys, 0, 1, 6), entries.insert(keys, 1, 0, 7)];
    expect([entries.find(keys, 2, 0), entries.find(keys, 2, 1), entries.find(keys, 1, 0)]).toEqual([a0, a1, b0]);
    expect([entries.find(keys, 1, 1), entries.find(slabOf('b'), 0, 0)]).toEqual([undefined, undefined]);
    expect(entries.size).toBe(3);
    entries.remove(a0);
    expect([entries.find(keys, 0, 0), entries.find(keys, 0, 1), entries.size]).toEqual([undefined, a1, 2]);
    entries.remove(a1);
    expect([entries.find(keys, 0, 1), entries.find(keys, 1, 0), entries.size]).toEqual([undefined, b0, 1]);
    expect([a0.isLive, b0.isLive]).toEqual([false, true]);
  });

  it('is written under its key and scope where it has changed, deletions first, and once', () => {
    const entries = opened('empty');
    const [a, b] = [entries.insert(keys, 0, 0, 5), entries.insert(keys, 1, -1, 7)];
    expect(hexOf(entries.takeChanges())).toEqual([
      ['61ff00000000', '0105'],
      ['6263ffffffffff', '0107'],
    ]);
    expect(entries.takeChanges()).toEqual([]);
    b.state = 9;
    entries.markChanged(b);
    entries.markChanged(a);
    entries.remove(a);
    entries.insert(keys, 0, 0, 8);
    expect(hexOf(entries.takeChanges())).toEqual([
      ['61ff00000000', null],
      ['6263ffffffffff', '0109'],
      ['61ff00000000', '0108'],
    ]);
    entries.markChanged(b);
    entries.remove(b);
    entries.takeDue(0);
    entries.dropChanges();
    expect(entries.takeChanges()).toEqual([]);
  });

  it('is written with the watermarks once they may have moved', () => {
    const watermarks = new ScopedWatermarks('partition', 0);
    const entries = opened('empty', watermarks);
    entries.takeDue(0);
    expect(entries.takeChanges()).toEqual([{ operatorId: 'op', key: watermarksName, value: watermarks.encode() }]);
    expect(entries.takeChanges()).toEqual([]);
  });

  it('is due by the watermark of its scope', () => {
    const watermarks = new ScopedWatermarks('partition', 0);
    const entries = opened('empty', watermarks);
    const [a, b] = [entries.insert(keys, 0, 0, 5), entries.insert(keys, 1, 1, 7)];
    entries.schedule(a, 10);
    entries.schedule(b, 10);
    watermarks.movePast(batchOf([{ p: 0, t: 9 }]), 0);
    expect([entries.takeDue(0), entries.takeDue(1), entries.takeDue(2)]).toEqual([null, null, null]);
    watermarks.movePast(batchOf([{ p: 0, t: 10 }]), 0);
    expect([entries.takeDue(1), entries.takeDue(0), entries.takeDue(0)]).toEqual([null, a, null]);
  });

  it('is read whole, once, with the watermarks, and is due as its owner says', async () => {
    const store = new Store();
    const watermarks = new ScopedWatermarks('partition', 0);
    const first = opened('empty', watermarks);
    first.insert(keys, 0, 0, 5);
    first.insert(keys, 1, 3, 7);
    watermarks.movePast(batchOf([{ p: 3, t: 40 }]), 0);
    first.takeDue(0);
    store.write(first.takeChanges());
    const again = new ScopedWatermarks('partition', 0);
    const second = opened('stored', again);
    for (let time = 0; time < 2; time++) await second.load(store, (state) => state * 5);
    expect([store.scans, second.size, again.of(3)]).toEqual([1, 2, 40]);
    expect(second.find(keys, 0, 0)?.state).toBe(5);
    expect([second.takeDue(0), second.takeDue(3)?.state, second.takeDue(3)]).toEqual([null, 7, null]);
    second.dropChanges();
    expect(second.takeChanges()).toEqual([]);
    const empty = opened('empty');
    await empty.load(store, () => 0);
    expect([store.scans, empty.size]).toEqual([1, 0]);
  });
});

describe('a stored entry, read as rows', () => {
  const read = (state: Uint8Array) => [{ eventTimeMs: state[0] ?? 0, values: { size: state.length } }];

  it('has its key and its partition', () => {
    const key = (scope: number[]): Uint8Array => Uint8Array.of(0, 97, 98, 0xff, ...scope).subarray(1);
    const value = Uint8Array.of(0, 5, 6).subarray(1);
    expect(keptEntry({ key: key([0, 0, 1, 2]), value }, read)).toEqual([
      { key: bytesOf('ab'), eventTimeMs: 5, values: { partition: 258, size: 2 } },
    ]);
    expect(keptEntry({ key: key([255, 255, 255, 255]), value }, read)[0]?.values).toEqual({ partition: null, size: 2 });
    expect(keptEntry({ key: key([0, 0, 0, 0]), value }, read)[0]?.values).toEqual({ partition: 0, size: 2 });
  });

  it('has the watermarks, null where there was no record', () => {
    const watermarks = new ScopedWatermarks('partition', 0);
    watermarks.movePast(batchOf([{ p: 4, t: 40 }]), 0);
    watermarks.movePast(batchOf([{ p: 2, t: 40, flags: GUARDED }]), 0);
    expect(keptEntry({ key: watermarksName, value: watermarks.encode() }, read)).toEqual([
      { key: null, eventTimeMs: null, values: { query: 40, 'partition 4': 40, 'partition 2': null } },
    ]);
  });
});
