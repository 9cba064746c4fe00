import { strict as assert } from 'node:assert';
import { SluiceError } from '../error.ts';
import { numberColumn, utf8Column, type Column } from '../record/column.ts';
import type { DeadLetter, DeadLetterStage } from '../record/dead-letter.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { recordBatch } from '../record/record-batch.ts';
import type { Decoded, DecoderOptions } from './decoder.ts';
import { ABSENT, deadLetterOf, GOT_NULL, NULL, PRESENT, problemOf, type Problem } from './field-finding.ts';
import type { FieldRules } from './record-rules.ts';

/** How much room string fields are given beyond what the record at hand may need, so that it need not be looked at for each record. */
const textRoomBytes = 65_536;

/** How large a field's text may be for the room to be kept for the next batch; larger is let go, so that one huge message is not paid for ever. */
const maxKeptBytes = 16 * 2 ** 20;

const absentBit = 1 << ABSENT;
const nullBit = 1 << NULL;

/** Bytes that a decoder writes, and a view over the same bytes. */
export interface TextTarget {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

function textTarget(size: number): TextTarget {
  const bytes = new Uint8Array(size);
  return { bytes, view: new DataView(bytes.buffer) };
}

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
  readonly texts: TextTarget[];
  readonly textOffsets: Int32Array[];
  /** Per field, what was found of it in the record at hand; all {@link ABSENT} when a record begins. */
  readonly found: Uint8Array;
  /** The row that the record at hand will be. */
  row = 0;

  readonly #options: DecoderOptions;
  readonly #rules: readonly (FieldRules | undefined)[];
  /** Per field, bit {@link ABSENT} and bit {@link NULL}: whether that may not be. */
  readonly #refused: Uint8Array;
  readonly #textFields: Int32Array;
  readonly #eventTimeIndex: number;
  #valid: (Uint8Array | null)[];
  #messages: MessageBatch | null = null;
  /** Per row, the message that it came from. */
  #indexes = new Int32Array(0);
  /** How many bytes every string field's text has left at least. */
  #room = 0;
  /** Whether any column has had a null in this batch. */
  #hasNulls = false;
  #deadLetters: DeadLetter[] = [];

  /** @throws {SluiceError} `EVENT_TIME_FIELD_INVALID`, `KEY_FIELD_UNKNOWN` when the options name fields that the schema has not. */
  constructor(options: DecoderOptions, rules: readonly FieldRules[] = []) {
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
    this.#rules = fields.map(({ name }) => rules.find(({ field }) => field === name));
    this.#refused = Uint8Array.from(fields, ({ name, presence }, index) => {
      if (presence === 'required' || name === eventTimeField || keyFields.includes(name)) return absentBit | nullBit;
      const rule = this.#rules[index];
      return (rule?.absent === 'refuse' ? absentBit : 0) | (rule?.null === 'refuse' ? nullBit : 0);
    });
    this.#textFields = Int32Array.from(fields.flatMap((field, index) => (field.type === 'string' ? [index] : [])));
    this.found = new Uint8Array(fields.length);
    this.numbers = fields.map(() => new Float64Array(0));
    this.texts = fields.map(() => textTarget(0));
    this.textOffsets = fields.map(() => new Int32Array(0));
    this.#valid = fields.map(() => null);
  }

  /** Begins a batch. */
  begin(messages: MessageBatch): void {
    const capacity = messages.messageCount;
    const { fields } = this.#options.schema;
    this.#messages = messages;
    this.#indexes = new Int32Array(capacity);
    this.#room = 0;
    this.#hasNulls = false;
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
    this.#room -= bytes;
    if (this.#room >= 0) return;
    for (const field of this.#textFields) {
      const text = this.texts[field];
      const needed = (this.textOffsets[field]?.[this.row] ?? 0) + bytes + textRoomBytes;
      if (text !== undefined && text.bytes.length < needed) {
        const grown = textTarget(Math.max(needed, text.bytes.length * 2));
        grown.bytes.set(text.bytes);
        this.texts[field] = grown;
      }
    }
    this.#room = textRoomBytes;
  }

  /** The record of message `index` is whole: it becomes the next row, or a dead letter if one of its fields is at fault. */
  accept(index: number): void {
    const { found } = this;
    for (let field = 0; field < found.length; field++) {
      if (found[field] !== PRESENT) {
        this.#acceptPartly(index);
        return;
      }
    }
    if (this.#hasNulls) {
      this.#acceptPartly(index);
      return;
    }
    for (let field = 0; field < found.length; field++) found[field] = ABSENT;
    this.#indexes[this.row] = index;
    this.row++;
  }

  /** As {@link accept}, where something is absent, or was in an earlier record of the batch. */
  #acceptPartly(index: number): void {
    const { found, row } = this;
    for (let field = 0; field < found.length; field++) {
      const finding = found[field] ?? ABSENT;
      if (finding !== PRESENT && (finding > NULL || (((this.#refused[field] ?? 0) >> finding) & 1) === 1)) {
        this.#refuseField(index, field, finding);
        return;
      }
    }
    for (let field = 0; field < found.length; field++) {
      const valid = this.#valid[field] ?? null;
      if (found[field] !== PRESENT) this.#setNull(field, valid);
      else if (valid !== null) valid[row] = 1;
      found[field] = ABSENT;
    }
    this.#indexes[row] = index;
    this.row = row + 1;
  }

  /** Message `index` is not even a record. */
  refuse(index: number, problem: Problem): void {
    assert(this.#messages !== null);
    this.found.fill(ABSENT);
    this.#deadLetters.push(deadLetterOf(this.#messages, index, 'decode', problem));
  }

  /** What a dead letter says was being read when this field was at fault. */
  stageOf(field: string): DeadLetterStage {
    if (field === this.#options.eventTimeField) return 'event-time';
    return this.#options.keyFields.includes(field) ? 'key' : 'decode';
  }

  /** Ends the batch. The builder keeps nothing that it hands out. */
  finish(): Decoded {
    const rowCount = this.row;
    const messages = this.#messages;
    assert(messages !== null);
    const { schema } = this.#options;
    const whole = rowCount === messages.messageCount;
    const columns = schema.fields.map((field, index) =>
      this.#columnOf(field.type === 'string', index, rowCount, whole),
    );
    const eventTimes = columns[this.#eventTimeIndex];
    assert(eventTimes?.kind === 'number');
    const partition = new Int32Array(rowCount);
    const offset = new Float64Array(rowCount);
    for (let row = 0; row < rowCount; row++) {
      const index = this.#indexes[row] ?? 0;
      partition[row] = messages.partitions[index] ?? 0;
      offset[row] = messages.offsets[index] ?? 0;
    }
    const records = recordBatch(schema, columns, { partition, offset, eventTimesMs: eventTimes.values });
    this.#messages = null;
    for (const field of this.#textFields) {
      if ((this.texts[field]?.bytes.length ?? 0) > maxKeptBytes) this.texts[field] = textTarget(0);
    }
    return { records, deadLetters: this.#deadLetters };
  }

  #columnOf(isText: boolean, field: number, rowCount: number, whole: boolean): Column {
    const valid = this.#valid[field] ?? null;
    const validRows = valid === null || whole ? valid : valid.slice(0, rowCount);
    if (isText) {
      const offsets = this.textOffsets[field] ?? new Int32Array(1);
      const data = this.texts[field]?.bytes ?? new Uint8Array(0);
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
    const flags = valid ?? new Uint8Array(this.#indexes.length).fill(1);
    flags[this.row] = 0;
    this.#valid[field] = flags;
    this.#hasNulls = true;
    // What stands in a null row must not depend on what was there before: state and outputs are compared byte for byte. Of the two
    // arrays the one that the field does not use is empty, and takes no writes.
    const offsets = this.textOffsets[field];
    if (offsets !== undefined) offsets[this.row + 1] = offsets[this.row] ?? 0;
    const values = this.numbers[field];
    if (values !== undefined) values[this.row] = 0;
  }

  #refuseField(index: number, field: number, finding: number): void {
    const declared = this.#options.schema.fields[field];
    assert(declared !== undefined && this.#messages !== null);
    const mayBeAbsent = ((this.#refused[field] ?? 0) & absentBit) === 0;
    const told = finding === NULL && mayBeAbsent ? GOT_NULL : finding;
    const problem = problemOf(declared, told, this.#rules[field]?.form);
    this.#deadLetters.push(deadLetterOf(this.#messages, index, this.stageOf(declared.name), problem));
    this.found.fill(ABSENT);
  }
}
