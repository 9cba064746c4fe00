import { SluiceError } from '../../engine/error.ts';

/** Records kept in one stored value: large enough that a flush writes few, small enough that the open one is cheap to write again. */
export const chunkRecords = 256;
const formatVersion = 1;

/** Some of the records that were let through, in the order of their arrival. */
export interface Chunk {
  readonly number: number;
  readonly keys: Uint8Array[];
  readonly times: number[];
  newestMs: number;
}

/** Big-endian, so that chunks stand in the store in order of arrival. */
export function chunkKey(number: number): Uint8Array {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigUint64(0, BigInt(number));
  return key;
}

/** `u8 version · u32 records · then for each f64 event time · u32 key length · key`, little-endian. */
export function encodeChunk(chunk: Chunk): Uint8Array {
  const bytes = new Uint8Array(5 + chunk.keys.reduce((size, key) => size + 12 + key.length, 0));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, formatVersion);
  view.setUint32(1, chunk.keys.length, true);
  let at = 5;
  chunk.keys.forEach((key, index) => {
    view.setFloat64(at, chunk.times[index] ?? 0, true);
    view.setUint32(at + 8, key.length, true);
    bytes.set(key, at + 12);
    at += 12 + key.length;
  });
  return bytes;
}

/** Reads what {@link encodeChunk} wrote under {@link chunkKey}. @throws {SluiceError} `STATE_FORMAT` */
export function decodeChunk(key: Uint8Array, bytes: Uint8Array): Chunk {
  const number = Number(new DataView(key.buffer, key.byteOffset, key.byteLength).getBigUint64(0));
  const chunk: Chunk = { number, keys: [], times: [], newestMs: -Infinity };
  const copy = new Uint8Array(bytes);
  const view = new DataView(copy.buffer);
  try {
    if (view.getUint8(0) !== formatVersion) throw new RangeError(`version ${view.getUint8(0)}`);
    const count = view.getUint32(1, true);
    let at = 5;
    for (let i = 0; i < count; i++) {
      const eventTimeMs = view.getFloat64(at, true);
      const length = view.getUint32(at + 8, true);
      if (at + 12 + length > copy.length) throw new RangeError('cut off');
      chunk.keys.push(copy.slice(at + 12, at + 12 + length));
      chunk.times.push(eventTimeMs);
      chunk.newestMs = Math.max(chunk.newestMs, eventTimeMs);
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
