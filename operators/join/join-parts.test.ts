import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../engine/error.ts';
import { Schema } from '../../engine/record/schema.ts';
import { describeJoin } from './describe-join.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import { joinFields, type JoinDefinition, type JoinKind } from './join-definition.ts';
import { JoinRowWriter, readRow, readWatermarks, rowName, watermarksName, writeWatermarks } from './join-format.ts';
import { compareExpiry, compareRows, firstFrom, type JoinKey, type JoinRow } from './join-row.ts';
import { JoinStore } from './join-store.ts';
import { valuesColumn } from './values-column.ts';

const keyOf = (text: string): JoinKey => {
  return { slot: 0, bytes: new TextEncoder().encode(text), values: [text], left: [], right: [] };
};

function rowOf(change: Partial<JoinRow> = {}): JoinRow {
  return {
    key: keyOf('a'),
    side: 'left',
    timeMs: 5,
    partition: 1,
    offset: 7,
    values: [1.5, null],
    isMatched: false,
    isStored: false,
    expiresMs: 20,
    ...change,
  };
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const f64 = (value: number): string => hexOf(new Uint8Array(Float64Array.of(value).buffer));

function refusalOf(read: () => unknown): SluiceError {
  try {
    read();
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('the bytes were read');
}

describe('the order of a join’s records', () => {
  it('is by event time, ties by position', () => {
    const inOrder = [
      rowOf({ timeMs: 4, partition: 9, offset: 9 }),
      rowOf({ timeMs: 5, partition: 0, offset: 9 }),
      rowOf({ timeMs: 5, partition: 1, offset: 2 }),
      rowOf({ timeMs: 5, partition: 1, offset: 3 }),
    ];
    const signs = inOrder.map((a) => inOrder.map((b) => Math.sign(compareRows(a, b))));
    expect(signs).toEqual(inOrder.map((_, i) => inOrder.map((__, j) => Math.sign(i - j))));
    expect([3, 4, 4.5, 5, 6].map((timeMs) => firstFrom(inOrder, timeMs))).toEqual([0, 0, 1, 1, 4]);
    expect(firstFrom([], 0)).toBe(0);
  });

  it('in which they leave is by when they are due; at once, left before right, then by event time', () => {
    const inOrder = [
      rowOf({ expiresMs: 1, side: 'right', timeMs: 9 }),
      rowOf({ expiresMs: 2, side: 'left', timeMs: 8 }),
      rowOf({ expiresMs: 2, side: 'left', timeMs: 9 }),
      rowOf({ expiresMs: 2, side: 'right', timeMs: 1 }),
      rowOf({ expiresMs: 2, side: 'right', timeMs: 2 }),
    ];
    const signs = inOrder.map((a) => inOrder.map((b) => Math.sign(compareExpiry(a, b))));
    expect(signs).toEqual(inOrder.map((_, i) => inOrder.map((__, j) => Math.sign(i - j))));
  });

  it('is that in which the queue gives them, once the watermark is beyond their time', () => {
    const rows = fc.array(
      fc.record({
        expiresMs: fc.integer({ min: 0, max: 9 }),
        side: fc.constantFrom('left' as const, 'right' as const),
        timeMs: fc.integer({ min: 0, max: 3 }),
      }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(rows, fc.integer({ min: -1, max: 11 })), { maxLength: 6 }), (turns) => {
        const queue = new ExpiryQueue();
        let waiting: JoinRow[] = [];
        let offset = 0;
        for (const [added, watermarkMs] of turns) {
          const more = added.map((change) => rowOf({ ...change, offset: offset++ }));
          for (const row of more) queue.add(row);
          waiting.push(...more);
          const due = waiting.filter(({ expiresMs }) => expiresMs < watermarkMs).sort(compareExpiry);
          expect(due.map(() => queue.take(watermarkMs)?.offset)).toEqual(due.map((row) => row.offset));
          expect(queue.take(watermarkMs)).toBeNull();
          waiting = waiting.filter(({ expiresMs }) => expiresMs >= watermarkMs);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('a stored record of a join', () => {
  it('is named by its key, a byte that no text has, its side, its event time and its position', () => {
    expect(hexOf(rowName(rowOf()))).toBe('61ff008000000000000005000000010000000000000007');
    const right = rowOf({ side: 'right', timeMs: -1, partition: 2, offset: 2 ** 32 + 3 });
    expect(hexOf(rowName(right))).toBe('61ff017fffffffffffffff000000020000000100000003');
  });

  it('has the bytes that other versions have written', () => {
    const values = ['02000000', '01', '00', f64(1.5), '00'].join('');
    const key = ['01000000', '01', '01', '01000000', '61'].join('');
    expect(hexOf(new JoinRowWriter().write(rowOf()))).toBe(`0100${key}${values}`);
    expect(hexOf(new JoinRowWriter().write(rowOf({ isMatched: true })))).toBe(`0101${key}${values}`);
  });

  it.each(['left', 'right'] as const)('reads back as it was: %s', (side) => {
    const row = rowOf({ side, timeMs: -(2 ** 40), offset: 2 ** 50, isMatched: side === 'right' });
    const { key, timeMs, partition, offset, values, isMatched } = row;
    const inside = (bytes: Uint8Array): Uint8Array => Uint8Array.of(1, ...bytes, 1).subarray(1, -1);
    expect(readRow(inside(rowName(row)), inside(new JoinRowWriter().write(row)), () => 2)).toEqual({
      key: key.bytes,
      keyValues: ['a'],
      side,
      timeMs,
      partition,
      offset,
      values,
      isMatched,
    });
  });

  it('is refused by name where it is of another version or other columns, cut off or too long', () => {
    const row = rowOf();
    const bytes = new JoinRowWriter().write(row);
    const read = (changed: Uint8Array, left = 2): SluiceError =>
      refusalOf(() => readRow(rowName(row), changed, (side) => (side === 'left' ? left : 9)));
    const messageOf = (got: string): string =>
      `stored records of a join must have version 1, the columns of their side, and be whole; got ${got}: rebuild the state from the log`;
    const other = bytes.slice();
    other[0] = 2;
    expect(read(other)).toMatchObject({
      code: 'STATE_FORMAT',
      message: messageOf('version 2'),
      cause: { message: 'version 2' },
    });
    expect(read(bytes, 3).message).toBe(messageOf('2 columns'));
    expect(read(bytes.slice(0, -1)).message).toBe(messageOf('cut off'));
    expect(read(Uint8Array.of(...bytes, 0)).message).toBe(messageOf('more than a record'));
    expect(() => readRow(rowName(row), bytes, () => expect.fail('our bug'))).toThrow('our bug');
  });

  it('lies beside the watermarks', () => {
    const watermarks = [{ partition: 3, watermarkMs: -Infinity }];
    const bytes = writeWatermarks(7, watermarks);
    expect([hexOf(watermarksName), readWatermarks(bytes)]).toEqual(['ff', { jointMs: 7, watermarks }]);
    bytes[0] = 5;
    expect(refusalOf(() => readWatermarks(bytes))).toMatchObject({
      code: 'STATE_FORMAT',
      cause: { message: 'version 5' },
    });
  });
});

describe('the records that a join keeps', () => {
  const slab = { data: new TextEncoder().encode('abb'), offsets: Int32Array.of(0, 1, 3) };

  it('lie by their key and side, in their order, and are found until the last is gone', () => {
    const store = new JoinStore('j');
    const key = store.make(slab, 0, ['a']);
    const rows = [5, 3, 9, 5].map((timeMs, offset) => rowOf({ key, timeMs, offset }));
    for (const row of rows) store.add(row);
    const right = rowOf({ key, side: 'right' });
    store.add(right);
    expect([store.find(slab, 0), store.find(slab, 1), store.size]).toEqual([key, null, 5]);
    expect(key.left.map(({ timeMs, offset }) => [timeMs, offset])).toEqual([
      [3, 1],
      [5, 0],
      [5, 3],
      [9, 2],
    ]);
    const [first, , , last] = rows;
    for (const row of [last, first]) if (row !== undefined) store.remove(row);
    expect(key.left.map(({ offset }) => offset)).toEqual([1, 2]);
    for (const row of key.left.toSorted(compareRows)) store.remove(row);
    expect([store.find(slab, 0), store.size]).toEqual([key, 1]);
    store.remove(right);
    expect([store.find(slab, 0), store.size]).toEqual([null, 0]);
    expect(store.make(slab, 0, ['again'])).not.toBe(key);
  });

  it('are written once, and deleted only where they were', () => {
    const store = new JoinStore('j');
    const key = store.make(slab, 1, ['bb']);
    const [kept, brief] = [rowOf({ key }), rowOf({ key, offset: 8 })];
    for (const row of [kept, brief]) store.add(row);
    store.remove(brief);
    const value = new JoinRowWriter().write(kept);
    expect(store.takeChanges()).toEqual([{ operatorId: 'j', key: rowName(kept), value }]);
    expect([store.takeChanges(), kept.isStored]).toEqual([[], true]);
    kept.isMatched = true;
    store.markChanged(kept);
    expect(store.takeChanges()).toHaveLength(1);
    store.markChanged(kept);
    store.remove(kept);
    expect(store.takeChanges()).toEqual([{ operatorId: 'j', key: rowName(kept), value: null }]);
    store.add(rowOf({ key: store.make(slab, 1, ['bb']) }));
    store.dropChanges();
    expect(store.takeChanges()).toEqual([]);
  });

  it('are taken over from what was stored', () => {
    const row = rowOf({ isMatched: true });
    const store = new JoinStore('j');
    const entry = { key: rowName(row), value: new JoinRowWriter().write(row) };
    const loaded = store.load(
      entry,
      () => 2,
      (side, timeMs) => (side === 'left' ? timeMs + 100 : NaN),
    );
    expect(loaded).toMatchObject({ side: 'left', timeMs: 5, expiresMs: 105, isMatched: true, isStored: true });
    expect(loaded.key.values).toEqual(['a']);
    expect([store.size, store.find(slab, 0), store.takeChanges()]).toEqual([1, loaded.key, []]);
    store.remove(loaded);
    expect(store.takeChanges()).toEqual([{ operatorId: 'j', key: rowName(row), value: null }]);
  });
});

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'client', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'required' },
  { name: 'paid', type: 'timestamp', presence: 'required' },
]);
const definition: JoinDefinition = {
  operatorId: 'j',
  kind: 'inner',
  left: { input: 0, key: ['card'], columns: ['amount', 'client'] },
  right: { input: 1, key: ['client'], columns: ['paid'] },
  key: ['on'],
  beforeMs: 4,
  afterMs: 6,
  allowedLatenessMs: 2,
  delaysMs: [3, 5],
};

describe('a join', () => {
  it('gives fields that are always there only where the side of theirs always is', () => {
    const fieldsOf = (kind: JoinKind): unknown =>
      joinFields({ ...definition, kind }, schema).map(({ name, type, presence }) => `${name} ${type} ${presence}`);
    const fields = (key: string, left: string, right: string): string[] => [
      `on string ${key}`,
      'event_time timestamp required',
      `amount double ${left}`,
      'client string optional',
      `paid timestamp ${right}`,
    ];
    expect(fieldsOf('inner')).toEqual(fields('required', 'required', 'required'));
    expect(fieldsOf('left')).toEqual(fields('optional', 'required', 'optional'));
    expect(fieldsOf('right')).toEqual(fields('optional', 'optional', 'required'));
    expect(fieldsOf('full')).toEqual(fields('optional', 'optional', 'optional'));
  });

  it('says whose its state is, and what may not change under its name', () => {
    expect(describeJoin(definition)).toMatchObject({
      operatorId: 'j',
      kind: 'join',
      keyFields: ['on'],
      filedBy: 'inside',
      keepsMs: null,
      identity: JSON.stringify([definition.left, definition.right, 'inner']),
      layout: '[4,6,2]',
    });
    const value = writeWatermarks(-Infinity, [
      { partition: 0, watermarkMs: 4 },
      { partition: 3, watermarkMs: -Infinity },
    ]);
    expect(describeJoin(definition).rowsOf({ key: watermarksName, value })).toEqual([
      { key: null, eventTimeMs: null, values: { query: null, 'partition 0': 4, 'partition 3': null } },
    ]);
  });

  it('makes columns of what it has kept, of texts and of numbers', () => {
    expect(valuesColumn('string', ['a', null, 7]).kind).toBe('utf8');
    expect(valuesColumn('double', [1, null])).toMatchObject({ kind: 'number', valid: Uint8Array.of(1, 0) });
    expect(() => valuesColumn('double', ['a'])).toThrow('a text cannot be in a column of numbers');
  });
});
