import { createHash } from 'node:crypto';
import type { Schema } from '../engine/record/schema.ts';
import type { FeaturePlan, PlannedFeature } from './feature-plan.ts';

/** Changes when the same definition comes to mean other numbers. */
const meaningVersion = 1;

/**
 * SHA-256 (64 hex digits) over what the features of a plan compute: their definitions, defaults, entities and the types of the fields that
 * they read. Formatting, comments, the order of keys and of files, and how an expression is spaced make no difference.
 */
export function digestOfFeatures(features: readonly PlannedFeature[], schema: Schema): string {
  const definitions = features.map(definitionOf).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const made = new Set(features.flatMap(({ columns }) => columns.map(({ name }) => name)));
  const fieldNames = new Set(
    features.flatMap((feature) => [...feature.reads, ...(feature.kind === 'rolling' ? feature.key : [])]),
  );
  const fields = [...fieldNames]
    .filter((name) => !made.has(name))
    .sort()
    .map((name) => [name, schema.field(name)?.type ?? null]);
  return createHash('sha256').update(JSON.stringify({ meaningVersion, fields, definitions })).digest('hex');
}

/**
 * The digest over some feature columns and everything that they are computed from, for a model's manifest: a job may then gain features
 * that the model does not read without being another job to the model. The columns' order makes no difference here.
 */
export function featureDigest(plan: FeaturePlan, columnNames: readonly string[]): string {
  const makerOf = new Map(plan.features.flatMap((feature) => feature.columns.map(({ name }) => [name, feature])));
  const needed = new Set<PlannedFeature>();
  const take = (name: string): void => {
    const feature = makerOf.get(name);
    if (feature === undefined || needed.has(feature)) return;
    needed.add(feature);
    feature.reads.forEach(take);
  };
  columnNames.forEach(take);
  const columns = columnNames.filter((name) => !makerOf.has(name)).sort();
  const digest = digestOfFeatures([...needed], plan.inputSchema);
  // Fields of the record may be given to a model too; they compute nothing, but which they are matters.
  return columns.length === 0
    ? digest
    : createHash('sha256')
        .update(`${digest} ${columns.join(' ')}`)
        .digest('hex');
}

/** A feature as plain data in one fixed order of keys. */
function definitionOf(feature: PlannedFeature): { readonly name: string } & Readonly<Record<string, unknown>> {
  const { name } = feature;
  const missing = feature.columns[0]?.default ?? null;
  if (feature.kind === 'derived') return { name, expr: feature.expression.canonical, default: missing };
  const { key, aggregate } = feature;
  return {
    name,
    key,
    function: aggregate.function,
    input: aggregate.input,
    where: aggregate.where,
    overMs: aggregate.overMs,
    delayMs: aggregate.delayMs,
    // A delayed window ends before the record, so for it "current" makes no difference.
    current: aggregate.delayMs > 0 ? 'exclude' : aggregate.current,
    n: aggregate.n,
    halfLifeMs: aggregate.halfLifeMs,
    // Absent where each record is kept, as it was before there were panes.
    ...(feature.panes === null ? {} : { panes: feature.panes }),
    default: missing,
  };
}
