import type { Type, types } from 'avsc';
import { branchesOf, decimalScaleOf, instantUnitOf, withoutLogical, type AvroSchema } from './avro-schema.ts';

/** A JSON Schema, or a part of one, as plain data. */
type JsonSchemaPart = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema (draft 2020-12) of records that an Avro schema describes, as they are written in JSON: what is published beside each `.avsc`, for who reads or
 * writes the same topic in JSON. Fields with a default need not be there; further fields may be.
 *
 * @param instants how instants are written: as ISO 8601 text, or as milliseconds (`format: timestamp-millis`, ours).
 */
export function jsonSchemaOfAvro({ record, text }: AvroSchema, instants: 'iso' | 'ms'): JsonSchemaPart {
  const docs = new Map<string, string>();
  collectDocs(JSON.parse(text), docs);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: shortName(record),
    ...objectOf(record, { docs, instants }),
  };
}

interface Context {
  /** Comments by `Record` and `Record.field`: avsc keeps none of them. */
  readonly docs: ReadonlyMap<string, string>;
  readonly instants: 'iso' | 'ms';
}

function collectDocs(schema: unknown, docs: Map<string, string>): void {
  if (Array.isArray(schema)) for (const branch of schema) collectDocs(branch, docs);
  if (typeof schema !== 'object' || schema === null || !('fields' in schema) || !('name' in schema)) return;
  const { name, doc, fields } = schema as RawRecord;
  if (doc !== undefined) docs.set(name, doc);
  for (const field of fields) {
    if (field.doc !== undefined) docs.set(`${name}.${field.name}`, field.doc);
    collectDocs(field.type, docs);
  }
}

interface RawRecord {
  readonly name: string;
  readonly doc?: string;
  readonly fields: readonly { readonly name: string; readonly doc?: string; readonly type: unknown }[];
}

function shortName(record: types.RecordType): string {
  return record.name?.split('.').at(-1) ?? '';
}

function objectOf(record: types.RecordType, context: Context): JsonSchemaPart {
  const { docs } = context;
  const name = shortName(record);
  const { fields } = record;
  const properties = fields.map((field) => {
    return [field.name, { ...partOf(field.type, context), ...described(docs.get(`${name}.${field.name}`)) }] as const;
  });
  return {
    ...described(docs.get(name)),
    type: 'object',
    properties: Object.fromEntries(properties),
    required: fields.flatMap((field) => (field.defaultValue() === undefined ? [field.name] : [])),
  };
}

function described(doc: string | undefined): JsonSchemaPart {
  return doc === undefined ? {} : { description: doc };
}

/** A union with null is of that type and null; one of several is any of them. */
function partOf(type: Type, context: Context): JsonSchemaPart {
  const branches = branchesOf(type);
  const [first, ...others] = branches
    .filter(({ typeName }) => typeName !== 'null')
    .map((branch) => plainPart(branch, context));
  if (first === undefined) return { type: 'null' };
  if (others.length > 0) return { anyOf: branches.map((branch) => plainPart(branch, context)) };
  return branches.length === 1 ? first : { ...first, type: [first['type'], 'null'] };
}

function plainPart(type: Type, context: Context): JsonSchemaPart {
  const unit = instantUnitOf(type);
  if (unit === 'days') return { type: 'string', format: 'date' };
  if (unit !== null) {
    return context.instants === 'ms'
      ? { type: 'integer', format: 'timestamp-millis' }
      : { type: 'string', format: 'date-time' };
  }
  if (decimalScaleOf(type) !== null) return { type: 'number' };
  const plain = withoutLogical(type);
  switch (plain.typeName) {
    case 'int':
    case 'long':
      return { type: 'integer' };
    case 'float':
    case 'double':
      return { type: 'number' };
    case 'boolean':
    case 'null':
      return { type: plain.typeName };
    case 'enum':
      return { type: 'string', enum: (plain as types.EnumType).symbols };
    case 'array':
      return { type: 'array', items: partOf((plain as types.ArrayType).itemsType, context) };
    case 'map':
      return { type: 'object', additionalProperties: partOf((plain as types.MapType).valuesType as Type, context) };
    case 'record':
      return objectOf(plain as types.RecordType, context);
    case 'bytes':
    case 'fixed':
      return { type: 'string', contentEncoding: 'base64' };
    default:
      return { type: 'string' };
  }
}
