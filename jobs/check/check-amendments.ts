import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { DocumentPath, Finding, PlanDocument } from '../../engine/plan/plan-document.ts';
import type { FeaturePlan } from '../../features/feature-plan.ts';
import { acrossEntities } from '../../operators/amend/across-entities.ts';
import type { WatchedColumn } from '../../operators/amend/amend-definition.ts';
import type { AmendPlan } from '../plan/amend-plan.ts';
import type { AmendPart } from './check-amend-shape.ts';
import type { SourceDefinition } from '../checked-job.ts';
import type { JobFiles } from '../job-files.ts';
import type { JobParts } from '../job-file.ts';

const operatorId = 'amendments';
/** The published example's first field, which names a decision where a record has it. */
const leadingField = 'transaction_id';

/** What of a job decides whether its decisions can be amended, beside `amendments:` itself. */
export interface AmendContext {
  readonly source: SourceDefinition | null;
  readonly features: FeaturePlan | null;
}

/** Parts of a job whose results are of more than one record, or of what features do not say again. */
const unfitParts = ['windows', 'pattern', 'sessions', 'flatMap'] as const;

/**
 * Checks a job's amendments and plans their operator; adds what is wrong to `files` and gives `null`. Called once while a job is loaded. That their topic is no other of the job's is
 * checked with its outputs.
 */
export function checkAmendments(
  document: PlanDocument,
  parts: Partial<JobParts>,
  { source, features }: AmendContext,
  files: JobFiles,
): AmendPlan | null {
  const { amendments } = parts;
  if (amendments === undefined) return null;
  const { diagnostics } = files;
  const before = diagnostics.length;
  const report = (path: DocumentPath, finding: Omit<Finding, 'code'>): void => {
    diagnostics.push(document.atKey(path, { code: 'VALUE_WRONG', ...finding }));
  };
  for (const part of unfitParts) {
    if (parts[part] === undefined) continue;
    const message = `amendments tell the features of single records anew, and "${part}" makes other results`;
    report(['amendments'], { message, expected: `no "amendments", or no "${part}"` });
  }
  if (source !== null && source.kind !== 'topic') {
    const message = 'amendments need the times at which a log took its records, and an order in which they came';
    report(['amendments'], { message, expected: 'a job of one source that is a topic' });
  }
  const rescores = amendments.rescore === true;
  if (rescores && parts.score === undefined) {
    report(['amendments', 'rescore'], {
      message: 'this job has no model to score with',
      expected: '"score", or no "rescore"',
    });
  }
  if (features === null || source === null || source.kind !== 'topic') return null;
  const rolling = features.features.flatMap((feature) => (feature.kind === 'rolling' ? [feature] : []));
  if (rolling.length === 0) {
    const message = 'no record changes the features of another in this job: none is over the records of an entity';
    report(['amendments'], { message, expected: 'no "amendments"' });
    return null;
  }
  if (features.steps.some((step) => step.kind === 'rolling' && step.definition.panes !== undefined)) {
    const message = 'a feature in panes is not told by single records, so a late one cannot be put in its place';
    report(['amendments'], { message, expected: 'features with "resolution: exact"' });
  }
  const across = amendments.maxRecordsPerKey === undefined ? null : acrossEntities(features.steps);
  if (across !== null) {
    const message = `"${across}" is over what windows of another key have answered, so a record that a key lets go would be missed by another`;
    report(['amendments', 'maxRecordsPerKey'], { message, expected: 'no "maxRecordsPerKey", or no such feature' });
  }
  const watched = watchedColumns(document, amendments, features, files);
  if (diagnostics.length > before) return null;
  const { key, duplicates } = source;
  const entities = rolling.flatMap((feature) => feature.key);
  const named = [leadingField, ...(duplicates === null ? [] : [duplicates.by]), key, ...entities];
  const definition = Object.freeze({
    operatorId,
    key: Object.freeze([key]),
    identity: Object.freeze([...new Set(named)].filter((name) => features.inputSchema.indexOf(name) >= 0)),
    features: Object.freeze(features.columns.map(({ name }) => name)),
    watched: Object.freeze(watched),
    withinMs: amendments.within,
    steps: features.steps,
    closedBy: rolling.every((feature) => feature.key.includes(key)) ? ('partition' as const) : ('query' as const),
    ...(rescores ? { carried: Object.freeze(carriedFields(features)) } : {}),
    ...(amendments.maxRecordsPerKey === undefined ? {} : { maxRecordsPerKey: amendments.maxRecordsPerKey }),
  });
  const { topic, format = 'json' } = amendments;
  return Object.freeze({ topic, format, definition, scores: rescores ? 'before and after' : 'none' });
}

/** The record's own fields that a model may read, as `modelColumns` has it of features. */
function carriedFields({ inputSchema }: FeaturePlan): readonly string[] {
  const numbers = inputSchema.fields.filter(({ type }) => type !== 'string' && type !== 'timestamp');
  return numbers.map(({ name }) => name);
}

/** The columns whose deviation counts: all, or those of the features that are named. */
function watchedColumns(
  document: PlanDocument,
  { tolerance }: AmendPart,
  { features, columns }: FeaturePlan,
  { diagnostics }: JobFiles,
): readonly WatchedColumn[] {
  if ('kind' in tolerance) return columns.map(({ name }) => ({ column: name, tolerance }));
  const columnsOf = new Map(features.map((feature) => [feature.name, feature.columns.map(({ name }) => name)]));
  for (const { name } of columns) if (!columnsOf.has(name)) columnsOf.set(name, [name]);
  const named = new Map<string, WatchedColumn>();
  for (const [name, own] of Object.entries(tolerance.of)) {
    const found = columnsOf.get(name);
    if (found === undefined) {
      const known = [...columnsOf.keys()];
      diagnostics.push(
        document.atKey(['amendments', 'tolerance', name], {
          code: 'NAME_UNKNOWN',
          message: `"${name}" is no feature of this job`,
          expected: `one of ${known.join(', ')}`,
          nearest: nearestName(name, known),
        }),
      );
    }
    for (const column of found ?? []) named.set(column, { column, tolerance: own });
  }
  if (Object.keys(tolerance.of).length === 0) {
    const message = 'no feature is named, so none is looked at';
    const expected = 'features by name, or one tolerance for all';
    diagnostics.push(document.atKey(['amendments', 'tolerance'], { code: 'VALUE_WRONG', message, expected }));
  }
  return columns.flatMap(({ name }) => named.get(name) ?? []);
}
