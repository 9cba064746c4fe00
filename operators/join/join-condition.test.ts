import { describe, expect, it } from 'vitest';
import { compileExpression } from '../../engine/expression/compile-expression.ts';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import {
  DEGRADED,
  GUARDED,
  LATE,
  MARK,
  recordBatch,
  toRows,
  type RecordBatch,
} from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateEntry, StateReader, StateWrite } from '../../engine/state/state-store.ts';
import { inputColumn, type JoinDefinition, type JoinKind } from './join-definition.ts';
import { JoinLogic, type JoinOutputs } from './join-logic.ts';

const schema = new Schema([
  { name: inputColumn, type: 'long', presence: 'optional' },
  { name: 'key', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'paid', type: 'double', presence: 'optional' },
]);

const definitionOf = (kind: JoinKind): JoinDefinition => ({
  operatorId: 'j',
  kind,
  left: { input: 0, key: ['key'], columns: ['amount'] },
  right: { input: 1, key: ['key'], columns: ['paid'] },
  key: ['key'],
  beforeMs: 4,
  afterMs: 6,
  allowedLatenessMs: 2,
  delaysMs: [0, 0],
});

interface Item {
  readonly side: 0 | 1 | null;
  readonly t: number;
  readonly value?: number | null;
  readonly key?: string | null;
  readonly flags?: number;
  readonly w?: number;
}

/** Records of input 0 in partition 0, of input 1 in partition 1. */
function batchOf(items: readonly Item[]): RecordBatch {
  const values = numberColumnOf(items.map(({ value = 1 }) => value));
  const batch = recordBatch(
    schema,
    [numberColumnOf(items.map(({ side }) => side)), utf8ColumnOf(items.map(({ key = 'k' }) => key)), values, values],
    {
      partition: Int32Array.from(items, ({ side }) => side ?? 0),
      offset: 100,
      eventTimesMs: Float64Array.from(items, ({ t }) => t),
    },
  );
  items.forEach(({ flags = 0, w = -Infinity }, row) => {
    batch.flags[row] = flags;
    batch.watermarksMs[row] = w;
  });
  return batch;
}

function opened(kind: JoinKind, condition: string | null = null, outputs: JoinOutputs = 'results'): JoinLogic {
  const resultSchema = new JoinLogic(definitionOf(kind), schema, null, { state: 'empty' }).outputSchema;
  const compiled = condition === null ? null : compileExpression(condition, resultSchema);
  return new JoinLogic(definitionOf(kind), schema, compiled, { state: 'empty' }, outputs);
}

const briefOf = (records: RecordBatch): unknown[] =>
  toRows(records).map(({ key, amount, paid, event_time }) => [key, amount, paid, event_time]);

/** Two records that lie close, a third that is too far, and enough time for all of them to leave. */
const three: readonly Item[] = [
  { side: 0, t: 10, value: 5 },
  { side: 1, t: 12, value: 4 },
  { side: 1, t: 13, value: 6 },
];
const end: readonly Item[] = [
  { side: 0, t: 900, key: null },
  { side: 1, t: 900, key: null },
];

describe('the condition of a join', () => {
  it('is what two records must meet, beside key and time, to be partners', () => {
    const { records } = opened('inner', 'paid < amount').emit(batchOf([...three, ...end]));
    expect(briefOf(records)).toEqual([['k', 5, 4, 12]]);
    expect(briefOf(opened('inner').emit(batchOf([...three, ...end])).records)).toHaveLength(2);
  });

  it.each([
    ['left', [['k', 5, 4, 12]]],
    [
      'right',
      [
        ['k', 5, 4, 12],
        ['k', null, 6, 13],
      ],
    ],
    [
      'full',
      [
        ['k', 5, 4, 12],
        ['k', null, 6, 13],
      ],
    ],
  ] as const)('leaves a record that no partner meets it with alone: %s', (kind, wanted) => {
    const logic = opened(kind, 'paid < amount');
    const got = briefOf(logic.emit(batchOf([...three, ...end])).records);
    expect(got.filter((row) => (row as unknown[])[3] !== 900)).toEqual(wanted);
    expect(logic.rowCount).toBe(0);
    const noneMeets = briefOf(opened(kind, 'paid > 100.0').emit(batchOf([...three, ...end])).records);
    expect(noneMeets.some((row) => (row as unknown[])[1] !== null && (row as unknown[])[2] !== null)).toBe(false);
  });

  it('is not met where it is null', () => {
    const logic = opened('full', 'paid < amount');
    const { records } = logic.emit(
      batchOf([
        { side: 0, t: 10, value: null },
        { side: 1, t: 10, value: 4 },
      ]),
    );
    expect(records.rowCount).toBe(0);
  });
});

describe('the times of a join', () => {
  const pairsOf = (...items: Item[]): number => opened('inner').emit(batchOf(items)).records.rowCount;

  it('let partners meet whose distance is at the ends of the interval, and no others', () => {
    const left = { side: 0, t: 100 } as const;
    for (const [t, pairs] of [
      [95.9, 0],
      [96, 1],
      [106, 1],
      [106.1, 0],
    ] as const) {
      expect([t, pairsOf(left, { side: 1, t })]).toEqual([t, pairs]);
      expect([t, pairsOf({ side: 1, t }, left)]).toEqual([t, pairs]);
    }
  });

  it('say that a record is late that is more than allowed behind its watermark or the joint one, with its flags', () => {
    const judged = (item: Item, ...before: Item[]): unknown => {
      const { taken, filtered, late } = opened('inner').emit(batchOf([...before, item]));
      return [taken - before.length, filtered, [...late.flags]];
    };
    expect(judged({ side: 0, t: 98, w: 100 })).toEqual([1, 0, []]);
    expect(judged({ side: 0, t: 97.9, w: 100, flags: DEGRADED })).toEqual([0, 0, [DEGRADED | LATE]]);
    const both: Item[] = [
      { side: 0, t: 100 },
      { side: 1, t: 100 },
    ];
    expect(judged({ side: 0, t: 98 }, ...both)).toEqual([1, 0, []]);
    expect(judged({ side: 1, t: 97.9 }, ...both)).toEqual([0, 0, [LATE]]);
  });

  it('are not moved by a record from too far in the future, and are moved by one of neither input', () => {
    const pair: Item[] = [
      { side: 0, t: 100 },
      { side: 1, t: 100 },
    ];
    const keptAfter = (...more: Item[]): number => {
      const logic = opened('inner');
      logic.emit(batchOf([...pair, ...more]));
      return logic.rowCount;
    };
    const far = [
      { side: 0, t: 500 },
      { side: 1, t: 500 },
    ] as const;
    expect(keptAfter(...far)).toBe(2);
    expect(keptAfter(...far.map((item) => ({ ...item, flags: GUARDED })))).toBe(4);
    const logic = opened('inner');
    const { taken, filtered } = logic.emit(
      batchOf([...pair, { side: null, t: 500 }, { side: 1, t: 104 }, { side: 1, t: 109 }]),
    );
    expect([taken, filtered]).toEqual([4, 1]);
    // The right record has left at 109 (100 + 4 + 2 before it), the left one (100 + 6 + 2) too.
    expect(logic.rowCount).toBe(2);
  });

  it('count a record of an input that is of neither side, and one without a key, as filtered', () => {
    const { taken, filtered, late } = opened('left').emit(
      batchOf([
        { side: 1, t: 10, key: null },
        { side: 0, t: 10, key: null },
      ]),
    );
    expect([taken, filtered, late.rowCount]).toEqual([1, 1, 0]);
  });
});

describe('what comes out beside the results', () => {
  it('is nothing, or how far the watermark is each time that it moves', () => {
    const items = [...three, ...end];
    const { flags: plain } = opened('left').emit(batchOf(items)).records;
    expect([...plain]).toEqual([0, 0, 0]);
    const { records } = opened('left', null, 'results and marks').emit(batchOf(items));
    const marks = Array.from(records.flags, (flags, row) => [flags, records.watermarksMs[row], records.offsets[row]]);
    // Of a left join a record waits for partners of up to 6 behind it: results are that much behind the watermark.
    expect(marks.filter(([flags]) => flags === MARK)).toEqual([
      [MARK, 4, 101],
      [MARK, 7, 103],
      [MARK, 894, 104],
    ]);
    expect(toRows(records).at(-1)).toEqual({ key: null, event_time: null, amount: null, paid: null });
  });

  it('judges each result of an inner join at once where marks come between', () => {
    const { records } = opened('inner', 'paid < amount', 'results and marks').emit(batchOf([...three, ...end]));
    const results = [...records.flags].filter((flags) => flags === 0).length;
    expect([results, records.rowCount - results]).toEqual([1, 3]);
  });

  it('carries the watermark as it stood, behind by what a lone record waits for', () => {
    const watermarksOf = (kind: JoinKind): number[] => {
      const logic = opened(kind);
      logic.emit(batchOf(three));
      return [...logic.emit(batchOf([{ side: 0, t: 11, value: 1 }])).records.watermarksMs];
    };
    // Both inputs stand at 10; the new record of input 0 does not move the least.
    expect(watermarksOf('inner')).toEqual([10, 10]);
    expect(watermarksOf('left')).toEqual([4, 4]);
    expect(watermarksOf('right')).toEqual([6, 6]);
    expect(watermarksOf('full')).toEqual([4, 4]);
  });
});

describe('the state of a join', () => {
  class Store implements StateReader {
    readonly values = new Map<string, Uint8Array>();
    scans = 0;

    write(writes: readonly StateWrite[]): void {
      for (const { key, value } of writes) {
        if (value === null) this.values.delete(Buffer.from(key).toString('latin1'));
        else this.values.set(Buffer.from(key).toString('latin1'), value);
      }
    }

    getMany(): Promise<readonly null[]> {
      return Promise.reject(new Error('records are scanned'));
    }

    async *scan(): AsyncGenerator<StateEntry> {
      this.scans++;
      for (const [name, value] of this.values) yield await Promise.resolve({ key: Buffer.from(name, 'latin1'), value });
    }
  }

  it('is read once, and not at all where there can be none', async () => {
    const store = new Store();
    const logic = opened('full');
    await logic.prefetch(batchOf([]), store);
    expect(store.scans).toBe(0);
    logic.emit(batchOf(three));
    store.write(logic.takeChanges());
    const again = new JoinLogic(definitionOf('full'), schema, null, { state: 'stored' });
    for (let time = 0; time < 2; time++) await again.prefetch(batchOf([]), store);
    expect([store.scans, again.rowCount]).toEqual([1, 3]);
    expect(again.takeChanges()).toEqual([]);
    // All of them have had partners, and leave in silence.
    expect(briefOf(again.emit(batchOf(end)).records).filter((row) => (row as unknown[])[0] !== null)).toEqual([]);
    expect(again.rowCount).toBe(0);
  });

  it('has nothing to write after changes were dropped', () => {
    const logic = opened('full');
    logic.emit(batchOf(three));
    logic.dropChanges();
    expect(logic.takeChanges()).toEqual([]);
  });

  it('writes a partner again that it had written without one, where somebody asks for that', () => {
    const written = (kind: JoinKind): number => {
      const logic = opened(kind);
      logic.emit(batchOf([{ side: 0, t: 10 }]));
      logic.takeChanges();
      logic.emit(batchOf([{ side: 1, t: 10 }]));
      return logic.takeChanges().filter(({ key }) => key.length > 1).length;
    };
    expect([written('inner'), written('left'), written('right'), written('full')]).toEqual([1, 2, 1, 2]);
  });
});
