import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, selectRows, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import type { ProcessDefinition } from './process-definition.ts';
import { ProcessLogic } from './process-logic.ts';
import { jsonState } from './state-codec.ts';
import { meter, meterSchema, naiveMeter, type MeterRecord, type MeterState } from './testing/meter.ts';

const item = fc.record({
  step: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: -12, max: 9 }) }, fc.integer({ min: 10, max: 90 })),
  partition: fc.nat(1),
  card: fc.option(fc.constantFrom('a', 'b', 'c'), { freq: 9 }),
  amount: fc.option(fc.integer({ min: -2, max: 14 }), { freq: 9 }),
  wanted: fc.option(fc.boolean(), { freq: 5 }),
});

const streams = fc.array(item, { maxLength: 30 }).map((steps): readonly MeterRecord[] => {
  let t = 1_000;
  return steps.map(({ step, card, ...rest }, offset) => {
    t += step;
    // A key is in one partition, as topics have it.
    return { ...rest, card: card === null ? null : `${card}${rest.partition}`, t, offset };
  });
});

function batchOf(records: readonly MeterRecord[], delayMs: number): RecordBatch {
  const batch = recordBatch(
    meterSchema,
    [
      utf8ColumnOf(records.map(({ card }) => card)),
      numberColumnOf(records.map(({ amount }) => amount)),
      numberColumnOf(records.map(({ wanted }) => (wanted === null ? null : Number(wanted)))),
    ],
    {
      partition: Int32Array.from(records, ({ partition }) => partition),
      offset: Float64Array.from(records, ({ offset }) => offset),
      eventTimesMs: Float64Array.from(records, ({ t }) => t),
    },
  );
  stampWatermarks(batch, null, new PartitionWatermarks(), { delayMs, maxFutureSkewMs: 0 });
  return batch;
}

function rowsOf(batch: RecordBatch): readonly unknown[] {
  return toRows(batch).map((row, i) => ({ ...row, t: batch.eventTimesMs[i], offset: batch.offsets[i] }));
}

function logicOf(definition: ProcessDefinition<MeterState>): {
  readonly logic: ProcessLogic<MeterState>;
  readonly rejected: RejectedRecords;
} {
  const rejected = new RejectedRecords('input');
  return { logic: new ProcessLogic(definition, meterSchema, { state: 'empty' }, rejected), rejected };
}

describe('arbitrary keyed state', () => {
  it.each([
    ['a partition’s watermark and a time to live', {}],
    ['the least watermark of all partitions', { closedBy: 'query' }],
    ['no time to live', { ttlMs: null }],
    ['a time to live that is shorter than the delay', { ttlMs: 5 }],
  ] as const)('does what its definition says, with %s', (_name, change) => {
    fc.assert(
      fc.property(streams, fc.integer({ min: 1, max: 9 }), (records, size) => {
        const definition = meter(change);
        const { logic, rejected } = logicOf(definition);
        const batch = batchOf(records, definition.delayMs);
        const got: unknown[] = [];
        for (let at = 0; at < records.length; at += size) {
          const rows = Int32Array.from({ length: Math.min(size, records.length - at) }, (_, i) => at + i);
          const { records: outputs, taken, filtered } = logic.emit(selectRows(batch, rows));
          got.push(...rowsOf(outputs));
          expect(taken + filtered).toBeLessThanOrEqual(rows.length);
        }
        const wanted = naiveMeter(definition, records);
        expect(got).toEqual(wanted.rows);
        expect(rejected.take().map(({ offset }) => offset)).toEqual(wanted.rejected);
      }),
      { numRuns: 1_000 },
    );
  });

  const one = (amount: number, t: number, offset: number): MeterRecord => {
    return { partition: 0, card: 'a', amount, wanted: true, t, offset };
  };

  it('leaves nothing of what a function did before it threw: no state, no timer, no row', () => {
    const { logic, rejected } = logicOf(meter());
    const { records, taken } = logic.emit(batchOf([one(1, 100, 0), one(7, 101, 1), one(1, 102, 2)], 20));
    expect(toRows(records)).toEqual([
      { card: 'a', what: 'seen', count: 1, total: 1 },
      { card: 'a', what: 'seen', count: 2, total: 2 },
    ]);
    expect(taken).toBe(2);
    expect(rejected.take()).toEqual([
      {
        topic: 'input',
        partition: 0,
        offset: 1,
        stage: 'operator',
        code: 'AMOUNT_SEVEN',
        message: 'an amount must not be seven',
        value: null,
      },
    ]);
  });

  it('says of an error that was not meant only what it was, since its message may hold the record', () => {
    const { logic, rejected } = logicOf(meter());
    logic.emit(batchOf([one(-1, 100, 0)], 20));
    expect(rejected.take()[0]).toMatchObject({
      code: 'FUNCTION_FAILED',
      message: 'the function of operator meter threw a TypeError',
    });
  });

  it('ends the query where the job says so, or a timer throws, or a function is async', () => {
    const failing = logicOf(meter({ errors: 'fail' })).logic;
    expect(() => failing.emit(batchOf([one(7, 100, 3)], 20))).toThrow(/AMOUNT|seven.*partition 0, offset 3/);
    const onTimer = (): never => {
      throw new Error('no');
    };
    const inTimer = logicOf(meter({ onTimer })).logic;
    expect(() => inTimer.emit(batchOf([one(0, 100, 0), one(1, 900, 1)], 20))).toThrow(/in a timer/);
    // eslint-disable-next-line typescript/no-misused-promises
    const later = logicOf(meter({ onRecord: () => Promise.resolve() as unknown as void })).logic;
    expect(() => later.emit(batchOf([one(1, 100, 0)], 20))).toThrow(/must be done when it returns/);
  });

  it('forgets keys that have neither state nor timers', () => {
    const { logic } = logicOf(meter());
    logic.emit(batchOf([one(1, 100, 0), { ...one(1, 5_000, 1), card: 'b' }], 20));
    expect(logic.keyCount).toBe(1);
    expect(logic.takeChanges().filter(({ value }) => value === null)).toHaveLength(1);
  });
});

describe('state as JSON', () => {
  it.each([
    ['NaN', Number.NaN],
    ['infinity in a list', [1, Number.POSITIVE_INFINITY]],
    ['undefined', { a: undefined }],
    ['a date', new Date(0)],
    ['a map', new Map()],
    ['a hole', new Array<number>(2)],
  ])('refuses %s', (_name, state) => {
    expect(() => jsonState<unknown>().encode(state)).toThrow(TypeError);
  });

  it('gives back what it was given', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (state) => {
        const codec = jsonState<unknown>();
        expect(JSON.stringify(codec.decode(codec.encode(state), 1))).toEqual(JSON.stringify(state));
      }),
    );
  });

  it('makes a state of an earlier version with "upgrade", and refuses it without', () => {
    const stored = jsonState<number>().encode(4);
    const upgrade = (earlier: unknown): { count: number } => ({ count: Number(earlier) });
    expect(jsonState<{ count: number }>({ version: 2, upgrade }).decode(stored, 1)).toEqual({ count: 4 });
    expect(() => jsonState<{ count: number }>({ version: 2 }).decode(stored, 1)).toThrow(/must have version 2/);
  });
});
