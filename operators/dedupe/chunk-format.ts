import { SluiceError } from '../../engine/error.ts';

/** Records kept in one stored value: large enough that a flush writes few, small enough that the open one is cheap to write again. */
export const chunkRecords = 256;
const formatVersion = 1;

/** Some of the records that were let through, in the order of their arrival: key `i` is the bytes `[offsets[i], offsets[i + 1])` of `data`. */
export interface Chunk {
  readonly number: number;
  count: number;
  data: Uint8Array;
  readonly offsets: Int32Array;
  readonly times: Float64Array;
  newestMs: number;
}

/** A chunk with nothing in it, with room for so many bytes of keys, which grows. */
export function emptyChunk(number: number, keyBytes: number): Chunk {
  return {
    number,
    count: 0,
    data: new Uint8Array(keyBytes),
    offsets: new Int32Array(chunkRecords + 1),
    times: new Float64Array(chunkRecords),
    newestMs: -Infinity,
  };
}

/** Puts a record behind the others: its key is the bytes `[from, to)` of `data`. The chunk must have fewer than {@link chunkRecords}. */
export function addToChunk(chunk: Chunk, data: Uint8Array, from: number, to: number, eventTimeMs: number): void {
  const start = chunk.offsets[chunk.count] ?? 0;
  const end = start + to - from;
  if (end > chunk.data.length) {
    const grown = new Uint8Array(Math.max(chunk.data.length * 2, end));
    grown.set(chunk.data);
    chunk.data = grown;
  }
  const target = chunk.data;
  for (let read = from, write = start; read < to; read++, write++) target[write] = data[read] ?? 0;
  chunk.times[chunk.count] = eventTimeMs;
  chunk.count += 1;
  chunk.offsets[chunk.count] = end;
  if (eventTimeMs > chunk.newestMs) chunk.newestMs = eventTimeMs;
}

/** Big-endian, so that chunks stand in the store in order of arrival. */
export function chunkKey(number: number): Uint8Array {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigUint64(0, BigInt(number));
  return key;
}

/** `u8 version · u32 records · then for each f64 event time · u32 key length · key`, little-endian. */
export function encodeChunk(chunk: Chunk): Uint8Array {
  const { count, data, offsets, times } = chunk;
  const bytes = new Uint8Array(5 + count * 12 + (offsets[count] ?? 0));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, formatVersion);
  view.setUint32(1, count, true);
  let at = 5;
  for (let i = 0; i < count; i++) {
    const key = data.subarray(offsets[i], offsets[i + 1]);
    view.setFloat64(at, times[i] ?? 0, true);
    view.setUint32(at + 8, key.length, true);
    bytes.set(key, at + 12);
    at += 12 + key.length;
  }
  return bytes;
}

/** Reads what {@link encodeChunk} wrote under {@link chunkKey}. @throws {SluiceError} `STATE_FORMAT` */
export function decodeChunk(key: Uint8Array, bytes: Uint8Array): Chunk {
  const number = Number(new DataView(key.buffer, key.byteOffset, key.byteLength).getBigUint64(0));
  const chunk = emptyChunk(number, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (view.getUint8(0) !== formatVersion) throw new RangeError(`version ${view.getUint8(0)}`);
    const count = view.getUint32(1, true);
    if (count > chunkRecords) throw new RangeError(`${count} records`);
    let at = 5;
    for (let i = 0; i < count; i++) {
      const eventTimeMs = view.getFloat64(at, true);
      const length = view.getUint32(at + 8, true);
      if (at + 12 + length > bytes.length) throw new RangeError('cut off');
      addToChunk(chunk, bytes, at + 12, at + 12 + length, eventTimeMs);
      at += 12 + length;
    }
  } catch (cause) {
    throw new SluiceError(
      'STATE_FORMAT',
      `stored deduplication state must have version ${formatVersion} and be whole; chunk ${number} does not: rebuild the state from the log`,
      { cause },
    );
  }
  return chunk;
}
