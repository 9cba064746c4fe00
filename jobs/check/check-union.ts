import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { DocumentPath, Finding, PlanDocument } from '../../engine/plan/plan-document.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import type { LiftedField } from '../../engine/source/merged/lift.ts';
import { eventTimeColumn } from '../../operators/join/join-definition.ts';
import type { CheckedInputs, ReadInput } from './read-input.ts';
import type { JobFiles } from '../job-files.ts';
import type { JobParts } from '../job-file.ts';

/** The column of a union that says which input a record is of, by its name. */
const nameColumn = 'input';

/**
 * Checks that the records of several inputs can go on as one stream: fields of one name are of one type, and the inputs have the same key. A field that an input has not is null in
 * its records. Called once while a job is loaded, where it has `union:`; adds what is wrong to `files` and gives `null`.
 */
export function checkUnion(
  document: PlanDocument,
  { union = [], select }: Partial<JobParts>,
  found: readonly ReadInput[],
  { diagnostics }: JobFiles,
): CheckedInputs | null {
  const before = diagnostics.length;
  const report = (path: DocumentPath, finding: Finding): void => {
    diagnostics.push(document.atValue(path, finding));
  };
  const names = found.map(({ name }) => name);
  union.forEach((name, index) => {
    if (union.indexOf(name) < index) {
      report(['union', index], { code: 'NAME_DUPLICATE', message: `"${name}" is here twice` });
    }
    if (names.includes(name)) return;
    const message = `the job has no input "${name}"`;
    const expected = `one of ${names.join(', ')}`;
    report(['union', index], { code: 'NAME_UNKNOWN', message, expected, nearest: nearestName(name, names) });
  });
  for (const name of names) {
    if (union.includes(name)) continue;
    const message = `"${name}" is read for nothing: it is not in "union"`;
    diagnostics.push(
      document.atKey(['sources', name], { code: 'VALUE_WRONG', message, expected: `[${names.join(', ')}]` }),
    );
  }
  if (select !== undefined) {
    const message = '"select" is for what comes out of a join; a union has the fields of its inputs';
    diagnostics.push(document.atKey(['select'], { code: 'VALUE_WRONG', message, expected: 'no "select"' }));
  }
  const [first] = found;
  if (first === undefined) return null;
  const fields = unitedFields(document, found, report);
  for (const { name, source } of found.slice(1)) {
    if (source.key === first.source.key) continue;
    const message = `"${name}" is keyed by "${source.key}", and "${first.name}" by "${first.source.key}"`;
    report(['sources', name, 'key'], { code: 'VALUE_WRONG', message, expected: first.source.key });
  }
  if (diagnostics.length > before) return null;
  const times = new Set(found.map(({ source }) => source.eventTime.field));
  const isOneField = times.size === 1;
  const eventTimeField = isOneField ? first.source.eventTime.field : eventTimeColumn;
  const hidden = found.map(({ name, source }) =>
    source.duplicates === null ? null : `(${name}.${source.duplicates.by})`,
  );
  const schema = new Schema([
    { name: nameColumn, type: 'string', presence: 'required' },
    ...(isOneField ? [] : [{ name: eventTimeColumn, type: 'timestamp', presence: 'required' } as const]),
    ...fields,
    ...found.flatMap(({ schema: own, source }, index): Field[] => {
      const name = hidden[index] ?? null;
      if (name === null) return [];
      return [{ name, type: own.field(source.duplicates?.by ?? '')?.type ?? 'string', presence: 'optional' }];
    }),
  ]);
  const inputs = found.map((input, index) => {
    const lift = schema.fields.map(({ name }): LiftedField => {
      if (name === nameColumn) return { text: input.name };
      if (!isOneField && name === eventTimeColumn) return 'event time';
      if (name.startsWith('(')) return name === hidden[index] ? { column: input.source.duplicates?.by ?? '' } : null;
      return input.schema.field(name) === undefined ? null : { column: name };
    });
    return Object.freeze({ ...input, lift: Object.freeze(lift) });
  });
  return {
    plan: { inputs, schema, join: null, enriched: null, duplicates: hidden, select: null },
    schema,
    key: first.source.key,
    eventTimeField,
  };
}

/** The fields of all inputs by name, in the order in which they come; one that not every input must have is optional. */
function unitedFields(
  document: PlanDocument,
  found: readonly ReadInput[],
  report: (path: DocumentPath, finding: Finding) => void,
): readonly Field[] {
  const fields = new Map<string, Field & { readonly of: string }>();
  for (const { name: input, schema } of found) {
    for (const { name, type, presence } of schema.fields) {
      const known = fields.get(name);
      if (name === nameColumn || name === eventTimeColumn) {
        const message = `"${name}" is what a union calls ${name === nameColumn ? "the input's name" : 'the event time'}`;
        diagnose(input, name, { code: 'NAME_DUPLICATE', message, expected: 'another name' });
      } else if (known !== undefined && known.type !== type) {
        const message = `"${name}" is a ${type}, and in "${known.of}" a ${known.type}`;
        diagnose(input, name, { code: 'TYPE_WRONG', message, expected: `a ${known.type}` });
      }
      const isEverywhere = found.every((other) => other.schema.field(name)?.presence === 'required');
      if (known === undefined) {
        fields.set(name, { name, type, presence: isEverywhere ? presence : 'optional', of: input });
      }
    }
  }
  return [...fields.values()].map(({ name, type, presence }) => ({ name, type, presence }));

  /** At the field where it is written in the job file; otherwise at the schema that is named there. */
  function diagnose(input: string, name: string, finding: Finding): void {
    const sources = (
      document.value as { readonly sources?: Readonly<Record<string, Readonly<Record<string, unknown>>>> }
    ).sources;
    const isWritten = sources?.[input]?.['fields'] !== undefined;
    report(['sources', input, ...(isWritten ? ['fields', name] : ['schema'])], finding);
  }
}
