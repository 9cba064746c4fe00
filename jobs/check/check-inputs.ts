import type { PlanDocument } from '../../engine/plan/plan-document.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import type { LiftedField } from '../../engine/source/merged/lift.ts';
import { eventTimeColumn, inputColumn } from '../../operators/join/join-definition.ts';
import type { EventTimeDefinition, LatePolicy, SourceDefinition } from '../checked-job.ts';
import { checkSelect } from './check-join.ts';
import { checkJoins } from './check-joins.ts';
import { checkOneOf } from './check-one-of.ts';
import { checkSource, type CheckedSource } from './check-source.ts';
import { checkTableCopy } from './check-table-copy.ts';
import { checkUnion } from './check-union.ts';
import type { InputsPlan, JoinPlan, OneJoinPlan } from '../plan/inputs-plan.ts';
import type { JobFiles } from '../job-files.ts';
import type { CheckedInputs, ReadInput } from './read-input.ts';
import type { JobParts } from '../job-file.ts';

/** More would share too little of each batch. */
const mostInputs = 16;

/** The topics that a job reads. */
export function inputTopics(source: SourceDefinition | null): readonly string[] {
  if (source?.kind === 'topic') return [source.topic];
  if (source?.kind !== 'inputs') return [];
  return source.plan.inputs.flatMap((input) => (input.source.kind === 'topic' ? [input.source.topic] : []));
}

/** Says of what belongs to several inputs that it means nothing to one. */
export function checkInputKeys(document: PlanDocument, parts: Partial<JobParts>, { diagnostics }: JobFiles): void {
  if (parts.sources !== undefined) return;
  for (const key of ['join', 'union', 'select'] as const) {
    if (parts[key] === undefined) continue;
    const message = `"${key}" is for jobs of several inputs`;
    diagnostics.push(document.atKey([key], { code: 'VALUE_WRONG', message, expected: `"sources", or no "${key}"` }));
  }
}

const none: CheckedSource = { definition: null, schema: null, eventTimeField: null, origin: null };

/**
 * Checks a job's `sources:` and what it does with them, and gives them as the one source of records that the rest of the job sees: what comes out of the join. Called once while a job is
 * loaded, where it has several inputs; adds what is wrong to `files`.
 */
export async function checkInputs(
  document: PlanDocument,
  parts: Partial<JobParts>,
  late: LatePolicy,
  files: JobFiles,
): Promise<CheckedSource> {
  const { diagnostics } = files;
  const before = diagnostics.length;
  const names = Object.keys(parts.sources ?? {});
  const read: (ReadInput | null)[] = [];
  for (const name of names) read.push(await checkInput(document, 'sources', name, files));
  const way = checkOneOf(document, [], ['join', 'union'], 'what becomes of the inputs', diagnostics);
  const joins = Array.isArray(parts.join) ? parts.join.length : 1;
  const wanted = way === 'join' && joins === 1 ? 'two, which "join" joins, or a list under "join"' : 'at least two';
  if (names.length < 2 || (way === 'join' && joins === 1 && names.length > 2) || names.length > mostInputs) {
    const message = `"sources" has ${names.length === 1 ? '1 input' : `${names.length} inputs`}`;
    const expected = names.length > mostInputs ? `at most ${mostInputs}` : `${wanted}; or "source" for one`;
    diagnostics.push(document.atKey(['sources'], { code: 'VALUE_WRONG', message, expected }));
  }
  for (const key of ['tables', 'enrich'] as const) {
    if (parts[key] === undefined) continue;
    const message = `"${key}" beside several inputs is not built yet`;
    const expected = `no "${key}": a job that joins or unites the inputs and writes a topic, and another that looks its records up`;
    diagnostics.push(document.atKey([key], { code: 'VALUE_WRONG', message, expected }));
  }
  const found = read.filter((input) => input !== null);
  if (diagnostics.length > before || way === null || found.length !== names.length) return none;
  const checked =
    way === 'join' ? checkJoined(document, parts, found, late, files) : checkUnion(document, parts, found, files);
  if (checked === null) return none;
  const { plan, schema, key, eventTimeField } = checked;
  return {
    definition: {
      kind: 'inputs',
      plan: Object.freeze(plan),
      format: 'json',
      key,
      avro: null,
      rules: null,
      eventTime: { ...jointEventTime(found), field: eventTimeField },
      duplicates: null,
    },
    schema,
    eventTimeField,
    origin: ['inputs', meaningOf(found, plan)],
  };
}

function checkJoined(
  document: PlanDocument,
  { join, select }: Partial<JobParts>,
  found: readonly ReadInput[],
  late: LatePolicy,
  files: JobFiles,
): CheckedInputs | null {
  if (join === undefined) return null;
  const schema = commonSchema(found);
  const inputs = found.map((input, index) => Object.freeze({ ...input, lift: liftOf(found, index) }));
  const joined = checkJoins(document, join, { inputs, schema, late }, files);
  if (joined === null) return null;
  const selected = select === undefined ? null : checkSelect(document, select, joined, files);
  if (select !== undefined && selected === null) return null;
  const duplicates = found.map(({ name, source }) =>
    source.duplicates === null ? null : `${name}.${source.duplicates.by}`,
  );
  return {
    plan: { inputs, schema, join: joined, enriched: null, duplicates, select: selected },
    schema: selected?.outputSchema ?? joined.outputSchema,
    key: joined.definition.key[0] ?? '',
    eventTimeField: eventTimeColumn,
  };
}

/** Checks one input by itself: one of `sources:`, or of `tables:`. */
export async function checkInput(
  document: PlanDocument,
  under: 'sources' | 'tables',
  name: string,
  files: JobFiles,
): Promise<ReadInput | null> {
  const { diagnostics } = files;
  const path = [under, name];
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    const message = `"${name}" cannot be read by an expression`;
    const expected = 'a name of letters, digits and _';
    diagnostics.push(document.atKey(path, { code: 'VALUE_WRONG', message, expected }));
  }
  const { definition, schema, origin } = await checkSource(document, files, path);
  if (definition === null || schema === null) return null;
  if (definition.kind === 'simulator' || definition.kind === 'inputs') {
    const message = 'the simulator is no input beside others: where it stands is not recorded';
    diagnostics.push(document.atKey([...path, 'simulator'], { code: 'VALUE_WRONG', message, expected: 'a topic' }));
    return null;
  }
  const nested = schema.fields.find((field) => field.name.includes('.'));
  if (nested !== undefined) {
    const message = `"${nested.name}" is a member of an object, and so is every field of an input: objects do not nest further`;
    diagnostics.push(document.atKey(path, { code: 'VALUE_WRONG', message, expected: 'fields without a dot' }));
  }
  const copyOf = under === 'tables' ? checkTableCopy(document, path, definition, files) : null;
  return { name, source: definition, schema, origin, copyOf };
}

/** The inputs' fields, each under the name of its input: `orders.amount`. Any record has those of one input only. */
function commonSchema(inputs: readonly ReadInput[]): Schema {
  return new Schema([
    { name: inputColumn, type: 'long', presence: 'required' },
    ...inputs.flatMap(({ name, schema }) =>
      schema.fields.map((field): Field => ({ ...field, name: `${name}.${field.name}` })),
    ),
  ]);
}

function liftOf(inputs: readonly ReadInput[], index: number): readonly LiftedField[] {
  return [
    'input number',
    ...inputs.flatMap(({ schema }, other) =>
      schema.fields.map(({ name }): LiftedField => (other === index ? { column: name } : null)),
    ),
  ];
}

/** Of all inputs together: no rule of them is stricter than any of theirs. Each input's own rule stamps its records. */
function jointEventTime(inputs: readonly ReadInput[]): EventTimeDefinition {
  const times = inputs.map(({ source }) => source.eventTime);
  return {
    field: eventTimeColumn,
    delayMs: Math.max(...times.map(({ delayMs }) => delayMs)),
    idleTimeoutMs: Math.max(...times.map(({ idleTimeoutMs }) => idleTimeoutMs)),
    maxFutureSkewMs: Math.max(...times.map(({ maxFutureSkewMs }) => maxFutureSkewMs)),
  };
}

/** What of the inputs, and of what is done with them, decides state and results: for the job's digest. */
export function meaningOf(inputs: readonly ReadInput[], { join, enriched, select }: InputsPlan): unknown {
  return {
    inputs: inputs.map(({ name, origin, source, schema }) => {
      const { format, avro, rules, eventTime, duplicates } = source;
      const fields = schema.fields.map((field) => [field.name, field.type, field.presence]);
      const { field, delayMs, maxFutureSkewMs } = eventTime;
      return [
        name,
        origin,
        format,
        format === 'avro' ? avro : null,
        rules,
        fields,
        source.key,
        [field, delayMs, maxFutureSkewMs],
        duplicates,
      ];
    }),
    join: join === null ? null : meaningOfJoin(join),
    ...(enriched === null ? {} : { enriched: enriched.definitions }),
    select: select?.columns.map(({ name, expression }) => [name, expression.canonical]) ?? null,
  };
}

/** A join of two inputs has the meaning that it had before there were chains. */
function meaningOfJoin(join: JoinPlan): unknown {
  return join.before.length === 0 ? meaningOfOne(join) : [...join.before, join].map(meaningOfOne);
}

function meaningOfOne({ definition, condition }: OneJoinPlan): unknown {
  const { operatorId, kind, left, right, key, beforeMs, afterMs } = definition;
  return [operatorId, kind, left, right, key, beforeMs, afterMs, condition?.canonical ?? null];
}
