import { strict as assert } from 'node:assert';
import { crc32 } from 'node:zlib';
import type { MessageBatch } from '../record/message-batch.ts';
import type { MessageBatchBuilder } from './message-batch-builder.ts';

/**
 * A segment: consecutive messages of one partition in one LMDB value, since a value costs the store the same whether it holds one
 * message or a thousand. Little-endian:
 *
 *   0  u32  magic and version        16  f64  offset of the first message
 *   4  u32  CRC-32 of all after it   24  f64  when it was appended (ms), for retention
 *   8  u32  message count            32  u32  bytes of keys
 *  12  u32  flags                    36  u32  bytes of values
 *  40  f64  timestamps, one for each message, or one for all (flag 1)
 *      u32  end of each key (left out when no message has a key)
 *      u32  end of each value
 *      keys, then values
 *
 * LMDB itself has no checksum of what it holds, so a segment carries one.
 */
const magic = 0x01474553;
const headerBytes = 40;
const oneTimestamp = 1;

/** What stands in a segment's header. */
export interface SegmentHeader {
  readonly count: number;
  readonly baseOffset: number;
  readonly appendedAtMs: number;
}

/** A value that is no segment, or one whose checksum or place is wrong; the reader makes `STORAGE_CORRUPT` of it. */
export class SegmentDamaged extends Error {}

/**
 * The messages `rows` of a batch as a segment that starts at `baseOffset`.
 *
 * @param rows which messages, in order, all of one partition.
 * @param appendedAtMs also the timestamp of messages that come without one (a negative timestamp, as Kafka's -1).
 */
export function encodeSegment(
  batch: MessageBatch,
  rows: Int32Array,
  baseOffset: number,
  appendedAtMs: number,
): Uint8Array {
  const count = rows.length;
  assert(count > 0, 'a segment holds at least one message');
  let keyBytes = 0;
  let valueBytes = 0;
  let sameTimestamp = true;
  const firstTimestampMs = stamp(batch, rows[0] ?? 0, appendedAtMs);
  for (let i = 0; i < count; i++) {
    const row = rows[i] ?? 0;
    keyBytes += (batch.keys.offsets[row + 1] ?? 0) - (batch.keys.offsets[row] ?? 0);
    valueBytes += (batch.values.offsets[row + 1] ?? 0) - (batch.values.offsets[row] ?? 0);
    if (sameTimestamp && stamp(batch, row, appendedAtMs) !== firstTimestampMs) sameTimestamp = false;
  }
  const timestampCount = sameTimestamp ? 1 : count;
  const endsStart = headerBytes + 8 * timestampCount;
  const keyEndCount = keyBytes === 0 ? 0 : count;
  const keysStart = endsStart + 4 * (keyEndCount + count);
  const data = new Uint8Array(keysStart + keyBytes + valueBytes);
  const timestamps = new Float64Array(data.buffer, headerBytes, timestampCount);
  const keyEnds = new Uint32Array(data.buffer, endsStart, keyEndCount);
  const valueEnds = new Uint32Array(data.buffer, endsStart + 4 * keyEndCount, count);

  timestamps[0] = firstTimestampMs;
  if (!sameTimestamp) for (let i = 0; i < count; i++) timestamps[i] = stamp(batch, rows[i] ?? 0, appendedAtMs);
  if (keyEndCount > 0) copySlab(batch.keys.data, batch.keys.offsets, rows, data, keysStart, keyEnds);
  copySlab(batch.values.data, batch.values.offsets, rows, data, keysStart + keyBytes, valueEnds);

  const header = new DataView(data.buffer);
  header.setUint32(0, magic, true);
  header.setUint32(8, count, true);
  header.setUint32(12, sameTimestamp ? oneTimestamp : 0, true);
  header.setFloat64(16, baseOffset, true);
  header.setFloat64(24, appendedAtMs, true);
  header.setUint32(32, keyBytes, true);
  header.setUint32(36, valueBytes, true);
  header.setUint32(4, crc32(data.subarray(8)), true);
  return data;
}

/** Reads a segment's header, without its checksum: for retention, which does not look at messages. */
export function segmentHeader(data: Uint8Array): SegmentHeader {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.byteLength < headerBytes || view.getUint32(0, true) !== magic)
    throw new SegmentDamaged('a value that is no segment');
  return {
    count: view.getUint32(8, true),
    baseOffset: view.getFloat64(16, true),
    appendedAtMs: view.getFloat64(24, true),
  };
}

/**
 * Copies messages of a segment into a batch that is being read, from offset `from` on, at most `maxRecords`.
 *
 * @returns the offset after the last message that was copied; `from` itself where the segment ends before it.
 * @throws {SegmentDamaged} when the checksum, or the place where the segment was found, is not the one it was written with.
 */
export function readSegment(
  data: Uint8Array,
  expectedBaseOffset: number,
  from: number,
  maxRecords: number,
  partition: number,
  into: MessageBatchBuilder,
): number {
  const { count, baseOffset } = segmentHeader(data);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (view.getUint32(4, true) !== crc32(data.subarray(8)))
    throw new SegmentDamaged('a segment with another checksum than it was written with');
  if (baseOffset !== expectedBaseOffset) throw new SegmentDamaged('a segment in another place than it was written to');
  const first = from - baseOffset;
  const end = Math.min(count, first + maxRecords);
  if (first >= end) return from;

  const keyBytes = view.getUint32(32, true);
  const valueBytes = view.getUint32(36, true);
  const sameTimestamp = (view.getUint32(12, true) & oneTimestamp) !== 0;
  const endsStart = headerBytes + 8 * (sameTimestamp ? 1 : count);
  const keyEndCount = keyBytes === 0 ? 0 : count;
  const keysStart = endsStart + 4 * (keyEndCount + count);
  if (data.byteLength !== keysStart + keyBytes + valueBytes)
    throw new SegmentDamaged('a segment of another length than it was written with');
  // The value may stand at any address of the map; typed arrays must not.
  const aligned = data.slice(headerBytes, keysStart);
  const timestamps = new Float64Array(aligned.buffer, 0, sameTimestamp ? 1 : count);
  const keyEnds = new Uint32Array(aligned.buffer, endsStart - headerBytes, keyEndCount);
  const valueEnds = new Uint32Array(aligned.buffer, endsStart - headerBytes + 4 * keyEndCount, count);

  into.appendRun({
    partition,
    firstOffset: baseOffset + first,
    first,
    end,
    timestampsMs: timestamps,
    keyEnds,
    keys: data.subarray(keysStart, keysStart + keyBytes),
    valueEnds,
    values: data.subarray(keysStart + keyBytes),
  });
  return baseOffset + end;
}

function stamp(batch: MessageBatch, row: number, appendedAtMs: number): number {
  const timestampMs = batch.timestampsMs[row] ?? -1;
  return timestampMs >= 0 ? timestampMs : appendedAtMs;
}

/** Copies the strings of `rows` behind each other to `data[start…]` and writes where each ends. */
function copySlab(
  source: Uint8Array,
  sourceOffsets: Int32Array,
  rows: Int32Array,
  data: Uint8Array,
  start: number,
  ends: Uint32Array,
): void {
  const first = rows[0] ?? 0;
  const last = rows[rows.length - 1] ?? 0;
  if (last - first + 1 === rows.length) {
    // Neighbours in the batch (a whole batch of one partition, mostly): one copy for all.
    const from = sourceOffsets[first] ?? 0;
    data.set(source.subarray(from, sourceOffsets[last + 1]), start);
    for (let i = 0; i < rows.length; i++) ends[i] = (sourceOffsets[first + i + 1] ?? 0) - from;
    return;
  }
  let end = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0;
    const bytes = source.subarray(sourceOffsets[row], sourceOffsets[row + 1]);
    data.set(bytes, start + end);
    end += bytes.length;
    ends[i] = end;
  }
}
