import { Schema, type Field, type FieldType } from '../record/schema.ts';
import { isMapping, valueRulesOf, type Keywords } from './json-schema-values.ts';
import type { FieldRules, RecordRules } from './record-rules.ts';

/** Something in a JSON Schema that is wrong, or that is not enforced here. */
export interface JsonSchemaProblem {
  /** Keys from the top of the schema to what the problem is about. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly expected: string;
}

/** Records as a JSON Schema has them: fields, and the rules beyond their types. */
export interface JsonRecords {
  readonly schema: Schema;
  readonly rules: RecordRules;
}

/** Keywords that say nothing about whether a record is valid. */
const annotations = [
  '$schema',
  '$id',
  '$comment',
  'title',
  'description',
  'examples',
  'default',
  'deprecated',
  'readOnly',
  'writeOnly',
];

const objectKeywords = ['type', 'properties', 'required', 'additionalProperties'];

/** A name that an expression can read. */
const fieldName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Reads a JSON Schema (draft 2020-12) of records: an object with `properties`, each of one type, or of that and null. What the schema demands is enforced, all of
 * it; a keyword that is not enforced here is a problem, so that nobody relies on it.
 *
 * `string` with `format: date-time` is a `timestamp`, and so is `integer` with `format: timestamp-millis` (ours); `integer` is a `long`. An object within the record
 * gives fields `object.member`; it must be required. A property whose schema is `true` may be anything, and is not read.
 */
export function readJsonSchema(document: unknown): JsonRecords | { readonly problems: readonly JsonSchemaProblem[] } {
  const reading = new Reading();
  reading.object([], document, null);
  if (reading.problems.length > 0) return { problems: reading.problems };
  return { schema: new Schema(reading.fields), rules: { fields: reading.rules, closed: reading.closed } };
}

class Reading {
  readonly problems: JsonSchemaProblem[] = [];
  readonly fields: Field[] = [];
  readonly rules: FieldRules[] = [];
  readonly closed: Record<string, readonly string[]> = {};

  /** The record, or an object in it. @param owner the object's name; `null` for the record. */
  object(path: readonly string[], schema: unknown, owner: string | null): void {
    if (!isMapping(schema)) {
      this.#refuse(path, 'the schema of records is no object', '{"type": "object", "properties": …}');
      return;
    }
    this.#refuseOthers(path, schema, objectKeywords);
    const { type, properties, required = [], additionalProperties = true } = schema;
    if (type !== 'object') this.#refuse([...path, 'type'], 'records are objects', '"object"');
    if (typeof additionalProperties !== 'boolean') {
      const message = 'further properties are all accepted or all refused';
      this.#refuse([...path, 'additionalProperties'], message, 'true or false');
    }
    if (!isMapping(properties)) {
      this.#refuse(path, 'nothing says which fields there are', '"properties": {…}');
      return;
    }
    if (!Array.isArray(required) || required.some((name) => typeof name !== 'string')) {
      this.#refuse([...path, 'required'], '"required" is no list of names', 'a list of names');
      return;
    }
    const names = Object.keys(properties);
    for (const name of required as readonly string[]) {
      if (names.includes(name)) continue;
      this.#refuse([...path, 'required'], `"${name}" is required and is no property`, `one of ${names.join(', ')}`);
    }
    if (additionalProperties === false) this.closed[owner ?? ''] = names;
    for (const [name, property] of Object.entries(properties)) {
      const isRequired = (required as readonly string[]).includes(name);
      this.#property([...path, 'properties', name], name, property, owner, isRequired ? 'refuse' : 'accept');
    }
  }

  #property(
    path: readonly string[],
    name: string,
    property: unknown,
    owner: string | null,
    absent: FieldRules['absent'],
  ): void {
    if (property === true || (isMapping(property) && Object.keys(property).every((key) => annotations.includes(key)))) {
      // A field that must be there, but is not read, could not be found missing.
      if (absent === 'refuse') this.#refuse(path, `"${name}" is required, and has no type to be read by`, 'a "type"');
      return;
    }
    if (!isMapping(property)) {
      this.#refuse(path, `"${name}" has no schema`, 'an object with a "type", or true for what need not be read');
      return;
    }
    if (!fieldName.test(name)) {
      this.#refuse(path, `"${name}" cannot be read by an expression`, 'a name of letters, digits and _, or true');
      return;
    }
    const types = Array.isArray(property['type']) ? (property['type'] as readonly unknown[]) : [property['type']];
    const [type, ...others] = types.filter((candidate) => candidate !== 'null');
    if (type === 'object' && owner === null) {
      if (absent === 'accept' || types.length > 1) {
        const message = `the object "${name}" may be missing or null, which its members could not tell from their own`;
        this.#refuse(path, message, 'a required object that is not null, or true for what need not be read');
        return;
      }
      this.object(path, property, name);
      return;
    }
    const fieldType = others.length > 0 ? null : typeOf(type, property['format']);
    if (fieldType === null) {
      const expected =
        '"string", "number", "integer" or "boolean", alone or with "null"; true for what need not be read';
      this.#refuse(
        [...path, 'type'],
        `a field has one type, and "${name}" has ${JSON.stringify(property['type'])}`,
        expected,
      );
      return;
    }
    const { rules, keywords, isNullable, problems } = valueRulesOf(property, type as string, types.includes('null'));
    this.#refuseOthers(path, property, ['type', ...keywords]);
    for (const { key, message, expected } of problems) this.#refuse([...path, key], message, expected);
    const isOptional = absent === 'accept' || isNullable;
    const field = owner === null ? name : `${owner}.${name}`;
    this.fields.push({ name: field, type: fieldType, presence: isOptional ? 'optional' : 'required' });
    const form = type === 'string' ? 'text' : fieldType === 'timestamp' ? 'number' : 'any';
    this.rules.push({ field, absent, null: isNullable ? 'accept' : 'refuse', form, values: rules });
  }

  #refuseOthers(path: readonly string[], schema: Keywords, known: readonly string[]): void {
    for (const key of Object.keys(schema)) {
      if (known.includes(key) || annotations.includes(key)) continue;
      this.#refuse([...path, key], `"${key}" is not enforced here`, `one of ${known.join(', ')}`);
    }
  }

  #refuse(path: readonly string[], message: string, expected: string): void {
    this.problems.push({ path, message, expected });
  }
}

function typeOf(type: unknown, format: unknown): FieldType | null {
  switch (type) {
    case 'string':
      return format === 'date-time' ? 'timestamp' : 'string';
    case 'integer':
      return format === 'timestamp-millis' ? 'timestamp' : 'long';
    case 'number':
      return 'double';
    case 'boolean':
      return 'boolean';
    default:
      return null;
  }
}
