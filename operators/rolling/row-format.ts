import { strict as assert } from 'node:assert';
import { SluiceError } from '../../engine/error.ts';
import type { KeyIndex } from '../../engine/state/key-index.ts';
import type { RowStore } from './row-store.ts';
import type { StoredColumn } from './rolling-layout.ts';

/**
 * A key's rows as they stand in the state store. Little-endian:
 *
 *     u8 version = 1 · u8 columns · u16 zero · u32 rows
 *     f64 × rows                  event times, ascending, ties in arrival order
 *     for each column, number:    f64 × rows                               (NaN is null)
 *                      code:      i32 × rows, then u32 texts, then each as u32 length and UTF-8 bytes (-1 is null)
 *
 * Texts are numbered in order of first appearance in this key's rows, so the bytes depend on the rows alone: the same log gives the same bytes,
 * whatever else the process has seen, and they can be moved to another store.
 */
export const formatVersion = 1;

/** What stands before the event times. */
export const headerBytes = 8;

assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, 'Sluice runs on little-endian machines only');

/**
 * Makes the slot's rows what `bytes` say. Called when a key is read back from the store.
 *
 * @throws {SluiceError} `STATE_FORMAT` when the bytes are of another version, of other columns, or cut off.
 */
export function decodeRows(
  bytes: Uint8Array,
  store: RowStore,
  slot: number,
  columns: readonly StoredColumn[],
  dictionary: KeyIndex,
): void {
  // A copy at offset 0, since typed arrays over the bytes must be aligned. (Not `slice`, which gives a view when a store hands out a Buffer.)
  const aligned = new Uint8Array(bytes);
  const view = new DataView(aligned.buffer);
  try {
    const version = view.getUint8(0);
    const columnCount = view.getUint8(1);
    if (version !== formatVersion || columnCount !== columns.length) {
      throw formatError(
        `version ${formatVersion} with ${columns.length} columns; got version ${version} with ${columnCount}`,
      );
    }
    const rows = view.getUint32(4, true);
    store.reserve(slot, rows);
    const chunk = store.chunk(slot);
    const start = store.start(slot);
    chunk.set(new Float64Array(aligned.buffer, headerBytes, rows), start);
    let at = headerBytes + rows * 8;
    columns.forEach(({ form }, column) => {
      const to = start + (1 + column) * store.stride(slot);
      if (form === 'number') {
        chunk.set(new Float64Array(aligned.slice(at, at + rows * 8).buffer), to);
        at += rows * 8;
      } else {
        at = decodeCodes(aligned, view, at, rows, dictionary, chunk.subarray(to, to + rows));
      }
    });
    if (at !== aligned.length) throw formatError(`${at} bytes; got ${aligned.length}`);
  } catch (error) {
    store.clear(slot);
    throw error instanceof RangeError ? formatError(`a whole value; it is cut off (${aligned.length} bytes)`) : error;
  }
}

/**
 * The event time of the newest row of a stored value. Called by whoever sweeps a store for keys that nothing reaches any more.
 *
 * @throws {SluiceError} `STATE_FORMAT` when the bytes are of another version, or cut off.
 */
export function newestStoredMs(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[0];
  if (version !== formatVersion) throw formatError(`version ${formatVersion}; got version ${version ?? 'none'}`);
  const rows = bytes.length < headerBytes ? 0 : view.getUint32(4, true);
  if (rows === 0 || bytes.length < headerBytes + rows * 8) {
    throw formatError(`a whole value; it is cut off (${bytes.length} bytes)`);
  }
  return view.getFloat64(headerBytes + (rows - 1) * 8, true);
}

function decodeCodes(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  rows: number,
  dictionary: KeyIndex,
  target: Float64Array,
): number {
  let at = start + rows * 4;
  const texts = view.getUint32(at, true);
  at += 4;
  const codes = new Float64Array(texts);
  for (let i = 0; i < texts; i++) {
    const length = view.getUint32(at, true);
    at += 4;
    if (at + length > bytes.length) throw new RangeError('cut off');
    codes[i] = dictionary.findOrInsertKey(bytes.subarray(at, at + length));
    at += length;
  }
  for (let row = 0; row < rows; row++) {
    const number = view.getInt32(start + row * 4, true);
    target[row] = number < 0 ? NaN : (codes[number] ?? NaN);
  }
  return at;
}

function formatError(expected: string): SluiceError {
  return new SluiceError(
    'STATE_FORMAT',
    `stored rolling state must have ${expected}; it was written by another version of the job or is damaged: rebuild the state from the log`,
  );
}
