import { namesIn, parseExpression } from '../engine/expression/syntax.ts';
import type { Diagnostic } from '../engine/plan/diagnostic.ts';
import { nearestName } from '../engine/plan/nearest-name.ts';
import type { PlanDocument } from '../engine/plan/plan-document.ts';
import { Schema, type Field } from '../engine/record/schema.ts';
import { declaredFeatures, type DeclaredFeature } from './declared-feature.ts';
import { digestOfFeatures } from './feature-digest.ts';
import type { FeaturePlan, PlannedFeature } from './feature-plan.ts';
import { layOutSteps } from './lay-out-steps.ts';
import { orderByNeed } from './order-features.ts';
import { planFeature } from './plan-feature.ts';

/** What features are computed over. */
export interface FeatureContext {
  /** The source's fields. */
  readonly schema: Schema;
  /** The field that event time is read from. */
  readonly eventTimeField: string;
  /** How long behind the watermark a record may come and still find its whole window. */
  readonly allowedLatenessMs: number;
}

/** A plan, or all that is wrong with the declarations. */
export type FeatureOutcome =
  | { readonly plan: FeaturePlan; readonly diagnostics: null }
  | { readonly plan: null; readonly diagnostics: readonly Diagnostic[] };

/**
 * Turns files of features into a plan: checks every declaration, expression and name over all files, orders what is chained, and lays
 * the operators out. Called when a job is checked, and by replay and training with the same files. Pure.
 *
 * @param files one document a file, in the job's order, in which feature columns then are.
 */
export function compileFeatures(files: readonly PlanDocument[], context: FeatureContext): FeatureOutcome {
  const diagnostics: Diagnostic[] = [];
  const declared = files.flatMap((file) => {
    const features = declaredFeatures(file, diagnostics);
    checkEntity(file, features[0]?.key ?? [], context.schema, diagnostics);
    return features;
  });
  const unique = withoutDuplicates(declared, context.schema, diagnostics);
  const makerOf = new Map(unique.flatMap((feature) => feature.columns.map((column) => [column, feature])));
  const items = unique.map((feature) => {
    return { name: feature.name, needs: needsOf(feature, makerOf), feature };
  });
  const { ordered, cycles } = orderByNeed(items);
  for (const cycle of cycles) diagnostics.push(cycleDiagnostic(cycle.map(({ feature }) => feature)));

  // Features in a circle come last: their own expressions are still looked at, though none of them gets a type.
  const all = new Set([...ordered, ...items]);
  const pending = new Set(makerOf.keys());
  const known: Field[] = [...context.schema.fields];
  const planned = new Map<DeclaredFeature, PlannedFeature>();
  for (const { feature } of all) {
    const result = planFeature(feature, { ...context, schema: new Schema(known), pending }, diagnostics);
    if (result === null) continue;
    planned.set(feature, result);
    for (const { name, type } of result.columns) {
      pending.delete(name);
      known.push({ name, type, presence: 'optional' });
    }
  }
  if (diagnostics.length > 0) return { plan: null, diagnostics };
  const inOrderOfNeed = ordered.flatMap(({ feature }) => planned.get(feature) ?? []);
  const inOrderOfDeclaration = declared.flatMap((feature) => planned.get(feature) ?? []);
  return { plan: assemble(inOrderOfDeclaration, inOrderOfNeed, context), diagnostics: null };
}

function assemble(
  declared: readonly PlannedFeature[],
  ordered: readonly PlannedFeature[],
  { schema, allowedLatenessMs }: FeatureContext,
): FeaturePlan {
  const { steps, placed } = layOutSteps(ordered, schema, allowedLatenessMs);
  const features = declared.map((feature) => Object.freeze(placed.get(feature.name) ?? feature));
  return Object.freeze({
    inputSchema: schema,
    outputSchema: steps.at(-1)?.output ?? schema,
    steps: Object.freeze(steps),
    features: Object.freeze(features),
    columns: Object.freeze(features.flatMap(({ columns }) => columns)),
    allowedLatenessMs,
    digest: digestOfFeatures(features, schema),
  });
}

/** An entity's columns are fields of the record that can be a key. */
function checkEntity(file: PlanDocument, key: readonly string[], schema: Schema, diagnostics: Diagnostic[]): void {
  const isList = Array.isArray((file.value as { entity?: unknown } | undefined)?.entity);
  const candidates = schema.fields.filter(({ type }) => type === 'string' || type === 'long').map(({ name }) => name);
  key.forEach((name, index) => {
    if (candidates.includes(name) || name === '?') return;
    const type = schema.field(name)?.type;
    diagnostics.push(
      file.atValue(isList ? ['entity', index] : ['entity'], {
        code: type === undefined ? 'NAME_UNKNOWN' : 'TYPE_WRONG',
        message: type === undefined ? `the record has no field "${name}"` : `"${name}" is a ${type}, which is no key`,
        expected: `one of ${candidates.join(', ')}`,
        nearest: nearestName(name, candidates),
      }),
    );
  });
}

/** Reports columns that two features make, or that the record has already; the first of them is kept. */
function withoutDuplicates(
  declared: readonly DeclaredFeature[],
  schema: Schema,
  diagnostics: Diagnostic[],
): readonly DeclaredFeature[] {
  const makerOf = new Map<string, DeclaredFeature>();
  return declared.filter((feature) => {
    const { document, path, columns } = feature;
    const report = (message: string): false => {
      diagnostics.push(document.atKey(path, { code: 'NAME_DUPLICATE', message, expected: 'another name' }));
      return false;
    };
    const field = columns.find((column) => schema.indexOf(column) >= 0);
    if (field !== undefined) return report(`the record already has a field "${field}"`);
    const taken = columns.find((column) => makerOf.has(column));
    const maker = taken === undefined ? undefined : makerOf.get(taken);
    if (maker !== undefined) {
      const { file, line } = maker.document.atKey(maker.path, { code: 'NAME_DUPLICATE', message: '' });
      return report(`"${taken}" is already made by "${maker.name}" (${file}:${line})`);
    }
    for (const column of columns) makerOf.set(column, feature);
    return true;
  });
}

/** The names of the features that a feature's expressions read. */
function needsOf(feature: DeclaredFeature, makerOf: ReadonlyMap<string, DeclaredFeature>): readonly string[] {
  const { verb, declaration } = feature;
  const argument = verb === null ? undefined : declaration[verb];
  const texts = [argument, declaration.where].filter((text) => typeof text === 'string');
  const names = texts.flatMap((text) => {
    const parsed = parseExpression(text);
    return parsed.problems === null ? namesIn(parsed.root) : [];
  });
  return [...new Set(names.flatMap((name) => makerOf.get(name)?.name ?? []))];
}

function cycleDiagnostic(cycle: readonly DeclaredFeature[]): Diagnostic {
  const [first] = cycle;
  if (first === undefined) throw new RangeError('a circle has at least one feature');
  const names = [...cycle, first].map(({ name }) => name);
  const [start, ...rest] = names;
  const message =
    cycle.length === 1
      ? `"${start}" is computed from itself`
      : `features cannot be computed from each other in a circle: ${start} needs ${rest.join(', which needs ')}`;
  return first.document.atKey(first.path, { code: 'FEATURE_CYCLE', message });
}
