import { MALFORMED, readLong } from '../../serde/avro-binary.ts';
import { skipNode } from '../../serde/avro-skip.ts';
import type { NativeColumn } from './native-column.ts';
import {
  WRITE_BOOLEAN,
  WRITE_BOOLEAN_AS_DOUBLE,
  WRITE_DOUBLE,
  WRITE_INTEGER,
  WRITE_LONG_AS_DOUBLE,
  WRITE_MAP,
  WRITE_NOTHING,
  WRITE_STRING,
  type NativeStep,
} from './native-plan.ts';

/** What {@link NativeWriter.append} gives for a number that its column cannot hold. */
export const OUT_OF_RANGE = -3;

/** How deep what is passed over may nest. */
const maxDepth = 64;

/** Reads Avro records of one schema, field by field, and appends each value to its column. */
export class NativeWriter {
  readonly #steps: readonly NativeStep[];
  readonly #columns: readonly NativeColumn[];
  readonly #number: Float64Array = new Float64Array(1);
  /** Why the last record was given up. */
  #failure = MALFORMED;
  /** The place of the column at which it was. */
  failedColumn = -1;
  #data: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Where the record is read. */
  #at = 0;
  #end = 0;

  /** @param columns by the places that the steps name. */
  constructor(steps: readonly NativeStep[], columns: readonly NativeColumn[]) {
    this.#steps = steps;
    this.#columns = columns;
  }

  /** Sets the bytes that records are read from. */
  readFrom(data: Uint8Array): void {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  /** Appends the record in `[start, end)`: 0, or {@link MALFORMED} or {@link OUT_OF_RANGE}; then the block is good for nothing. */
  append(start: number, end: number): number {
    this.#at = start;
    this.#end = end;
    for (const step of this.#steps) {
      if (!this.#step(step)) {
        this.failedColumn = step.column;
        return this.#failure;
      }
    }
    return this.#at === end ? 0 : MALFORMED;
  }

  #step(step: NativeStep): boolean {
    this.#failure = MALFORMED;
    if (step.write === WRITE_NOTHING) return this.#pass(step);
    const column = this.#columns[step.column] as NativeColumn;
    if (step.write === WRITE_MAP) return this.#map(step.members, column);
    if (!this.#value(step, column)) return false;
    column.count += 1;
    return true;
  }

  #pass(step: NativeStep): boolean {
    this.#at = skipNode(step.node, this.#data, this.#at, this.#end, maxDepth);
    return this.#at >= 0;
  }

  #map(members: readonly NativeStep[], column: NativeColumn): boolean {
    for (const member of members) {
      if (!this.#value(member, column)) return false;
      column.count += 1;
    }
    return true;
  }

  /** Puts one value at the column's count. */
  #value(step: NativeStep, column: NativeColumn): boolean {
    if (step.nullBranch >= 0) {
      if (this.#at >= this.#end) return false;
      const branch = this.#data[this.#at++] ?? -1;
      // A branch's number is written as its double.
      if (branch === step.nullBranch * 2) return this.#null(step, column);
      if (branch !== 2 - step.nullBranch * 2) return false;
    }
    if (step.isNullable) column.nulls[column.count] = 0;
    switch (step.write) {
      case WRITE_DOUBLE:
        if (this.#at + 8 > this.#end) return false;
        column.doubles[column.count] = this.#view.getFloat64(this.#at, true);
        this.#at += 8;
        return true;
      case WRITE_LONG_AS_DOUBLE:
        if (!this.#readLong()) return false;
        column.doubles[column.count] = this.#number[0] ?? NaN;
        return true;
      case WRITE_INTEGER:
        return this.#integer(step, column);
      case WRITE_BOOLEAN:
      case WRITE_BOOLEAN_AS_DOUBLE:
        return this.#boolean(step, column);
      case WRITE_STRING:
        return this.#string(column);
      default:
        return this.#strings(column);
    }
  }

  /** A null is one where the column can hold it; where it cannot, it is what an empty value is. */
  #null(step: NativeStep, column: NativeColumn): boolean {
    if (step.isNullable) column.nulls[column.count] = 1;
    if (step.write === WRITE_STRING) {
      column.reserveText(1);
      column.texts[column.textEnd++] = 0;
    } else if (step.write === WRITE_INTEGER && step.widthBytes === 8) column.putWords(0);
    else if (step.widthBytes > 0) column.integers[column.count] = 0;
    else column.doubles[column.count] = 0;
    return true;
  }

  #readLong(): boolean {
    const after = readLong(this.#data, this.#at, this.#end, this.#number, 0);
    if (after < 0) return false;
    this.#at = after;
    return true;
  }

  #integer({ widthBytes, isSigned, factor }: NativeStep, column: NativeColumn): boolean {
    if (!this.#readLong()) return false;
    const value = (this.#number[0] ?? NaN) * factor;
    const limit = Math.min(2 ** 53, 2 ** (widthBytes * 8 - (isSigned ? 1 : 0)));
    if (value >= limit || value < (isSigned ? -limit : 0)) {
      this.#failure = OUT_OF_RANGE;
      return false;
    }
    if (widthBytes === 8) column.putWords(value);
    else column.integers[column.count] = value;
    return true;
  }

  #boolean(step: NativeStep, column: NativeColumn): boolean {
    if (this.#at >= this.#end) return false;
    const value = this.#data[this.#at++] ?? 2;
    if (value > 1) return false;
    if (step.write === WRITE_BOOLEAN) column.integers[column.count] = value;
    else column.doubles[column.count] = value;
    return true;
  }

  #string(column: NativeColumn): boolean {
    if (!this.#readLong()) return false;
    const size = this.#number[0] ?? -1;
    if (size < 0 || this.#at + size > this.#end) return false;
    column.reserveText(size + 5);
    this.#putText(column, size);
    return true;
  }

  #putText(column: NativeColumn, size: number): void {
    const { texts } = column;
    let to = column.textEnd;
    for (let rest = size; ; rest >>>= 7) {
      texts[to++] = rest > 0x7f ? (rest & 0x7f) | 0x80 : rest;
      if (rest <= 0x7f) break;
    }
    // Most are short, and a call costs more than so many bytes.
    if (size < 48) for (let i = 0; i < size; i++) texts[to + i] = this.#data[this.#at + i] ?? 0;
    else texts.set(this.#data.subarray(this.#at, this.#at + size), to);
    column.textEnd = to + size;
    this.#at += size;
  }

  /** Avro's lists come in blocks: a count, which, when negative, is followed by the block's size in bytes, and so many items; 0 ends them. */
  #strings(column: NativeColumn): boolean {
    for (;;) {
      if (!this.#readLong()) return false;
      let items = this.#number[0] ?? 0;
      if (items < 0) {
        items = -items;
        if (!this.#readLong()) return false;
      }
      if (items === 0) break;
      // An item takes a byte at least, so a count that is no such count ends here.
      if (items > this.#end - this.#at) return false;
      for (let item = 0; item < items; item++) if (!this.#string(column)) return false;
      column.itemCount += items;
    }
    column.putWords(column.itemCount);
    return true;
  }
}
