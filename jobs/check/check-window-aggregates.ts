import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { DocumentPath, Finding, PlanDocument } from '../../engine/plan/plan-document.ts';
import type { Diagnostic } from '../../engine/plan/diagnostic.ts';
import { tryCompileExpression, type CompiledExpression } from '../../engine/expression/compile-expression.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { argumentColumn, isName } from '../../features/argument-column.ts';
import { inputTypes, type AggregateFunction, type AggregateSpec } from '../../operators/aggregate/aggregate-spec.ts';
import { windowColumns, type WindowAggregate } from '../../operators/window/window-definition.ts';
import { aggregateVerbs, type AggregateDeclaration } from './check-window-shape.ts';

/** The settings that belong to each verb; those with `true` must be there. */
const settingsOf: Readonly<
  Partial<Record<AggregateFunction, Readonly<Partial<Record<keyof AggregateDeclaration, string>>>>>
> = {
  approxDistinct: { error: '' },
  quantile: { q: 'q: 0.95', error: '' },
  topK: { k: 'k: 3', capacity: '' },
  histogram: { boundaries: 'boundaries: [10, 100]' },
  collect: { limit: '' },
  argMax: { by: 'by: amount' },
  argMin: { by: 'by: amount' },
  top: { by: 'by: amount', n: 'n: 3', order: '' },
};

/** The arguments of a window operator that are expressions, by the columns that they are derived as. */
export type ArgumentColumns = Map<string, CompiledExpression>;

/** Where an expression stands, and what it is compiled against. */
export interface ExpressionPlace {
  readonly document: PlanDocument;
  readonly path: DocumentPath;
  readonly schema: Schema;
  readonly diagnostics: Diagnostic[];
}

/** Compiles the expression at a place; says there what is wrong with it, and gives `null`. */
function compileAt(text: string, { document, path, schema, diagnostics }: ExpressionPlace): CompiledExpression | null {
  const outcome = tryCompileExpression(text, schema);
  if (outcome.problems === null) return outcome.expression;
  for (const { span, message, expected, nearest } of outcome.problems) {
    diagnostics.push(document.atPartOfValue(path, span, { code: 'EXPRESSION_INVALID', message, expected, nearest }));
  }
  return null;
}

/** The column of an expression: the field itself, or one that is derived for it, which `derived` is told of. */
export function columnFor(argument: CompiledExpression, derived: ArgumentColumns): string {
  const column = argumentColumn(argument);
  if (!isName(argument)) derived.set(column, argument);
  return column;
}

/** Compiles a condition; one that is no condition is refused. */
export function conditionAt(text: string, place: ExpressionPlace): CompiledExpression | null {
  const condition = compileAt(text, place);
  if (condition === null || condition.type === 'boolean') return condition;
  const message = `the condition is a ${condition.type}`;
  place.diagnostics.push(
    place.document.atValue(place.path, { code: 'TYPE_WRONG', message, expected: 'a comparison, or a boolean field' }),
  );
  return null;
}

/**
 * Checks the aggregates of a job's windows, each on its own.
 *
 * @param key the window's key; no aggregate may be called as one of its columns.
 * @param derived told of arguments that are expressions.
 */
export function checkWindowAggregates(
  aggregates: Readonly<Record<string, AggregateDeclaration>>,
  key: readonly string[],
  place: ExpressionPlace,
  derived: ArgumentColumns,
): readonly WindowAggregate[] {
  const names = Object.keys(aggregates);
  if (names.length === 0) {
    const message = '"aggregates" is empty';
    const expected = 'aggregates by name, such as total: { sum: amount }';
    place.diagnostics.push(place.document.atKey(place.path, { code: 'KEY_MISSING', message, expected }));
  }
  return names.flatMap((name) => {
    const own = { ...place, path: [...place.path, name] };
    checkName(name, key, own);
    const aggregate = checkAggregate(name, aggregates[name] ?? {}, own, derived);
    return aggregate === null ? [] : [aggregate];
  });
}

function checkName(name: string, key: readonly string[], { document, path, diagnostics }: ExpressionPlace): void {
  const report = (finding: Finding): void => void diagnostics.push(document.atKey(path, finding));
  if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) {
    const message = `"${name}" cannot be the name of a column`;
    report({ code: 'VALUE_WRONG', message, expected: 'a letter, then letters, digits and _' });
  }
  if (key.includes(name) || (windowColumns as readonly string[]).includes(name)) {
    report({ code: 'NAME_DUPLICATE', message: `a result already has a field "${name}"`, expected: 'another name' });
  }
}

function checkAggregate(
  name: string,
  declaration: AggregateDeclaration,
  place: ExpressionPlace,
  derived: ArgumentColumns,
): WindowAggregate | null {
  const { document, path, diagnostics } = place;
  const before = diagnostics.length;
  const report = (key: string | null, finding: Omit<Finding, 'code'>): void => {
    diagnostics.push(document.atKey(key === null ? path : [...path, key], { code: 'VALUE_WRONG', ...finding }));
  };
  const given = aggregateVerbs.filter((candidate) => declaration[candidate] !== undefined);
  const [verb, second] = given;
  if (verb === undefined) {
    report(null, { message: 'the aggregate says nothing to compute', expected: `one of ${aggregateVerbs.join(', ')}` });
    return null;
  }
  if (second !== undefined) {
    report(second, { message: `an aggregate computes one thing; this one has ${given.join(' and ')}` });
    return null;
  }
  const settings = settingsOf[verb] ?? {};
  for (const [setting, example] of Object.entries(settings)) {
    if (example !== '' && declaration[setting as keyof AggregateDeclaration] === undefined) {
      report(verb, { message: `"${verb}" needs "${setting}"`, expected: example });
    }
  }
  const allowed = [verb, ...Object.keys(settings), 'where', 'description'];
  for (const key of Object.keys(declaration)) {
    if (!allowed.includes(key)) {
      report(key, { message: `"${key}" means nothing to "${verb}"`, nearest: nearestName(key, Object.keys(settings)) });
    }
  }
  if (declaration.boundaries?.some((boundary, i, all) => i > 0 && boundary <= (all[i - 1] ?? 0)) === true) {
    report('boundaries', { message: 'the boundaries do not ascend', expected: 'each greater than the one before' });
  }
  if (verb === 'approxDistinct' && declaration.error !== undefined && declaration.error < 0.005) {
    report('error', { message: `the standard error is ${declaration.error}`, expected: 'at least 0.005' });
  }
  const capacity = declaration.capacity;
  if (capacity !== undefined && capacity < (declaration.k ?? 1)) {
    report('capacity', { message: `"capacity" is less than "k"`, expected: `at least ${declaration.k}` });
  }
  const argument = declaration[verb];
  const compiled = (text: string, ...at: readonly (string | number)[]): CompiledExpression | null =>
    compileAt(text, { ...place, path: [...path, ...at] });
  const isRanked = verb === 'argMax' || verb === 'argMin' || verb === 'top';
  const kept = !isRanked
    ? []
    : typeof argument === 'string'
      ? [compiled(argument, verb)]
      : declaration.top?.map((field, index) => compiled(field, verb, index));
  if (verb === 'top') checkTopFields(declaration.top ?? [], place);
  const ranking = isRanked && declaration.by !== undefined ? compiled(declaration.by, 'by') : null;
  const input = isRanked ? ranking : typeof argument === 'string' ? compiled(argument, verb) : null;
  const types = inputTypes(verb);
  if (input !== null && !types.includes(input.type)) {
    const [at, what] = isRanked ? ['by', `what "${verb}" ranks by`] : [verb, `what "${verb}" takes`];
    const message = isRanked ? `${what} cannot be a ${input.type}` : `"${verb}" cannot take a ${input.type}`;
    const expected = `a ${types.join(' or ')}`;
    diagnostics.push(document.atValue([...path, at], { code: 'TYPE_WRONG', message, expected }));
  }
  const { where } = declaration;
  const condition = where === undefined ? null : conditionAt(where, { ...place, path: [...path, 'where'] });
  if (diagnostics.length > before) return null;
  return Object.freeze({
    name,
    spec: Object.freeze(specOf(verb, declaration, place.schema)),
    input: input === null ? null : columnFor(input, derived),
    where: condition === null ? null : columnFor(condition, derived),
    ...(isRanked ? { carried: (kept ?? []).flatMap((each) => (each === null ? [] : [columnFor(each, derived)])) } : {}),
  });
}

/** A list names fields, which are what its objects have. */
function checkTopFields(names: readonly string[], { document, path, schema, diagnostics }: ExpressionPlace): void {
  names.forEach((name, index) => {
    const isTwice = names.indexOf(name) < index;
    if (schema.indexOf(name) >= 0 && !isTwice) return;
    // What is no expression either was said.
    if (!isTwice && tryCompileExpression(name, schema).problems !== null) return;
    const message = isTwice ? `"${name}" is here twice` : `"${name}" is no field, which an object could have`;
    const expected = `one of ${schema.fields.map((field) => field.name).join(', ')}`;
    diagnostics.push(document.atValue([...path, 'top', index], { code: 'VALUE_WRONG', message, expected }));
  });
}

function specOf(verb: AggregateFunction, declaration: AggregateDeclaration, schema: Schema): AggregateSpec {
  const { q = 0.5, error, k = 1, capacity, boundaries = [], limit = 100 } = declaration;
  switch (verb) {
    case 'approxDistinct':
      return { function: verb, error: error ?? 0.02 };
    case 'quantile':
      return { function: verb, q, error: error ?? 0.01 };
    case 'topK':
      return { function: verb, k, capacity: capacity ?? Math.max(100, 10 * k) };
    case 'histogram':
      return { function: verb, boundaries: Object.freeze([...boundaries]) };
    case 'collect':
      return { function: verb, limit };
    case 'top': {
      const { n = 1, order = 'descending', top = [] } = declaration;
      const fields = top.map((name) => ({ name, isBoolean: schema.field(name)?.type === 'boolean' }));
      return { function: verb, n, order, fields };
    }
    case 'argMax':
    case 'argMin':
    case 'count':
    case 'sum':
    case 'avg':
    case 'min':
    case 'max':
    case 'stddev':
    case 'variance':
    case 'first':
    case 'last':
    case 'distinct':
      return { function: verb };
  }
}
