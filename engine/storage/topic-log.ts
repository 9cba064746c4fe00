import { SluiceError } from '../error.ts';
import type { OffsetRange } from '../execution/commit-log.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import type { SlabPool } from '../record/slab-pool.ts';
import type { PartitionOffset, PartitionRange } from '../source/source.ts';
import type { LmdbEnvironment } from './lmdb-environment.ts';
import { MessageBatchBuilder } from './message-batch-builder.ts';
import { rowsByPartition } from './rows-by-partition.ts';
import { encodeSegment, readSegment, SegmentDamaged, segmentHeader } from './segment.ts';
import { storageCorrupt } from './storage-error.ts';
import type { Topic } from './topic-catalog.ts';

/** A segment is cut at this size, so that reading a part of one does not mean touching much more. */
const segmentTargetBytes = 256 * 1024;
const maxMessageBytes = 16 * 1024 * 1024;
/** Room is made for no more messages than this beforehand, however many are asked for. */
const maxExpectedMessages = 65_536;
/** Segments deleted in one transaction, so that retention never holds up a commit for long. */
const deletionsAtOnce = 64;

/** Which messages of one partition to read. */
export interface PartitionRead extends PartitionOffset {
  readonly maxRecords: number;
}

/** Where a partition starts and ends, and how much it holds. */
interface Head {
  readonly start: number;
  readonly end: number;
  readonly bytes: number;
}

/** The messages of one environment's topics: offsets without gaps, from 0, assigned as messages are appended. */
export class TopicLog {
  readonly #environment: LmdbEnvironment;

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment;
  }

  /** Makes a new topic's partitions, empty. Within a transaction, or alone. */
  begin(topic: Topic): void {
    for (let partition = 0; partition < topic.partitionCount; partition++) {
      this.#putHead(topic, partition, { start: 0, end: 0, bytes: 0 });
    }
  }

  /**
   * Appends within the caller's transaction; the batch's own offsets are not looked at.
   *
   * @returns the offsets that the messages were given, by partition; the n-th message of a partition in the batch has the n-th of them.
   * @throws {SluiceError} `TOPIC_MISSING`, `PARTITION_MISSING`, `MESSAGE_TOO_LARGE`; then the transaction must be given up.
   */
  append(topic: Topic, batch: MessageBatch, nowMs: number): readonly OffsetRange[] {
    return rowsByPartition(batch).map(({ partition, rows }) => {
      const head = this.#head(topic, partition);
      let { end, bytes } = head;
      for (const part of cutIntoSegments(batch, rows)) {
        const segment = encodeSegment(batch, part, end, nowMs);
        this.#environment.segments.putSync(segmentKey(topic.id, partition, end), Buffer.from(segment.buffer));
        end += part.length;
        bytes += segment.length;
      }
      this.#putHead(topic, partition, { start: head.start, end, bytes });
      return { partition, from: head.end, to: end };
    });
  }

  /** What each partition holds now. */
  ranges(topic: Topic): readonly PartitionRange[] {
    return Array.from({ length: topic.partitionCount }, (_, partition) => {
      const { start, end } = this.#head(topic, partition);
      return { partition, startOffset: start, endOffset: end };
    });
  }

  /**
   * Reads messages, each partition's in offset order, the partitions in the order they are named. Ends early at `maxBytes`, but brings at
   * least one message where there is one.
   *
   * @param slabs where the memory of keys and values is from; fresh where there is none.
   * @returns `null` when there is nothing to read.
   * @throws {SluiceError} `OFFSET_OUT_OF_RANGE` when a partition no longer, or not yet, reaches to an offset; `STORAGE_CORRUPT`.
   */
  read(
    topic: Topic,
    reads: readonly PartitionRead[],
    maxBytes: number,
    slabs: SlabPool | null = null,
  ): MessageBatch | null {
    let builder: MessageBatchBuilder | null = null;
    const asked = reads.reduce((sum, { maxRecords }) => sum + maxRecords, 0);
    const expectedMessages = Math.min(asked, maxExpectedMessages);
    for (const { partition, offset, maxRecords } of reads) {
      const head = this.#head(topic, partition);
      if (offset < head.start || offset > head.end) throw outOfRange(topic, partition, offset, head);
      const to = Math.min(head.end, offset + maxRecords);
      let at = offset;
      while (at < to && (builder === null || builder.byteCount < maxBytes)) {
        builder ??= new MessageBatchBuilder(topic.name, expectedMessages, slabs);
        at = this.#readRun(topic, partition, at, to - at, builder);
      }
    }
    return builder === null ? null : builder.build();
  }

  /**
   * Deletes whole segments beyond the topic's retention, a bounded number of them.
   *
   * @returns how many messages went; call again until it is 0.
   */
  applyRetention(topic: Topic, nowMs: number): number {
    const { maxAgeMs, maxBytes } = topic.retention;
    if (maxAgeMs === null && maxBytes === null) return 0;
    return this.#environment.write(`apply the retention of topic ${topic.name}`, () => {
      let deleted = 0;
      for (let partition = 0; partition < topic.partitionCount; partition++) {
        deleted += this.#trim(topic, partition, maxAgeMs === null ? -Infinity : nowMs - maxAgeMs, maxBytes ?? Infinity);
      }
      return deleted;
    });
  }

  /** Removes all messages of a topic. Within a transaction. */
  drop(topic: Topic): void {
    const { segments, heads } = this.#environment;
    const range = { start: segmentKey(topic.id, 0, 0), end: segmentKey(topic.id + 1, 0, 0) };
    const keys = [...segments.getKeys(range)];
    for (const key of keys) segments.removeSync(key);
    for (let partition = 0; partition < topic.partitionCount; partition++) heads.removeSync([topic.id, partition]);
  }

  #trim(topic: Topic, partition: number, oldestMs: number, maxBytes: number): number {
    const head = this.#head(topic, partition);
    let { start, bytes } = head;
    for (let count = 0; count < deletionsAtOnce && start < head.end; count++) {
      const key = segmentKey(topic.id, partition, start);
      const segment = this.#segmentBytes(topic, partition, start);
      const { count: messages, appendedAtMs } = segmentHeader(segment);
      const isNewest = start + messages >= head.end;
      if (isNewest || (appendedAtMs >= oldestMs && bytes <= maxBytes)) break;
      bytes -= segment.length;
      start += messages;
      this.#environment.segments.removeSync(key);
    }
    if (start !== head.start) this.#putHead(topic, partition, { start, end: head.end, bytes });
    return start - head.start;
  }

  #readRun(topic: Topic, partition: number, at: number, maxRecords: number, into: MessageBatchBuilder): number {
    const base = this.#baseOffset(topic, partition, at);
    try {
      const next = readSegment(this.#segmentBytes(topic, partition, base), base, at, maxRecords, partition, into);
      if (next > at) return next;
    } catch (thrown) {
      if (thrown instanceof SegmentDamaged)
        throw storageCorrupt(this.#environment.directory, this.#place(thrown.message, topic, partition, at));
      throw thrown;
    }
    throw storageCorrupt(this.#environment.directory, this.#place('no segment', topic, partition, at));
  }

  /** The first offset of the segment that holds `offset`: itself, where reading goes on from segment to segment. */
  #baseOffset(topic: Topic, partition: number, offset: number): number {
    const { segments } = this.#environment;
    const key = segmentKey(topic.id, partition, offset);
    if (segments.doesExist(key)) return offset;
    const [before] = [
      ...segments.getKeys({
        start: key,
        end: segmentKey(topic.id, partition, 0),
        inclusiveEnd: true,
        reverse: true,
        limit: 1,
      }),
    ];
    if (before === undefined)
      throw storageCorrupt(this.#environment.directory, this.#place('no segment', topic, partition, offset));
    return baseOffsetOf(before);
  }

  /** A view that is good until the next read. */
  #segmentBytes(topic: Topic, partition: number, base: number): Uint8Array {
    const found = this.#environment.segments.getBinaryFast(segmentKey(topic.id, partition, base));
    if (found === undefined)
      throw storageCorrupt(this.#environment.directory, this.#place('no segment', topic, partition, base));
    // The buffer is one that lmdb uses again and again: longer than the value, and only `length` says how long that is.
    return new Uint8Array(found.buffer, found.byteOffset, found.length);
  }

  #head(topic: Topic, partition: number): Head {
    const found = this.#environment.heads.getBinary([topic.id, partition]);
    if (found !== undefined)
      return { start: found.readDoubleLE(0), end: found.readDoubleLE(8), bytes: found.readDoubleLE(16) };
    if (partition >= 0 && partition < topic.partitionCount) {
      throw new SluiceError(
        'TOPIC_MISSING',
        `topic ${topic.name} must exist in ${this.#environment.directory}; it was deleted`,
        {
          fields: { topic: topic.name },
        },
      );
    }
    throw new SluiceError(
      'PARTITION_MISSING',
      `a message for topic ${topic.name} must have a partition of 0 to ${topic.partitionCount - 1}; got ${partition}`,
      { fields: { topic: topic.name, partition } },
    );
  }

  #putHead(topic: Topic, partition: number, head: Head): void {
    const data = Buffer.allocUnsafe(24);
    data.writeDoubleLE(head.start, 0);
    data.writeDoubleLE(head.end, 8);
    data.writeDoubleLE(head.bytes, 16);
    this.#environment.heads.putSync([topic.id, partition], data);
  }

  #place(found: string, topic: Topic, partition: number, offset: number): string {
    return `${found} (topic ${topic.name}, partition ${partition}, offset ${offset})`;
  }
}

function segmentKey(topicId: number, partition: number, offset: number): Buffer {
  const key = Buffer.allocUnsafe(16);
  key.writeUInt32BE(topicId, 0);
  key.writeUInt32BE(partition, 4);
  key.writeUInt32BE(Math.floor(offset / 2 ** 32), 8);
  key.writeUInt32BE(offset % 2 ** 32, 12);
  return key;
}

function baseOffsetOf(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return view.getUint32(8) * 2 ** 32 + view.getUint32(12);
}

function* cutIntoSegments(batch: MessageBatch, rows: Int32Array): Generator<Int32Array> {
  let first = 0;
  let bytes = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0;
    const size =
      (batch.keys.offsets[row + 1] ?? 0) -
      (batch.keys.offsets[row] ?? 0) +
      (batch.values.offsets[row + 1] ?? 0) -
      (batch.values.offsets[row] ?? 0);
    if (size > maxMessageBytes) {
      throw new SluiceError(
        'MESSAGE_TOO_LARGE',
        `a message for topic ${batch.topic} must have at most ${maxMessageBytes} bytes of key and value; got ${size}`,
        { fields: { topic: batch.topic, sizeBytes: size } },
      );
    }
    if (i > first && bytes + size > segmentTargetBytes) {
      yield rows.subarray(first, i);
      first = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (first < rows.length) yield rows.subarray(first);
}

function outOfRange(topic: Topic, partition: number, offset: number, head: Head): SluiceError {
  const gone = offset < head.start;
  return new SluiceError(
    'OFFSET_OUT_OF_RANGE',
    `offset ${offset} of topic ${topic.name}, partition ${partition}, must be within ${head.start} and ${head.end}; it ` +
      (gone
        ? `was deleted by the topic's retention. Keep messages longer than their slowest reader needs, and start that reader at ${head.start} knowingly`
        : `was never written. The reader's position belongs to another log: check the data directory`),
    { fields: { topic: topic.name, partition, offset, startOffset: head.start, endOffset: head.end } },
  );
}
