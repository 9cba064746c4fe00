import avro from 'avsc';
import type { Type, types } from 'avsc';
import { messageOf, SluiceError } from '../error.ts';
import { Schema, type Field, type FieldType } from '../record/schema.ts';

/** A record's Avro schema, checked. Made once for each `.avsc` and for each writer's schema that the registry gives. */
export interface AvroSchema {
  /** The schema as it was written: what a registry is given. */
  readonly text: string;
  /** The record's full name. */
  readonly name: string;
  /** avsc's form of it; for the Avro files of this room only. */
  readonly record: types.RecordType;
}

/** What an instant is counted in, by its logical type; a `date` is the instant at which it begins in UTC. */
export type InstantUnit = 'millis' | 'micros' | 'days';

/** A logical type that marks what a `long` or an `int` counts and changes nothing of its value, so that decoding and resolution see the number as it was written. */
class InstantType extends avro.types.LogicalType {
  protected override _fromValue(value: unknown): unknown {
    return value;
  }

  protected override _toValue(value: unknown): unknown {
    return value;
  }

  protected override _resolve(type: Type): unknown {
    const written = withoutLogical(type).typeName;
    return written === 'long' || written === 'int' ? (value: unknown): unknown => value : undefined;
  }
}

/** A number in bytes; of the same scale wherever records are resolved, as Avro's specification has it. */
class DecimalType extends avro.types.LogicalType {
  readonly scale: number;

  constructor(schema: avro.Schema, options: unknown) {
    super(schema, options);
    this.scale = (schema as { readonly scale?: number }).scale ?? 0;
  }

  protected override _fromValue(value: unknown): unknown {
    return value;
  }

  protected override _toValue(value: unknown): unknown {
    return value;
  }

  protected override _resolve(type: Type): unknown {
    return decimalScaleOf(type) === this.scale ? (value: unknown): unknown => value : undefined;
  }
}

/** What follows a decimal's point, in digits; `null` when the type is no decimal. */
export function decimalScaleOf(type: Type): number | null {
  return type instanceof DecimalType ? type.scale : null;
}

/**
 * Reads and checks an Avro schema, which must be of a record.
 *
 * @throws {SluiceError} `AVRO_SCHEMA_INVALID`.
 */
export function parseAvroSchema(text: string): AvroSchema {
  let type: Type;
  try {
    type = avro.Type.forSchema(JSON.parse(text), {
      logicalTypes: {
        'timestamp-millis': InstantType,
        'timestamp-micros': InstantType,
        date: InstantType,
        decimal: DecimalType,
      },
    });
  } catch (thrown) {
    throw new SluiceError(
      'AVRO_SCHEMA_INVALID',
      `could not read an Avro schema: ${messageOf(thrown)}; correct the schema`,
      {
        cause: thrown,
      },
    );
  }
  if (!isRecord(type)) {
    throw new SluiceError(
      'AVRO_SCHEMA_INVALID',
      `an Avro schema of messages must be of a record; got ${type.typeName}`,
    );
  }
  return { text, name: type.name ?? '', record: type };
}

/**
 * The records that an Avro schema describes, as this engine has them: `int` and `long` are `long`, or `timestamp` with logical type `timestamp-millis`,
 * `timestamp-micros` or `date`; `float`, `double` and `decimal` are `double`; `string` and `enum` are `string`; a union with `null` makes the field optional. The fields of a record in the
 * record are `record.field` (`field-path.ts`). Fields of other types (arrays, maps, bytes, unions of several, records deeper down) are left
 * out: they are skipped when decoding. Called when a job names a schema by its `.avsc`.
 */
export function schemaOfAvro({ record }: AvroSchema): Schema {
  return new Schema(
    record.fields.flatMap(({ name, type }) => {
      const inner = recordIn(type);
      if (inner === null) return fieldOf(name, type, 'required');
      const presence = branchesOf(type).length > 1 ? 'optional' : 'required';
      return inner.fields.flatMap((member) => fieldOf(`${name}.${member.name}`, member.type, presence));
    }),
  );
}

/** The record that a field holds, alone or in a union with null; `null` when it holds anything else. */
export function recordIn(type: Type): types.RecordType | null {
  const [only, ...others] = branchesOf(type).filter((branch) => branch.typeName !== 'null');
  return only !== undefined && others.length === 0 && isRecord(only) ? only : null;
}

/** Why records that `writer` wrote cannot be read as `reader`, by the rules of Avro's schema resolution; `null` when they can. */
export function resolutionProblem(reader: AvroSchema, writer: AvroSchema): string | null {
  try {
    createResolver(reader, writer);
    return null;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

/** avsc's resolver. Names must agree without their namespaces, as Avro's specification has it since 1.9. */
function createResolver(reader: AvroSchema, writer: AvroSchema): ReturnType<Type['createResolver']> {
  return reader.record.createResolver(writer.record, { ignoreNamespaces: true });
}

/** The union's branches, or the type alone. */
export function branchesOf(type: Type): readonly Type[] {
  return isUnion(type) ? type.types : [type];
}

/** The type underneath a logical type, or the type itself. */
export function withoutLogical(type: Type): Type {
  return isLogical(type) ? withoutLogical(type.underlyingType) : type;
}

/** What an instant of this type is counted in; `null` when the type does not say that it is an instant. */
export function instantUnitOf(type: Type): InstantUnit | null {
  if (type.typeName === 'logical:timestamp-millis') return 'millis';
  if (type.typeName === 'logical:date') return 'days';
  return type.typeName === 'logical:timestamp-micros' ? 'micros' : null;
}

function fieldOf(name: string, type: Type, ownerPresence: Field['presence']): readonly Field[] {
  const branches = branchesOf(type);
  const [only, ...others] = branches.filter((branch) => branch.typeName !== 'null');
  const fieldType = only === undefined || others.length > 0 ? null : fieldTypeOf(only);
  if (fieldType === null) return [];
  return [{ name, type: fieldType, presence: branches.length > 1 ? 'optional' : ownerPresence }];
}

function fieldTypeOf(type: Type): FieldType | null {
  if (instantUnitOf(type) !== null) return 'timestamp';
  if (decimalScaleOf(type) !== null) return 'double';
  switch (withoutLogical(type).typeName) {
    case 'int':
    case 'long':
      return 'long';
    case 'float':
    case 'double':
      return 'double';
    case 'boolean':
      return 'boolean';
    case 'string':
    case 'enum':
      return 'string';
    default:
      return null;
  }
}

function isRecord(type: Type): type is types.RecordType {
  return type.typeName === 'record';
}

function isUnion(type: Type): type is types.UnwrappedUnionType {
  return type.typeName === 'union:unwrapped' || type.typeName === 'union:wrapped';
}

function isLogical(type: Type): type is types.LogicalType {
  return type.typeName.startsWith('logical:');
}
