import type { Type, types } from 'avsc';
import { messageOf, SluiceError } from '../error.ts';
import type { Column } from '../record/column.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { FieldType } from '../record/schema.ts';
import { LONG_BYTES, writeLong } from './avro-binary.ts';
import { branchesOf, instantUnitOf, recordIn, withoutLogical, type AvroSchema } from './avro-schema.ts';
import { writeTextList } from './avro-text-list.ts';
import type { Encoded, EncodeFailure, Encoder, EncoderOptions } from './encoder.ts';
import { maxInstantMs } from './field-finding.ts';
import { fieldPath } from './field-path.ts';
import { INSTANT_TEXT_BYTES, writeInstant } from './instant-text.ts';
import { KeyWriter } from './key-writer.ts';
import { MessageBuilder } from './message-builder.ts';
import { resolveFields, resolveKey, type OutputColumn } from './output-columns.ts';
import { FRAME_BYTES, writeFrame } from './wire-format.ts';

/** What the Avro encoder must be told besides. */
export interface AvroEncoderOptions extends EncoderOptions {
  /** The schema to write by: a field for each output field, of its name; others must have a default, which is then written. */
  readonly avroSchema: AvroSchema;
  /** The id under which the schema is registered (`SchemaRegistry.register`): it goes in front of every message. */
  readonly schemaId: number;
}

/** How values are written; the order is that of the `switch` in {@link AvroEncoder}. */
const writers = {
  double: 0,
  long: 1,
  int: 2,
  boolean: 3,
  millis: 4,
  micros: 5,
  instantText: 6,
  text: 7,
  textList: 8,
  fixed: 9,
} as const;

/** How one field of the Avro record is written. */
interface Step {
  readonly name: string;
  readonly writer: number;
  /** Which of the columns it takes its values from; -1 when it is always `bytes`. */
  readonly column: number;
  /** What comes before a value: its branch, in a union. Or, for a field that is always the same, all of it. */
  readonly bytes: Uint8Array;
  /** What a null becomes: its branch; `null` when the field may not be null. */
  readonly nullBytes: Uint8Array | null;
}

const noBytes: Uint8Array = new Uint8Array(0);

/**
 * Encodes records as Avro in Confluent's framing, from columns to bytes in one pass, without making an object of each.
 *
 * Of our types, `double` may be an Avro `double`, `long` a `long`, `int` or `double`, `boolean` a `boolean`, `timestamp` a `timestamp-millis`, `timestamp-micros`, plain
 * `long` (milliseconds) or `string` (ISO 8601), `string` a `string`, and a string column of JSON lists
 * (`kind: 'json'`) an `array` of `string`; each also within a union with `null`. A field `features.amount` is the
 * field `amount` of the record `features`. A row that holds null where the
 * schema does not allow it (`FIELD_MISSING`), a number that is not finite (`NUMBER_NOT_FINITE`) or one that its type cannot hold (`NUMBER_RANGE`) is a failure and
 * gives no message.
 */
export class AvroEncoder implements Encoder {
  readonly #columns: readonly OutputColumn[];
  readonly #steps: readonly Step[];
  readonly #schemaId: number;
  readonly #valueSize: number;
  readonly #keys: KeyWriter;
  readonly #builder: MessageBuilder;
  #code = '';

  /** @throws {SluiceError} `OUTPUT_COLUMN_UNKNOWN`, `OUTPUT_FIELD_DUPLICATE`, `AVRO_FIELD_UNKNOWN`, `AVRO_FIELD_MISSING`, `AVRO_FIELD_TYPE`. */
  constructor(options: AvroEncoderOptions) {
    const fields = resolveFields(options.schema, options.fields);
    const { record, name: recordName } = options.avroSchema;
    const columns: OutputColumn[] = [];
    const given = new Set(fields.map((field) => field.name));
    const stepsOf = (owner: string | null, avroFields: readonly types.Field[]): Step[] =>
      avroFields.flatMap((avroField) => {
        const { type } = avroField;
        const name = owner === null ? avroField.name : `${owner}.${avroField.name}`;
        const field = fields.find((candidate) => candidate.name === name);
        if (field !== undefined) {
          given.delete(name);
          if ('constant' in field) return [always(name, type, field.constant)];
          columns.push(field);
          return [stepOf(name, type, field, columns.length - 1)];
        }
        const inner = recordIn(type);
        if (owner === null && inner !== null && fields.some((candidate) => fieldPath(candidate.name).owner === name)) {
          return [branchStep(name, type, inner), ...stepsOf(name, inner.fields)];
        }
        const value: unknown = avroField.defaultValue();
        if (value === undefined) {
          throw new SluiceError(
            'AVRO_FIELD_MISSING',
            `the Avro field "${name}" must be written from an output field or have a default; got neither`,
          );
        }
        return [always(name, type, value)];
      });
    this.#steps = stepsOf(null, record.fields);
    for (const name of given) {
      throw new SluiceError(
        'AVRO_FIELD_UNKNOWN',
        `the output field "${name}" must be a field of the Avro record "${recordName}"; got ${record.fields.map((field) => field.name).join(', ')}`,
      );
    }
    this.#columns = columns;
    this.#schemaId = options.schemaId;
    this.#valueSize = this.#steps.reduce((size, step) => size + step.bytes.length + maxScalarBytes, FRAME_BYTES);
    this.#keys = new KeyWriter(resolveKey(options.schema, options.key));
    this.#builder = new MessageBuilder(options.topic, options.partitioner);
  }

  encode(records: RecordBatch): Encoded {
    const builder = this.#builder;
    const columns = this.#columns.map((column) => column.of(records));
    const texts = columns.filter((column) => column.kind === 'utf8');
    builder.begin(records);
    this.#keys.begin(records);
    for (let row = 0; row < records.rowCount; row++) {
      let size = this.#valueSize;
      for (const { offsets } of texts) size += (offsets[row + 1] ?? 0) - (offsets[row] ?? 0);
      builder.reserve(this.#keys.sizeOf(row), size);
      const valueEnd = this.#writeRecord(columns, builder.valueBytes, builder.valueView, builder.valueEnd, row);
      if (valueEnd < 0) builder.refuse(this.#failureOf(row, ~valueEnd));
      else
        builder.accept(
          records,
          row,
          this.#keys.write(builder.keyBytes, builder.keyView, builder.keyEnd, row),
          valueEnd,
        );
    }
    return builder.finish();
  }

  /** Writes the row's record from `at` on. Gives the position after it, or `~step` of the field that cannot be written, with the reason in `#code`. */
  #writeRecord(columns: readonly Column[], out: Uint8Array, view: DataView, at: number, row: number): number {
    const steps = this.#steps;
    let to = writeFrame(out, at, this.#schemaId);
    for (let index = 0; index < steps.length; index++) {
      const step = steps[index];
      if (step === undefined) break;
      const { bytes, nullBytes } = step;
      // An index below 0 is asked for by name, which costs more than all else here.
      const column = step.column < 0 ? undefined : columns[step.column];
      if (column !== undefined && column.valid !== null && column.valid[row] === 0) {
        if (nullBytes === null) return this.#refuse('FIELD_MISSING', index);
        for (let i = 0; i < nullBytes.length; i++) out[to++] = nullBytes[i] ?? 0;
        continue;
      }
      for (let i = 0; i < bytes.length; i++) out[to++] = bytes[i] ?? 0;
      if (column === undefined) continue;
      if (column.kind === 'utf8') {
        if (step.writer === writers.textList) {
          to = writeTextList(out, to, column, row);
          if (to < 0) return this.#refuse('FIELD_TYPE', index);
          continue;
        }
        const end = column.offsets[row + 1] ?? 0;
        let from = column.offsets[row] ?? 0;
        to = writeLong(out, to, end - from);
        while (from < end) out[to++] = column.data[from++] ?? 0;
        continue;
      }
      const value = column.values[row] ?? 0;
      if (value - value !== 0) return this.#refuse('NUMBER_NOT_FINITE', index);
      switch (step.writer) {
        case writers.double:
          view.setFloat64(to, value, true);
          to += 8;
          break;
        case writers.boolean:
          out[to++] = value === 0 ? 0 : 1;
          break;
        case writers.instantText: {
          if (Math.abs(value) > maxInstantMs) return this.#refuse('NUMBER_RANGE', index);
          // ISO text of fewer than 64 bytes: its length is one byte.
          const end = writeInstant(out, to + 1, value);
          out[to] = (end - to - 1) * 2;
          to = end;
          break;
        }
        default: {
          const whole = step.writer === writers.micros ? value * 1000 : value;
          if (!Number.isSafeInteger(whole) || (step.writer === writers.int && (whole | 0) !== whole)) {
            return this.#refuse('NUMBER_RANGE', index);
          }
          to = writeLong(out, to, whole);
        }
      }
    }
    return to;
  }

  #refuse(code: string, step: number): number {
    this.#code = code;
    return ~step;
  }

  #failureOf(row: number, step: number): EncodeFailure {
    const subject = `output field "${this.#steps[step]?.name ?? ''}" must be`;
    switch (this.#code) {
      case 'FIELD_MISSING':
        return { row, code: this.#code, message: `${subject} present, as its Avro type has no null; got null` };
      case 'FIELD_TYPE':
        return { row, code: this.#code, message: `${subject} a JSON list of strings; got something else` };
      case 'NUMBER_NOT_FINITE':
        return { row, code: this.#code, message: `${subject} a finite number; got NaN or an infinity` };
      default:
        return { row, code: this.#code, message: `${subject} a whole number that its Avro type can hold; got another` };
    }
  }
}

/** The most that one value takes besides a string's own bytes. */
const maxScalarBytes: number = Math.max(LONG_BYTES, 8, INSTANT_TEXT_BYTES + 1);

function always(name: string, type: Type, value: unknown): Step {
  try {
    return { name, writer: writers.fixed, column: -1, bytes: Uint8Array.from(type.toBuffer(value)), nullBytes: null };
  } catch (thrown) {
    throw new SluiceError(
      'AVRO_FIELD_TYPE',
      `the Avro field "${name}" must be able to hold its constant: ${messageOf(thrown)}`,
      { cause: thrown },
    );
  }
}

/** What stands before the members of a record in the record: its branch, where it is in a union. */
function branchStep(name: string, type: Type, record: types.RecordType): Step {
  const branches = branchesOf(type);
  const bytes = type === record ? noBytes : branchBytes(branches.indexOf(record));
  return { name, writer: writers.fixed, column: -1, bytes, nullBytes: null };
}

function stepOf(name: string, type: Type, field: OutputColumn, column: number): Step {
  const fieldType = field.verbatim === true ? 'list' : field.type;
  const branches = branchesOf(type);
  const isUnion = branches.length > 1 || type !== branches[0];
  for (const [index, branch] of branches.entries()) {
    const writer = writerOf(branch, fieldType);
    if (writer === null) continue;
    const nullBranch = branches.findIndex(({ typeName }) => typeName === 'null');
    return {
      name,
      writer,
      column,
      bytes: isUnion ? branchBytes(index) : noBytes,
      nullBytes: nullBranch < 0 ? null : branchBytes(nullBranch),
    };
  }
  throw new SluiceError(
    'AVRO_FIELD_TYPE',
    `the Avro field "${name}" must be of a type that a ${fieldType === 'list' ? 'list of strings' : fieldType} can be written as; got ${branches.map(({ typeName }) => typeName).join(', ')}`,
  );
}

function writerOf(type: Type, fieldType: FieldType | 'list'): number | null {
  const { typeName } = withoutLogical(type);
  switch (fieldType) {
    case 'list':
      return typeName === 'array' && (type as types.ArrayType).itemsType.typeName === 'string'
        ? writers.textList
        : null;
    case 'double':
      return typeName === 'double' ? writers.double : null;
    case 'long':
      if (instantUnitOf(type) !== null) return null;
      if (typeName === 'double') return writers.double;
      return typeName === 'long' ? writers.long : typeName === 'int' ? writers.int : null;
    case 'boolean':
      return typeName === 'boolean' ? writers.boolean : null;
    case 'timestamp':
      if (typeName === 'string') return writers.instantText;
      if (typeName !== 'long') return null;
      return instantUnitOf(type) === 'micros' ? writers.micros : writers.millis;
    case 'string':
      return typeName === 'string' ? writers.text : null;
  }
}

function branchBytes(index: number): Uint8Array {
  const bytes = new Uint8Array(LONG_BYTES);
  return bytes.slice(0, writeLong(bytes, 0, index));
}
