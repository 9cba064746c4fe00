import { crc32 } from 'node:zlib';
import { SegmentDamaged } from './segment.ts';

const magic = 0x01545453;
const headerBytes = 16;
const entryHeaderBytes = 8;
/** A part is cut at this size: writing one takes 2 or 3 ms of the event loop. */
const partTargetBytes = 512 * 1024;

/** A key's newest value as of one flush; `null` says that the key has none any more. */
export interface FlushedEntry {
  /** The key with its prefix, a character a byte: what a map can find. Such texts compare as the bytes do. */
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** Cuts a flush into parts. */
export function cutIntoParts(entries: readonly FlushedEntry[]): readonly (readonly FlushedEntry[])[] {
  const parts: FlushedEntry[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const size = sizeOf(entry);
    if (bytes + size > partTargetBytes) {
      parts.push([]);
      bytes = headerBytes;
    }
    parts.at(-1)?.push(entry);
    bytes += size;
  }
  return parts;
}

/** What a part takes in the store. */
export function partBytes(entries: readonly FlushedEntry[]): number {
  return entries.reduce((sum, entry) => sum + sizeOf(entry), headerBytes);
}

/**
 * A part of a state flush: absolute values of keys, one behind the other in one LMDB value, since writing them so costs less than writing each
 * to its place in a tree, and can be done a bit at a time. Little-endian:
 *
 *   0  u32  magic and version      8  u32  entry count
 *   4  u32  CRC-32 of the rest    12       (free)
 *  16  entries: u32 bytes of value + 1 (0: the key has none any more), u32 bytes of key, key, value
 */
export function encodePart(entries: readonly FlushedEntry[]): Buffer {
  const data = Buffer.allocUnsafeSlow(partBytes(entries));
  let at = headerBytes;
  for (const { key, value } of entries) {
    data.writeUInt32LE(value === null ? 0 : value.length + 1, at);
    data.writeUInt32LE(key.length, at + 4);
    at += entryHeaderBytes;
    at += data.write(key, at, 'latin1');
    if (value === null) continue;
    data.set(value, at);
    at += value.length;
  }
  data.writeUInt32LE(magic, 0);
  data.writeUInt32LE(entries.length, 8);
  data.writeUInt32LE(0, 12);
  data.writeUInt32LE(crc32(data.subarray(8)), 4);
  return data;
}

/** @throws {SegmentDamaged} when the bytes are not those that were written. The values are views on `data`. */
export function decodePart(data: Buffer): readonly FlushedEntry[] {
  if (data.length < headerBytes || data.readUInt32LE(0) !== magic || data.readUInt32LE(4) !== crc32(data.subarray(8))) {
    throw new SegmentDamaged('a part of the state with another checksum than it was written with');
  }
  const entries: FlushedEntry[] = [];
  let at = headerBytes;
  for (let left = data.readUInt32LE(8); left > 0; left--) {
    const valueBytes = data.readUInt32LE(at) - 1;
    const keyStart = at + entryHeaderBytes;
    const valueStart = keyStart + data.readUInt32LE(at + 4);
    const value = valueBytes < 0 ? null : data.subarray(valueStart, valueStart + valueBytes);
    entries.push({ key: data.toString('latin1', keyStart, valueStart), value });
    at = valueStart + Math.max(0, valueBytes);
  }
  return entries;
}

/** A key's bytes as a {@link FlushedEntry} has them. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

function sizeOf({ key, value }: FlushedEntry): number {
  return entryHeaderBytes + key.length + (value?.length ?? 0);
}
