import { SluiceError } from '../../error.ts';
import type { InputFile } from './input-file.ts';

/**
 * Where a record of a text file ends: the index of the line feed after the record that starts at `start`, or -1 when there is none before `end`.
 * What it gives must not depend on where `end` is, only whether it gives it.
 */
export type RecordEnd = (data: Uint8Array, start: number, end: number) => number;

/** Read from the file at a time, unless told otherwise. */
const defaultChunkBytes = 1 << 20;

/** A longer record is refused: it is rather a file of another format, or an open quote, than a record. */
const longestRecordBytes = 16 << 20;

const [tab, lineFeed, carriageReturn, space] = [0x09, 0x0a, 0x0d, 0x20];

/**
 * Walks over the records of a text file, holding one chunk of it (more only while a record is longer). Records are separated by line feeds, with or
 * without a carriage return before; the last one needs none. Lines of white space alone are no records.
 *
 * Use: `while (cursor.take() || (await cursor.fill())) …`, where only a `take()` that gave true has a record at `data[start, end)`.
 */
export class RecordCursor {
  /** The bytes at hand; a view that the next `fill` replaces. */
  data: Uint8Array = new Uint8Array(0);
  /** The record that `take` found. */
  start = 0;
  end = 0;

  readonly #file: InputFile;
  readonly #recordEnd: RecordEnd;
  readonly #chunkBytes: number;
  /** Position in the file of `data[0]`. */
  #dataPosition: number;
  /** Index in `data` of the next record. */
  #next = 0;

  /**
   * @param position in the file, where a record starts.
   * @param chunkBytes to read at a time; changes nothing but speed.
   */
  constructor(file: InputFile, recordEnd: RecordEnd, position: number, chunkBytes: number = defaultChunkBytes) {
    this.#chunkBytes = chunkBytes;
    this.#file = file;
    this.#recordEnd = recordEnd;
    this.#dataPosition = position;
  }

  /** Position in the file of the record that `take` found. */
  get startPosition(): number {
    return this.#dataPosition + this.start;
  }

  /** Position in the file after that record. */
  get nextPosition(): number {
    return this.#dataPosition + this.#next;
  }

  /** Moves to the next record among the bytes at hand. False when there is no whole one. */
  take(): boolean {
    const { data } = this;
    while (this.#next < data.length) {
      let end = this.#recordEnd(data, this.#next, data.length);
      if (end < 0) {
        if (!this.#isAtEnd) return false;
        end = data.length;
      }
      const start = this.#next;
      this.#next = end + 1;
      if (end > start && data[end - 1] === carriageReturn) end--;
      if (!isBlank(data, start, end)) {
        this.start = start;
        this.end = end;
        return true;
      }
    }
    return false;
  }

  /**
   * Reads on. False at the end of the file.
   *
   * @throws {SluiceError} `FILE_RECORD_TOO_LONG`, and what the file throws.
   */
  async fill(): Promise<boolean> {
    if (this.#isAtEnd) return false;
    const rest = this.data.subarray(Math.min(this.#next, this.data.length));
    if (rest.length > longestRecordBytes) {
      const position = this.#dataPosition + this.#next;
      throw new SluiceError(
        'FILE_RECORD_TOO_LONG',
        `a record must be at most ${longestRecordBytes} bytes long; got a longer one at byte ${position} of file ${this.#file.path}: is it of another format, or a quote left open?`,
        { fields: { file: this.#file.path, position } },
      );
    }
    const from = this.#dataPosition + this.data.length;
    // A long record is read in chunks that double, so that it is not looked through again and again.
    const to = Math.min(this.#file.sizeBytes, from + Math.max(this.#chunkBytes, rest.length));
    const added = await this.#file.read(from, to);
    if (rest.length === 0) {
      this.data = added;
    } else {
      const joined = new Uint8Array(rest.length + added.length);
      joined.set(rest);
      joined.set(added, rest.length);
      this.data = joined;
    }
    this.#dataPosition = from - rest.length;
    this.#next = 0;
    return true;
  }

  get #isAtEnd(): boolean {
    return this.#dataPosition + this.data.length >= this.#file.sizeBytes;
  }
}

/** {@link RecordEnd} of files with a record a line, such as JSON Lines. */
export function lineEnd(data: Uint8Array, start: number, end: number): number {
  const at = data.indexOf(lineFeed, start);
  return at < end ? at : -1;
}

function isBlank(data: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = data[at];
    if (byte !== space && byte !== tab && byte !== carriageReturn) return false;
  }
  return true;
}
