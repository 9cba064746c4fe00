import type { FieldType, Schema } from '../record/schema.ts';
import { longDigits, MALFORMED, readLong } from './avro-binary.ts';
import { decimalNumber, decimalText } from './avro-decimal.ts';
import * as avroNode from './avro-node.ts';
import { skipNode } from './avro-skip.ts';
import * as finding from './field-finding.ts';
import { readInstant } from './instant-text.ts';
import type { RecordBuilder } from './record-builder.ts';
import { isUtf8 } from './utf8.ts';

/** How deep a value that is skipped may nest. */
export const maxDepth = 64;

/** A field's type as a number: up to {@link TIMESTAMP} they hold numbers. */
const kinds: Readonly<Record<FieldType, number>> = { double: 0, long: 1, timestamp: 2, boolean: 3, string: 4 };
const DOUBLE = 0;
const LONG = 1;
const TIMESTAMP = 2;
const BOOLEAN = 3;
const STRING = 4;

/**
 * Reads values of a writer's types into the columns of our fields: the conversions of Avro's resolution (`int` and `long` to `double`) and ours (an instant from
 * a `long`, counted as its type says, or from ISO 8601 text; the digits of a `long` for a `string` field). Used by the Avro decoder for
 * each field of each record.
 */
export class AvroFieldReader {
  readonly #builder: RecordBuilder;
  readonly #kinds: Uint8Array;
  readonly #scratch = new Float64Array(1);

  constructor(schema: Schema, builder: RecordBuilder) {
    this.#builder = builder;
    this.#kinds = Uint8Array.from(schema.fields, (field) => kinds[field.type]);
  }

  /**
   * Reads the value of type `node` at `at` into `field`'s column, noting what was found. Gives the position after it, or what {@link skipNode} gives
   * for what is no such value.
   */
  read(node: avroNode.AvroNode, field: number, data: Uint8Array, view: DataView, at: number, end: number): number {
    const { found, numbers, row } = this.#builder;
    const kind = this.#kinds[field] ?? 0;
    switch (node.read) {
      case avroNode.READ_UNION: {
        const from = readLong(data, at, end, this.#scratch, 0);
        const branch = from < 0 ? undefined : node.parts[this.#scratch[0] ?? -1];
        return branch === undefined ? MALFORMED : this.read(branch, field, data, view, from, end);
      }
      case avroNode.READ_NULL:
        found[field] = finding.NULL;
        return at;
      case avroNode.READ_LONG: {
        const values = numbers[field];
        if (kind > TIMESTAMP || values === undefined) return this.#readDigits(field, kind, data, at, end);
        const after = readLong(data, at, end, values, row);
        if (after >= 0) found[field] = findingOf(values, row, kind, node.unit);
        return after;
      }
      case avroNode.READ_DOUBLE:
      case avroNode.READ_FLOAT: {
        const size = node.read === avroNode.READ_DOUBLE ? 8 : 4;
        if (end - at < size) return MALFORMED;
        const value = size === 8 ? view.getFloat64(at, true) : view.getFloat32(at, true);
        const values = numbers[field];
        if (kind === DOUBLE && values !== undefined) {
          values[row] = value;
          found[field] = value - value === 0 ? finding.PRESENT : finding.GOT_NOT_FINITE;
        } else {
          found[field] = kind === LONG || kind === TIMESTAMP ? finding.GOT_FRACTION : finding.GOT_NUMBER;
        }
        return at + size;
      }
      case avroNode.READ_BOOLEAN: {
        const byte = at < end ? (data[at] ?? 2) : 2;
        if (byte > 1) return MALFORMED;
        const values = numbers[field];
        found[field] = kind === BOOLEAN ? finding.PRESENT : finding.GOT_BOOLEAN;
        if (kind === BOOLEAN && values !== undefined) values[row] = byte;
        return at + 1;
      }
      case avroNode.READ_STRING:
        return this.#readText(node, field, kind, data, view, at, end);
      case avroNode.READ_BYTES:
      case avroNode.READ_FIXED:
        return node.scale < 0
          ? this.#readBytes(node, field, kind, data, view, at, end)
          : this.#readDecimal(node, field, kind, data, at, end);
      case avroNode.READ_ENUM: {
        const after = readLong(data, at, end, this.#scratch, 0);
        const symbol = after < 0 ? undefined : node.symbols[this.#scratch[0] ?? -1];
        if (symbol === undefined) return MALFORMED;
        if (kind === STRING) this.#setText(field, symbol);
        else found[field] = finding.GOT_STRING;
        return after;
      }
      default:
        found[field] = findingOfOther(node);
        return skipNode(node, data, at, end, maxDepth);
    }
  }

  #readBytes(
    node: avroNode.AvroNode,
    field: number,
    kind: number,
    data: Uint8Array,
    view: DataView,
    at: number,
    end: number,
  ): number {
    if (node.read === avroNode.READ_BYTES) return this.#readText(node, field, kind, data, view, at, end);
    this.#builder.found[field] = finding.GOT_BYTES;
    return skipNode(node, data, at, end, maxDepth);
  }

  /** A decimal: the nearest double for a `double` that can hold its digits, all of them for text. */
  #readDecimal(
    node: avroNode.AvroNode,
    field: number,
    kind: number,
    data: Uint8Array,
    at: number,
    end: number,
  ): number {
    const { found, numbers, row } = this.#builder;
    const after = skipNode(node, data, at, end, maxDepth);
    if (after < 0) return after;
    const from = node.read === avroNode.READ_FIXED ? at : readLong(data, at, end, this.#scratch, 0);
    const values = numbers[field];
    if (kind === DOUBLE && values !== undefined) {
      const value = decimalNumber(data, from, after, node.scale);
      values[row] = value;
      found[field] = Number.isNaN(value) ? finding.GOT_UNSAFE_DECIMAL : finding.PRESENT;
      return after;
    }
    const text = kind === STRING ? decimalText(data, from, after, node.scale) : null;
    if (text === null) found[field] = kind === STRING ? finding.GOT_BYTES : finding.GOT_NUMBER;
    else this.#setText(field, asciiOf(text));
    return after;
  }

  #readText(
    node: avroNode.AvroNode,
    field: number,
    kind: number,
    data: Uint8Array,
    view: DataView,
    at: number,
    end: number,
  ): number {
    const { found, numbers, row } = this.#builder;
    // Text of up to 63 bytes has its length in one byte.
    const first = at < end ? (data[at] ?? 0) : 1;
    const isShort = (first & 0x81) === 0;
    const from = isShort ? at + 1 : readLong(data, at, end, this.#scratch, 0);
    const size = isShort ? first >> 1 : (this.#scratch[0] ?? 0);
    if (from < 0 || size < 0 || size > end - from) return MALFORMED;
    const to = from + size;
    if (kind === STRING) {
      found[field] = finding.PRESENT;
      if (!this.#copyText(field, data, view, from, to) && !isUtf8(data, from, to)) {
        if (node.read === avroNode.READ_STRING) return MALFORMED;
        found[field] = finding.GOT_BYTES;
      }
      return to;
    }
    if (node.read === avroNode.READ_STRING && !isUtf8(data, from, to)) return MALFORMED;
    const values = numbers[field];
    if (kind === TIMESTAMP && values !== undefined) {
      const instantMs = readInstant(data, from, to);
      values[row] = instantMs;
      found[field] = Number.isNaN(instantMs) ? finding.GOT_NO_INSTANT : finding.PRESENT;
    } else {
      found[field] = node.read === avroNode.READ_STRING ? finding.GOT_STRING : finding.GOT_BYTES;
    }
    return to;
  }

  /** Copies text to a string field's column, four bytes at a time. Says whether it was ASCII alone, so that nothing else need be checked. */
  #copyText(field: number, data: Uint8Array, view: DataView, start: number, end: number): boolean {
    const { row, texts, textOffsets } = this.#builder;
    const out = texts[field];
    const offsets = textOffsets[field];
    if (out === undefined || offsets === undefined) return true;
    const { bytes, view: outView } = out;
    let to = offsets[row] ?? 0;
    let from = start;
    let bits = 0;
    for (; from <= end - 4; from += 4) {
      const word = view.getInt32(from, true);
      bits |= word;
      outView.setInt32(to, word, true);
      to += 4;
    }
    for (; from < end; from++) {
      const byte = data[from] ?? 0;
      bits |= byte;
      bytes[to++] = byte;
    }
    offsets[row + 1] = to;
    return (bits & 0x80808080) === 0;
  }

  /** Text that is not the message's own. */
  #setText(field: number, text: Uint8Array): void {
    const { found, row, texts, textOffsets } = this.#builder;
    const offsets = textOffsets[field];
    if (offsets === undefined) return;
    const start = offsets[row] ?? 0;
    texts[field]?.bytes.set(text, start);
    offsets[row + 1] = start + text.length;
    found[field] = finding.PRESENT;
  }

  /** A `long` where our field has no number: the digits for text, a wrong type for a boolean. */
  #readDigits(field: number, kind: number, data: Uint8Array, at: number, end: number): number {
    const after = readLong(data, at, end, this.#scratch, 0);
    if (after < 0) return after;
    if (kind !== STRING) {
      this.#builder.found[field] = finding.GOT_NUMBER;
      return after;
    }
    const value = this.#scratch[0] ?? 0;
    const digits = Number.isSafeInteger(value) ? String(value) : longDigits(data, at);
    this.#setText(field, asciiOf(digits));
    return after;
  }
}

function asciiOf(digits: string): Uint8Array {
  return Uint8Array.from(digits, (digit) => digit.charCodeAt(0));
}

/** What a value of this type is, where something else must stand. */
export function findingOfOther(node: avroNode.AvroNode): finding.FieldFinding {
  switch (node.read) {
    case avroNode.READ_NULL:
      return finding.NULL;
    case avroNode.READ_BOOLEAN:
      return finding.GOT_BOOLEAN;
    case avroNode.READ_LONG:
    case avroNode.READ_FLOAT:
    case avroNode.READ_DOUBLE:
      return finding.GOT_NUMBER;
    case avroNode.READ_STRING:
    case avroNode.READ_ENUM:
      return finding.GOT_STRING;
    case avroNode.READ_BYTES:
    case avroNode.READ_FIXED:
      return finding.GOT_BYTES;
    case avroNode.READ_ARRAY:
      return finding.GOT_ARRAY;
    default:
      return finding.GOT_OBJECT;
  }
}

/** What is to be said of the whole number that was read into `values[row]`, which becomes milliseconds where it counts something finer. */
function findingOf(
  values: Float64Array,
  row: number,
  kind: number,
  unit: avroNode.AvroNode['unit'],
): finding.FieldFinding {
  const value = values[row] ?? 0;
  const safe = value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER;
  // A double that promotion made of a larger one would have been rounded without a word.
  if (kind !== TIMESTAMP) return safe ? finding.PRESENT : finding.GOT_UNSAFE_LONG;
  if (!safe) return finding.GOT_DISTANT_INSTANT;
  // Towards the past, as text with more digits is read; the remainder of two whole numbers is exact, their quotient would not be.
  const instantMs =
    unit === 'micros'
      ? (value - (((value % 1000) + 1000) % 1000)) / 1000
      : unit === 'days'
        ? value * 86_400_000
        : value;
  values[row] = instantMs;
  return Math.abs(instantMs) <= finding.maxInstantMs ? finding.PRESENT : finding.GOT_DISTANT_INSTANT;
}
