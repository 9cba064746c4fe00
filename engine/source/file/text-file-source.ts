import type { MessageBatch } from '../../record/message-batch.ts';
import type { Decoder } from '../../serde/decoder.ts';
import type { PartitionOffset, PartitionRange, PollBounds, RecordsPolled, Source } from '../source.ts';
import { offsetIn } from './file-offset.ts';
import type { InputFile } from './input-file.ts';
import { RecordCursor, type RecordEnd } from './record-cursor.ts';

/** How a text file's records are found and read. */
export interface TextFormat {
  readonly recordEnd: RecordEnd;
  /** Position of the first record in the file, after whatever comes before: a byte order mark, a header. */
  readonly firstPosition: number;
  readonly decoder: Decoder;
}

/** One position in so many records is noted down when the file is looked through, so that a seek reads at most this many. */
const recordsPerMark = 4_096;

/** A poll brings fewer records than it may when these are long. */
const mostPolledBytes = 8 << 20;

/** What is known of a file once it has been looked through. */
interface RecordMarks {
  readonly recordCount: number;
  /** Positions of record 0, 4096, 8192 … */
  readonly positions: readonly number[];
}

/**
 * A bounded source over a text file: partition 0, a record's number (from 0, blank lines not counted) as its offset. The file is looked through once, when its range
 * is first asked for; after that it is read in chunks of 1 MiB, whatever its size.
 */
export class TextFileSource implements Source {
  readonly name: string;
  readonly #file: InputFile;
  readonly #format: TextFormat;
  #marks: RecordMarks | null = null;
  #cursor: RecordCursor | null = null;
  #next = 0;

  constructor(file: InputFile, format: TextFormat) {
    this.name = `file ${file.path}`;
    this.#file = file;
    this.#format = format;
  }

  /** Looks through the whole file when it is called first. */
  async ranges(): Promise<readonly PartitionRange[]> {
    const { recordCount } = await this.#lookThrough();
    return [{ partition: 0, startOffset: 0, endOffset: recordCount, isFinal: true }];
  }

  /** @throws {SluiceError} `OFFSET_OUT_OF_RANGE`. */
  async seek(offsets: readonly PartitionOffset[]): Promise<void> {
    const { recordCount, positions } = await this.#lookThrough();
    const offset = offsetIn(this.name, recordCount, offsets);
    this.#next = offset;
    this.#cursor = null;
    if (offset === recordCount) return;
    const mark = Math.floor(offset / recordsPerMark);
    const cursor = new RecordCursor(this.#file, this.#format.recordEnd, positions[mark] ?? 0);
    for (let toSkip = offset - mark * recordsPerMark; toSkip > 0;) {
      if (cursor.take()) toSkip--;
      else await cursor.fill();
    }
    this.#cursor = cursor;
  }

  /** What the source's contract says; the decoder's dead letters are among what it gives. */
  async poll({ maxRecords, signal, paused }: PollBounds): Promise<RecordsPolled | null | 'end'> {
    if (signal?.aborted === true || paused?.has(0) === true) return null;
    const cursor = this.#cursor;
    if (cursor === null) return 'end';
    const slab = new SlabWriter(maxRecords);
    while (slab.count < maxRecords && slab.sizeBytes < mostPolledBytes) {
      if (cursor.take()) slab.add(cursor.data, cursor.start, cursor.end);
      // What is there is handed on rather than held back while the disk is read.
      else if (slab.count > 0 || !(await cursor.fill())) break;
    }
    if (slab.count === 0) {
      this.#cursor = null;
      return 'end';
    }
    const messages = slab.finish(this.#file.path, this.#next);
    this.#next += messages.messageCount;
    const { decoder } = this.#format;
    const preparing = decoder.prepare(messages);
    if (preparing !== null) await preparing;
    return { kind: 'records', ...decoder.decode(messages) };
  }

  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cursor = null;
    await this.#file[Symbol.asyncDispose]();
  }

  async #lookThrough(): Promise<RecordMarks> {
    if (this.#marks !== null) return this.#marks;
    const cursor = new RecordCursor(this.#file, this.#format.recordEnd, this.#format.firstPosition);
    const positions: number[] = [];
    let recordCount = 0;
    do {
      while (cursor.take()) {
        if (recordCount % recordsPerMark === 0) positions.push(cursor.startPosition);
        recordCount++;
      }
    } while (await cursor.fill());
    this.#marks = { recordCount, positions };
    return this.#marks;
  }
}

/** Collects records as the values of a batch of messages. */
class SlabWriter {
  count = 0;
  sizeBytes = 0;
  #data = new Uint8Array(1 << 16);
  readonly #offsets: Int32Array;

  constructor(capacity: number) {
    this.#offsets = new Int32Array(capacity + 1);
  }

  add(data: Uint8Array, start: number, end: number): void {
    const needed = this.sizeBytes + end - start;
    if (needed > this.#data.length) {
      const grown = new Uint8Array(2 * needed);
      grown.set(this.#data.subarray(0, this.sizeBytes));
      this.#data = grown;
    }
    this.#data.set(data.subarray(start, end), this.sizeBytes);
    this.sizeBytes = needed;
    this.#offsets[++this.count] = needed;
  }

  finish(topic: string, firstOffset: number): MessageBatch {
    const { count } = this;
    const offsets = new Float64Array(count);
    for (let i = 0; i < count; i++) offsets[i] = firstOffset + i;
    return {
      topic,
      messageCount: count,
      partitions: new Int32Array(count),
      offsets,
      // A file has no broker that stamps its records.
      timestampsMs: new Float64Array(count),
      keys: { data: new Uint8Array(0), offsets: new Int32Array(count + 1) },
      values: { data: this.#data.slice(0, this.sizeBytes), offsets: this.#offsets.slice(0, count + 1) },
    };
  }
}
