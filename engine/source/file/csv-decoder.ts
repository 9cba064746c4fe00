import type { MessageBatch } from '../../record/message-batch.ts';
import type { FieldType } from '../../record/schema.ts';
import type { Decoded, Decoder, DecoderOptions } from '../../serde/decoder.ts';
import { GOT_NOT_FINITE, GOT_NO_INSTANT, GOT_STRING, NULL, PRESENT, type Problem } from '../../serde/field-finding.ts';
import { readInstant } from '../../serde/instant-text.ts';
import { readNumber } from '../../serde/json-number.ts';
import { RecordBuilder } from '../../serde/record-builder.ts';
import { isUtf8 } from '../../serde/utf8.ts';
import { closingQuote } from './csv-layout.ts';
import { findingOfNumber } from './number-finding.ts';

/** What the CSV decoder is told besides: how rows are laid out. */
export interface CsvDecoderOptions extends DecoderOptions {
  /** The byte between fields. */
  readonly delimiter: number;
  /** How many columns each row must have. */
  readonly columnCount: number;
  /** For each field of the schema its column, or -1 when the file has none. */
  readonly columnOfField: readonly number[];
}

const [quote, space, tab, carriageReturn] = [0x22, 0x20, 0x09, 0x0d];
const numberPattern = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const notFinitePattern = /^[+-]?(?:nan|inf|infinity)$/i;
const booleans: ReadonlyMap<string, number> = new Map([
  ['true', 1],
  ['1', 1],
  ['false', 0],
  ['0', 0],
]);
const longestToken = 400;

/**
 * Decodes CSV rows (RFC 4180), one a message. An empty field without quotes is null; with quotes it is the empty text. Numbers may have spaces around them, a plus
 * sign, and no digit before the point; `nan` and `inf` are numbers that are not finite. `boolean` is true, false, 1 or 0; `timestamp` whole milliseconds
 * or an ISO 8601 instant with an offset; `string` the text as it stands.
 *
 * A row that is none is a dead letter with the code `CSV_MALFORMED`: it has too few or too many columns, a quote is not closed, something stands after a
 * closing quote, or a text is not UTF-8.
 */
export class CsvDecoder implements Decoder {
  readonly #options: CsvDecoderOptions;
  readonly #types: readonly FieldType[];
  /** For each column its field, or -1. */
  readonly #fieldOfColumn: Int32Array;
  readonly #builder: RecordBuilder;

  constructor(options: CsvDecoderOptions) {
    this.#options = options;
    this.#types = options.schema.fields.map((field) => field.type);
    this.#fieldOfColumn = new Int32Array(options.columnCount).fill(-1);
    options.columnOfField.forEach((column, field) => {
      if (column >= 0) this.#fieldOfColumn[column] = field;
    });
    this.#builder = new RecordBuilder(options);
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
      const problem = this.#readRow(data, start, end);
      if (problem === null) builder.accept(index);
      else builder.refuse(index, { code: 'CSV_MALFORMED', message: problem } satisfies Problem);
    }
    return builder.finish();
  }

  /** Gives what is wrong with the row itself, or null. What is wrong with its fields is noted in the builder. */
  #readRow(data: Uint8Array, start: number, end: number): string | null {
    const { delimiter, columnCount } = this.#options;
    let at = start;
    for (let column = 0; ; column++) {
      const isQuoted = data[at] === quote && at < end;
      let from = at;
      let to: number;
      if (isQuoted) {
        from++;
        to = closingQuote(data, from, end);
        if (to < 0) return `column ${column + 1} of the row must end with a quote, as it begins; got none`;
        at = to + 1;
        if (at < end && data[at] !== delimiter) {
          return `after its closing quote, column ${column + 1} of the row must end; got something else`;
        }
      } else {
        while (at < end && data[at] !== delimiter) at++;
        to = at;
      }
      const field = this.#fieldOfColumn[column] ?? -1;
      if (field >= 0 && !this.#readField(field, data, from, to, isQuoted)) {
        return `column ${column + 1} of the row must be UTF-8; got other bytes`;
      }
      if (at >= end) {
        return column + 1 === columnCount ? null : wrongCount(columnCount, column + 1);
      }
      if (column + 1 === columnCount) return wrongCount(columnCount, 'more');
      at++;
    }
  }

  /** False when the text is not UTF-8. */
  #readField(field: number, data: Uint8Array, from: number, to: number, isQuoted: boolean): boolean {
    const builder = this.#builder;
    const type = this.#types[field] ?? 'string';
    if (from === to && !isQuoted) {
      builder.found[field] = NULL;
      return true;
    }
    if (type === 'string') {
      this.#copyText(field, data, from, to, isQuoted);
      builder.found[field] = PRESENT;
      return isUtf8(data, from, to);
    }
    let start = from;
    let end = to;
    while (start < end && isSpace(data[start])) start++;
    while (end > start && isSpace(data[end - 1])) end--;
    builder.found[field] = this.#readNumeric(field, type, data, start, end);
    return true;
  }

  #copyText(field: number, data: Uint8Array, from: number, to: number, isQuoted: boolean): void {
    const { row, texts, textOffsets } = this.#builder;
    const text = texts[field]?.bytes;
    const offsets = textOffsets[field];
    if (text === undefined || offsets === undefined) return;
    let end = offsets[row] ?? 0;
    for (let at = from; at < to; at++) {
      text[end++] = data[at] ?? 0;
      // Within quotes every quote is doubled: `closingQuote` would have ended the field at a single one.
      if (isQuoted && data[at] === quote) at++;
    }
    offsets[row + 1] = end;
  }

  #readNumeric(field: number, type: FieldType, data: Uint8Array, start: number, end: number): number {
    const { numbers, row } = this.#builder;
    const values = numbers[field];
    if (values === undefined || end - start > longestToken) return GOT_STRING;
    if (type !== 'boolean' && readNumber(data, start, end, values, row) === end && end > start) {
      return this.#checked(type, values, row);
    }
    const token = Buffer.from(data.buffer, data.byteOffset + start, end - start).toString('latin1');
    if (type === 'boolean') {
      const value = booleans.get(token.toLowerCase());
      values[row] = value ?? 0;
      return value === undefined ? GOT_STRING : PRESENT;
    }
    if (numberPattern.test(token)) {
      values[row] = Number(token);
      return this.#checked(type, values, row);
    }
    if (notFinitePattern.test(token)) return GOT_NOT_FINITE;
    if (type !== 'timestamp') return GOT_STRING;
    const instantMs = readInstant(data, start, end);
    values[row] = instantMs;
    return Number.isNaN(instantMs) ? GOT_NO_INSTANT : PRESENT;
  }

  #checked(type: FieldType, values: Float64Array, row: number): number {
    // Whole numbers have no negative zero; adding zero makes it the positive one.
    if (type !== 'double') values[row] = (values[row] ?? 0) + 0;
    return findingOfNumber(type, values[row] ?? 0);
  }
}

function wrongCount(expected: number, got: number | 'more'): string {
  return `a row must have ${expected} columns, as the header has; got ${got}`;
}

function isSpace(byte: number | undefined): boolean {
  return byte === space || byte === tab || byte === carriageReturn;
}
