import { tryCompileExpression, type CompiledExpression } from '../engine/expression/compile-expression.ts';
import type { Diagnostic } from '../engine/plan/diagnostic.ts';
import type { FieldType, Schema } from '../engine/record/schema.ts';
import type { RollingAggregate, RollingFunction } from '../operators/rolling/rolling-definition.ts';
import { formatDuration } from '../engine/time/duration.ts';
import { tilingProblem } from '../operators/rolling/pane-layout.ts';
import { argumentColumn } from './argument-column.ts';
import type { DeclaredFeature } from './declared-feature.ts';
import type { FeatureColumn, PlannedFeature } from './feature-plan.ts';

/** What is known when one feature is planned. */
export interface FeatureScope {
  /** The source's fields and the columns of every feature planned so far. */
  readonly schema: Schema;
  /** Columns of features that are not planned, because they are broken or come later in a circle. */
  readonly pending: ReadonlySet<string>;
  readonly eventTimeField: string;
}

/** Functions of numbers; booleans count as 0 and 1, so that `avg: is_fraud` is a share. */
const numericFunctions = new Set<RollingFunction>(['sum', 'avg', 'min', 'max', 'stddev', 'decayedSum']);

/**
 * Gives one declared feature its types, or adds what is wrong with it to `diagnostics` and gives `null`. A feature that reads a pending one
 * is `null` without a word: what is wrong there is said there.
 */
export function planFeature(
  feature: DeclaredFeature,
  scope: FeatureScope,
  diagnostics: Diagnostic[],
): PlannedFeature | null {
  const { verb, declaration } = feature;
  if (verb === null) return null;
  const before = diagnostics.length;
  const where = compileAt(feature, 'where', declaration.where, scope, diagnostics);
  const argument = declaration[verb];
  const reads = verb !== 'count' && verb !== 'sinceLast';
  const input = reads && typeof argument === 'string' ? compileAt(feature, verb, argument, scope, diagnostics) : null;
  if (verb === 'sinceLast') checkSinceLast(feature, scope, diagnostics);
  if (where !== null && where.type !== 'boolean') {
    report(feature, 'where', diagnostics, `the condition is a ${where.type}`, 'a comparison, or a boolean field');
  }
  if (input !== null && verb !== 'expr' && numericFunctions.has(verb) && !isNumeric(input.type)) {
    report(feature, verb, diagnostics, `"${verb}" cannot take a ${input.type}`, 'a number or a boolean');
  }
  const complete = (declaration.where === undefined || where !== null) && (!reads || input !== null);
  if (diagnostics.length > before || !complete) return null;
  if (input !== null && input.type === 'string' && declaration.default !== undefined && isValued(verb)) {
    report(feature, 'default', diagnostics, 'the feature is a string, which no model is given', 'no default');
    return null;
  }
  if (verb === 'expr') return derivedFeature(feature, input);
  checkPanes(feature, verb, input?.type ?? null, diagnostics);
  return diagnostics.length > before ? null : rollingFeature(feature, verb, input, where);
}

function derivedFeature(feature: DeclaredFeature, expression: CompiledExpression | null): PlannedFeature | null {
  if (expression === null) return null;
  const { name, document, declaration } = feature;
  return {
    kind: 'derived',
    name,
    file: document.file,
    columns: columnsOf(feature, expression.type, declaration.default ?? null),
    reads: expression.reads,
    expression,
  };
}

function rollingFeature(
  feature: DeclaredFeature,
  verb: RollingFunction,
  input: CompiledExpression | null,
  where: CompiledExpression | null,
): PlannedFeature {
  const { name, document, declaration, key } = feature;
  const aggregate: RollingAggregate = {
    name,
    function: verb,
    input: input === null ? null : argumentColumn(input),
    where: where === null ? null : argumentColumn(where),
    overMs: declaration.over ?? 0,
    delayMs: declaration.delay ?? 0,
    current: declaration.current ?? 'exclude',
    n: declaration.n ?? null,
    halfLifeMs: declaration.halfLife ?? null,
  };
  const counts = verb === 'count' || verb === 'distinct';
  const type = isValued(verb) && input !== null ? input.type : counts ? 'long' : 'double';
  return {
    kind: 'rolling',
    name,
    file: document.file,
    columns: columnsOf(feature, type, declaration.default ?? null),
    reads: [...new Set([...(input?.reads ?? []), ...(where?.reads ?? [])])],
    key,
    operatorId: '',
    aggregate: Object.freeze(aggregate),
    panes: feature.panes,
    arguments: [input, where].filter((argument) => argument !== null),
  };
}

function columnsOf(feature: DeclaredFeature, type: FieldType, missing: number | null): readonly FeatureColumn[] {
  return Object.freeze(feature.columns.map((name) => Object.freeze({ name, type, default: missing })));
}

/** Functions that give back values as they are, and so take any type. */
function isValued(verb: RollingFunction | 'expr'): boolean {
  return verb === 'first' || verb === 'last' || verb === 'lastN' || verb === 'expr';
}

function isNumeric(type: FieldType): boolean {
  return type === 'double' || type === 'long' || type === 'boolean';
}

function checkSinceLast(feature: DeclaredFeature, scope: FeatureScope, diagnostics: Diagnostic[]): void {
  const argument = feature.declaration.sinceLast;
  if (argument === true || argument === scope.eventTimeField) return;
  const message = `"sinceLast" measures event time, which is read from "${scope.eventTimeField}"`;
  report(feature, 'sinceLast', diagnostics, message, `true or ${scope.eventTimeField}`);
}

/** A feature in panes is one that they can answer, over a window of at least one. */
function checkPanes(
  feature: DeclaredFeature,
  verb: RollingFunction,
  inputType: FieldType | null,
  diagnostics: Diagnostic[],
): void {
  const { panes, declaration } = feature;
  if (panes === null) return;
  const size = formatDuration(panes.sizeMs);
  const own =
    declaration.resolution !== undefined ? 'resolution' : declaration.compact !== undefined ? 'compact' : null;
  const problem = tilingProblem(verb, inputType);
  if (problem !== null) {
    const message = `"${verb}" ${problem}, so panes of ${size} cannot answer it`;
    report(feature, own ?? verb, diagnostics, message, 'resolution: exact');
  } else if ((declaration.over ?? 0) < panes.sizeMs) {
    const message = `the window of ${formatDuration(declaration.over ?? 0)} is shorter than a pane of ${size}`;
    report(feature, 'over', diagnostics, message, `at least ${size}, or a finer resolution`);
  }
}

function report(
  { document, path }: DeclaredFeature,
  key: string,
  diagnostics: Diagnostic[],
  message: string,
  expected: string,
): void {
  diagnostics.push(document.atValue([...path, key], { code: 'TYPE_WRONG', message, expected }));
}

/** Compiles the expression under `key`; `null` where there is none, or where it cannot be compiled. */
function compileAt(
  { document, path }: DeclaredFeature,
  key: string,
  text: string | undefined,
  { schema, pending }: FeatureScope,
  diagnostics: Diagnostic[],
): CompiledExpression | null {
  if (text === undefined) return null;
  const outcome = tryCompileExpression(text, schema, { pending });
  if (outcome.problems === null) return outcome.expression;
  for (const { span, message, expected, nearest } of outcome.problems) {
    diagnostics.push(
      document.atPartOfValue([...path, key], span, { code: 'EXPRESSION_INVALID', message, expected, nearest }),
    );
  }
  return null;
}
