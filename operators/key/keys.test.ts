import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf, type Column } from '../../engine/record/column.ts';
import { recordBatch, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type FieldType } from '../../engine/record/schema.ts';
import { keyOfParts, keyParts, keyPartValue } from './decode-key.ts';
import { encodeKeys } from './encode-keys.ts';

type Value = string | number | null;

/** A batch with a column for each list of values: `a`, `b`, `c`. */
function batchOf(...lists: readonly (readonly Value[])[]): RecordBatch {
  const isText = (values: readonly Value[]): boolean => values.some((value) => typeof value === 'string');
  const schema = new Schema(
    lists.map((values, i) => ({
      name: 'abc'.charAt(i),
      type: isText(values) ? ('string' as const) : ('double' as const),
      presence: 'optional' as const,
    })),
  );
  const columns = lists.map((values): Column =>
    isText(values) ? utf8ColumnOf(values as (string | null)[]) : numberColumnOf(values as (number | null)[]),
  );
  return recordBatch(schema, columns, {
    partition: 0,
    offset: 0,
    eventTimesMs: new Float64Array(lists[0]?.length ?? 0),
  });
}

/** The key of each row, `null` where it has none, its parts written one behind the other with a bar between. */
function keysOf(batch: RecordBatch, names: readonly string[]): (string | null)[] {
  const { slab, present } = encodeKeys(batch, names);
  return Array.from({ length: batch.rowCount }, (_, row) =>
    present !== null && present[row] !== 1
      ? null
      : Buffer.from(slab.data.subarray(slab.offsets[row], slab.offsets[row + 1]))
          .toString('latin1')
          .replaceAll('\xff', '|'),
  );
}

describe('the keys of a batch', () => {
  it('are the bytes of the only column where it is text, without a copy', () => {
    const batch = batchOf(['ab', '', null, 'c']);
    expect(keysOf(batch, ['a'])).toEqual(['ab', '', null, 'c']);
    expect(encodeKeys(batch, ['a']).slab).toBe(batch.columns[0]);
  });

  it('are whole numbers as decimal digits, others as they are printed', () => {
    const numbers = [0, 9, 10, 11, 99, 100, 907, Number.MAX_SAFE_INTEGER, -1, 0.5, -1.25e-7, 2 ** 53, 1e300, null];
    expect(keysOf(batchOf(numbers), ['a'])).toEqual(numbers.map((value) => (value === null ? null : String(value))));
    expect(keysOf(batchOf([-0]), ['a'])).toEqual(['0']);
    // Neighbours near the largest whole number that a double tells from the next.
    expect(keysOf(batchOf([2 ** 53 - 2, 2 ** 53 - 1, 2 ** 53]), ['a'])).toEqual([
      '9007199254740990',
      '9007199254740991',
      '9007199254740992',
    ]);
    const longest = [-1.2345678901234567e-100, -1.7976931348623157e308, 5e-324];
    expect(keysOf(batchOf(longest), ['a'])).toEqual(longest.map(String));
  });

  it('are the parts of several columns in the order in which they are named', () => {
    const batch = batchOf(['x', '', 'zz'], [7, -2, 30], ['p', 'q', '']);
    expect(keysOf(batch, ['a', 'b', 'c'])).toEqual(['x|7|p', '|-2|q', 'zz|30|']);
    expect(keysOf(batch, ['c', 'a'])).toEqual(['p|x', 'q|', '|zz']);
  });

  it('are absent where any part is', () => {
    const batch = batchOf(['x', null, 'y', 'z'], [1, 2, null, 4], ['p', 'q', 'r', 's']);
    expect(keysOf(batch, ['c', 'b', 'a'])).toEqual(['p|1|x', null, null, 's|4|z']);
    expect(encodeKeys(batchOf(['x'], [1]), ['a', 'b']).present).toBeNull();
    expect(encodeKeys(batchOf(['x']), ['a']).present).toBeNull();
  });

  it('are those of the rows that were selected', () => {
    const batch = selectRows(batchOf(['x', 'y', 'z'], [1, 2, 3]), Int32Array.of(2, 0));
    expect(keysOf(batch, ['a', 'b'])).toEqual(['z|3', 'x|1']);
  });
});

describe('a key that a person names', () => {
  it.each([[['card 1']], [['card 1', '7', 'é€']], [['', '']], [['']], [['a', '', 'b']]])(
    'has the bytes that records of it have: %j',
    (parts) => {
      const key = keyOfParts(parts);
      expect(keyParts(key)).toEqual(parts);
      const { slab } = encodeKeys(batchOf(...parts.map((part) => [part])), ['a', 'b', 'c'].slice(0, parts.length));
      expect(Buffer.from(key)).toEqual(Buffer.from(slab.data.subarray(slab.offsets[0], slab.offsets[1])));
    },
  );

  it('has its parts with one byte between, which no text contains', () => {
    expect([...keyOfParts(['a', 'bc', ''])]).toEqual([97, 255, 98, 99, 255]);
    expect(keyParts(Uint8Array.of(97, 255, 255, 98))).toEqual(['a', '', 'b']);
  });

  it('has parts that are numbers where their field is one', () => {
    const types: readonly FieldType[] = ['string', 'double', 'long', 'timestamp', 'boolean'];
    expect(types.map((type) => keyPartValue('17', type))).toEqual(['17', 17, 17, 17, 17]);
  });
});
