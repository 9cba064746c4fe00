import { SluiceError } from '../error.ts';
import type { FieldType, Schema } from '../record/schema.ts';
import { branchesOf, decimalScaleOf, recordIn, withoutLogical, type AvroSchema } from './avro-schema.ts';
import { fieldPath } from './field-path.ts';

/** What a field of each type can be read from, of the types that a reader's field may have. */
const readableFrom: Readonly<Record<FieldType, readonly string[]>> = {
  double: ['double', 'float', 'long', 'int', 'decimal'],
  long: ['long', 'int'],
  boolean: ['boolean'],
  timestamp: ['long', 'int', 'string'],
  string: ['string', 'enum', 'long', 'int', 'decimal'],
};

/**
 * Checks that records of the reader's schema can give those of ours. Called once, when the decoder is made.
 *
 * @throws {SluiceError} `AVRO_FIELD_UNKNOWN`, `AVRO_FIELD_TYPE`.
 */
export function checkReader(schema: Schema, reader: AvroSchema): void {
  for (const { name, type } of schema.fields) {
    const { owner, member } = fieldPath(name);
    const holder = owner === null ? undefined : reader.record.fields.find((candidate) => candidate.name === owner);
    const record = owner === null ? reader.record : holder === undefined ? null : recordIn(holder.type);
    const field = record?.fields.find((candidate) => candidate.name === member);
    if (field === undefined) {
      const known = (record ?? reader.record).fields.map((candidate) => candidate.name).join(', ');
      throw new SluiceError(
        'AVRO_FIELD_UNKNOWN',
        `the field "${name}" must be one of the Avro record "${reader.name}"; got ${known}`,
      );
    }
    const names = branchesOf(field.type).map((branch) =>
      decimalScaleOf(branch) === null ? withoutLogical(branch).typeName : 'decimal',
    );
    if (!names.some((branch) => readableFrom[type].includes(branch))) {
      throw new SluiceError(
        'AVRO_FIELD_TYPE',
        `the field "${name}" must be declared in Avro as ${readableFrom[type].join(', ')} to be a ${type}; got ${names.join(', ')}`,
      );
    }
  }
}
