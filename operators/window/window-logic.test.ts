import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { GUARDED, recordBatch, selectRows, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { AggregateSpec } from '../aggregate/aggregate-spec.ts';
import { ScannedStore } from '../testing/scanned-store.ts';
import { naiveWindows, type NaiveRecord } from './testing/naive-windows.ts';
import type { WindowAggregate, WindowDefinition, WindowKind } from './window-definition.ts';
import { WindowLogic } from './window-logic.ts';

/** Random streams for each kind of window; four kinds make a thousand. */
const streams = Number(process.env['SLUICE_STREAMS'] ?? 250);

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
  { name: 'wanted', type: 'boolean', presence: 'optional' },
  { name: 'positive', type: 'boolean', presence: 'optional' },
]);

function aggregate(
  name: string,
  spec: AggregateSpec,
  input: string | null,
  where: string | null = null,
): WindowAggregate {
  return { name, spec, input, where };
}

const aggregates: readonly WindowAggregate[] = [
  aggregate('n', { function: 'count' }, null),
  aggregate('total', { function: 'sum' }, 'amount'),
  aggregate('mean', { function: 'avg' }, 'amount', 'positive'),
  aggregate('least', { function: 'min' }, 'amount'),
  aggregate('most', { function: 'max' }, 'amount'),
  aggregate('from', { function: 'first' }, 'place'),
  aggregate('to', { function: 'last' }, 'amount'),
  aggregate('places', { function: 'distinct' }, 'place'),
  aggregate('some', { function: 'collect', limit: 3 }, 'place'),
];

const base: WindowDefinition = {
  operatorId: 'w',
  key: ['card'],
  window: { kind: 'tumbling', sizeMs: 10, startMs: 0 },
  where: 'wanted',
  aggregates,
  outputMode: 'append',
  allowedLatenessMs: 0,
  lateness: 'wait',
  delayMs: 3,
  closedBy: 'partition',
};

/** Records in arrival order, in columns, stamped as the engine stamps them. */
function batchOf(records: readonly NaiveRecord[], delayMs: number): RecordBatch {
  const batch = recordBatch(
    schema,
    [
      utf8ColumnOf(records.map(({ card }) => card)),
      numberColumnOf(records.map(({ amount }) => amount)),
      utf8ColumnOf(records.map(({ place }) => place)),
      numberColumnOf(records.map(({ wanted }) => (wanted === null ? null : Number(wanted)))),
      numberColumnOf(records.map(({ amount }) => (amount === null ? null : Number(amount > 0)))),
    ],
    {
      partition: Int32Array.from(records, ({ partition }) => partition),
      offset: Float64Array.from(records, ({ offset }) => offset),
      eventTimesMs: Float64Array.from(records, ({ t }) => t),
    },
  );
  const highest = new Map<number, number>();
  records.forEach(({ t, partition, guarded }, row) => {
    const before = highest.get(partition) ?? -Infinity;
    batch.watermarksMs[row] = before - delayMs;
    batch.flags[row] = guarded ? GUARDED : 0;
    if (!guarded) highest.set(partition, Math.max(before, t));
  });
  return batch;
}

type Row = Record<string, number | string | boolean | null>;

function resultsOf(batch: RecordBatch): Row[] {
  return toRows(batch).map((row, index) => ({ ...row, cause: batch.offsets[index] ?? -1 }));
}

const noState: StateReader = {
  getMany: (_operatorId, keys) => Promise.resolve(keys.map(() => null)),
  async *scan() {},
};

/** A store as the commit log keeps one: absolute values by name. */
function run(definition: WindowDefinition, records: readonly NaiveRecord[]): ReturnType<WindowLogic['emit']> {
  return new WindowLogic(definition, schema, { state: 'empty' }).emit(batchOf(records, definition.delayMs));
}

const record: fc.Arbitrary<Omit<NaiveRecord, 'offset' | 't'> & { readonly step: number }> = fc.record({
  partition: fc.nat(1),
  step: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -8, max: 6 }) }, fc.integer({ min: 10, max: 40 })),
  card: fc.oneof({ weight: 12, arbitrary: fc.constantFrom('a', 'b', 'ab') }, fc.constant(null)),
  amount: fc.option(fc.integer({ min: -5, max: 9 }), { freq: 8 }),
  place: fc.option(fc.constantFrom('x', 'y', 'é', ''), { freq: 6 }),
  wanted: fc.oneof({ weight: 14, arbitrary: fc.constant(true) }, fc.constantFrom(false, null)),
  guarded: fc.oneof({ weight: 20, arbitrary: fc.constant(false) }, fc.constant(true)),
});

/** Time that mostly goes on, with steps back (disorder, late records), ties, jumps; from before the epoch on. */
const stream: fc.Arbitrary<NaiveRecord[]> = fc.array(record, { maxLength: 40 }).map((steps) => {
  let t = -10;
  return steps.map(({ step, ...rest }, offset) => ({ ...rest, offset, t: (t += step) }));
});

const settings = fc.record({
  allowedLatenessMs: fc.constantFrom(0, 4, 15),
  delayMs: fc.constantFrom(0, 3, 12),
  closedBy: fc.constantFrom<WindowDefinition['closedBy']>('partition', 'query'),
});

const kinds: Readonly<Record<WindowKind['kind'], fc.Arbitrary<Partial<WindowDefinition>>>> = {
  tumbling: fc.record({
    window: fc.record({
      kind: fc.constant('tumbling' as const),
      sizeMs: fc.integer({ min: 1, max: 15 }),
      startMs: fc.integer({ min: -20, max: 20 }),
    }),
    outputMode: fc.constantFrom<WindowDefinition['outputMode']>('append', 'append', 'update', 'complete'),
    lateness: fc.constantFrom<WindowDefinition['lateness']>('wait', 'fire'),
  }),
  hopping: fc.record({
    window: fc
      .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 12 }), fc.integer({ min: -9, max: 9 }))
      .map(([everyMs, more, startMs]) => ({ kind: 'hopping' as const, everyMs, sizeMs: everyMs + more, startMs })),
    outputMode: fc.constantFrom<WindowDefinition['outputMode']>('append', 'append', 'update', 'complete'),
    lateness: fc.constantFrom<WindowDefinition['lateness']>('wait', 'fire'),
  }),
  session: fc.record({
    window: fc.record({ kind: fc.constant('session' as const), gapMs: fc.integer({ min: 1, max: 12 }) }),
    outputMode: fc.constantFrom<WindowDefinition['outputMode']>('append', 'append', 'complete'),
  }),
  count: fc.record({
    window: fc.record({ kind: fc.constant('count' as const), size: fc.integer({ min: 1, max: 4 }) }),
    outputMode: fc.constantFrom<WindowDefinition['outputMode']>('append', 'update'),
  }),
};

function definitions(kind: WindowKind['kind']): fc.Arbitrary<WindowDefinition> {
  return fc.tuple(settings, kinds[kind]).map(([setting, choice]): WindowDefinition => {
    const definition = { ...base, ...setting, ...choice };
    if (definition.outputMode === 'complete') return { ...definition, closedBy: 'query' };
    return definition.allowedLatenessMs === 0 ? { ...definition, lateness: 'wait' } : definition;
  });
}

describe.each(['tumbling', 'hopping', 'session', 'count'] as const)('%s windows', (kind) => {
  it('give what their definition gives, result by result in order, and account for every record', () => {
    fc.assert(
      fc.property(definitions(kind), stream, (definition, records) => {
        const { records: results, taken, filtered, late } = run(definition, records);
        const wanted = naiveWindows(definition, records);
        expect(resultsOf(results)).toEqual(wanted.results);
        const count = (fate: string): number => wanted.fates.filter((other) => other === fate).length;
        expect({ taken, filtered, late: late.rowCount }).toEqual({
          taken: count('taken'),
          filtered: count('filtered'),
          late: count('late'),
        });
        const lateOffsets = records.filter((_, i) => wanted.fates[i] === 'late').map(({ offset }) => offset);
        expect([...late.offsets]).toEqual(lateOffsets);
      }),
      { numRuns: streams },
    );
  });

  it('give the same bytes however the stream is cut, and from stored state at any cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        definitions(kind),
        stream,
        fc.array(fc.tuple(fc.nat(40), fc.boolean()), { maxLength: 6 }),
        async (definition, records, cuts) => {
          const batch = batchOf(records, definition.delayMs);
          const whole = new WindowLogic(definition, schema, { state: 'empty' });
          const wanted = resultsOf(whole.emit(batch).records);
          const wantedState = new ScannedStore();
          wantedState.write(whole.takeChanges());

          const store = new ScannedStore();
          let logic = new WindowLogic(definition, schema, { state: 'empty' });
          const got: Row[] = [];
          let from = 0;
          const ends = [...cuts].sort(([a], [b]) => a - b);
          for (const [end, restarts] of [...ends, [records.length, false] as const]) {
            const rows = Int32Array.from(
              { length: Math.max(0, Math.min(end, records.length) - from) },
              (_, i) => from + i,
            );
            const part = selectRows(batch, rows);
            await logic.prefetch(part, store);
            got.push(...resultsOf(logic.apply(part)));
            from += rows.length;
            if (!restarts) continue;
            store.write(logic.takeChanges());
            logic = new WindowLogic(definition, schema, { state: 'stored' });
          }
          store.write(logic.takeChanges());
          expect(got).toEqual(wanted);
          expect(new Map(store.values)).toEqual(wantedState.values);
        },
      ),
      { numRuns: streams },
    );
  });
});

const plain = { partition: 0, card: 'a', amount: 1, place: 'x', wanted: true, guarded: false };
const at = (...times: number[]): NaiveRecord[] => times.map((t, offset) => ({ ...plain, t, offset }));
const brief = (records: RecordBatch): string[] =>
  toRows(records).map((row) => `${row['card']} [${row['window_start']}, ${row['window_end']}) ${row['n']}`);

describe('a window operator', () => {
  //   delay 0     0    5    10 closes [0, 10)
  //   tumbling    |─x──x────|x
  it('closes a window with the very record that moves the watermark to its end', () => {
    const { records } = run({ ...base, delayMs: 0 }, at(0, 5, 9, 10));
    expect(brief(records)).toEqual(['a [0, 10) 3']);
    expect([...records.eventTimesMs]).toEqual([9]);
    expect([...records.offsets]).toEqual([3]);
  });

  it('lets no window be closed by a record dated too far in the future', () => {
    const [first, second] = at(1, 1_000);
    if (first === undefined || second === undefined) throw new RangeError('two records');
    expect(run({ ...base, delayMs: 0 }, [first, { ...second, guarded: true }]).records.rowCount).toBe(0);
  });

  it('keeps a session apart from a record that comes exactly the gap later, and joins it to one a moment earlier', () => {
    const session = { ...base, delayMs: 0, window: { kind: 'session', gapMs: 10 } as const };
    expect(brief(run(session, at(0, 10, 50)).records)).toEqual(['a [0, 10) 1', 'a [10, 20) 1']);
    expect(brief(run(session, at(0, 9, 50)).records)).toEqual(['a [0, 19) 2']);
  });

  //   0────10   12────22        a late 8 makes one of both
  it('merges sessions over a late bridge', () => {
    const session = { ...base, delayMs: 20, window: { kind: 'session', gapMs: 10 } as const };
    expect(brief(run(session, at(0, 12, 8, 90)).records)).toEqual(['a [0, 22) 3']);
  });

  it('aligns windows to the epoch plus their start, before the epoch too', () => {
    const hour = { kind: 'tumbling', sizeMs: 60, startMs: 15 } as const;
    expect(brief(run({ ...base, delayMs: 0, window: hour }, at(-50, 14, 15, 75)).records)).toEqual([
      'a [-105, -45) 1',
      'a [-45, 15) 1',
      'a [15, 75) 1',
    ]);
  });

  it('closes windows of all partitions at the least of their watermarks where keys come from several', () => {
    const rows = at(0, 30, 5, 12).map((row, i) => ({ ...row, partition: i < 2 ? 0 : 1 }));
    const definition = { ...base, delayMs: 0 };
    // Partition 0 is at 30 alone, which closes [0, 10); then partition 1 comes at 5, too late, and does not take the watermark back.
    const { records, late } = run({ ...definition, closedBy: 'query' }, rows);
    expect(brief(records)).toEqual(['a [0, 10) 1']);
    expect([...late.offsets]).toEqual([2, 3]);
    expect(brief(run(definition, rows).records)).toEqual(['a [0, 10) 1', 'a [0, 10) 1']);
  });

  it('refuses a table of all results that has grown beyond what a table can be', () => {
    const complete = {
      ...base,
      outputMode: 'complete',
      closedBy: 'query',
      window: { kind: 'tumbling', sizeMs: 1, startMs: 0 },
    } as const;
    const records = Array.from({ length: 10_001 }, (_, i) => ({ ...plain, t: i, offset: i }));
    expect(() => run({ ...complete, delayMs: 1e6 }, records)).toThrowError(
      expect.objectContaining({ code: 'WINDOW_TABLE_FULL' }),
    );
  });

  it('refuses stored state that is damaged or of another definition', async () => {
    const logic = new WindowLogic(base, schema, { state: 'empty' });
    logic.emit(batchOf(at(1, 2), 3));
    const store = new ScannedStore();
    store.write(logic.takeChanges());
    const fewer = { ...base, aggregates: aggregates.slice(1) };
    const empty = batchOf([], 3);
    const expected = expect.objectContaining({ code: 'STATE_FORMAT' });
    await expect(new WindowLogic(fewer, schema, { state: 'stored' }).prefetch(empty, store)).rejects.toEqual(expected);
    for (const [name, value] of store.values) store.values.set(name, value.subarray(0, value.length - 1));
    await expect(new WindowLogic(base, schema, { state: 'stored' }).prefetch(empty, store)).rejects.toEqual(expected);
  });

  it('holds no more windows than are open', () => {
    const logic = new WindowLogic({ ...base, delayMs: 0 }, schema, { state: 'empty' });
    for (let i = 0; i < 200; i++) logic.emit(batchOf(at(i * 10), 0));
    expect(logic.windowCount).toBe(1);
    void logic.prefetch(batchOf([], 0), noState);
  });
});
