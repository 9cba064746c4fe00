import type { PlanDocument } from '../../engine/plan/plan-document.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { conditionAt } from './check-window-aggregates.ts';
import type { SinkPart } from '../job-file.ts';
import type { JobFiles } from '../job-files.ts';

/**
 * Checks the conditions by which results go to a job's topics: each to every topic whose condition holds. Called once while a job is loaded; adds what is wrong to `files`.
 *
 * @param schema of the results.
 */
export function checkBranches(
  document: PlanDocument,
  sinks: readonly SinkPart[],
  schema: Schema,
  { diagnostics }: JobFiles,
): void {
  sinks.forEach(({ where }, index) => {
    if (where !== undefined) conditionAt(where, { document, schema, diagnostics, path: ['sinks', index, 'where'] });
  });
}
