import { checkShape } from '../../engine/plan/check-shape.ts';
import type { DocumentPath, PlanDocument } from '../../engine/plan/plan-document.ts';
import type { InputDefinition, TableCopyDefinition } from '../plan/inputs-plan.ts';
import type { JobFiles } from '../job-files.ts';
import { sourceParts, type SourceParts } from '../job-file.ts';

/** Somebody who changes a limit expects it to count soon, and a table is asked for whole each time. */
const defaultEveryMs = 60_000;

/**
 * Checks what a table's topic is a copy of, if it says so. Called once for each table while a job is loaded, when the table itself is sound; adds what is wrong to `files`.
 */
export function checkTableCopy(
  document: PlanDocument,
  path: DocumentPath,
  { kind, format }: InputDefinition['source'],
  { diagnostics }: JobFiles,
): TableCopyDefinition | null {
  // What is wrong with it was told with the rest of the table.
  const part = checkShape(document, [...path, 'copyOf'], sourceParts.copyOf, []);
  if (part === undefined) return null;
  if (kind !== 'topic' || format !== 'json') {
    const message = kind === 'topic' ? 'a copy is written as JSON' : 'a copy is kept in a topic';
    const expected = kind === 'topic' ? 'no "format"' : '"topic"';
    diagnostics.push(document.atKey([...path, 'copyOf'], { code: 'VALUE_WRONG', message, expected }));
  }
  return Object.freeze({ query: part.clickhouse, everyMs: part.every ?? defaultEveryMs });
}

/** Says of what belongs to a table that it means nothing to another source. */
export function checkNoCopy(
  document: PlanDocument,
  path: DocumentPath,
  { copyOf }: Partial<SourceParts>,
  { diagnostics }: JobFiles,
): void {
  if (path[0] === 'tables' || copyOf === undefined) return;
  const message = '"copyOf" is for tables: records of a stream are read where they are';
  diagnostics.push(
    document.atKey([...path, 'copyOf'], { code: 'VALUE_WRONG', message, expected: '"tables", or no "copyOf"' }),
  );
}
