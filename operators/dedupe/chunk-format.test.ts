import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../engine/error.ts';
import {
  addToChunk,
  chunkKey,
  chunkRecords,
  decodeChunk,
  emptyChunk,
  encodeChunk,
  type Chunk,
} from './chunk-format.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function add(chunk: Chunk, key: string, eventTimeMs: number): void {
  const bytes = bytesOf(key);
  addToChunk(chunk, bytes, 0, bytes.length, eventTimeMs);
}

function keysOf({ count, data, offsets }: Chunk): string[] {
  return Array.from({ length: count }, (_, i) => new TextDecoder().decode(data.subarray(offsets[i], offsets[i + 1])));
}

function refusalOf(bytes: Uint8Array): SluiceError {
  try {
    decodeChunk(chunkKey(7), bytes);
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('the bytes were read');
}

describe('a chunk of remembered ids', () => {
  it('is written as its version, its number of records, and a time, a length and the bytes of each', () => {
    const chunk = emptyChunk(3, 16);
    add(chunk, 'ab', 1);
    add(chunk, '', -2);
    const f64 = (value: number): number[] => [...new Uint8Array(Float64Array.of(value).buffer)];
    expect([...encodeChunk(chunk)]).toEqual(
      [[1], [2, 0, 0, 0], f64(1), [2, 0, 0, 0], [97, 98], f64(-2), [0, 0, 0, 0]].flat(),
    );
    expect([...chunkKey(258)]).toEqual([0, 0, 0, 0, 0, 0, 1, 2]);
  });

  it('takes a key out of the middle of other bytes, and grows by as much as it must', () => {
    const chunk = emptyChunk(0, 4);
    const bytes = bytesOf('..abc....');
    addToChunk(chunk, bytes, 2, 5, 10);
    expect([...chunk.data]).toEqual([97, 98, 99, 0]);
    addToChunk(chunk, bytes, 2, 3, 10);
    expect(chunk.data).toHaveLength(4);
    addToChunk(chunk, bytes, 3, 5, 10);
    expect(chunk.data).toHaveLength(8);
    add(chunk, 'a key that is longer than twice the room', 10);
    expect(chunk.data).toHaveLength(46);
    expect(keysOf(chunk)).toEqual(['abc', 'a', 'bc', 'a key that is longer than twice the room']);
  });

  it('knows its newest record, whatever the order', () => {
    const chunk = emptyChunk(0, 16);
    expect(chunk.newestMs).toBe(-Infinity);
    for (const [time, newest] of [
      [5, 5],
      [9, 9],
      [7, 9],
    ] as const) {
      add(chunk, 'k', time);
      expect(chunk.newestMs).toBe(newest);
    }
  });

  it('reads back as it was when it is full', () => {
    const chunk = emptyChunk(7, 1);
    for (let i = 0; i < chunkRecords; i++) add(chunk, `id ${i}`, i * 1.5);
    const read = decodeChunk(chunkKey(7), encodeChunk(chunk));
    expect(read).toMatchObject({ number: 7, count: chunkRecords, newestMs: 255 * 1.5 });
    expect(keysOf(read)).toEqual(Array.from({ length: chunkRecords }, (_, i) => `id ${i}`));
    expect([...read.times]).toEqual([...chunk.times]);
    expect([...encodeChunk(read)]).toEqual([...encodeChunk(chunk)]);
  });

  it('is read from bytes that lie inside of others', () => {
    const chunk = emptyChunk(7, 1);
    add(chunk, 'id', 4);
    const inside = (bytes: Uint8Array): Uint8Array => Uint8Array.of(9, 9, ...bytes, 9).subarray(2, -1);
    expect(keysOf(decodeChunk(inside(chunkKey(7)), inside(encodeChunk(chunk))))).toEqual(['id']);
  });

  it('is refused by name where it is of another version, too long or cut off, with the reason', () => {
    const chunk = emptyChunk(7, 1);
    add(chunk, 'first', 4);
    add(chunk, 'second', 4);
    const whole = encodeChunk(chunk);
    const other = whole.slice();
    other[0] = 2;
    expect(refusalOf(other)).toMatchObject({ code: 'STATE_FORMAT', cause: { message: 'version 2' } });
    expect(refusalOf(other).message).toBe(
      'stored deduplication state must have version 1 and be whole; chunk 7 does not: rebuild the state from the log',
    );
    const many = new Uint8Array(5 + 257 * 12);
    many.set([1, 1, 1]);
    expect(refusalOf(many)).toMatchObject({ code: 'STATE_FORMAT', cause: { message: '257 records' } });
    // In the first record's key, where it ends, in the second's head, and in the last key.
    for (const size of [18, 22, 30, whole.length - 1])
      expect(refusalOf(whole.slice(0, size)).code).toBe('STATE_FORMAT');
    expect(refusalOf(whole.slice(0, whole.length - 1))).toMatchObject({ cause: { message: 'cut off' } });
  });
});
