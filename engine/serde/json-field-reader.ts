import type { FieldType, Schema } from '../record/schema.ts';
import * as finding from './field-finding.ts';
import { readInstant } from './instant-text.ts';
import { readNumber } from './json-number.ts';
import { skipValue, skipWord } from './json-skip.ts';
import { readText, skipText, unescapeText } from './json-text.ts';
import type { RecordBuilder, TextTarget } from './record-builder.ts';
import type { FieldRules } from './record-rules.ts';

/** How a field's value is read, as a number to compare with in {@link JsonFieldReader}. */
const readers: Readonly<Record<FieldType, number>> = { double: 0, long: 1, timestamp: 2, boolean: 3, string: 4 };
/** Of fields whose rules allow but one form: text alone, an instant as text, an instant as a number. */
const TEXT_ONLY = 5;
const INSTANT_TEXT = 6;
const INSTANT_NUMBER = 7;

/** Reads JSON values into the columns of our fields, noting what was found. Used by the JSON decoder for each declared field of each record. */
export class JsonFieldReader {
  /** A field of the record at hand that is a number token which JSON has not (`NaN`); -1 while there is none. Set back by the decoder. */
  notFiniteField = -1;
  readonly #builder: RecordBuilder;
  readonly #readers: Uint8Array;
  readonly #maxDepth: number;
  #scratch: Uint8Array = new Uint8Array(64);

  constructor(schema: Schema, builder: RecordBuilder, maxDepth: number, rules: readonly FieldRules[] = []) {
    this.#builder = builder;
    this.#readers = Uint8Array.from(schema.fields, ({ name, type }) => {
      const form = rules.find(({ field }) => field === name)?.form ?? 'any';
      if (type === 'string' && form === 'text') return TEXT_ONLY;
      if (type !== 'timestamp' || form === 'any') return readers[type];
      return form === 'text' ? INSTANT_TEXT : INSTANT_NUMBER;
    });
    this.#maxDepth = maxDepth;
  }

  /** Reads the value at `at` into `field`'s column. Gives the position after it, or what {@link skipValue} gives for what is no value. */
  read(field: number, data: Uint8Array, view: DataView, at: number, end: number): number {
    const { found, numbers, row } = this.#builder;
    const byte = at < end ? (data[at] ?? 0) : 0;
    const reader = this.#readers[field] ?? 0;
    if ((byte >= 0x30 && byte <= 0x39) || byte === 0x2d) {
      if (byte === 0x2d && data[at + 1] === 0x49) return this.#readNotFinite(field, data, at, end);
      if (reader === 4) return this.#readDigits(field, data, view, at, end);
      const values = numbers[field];
      if (reader === 3 || reader === TEXT_ONLY || reader === INSTANT_TEXT || values === undefined) {
        found[field] = finding.GOT_NUMBER;
        return skipValue(data, view, at, end, 0);
      }
      const after = readNumber(data, at, end, values, row);
      if (after >= 0) found[field] = reader === 0 ? findingOfDouble(values, row) : findingOfWhole(values, row, reader);
      return after;
    }
    switch (byte) {
      case 0x22:
        if (reader === 4 || reader === TEXT_ONLY) return this.#readString(field, data, view, at + 1, end);
        if (reader === 2 || reader === INSTANT_TEXT) return this.#readInstant(field, data, view, at + 1, end);
        found[field] = finding.GOT_STRING;
        return skipText(data, view, at + 1, end);
      case 0x6e:
        found[field] = finding.NULL;
        return skipWord(data, at, end);
      case 0x74:
      case 0x66: {
        const values = numbers[field];
        if (reader === 3 && values !== undefined) {
          values[row] = byte === 0x74 ? 1 : 0;
          found[field] = finding.PRESENT;
        } else {
          found[field] = finding.GOT_BOOLEAN;
        }
        return skipWord(data, at, end);
      }
      case 0x4e:
      case 0x49:
        return this.#readNotFinite(field, data, at, end);
      default:
        found[field] = findingOfOther(byte);
        return skipValue(data, view, at, end, this.#maxDepth);
    }
  }

  #readString(field: number, data: Uint8Array, view: DataView, at: number, end: number): number {
    const { found, row, texts, textOffsets } = this.#builder;
    const offsets = textOffsets[field] ?? noOffsets;
    const after = readText(data, view, at, end, texts[field] ?? noText, offsets, row);
    found[field] = after >= 0 && (offsets[row + 1] ?? 0) < 0 ? finding.GOT_SURROGATE : finding.PRESENT;
    return after;
  }

  /** A number in a `string` field: its token is the text. */
  #readDigits(field: number, data: Uint8Array, view: DataView, at: number, end: number): number {
    const { found, row, texts, textOffsets } = this.#builder;
    const offsets = textOffsets[field] ?? noOffsets;
    const after = skipValue(data, view, at, end, 0);
    if (after < 0) return after;
    const from = offsets[row] ?? 0;
    texts[field]?.bytes.set(data.subarray(at, after), from);
    offsets[row + 1] = from + after - at;
    found[field] = finding.PRESENT;
    return after;
  }

  #readInstant(field: number, data: Uint8Array, view: DataView, at: number, end: number): number {
    const { found, numbers, row } = this.#builder;
    const after = skipText(data, view, at, end);
    if (after < 0) return after;
    let instantMs = readInstant(data, at, after - 1);
    if (Number.isNaN(instantMs) && data.subarray(at, after).includes(0x5c)) {
      const length = this.#unescape(data, at, after - 1);
      instantMs = readInstant(this.#scratch, 0, length);
    }
    const values = numbers[field];
    if (values !== undefined) values[row] = instantMs;
    found[field] = Number.isNaN(instantMs) ? finding.GOT_NO_INSTANT : finding.PRESENT;
    return after;
  }

  /** `NaN`, `Infinity` or `-Infinity`: refused like everything that JSON has not, but by its own name. */
  #readNotFinite(field: number, data: Uint8Array, at: number, end: number): number {
    for (const token of notFiniteTokens) {
      if (at + token.length <= end && token.every((byte, index) => data[at + index] === byte)) {
        if (this.notFiniteField < 0) this.notFiniteField = field;
        return at + token.length;
      }
    }
    return ~at;
  }

  #unescape(data: Uint8Array, start: number, end: number): number {
    if (this.#scratch.length < end - start) this.#scratch = new Uint8Array((end - start) * 2);
    return unescapeText(data, start, end, this.#scratch, 0);
  }
}

const noOffsets: Int32Array = new Int32Array(2);
const noText: TextTarget = { bytes: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)) };
const notFiniteTokens: readonly Uint8Array[] = ['NaN', 'Infinity', '-Infinity'].map((token) =>
  new TextEncoder().encode(token),
);

/** What a value is that begins with this byte, where something else must stand. */
export function findingOfOther(byte: number): finding.FieldFinding {
  switch (byte) {
    case 0x22:
      return finding.GOT_STRING;
    case 0x7b:
      return finding.GOT_OBJECT;
    case 0x5b:
      return finding.GOT_ARRAY;
    case 0x6e:
      return finding.NULL;
    case 0x74:
    case 0x66:
      return finding.GOT_BOOLEAN;
    default:
      return finding.GOT_NUMBER;
  }
}

function findingOfDouble(values: Float64Array, row: number): finding.FieldFinding {
  const value = values[row] ?? 0;
  return value - value === 0 ? finding.PRESENT : finding.GOT_NOT_FINITE;
}

function findingOfWhole(values: Float64Array, row: number, reader: number): finding.FieldFinding {
  // Adding 0 makes 0 of -0, which whole numbers have not.
  const value = (values[row] ?? 0) + 0;
  values[row] = value;
  if (value - value !== 0) return finding.GOT_NOT_FINITE;
  if (Math.floor(value) !== value) return finding.GOT_FRACTION;
  const magnitude = value < 0 ? -value : value;
  if (reader !== 1) return magnitude <= finding.maxInstantMs ? finding.PRESENT : finding.GOT_DISTANT_INSTANT;
  return magnitude <= Number.MAX_SAFE_INTEGER ? finding.PRESENT : finding.GOT_UNSAFE_LONG;
}
