import { parseAvroSchema, schemaOfAvro } from '../engine/serde/avro-schema.ts';
import { messageOf } from '../engine/error.ts';
import { nearestName } from '../engine/plan/nearest-name.ts';
import { PlanDocument, type DocumentPath } from '../engine/plan/plan-document.ts';
import { Schema, type Field, type FieldType } from '../engine/record/schema.ts';
import type { FileOrigin, SimulatorOrigin, SourceDefinition, TopicOrigin } from './checked-job.ts';
import { checkOneOf } from './check-one-of.ts';
import { checkParts } from './check-parts.ts';
import { checkTopic } from './check-topic.ts';
import type { JobFiles } from './job-files.ts';
import { originKinds, sourceParts, type FieldTypeText, type SourceParts } from './job-file.ts';

/** Seconds in which a quiet partition is not yet an idle one. */
const defaultIdleTimeoutMs = 30_000;
/** As `docs/semantics.md` says. */
const defaultMaxFutureSkewMs = 300_000;

/** What a source says, as far as it is sound. */
export interface CheckedSource {
  /** `null` where anything is wrong with the source. */
  readonly definition: SourceDefinition | null;
  /** The record's fields; `null` where they are not known. */
  readonly schema: Schema | null;
  /** The field that event time is read from, as written; `null` where nothing is written. */
  readonly eventTimeField: string | null;
  /** What the source names, for the job's digest: the same wherever the files are. */
  readonly origin: readonly [kind: string, name: unknown] | null;
}

/** Checks the job's `source:`, reads its schema, and adds what is wrong to `files`. Called once while a job is loaded. */
export async function checkSource(document: PlanDocument, files: JobFiles): Promise<CheckedSource> {
  const { diagnostics } = files;
  const before = diagnostics.length;
  const parts = checkParts(document, ['source'], sourceParts, diagnostics);
  if (parts === null) return { definition: null, schema: null, eventTimeField: null, origin: null };
  const origin = checkOrigin(document, parts, files);
  const { schema, avro } = await readSchema(document, parts, files);
  checkFormat(document, parts, files);
  if (schema !== null) checkFields(document, parts, schema, files);
  const { key, eventTime, duplicates, format } = parts;
  const isSound = diagnostics.length === before;
  const definition: SourceDefinition | null =
    !isSound || origin === null || key === undefined || eventTime === undefined
      ? null
      : {
          ...origin,
          format: format === 'avro' ? 'avro' : 'json',
          key,
          avro,
          eventTime: {
            field: eventTime.field,
            delayMs: eventTime.delay,
            idleTimeoutMs: eventTime.idleTimeout ?? defaultIdleTimeoutMs,
            maxFutureSkewMs: eventTime.maxFutureSkew ?? defaultMaxFutureSkewMs,
          },
          duplicates: duplicates === undefined ? null : { by: duplicates.by, withinMs: duplicates.within },
        };
  return {
    definition,
    schema,
    eventTimeField: writtenField(document),
    origin: origin === null ? null : [origin.kind, parts[origin.kind]],
  };
}

function checkOrigin(
  document: PlanDocument,
  parts: Partial<SourceParts>,
  files: JobFiles,
): TopicOrigin | FileOrigin | SimulatorOrigin | null {
  const kind = checkOneOf(document, ['source'], originKinds, 'where records come from', files.diagnostics);
  switch (kind) {
    case null:
      return null;
    case 'topic':
      if (parts.topic === undefined) return null;
      if (!checkTopic(document, ['source', 'topic'], parts.topic, files.diagnostics)) return null;
      return { kind, topic: parts.topic };
    case 'parquet':
    case 'csv':
    case 'jsonl': {
      const path = parts[kind];
      return path === undefined ? null : { kind, path: files.resolve(path) };
    }
    case 'simulator': {
      const { simulator } = parts;
      if (simulator === undefined) return null;
      const { world, ratePerSecond = null, seed = 0, drift = 'none' } = simulator;
      return { kind, world, ratePerSecond, seed, drift };
    }
  }
}

/** Avro is a form of messages, and is read as a schema says that is in Avro itself. */
function checkFormat(document: PlanDocument, parts: Partial<SourceParts>, { diagnostics }: JobFiles): void {
  if (parts.format !== 'avro') return;
  const refuse = (message: string, expected: string): void => {
    diagnostics.push(document.atValue(['source', 'format'], { code: 'VALUE_WRONG', message, expected }));
  };
  const other = originKinds.find((kind) => kind !== 'topic' && parts[kind] !== undefined);
  if (other !== undefined)
    refuse(`"avro" is how a topic's messages are written, and this source is a ${other}`, 'no "format"');
  else if (parts.fields !== undefined) {
    refuse('"avro" is read as an Avro schema says, and here are "fields"', '"schema" in the place of "fields"');
  }
}

interface ReadSchema {
  readonly schema: Schema | null;
  readonly avro: string | null;
}

async function readSchema(document: PlanDocument, parts: Partial<SourceParts>, files: JobFiles): Promise<ReadSchema> {
  const none = { schema: null, avro: null };
  const way = checkOneOf(document, ['source'], ['schema', 'fields'], "the record's fields", files.diagnostics);
  if (way === null) return none;
  if (way === 'fields') return { schema: inlineSchema(document, parts.fields, files), avro: null };
  const path = ['source', 'schema'];
  if (parts.schema === undefined) return none;
  const read = await files.readNamed(document, path, parts.schema, { folder: 'schemas', extension: '.avsc' });
  if (read === null) return none;
  try {
    return { schema: schemaOfAvro(parseAvroSchema(read.text)), avro: read.text };
  } catch (error) {
    // JSON is YAML, so the reader that knows places can say where the text breaks off.
    const avsc = new PlanDocument(read.file, read.text);
    const [syntax] = avsc.diagnostics;
    const finding = { code: 'SCHEMA_INVALID', message: messageOf(error) } as const;
    files.diagnostics.push(
      syntax === undefined ? avsc.atValue([], finding) : { ...syntax, code: 'SCHEMA_INVALID' as const },
    );
    return none;
  }
}

function inlineSchema(
  document: PlanDocument,
  fields: Readonly<Record<string, FieldTypeText>> | undefined,
  { diagnostics }: JobFiles,
): Schema | null {
  if (fields === undefined) return null;
  for (const name of Object.keys(fields)) {
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) continue;
    const message = `"${name}" cannot be read by an expression`;
    const expected = 'a name of letters, digits and _';
    diagnostics.push(document.atKey(['source', 'fields', name], { code: 'VALUE_WRONG', message, expected }));
  }
  return new Schema(
    Object.entries(fields).map(([name, text]): Field => {
      const isOptional = text.endsWith('?');
      const type = (isOptional ? text.slice(0, -1) : text) as FieldType;
      return { name, type, presence: isOptional ? 'optional' : 'required' };
    }),
  );
}

/** The fields that the source names exist and can be what they are named for. */
function checkFields(
  document: PlanDocument,
  { key, eventTime, duplicates }: Partial<SourceParts>,
  schema: Schema,
  { diagnostics }: JobFiles,
): void {
  const ids: readonly FieldType[] = ['string', 'long'];
  const check = (name: string | undefined, path: DocumentPath, types: readonly FieldType[], use: string): void => {
    if (name === undefined) return;
    const field = schema.field(name);
    if (field !== undefined && types.includes(field.type)) return;
    const fitting = schema.fields.filter(({ type }) => types.includes(type)).map((candidate) => candidate.name);
    diagnostics.push(
      document.atValue(path, {
        code: field === undefined ? 'NAME_UNKNOWN' : 'TYPE_WRONG',
        message:
          field === undefined
            ? `the record has no field "${name}"`
            : `"${name}" is a ${field.type}, which is no ${use}`,
        expected: fitting.length === 0 ? `a field of type ${types.join(' or ')}` : `one of ${fitting.join(', ')}`,
        nearest: nearestName(name, fitting),
      }),
    );
  };
  check(key, ['source', 'key'], ids, 'key');
  check(eventTime?.field, ['source', 'eventTime', 'field'], ['timestamp'], 'event time');
  check(duplicates?.by, ['source', 'duplicates', 'by'], ids, 'id');
}

/** The event-time field even where something else in `eventTime:` is wrong: features that name it are not to be blamed. */
function writtenField(document: PlanDocument): string | null {
  const source = (document.value as { readonly source?: { readonly eventTime?: { readonly field?: unknown } | null } })
    .source;
  const field = source?.eventTime?.field;
  return typeof field === 'string' ? field : null;
}
