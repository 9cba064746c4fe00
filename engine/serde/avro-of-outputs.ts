import type { Field, FieldType, Schema } from '../record/schema.ts';
import { parseAvroSchema, type AvroSchema } from './avro-schema.ts';
import type { OutputField } from './encoder.ts';
import { groupPaths, type PathGroup } from './field-path.ts';

/** What a generated record is called. Writers and readers match by `name`, so it must stay as it is from version to version. */
export interface AvroRecordName {
  readonly name: string;
  readonly namespace: string;
  readonly doc: string;
}

interface AvroField {
  readonly name: string;
  readonly type: unknown;
  readonly default?: unknown;
}

/**
 * The Avro schema of records with these output fields: what an `AvroEncoder` writes them by, and what a registry is given. Called when a job
 * that writes Avro is opened; every job has features of its own, so its schema is made from them.
 *
 * `double`, `long`, `boolean` and `string` are Avro's, `timestamp` is a `timestamp-millis`, JSON lists of texts are arrays of strings. What may be null is a
 * union with null that defaults to null; so are the members of objects (`features.x`), whatever their columns say, so that a later version may drop or add
 * some and still be read (Avro 1.12 specification, "Schema Resolution").
 *
 * @throws {SluiceError} `AVRO_SCHEMA_INVALID` when a field's name is none in Avro; `SCHEMA_FIELD_AMBIGUOUS`.
 */
export function avroOfOutputs(record: AvroRecordName, schema: Schema, fields: readonly OutputField[]): AvroSchema {
  const fieldsOf = (groups: readonly PathGroup[], presence: Field['presence']): AvroField[] =>
    groups.map((group): AvroField => {
      const field = fields[group.field];
      if (field !== undefined) return avroField(group.name, field, schema, presence);
      const name = group.name.charAt(0).toUpperCase() + group.name.slice(1);
      return { name: group.name, type: { type: 'record', name, fields: fieldsOf(group.members, 'optional') } };
    });
  const groups = groupPaths(fields.map(({ name }) => name));
  return parseAvroSchema(JSON.stringify({ type: 'record', ...record, fields: fieldsOf(groups, 'required') }));
}

const millis = { type: 'long', logicalType: 'timestamp-millis' } as const;

const avroTypes: Readonly<Record<FieldType, unknown>> = {
  double: 'double',
  long: 'long',
  boolean: 'boolean',
  timestamp: millis,
  string: 'string',
};

function avroField(name: string, { value }: OutputField, schema: Schema, presence: Field['presence']): AvroField {
  switch (value.kind) {
    case 'column': {
      const field = schema.field(value.column);
      const type = avroTypes[field?.type ?? 'string'];
      const isNullable = presence === 'optional' || field?.presence === 'optional';
      return isNullable ? { name, type: ['null', type], default: null } : { name, type };
    }
    case 'json':
      return { name, type: { type: 'array', items: 'string' }, default: [] };
    case 'position':
      return { name, type: 'long' };
    case 'event-time':
      return { name, type: millis };
    case 'flag':
      return { name, type: 'boolean' };
    case 'constant':
      return { name, type: constantType(value.value) };
  }
}

function constantType(value: string | number | boolean): string {
  if (typeof value === 'number') return 'double';
  return typeof value === 'boolean' ? 'boolean' : 'string';
}
