import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { DEGRADED, GUARDED, LATE, recordBatch, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { StateEntry, StateReader, StateWrite } from '../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { newestInPanesMs } from './pane-format.ts';
import type { PaneRule, RollingAggregate } from './rolling-definition.ts';
import { RollingLogic, type RollingStart } from './rolling-logic.ts';
import { cardSchema } from './testing/card-rows.ts';
import { paneAggregate } from './testing/pane-stores.ts';

interface Row {
  readonly card?: string | null;
  readonly t: number;
  readonly amount?: number;
  /** The watermark that the record finds. */
  readonly w?: number;
  readonly partition?: number;
  readonly flags?: number;
}

function batchOf(...rows: readonly Row[]): RecordBatch {
  const batch = recordBatch(
    cardSchema,
    [
      utf8ColumnOf(rows.map(({ card = 'a' }) => card)),
      numberColumnOf(rows.map(({ amount = 1 }) => amount)),
      numberColumnOf(rows.map(() => null)),
    ],
    {
      partition: Int32Array.from(rows, ({ partition = 0 }) => partition),
      offset: 0,
      eventTimesMs: Float64Array.from(rows, ({ t }) => t),
    },
  );
  rows.forEach(({ w = -Infinity, flags = 0 }, row) => {
    batch.watermarksMs[row] = w;
    batch.flags[row] = flags;
  });
  return batch;
}

const rowsAt = (...times: readonly number[]): Row[] => times.map((t) => ({ t }));
const inPanes: PaneRule = { sizeMs: 10 };
const count = (more: Partial<RollingAggregate> = {}): RollingAggregate =>
  paneAggregate('count', null, { name: 'n', ...more });

/** Of counts over 100 ms in panes of 10, unless said otherwise. The lateness that is allowed is 20 ms. */
function opened(
  rule: PaneRule = inPanes,
  aggregates: readonly RollingAggregate[] = [count()],
  start: Partial<RollingStart> = {},
): RollingLogic {
  const definition = { operatorId: 'op', key: ['card'], aggregates, allowedLatenessMs: 20 };
  return new RollingLogic({ ...definition, panes: rule }, cardSchema, {
    state: 'empty',
    watermarks: new PartitionWatermarks(),
    ...start,
  });
}

const answersOf = (batch: RecordBatch, name = 'n'): unknown[] => toRows(batch).map((row) => row[name]);

interface Kept {
  readonly card: string;
  readonly rows: number;
  readonly panes: number;
  readonly newestMs: number;
}

/** What is written: how many rows and panes of which cards, and which are deleted. */
function changesOf(writes: readonly StateWrite[]): { readonly kept: Kept[]; readonly deleted: string[] } {
  const nameOf = (key: Uint8Array): string => Buffer.from(key).toString();
  expect(writes.map(({ operatorId }) => operatorId)).toEqual(writes.map(() => 'op'));
  return {
    kept: writes.flatMap(({ key, value }) => {
      if (value === null) return [];
      const view = new DataView(value.buffer, value.byteOffset);
      const [rows, panes] = [view.getUint32(4, true), view.getUint32(8, true)];
      return [{ card: nameOf(key), rows, panes, newestMs: newestInPanesMs(value) }];
    }),
    deleted: writes.flatMap(({ key, value }) => (value === null ? [nameOf(key)] : [])),
  };
}

describe('a record of a rolling feature in panes', () => {
  it('keeps what it was flagged before, and its batch is left as it was', () => {
    const batch = batchOf({ t: 99, w: 120, flags: GUARDED }, { t: 99, card: null, w: 120, flags: GUARDED });
    const answered = opened().apply(batch);
    expect([...answered.flags]).toEqual([DEGRADED | GUARDED, GUARDED]);
    expect(answersOf(answered)).toEqual([0, null]);
    expect([...batch.flags]).toEqual([GUARDED, GUARDED]);
  });

  it('is answered under the fields of the definition, behind its own', () => {
    const names = ['card', 'amount', 'flagged', 'n'];
    expect(opened().outputSchema.fields.map(({ name }) => name)).toEqual(names);
    expect(
      opened()
        .apply(batchOf())
        .schema.fields.map(({ name }) => name),
    ).toEqual(names);
  });

  it.each([inPanes, { sizeMs: 10, aboveRecords: 50 }])(
    'is late beyond the longest window, and not kept then: %o',
    (rule) => {
      const logic = opened(rule);
      const rows = [
        { t: 100, w: 120 },
        { t: 99, w: 120 },
        { t: 300, w: 299 },
        { t: 179, w: 299 },
        { t: 178, w: 299 },
      ];
      expect([...logic.apply(batchOf(...rows)).flags]).toEqual([0, DEGRADED, 0, DEGRADED, LATE]);
      // The window of the next one begins before both.
      expect(answersOf(logic.apply(batchOf({ t: 277, w: 299 })))).toEqual([1]);
    },
  );

  it('does not see what lies after its window, nor what comes from before it', () => {
    const logic = opened(inPanes, [count({ overMs: 20, delayMs: 5 })]);
    expect(answersOf(logic.apply(batchOf(...rowsAt(0, 1, 10, 20, 21, 25, 26, 35))))).toEqual([0, 0, 2, 3, 3, 3, 4, 4]);
  });

  it('sees what the watermark of its own partition has not passed, whatever that of others', () => {
    const logic = opened();
    logic.apply(batchOf({ t: 1, w: 0 }, { t: 2, w: 0, partition: 1 }));
    logic.apply(batchOf({ t: 1_000, w: 999 }, { t: 3, w: 0, partition: 1 }));
    expect(answersOf(logic.apply(batchOf({ t: 1_000, w: 999 }, { t: 4, w: 3, partition: 1 })))).toEqual([1, 3]);
  });

  it('is answered from rows alone where the horizon is where its key was compacted to', () => {
    const sum = paneAggregate('sum', 'amount', { overMs: 25 });
    const sums = (lastW: number): unknown[] => {
      const logic = opened({ sizeMs: 10, aboveRecords: 3 }, [sum]);
      // Compacted up to 0, where the watermark is 22.
      logic.apply(batchOf({ t: -3, w: 22 }, { t: -2, w: 22 }, { t: -1, w: 22 }, { t: 30, amount: 1e40, w: 22 }));
      logic.apply(batchOf({ t: 31, amount: 1, w: 22 }, { t: 32, amount: -1e40, w: 22 }));
      return answersOf(logic.apply(batchOf({ t: 34, w: lastW })), 'sum_amount');
    };
    // Digits far below the highest are cut off in panes; compensated doubles keep them.
    expect([sums(44), sums(45)]).toEqual([[0], [1]]);
  });
});

describe('the state of rolling features in panes', () => {
  it('is written without the rows of panes that no window splits any more, and without what the watermark has passed', () => {
    const logic = opened();
    logic.apply(batchOf(...rowsAt(1, 2, 3, 11, 12, 21, 22, 23)));
    expect(changesOf(logic.takeChanges())).toEqual({
      kept: [{ card: 'a', rows: 8, panes: 2, newestMs: 30 }],
      deleted: [],
    });
    expect(logic.takeChanges()).toEqual([]);
    // Panes up to 10 are sealed, and then up to 30.
    logic.apply(batchOf({ t: 40, w: 39 }));
    expect(changesOf(logic.takeChanges()).kept).toEqual([{ card: 'a', rows: 6, panes: 2, newestMs: 40 }]);
    logic.apply(batchOf({ t: 51, w: 50 }));
    expect(changesOf(logic.takeChanges()).kept).toEqual([{ card: 'a', rows: 4, panes: 2, newestMs: 51 }]);
    // What ends at 20 is behind the horizon of 140.
    logic.apply(batchOf({ t: 140, w: 140 }));
    expect(changesOf(logic.takeChanges()).kept).toEqual([{ card: 'a', rows: 3, panes: 1, newestMs: 140 }]);
  });

  it('is rows alone of a key that is not compacted, and panes afterwards, also of what comes when nothing compacted can be seen', () => {
    const logic = opened({ sizeMs: 10, aboveRecords: 3 });
    const kept = (...rows: readonly Row[]): unknown => {
      logic.apply(batchOf(...rows));
      return changesOf(logic.takeChanges()).kept.map(({ rows: rowCount, panes }) => [rowCount, panes]);
    };
    expect(kept(...rowsAt(1, 2, 3))).toEqual([[3, 0]]);
    expect(kept({ t: 31, w: 30 })).toEqual([[1, 1]]);
    const later = [201, 202, 203].map((t): Row => ({ t, w: 200 }));
    expect(kept(...later)).toEqual([[3, 1]]);
  });

  it('is deleted where the watermark has passed all of it, and is written again where the key comes back', () => {
    const logic = opened(inPanes, [count()], { workingSetBytes: Infinity });
    logic.apply(
      batchOf({ t: 10, card: 'at the horizon' }, { t: 11, card: 'behind it' }, { t: 12, card: 'null', w: -1 }),
    );
    logic.dropChanges();
    expect(logic.takeChanges()).toEqual([]);
    expect(logic.keyCount).toBe(3);
    for (let i = 0; i < 4; i++) logic.apply(batchOf({ t: 130, card: 'new', w: 130 }));
    expect(changesOf(logic.takeChanges())).toEqual({
      kept: [{ card: 'new', rows: 4, panes: 1, newestMs: 130 }],
      deleted: ['at the horizon'],
    });
    expect(logic.keyCount).toBe(3);
    for (let i = 0; i < 4; i++) logic.apply(batchOf({ t: 140, card: 'new', w: 140 }));
    expect(logic.keyCount).toBe(1);
    logic.dropChanges();
    expect(logic.takeChanges()).toEqual([]);
    expect(answersOf(logic.apply(batchOf({ t: 141, card: 'behind it', w: 140 })))).toEqual([0]);
  });

  it('is looked through by an eighth as many keys as a batch has records, and one', () => {
    const cards = Array.from({ length: 30 }, (_, i): Row => ({ t: 1, card: `card ${i}` }));
    const logic = opened();
    logic.apply(batchOf(...cards));
    const left = (): number => {
      logic.apply(batchOf(...Array.from({ length: 16 }, (): Row => ({ t: 500, card: 'new', w: 500 }))));
      return logic.keyCount;
    };
    // The first four had been looked at before; the new one is among those at the end.
    expect(Array.from({ length: 12 }, left)).toEqual([28, 25, 22, 19, 16, 13, 10, 7, 5, 2, 1, 1]);
  });

  it.each([inPanes, { sizeMs: 10, aboveRecords: 1 }])(
    'is written as deleted where it is all forgotten by then: %o',
    (rule) => {
      const logic = opened(rule);
      // So many other keys that its turn to be looked at has not come.
      const others = Array.from({ length: 40 }, (_, i): Row => ({ t: 10_000, card: `other ${i}` }));
      // Where keys are compacted, both are, up to 10: the horizon of the next batch, which has passed one of them.
      const own = [10, 9].map((t): Row => ({ t, w: 30 }));
      logic.apply(batchOf(...others, ...own, ...own.map((row): Row => ({ ...row, t: row.t + 2, card: 'b' }))));
      logic.apply(batchOf({ t: 10_000, card: 'other 0', w: 130 }));
      const { kept, deleted } = changesOf(logic.takeChanges());
      expect(deleted).toEqual(['a']);
      expect(kept).toHaveLength(41);
    },
  );
});

describe('the stored state of rolling features in panes', () => {
  const nothing: StateReader = {
    getMany: () => Promise.reject(new Error('there is nothing to read')),
    async *scan() {},
  };

  /** Says what it is asked for; what it looks at in turn is always the same. */
  function readerOf(
    asked: string[][],
    values: Readonly<Record<string, Uint8Array>>,
    entries: readonly StateEntry[] = [],
  ): StateReader {
    return {
      getMany: (operatorId, keys) => {
        const names = keys.map((key) => Buffer.from(key).toString());
        asked.push([operatorId, ...names]);
        return Promise.resolve(names.map((name) => values[name] ?? null));
      },
      async *scan() {},
      scanSome: () => {
        asked.push(['some']);
        return Promise.resolve({ entries, next: null });
      },
    };
  }

  it('is not looked for where there can be none', async () => {
    await expect(opened().prefetch(batchOf({ t: 0 }), nothing)).resolves.toBeUndefined();
  });

  it('is asked for what is not in memory alone, in one call, and looked through in between', async () => {
    const asked: string[][] = [];
    const logic = opened(inPanes, [count()], { state: 'stored' });
    const batches = [
      batchOf({ t: 0 }, { t: 1, card: 'b' }, { t: 2 }, { t: 3, card: null }),
      batchOf({ t: 4 }),
      batchOf({ t: 5, card: 'c' }),
    ];
    for (const batch of batches) {
      await logic.prefetch(batch, readerOf(asked, {}));
      logic.apply(batch);
    }
    expect(asked).toEqual([['op', 'a', 'b'], ['some'], ['op', 'c']]);
  });

  it('is deleted key by key where the watermark has passed all of it, but for what is in memory', async () => {
    const writer = opened();
    writer.apply(batchOf({ t: 10, card: 'gone' }, { t: 11, card: 'there' }, { t: 10, card: 'held' }));
    const entries = writer
      .takeChanges()
      .map(({ key, value }): StateEntry => ({ key, value: value ?? new Uint8Array(0) }));
    const watermarks = new PartitionWatermarks([{ partition: 0, watermarkMs: 130 }]);
    const logic = opened(inPanes, [count()], { state: 'stored', watermarks });
    const asked: string[][] = [];
    const look = async (records: number): Promise<void> => {
      const batch = batchOf(...Array.from({ length: records }, (): Row => ({ t: 130, card: 'held', w: 130 })));
      await logic.prefetch(batch, readerOf(asked, {}, entries));
    };
    await look(1);
    expect(changesOf(logic.takeChanges())).toEqual({ kept: [], deleted: ['gone'] });
    // A third of what was looked at was to be deleted: as many are looked at after 512 records as after 1,024 otherwise.
    await look(511);
    expect(asked).toEqual([['op', 'held'], ['some']]);
    await look(1);
    expect(asked).toEqual([['op', 'held'], ['some'], ['some']]);
  });

  it('is what is let go of where memory is bounded, and read again', async () => {
    const logic = opened(inPanes, [count()], { workingSetBytes: 1 });
    const cards = ['a', 'b', 'c', 'd'];
    const batch = batchOf(...cards.map((card): Row => ({ t: 1, card })));
    await logic.prefetch(batch, nothing);
    logic.apply(batch);
    expect([logic.keyCount, logic.needsFlush]).toEqual([4, true]);
    const heldBytes = logic.heldBytes;
    // Room for four rows of a key, of the event time alone, and the keys themselves.
    expect(heldBytes).toBeGreaterThan(4 * 4 * 8);
    const values = Object.fromEntries(
      logic.takeChanges().map(({ key, value }) => [Buffer.from(key).toString(), value ?? new Uint8Array(0)]),
    );
    expect(logic.needsFlush).toBe(false);
    logic.changesStored();
    const asked: string[][] = [];
    for (const card of ['a', 'e', 'b']) {
      const next = batchOf({ t: 2, card });
      await logic.prefetch(next, readerOf(asked, values));
      expect(answersOf(logic.apply(next))).toEqual([card === 'e' ? 0 : 1]);
    }
    expect(logic.keyCount).toBe(3);
    expect(logic.heldBytes).toBeLessThan(heldBytes);
    expect(asked.filter(([what]) => what === 'op')).toEqual([
      ['op', 'e'],
      ['op', 'b'],
    ]);
  });

  it('is all held where memory is not bounded', () => {
    const logic = opened();
    logic.apply(batchOf({ t: 1 }, { t: 1, card: 'b' }));
    logic.takeChanges();
    logic.changesStored();
    logic.apply(batchOf({ t: 2, card: 'c' }));
    expect([logic.keyCount, logic.needsFlush]).toEqual([3, false]);
  });
});
