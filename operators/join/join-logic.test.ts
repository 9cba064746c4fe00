import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import { describeJoin } from './describe-join.ts';
import { inputColumn, type JoinDefinition, type JoinKind } from './join-definition.ts';
import { JoinLogic } from './join-logic.ts';

const schema = new Schema([
  { name: inputColumn, type: 'long', presence: 'optional' },
  { name: 'key', type: 'string', presence: 'optional' },
  { name: 'id', type: 'long', presence: 'required' },
]);

interface Item {
  readonly side: 0 | 1 | null;
  readonly partition: 0 | 1;
  readonly t: number;
  readonly key: string | null;
}

const delaysMs = [3, 5];
const definitionOf = (kind: JoinKind, beforeMs = 4, afterMs = 6): JoinDefinition => ({
  operatorId: 'j',
  kind,
  left: { input: 0, key: ['key'], columns: ['id'] },
  right: { input: 1, key: ['key'], columns: ['id'] },
  key: ['on'],
  beforeMs,
  afterMs,
  allowedLatenessMs: 2,
  delaysMs,
});

/** The results' schema would name `id` twice; the twin looks at ids alone, so the right one is another column. */
const rightId = { input: 1, key: ['key'], columns: ['other'] } as const;
const withOther = schema.with({ name: 'other', type: 'long', presence: 'optional' });

function batchOf(items: readonly Item[]): RecordBatch {
  const ids = numberColumnOf(items.map((_, id) => id));
  const columns = [numberColumnOf(items.map(({ side }) => side)), utf8ColumnOf(items.map(({ key }) => key)), ids, ids];
  const batch = recordBatch(withOther, columns, {
    partition: Int32Array.from(items, ({ side, partition }) => partition * 2 + (side ?? 0)),
    offset: Float64Array.from(items, (_, at) => at),
    eventTimesMs: Float64Array.from(items, ({ t }) => t),
  });
  const inputs = delaysMs.map((delayMs) => ({ delayMs, maxFutureSkewMs: 0 }));
  stampWatermarks(batch, null, new PartitionWatermarks(), { inputs });
  return batch;
}

/** Results as `cause: left+right`, in order. */
function textsOf(batch: RecordBatch): string[] {
  const [, , left, right] = batch.columns;
  const idOf = (column: typeof left, row: number): string =>
    column?.kind === 'number' && column.valid?.[row] !== 0 ? String(column.values[row]) : '-';
  return Array.from(
    { length: batch.rowCount },
    (_, row) => `${batch.offsets[row]}: ${idOf(left, row)}+${idOf(right, row)} at ${batch.eventTimesMs[row]}`,
  );
}

/** The join as one would explain it: after each record, every pair and every record is looked at again. */
function naive(definition: JoinDefinition, items: readonly Item[]): string[] {
  const { beforeMs, afterMs, allowedLatenessMs, kind } = definition;
  const results: string[] = [];
  const byPartition = new Map<number, number>();
  const taken: number[] = [];
  const alone = new Set<number>();
  const gone = new Set<number>();
  let joint = -Infinity;
  const partitionOf = ({ side, partition }: Item): number => partition * 2 + (side ?? 0);
  const move = (partition: number, toMs: number, cause: number): void => {
    byPartition.set(partition, Math.max(byPartition.get(partition) ?? -Infinity, toMs));
    const leastOf = (input: number): number => {
      const own = [...byPartition].filter(([each]) => each % 2 === input).map(([, ms]) => ms);
      return own.length === 0 ? -Infinity : Math.min(...own);
    };
    joint = Math.max(joint, Math.min(leastOf(0), leastOf(1)));
    const expiry = (id: number): number =>
      (items[id]?.t ?? 0) + (items[id]?.side === 0 ? afterMs : beforeMs) + allowedLatenessMs;
    const due = taken.filter((id) => !gone.has(id) && joint > expiry(id));
    due.sort((a, b) => {
      const [one, other] = [items[a], items[b]];
      if (one === undefined || other === undefined) return 0;
      const bySide = expiry(a) - expiry(b) || (one.side ?? 0) - (other.side ?? 0);
      return bySide || one.t - other.t || one.partition - other.partition || a - b;
    });
    for (const id of due) {
      gone.add(id);
      const { side, t } = items[id] ?? { side: 0, t: 0 };
      const isWanted = kind === 'full' || kind === (side === 0 ? 'left' : 'right');
      if (isWanted && alone.has(id)) results.push(`${cause}: ${side === 0 ? `${id}+-` : `-+${id}`} at ${t}`);
    }
  };
  items.forEach((item, id) => {
    const partition = partitionOf(item);
    const own = byPartition.get(partition) ?? -Infinity;
    move(partition, own, id);
    const isLate = item.t < Math.max(own, joint) - allowedLatenessMs;
    const isLeft = item.side === 0;
    if (item.side !== null && !isLate && item.key === null) {
      if (kind === 'full' || kind === (isLeft ? 'left' : 'right')) {
        results.push(`${id}: ${isLeft ? `${id}+-` : `-+${id}`} at ${item.t}`);
      }
    } else if (item.side !== null && !isLate) {
      const partners = taken.filter((other) => {
        const there = items[other];
        if (there === undefined || there.side === item.side || there.key !== item.key || gone.has(other)) return false;
        const apart = isLeft ? there.t - item.t : item.t - there.t;
        return -beforeMs <= apart && apart <= afterMs;
      });
      partners.sort((a, b) => {
        const [one, other] = [items[a], items[b]];
        return (one?.t ?? 0) - (other?.t ?? 0) || (one?.partition ?? 0) - (other?.partition ?? 0) || a - b;
      });
      if (partners.length === 0) alone.add(id);
      for (const other of partners) {
        alone.delete(other);
        const pair = isLeft ? `${id}+${other}` : `${other}+${id}`;
        results.push(`${id}: ${pair} at ${Math.max(item.t, items[other]?.t ?? 0)}`);
      }
      taken.push(id);
    }
    move(partition, item.t - (delaysMs[partition % 2] ?? 0), id);
  });
  return results;
}

const item = fc.record({
  side: fc.oneof({ weight: 12, arbitrary: fc.constantFrom(0 as const, 1 as const) }, fc.constant(null)),
  partition: fc.constantFrom(0 as const, 1 as const),
  step: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: -5, max: 6 }) }, fc.integer({ min: 7, max: 30 })),
  key: fc.oneof({ weight: 9, arbitrary: fc.constantFrom('a', 'b') }, fc.constant(null)),
});

const streams = fc.array(item, { minLength: 1, maxLength: 50 }).map((steps): readonly Item[] => {
  let t = 100;
  return steps.map(({ step, ...rest }) => ({ ...rest, t: (t += step) }));
});

class Store implements StateReader {
  readonly entries = new Map<string, { key: Uint8Array; value: Uint8Array }>();

  write(writes: readonly StateWrite[]): void {
    for (const { key, value } of writes) {
      if (value === null) this.entries.delete(Buffer.from(key).toString('hex'));
      else this.entries.set(Buffer.from(key).toString('hex'), { key, value });
    }
  }

  getMany(): Promise<readonly (Uint8Array | null)[]> {
    return Promise.resolve([]);
  }

  async *scan(): AsyncGenerator<{ key: Uint8Array; value: Uint8Array }> {
    for (const name of [...this.entries.keys()].sort()) {
      const entry = this.entries.get(name);
      if (entry !== undefined) yield await Promise.resolve(entry);
    }
  }
}

describe('a join by key and interval', () => {
  it.each(['inner', 'left', 'right', 'full'] as const)(
    'brings out the pairs and the lone records that one would find by hand, at the same records, in the same order: %s',
    (kind) => {
      const definition = { ...definitionOf(kind), right: rightId };
      fc.assert(
        fc.property(streams, (items) => {
          const logic = new JoinLogic(definition, withOther, null, { state: 'empty' });
          expect(textsOf(logic.apply(batchOf(items)))).toEqual(naive(definition, items));
        }),
        { numRuns: 1_000 },
      );
    },
  );

  it('goes on from its stored state as if nothing had happened, wherever it is cut, and stores no record twice', async () => {
    const definition = { ...definitionOf('full'), right: rightId };
    await fc.assert(
      fc.asyncProperty(streams, fc.array(fc.nat(50), { maxLength: 4 }), async (items, cuts) => {
        const batch = batchOf(items);
        const store = new Store();
        const got: string[] = [];
        let logic = new JoinLogic(definition, withOther, null, { state: 'empty' });
        let from = 0;
        for (const cut of [...cuts.toSorted((a, b) => a - b), items.length]) {
          const to = Math.min(items.length, cut);
          const rows = Int32Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
          const part = selectRows(batch, rows);
          await logic.prefetch(part, store);
          got.push(...textsOf(logic.apply(part)));
          from = Math.max(from, to);
          store.write(logic.takeChanges());
          // One entry for each record that is kept, and one for the watermarks.
          expect(store.entries.size - (from > 0 ? 1 : 0)).toBe(logic.rowCount);
          logic = new JoinLogic(definition, withOther, null, { state: 'stored' });
        }
        expect(got).toEqual(naive(definition, items));
      }),
      { numRuns: 400 },
    );
  });

  it('gives the same results, and the same late records, however the partitions of both inputs are interleaved', () => {
    const places = [0, 1, 2, 3].map((merged) => ({ side: (merged % 2) as 0 | 1, partition: (merged >> 1) as 0 | 1 }));
    // Each partition is heard from at first, and at the end far beyond.
    const edge = (t: number): Item[] => places.map((place) => ({ ...place, t, key: null }));
    const definition = { ...definitionOf('full'), right: rightId };
    const run = (items: readonly Item[], names: readonly string[]): { results: string[]; late: string[] } => {
      const logic = new JoinLogic(definition, withOther, null, { state: 'empty' });
      const { records, late } = logic.emit(batchOf(items));
      const nameOf = (id: string): string => names[Number(id)] ?? '-';
      const results = textsOf(records).map((text) => {
        const [, left = '', right = '', at = ''] = /: (.+)\+(.+) at (.+)/.exec(text) ?? [];
        return `${nameOf(left)}+${nameOf(right)} at ${at}`;
      });
      return { results: results.sort(), late: Array.from(late.offsets, (id) => nameOf(String(id))).sort() };
    };
    let lateCount = 0;
    fc.assert(
      fc.property(streams, fc.array(fc.nat(3), { minLength: 60, maxLength: 60 }), (items, turns) => {
        const placed = items.map((each) => ({ ...each, side: each.side ?? (0 as const) }));
        const queues = places.map(({ side, partition }) =>
          placed.filter((each) => each.side === side && each.partition === partition),
        );
        const nameIn = (each: Item): string =>
          `${each.side}${each.partition}${queues[each.partition * 2 + (each.side ?? 0)]?.indexOf(each as never)}`;
        const left = queues.map((queue) => [...queue]);
        const other: Item[] = [];
        for (const turn of [...turns, ...placed.flatMap(() => [0, 1, 2, 3])])
          other.push(...(left[turn]?.splice(0, 1) ?? []));
        const named = (order: readonly Item[]): ReturnType<typeof run> => {
          const all = [...edge(0), ...order, ...edge(10_000)];
          return run(
            all,
            all.map((each, at) => (at < 4 || at >= all.length - 4 ? 'edge' : nameIn(each))),
          );
        };
        const [one, two] = [named(placed), named(other)];
        lateCount += one.late.length;
        expect(two).toEqual(one);
      }),
      { numRuns: 1_000 },
    );
    expect(lateCount).toBeGreaterThan(0);
  });

  it('lets its state be read as rows', () => {
    const definition = { ...definitionOf('left'), right: rightId };
    const logic = new JoinLogic(definition, withOther, null, { state: 'empty' });
    logic.apply(
      batchOf([
        { side: 0, partition: 0, t: 5, key: 'a' },
        { side: 1, partition: 1, t: 6, key: 'a' },
      ]),
    );
    const describer = describeJoin(definition);
    const rows = logic.takeChanges().flatMap(({ key, value }) => describer.rowsOf({ key, value: value ?? key }));
    expect(rows.map(({ key, values }) => [key === null ? null : Buffer.from(key).toString(), values])).toEqual([
      ['a', { side: 'left', event_time: 5, partition: 0, offset: 0, matched: true, id: 0 }],
      ['a', { side: 'right', event_time: 6, partition: 3, offset: 1, other: 1 }],
      [null, { query: 1, 'partition 0': 2, 'partition 3': 1 }],
    ]);
  });

  it('stores records of any time, before the epoch too, in names that are in their order', () => {
    const times = [-(2 ** 40), -5, -1, 0, 3, 2 ** 33 + 1, 8_640_000_000_000_000];
    const logic = new JoinLogic({ ...definitionOf('inner'), right: rightId }, withOther, null, { state: 'empty' });
    logic.apply(batchOf(times.map((t) => ({ side: 0, partition: 0, t, key: 'a' }))));
    const describer = describeJoin({ ...definitionOf('inner'), right: rightId });
    const writes = logic.takeChanges().filter(({ key }) => key.length > 1);
    const sorted = writes.toSorted((a, b) => Buffer.compare(a.key, b.key));
    const stored = sorted.flatMap(({ key, value }) => describer.rowsOf({ key, value: value ?? key }));
    expect(stored.map(({ values }) => values['event_time'])).toEqual(times);
  });

  it('refuses stored bytes of another form, by name', async () => {
    const definition = { ...definitionOf('inner'), right: rightId };
    const logic = new JoinLogic(definition, withOther, null, { state: 'empty' });
    logic.apply(batchOf([{ side: 0, partition: 0, t: 5, key: 'a' }]));
    const store = new Store();
    store.write(logic.takeChanges().map((write) => ({ ...write, value: Uint8Array.of(9) })));
    const again = new JoinLogic(definition, withOther, null, { state: 'stored' });
    await expect(again.prefetch(batchOf([]), store)).rejects.toMatchObject({ code: 'STATE_FORMAT' });
  });
});
