import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { DocumentPath, Finding, PlanDocument } from '../../engine/plan/plan-document.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import type { LiftedField } from '../../engine/source/merged/lift.ts';
import { lookedUp } from '../../operators/enrich/enrich-logic.ts';
import type { EnrichDefinition } from '../../operators/enrich/enrich-definition.ts';
import { inputColumn } from '../../operators/join/join-definition.ts';
import type { EnrichPart } from './check-enrich-shape.ts';
import { checkInput, meaningOf } from './check-inputs.ts';
import type { ReadInput } from './read-input.ts';
import type { CheckedSource } from './check-source.ts';
import type { LatePolicy } from '../checked-job.ts';
import type { InputsPlan } from '../plan/inputs-plan.ts';
import type { JobFiles } from '../job-files.ts';
import type { JobParts } from '../job-file.ts';

const none: CheckedSource = { definition: null, schema: null, eventTimeField: null, origin: null };
/** What the job's own source is called beside its tables. */
const streamName = 'source';

/**
 * Checks a job's `tables:` and `enrich:`, and gives its source as one whose records have what was looked up for them. A job without either is given back as it is. Called once
 * while a job is loaded; adds what is wrong to `files`.
 */
export async function checkEnriched(
  document: PlanDocument,
  { tables, enrich }: Partial<JobParts>,
  source: CheckedSource,
  late: LatePolicy,
  files: JobFiles,
): Promise<CheckedSource> {
  if (tables === undefined && enrich === undefined) return source;
  const { diagnostics } = files;
  const before = diagnostics.length;
  const report = (path: DocumentPath, finding: Finding): void => void diagnostics.push(document.atValue(path, finding));
  const read: ReadInput[] = [];
  for (const name of Object.keys(tables ?? {})) {
    const table = await checkInput(document, 'tables', name, files);
    if (table !== null) read.push(table);
    const isUsed = enrich === undefined || enrich.some((part) => part.table === name);
    if (!isUsed) {
      const message = `"${name}" is read for nothing: no "enrich" looks anything up in it`;
      diagnostics.push(
        document.atKey(['tables', name], { code: 'VALUE_WRONG', message, expected: 'an "enrich" of it' }),
      );
    }
  }
  if (enrich === undefined || tables === undefined) {
    const [there, missing] = enrich === undefined ? ['tables', 'enrich'] : ['enrich', 'tables'];
    const message = `"${there}" means nothing without "${missing}"`;
    diagnostics.push(document.atKey([there], { code: 'KEY_MISSING', message, expected: `"${missing}" beside it` }));
    return none;
  }
  const { definition, schema, origin } = source;
  if (definition === null || schema === null || origin === null) return none;
  if (definition.kind === 'simulator' || definition.kind === 'inputs') {
    report(['source', 'simulator'], {
      code: 'VALUE_WRONG',
      message: 'the simulator is no input beside tables: where it stands is not recorded',
      expected: 'a topic, or a file',
    });
    return none;
  }
  const found: readonly ReadInput[] = [...read, { name: streamName, source: definition, schema, origin, copyOf: null }];
  const seen = new Set<string>();
  const chosen = enrich.map((part, index) => {
    const columns = checkPart(part, ['enrich', index], read, schema, report);
    if (seen.has(part.table)) {
      const message = `"${part.table}" is looked up twice`;
      const expected = 'the same topic as another table, under another name';
      report(['enrich', index, 'table'], { code: 'NAME_DUPLICATE', message, expected });
    }
    seen.add(part.table);
    return { part, columns };
  });
  for (const { name } of read) {
    if (!schema.fields.some((field) => field.name === name) && name !== streamName) continue;
    const message = `"${name}" is what the records have already`;
    diagnostics.push(document.atKey(['tables', name], { code: 'NAME_DUPLICATE', message, expected: 'another name' }));
  }
  if (diagnostics.length > before) return none;
  const common = new Schema([
    ...schema.fields,
    { name: inputColumn, type: 'long', presence: 'required' },
    ...read.flatMap((table) =>
      table.schema.fields.map((field): Field => ({
        ...field,
        name: `${table.name}.${field.name}`,
        presence: 'optional',
      })),
    ),
  ]);
  const definitions = chosen.map(({ part, columns }): EnrichDefinition => {
    const table = read.findIndex(({ name }) => name === part.table);
    return Object.freeze({
      operatorId: `enrich-${part.table}`,
      table,
      on: part.on,
      key: `${part.table}.${read[table]?.source.key ?? ''}`,
      columns: Object.freeze(columns.map((name) => `${part.table}.${name}`)),
      asOf: part.asOf ?? 'event-time',
      missing: part.missing ?? 'keep',
      allowedLatenessMs: late.allowedLatenessMs,
      inputCount: found.length,
      stream: read.length,
    });
  });
  const added = definitions.flatMap(({ columns }) => columns);
  const fieldOf = (name: string): Field => ({ name, type: common.field(name)?.type ?? 'string', presence: 'optional' });
  const outputSchema = schema.with(...added.map(fieldOf));
  const plan: InputsPlan = Object.freeze({
    inputs: found.map((input, index) => Object.freeze({ ...input, lift: liftOf(found, index) })),
    schema: common,
    join: null,
    enriched: Object.freeze({
      definitions: Object.freeze(definitions),
      outputSchema,
      columns: Object.freeze([...schema.fields.map(({ name }) => name), ...added.map(lookedUp)]),
    }),
    duplicates: found.map((input) => {
      if (input.source.duplicates === null) return null;
      return input.name === streamName ? input.source.duplicates.by : `${input.name}.${input.source.duplicates.by}`;
    }),
    select: null,
  });
  const { key, eventTime, format, avro, rules } = definition;
  return {
    ...source,
    definition: { kind: 'inputs', plan, format, key, avro, rules, eventTime, duplicates: null },
    schema: outputSchema,
    origin: ['inputs', meaningOf(found, plan)],
  };
}

/** Checks one look-up. @returns the table's fields that records are given. */
function checkPart(
  { table: name, on, fields }: EnrichPart,
  path: DocumentPath,
  tables: readonly ReadInput[],
  stream: Schema,
  report: (path: DocumentPath, finding: Finding) => void,
): readonly string[] {
  const table = tables.find((candidate) => candidate.name === name);
  if (table === undefined) {
    const names = tables.map((candidate) => candidate.name);
    const expected = `one of ${names.join(', ')}`;
    const message = `the job has no table "${name}"`;
    report([...path, 'table'], { code: 'NAME_UNKNOWN', message, expected, nearest: nearestName(name, names) });
    return [];
  }
  const { key } = table.source;
  const keyType = table.schema.field(key)?.type;
  const type = stream.field(on)?.type;
  if (type === undefined || type !== keyType) {
    const fitting = stream.fields.filter((field) => field.type === keyType).map((field) => field.name);
    report([...path, 'on'], {
      code: type === undefined ? 'NAME_UNKNOWN' : 'TYPE_WRONG',
      message:
        type === undefined
          ? `the record has no field "${on}"`
          : `"${on}" is a ${type}, and "${name}.${key}" a ${keyType}`,
      expected: fitting.length === 0 ? `a field of type ${keyType}` : `one of ${fitting.join(', ')}`,
      nearest: nearestName(on, fitting),
    });
  }
  const offered = table.schema.fields.map((field) => field.name).filter((field) => field !== key);
  fields?.forEach((field, index) => {
    if (offered.includes(field) && fields.indexOf(field) === index) return;
    const isTwice = offered.includes(field);
    report([...path, 'fields', index], {
      code: isTwice ? 'NAME_DUPLICATE' : 'NAME_UNKNOWN',
      message: isTwice ? `"${field}" is here twice` : `"${name}" has no field "${field}" beside its key`,
      expected: `one of ${offered.join(', ')}`,
      nearest: isTwice ? null : nearestName(field, offered),
    });
  });
  return fields ?? offered;
}

function liftOf(inputs: readonly ReadInput[], index: number): readonly LiftedField[] {
  const stream = inputs.at(-1);
  const own = (input: number, fields: readonly Field[]): LiftedField[] =>
    fields.map(({ name }) => (input === index ? { column: name } : null));
  return [
    ...own(inputs.length - 1, stream?.schema.fields ?? []),
    'input number',
    ...inputs.slice(0, -1).flatMap(({ schema }, input) => own(input, schema.fields)),
  ];
}
