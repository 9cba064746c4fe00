import type { Column } from '../record/column.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { Encoded, Encoder, EncoderOptions } from './encoder.ts';
import { INSTANT_TEXT_BYTES, writeInstant } from './instant-text.ts';
import { jsonTextBytes, writeText } from './json-text-writer.ts';
import { layOutJson, type JsonLayout } from './json-layout.ts';
import { KeyWriter } from './key-writer.ts';
import { MessageBuilder, viewOf } from './message-builder.ts';
import { NUMBER_TEXT_BYTES, writeNumber } from './number-text.ts';
import { resolveFields, resolveKey, type OutputColumn } from './output-columns.ts';

/** What the JSON encoder may be told besides. */
export interface JsonEncoderOptions extends EncoderOptions {
  /** Instants as ISO 8601 text in UTC with milliseconds (the default), or as numbers. */
  readonly instants?: 'iso' | 'ms';
}

/** How a column's values are written; the order is that of the `switch` in {@link JsonEncoder}. */
const writers = { number: 0, boolean: 1, instant: 2, text: 3, verbatim: 4 } as const;

const encoder = new TextEncoder();
const nullBytes: Uint8Array = encoder.encode('null');
const trueBytes: Uint8Array = encoder.encode('true');
const falseBytes: Uint8Array = encoder.encode('false');

/**
 * Encodes records as JSON objects, one a message, from columns to bytes in one pass: field by field as declared, without white space, nulls written as
 * `null`. What it writes is what `JSON.stringify` would, byte for byte, except that -0 keeps its sign, so that a decoded record has the bits
 * of the one encoded.
 *
 * A row with a number that is NaN or infinite, which JSON has not, is a failure (`NUMBER_NOT_FINITE`) and gives no message.
 */
export class JsonEncoder implements Encoder {
  readonly #columns: readonly OutputColumn[];
  readonly #writers: Uint8Array;
  /** See {@link layOutJson}. */
  readonly #layout: JsonLayout;
  readonly #valueSize: number;
  readonly #keys: KeyWriter;
  readonly #builder: MessageBuilder;

  /** @throws {SluiceError} `OUTPUT_COLUMN_UNKNOWN`, `OUTPUT_FIELD_DUPLICATE`, `OUTPUT_CONSTANT_INVALID`, `SCHEMA_FIELD_AMBIGUOUS`. */
  constructor(options: JsonEncoderOptions) {
    const layout = layOutJson(resolveFields(options.schema, options.fields));
    const { columns } = layout;
    const instants = options.instants ?? 'iso';
    this.#columns = columns;
    this.#layout = layout;
    this.#writers = Uint8Array.from(columns, ({ type, verbatim }) => {
      if (type === 'string') return verbatim === true ? writers.verbatim : writers.text;
      if (type === 'boolean') return writers.boolean;
      return type === 'timestamp' && instants === 'iso' ? writers.instant : writers.number;
    });
    this.#valueSize = layout.words.length * 4 + columns.length * Math.max(NUMBER_TEXT_BYTES, INSTANT_TEXT_BYTES + 2);
    this.#keys = new KeyWriter(resolveKey(options.schema, options.key));
    this.#builder = new MessageBuilder(options.topic, options.partitioner);
  }

  encode(records: RecordBatch): Encoded {
    const builder = this.#builder;
    const columns = this.#columns.map((column) => column.of(records));
    const texts = columns.filter((column) => column.kind === 'utf8');
    const views = columns.map((column) => (column.kind === 'utf8' ? viewOf(column.data) : builder.valueView));
    builder.begin(records);
    this.#keys.begin(records);
    for (let row = 0; row < records.rowCount; row++) {
      let size = this.#valueSize;
      for (const { offsets } of texts) size += jsonTextBytes((offsets[row + 1] ?? 0) - (offsets[row] ?? 0));
      builder.reserve(this.#keys.sizeOf(row), size);
      const valueEnd = this.#writeValue(columns, views, builder.valueBytes, builder.valueView, builder.valueEnd, row);
      if (valueEnd < 0) {
        const name = this.#columns[~valueEnd]?.name ?? '';
        builder.refuse({
          row,
          code: 'NUMBER_NOT_FINITE',
          message: `output field "${name}" must be a finite number; got NaN or an infinity`,
        });
      } else {
        builder.accept(
          records,
          row,
          this.#keys.write(builder.keyBytes, builder.keyView, builder.keyEnd, row),
          valueEnd,
        );
      }
    }
    return builder.finish();
  }

  /** Writes the row's object from `at` on. Gives the position after it, or `~column` of the column that cannot be written. */
  #writeValue(
    columns: readonly Column[],
    views: readonly DataView[],
    out: Uint8Array,
    outView: DataView,
    at: number,
    row: number,
  ): number {
    const { words, starts, lengths } = this.#layout;
    const kinds = this.#writers;
    let to = at;
    let word = 0;
    for (let index = 0; index < columns.length; index++) {
      const column = columns[index];
      const until = starts[index + 1] ?? 0;
      // The last word may run over what counts of it, into the place of the value.
      for (let place = to; word < until; place += 4) outView.setInt32(place, words[word++] ?? 0, true);
      to += lengths[index] ?? 0;
      if (column === undefined || (column.valid !== null && column.valid[row] === 0)) {
        to = copy(out, to, nullBytes);
      } else if (column.kind === 'utf8' && kinds[index] === writers.verbatim) {
        const end = column.offsets[row + 1] ?? 0;
        for (let byte = column.offsets[row] ?? 0; byte < end; byte++) out[to++] = column.data[byte] ?? 0;
      } else if (column.kind === 'utf8') {
        const view = views[index] ?? outView;
        to = writeText(out, outView, to, column.data, view, column.offsets[row] ?? 0, column.offsets[row + 1] ?? 0);
      } else {
        const value = column.values[row] ?? 0;
        if (value - value !== 0) return ~index;
        switch (kinds[index] ?? 0) {
          case writers.boolean:
            to = copy(out, to, value === 0 ? falseBytes : trueBytes);
            break;
          case writers.instant:
            out[to++] = 0x22;
            to = writeInstant(out, to, value);
            out[to++] = 0x22;
            break;
          default:
            to = writeNumber(out, to, value);
        }
      }
    }
    for (let place = to; word < words.length; place += 4) outView.setInt32(place, words[word++] ?? 0, true);
    return to + (lengths[columns.length] ?? 0);
  }
}

function copy(out: Uint8Array, at: number, bytes: Uint8Array): number {
  for (let index = 0; index < bytes.length; index++) out[at + index] = bytes[index] ?? 0;
  return at + bytes.length;
}
