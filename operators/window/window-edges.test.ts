import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../engine/error.ts';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { DEGRADED, LATE, MARK, recordBatch, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateEntry, StateReader } from '../../engine/state/state-store.ts';
import { compareWindows, type OpenWindow } from './open-window.ts';
import type { WindowDefinition } from './window-definition.ts';
import { watermarksName } from './window-format.ts';
import { WindowLogic } from './window-logic.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
]);
const base: WindowDefinition = {
  operatorId: 'w',
  key: ['card'],
  window: { kind: 'tumbling', sizeMs: 10, startMs: 0 },
  where: null,
  aggregates: [{ name: 'n', spec: { function: 'count' }, input: null, where: null }],
  outputMode: 'append',
  allowedLatenessMs: 0,
  lateness: 'wait',
  delayMs: 0,
  closedBy: 'partition',
};

interface Item {
  readonly t: number;
  readonly card?: string | null;
  readonly p?: number;
  readonly flags?: number;
}

/** Records with nothing said of the watermark before them: they move it themselves. */
function batchOf(items: readonly Item[]): RecordBatch {
  const columns = [utf8ColumnOf(items.map(({ card = 'a' }) => card)), numberColumnOf(items.map(() => 1))];
  const batch = recordBatch(schema, columns, {
    partition: Int32Array.from(items, ({ p = 0 }) => p),
    offset: 50,
    eventTimesMs: Float64Array.from(items, ({ t }) => t),
  });
  items.forEach(({ flags = 0 }, row) => (batch.flags[row] = flags));
  return batch;
}

const open = (change: Partial<WindowDefinition> = {}): WindowLogic =>
  new WindowLogic({ ...base, ...change }, schema, { state: 'empty' });
const at = (...times: number[]): Item[] => times.map((t) => ({ t }));
const brief = (records: RecordBatch): string[] =>
  toRows(records).map(
    (row, i) =>
      `${row['card']} [${row['window_start']}, ${row['window_end']}) ${row['n']} @${(records.offsets[i] ?? 0) - 50}`,
  );
const run = (change: Partial<WindowDefinition>, items: readonly Item[]): string[] =>
  brief(open(change).emit(batchOf(items)).records);

describe('sessions', () => {
  const session = { window: { kind: 'session', gapMs: 12 }, delayMs: 100 } as const;

  it('are made one by a record between them, in whatever order they came', () => {
    expect(run(session, at(20, 0, 10, 900))).toEqual(['a [0, 32) 3 @3']);
    expect(run(session, at(0, 20, 10, 900))).toEqual(['a [0, 32) 3 @3']);
    expect(run({ ...session, delayMs: 200 }, at(40, 20, 0, 10, 30, 900))).toEqual(['a [0, 52) 5 @5']);
    expect(run(session, at(20, 20, 30, 25, 900))).toEqual(['a [20, 42) 4 @4']);
  });

  it('of other partitions are not met', () => {
    const items = [{ t: 0 }, { t: 5, p: 1 }, { t: 900 }, { t: 900, p: 1 }];
    expect(run(session, items)).toEqual(['a [0, 12) 1 @2', 'a [5, 17) 1 @3']);
  });

  it('that begin where others end stay apart', () => {
    expect(run(session, at(12, 0, 900))).toEqual(['a [0, 12) 1 @2', 'a [12, 24) 1 @2']);
  });
});

describe('a window that fires, and fires again for what comes late', () => {
  const firing = { lateness: 'fire', allowedLatenessMs: 5 } as const;

  it('gives a result at its end, and another one with each late record, until the allowed lateness is over', () => {
    const logic = open(firing);
    const { records, late } = logic.emit(batchOf(at(1, 10, 2, 3, 14, 4, 15, 5)));
    expect(brief(records)).toEqual(['a [0, 10) 1 @1', 'a [0, 10) 2 @2', 'a [0, 10) 3 @3', 'a [0, 10) 4 @5']);
    expect([...late.offsets]).toEqual([57]);
    expect(logic.windowCount).toBe(1);
  });

  it('gives one that is opened late at once', () => {
    expect(run(firing, at(12, 3, 40))).toEqual(['a [0, 10) 1 @1', 'a [10, 20) 1 @2']);
    expect(run(firing, at(9, 3, 40))).toEqual(['a [0, 10) 2 @2']);
  });

  it('is over at its end where nothing may come late', () => {
    const logic = open({ lateness: 'fire' });
    const { records, late } = logic.emit(batchOf(at(1, 10, 2)));
    expect([brief(records), [...late.offsets], logic.windowCount]).toEqual([['a [0, 10) 1 @1'], [52], 1]);
  });

  it('waits otherwise, and gives its one result when the allowed lateness is over', () => {
    expect(run({ allowedLatenessMs: 5 }, at(1, 10, 2, 14, 15))).toEqual(['a [0, 10) 2 @4']);
  });
});

describe('a table of all results', () => {
  const complete = { outputMode: 'complete', closedBy: 'query' } as const;

  it('comes out whole when a window of it closes, and again when one that was closed has changed', () => {
    expect(run(complete, at(1, 11, 25, 2, 26))).toEqual([
      'a [0, 10) 1 @1',
      'a [10, 20) 1 @1',
      'a [0, 10) 1 @2',
      'a [10, 20) 1 @2',
      'a [20, 30) 1 @2',
      'a [0, 10) 2 @3',
      'a [10, 20) 1 @3',
      'a [20, 30) 1 @3',
    ]);
  });

  it('takes in what is however late', () => {
    const { taken, late } = open(complete).emit(batchOf(at(900, 1)));
    expect([taken, late.rowCount]).toEqual([2, 0]);
  });

  it('may have ten thousand windows, and no more', () => {
    const window = { kind: 'hopping', sizeMs: 100, everyMs: 1, startMs: 0 } as const;
    const logic = open({ ...complete, window });
    logic.emit(batchOf(Array.from({ length: 100 }, (_, i) => ({ t: 500, card: `card ${i}` }))));
    expect(logic.windowCount).toBe(10_000);
    let refusal: unknown;
    try {
      logic.emit(batchOf([{ t: 501, card: 'card 0' }]));
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(SluiceError);
    expect(refusal).toMatchObject({
      code: 'WINDOW_TABLE_FULL',
      message:
        'output mode complete must keep at most 10000 windows, all of which it publishes again and again; operator w has as many: use append or update, or larger windows',
      fields: { operator: 'w' },
    });
    const update = open({ window, outputMode: 'update' });
    update.emit(batchOf(Array.from({ length: 101 }, (_, i) => ({ t: 500, card: `card ${i}` }))));
    expect(update.windowCount).toBe(10_100);
  });
});

describe('what the plan refuses', () => {
  it('is a bug of ours where it comes here', () => {
    const session = { kind: 'session', gapMs: 5 } as const;
    expect(() => open({ outputMode: 'complete' })).toThrow('a table of all results has one watermark');
    expect(() => open({ window: session, outputMode: 'update' })).toThrow('the plan refuses update for sessions');
    expect(() => open({ window: session, lateness: 'fire' })).toThrow('the plan refuses to let sessions fire again');
    expect(open({ outputMode: 'update' }).windowCount).toBe(0);
    expect(open({ outputMode: 'complete', closedBy: 'query' }).windowCount).toBe(0);
  });
});

describe('the records of windows', () => {
  it('that are no records move the watermark alone', () => {
    const { records, taken, filtered, late } = open().emit(
      batchOf([{ t: 1 }, { t: 10, flags: MARK, card: null }, { t: 11, flags: MARK | DEGRADED }]),
    );
    expect([brief(records), taken, filtered, late.rowCount]).toEqual([['a [0, 10) 1 @1'], 1, 0, 0]);
  });

  it('that are late say so, beside what they were flagged before', () => {
    const { late } = open().emit(batchOf([{ t: 30 }, { t: 1, flags: DEGRADED }, { t: 31 }, { t: 2 }]));
    expect([[...late.offsets], [...late.flags]]).toEqual([
      [51, 53],
      [DEGRADED | LATE, LATE],
    ]);
  });

  it('are late exactly when their window is over', () => {
    const lateOf = (change: Partial<WindowDefinition>, ...times: number[]): number[] =>
      [...open(change).emit(batchOf(at(...times))).late.offsets].map((offset) => offset - 50);
    expect(lateOf({}, 9, 9)).toEqual([]);
    expect(lateOf({}, 10, 9)).toEqual([1]);
    expect(lateOf({ allowedLatenessMs: 3 }, 12, 9)).toEqual([]);
    expect(lateOf({ allowedLatenessMs: 3 }, 13, 9)).toEqual([1]);
  });

  it('of a window by count widen it to their times', () => {
    const count = { kind: 'count', size: 3 } as const;
    expect(run({ window: count }, at(5, 9, 2, 7))).toEqual(['a [2, 10) 3 @2']);
    expect(run({ window: { kind: 'count', size: 1 } }, at(5))).toEqual(['a [5, 6) 1 @0']);
  });
});

describe('results that come out together', () => {
  const windowOf = (endMs: number, startMs: number, key: string, scope: number): OpenWindow => {
    const owner = { slot: 0, bytes: new TextEncoder().encode(key), values: [], windows: [] };
    return {
      key: owner,
      scope,
      startMs,
      endMs,
      records: 0,
      states: [],
      phase: 'open',
      dueMs: 0,
      queuedMs: 0,
      isLive: true,
    };
  };

  it('are in the order of their end, their start, their key and their partition', () => {
    const inOrder = [
      windowOf(1, 9, 'z', 9),
      windowOf(2, 0, 'z', 9),
      windowOf(2, 1, 'a', 9),
      windowOf(2, 1, 'b', 1),
      windowOf(2, 1, 'b', 2),
    ];
    const signs = inOrder.map((a) => inOrder.map((b) => Math.sign(compareWindows(a, b))));
    expect(signs).toEqual(inOrder.map((_, i) => inOrder.map((__, j) => Math.sign(i - j))));
  });

  it('have the last instant of their window as their event time, and the watermark that brought them out', () => {
    const { records } = open({ delayMs: 3 }).emit(
      batchOf([
        { t: 1, p: 2 },
        { t: 14, p: 2 },
      ]),
    );
    expect([[...records.eventTimesMs], [...records.watermarksMs], [...records.partitions]]).toEqual([[9], [11], [2]]);
    const updated = open({ outputMode: 'update' }).emit(
      batchOf([
        { t: 1, p: 2 },
        { t: 4, p: 2 },
      ]),
    ).records;
    expect([[...updated.watermarksMs], [...updated.partitions]]).toEqual([
      [-Infinity, 1],
      [2, 2],
    ]);
  });

  it('have the fields of the definition', () => {
    const names = ['card', 'window_start', 'window_end', 'n'];
    expect(open().outputSchema.fields.map(({ name }) => name)).toEqual(names);
    expect(
      open()
        .apply(batchOf([]))
        .schema.fields.map(({ name }) => name),
    ).toEqual(names);
  });
});

describe('windows of several inputs', () => {
  const inputs = { closedBy: 'query', inputDelaysMs: [0, 20] } as const;

  it('close when all inputs were heard from, each by its own delay', () => {
    // Partitions 0 and 2 are of the first input, 1 of the second.
    expect(run(inputs, [{ t: 1 }, { t: 50 }, { t: 50, p: 2 }])).toEqual([]);
    expect(run(inputs, [{ t: 1 }, { t: 50 }, { t: 29, p: 1 }])).toEqual([]);
    expect(run(inputs, [{ t: 1 }, { t: 50 }, { t: 30, p: 1 }])).toEqual(['a [0, 10) 1 @2']);
    expect(run(inputs, [{ t: 1 }, { t: 90, p: 1 }, { t: 9 }, { t: 10 }])).toEqual(['a [0, 10) 2 @3']);
  });
});

describe('the state of windows', () => {
  const noState: StateReader = {
    getMany: () => Promise.reject(new Error('windows are scanned')),
    // eslint-disable-next-line require-yield
    async *scan(): AsyncGenerator<StateEntry> {
      await Promise.reject(new Error('there is nothing to read'));
    },
  };

  it('is not looked for where there can be none', async () => {
    await expect(open().prefetch(batchOf([]), noState)).resolves.toBeUndefined();
  });

  it('is written where it has changed, the watermarks with each flush behind a record', () => {
    const logic = open();
    expect(logic.takeChanges()).toEqual([]);
    logic.emit(batchOf(at(1)));
    expect(logic.takeChanges().map(({ key }) => key.length === watermarksName.length)).toEqual([false, true]);
    expect(logic.takeChanges()).toEqual([]);
    logic.emit(batchOf([{ t: 2, card: null }]));
    expect(logic.takeChanges().map(({ key }) => key)).toEqual([watermarksName]);
    logic.emit(batchOf(at(3, 40)));
    logic.dropChanges();
    expect(logic.takeChanges()).toEqual([]);
  });

  it('forgets a key with its last window, which gives its place to another', () => {
    const logic = open();
    for (let i = 0; i < 5; i++) logic.emit(batchOf([{ t: i * 10, card: `card ${i}` }]));
    expect(logic.windowCount).toBe(1);
    expect(
      brief(
        logic.emit(
          batchOf([
            { t: 41, card: 'other' },
            { t: 42, card: 'card 4' },
            { t: 50, card: null },
          ]),
        ).records,
      ),
    ).toEqual(['card 4 [40, 50) 2 @2', 'other [40, 50) 1 @2']);
  });
});
