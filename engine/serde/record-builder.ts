import { strict as assert } from 'node:assert';
import { SluiceError } from '../error.ts';
import { numberColumn, utf8Column, type Column } from '../record/column.ts';
import type { DeadLetter } from '../record/dead-letter.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { recordBatch } from '../record/record-batch.ts';
import type { Decoded, DecoderOptions } from './decoder.ts';
import { ABSENT, deadLetterOf, NULL, PRESENT, problemOf, type Problem } from './field-finding.ts';

/**
 * The columns of a batch while a decoder fills them, one record after the other, and the rules that all formats share: what may be missing, what that
 * means, and whose fault it is.
 *
 * For each message the decoder writes what it finds of field `f` to `numbers[f][row]`, or to `texts[f]` from `textOffsets[f][row]` on with the
 * end in `textOffsets[f][row + 1]`, notes it in `found[f]`, and says {@link accept} or {@link refuse}. A refused record's row is simply
 * written over by the next, so that nothing need be undone.
 */
export class RecordBuilder {
  /** Per field, its values (an empty array for string fields). */
  readonly numbers: Float64Array[];
  /** Per field, its text (an empty array for the others); see {@link reserveText}. */
  readonly texts: Uint8Array[];
  readonly textOffsets: Int32Array[];
  /** Per field, what was found of it in the record at hand; all {@link ABSENT} when a record begins. */
  readonly found: Uint8Array;
  /** The row that the record at hand will be. */
  row = 0;

  readonly #options: DecoderOptions;
  readonly #required: Uint8Array;
  readonly #textFields: Int32Array;
  readonly #eventTimeIndex: number;
  #valid: (Uint8Array | null)[];
  #messages: MessageBatch | null = null;
  #partitions = new Int32Array(0);
  #offsets = new Float64Array(0);
  #deadLetters: DeadLetter[] = [];

  /** @throws {SluiceError} `EVENT_TIME_FIELD_INVALID`, `KEY_FIELD_UNKNOWN` when the options name fields that the schema has not. */
  constructor(options: DecoderOptions) {
    const { schema, eventTimeField, keyFields } = options;
    const fields = schema.fields;
    if (schema.field(eventTimeField)?.type !== 'timestamp') {
      throw new SluiceError(
        'EVENT_TIME_FIELD_INVALID',
        `the event time field "${eventTimeField}" must be a timestamp field of the schema; got ${schema.field(eventTimeField)?.type ?? 'no such field'}`,
      );
    }
    for (const name of keyFields) {
      if (schema.indexOf(name) < 0) {
        throw new SluiceError(
          'KEY_FIELD_UNKNOWN',
          `the key field "${name}" must be a field of the schema; got a schema of ${fields.map((field) => field.name).join(', ')}`,
        );
      }
    }
    this.#options = options;
    this.#eventTimeIndex = schema.indexOf(eventTimeField);
    this.#required = Uint8Array.from(fields, (field) =>
      field.presence === 'required' || field.name === eventTimeField || keyFields.includes(field.name) ? 1 : 0,
    );
    this.#textFields = Int32Array.from(fields.flatMap((field, index) => (field.type === 'string' ? [index] : [])));
    this.found = new Uint8Array(fields.length);
    this.numbers = fields.map(() => new Float64Array(0));
    this.texts = fields.map(() => new Uint8Array(0));
    this.textOffsets = fields.map(() => new Int32Array(0));
    this.#valid = fields.map(() => null);
  }

  /** Begins a batch. */
  begin(messages: MessageBatch): void {
    const capacity = messages.messageCount;
    const { fields } = this.#options.schema;
    this.#messages = messages;
    this.#partitions = new Int32Array(capacity);
    this.#offsets = new Float64Array(capacity);
    this.#deadLetters = [];
    this.row = 0;
    this.found.fill(ABSENT);
    fields.forEach((field, index) => {
      this.#valid[index] = null;
      if (field.type === 'string') this.textOffsets[index] = new Int32Array(capacity + 1);
      else this.numbers[index] = new Float64Array(capacity);
    });
  }

  /**
   * Makes room for `bytes` more in every string field's text, beyond its last row. Called before each record with an upper bound, so that the loops that
   * copy text need not look.
   */
  reserveText(bytes: number): void {
    for (const field of this.#textFields) {
      const text = this.texts[field];
      const needed = (this.textOffsets[field]?.[this.row] ?? 0) + bytes;
      if (text !== undefined && text.length < needed) {
        const grown = new Uint8Array(Math.max(needed, text.length * 2, 4096));
        grown.set(text);
        this.texts[field] = grown;
      }
    }
  }

  /** The record of message `index` is whole: it becomes the next row, or a dead letter if one of its fields is at fault. */
  accept(index: number): void {
    const { found, row } = this;
    const fieldCount = found.length;
    for (let field = 0; field < fieldCount; field++) {
      const finding = found[field] ?? ABSENT;
      if (finding !== PRESENT && (finding > NULL || this.#required[field] === 1)) {
        this.#refuseField(index, field, finding);
        return;
      }
    }
    for (let field = 0; field < fieldCount; field++) {
      const valid = this.#valid[field] ?? null;
      if (found[field] === PRESENT) {
        found[field] = ABSENT;
        if (valid !== null) valid[row] = 1;
      } else {
        found[field] = ABSENT;
        this.#setNull(field, valid);
      }
    }
    this.#partitions[row] = this.#messages?.partitions[index] ?? 0;
    this.#offsets[row] = this.#messages?.offsets[index] ?? 0;
    this.row = row + 1;
  }

  /** Message `index` is not even a record. */
  refuse(index: number, problem: Problem): void {
    assert(this.#messages !== null);
    this.found.fill(ABSENT);
    this.#deadLetters.push(deadLetterOf(this.#messages, index, 'decode', problem));
  }

  /** Ends the batch. The builder keeps nothing that it hands out. */
  finish(): Decoded {
    const rowCount = this.row;
    const { schema } = this.#options;
    const whole = rowCount === this.#partitions.length;
    const columns = schema.fields.map((field, index) =>
      this.#columnOf(field.type === 'string', index, rowCount, whole),
    );
    const eventTimes = columns[this.#eventTimeIndex];
    assert(eventTimes?.kind === 'number');
    const records = recordBatch(schema, columns, {
      partition: whole ? this.#partitions : this.#partitions.slice(0, rowCount),
      offset: whole ? this.#offsets : this.#offsets.slice(0, rowCount),
      eventTimesMs: eventTimes.values,
    });
    this.#messages = null;
    return { records, deadLetters: this.#deadLetters };
  }

  #columnOf(isText: boolean, field: number, rowCount: number, whole: boolean): Column {
    const valid = this.#valid[field] ?? null;
    const validRows = valid === null || whole ? valid : valid.slice(0, rowCount);
    if (isText) {
      const offsets = this.textOffsets[field] ?? new Int32Array(1);
      const data = this.texts[field] ?? new Uint8Array(0);
      return utf8Column(
        data.slice(0, offsets[rowCount] ?? 0),
        whole ? offsets : offsets.slice(0, rowCount + 1),
        validRows,
      );
    }
    const values = this.numbers[field] ?? new Float64Array(0);
    return numberColumn(whole ? values : values.slice(0, rowCount), validRows);
  }

  #setNull(field: number, valid: Uint8Array | null): void {
    const flags = valid ?? new Uint8Array(this.#partitions.length).fill(1);
    flags[this.row] = 0;
    this.#valid[field] = flags;
    const offsets = this.textOffsets[field];
    // What stands in a null row must not depend on what was there before: state and outputs are compared byte for byte.
    if (offsets !== undefined && offsets.length > 0) offsets[this.row + 1] = offsets[this.row] ?? 0;
    else (this.numbers[field] ?? this.#offsets)[this.row] = 0;
  }

  #refuseField(index: number, field: number, finding: number): void {
    const declared = this.#options.schema.fields[field];
    assert(declared !== undefined && this.#messages !== null);
    const stage =
      field === this.#eventTimeIndex
        ? 'event-time'
        : this.#options.keyFields.includes(declared.name)
          ? 'key'
          : 'decode';
    this.#deadLetters.push(deadLetterOf(this.#messages, index, stage, problemOf(declared, finding)));
    this.found.fill(ABSENT);
  }
}
