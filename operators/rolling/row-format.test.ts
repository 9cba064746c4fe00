import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../engine/error.ts';
import { Schema } from '../../engine/record/schema.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import { describeRolling } from './describe-rolling.ts';
import type { RollingAggregate, RollingDefinition } from './rolling-definition.ts';
import { layOut, rollingFields, type StoredColumn } from './rolling-layout.ts';
import { decodeRows, newestStoredMs } from './row-format.ts';
import { RowStore } from './row-store.ts';
import { RowWriter } from './row-writer.ts';

const columns: readonly StoredColumn[] = [
  { input: 'amount', where: null, form: 'number' },
  { input: 'place', where: 'flagged', form: 'code' },
];

type Row = readonly [eventTimeMs: number, amount: number | null, place: string | null];

/** Rows in a store, with their texts in a dictionary that has others in it, too. */
class Rows {
  readonly store = new RowStore(columns.length);
  readonly dictionary = new KeyIndex();
  readonly writer = new RowWriter(columns, this.dictionary);

  constructor() {
    for (const other of ['other', 'words']) this.codeOf(other);
  }

  codeOf(text: string): number {
    return this.dictionary.findOrInsertKey(new TextEncoder().encode(text));
  }

  put(slot: number, rows: readonly Row[]): void {
    this.store.reserve(slot, rows.length);
    const chunk = this.store.chunk(slot);
    const [start, stride] = [this.store.start(slot), this.store.stride(slot)];
    rows.forEach(([t, amount, place], row) => {
      chunk[start + row] = t;
      chunk[start + stride + row] = amount ?? NaN;
      chunk[start + 2 * stride + row] = place === null ? NaN : this.codeOf(place);
    });
  }

  read(slot: number): Row[] {
    const chunk = this.store.chunk(slot);
    const at = (row: number, column: number): number =>
      chunk[this.store.start(slot) + row + column * this.store.stride(slot)] ?? NaN;
    return Array.from({ length: this.store.count(slot) }, (_, row): Row => {
      const [amount, code] = [at(row, 1), at(row, 2)];
      const place = Number.isNaN(code) ? null : new TextDecoder().decode(this.dictionary.keyOf(code));
      return [at(row, 0), Number.isNaN(amount) ? null : amount, place];
    });
  }
}

const some: readonly Row[] = [
  [-5, 1.5, 'b'],
  [7, null, null],
  [7, -2, 'é'],
  [9, 0, 'b'],
];

function bytesOf(rows: readonly Row[]): Uint8Array {
  const state = new Rows();
  state.put(3, rows);
  return state.writer.write(state.store, 3);
}

function refusalOf(read: () => unknown): SluiceError {
  try {
    read();
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('the bytes were read');
}

const messageOf = (expected: string): string =>
  `stored rolling state must have ${expected}; it was written by another version of the job or is damaged: rebuild the state from the log`;

describe('the stored rows of a key', () => {
  it('have the bytes that other versions have written', () => {
    const f64 = (...values: number[]): string => Buffer.from(Float64Array.from(values).buffer).toString('hex');
    expect(Buffer.from(bytesOf(some)).toString('hex')).toBe(
      '01' +
        '02' +
        '0000' +
        '04000000' +
        f64(-5, 7, 7, 9) +
        f64(1.5, NaN, -2, 0) +
        '00000000' +
        'ffffffff' +
        '01000000' +
        '00000000' +
        '02000000' +
        '01000000' +
        '62' +
        '02000000' +
        'c3a9',
    );
  });

  it('read back as they were, into whatever the slot had, with the codes of another dictionary', () => {
    const state = new Rows();
    state.codeOf('é');
    state.put(1, [[1, 1, 'gone']]);
    decodeRows(bytesOf(some), state.store, 1, columns, state.dictionary);
    expect(state.read(1)).toEqual(some);
    const inside = Uint8Array.of(1, 2, 3, ...bytesOf(some), 4).subarray(3, -1);
    decodeRows(inside, state.store, 2, columns, state.dictionary);
    expect(state.read(2)).toEqual(some);
  });

  it('depend on the rows alone, whatever else is written before and after them', () => {
    const state = new Rows();
    const many: Row[] = Array.from({ length: 3_000 }, (_, i) => [i, i, `text ${i % 2_500}`]);
    state.put(0, many);
    state.put(1, some);
    const [first, large, second] = [1, 0, 1].map((slot) => Uint8Array.from(state.writer.write(state.store, slot)));
    expect(first).toEqual(bytesOf(some));
    expect(second).toEqual(bytesOf(some));
    const other = new Rows();
    decodeRows(large ?? new Uint8Array(0), other.store, 0, columns, other.dictionary);
    expect(other.read(0)).toEqual(many);
  });

  it('stay as they are while others are written, over many slabs', () => {
    const state = new Rows();
    const long = 'x'.repeat(100_000);
    const rows: Row[] = Array.from({ length: 30 }, (_, i) => [i, i, `${i} ${long}`]);
    state.put(0, rows);
    state.put(1, some);
    const written = [1, 0, 1, 0, 1].map((slot) => state.writer.write(state.store, slot));
    for (const at of [0, 2, 4]) expect(written[at]).toEqual(bytesOf(some));
    expect(Buffer.compare(written[1] ?? new Uint8Array(0), written[3] ?? new Uint8Array(0))).toBe(0);
    const other = new Rows();
    decodeRows(written[1] ?? new Uint8Array(0), other.store, 0, columns, other.dictionary);
    expect(other.read(0)).toEqual(rows);
  });

  it('are not written where there are none', () => {
    const state = new Rows();
    state.put(0, []);
    expect(() => state.writer.write(state.store, 0)).toThrow('a key without rows is deleted, not written');
  });

  it('are refused by name where they are of another form or damaged, and the slot is empty then', () => {
    const whole = bytesOf(some);
    const state = new Rows();
    const read = (bytes: Uint8Array, by = columns) => {
      state.put(0, some);
      const refusal = refusalOf(() => decodeRows(bytes, state.store, 0, by, state.dictionary));
      expect(state.store.count(0)).toBe(0);
      return refusal;
    };
    const changed = (at: number, value: number): Uint8Array => {
      const bytes = whole.slice();
      bytes[at] = value;
      return bytes;
    };
    expect(read(changed(0, 2))).toMatchObject({
      code: 'STATE_FORMAT',
      message: messageOf('version 1 with 2 columns; got version 2 with 2'),
    });
    expect(read(changed(1, 3)).message).toBe(messageOf('version 1 with 2 columns; got version 1 with 3'));
    expect(read(Uint8Array.of(...whole, 0)).message).toBe(messageOf(`${whole.length} bytes; got ${whole.length + 1}`));
    // In the header, the event times, the codes, the number of texts, a text's length and the last text.
    for (const size of [0, 1, 6, 20, 75, 90, 92, 97, whole.length - 1]) {
      expect(read(whole.slice(0, size)).message).toBe(messageOf(`a whole value; it is cut off (${size} bytes)`));
    }
  });

  it('know their newest event time without being read', () => {
    expect(newestStoredMs(bytesOf(some))).toBe(9);
    expect(newestStoredMs(bytesOf([[-7, 1, 'x']]))).toBe(-7);
    expect(newestStoredMs(Uint8Array.of(0, 0, ...bytesOf(some), 0).subarray(2))).toBe(9);
    const whole = bytesOf(some);
    expect(newestStoredMs(whole.slice(0, 40))).toBe(9);
    for (const size of [1, 7, 8, 39]) {
      expect(refusalOf(() => newestStoredMs(whole.slice(0, size)))).toMatchObject({
        code: 'STATE_FORMAT',
        message: messageOf(`a whole value; it is cut off (${size} bytes)`),
      });
    }
    expect(refusalOf(() => newestStoredMs(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))).code).toBe('STATE_FORMAT');
    expect(refusalOf(() => newestStoredMs(new Uint8Array(0))).message).toContain('version 1; got version none');
    expect(refusalOf(() => newestStoredMs(Uint8Array.of(3, ...whole))).message).toContain('version 1; got version 3');
  });
});

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'seen', type: 'timestamp', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
  { name: 'flagged', type: 'boolean', presence: 'optional' },
]);

function aggregate(name: string, more: Partial<RollingAggregate>): RollingAggregate {
  const defaults = { input: null, where: null, overMs: 10, delayMs: 0, n: null, halfLifeMs: null } as const;
  return { name, function: 'count', current: 'exclude', ...defaults, ...more };
}

const definition: RollingDefinition = {
  operatorId: 'cards',
  key: ['card'],
  aggregates: [
    aggregate('total', { function: 'sum', input: 'amount' }),
    aggregate('places', { function: 'distinct', input: 'place', where: 'flagged', overMs: 40, delayMs: 5 }),
    aggregate('flags', { where: 'flagged' }),
  ],
  allowedLatenessMs: 7,
};

describe('stored rows, read as rows', () => {
  it('say whose they are, how long they are kept, and what may not change under their name', () => {
    expect(describeRolling(definition, schema, 'amount is euros')).toMatchObject({
      operatorId: 'cards',
      kind: 'rolling',
      keyFields: ['card'],
      filedBy: 'key',
      keepsMs: 52,
      identity: '',
      layout: JSON.stringify([
        [
          ['amount', null, 'number'],
          ['place', 'flagged', 'code'],
          [null, 'flagged', 'number'],
        ],
        'amount is euros',
      ]),
    });
    expect(describeRolling(definition, schema).layout).toMatch(/,""\]$/);
  });

  it('have the columns that aggregates take in, under the names of their inputs and conditions', () => {
    const two: RollingDefinition = { ...definition, aggregates: definition.aggregates.slice(0, 2) };
    const describer = describeRolling(two, schema);
    const key = Uint8Array.of(97);
    const rows = [
      { key, eventTimeMs: -5, values: { amount: 1.5, 'place where flagged': 'b' } },
      { key, eventTimeMs: 7, values: { amount: null, 'place where flagged': null } },
      { key, eventTimeMs: 7, values: { amount: -2, 'place where flagged': 'é' } },
      { key, eventTimeMs: 9, values: { amount: 0, 'place where flagged': 'b' } },
    ];
    for (let again = 0; again < 2; again++) expect(describer.rowsOf({ key, value: bytesOf(some) })).toEqual(rows);
    const counting = describeRolling({ ...definition, aggregates: definition.aggregates.slice(2) }, schema);
    const value = Uint8Array.of(1, 1, 0, 0, 1, 0, 0, 0, ...new Uint8Array(Float64Array.of(3, 1).buffer));
    expect(counting.rowsOf({ key, value })).toEqual([{ key, eventTimeMs: 3, values: { 'records where flagged': 1 } }]);
  });

  it('are read on and on, though each has texts of its own', () => {
    const two: RollingDefinition = { ...definition, aggregates: definition.aggregates.slice(0, 2) };
    const describer = describeRolling(two, schema);
    for (let entry = 0; entry < 3; entry++) {
      const value = bytesOf(Array.from({ length: 50 }, (_, i): Row => [i, i, `${entry} ${i}`]));
      const rows = describer.rowsOf({ key: Uint8Array.of(entry), value });
      expect([rows.length, rows.at(-1)?.values['place where flagged']]).toEqual([50, `${entry} 49`]);
    }
  });
});

describe('the layout of a rolling operator', () => {
  it('has a field for each answer, by its function and its input', () => {
    const fieldOf = (more: Partial<RollingAggregate>): unknown =>
      rollingFields({ ...definition, aggregates: [aggregate('f', more)] }, schema).map(({ name, type, presence }) => [
        name,
        type,
        presence,
      ]);
    const answered = (type: string): unknown => [['f', type, 'optional']];
    expect(fieldOf({ function: 'count' })).toEqual(answered('long'));
    expect(fieldOf({ function: 'distinct', input: 'amount' })).toEqual(answered('long'));
    for (const name of ['sum', 'avg', 'min', 'max', 'stddev'] as const) {
      expect(fieldOf({ function: name, input: 'seen' })).toEqual(answered('double'));
    }
    expect(fieldOf({ function: 'sinceLast' })).toEqual(answered('double'));
    expect(fieldOf({ function: 'decayedSum', input: 'amount', halfLifeMs: 5 })).toEqual(answered('double'));
    expect(fieldOf({ function: 'first', input: 'place' })).toEqual(answered('string'));
    expect(fieldOf({ function: 'last', input: 'seen' })).toEqual(answered('timestamp'));
    expect(fieldOf({ function: 'lastN', input: 'place', n: 2 })).toEqual([
      ['f_1', 'string', 'optional'],
      ['f_2', 'string', 'optional'],
    ]);
    expect(fieldOf({ function: 'lastN', input: 'amount' })).toEqual([['f_1', 'double', 'optional']]);
  });

  it('stores a column once for all who read the same values, and texts as codes', () => {
    const { columns: stored } = layOut(
      {
        ...definition,
        aggregates: [
          aggregate('a', { function: 'sum', input: 'amount' }),
          aggregate('b', { function: 'max', input: 'amount', overMs: 99 }),
          aggregate('c', { function: 'sum', input: 'amount', where: 'flagged' }),
          aggregate('d', { function: 'distinct', input: 'amount' }),
          aggregate('e', { function: 'last', input: 'place' }),
          aggregate('f', {}),
          aggregate('g', { where: 'flagged' }),
        ],
      },
      schema,
    );
    expect(stored).toEqual([
      { input: 'amount', where: null, form: 'number' },
      { input: 'amount', where: 'flagged', form: 'number' },
      { input: 'amount', where: null, form: 'code' },
      { input: 'place', where: null, form: 'code' },
      { input: null, where: 'flagged', form: 'number' },
    ]);
  });

  it('reads windows with one end together, shortest first, and walks a column once for each function', () => {
    const layout = layOut(
      {
        ...definition,
        aggregates: [
          aggregate('s40', { function: 'sum', input: 'amount', overMs: 40 }),
          aggregate('m10', { function: 'max', input: 'amount', overMs: 10 }),
          aggregate('s10', { function: 'sum', input: 'amount', overMs: 10 }),
          aggregate('s100', { function: 'sum', input: 'amount', overMs: 100 }),
          aggregate('own', { function: 'sum', input: 'amount', overMs: 10, current: 'include' }),
          aggregate('ago', { function: 'sum', input: 'amount', overMs: 10, delayMs: 30, current: 'include' }),
          aggregate('ago2', { function: 'sum', input: 'amount', overMs: 20, delayMs: 30 }),
          aggregate('d5', { function: 'decayedSum', input: 'amount', halfLifeMs: 5 }),
          aggregate('d6', { function: 'decayedSum', input: 'amount', halfLifeMs: 6 }),
        ],
      },
      schema,
    );
    const read = layout.readings.map(({ delayMs, current, lengthsMs, walks }) => ({
      end: `${delayMs} ${current}`,
      lengths: [...lengthsMs],
      walks: walks.map(({ column, windows, outputs }) => [column, [...windows], [...outputs]]),
    }));
    expect(read).toEqual([
      {
        end: '0 exclude',
        lengths: [10, 40, 100],
        walks: [
          [0, [0, 1, 2], [2, 0, 3]],
          [0, [0], [1]],
          [0, [0], [7]],
          [0, [0], [8]],
        ],
      },
      { end: '0 include', lengths: [10], walks: [[0, [0], [4]]] },
      { end: '30 exclude', lengths: [10, 20], walks: [[0, [0, 1], [5, 6]]] },
    ]);
    expect([layout.reachMs, layout.retentionMs]).toEqual([100, 107]);
  });

  it('refuses a column that is not there, and a decayed sum without a half-life', () => {
    const lay = (more: Partial<RollingAggregate>) => () =>
      layOut({ ...definition, aggregates: [aggregate('f', more)] }, schema);
    expect(lay({ function: 'sum', input: 'nowhere' })).toThrow('the input column "nowhere" must be in the schema');
    expect(lay({ function: 'decayedSum', input: 'amount' })).toThrow('decayedSum must have a half-life');
  });
});
