import { describe, expect, it } from 'vitest';
import { Schema } from '../../engine/record/schema.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import { StateWriter } from '../aggregate/state-bytes.ts';
import { ScopedWatermarks } from '../keyed/scoped-watermarks.ts';
import type { RollingAggregate } from '../rolling/rolling-definition.ts';
import { acrossEntities } from './across-entities.ts';
import type { AmendDefinition, Tolerance } from './amend-definition.ts';
import { layOutAmend } from './amend-layout.ts';
import { describeAmend } from './describe-amend.ts';
import { decodeRecord, encodeRecord, recordName, type KeptRecord } from './kept-record.ts';
import { watermarksName } from './kept-records.ts';
import { OrderedRecords } from './ordered-records.ts';
import { isBeyond } from './tolerance.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'shop', type: 'long', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'unread', type: 'double', presence: 'optional' },
]);

const aggregate = (name: string, input: string | null, overMs: number, delayMs = 0): RollingAggregate => {
  const function_ = input === null ? ('count' as const) : ('sum' as const);
  return {
    name,
    function: function_,
    input,
    where: null,
    overMs,
    delayMs,
    current: 'exclude',
    n: null,
    halfLifeMs: null,
  };
};

const definition: AmendDefinition = {
  operatorId: 'amendments',
  key: ['card'],
  identity: ['card'],
  features: ['sum', 'sums', 'count'],
  watched: [],
  withinMs: 100,
  steps: [
    {
      kind: 'rolling',
      definition: {
        operatorId: 'a',
        key: ['card'],
        aggregates: [aggregate('sum', 'amount', 50, 7)],
        allowedLatenessMs: 9,
      },
    },
    {
      kind: 'rolling',
      definition: { operatorId: 'b', key: ['shop'], aggregates: [aggregate('count', null, 500)], allowedLatenessMs: 9 },
    },
    {
      kind: 'rolling',
      definition: {
        operatorId: 'c',
        key: ['card'],
        aggregates: [aggregate('sums', 'sum', 1_000)],
        allowedLatenessMs: 9,
      },
    },
  ],
  closedBy: 'partition',
};

const record = (more: Partial<KeptRecord> = {}): KeptRecord => {
  const values = { numbers: Float64Array.of(7, 2.5, NaN, 1, 0), texts: ['é'] };
  return {
    partition: 3,
    offset: 2 ** 40 + 5,
    eventTimeMs: 1_000,
    order: 4,
    arrivedMs: NaN,
    values,
    told: values,
    revision: 0,
    isDiverged: false,
    ...more,
  };
};

describe('the layout of what is kept for amendments', () => {
  it('has the fields that are read, and reaches as far as windows do through one another', () => {
    const layout = layOutAmend(definition, schema);
    expect(layout.columns.map(({ field }) => field.name)).toEqual(['card', 'shop', 'amount', 'sum', 'count', 'sums']);
    expect([layout.numbers, layout.texts]).toEqual([5, 1]);
    // 100 in watch, 1,000 for the sums, 57 for the sums that they are of; the count is of records, 500 back.
    expect(layout.keepsMs).toBe(1_157);
    expect(layout.steps.map((step) => (step.kind === 'rolling' ? step.neededMs : 0))).toEqual([1_100, 100, 100]);
    // Of cards: sums of sums, and what those are of. Of shops: a count.
    expect(layout.entities.map(({ reachMs, keepsMs }) => [reachMs, keepsMs])).toEqual([
      [1_000, 1_157],
      [500, 600],
    ]);
    expect(acrossEntities(definition.steps)).toBeNull();
    expect(layout.feedsWindows).toEqual([false, false, false, true, false, false]);
  });
});

describe('a kept record', () => {
  const layout = layOutAmend(definition, schema);

  it('is read back as it was written, with what was told where it differs', () => {
    const told = { numbers: Float64Array.of(7, 2.5, NaN, 1, 3), texts: [null] };
    for (const kept of [record(), record({ told, revision: 2, isDiverged: true, arrivedMs: 12 })]) {
      const read = decodeRecord(recordName(kept), encodeRecord(kept, new StateWriter()), layout);
      expect(read).toEqual(kept);
      expect(read.told === read.values).toBe(kept.told === kept.values);
    }
  });

  it('is refused in another format, cut off, or with other columns', () => {
    const bytes = encodeRecord(record(), new StateWriter());
    const refused = (change: Uint8Array): (() => unknown) => {
      return () => decodeRecord(recordName(record()), change, layout);
    };
    expect(refused(Uint8Array.from([9, ...bytes.subarray(1)]))).toThrowError(/must have version 1 .* version 9/);
    expect(refused(bytes.subarray(0, bytes.length - 1))).toThrowError(/cut off/);
    const other = { numbers: new Float64Array(4), texts: [null] };
    const fewer = encodeRecord(record({ values: other, told: other }), new StateWriter());
    expect(refused(fewer)).toThrowError(/other columns/);
  });
});

describe('records in order', () => {
  it('stand by event time, then as they came, and are found and taken out wherever they are', () => {
    const records = new OrderedRecords();
    const made = Array.from({ length: 300 }, (_, order) => record({ order, eventTimeMs: (order * 37) % 50 }));
    for (const each of made) records.insert(each);
    const expected = made.toSorted((a, b) => a.eventTimeMs - b.eventTimeMs || a.order - b.order);
    const all = (): readonly (KeptRecord | undefined)[] =>
      Array.from({ length: records.size }, (_, index) => records.at(index));
    expect(all()).toEqual(expected);
    expect([records.firstFrom(7), records.firstAfter(7)]).toEqual([42, 48]);
    for (const each of expected.slice(0, 120)) records.remove(each);
    const middle = expected[200];
    if (middle !== undefined) records.remove(middle);
    records.remove(record({ order: 9_999, eventTimeMs: 3 }));
    expect(all()).toEqual(expected.slice(120).filter((each) => each !== middle));
    expect(records.firstAfter(1_000)).toBe(records.size);
  });
});

describe('a tolerance', () => {
  const share: Tolerance = { kind: 'relative', share: 0.05 };
  const amount: Tolerance = { kind: 'absolute', by: 2 };
  it.each([
    ['double', share, 100, 105, false],
    ['double', share, 100, 105.01, true],
    ['double', share, -100, -94, true],
    ['double', share, 0, 0.001, true],
    ['long', amount, 5, 7, false],
    ['long', amount, 5, 8, true],
    ['double', amount, NaN, 0, true],
    ['double', amount, 0, NaN, true],
    ['double', amount, NaN, NaN, false],
    ['boolean', amount, 0, 1, true],
    ['timestamp', share, 1_000, 1_001, true],
    ['timestamp', share, 1_000, 1_000, false],
  ] as const)('of a %s under %o says of %d and %d: beyond is %s', (type, tolerance, before, after, beyond) => {
    expect(isBeyond(type, tolerance, before, after)).toBe(beyond);
  });
});

describe('the state of an amending operator, described', () => {
  const describer = describeAmend(definition, schema);
  const entryOf = (kept: KeptRecord): StateEntry => ({
    key: recordName(kept),
    value: encodeRecord(kept, new StateWriter()),
  });
  const marks = (partition: number, watermarkMs: number, order: number): StateEntry => {
    const watermarks = new ScopedWatermarks('partition', 0);
    const seen = { partitions: Int32Array.of(partition), watermarksMs: Float64Array.of(watermarkMs) };
    watermarks.moveTo(
      {
        schema,
        rowCount: 1,
        columns: [],
        offsets: new Float64Array(1),
        eventTimesMs: new Float64Array(1),
        flags: new Uint8Array(1),
        ...seen,
      },
      0,
    );
    const to = new StateWriter();
    to.f64(order);
    to.raw(watermarks.encode());
    return { key: watermarksName, value: to.take() };
  };

  it('reads as one row a record, found by its key, and one of watermarks', () => {
    const [row] = describer.rowsOf(entryOf(record()));
    expect(Buffer.from(row?.key ?? []).toString()).toBe('é');
    expect(row?.eventTimeMs).toBe(1_000);
    const columns = { card: 'é', shop: 7, amount: 2.5, sum: null, count: 1, sums: 0 };
    expect(row?.values).toEqual({ partition: 3, offset: 2 ** 40 + 5, ...columns });
    expect(describer.rowsOf(marks(3, 900, 5))).toEqual([
      { key: null, eventTimeMs: null, values: { query: 900, 'partition 3': 900 } },
    ]);
    expect(describer.keepsMs).toBe(1_157);
  });

  it('goes with its records where those of a key are to be, and tells each store all watermarks', () => {
    const [one, other] = [record({ partition: 0, order: 1 }), record({ partition: 1, order: 8 })];
    const stores = [
      [entryOf(one), marks(0, 10, 2)],
      [entryOf(other), marks(1, 20, 9)],
    ];
    const [whole = []] = describer.redistribute?.(stores, 1, () => 0) ?? [];
    expect(whole.map(({ key }) => key)).toEqual([recordName(one), recordName(other), watermarksName]);
    expect(describer.rowsOf(whole[2] ?? entryOf(one))[0]?.values).toMatchObject({
      'partition 0': 10,
      'partition 1': 20,
    });
    const parted = describer.redistribute?.([whole], 2, () => 1) ?? [];
    expect(parted.map((entries) => entries.length)).toEqual([1, 3]);
    expect(describer.redistribute?.([[], []], 1, () => 0)).toEqual([[]]);
  });
});
