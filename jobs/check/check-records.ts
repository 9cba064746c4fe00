import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { Finding, PlanDocument } from '../../engine/plan/plan-document.ts';
import { explodedField, type ExplodeDefinition } from '../../operators/select/explode.ts';
import { conditionAt } from './check-window-aggregates.ts';
import type { CheckedSource } from './check-source.ts';
import type { FlatMapPart } from './check-records-shape.ts';
import type { JobFiles } from '../job-files.ts';
import type { RecordsPlan } from '../plan/records-plan.ts';

/** What of a job file is checked here, and what it cannot stand beside. */
interface RecordsParts {
  readonly where?: string | undefined;
  readonly flatMap?: FlatMapPart | undefined;
  readonly sessions?: unknown;
  readonly windows?: unknown;
  readonly pattern?: unknown;
  readonly score?: unknown;
}

/** Checks what a job does with its records first; adds what is wrong to `files` and gives `null`. Called once while a job is loaded, before what sees what comes out. */
export function checkRecords(
  document: PlanDocument,
  parts: RecordsParts,
  { schema, definition: origin }: CheckedSource,
  files: JobFiles,
): RecordsPlan | null {
  const { where: condition, flatMap } = parts;
  if ((condition === undefined && flatMap === undefined) || schema === null || origin === null) return null;
  const { diagnostics } = files;
  const before = diagnostics.length;
  const where =
    condition === undefined ? null : conditionAt(condition, { document, diagnostics, schema, path: ['where'] });
  const report = (key: readonly string[], finding: Finding): void =>
    void diagnostics.push(document.atValue(key, finding));
  if (flatMap === undefined) {
    return diagnostics.length > before ? null : Object.freeze({ where, explode: null, outputSchema: schema });
  }
  const { from, as, separator } = flatMap;
  const texts = schema.fields.filter(({ type }) => type === 'string').map(({ name }) => name);
  if (!texts.includes(from)) {
    const type = schema.field(from)?.type;
    report(['flatMap', 'from'], {
      code: type === undefined ? 'NAME_UNKNOWN' : 'TYPE_WRONG',
      message: type === undefined ? `the record has no field "${from}"` : `"${from}" is a ${type}, which holds no list`,
      expected: `one of ${texts.join(', ')}`,
      nearest: nearestName(from, texts),
    });
  }
  if (schema.indexOf(as) >= 0) {
    const message = `the record has a field "${as}" itself`;
    report(['flatMap', 'as'], { code: 'NAME_DUPLICATE', message, expected: 'another name' });
  }
  // What these give or keep is accounted for by the records that they are given, and behind flatMap those are no records that were read.
  for (const key of ['windows', 'pattern', 'score'] as const) {
    if (parts[key] === undefined) continue;
    const message = `"${key}" cannot be behind "flatMap" in one job`;
    const expected = 'a job that writes the items to a topic, and another that reads it';
    diagnostics.push(document.atKey([key], { code: 'VALUE_WRONG', message, expected }));
  }
  if (diagnostics.length > before) return null;
  const explode: ExplodeDefinition = Object.freeze({
    from,
    as,
    form: separator === undefined ? 'json' : { separator },
  });
  return Object.freeze({ where, explode, outputSchema: schema.with(explodedField(explode)) });
}
