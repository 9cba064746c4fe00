import { SluiceError } from '../../engine/error.ts';
import { StateBytes, StateWriter } from '../aggregate/state-bytes.ts';
import { readWatermarkList, writeWatermarkList } from '../stateful/watermark-list.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import type { JoinValue } from '../join/join-row.ts';

const formatVersion = 1;
/** Behind a key's bytes: a byte that no text contains, event time, partition, offset. */
const suffixBytes = 1 + 8 + 4 + 8;

/** Where the operator's own watermarks are stored; shorter than any version's name. */
export const watermarksName: Uint8Array = Uint8Array.of(0xff);

/** Stands in the place of the number of columns where the key was deleted. */
const deletedMark = 0xffff_ffff;

/** One version of a key: a record of the table. */
export interface TableVersion {
  readonly timeMs: number;
  readonly partition: number;
  readonly offset: number;
  /** `null`: from here on the key has no value. */
  readonly values: readonly JoinValue[] | null;
}

/** A version's name in the store: the key as it is readable elsewhere, then event time and position, big-endian, so that a key's versions stand together in their order. */
export function versionName(key: Uint8Array, { timeMs, partition, offset }: TableVersion): Uint8Array {
  const name = new Uint8Array(key.length + suffixBytes);
  name.set(key);
  name[key.length] = 0xff;
  const view = new DataView(name.buffer);
  // Counted from the least instant, so that earlier than the epoch is less.
  view.setBigUint64(key.length + 1, BigInt(timeMs) + (1n << 63n));
  view.setInt32(key.length + 9, partition);
  view.setBigUint64(key.length + 13, BigInt(offset));
  return name;
}

/** Writes a version: `u8 version · u32 columns · values`, each value behind a byte that says whether it is there; a deletion has no columns, and a number of them that no table has. */
export function writeVersion({ values }: TableVersion): Uint8Array {
  const to = new StateWriter();
  to.u8(formatVersion);
  to.u32(values?.length ?? deletedMark);
  for (const value of values ?? []) {
    to.u8(value === null ? 0 : 1);
    if (value !== null) to.value(value);
  }
  return to.take();
}

/** Reads what {@link writeVersion} wrote. @throws {SluiceError} `STATE_FORMAT` when the bytes are of another format, of other columns, or cut off. */
export function readVersion(
  name: Uint8Array,
  bytes: Uint8Array,
  columns: number,
): { readonly key: Uint8Array; readonly version: TableVersion } {
  return whole(() => {
    const from = new StateBytes(bytes);
    const version = from.u8();
    const count = from.u32();
    const isDeleted = count === deletedMark;
    if (version !== formatVersion || !(isDeleted || count === columns)) {
      throw new RangeError(`version ${version}, ${count} columns`);
    }
    const values = isDeleted ? null : Array.from({ length: count }, () => (from.u8() === 0 ? null : from.value()));
    if (!from.isAtEnd) throw new RangeError('more than a record');
    const at = name.length - suffixBytes;
    const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
    return {
      key: new Uint8Array(name.subarray(0, at)),
      version: {
        timeMs: Number(view.getBigUint64(at + 1) - (1n << 63n)),
        partition: view.getInt32(at + 9),
        offset: Number(view.getBigUint64(at + 13)),
        values,
      },
    };
  });
}

/** Writes the watermarks of the stream's partitions. */
export function writeWatermarks(watermarks: readonly PartitionWatermark[]): Uint8Array {
  const to = new StateWriter();
  to.u8(formatVersion);
  writeWatermarkList(to, watermarks);
  return to.take();
}

/** Reads what {@link writeWatermarks} wrote. @throws {SluiceError} `STATE_FORMAT` */
export function readWatermarks(bytes: Uint8Array): readonly PartitionWatermark[] {
  return whole(() => {
    const from = new StateBytes(bytes);
    const version = from.u8();
    if (version !== formatVersion) throw new RangeError(`version ${version}`);
    return readWatermarkList(from);
  });
}

function whole<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new SluiceError(
      'STATE_FORMAT',
      `stored versions of a table must have version ${formatVersion}, the table's columns, and be whole; got ${cause.message}: rebuild the state from the log`,
      { cause },
    );
  }
}
