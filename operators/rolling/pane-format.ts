import { SluiceError } from '../../engine/error.ts';
import type { PaneLayout } from './pane-layout.ts';
import type { PaneStore } from './pane-store.ts';
import type { RowStore } from './row-store.ts';

/**
 * A key's rows and panes as they stand in the state store. Little-endian; it shares the version byte with `row-format.ts`, so that neither reads the other's:
 *
 *     u8 version = 2 · u8 columns · u16 pane columns · u32 rows · u32 panes · u32 zero
 *     f64 sealed to               -Infinity: nothing is
 *     f64 newest                  no record is newer
 *     f64 × rows                  event times, ascending, ties in arrival order; then each column (NaN is null)
 *     f64 × panes                 ends, ascending; then each pane column
 */
const paneFormatVersion = 2;

const headerBytes = 32;

/** The slot's rows and panes as bytes; it must have some. */
export function encodePanes(store: PaneStore, slot: number, layout: PaneLayout): Uint8Array {
  const rows = store.rows.count(slot);
  const panes = store.panes.count(slot);
  const columns = layout.rolling.columns.length;
  const doubles = rows * (1 + columns) + panes * (1 + layout.paneColumns);
  const buffer = new ArrayBuffer(headerBytes + doubles * 8);
  const view = new DataView(buffer);
  view.setUint8(0, paneFormatVersion);
  view.setUint8(1, columns);
  view.setUint16(2, layout.paneColumns, true);
  view.setUint32(4, rows, true);
  view.setUint32(8, panes, true);
  view.setFloat64(16, store.sealedToMs(slot), true);
  view.setFloat64(24, store.newestMs(slot), true);
  const values = new Float64Array(buffer, headerBytes);
  let at = 0;
  for (const part of [store.rows, store.panes]) {
    const count = part.count(slot);
    if (count === 0) continue;
    const chunk = part.chunk(slot);
    for (let column = 0; column <= part.columnCount; column++, at += count) {
      const from = part.start(slot) + column * part.stride(slot);
      values.set(chunk.subarray(from, from + count), at);
    }
  }
  return new Uint8Array(buffer);
}

/**
 * Makes the slot's rows and panes what `bytes` say. Called when a key is read back from the store.
 *
 * @throws {SluiceError} `STATE_FORMAT` when the bytes are of another version, of other columns, or cut off.
 */
export function decodePanes(bytes: Uint8Array, store: PaneStore, slot: number, layout: PaneLayout): void {
  const { view, rows, panes } = readHeader(bytes);
  const columns = layout.rolling.columns.length;
  if (view.getUint8(1) !== columns || view.getUint16(2, true) !== layout.paneColumns) {
    const got = `${view.getUint8(1)} and ${view.getUint16(2, true)}`;
    throw formatError(`${columns} columns and ${layout.paneColumns} of panes; got ${got}`);
  }
  const size = headerBytes + (rows * (1 + columns) + panes * (1 + layout.paneColumns)) * 8;
  if (bytes.length !== size) throw formatError(`${size} bytes; got ${bytes.length}`);
  store.reserve(slot, rows, panes, view.getFloat64(16, true));
  // A copy at offset 0, since typed arrays over the bytes must be aligned.
  const values = new Float64Array(new Uint8Array(bytes).buffer, headerBytes);
  const paneValues = rows * (1 + columns);
  if (rows > 0) fill(store.rows, slot, values.subarray(0, paneValues));
  if (panes > 0) fill(store.panes, slot, values.subarray(paneValues));
}

/**
 * No record of a stored value is newer than this. Called by whoever sweeps a store for keys that nothing reaches any more.
 *
 * @throws {SluiceError} `STATE_FORMAT` when the bytes are of another version, or cut off.
 */
export function newestInPanesMs(bytes: Uint8Array): number {
  return readHeader(bytes).view.getFloat64(24, true);
}

function fill(part: RowStore, slot: number, values: Float64Array): void {
  const count = part.count(slot);
  const chunk = part.chunk(slot);
  for (let column = 0; column <= part.columnCount; column++) {
    const to = part.start(slot) + column * part.stride(slot);
    chunk.set(values.subarray(column * count, (column + 1) * count), to);
  }
}

interface Header {
  readonly view: DataView;
  readonly rows: number;
  readonly panes: number;
}

function readHeader(bytes: Uint8Array): Header {
  if (bytes[0] !== paneFormatVersion) {
    throw formatError(`version ${paneFormatVersion}; got version ${bytes[0] ?? 'none'}`);
  }
  if (bytes.length < headerBytes) throw formatError(`a whole value; it is cut off (${bytes.length} bytes)`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { view, rows: view.getUint32(4, true), panes: view.getUint32(8, true) };
}

function formatError(expected: string): SluiceError {
  return new SluiceError(
    'STATE_FORMAT',
    `stored state of rolling panes must have ${expected}; it was written by another version of the job or is damaged: rebuild the state from the log`,
  );
}
