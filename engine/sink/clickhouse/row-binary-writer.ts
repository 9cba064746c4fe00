import { MALFORMED, readLong } from '../../serde/avro-binary.ts';
import { skipNode } from '../../serde/avro-skip.ts';
import {
  WRITE_BOOLEAN,
  WRITE_BOOLEAN_AS_DOUBLE,
  WRITE_DOUBLE,
  WRITE_INTEGER,
  WRITE_LONG_AS_DOUBLE,
  WRITE_MAP,
  WRITE_NOTHING,
  WRITE_STRING,
  type RowBinaryPlan,
  type RowBinaryStep,
} from './row-binary-plan.ts';

/** What {@link RowBinaryWriter.write} gives for a number that its column cannot hold. */
export const OUT_OF_RANGE = -3;

/** How deep what is passed over may nest. */
const maxDepth = 64;

/**
 * Writes Avro records as rows of `RowBinary` (ClickHouse documentation, "Formats", RowBinary): little-endian numbers, texts with their length before them. From
 * bytes to bytes, field by field; most of them are the same in both.
 */
export class RowBinaryWriter {
  /** Where rows are written. Whoever calls sees to it that there is room. */
  out: Uint8Array = new Uint8Array(0);
  /** The column at which the last record was given up. */
  failedColumn = '';
  #view: DataView = new DataView(new ArrayBuffer(0));
  readonly #number: Float64Array = new Float64Array(1);
  /** Where the record is read and the row written. */
  #from = 0;
  #to = 0;

  /** Sets the memory that rows are written to. */
  writeTo(out: Uint8Array): void {
    this.out = out;
    this.#view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  }

  /** Writes the record in `data[start, end)` as a row from `at` on. Returns where the row ends, {@link MALFORMED} or {@link OUT_OF_RANGE}. */
  write({ steps }: RowBinaryPlan, data: Uint8Array, start: number, end: number, at: number): number {
    this.#from = start;
    this.#to = at;
    for (const step of steps) {
      if (!this.#step(step, data, end)) {
        this.failedColumn = step.column;
        return this.#from === OUT_OF_RANGE ? OUT_OF_RANGE : MALFORMED;
      }
    }
    return this.#from === end ? this.#to : MALFORMED;
  }

  /** Writes a whole number from `at` on in so many bytes, which it must fit; where it ends. */
  writeInteger(at: number, value: number, widthBytes: number): number {
    if (widthBytes === 8) {
      const high = Math.floor(value / 2 ** 32);
      this.#view.setUint32(at, value - high * 2 ** 32, true);
      this.#view.setInt32(at + 4, high, true);
      return at + 8;
    }
    let rest = value;
    for (let i = 0; i < widthBytes; i++, rest >>= 8) this.out[at + i] = rest;
    return at + widthBytes;
  }

  /** False when the record is not as its schema says; `#from` then tells why. */
  #step(step: RowBinaryStep, data: Uint8Array, end: number): boolean {
    if (step.write === WRITE_NOTHING) return this.#pass(step, data, end);
    if (step.nullBranch >= 0) {
      const branch = data[this.#from++] ?? -1;
      // A branch's number is written as its double.
      if (branch === step.nullBranch * 2) return this.#null(step);
      if (branch !== 2 - step.nullBranch * 2) return false;
    }
    if (step.isNullable) this.out[this.#to++] = 0;
    switch (step.write) {
      case WRITE_DOUBLE:
        return this.#double(data, end);
      case WRITE_INTEGER:
        return this.#integer(step, data, end);
      case WRITE_LONG_AS_DOUBLE:
        return this.#readLong(data, end) && this.#putDouble(this.#number[0] ?? NaN);
      case WRITE_BOOLEAN_AS_DOUBLE:
      case WRITE_BOOLEAN:
        return this.#boolean(step.write, data, end);
      case WRITE_STRING:
        return this.#string(data, end);
      case WRITE_MAP:
        return this.#map(step, data, end);
      default:
        return this.#strings(data, end);
    }
  }

  #pass(step: RowBinaryStep, data: Uint8Array, end: number): boolean {
    this.#from = skipNode(step.node, data, this.#from, end, maxDepth);
    return this.#from >= 0;
  }

  /** A null is one where the column can hold it, and else what an empty value is. */
  #null(step: RowBinaryStep): boolean {
    if (step.isNullable) {
      this.out[this.#to++] = 1;
      return true;
    }
    const size = step.write === WRITE_INTEGER ? step.widthBytes : step.write <= WRITE_BOOLEAN_AS_DOUBLE ? 8 : 1;
    this.out.fill(0, this.#to, this.#to + size);
    this.#to += size;
    return true;
  }

  #double(data: Uint8Array, end: number): boolean {
    const from = this.#from;
    if (from + 8 > end) return false;
    for (let i = 0; i < 8; i++) this.out[this.#to + i] = data[from + i] ?? 0;
    this.#from = from + 8;
    this.#to += 8;
    return true;
  }

  #putDouble(value: number): boolean {
    this.#view.setFloat64(this.#to, value, true);
    this.#to += 8;
    return true;
  }

  #readLong(data: Uint8Array, end: number): boolean {
    this.#from = readLong(data, this.#from, end, this.#number, 0);
    return this.#from >= 0;
  }

  #integer({ widthBytes, isSigned, factor }: RowBinaryStep, data: Uint8Array, end: number): boolean {
    if (!this.#readLong(data, end)) return false;
    const value = (this.#number[0] ?? NaN) * factor;
    const limit = Math.min(2 ** 53, 2 ** (widthBytes * 8 - (isSigned ? 1 : 0)));
    if (value >= limit || value < (isSigned ? -limit : 0)) {
      this.#from = OUT_OF_RANGE;
      return false;
    }
    this.#to = this.writeInteger(this.#to, value, widthBytes);
    return true;
  }

  #boolean(write: number, data: Uint8Array, end: number): boolean {
    const value = data[this.#from++] ?? 2;
    if (this.#from > end || value > 1) return false;
    if (write === WRITE_BOOLEAN_AS_DOUBLE) return this.#putDouble(value);
    this.out[this.#to++] = value;
    return true;
  }

  #string(data: Uint8Array, end: number): boolean {
    if (!this.#readLong(data, end)) return false;
    const size = this.#number[0] ?? -1;
    const from = this.#from;
    if (size < 0 || from + size > end) return false;
    let to = this.#putLength(size);
    // Most are short, and a call costs more than so many bytes.
    if (size < 48) for (let i = 0; i < size; i++) this.out[to + i] = data[from + i] ?? 0;
    else this.out.set(data.subarray(from, from + size), to);
    to += size;
    this.#from = from + size;
    this.#to = to;
    return true;
  }

  /** Seven bits a byte, the lowest first. */
  #putLength(length: number): number {
    let to = this.#to;
    let rest = length;
    while (rest > 0x7f) {
      this.out[to++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.out[to++] = rest;
    this.#to = to;
    return to;
  }

  #map({ members }: RowBinaryStep, data: Uint8Array, end: number): boolean {
    this.out[this.#to++] = members.length;
    for (const member of members) {
      const { key } = member;
      for (let i = 0; i < key.length; i++) this.out[this.#to + i] = key[i] ?? 0;
      this.#to += key.length;
      if (!this.#step(member, data, end)) return false;
    }
    return true;
  }

  /** Avro's lists come in blocks, of which the first mostly is all. */
  #strings(data: Uint8Array, end: number): boolean {
    const start = this.#from;
    const count = this.#countItems(data, end);
    if (count < 0) return false;
    this.#putLength(count);
    this.#from = start;
    for (;;) {
      if (!this.#readBlock(data, end)) return false;
      const items = this.#number[0] ?? 0;
      if (items === 0) return true;
      for (let item = 0; item < items; item++) if (!this.#string(data, end)) return false;
    }
  }

  #countItems(data: Uint8Array, end: number): number {
    let count = 0;
    for (;;) {
      if (!this.#readBlock(data, end)) return -1;
      const items = this.#number[0] ?? 0;
      if (items === 0) return count;
      count += items;
      for (let item = 0; item < items; item++) {
        if (!this.#readLong(data, end)) return -1;
        const size = this.#number[0] ?? -1;
        if (size < 0 || this.#from + size > end) return -1;
        this.#from += size;
      }
    }
  }

  /** Reads a block's count; a negative one is followed by the block's size in bytes. */
  #readBlock(data: Uint8Array, end: number): boolean {
    if (!this.#readLong(data, end)) return false;
    const items = this.#number[0] ?? 0;
    if (items >= 0) return true;
    if (!this.#readLong(data, end)) return false;
    this.#number[0] = -items;
    return true;
  }
}
