import type { MessageBatch } from '../record/message-batch.ts';
import type { Decoded, Decoder, DecoderOptions } from './decoder.ts';
import * as finding from './field-finding.ts';
import { groupPaths } from './field-path.ts';
import { findingOfOther, JsonFieldReader } from './json-field-reader.ts';
import { JsonShape } from './json-shape.ts';
import { skipSpace, skipValue, TOO_DEEP } from './json-skip.ts';
import { skipText } from './json-text.ts';
import { RecordBuilder } from './record-builder.ts';
import type { RecordRules } from './record-rules.ts';
import { RuleChecker } from './rule-checker.ts';

/** What the JSON decoder may be told besides. */
export interface JsonDecoderOptions extends DecoderOptions {
  /** How many arrays and objects may nest in a value that is skipped, its own included. Default 64. */
  readonly maxDepth?: number;
  /** What records must be beyond `schema`; `null`, or not said: nothing. */
  readonly rules?: RecordRules | null;
}

/**
 * Decodes JSON objects, one a message, from bytes to columns in one pass, without making a string or an object on the way.
 *
 * What it accepts is what `JSON.parse` accepts of strict UTF-8, with two differences: a value to be skipped may nest at most `maxDepth` deep, and the strings of
 * declared fields must be Unicode (no unpaired surrogates). A key that comes twice counts as it comes last; keys that the schema has not are skipped. The
 * tokens `NaN`, `Infinity` and `-Infinity`, which some producers write and JSON has not, are told apart from other malformed values
 * (`NUMBER_NOT_FINITE`) where they stand as a declared field's value.
 *
 * Values: `double` any number; `long` any number without a fraction (`12.0` and `1e3` too); `boolean` `true` or `false`; `timestamp` whole milliseconds
 * or ISO 8601 text with an offset; `string` text, or a number, whose digits are kept as they were written.
 *
 * A field `features.amount` is the member `amount` of the object `features` (`field-path.ts`); an object that is null or absent has none of its members.
 *
 * The keys' order is guessed from the record before, so that the usual key costs one comparison of its bytes.
 */
export class JsonDecoder implements Decoder {
  readonly #builder: RecordBuilder;
  readonly #message: JsonShape;
  readonly #reader: JsonFieldReader;
  readonly #maxDepth: number;
  readonly #checker: RuleChecker | null;
  /** Whether the record at hand has a field that its object may not have. */
  #hasStranger = false;

  /** @throws {SluiceError} `EVENT_TIME_FIELD_INVALID`, `KEY_FIELD_UNKNOWN`, `SCHEMA_FIELD_AMBIGUOUS`, `PATTERN_INVALID`. */
  constructor(options: JsonDecoderOptions) {
    const { schema, rules = null } = options;
    this.#builder = new RecordBuilder(options, rules?.fields);
    this.#message = new JsonShape(groupPaths(schema.fields.map((field) => field.name)), rules?.closed);
    this.#checker = rules === null ? null : new RuleChecker(schema, rules, (field) => this.#builder.stageOf(field));
    this.#maxDepth = options.maxDepth ?? 64;
    this.#reader = new JsonFieldReader(schema, this.#builder, this.#maxDepth, rules?.fields);
  }

  prepare(): null {
    return null;
  }

  decode(messages: MessageBatch): Decoded {
    const builder = this.#builder;
    const { data, offsets } = messages.values;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    builder.begin(messages);
    for (let index = 0; index < messages.messageCount; index++) {
      const start = offsets[index] ?? 0;
      const end = offsets[index + 1] ?? 0;
      builder.reserveText(end - start);
      const after = this.#readRecord(data, view, start, end);
      if (after === end) {
        if (this.#hasStranger) builder.refuse(index, stranger);
        else builder.accept(index);
      } else builder.refuse(index, problemAt(after, start, end, this.#maxDepth));
    }
    const decoded = builder.finish();
    return this.#checker === null ? decoded : this.#checker.check(decoded, messages);
  }

  /** Reads the record in `data[start, end)`. Gives `end` when it is well-formed, else `~position`, {@link TOO_DEEP} or {@link NOT_AN_OBJECT}. */
  #readRecord(data: Uint8Array, view: DataView, start: number, end: number): number {
    this.#reader.notFiniteField = -1;
    this.#hasStranger = false;
    const at = skipSpace(data, start, end);
    if (at >= end || data[at] !== 0x7b) return this.#readOther(data, view, at, end);
    const closed = this.#readObject(this.#message, data, view, at + 1, end);
    if (closed < 0) return closed;
    const after = skipSpace(data, closed, end);
    if (after < end) return ~after;
    // Noted only now, so that a later duplicate of the key does not make a record of what is no JSON.
    if (this.#reader.notFiniteField >= 0) this.#builder.found[this.#reader.notFiniteField] = finding.GOT_NOT_FINITE;
    return end;
  }

  /** Reads the members of an object whose opening brace is just before `start`. Gives the position after its closing one, or what {@link skipValue} gives. */
  #readObject(shape: JsonShape, data: Uint8Array, view: DataView, start: number, end: number): number {
    const { guesses, words, wordStarts, masks, lengths, fields } = shape;
    let at = skipSpace(data, start, end);
    if (at < end && data[at] === 0x7d) return at + 1;
    for (let key = 0; ; key++) {
      if (at >= end || data[at] !== 0x22) return ~at;
      at++;
      let name = key < guesses.length ? (guesses[key] ?? -1) : -1;
      if (name >= 0) {
        let from = wordStarts[name] ?? 0;
        const last = (wordStarts[name + 1] ?? 0) - 1;
        let candidate = at;
        if (at + (last - from + 1) * 4 > end) {
          name = -1;
        } else {
          while (from < last && view.getInt32(candidate, true) === words[from]) {
            from++;
            candidate += 4;
          }
          const rest = view.getInt32(candidate, true) ^ (words[from] ?? 0);
          if (from === last && (rest & (masks[name] ?? 0)) === 0) at += lengths[name] ?? 0;
          else name = -1;
        }
      }
      if (name < 0) {
        const closed = skipText(data, view, at, end);
        if (closed < 0) return closed;
        name = shape.find(data, at, closed - 1);
        if (name < 0 && shape.isClosedTo(data, at, closed - 1)) this.#hasStranger = true;
        if (key < guesses.length) guesses[key] = name;
        at = closed;
      }
      // White space is looked for only where what must come is not there: most producers write none.
      if (at >= end || data[at] !== 0x3a) {
        at = skipSpace(data, at, end);
        if (at >= end || data[at] !== 0x3a) return ~at;
      }
      at++;
      if (at < end && (data[at] ?? 0) <= 0x20) at = skipSpace(data, at, end);
      if (name < 0) {
        at = skipValue(data, view, at, end, this.#maxDepth);
      } else {
        const field = fields[name] ?? -1;
        at =
          field < 0
            ? this.#readMembers(shape.objects[name], data, view, at, end)
            : this.#reader.read(field, data, view, at, end);
      }
      if (at < 0) return at;
      if (at >= end || data[at] !== 0x2c) {
        at = skipSpace(data, at, end);
        if (at >= end) return ~end;
        if (data[at] !== 0x2c) return data[at] === 0x7d ? at + 1 : ~at;
      }
      at++;
      if (at < end && (data[at] ?? 0) <= 0x20) at = skipSpace(data, at, end);
    }
  }

  /** Reads the value of a key that is an object of declared fields; when it comes again, its members count as they come last. */
  #readMembers(shape: JsonShape | undefined, data: Uint8Array, view: DataView, at: number, end: number): number {
    const byte = at < end ? (data[at] ?? 0) : 0;
    const isObject = byte === 0x7b && shape !== undefined;
    if (shape !== undefined) {
      const { found } = this.#builder;
      const missing = isObject ? finding.ABSENT : findingOfOther(byte);
      for (let member = 0; member < shape.fields.length; member++) found[shape.fields[member] ?? 0] = missing;
    }
    return isObject ? this.#readObject(shape, data, view, at + 1, end) : skipValue(data, view, at, end, this.#maxDepth);
  }

  /** The message is no object: is it JSON at all? */
  #readOther(data: Uint8Array, view: DataView, at: number, end: number): number {
    const after = skipValue(data, view, at, end, this.#maxDepth);
    if (after < 0) return after;
    const last = skipSpace(data, after, end);
    return last < end ? ~last : NOT_AN_OBJECT;
  }
}

/** What {@link JsonDecoder} says of JSON that is no object; no position in a slab has this complement. */
const NOT_AN_OBJECT = TOO_DEEP + 1;

const stranger: finding.Problem = {
  code: 'FIELD_UNKNOWN',
  message: 'the record must have no fields but those of the schema (additionalProperties: false); got another',
};

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
