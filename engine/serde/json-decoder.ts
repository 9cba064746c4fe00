import type { MessageBatch } from '../record/message-batch.ts';
import type { FieldType } from '../record/schema.ts';
import type { Decoded, Decoder, DecoderOptions } from './decoder.ts';
import * as finding from './field-finding.ts';
import type { FieldNames } from './field-names.ts';
import { groupPaths } from './field-path.ts';
import { readInstant } from './instant-text.ts';
import { readNumber } from './json-number.ts';
import { JsonShape } from './json-shape.ts';
import { skipSpace, skipValue, skipWord, TOO_DEEP } from './json-skip.ts';
import { readText, skipText, unescapeText } from './json-text.ts';
import { RecordBuilder } from './record-builder.ts';

/** What the JSON decoder may be told besides. */
export interface JsonDecoderOptions extends DecoderOptions {
  /** How many arrays and objects may nest in a value that is skipped, its own included. Default 64. */
  readonly maxDepth?: number;
}

/** How a field's value is read; the order is that of the `switch` in {@link JsonDecoder}. */
const readers: Readonly<Record<FieldType, number>> = { double: 0, long: 1, timestamp: 2, boolean: 3, string: 4 };

/**
 * Decodes JSON objects, one a message, from bytes to columns in one pass, without making a string or an object on the way.
 *
 * What it accepts is what `JSON.parse` accepts of strict UTF-8, with two differences: a value to be skipped may nest at most `maxDepth` deep, and the strings of
 * declared fields must be Unicode (no unpaired surrogates). A key that comes twice counts as it comes last; keys that the schema has not are skipped. The
 * tokens `NaN`, `Infinity` and `-Infinity`, which some producers write and JSON has not, are told apart from other malformed values
 * (`NUMBER_NOT_FINITE`) where they stand as a declared field's value.
 *
 * Values: `double` any number; `long` any number without a fraction (`12.0` and `1e3` too); `boolean` `true` or `false`; `timestamp` whole milliseconds
 * or text as {@link readInstant} reads it; `string` text, or a number, whose digits are kept as they were written.
 *
 * A field `features.amount` is the member `amount` of the object `features` ({@link FieldPath}); an object that is null or absent has none of its members.
 *
 * The keys' order is guessed from the record before, so that the usual key costs one comparison of its bytes.
 */
export class JsonDecoder implements Decoder {
  readonly #builder: RecordBuilder;
  readonly #message: JsonShape;
  readonly #readers: Uint8Array;
  readonly #maxDepth: number;
  #scratch: Uint8Array = new Uint8Array(64);
  /** A declared field of the record at hand that is a number token which JSON has not; -1 while there is none. */
  #notFiniteField = -1;

  /** @throws {SluiceError} `EVENT_TIME_FIELD_INVALID`, `KEY_FIELD_UNKNOWN`, `SCHEMA_FIELD_AMBIGUOUS`. */
  constructor(options: JsonDecoderOptions) {
    const { fields } = options.schema;
    this.#builder = new RecordBuilder(options);
    this.#message = new JsonShape(groupPaths(fields.map((field) => field.name)));
    this.#readers = Uint8Array.from(fields, (field) => readers[field.type]);
    this.#maxDepth = options.maxDepth ?? 64;
  }

  prepare(): null {
    return null;
  }

  decode(messages: MessageBatch): Decoded {
    const builder = this.#builder;
    const { data, offsets } = messages.values;
    builder.begin(messages);
    for (let index = 0; index < messages.messageCount; index++) {
      const start = offsets[index] ?? 0;
      const end = offsets[index + 1] ?? 0;
      builder.reserveText(end - start);
      const after = this.#readRecord(data, start, end);
      if (after === end) builder.accept(index);
      else builder.refuse(index, problemAt(after, start, end, this.#maxDepth));
    }
    return builder.finish();
  }

  /** Reads the record in `data[start, end)`. Gives `end` when it is well-formed, else `~position`, {@link TOO_DEEP} or {@link NOT_AN_OBJECT}. */
  #readRecord(data: Uint8Array, start: number, end: number): number {
    this.#notFiniteField = -1;
    const at = skipSpace(data, start, end);
    if (at >= end || data[at] !== 0x7b) return this.#readOther(data, at, end);
    const closed = this.#readObject(this.#message, data, at + 1, end);
    if (closed < 0) return closed;
    const after = skipSpace(data, closed, end);
    if (after < end) return ~after;
    // Noted only now, so that a later duplicate of the key does not make a record of what is no JSON.
    if (this.#notFiniteField >= 0) this.#builder.found[this.#notFiniteField] = finding.GOT_NOT_FINITE;
    return end;
  }

  /** Reads the members of an object whose opening brace is just before `start`. Gives the position after its closing one, or what {@link skipValue} gives. */
  #readObject(shape: JsonShape, data: Uint8Array, start: number, end: number): number {
    const { guesses, quoted, quotedStarts, fields } = shape;
    let at = skipSpace(data, start, end);
    if (at < end && data[at] === 0x7d) return at + 1;
    for (let key = 0; ; key++) {
      if (at >= end || data[at] !== 0x22) return ~at;
      at++;
      let name = key < guesses.length ? (guesses[key] ?? -1) : -1;
      if (name >= 0) {
        let from = quotedStarts[name] ?? 0;
        const to = quotedStarts[name + 1] ?? 0;
        let candidate = at;
        if (candidate + to - from > end) name = -1;
        else {
          while (from < to && data[candidate] === quoted[from]) {
            from++;
            candidate++;
          }
          if (from === to) at = candidate;
          else name = -1;
        }
      }
      if (name < 0) {
        const closed = skipText(data, at, end);
        if (closed < 0) return closed;
        name = this.#findKey(shape.names, data, at, closed - 1);
        if (key < guesses.length) guesses[key] = name;
        at = closed;
      }
      at = skipSpace(data, at, end);
      if (at >= end || data[at] !== 0x3a) return ~at;
      at = skipSpace(data, at + 1, end);
      if (name < 0) {
        at = skipValue(data, at, end, this.#maxDepth);
      } else {
        const field = fields[name] ?? -1;
        at = field < 0 ? this.#readMembers(shape.objects[name], data, at, end) : this.#readField(field, data, at, end);
      }
      if (at < 0) return at;
      at = skipSpace(data, at, end);
      if (at >= end) return ~end;
      const byte = data[at];
      if (byte === 0x2c) at = skipSpace(data, at + 1, end);
      else return byte === 0x7d ? at + 1 : ~at;
    }
  }

  /** Reads the value of a key that is an object of declared fields; when it comes again, its members count as they come last. */
  #readMembers(shape: JsonShape | undefined, data: Uint8Array, at: number, end: number): number {
    const byte = at < end ? (data[at] ?? 0) : 0;
    const isObject = byte === 0x7b && shape !== undefined;
    if (shape !== undefined) {
      const { found } = this.#builder;
      const missing = isObject ? finding.ABSENT : findingOfOther(byte);
      for (let member = 0; member < shape.fields.length; member++) found[shape.fields[member] ?? 0] = missing;
    }
    return isObject ? this.#readObject(shape, data, at + 1, end) : skipValue(data, at, end, this.#maxDepth);
  }

  /** Reads a declared field's value, noting what was found. Gives the position after it, or what {@link skipValue} gives for what is no value. */
  #readField(field: number, data: Uint8Array, at: number, end: number): number {
    const { found, numbers, row } = this.#builder;
    const byte = at < end ? (data[at] ?? 0) : 0;
    const reader = this.#readers[field] ?? 0;
    if ((byte >= 0x30 && byte <= 0x39) || byte === 0x2d) {
      if (byte === 0x2d && data[at + 1] === 0x49) return this.#readNotFinite(field, data, at, end);
      if (reader === 4) return this.#readDigits(field, data, at, end);
      const values = numbers[field];
      if (reader === 3 || values === undefined) {
        found[field] = finding.GOT_NUMBER;
        return skipValue(data, at, end, 0);
      }
      const after = readNumber(data, at, end, values, row);
      if (after >= 0) found[field] = reader === 0 ? findingOfDouble(values, row) : findingOfWhole(values, row, reader);
      return after;
    }
    switch (byte) {
      case 0x22:
        if (reader === 4) return this.#readString(field, data, at + 1, end);
        if (reader === 2) return this.#readInstant(field, data, at + 1, end);
        found[field] = finding.GOT_STRING;
        return skipText(data, at + 1, end);
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
        return skipValue(data, at, end, this.#maxDepth);
    }
  }

  #readString(field: number, data: Uint8Array, at: number, end: number): number {
    const { found, row, texts, textOffsets } = this.#builder;
    const offsets = textOffsets[field] ?? noOffsets;
    const after = readText(data, at, end, texts[field] ?? this.#scratch, offsets, row);
    found[field] = after >= 0 && (offsets[row + 1] ?? 0) < 0 ? finding.GOT_SURROGATE : finding.PRESENT;
    return after;
  }

  /** A number in a `string` field: its token is the text. */
  #readDigits(field: number, data: Uint8Array, at: number, end: number): number {
    const { found, row, texts, textOffsets } = this.#builder;
    const offsets = textOffsets[field] ?? noOffsets;
    const after = skipValue(data, at, end, 0);
    if (after < 0) return after;
    const from = offsets[row] ?? 0;
    texts[field]?.set(data.subarray(at, after), from);
    offsets[row + 1] = from + after - at;
    found[field] = finding.PRESENT;
    return after;
  }

  #readInstant(field: number, data: Uint8Array, at: number, end: number): number {
    const { found, numbers, row } = this.#builder;
    const after = skipText(data, at, end);
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
        if (this.#notFiniteField < 0) this.#notFiniteField = field;
        return at + token.length;
      }
    }
    return ~at;
  }

  /** The number of a key that was not guessed, or -1; the key is well-formed. */
  #findKey(names: FieldNames, data: Uint8Array, start: number, end: number): number {
    for (let at = start; at < end; at++) {
      if (data[at] === 0x5c) {
        const length = this.#unescape(data, start, end);
        return length < 0 ? -1 : names.find(this.#scratch, 0, length);
      }
    }
    return names.find(data, start, end);
  }

  #unescape(data: Uint8Array, start: number, end: number): number {
    if (this.#scratch.length < end - start) this.#scratch = new Uint8Array((end - start) * 2);
    return unescapeText(data, start, end, this.#scratch, 0);
  }

  /** The message is no object: is it JSON at all? */
  #readOther(data: Uint8Array, at: number, end: number): number {
    const after = skipValue(data, at, end, this.#maxDepth);
    if (after < 0) return after;
    const last = skipSpace(data, after, end);
    return last < end ? ~last : NOT_AN_OBJECT;
  }
}

/** What {@link JsonDecoder} says of JSON that is no object; no position in a slab has this complement. */
const NOT_AN_OBJECT = TOO_DEEP + 1;

const noOffsets: Int32Array = new Int32Array(2);
const notFiniteTokens: readonly Uint8Array[] = ['NaN', 'Infinity', '-Infinity'].map((token) =>
  new TextEncoder().encode(token),
);

/** What a value is that begins with this byte, where something else must stand. */
function findingOfOther(byte: number): finding.FieldFinding {
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
  if (reader === 2) return magnitude <= finding.maxInstantMs ? finding.PRESENT : finding.GOT_DISTANT_INSTANT;
  return magnitude <= Number.MAX_SAFE_INTEGER ? finding.PRESENT : finding.GOT_UNSAFE_LONG;
}

function problemAt(after: number, start: number, end: number, maxDepth: number): finding.Problem {
  if (after === TOO_DEEP) {
    return {
      code: 'JSON_TOO_DEEP',
      message: `the value must nest at most ${maxDepth} arrays and objects in a field that is skipped; got more`,
    };
  }
  if (after === NOT_AN_OBJECT) {
    return { code: 'JSON_NOT_OBJECT', message: 'the value must be a JSON object; got another JSON value' };
  }
  const at = ~after;
  const got =
    start === end
      ? 'an empty value'
      : at >= end
        ? `an end after ${end - start} bytes`
        : `something else at byte ${at - start} of ${end - start}`;
  return { code: 'JSON_MALFORMED', message: `the value must be JSON in UTF-8; got ${got}` };
}
