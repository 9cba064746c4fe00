import { messageOf } from '../../engine/error.ts';
import { PlanDocument, type DocumentPath } from '../../engine/plan/plan-document.ts';
import { Schema, type Field, type FieldType } from '../../engine/record/schema.ts';
import { parseAvroSchema, schemaOfAvro } from '../../engine/serde/avro-schema.ts';
import { readJsonSchema } from '../../engine/serde/json-schema.ts';
import type { RecordRules } from '../../engine/serde/record-rules.ts';
import { checkOneOf } from './check-one-of.ts';
import type { JobFiles, NamedText } from '../job-files.ts';
import { originKinds, type FieldTypeText, type SourceParts } from '../job-file.ts';

/** What a source says of its records' fields. */
export interface ReadSchema {
  /** `null` where they are not known. */
  readonly schema: Schema | null;
  /** The text of an Avro schema. */
  readonly avro: string | null;
  /** Of a JSON Schema. */
  readonly rules: RecordRules | null;
}

const none: ReadSchema = { schema: null, avro: null, rules: null };

/**
 * Reads the fields of a source's records, from an Avro schema, a JSON Schema or the job file itself, checks that they fit the form of its messages, and adds what is
 * wrong to `files`. Called once while a job is loaded.
 */
export async function checkSchema(
  document: PlanDocument,
  path: DocumentPath,
  parts: Partial<SourceParts>,
  files: JobFiles,
): Promise<ReadSchema> {
  checkFormat(document, path, parts, files);
  const way = checkOneOf(document, path, ['schema', 'fields'], "the record's fields", files.diagnostics);
  if (way === null) return none;
  if (way === 'fields') return { ...none, schema: inlineSchema(document, path, parts.fields, files) };
  if (parts.schema === undefined) return none;
  const isJson = parts.schema.endsWith('.json');
  const folder = { folder: 'schemas', extension: isJson ? '.json' : '.avsc' };
  const read = await files.readNamed(document, [...path, 'schema'], parts.schema, folder);
  if (read === null) return none;
  return isJson ? jsonSchema(read, files) : avroSchema(read, files);
}

/** Which form of messages goes with which kind of source and of schema. */
function checkFormat(
  document: PlanDocument,
  path: DocumentPath,
  parts: Partial<SourceParts>,
  { diagnostics }: JobFiles,
): void {
  const refuse = (key: 'format' | 'schema', message: string, expected: string): void => {
    diagnostics.push(document.atValue([...path, key], { code: 'VALUE_WRONG', message, expected }));
  };
  const origin = originKinds.find((kind) => parts[kind] !== undefined);
  const isJsonSchema = parts.schema?.endsWith('.json') === true;
  if (parts.format !== 'avro') {
    if (!isJsonSchema || origin === undefined || origin === 'topic' || origin === 'jsonl') return;
    refuse('schema', `a JSON Schema says what JSON is, and this source is a ${origin}`, 'an Avro schema, or "fields"');
  } else if (origin !== undefined && origin !== 'topic') {
    refuse('format', `"avro" is how a topic's messages are written, and this source is a ${origin}`, 'no "format"');
  } else if (parts.fields !== undefined) {
    refuse(
      'format',
      '"avro" is read as an Avro schema says, and here are "fields"',
      '"schema" in the place of "fields"',
    );
  } else if (isJsonSchema) {
    refuse('schema', 'messages in Avro are read as an Avro schema says', 'a file .avsc');
  }
}

function avroSchema({ file, text }: NamedText, files: JobFiles): ReadSchema {
  try {
    return { ...none, schema: schemaOfAvro(parseAvroSchema(text)), avro: text };
  } catch (error) {
    // JSON is YAML, so the reader that knows places can say where the text breaks off.
    const avsc = new PlanDocument(file, text);
    const [syntax] = avsc.diagnostics;
    const finding = { code: 'SCHEMA_INVALID', message: messageOf(error) } as const;
    files.diagnostics.push(
      syntax === undefined ? avsc.atValue([], finding) : { ...syntax, code: 'SCHEMA_INVALID' as const },
    );
    return none;
  }
}

function jsonSchema({ file, text }: NamedText, files: JobFiles): ReadSchema {
  const document = new PlanDocument(file, text);
  if (document.diagnostics.length > 0) {
    files.diagnostics.push(...document.diagnostics.map((found) => ({ ...found, code: 'SCHEMA_INVALID' as const })));
    return none;
  }
  const records = readJsonSchema(document.value);
  if (!('problems' in records)) return { ...none, ...records };
  for (const { path, message, expected } of records.problems) {
    files.diagnostics.push(document.atValue(path, { code: 'SCHEMA_INVALID', message, expected }));
  }
  return none;
}

function inlineSchema(
  document: PlanDocument,
  path: DocumentPath,
  fields: Readonly<Record<string, FieldTypeText>> | undefined,
  { diagnostics }: JobFiles,
): Schema | null {
  if (fields === undefined) return null;
  for (const name of Object.keys(fields)) {
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) continue;
    const message = `"${name}" cannot be read by an expression`;
    const expected = 'a name of letters, digits and _';
    diagnostics.push(document.atKey([...path, 'fields', name], { code: 'VALUE_WRONG', message, expected }));
  }
  return new Schema(
    Object.entries(fields).map(([name, text]): Field => {
      const isOptional = text.endsWith('?');
      const type = (isOptional ? text.slice(0, -1) : text) as FieldType;
      return { name, type, presence: isOptional ? 'optional' : 'required' };
    }),
  );
}
