import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { DocumentPath, PlanDocument } from '../../engine/plan/plan-document.ts';
import type { FieldType, Schema } from '../../engine/record/schema.ts';
import type { FileOrigin, SimulatorOrigin, SourceDefinition, TopicOrigin } from '../checked-job.ts';
import { checkOneOf } from './check-one-of.ts';
import { checkParts } from './check-parts.ts';
import { checkSchema } from './check-schema.ts';
import { checkNoCopy } from './check-table-copy.ts';
import { checkTopic } from './check-topic.ts';
import type { JobFiles } from '../job-files.ts';
import { originKinds, sourceParts, type SourceParts } from '../job-file.ts';

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

/** Checks the job's `source:`, or one of its `sources:`, reads its schema, and adds what is wrong to `files`. Called once while a job is loaded. */
export async function checkSource(
  document: PlanDocument,
  files: JobFiles,
  path: DocumentPath = ['source'],
): Promise<CheckedSource> {
  const { diagnostics } = files;
  const before = diagnostics.length;
  const parts = checkParts(document, path, sourceParts, diagnostics);
  if (parts === null) return { definition: null, schema: null, eventTimeField: null, origin: null };
  const origin = checkOrigin(document, path, parts, files);
  checkNoCopy(document, path, parts, files);
  const { schema, avro, rules } = await checkSchema(document, path, parts, files);
  if (schema !== null) checkFields(document, path, parts, schema, files);
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
          rules,
          eventTime: {
            field: eventTime.field,
            delayMs: eventTime.delay,
            idleTimeoutMs: eventTime.idleTimeout ?? defaultIdleTimeoutMs,
            ...(eventTime.advanceOnIdle === true ? { advanceOnIdle: true } : {}),
            ...(eventTime.maxDrift === undefined ? {} : { maxDriftMs: eventTime.maxDrift }),
            maxFutureSkewMs: eventTime.maxFutureSkew ?? defaultMaxFutureSkewMs,
          },
          duplicates: duplicates === undefined ? null : { by: duplicates.by, withinMs: duplicates.within },
        };
  return {
    definition,
    schema,
    eventTimeField: writtenField(document, path),
    origin: origin === null ? null : [origin.kind, parts[origin.kind]],
  };
}

function checkOrigin(
  document: PlanDocument,
  path: DocumentPath,
  parts: Partial<SourceParts>,
  files: JobFiles,
): TopicOrigin | FileOrigin | SimulatorOrigin | null {
  const kind = checkOneOf(document, path, originKinds, 'where records come from', files.diagnostics);
  switch (kind) {
    case null:
      return null;
    case 'topic':
      if (parts.topic === undefined) return null;
      if (!checkTopic(document, [...path, 'topic'], parts.topic, files.diagnostics)) return null;
      return { kind, topic: parts.topic };
    case 'parquet':
    case 'csv':
    case 'jsonl': {
      const file = parts[kind];
      return file === undefined ? null : { kind, path: files.resolve(file) };
    }
    case 'simulator': {
      const { simulator } = parts;
      if (simulator === undefined) return null;
      const { world, ratePerSecond = null, seed = 0, drift = 'none' } = simulator;
      return { kind, world, ratePerSecond, seed, drift };
    }
  }
}

/** The fields that the source names exist and can be what they are named for. */
function checkFields(
  document: PlanDocument,
  under: DocumentPath,
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
  check(key, [...under, 'key'], ids, 'key');
  check(eventTime?.field, [...under, 'eventTime', 'field'], ['timestamp'], 'event time');
  check(duplicates?.by, [...under, 'duplicates', 'by'], ids, 'id');
}

/** The event-time field even where something else in `eventTime:` is wrong: features that name it are not to be blamed. */
function writtenField(document: PlanDocument, path: DocumentPath): string | null {
  let value: unknown = document.value;
  for (const step of [...path, 'eventTime', 'field']) {
    value = (value as Readonly<Record<string, unknown>> | null | undefined)?.[step];
  }
  return typeof value === 'string' ? value : null;
}
