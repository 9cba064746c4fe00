import { checkShape } from '../engine/plan/check-shape.ts';
import type { Diagnostic } from '../engine/plan/diagnostic.ts';
import type { DocumentPath, Finding, PlanDocument } from '../engine/plan/plan-document.ts';
import {
  entityDeclaration,
  featureDeclaration,
  featureVerbs,
  type FeatureDeclaration,
  type FeatureVerb,
} from './feature-declaration.ts';
import { checkBoth, panesOf, readPaneDefaults, type PaneDeclaration } from './pane-declaration.ts';
import type { PaneRule } from '../operators/rolling/rolling-definition.ts';

/** A feature as its file declares it, with the place to point at when something about it is wrong. */
export interface DeclaredFeature {
  readonly name: string;
  readonly document: PlanDocument;
  readonly path: DocumentPath;
  /** The columns that it makes. */
  readonly columns: readonly string[];
  readonly key: readonly string[];
  /** `null` where the declaration is broken: its name is known, so that features which read it are not blamed. */
  readonly verb: FeatureVerb | null;
  readonly declaration: FeatureDeclaration;
  /** Its own resolution, or that of its file; `null` for `exact`. */
  readonly panes: PaneRule | null;
}

/** Says what is wrong with a declaration, at one of its keys, or (`null`) at its name. */
type Report = (key: string | null, finding: Omit<Finding, 'code'>) => void;

/** Names that the expression language has other uses for, so that no expression could read such a feature. */
const reservedNames = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

/** Reads one file of features, adding what is wrong with its form to `diagnostics`. What they compute is checked by `compile-features.ts`. */
export function declaredFeatures(document: PlanDocument, diagnostics: Diagnostic[]): readonly DeclaredFeature[] {
  diagnostics.push(...document.diagnostics);
  if (document.diagnostics.length > 0) return [];
  const { value } = document;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const message = 'a file of features must be a mapping';
    diagnostics.push(document.atValue([], { code: 'TYPE_WRONG', message, expected: 'the keys entity and features' }));
    return [];
  }
  checkKeys(document, value, diagnostics);
  const key = readKey(document, value, diagnostics);
  const panes = readPaneDefaults(document, value, diagnostics);
  const features: unknown = 'features' in value ? value.features : undefined;
  if (typeof features !== 'object' || features === null || Array.isArray(features)) {
    const message = features === undefined ? '"features" is missing' : '"features" must be a mapping';
    const expected = 'features by name, such as txn_count_1h: { count: true, over: 1h }';
    diagnostics.push(document.atKey(['features'], { code: 'KEY_MISSING', message, expected }));
    return [];
  }
  return Object.keys(features).map((name) => declaredFeature(document, name, { key, panes }, diagnostics));
}

/** What may stand at the top of a file. */
const fileKeys: readonly string[] = ['entity', 'resolution', 'compact', 'features'];

function checkKeys(document: PlanDocument, value: object, diagnostics: Diagnostic[]): void {
  for (const name of Object.keys(value)) {
    if (fileKeys.includes(name)) continue;
    const message = `"${name}" is not a key that stands here`;
    diagnostics.push(
      document.atKey([name], { code: 'KEY_UNKNOWN', message, expected: `one of ${fileKeys.join(', ')}` }),
    );
  }
}

function readKey(document: PlanDocument, value: object, diagnostics: Diagnostic[]): readonly string[] {
  if (!('entity' in value)) return [];
  const entity = checkShape(document, ['entity'], entityDeclaration, diagnostics);
  return entity === undefined ? ['?'] : typeof entity === 'string' ? [entity] : entity;
}

/** What a file says of all its features. */
interface FileDefaults {
  readonly key: readonly string[];
  readonly panes: PaneDeclaration;
}

function declaredFeature(
  document: PlanDocument,
  name: string,
  { key, panes: ofFile }: FileDefaults,
  diagnostics: Diagnostic[],
): DeclaredFeature {
  const path = ['features', name];
  const before = diagnostics.length;
  const report: Report = (place, finding) => {
    const at = place === null ? path : [...path, place];
    diagnostics.push(document.atKey(at, { code: 'VALUE_WRONG', ...finding }));
  };
  if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name) || reservedNames.has(name)) {
    const message = `"${name}" cannot be read by an expression`;
    report(null, { message, expected: 'a letter, then letters, digits and _, and not a word of the language' });
  }
  const declaration = checkShape(document, path, featureDeclaration, diagnostics) ?? {};
  const verb = diagnostics.length > before ? null : checkVerb(declaration, key, report);
  const count = declaration.n ?? 1;
  const columns =
    declaration.lastN === undefined ? [name] : Array.from({ length: count }, (_, index) => `${name}_${index + 1}`);
  checkBoth(document, path, declaration, diagnostics);
  const panes = panesOf(declaration, ofFile);
  return { name, document, path, columns, key, verb: diagnostics.length > before ? null : verb, declaration, panes };
}

/** The one verb of a declaration; reports what does not go together with it. */
function checkVerb(declaration: FeatureDeclaration, key: readonly string[], report: Report): FeatureVerb | null {
  const verbs = featureVerbs.filter((candidate) => declaration[candidate] !== undefined);
  const [verb, second] = verbs;
  if (verb === undefined) {
    report(null, { message: 'the feature says nothing to compute', expected: `one of ${featureVerbs.join(', ')}` });
    return null;
  }
  if (second !== undefined) {
    report(second, { message: `a feature computes one thing; this one has ${verbs.join(' and ')}` });
    return null;
  }
  const needs: (keyof FeatureDeclaration)[] = verb === 'expr' ? [] : ['over'];
  if (verb === 'lastN') needs.push('n');
  if (verb === 'decayedSum') needs.push('halfLife');
  const examples: Partial<Record<keyof FeatureDeclaration, string>> = { over: '7d', n: '3', halfLife: '1d' };
  for (const needed of needs) {
    if (declaration[needed] === undefined) {
      report(verb, { message: `"${verb}" needs "${needed}"`, expected: `${needed}: ${examples[needed] ?? ''}` });
    }
  }
  const windowed = verb === 'expr' ? [] : (['over', 'delay', 'current', 'resolution', 'compact', 'where'] as const);
  const allowed = new Set<string>([verb, ...needs, ...windowed, 'default', 'description']);
  for (const given of Object.keys(declaration)) {
    if (!allowed.has(given)) report(given, { message: `"${given}" means nothing to "${verb}"` });
  }
  if (verb !== 'expr' && key.length === 0) {
    const message = `"${verb}" is computed over the records of an entity, and the file names none`;
    report(verb, { message, expected: 'entity: with a field, at the top of the file' });
  }
  return verb;
}
