import { SluiceError } from '../../engine/error.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import { StateBytes, StateWriter } from '../aggregate/state-bytes.ts';
import { readWatermarkList, writeWatermarkList } from '../stateful/watermark-list.ts';
import type { JoinRow, JoinValue, Side } from './join-row.ts';

const formatVersion = 1;
/** Behind a key's bytes: a byte that no text contains, the side, event time, partition, offset. */
const suffixBytes = 1 + 1 + 8 + 4 + 8;

/** Where the operator's own watermarks are stored; shorter than any record's name. */
export const watermarksName: Uint8Array = Uint8Array.of(0xff);

/** A stored record as it was written. */
export interface StoredRow extends Pick<JoinRow, 'side' | 'timeMs' | 'partition' | 'offset' | 'values' | 'isMatched'> {
  readonly key: Uint8Array;
  readonly keyValues: readonly JoinValue[];
}

/** A record's name in the store: the key as it is readable elsewhere, then side, event time and position, big-endian, so that a key's records stand together in their order. */
export function rowName({ key, side, timeMs, partition, offset }: JoinRow): Uint8Array {
  const { bytes } = key;
  const name = new Uint8Array(bytes.length + suffixBytes);
  name.set(bytes);
  const at = bytes.length;
  name[at] = 0xff;
  name[at + 1] = side === 'left' ? 0 : 1;
  const view = new DataView(name.buffer);
  // Counted from the least instant, so that earlier than the epoch is less.
  setWhole(view, at + 2, timeMs, 0x8000_0000);
  view.setInt32(at + 10, partition);
  setWhole(view, at + 14, offset, 0);
  return name;
}

/** A whole number in two halves: a name is made for each record that comes and goes, and big integers would be garbage. */
function setWhole(view: DataView, at: number, value: number, highest: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  view.setUint32(at, high + highest);
  view.setUint32(at + 4, value - high * 0x1_0000_0000);
}

/** Writes records: `u8 version · u8 has had a partner · u8 key parts · values · u8 columns · values`, each value behind a byte that says whether it is there. */
export class JoinRowWriter {
  readonly #writer = new StateWriter();

  /** The record as bytes; they depend on it alone. */
  write({ isMatched, key, values }: JoinRow): Uint8Array {
    const to = this.#writer;
    to.u8(formatVersion);
    to.u8(isMatched ? 1 : 0);
    for (const list of [key.values, values]) {
      to.u32(list.length);
      for (const value of list) {
        to.u8(value === null ? 0 : 1);
        if (value !== null) to.value(value);
      }
    }
    return to.take();
  }
}

/** Reads what a {@link JoinRowWriter} wrote. @throws {SluiceError} `STATE_FORMAT` when the bytes are of another version, of other columns, or cut off. */
export function readRow(name: Uint8Array, bytes: Uint8Array, columnsOf: (side: Side) => number): StoredRow {
  return whole(() => {
    const from = new StateBytes(bytes);
    const version = from.u8();
    if (version !== formatVersion) throw new RangeError(`version ${version}`);
    const isMatched = from.u8() === 1;
    const list = (): JoinValue[] => Array.from({ length: from.u32() }, () => (from.u8() === 0 ? null : from.value()));
    const keyValues = list();
    const values = list();
    if (!from.isAtEnd) throw new RangeError('more than a record');
    const at = name.length - suffixBytes;
    const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
    const side = name[at + 1] === 0 ? 'left' : 'right';
    if (values.length !== columnsOf(side)) throw new RangeError(`${values.length} columns`);
    return {
      key: new Uint8Array(name.subarray(0, at)),
      keyValues,
      side,
      timeMs: Number(view.getBigUint64(at + 2) - (1n << 63n)),
      partition: view.getInt32(at + 10),
      offset: Number(view.getBigUint64(at + 14)),
      values,
      isMatched,
    };
  });
}

/** Writes the watermarks that the operator has seen: the joint one, and the partitions'. */
export function writeWatermarks(jointMs: number, watermarks: readonly PartitionWatermark[]): Uint8Array {
  const to = new StateWriter();
  to.u8(formatVersion);
  to.f64(jointMs);
  writeWatermarkList(to, watermarks);
  return to.take();
}

/** Reads what {@link writeWatermarks} wrote. @throws {SluiceError} `STATE_FORMAT` */
export function readWatermarks(bytes: Uint8Array): {
  readonly jointMs: number;
  readonly watermarks: readonly PartitionWatermark[];
} {
  return whole(() => {
    const from = new StateBytes(bytes);
    const version = from.u8();
    if (version !== formatVersion) throw new RangeError(`version ${version}`);
    return { jointMs: from.f64(), watermarks: readWatermarkList(from) };
  });
}

function whole<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new SluiceError(
      'STATE_FORMAT',
      `stored records of a join must have version ${formatVersion}, the columns of their side, and be whole; got ${cause.message}: rebuild the state from the log`,
      { cause },
    );
  }
}
