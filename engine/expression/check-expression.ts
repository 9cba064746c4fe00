import { strict as assert } from 'node:assert';
import { nearestName } from '../plan/nearest-name.ts';
import { recordBatch } from '../record/record-batch.ts';
import { valueAt } from '../record/column.ts';
import { Schema, type FieldType } from '../record/schema.ts';
import type { ExpressionProblem, Span } from './expression-problem.ts';
import { functionNames, functionTable } from './function-table.ts';
import { inNumbers, inStrings } from './functions/membership.ts';
import { fits, type Overload } from './overload.ts';
import type { SyntaxNode } from './syntax.ts';
import { columnNode, constantNode, type TypedNode } from './typed-node.ts';

/** A node, or `null` where it, or a part of it, is wrong: the problem has been reported, and nothing above it reports it again. */
type Checked = TypedNode | null;

/**
 * Gives every part of an expression a type and a loop, or says all that is wrong with it. Called by `compile-expression.ts` when a
 * plan is made.
 */
export function checkExpression(
  root: SyntaxNode,
  schema: Schema,
  names: NameHints = noHints,
): { readonly node: TypedNode; readonly problems: null } | { readonly problems: readonly ExpressionProblem[] } {
  const problems: ExpressionProblem[] = [];
  const node = check(root, { schema, names, problems });
  if (node !== null && node.type === 'null') {
    problems.push(problem(root.span, 'the expression is always null', 'an expression with a value'));
  }
  return node === null || problems.length > 0 ? { problems } : { node, problems: null };
}

/** What a caller that compiles many expressions at once knows of names beyond the schema. */
export interface NameHints {
  /** Names that are valid though they have no type yet, since what makes them is broken: nothing is said about them. */
  readonly pending: ReadonlySet<string>;
}

const noHints: NameHints = { pending: new Set() };

interface Context {
  readonly schema: Schema;
  readonly names: NameHints;
  readonly problems: ExpressionProblem[];
}

function problem(
  span: Span,
  message: string,
  expected: string | null,
  nearest: string | null = null,
): ExpressionProblem {
  return { span, message, expected, nearest };
}

function check(syntax: SyntaxNode, context: Context): Checked {
  switch (syntax.kind) {
    case 'literal':
      return constantNode(syntax.value, syntax.type, syntax.span);
    case 'name':
      return checkName(syntax.name, syntax.span, context);
    case 'list':
      context.problems.push(problem(syntax.span, 'a list stands only after "in"', 'a single value'));
      return null;
    case 'call':
      return syntax.name === 'in' ? checkMembership(syntax, context) : checkCall(syntax, context);
  }
}

function checkName(name: string, span: Span, { schema, names: { pending }, problems }: Context): Checked {
  const field = schema.field(name);
  if (field !== undefined) return columnNode(name, field.type, span);
  if (pending.has(name)) return null;
  const names = [...schema.fields.map((candidate) => candidate.name), ...pending];
  problems.push(
    problem(span, `no field or feature is named "${name}"`, `one of ${names.join(', ')}`, nearestName(name, names)),
  );
  return null;
}

function checkCall(syntax: SyntaxNode & { kind: 'call' }, context: Context): Checked {
  const { name, span } = syntax;
  const nodes = syntax.arguments.map((argument) => check(argument, context));
  const overloads = functionTable.get(name);
  if (overloads === undefined) {
    const nearest = nearestName(name, functionNames);
    context.problems.push(
      problem(span, `there is no function "${name}"`, `one of ${functionNames.join(', ')}`, nearest),
    );
    return null;
  }
  const known = nodes.filter((node) => node !== null);
  if (known.length < nodes.length) return null;
  const overload = overloads.find(
    ({ parameters }) =>
      parameters.length === known.length &&
      parameters.every((parameter, index) => {
        const node = known[index];
        return node !== undefined && fits(node, parameter);
      }),
  );
  if (overload === undefined) {
    const got = known.map((node) => (node.type === 'string' && node.constant !== null ? 'text' : node.type));
    context.problems.push(
      problem(span, `${labelOf(name)} cannot be used with (${got.join(', ')})`, expectedUses(name, overloads)),
    );
    return null;
  }
  const refusal = overload.refuse?.(known) ?? null;
  if (refusal !== null) {
    context.problems.push(refusal);
    return null;
  }
  return callNode(overload, known, span);
}

function callNode(overload: Overload, nodes: readonly TypedNode[], span: Span): TypedNode {
  const type = typeof overload.result === 'function' ? overload.result(nodes) : overload.result;
  const evaluate = overload.build(nodes);
  const node: TypedNode = {
    type,
    span,
    constant: null,
    evaluate,
    sql: (nameOf) =>
      overload.sql(
        nodes.map((operand) => operand.sql(nameOf)),
        nodes,
      ),
  };
  return nodes.every((operand) => operand.constant !== null) ? folded(node, type) : node;
}

/** A node over constants is a constant: it is computed here, over one row of no columns, by the same loop that would compute it later. */
function folded(node: TypedNode, type: FieldType): TypedNode {
  const oneRow = recordBatch(new Schema([]), [], { partition: 0, offset: 0, eventTimesMs: new Float64Array(1) });
  return constantNode(valueAt(node.evaluate(oneRow), 0), type, node.span);
}

/** `x in [...]`: the list is of constants of `x`'s type. */
function checkMembership(syntax: SyntaxNode & { kind: 'call' }, context: Context): Checked {
  const [left, right] = syntax.arguments;
  assert(left !== undefined && right !== undefined, '"in" has two sides');
  const tested = check(left, context);
  if (right.kind !== 'list') {
    context.problems.push(problem(right.span, '"in" needs a list', 'a list of constants, such as ["a", "b"]'));
    return null;
  }
  const items = right.items.map((item) => check(item, context));
  if (tested === null || items.includes(null)) return null;
  const wantsText = tested.type === 'string';
  if (!wantsText && !fits(tested, 'number')) {
    context.problems.push(problem(left.span, `"in" cannot look up a ${tested.type}`, 'a number or a string'));
    return null;
  }
  const bad = items.find((item) => item !== null && !isMember(item, wantsText ? 'text' : 'number'));
  if (bad !== null && bad !== undefined) {
    const held = bad.constant === null ? 'variable' : bad.type;
    const expected = `constant ${wantsText ? 'strings' : 'numbers'}, as what stands before "in" is one`;
    context.problems.push(problem(bad.span, `the list holds a ${held}`, expected));
    return null;
  }
  const values = items.map((item) => item?.constant?.value);
  return wantsText
    ? inStrings(tested, values.map(String), syntax.span)
    : inNumbers(tested, values.map(Number), syntax.span);
}

/** Whether a list's item is a constant of the type that is looked up. */
function isMember(item: TypedNode, wanted: 'text' | 'number'): boolean {
  return fits(item, wanted) && item.constant !== null && item.constant.value !== null;
}

function labelOf(name: string): string {
  return name === '?:' ? 'the choice "? :"' : name === 'negate' ? '"-"' : `"${name}"`;
}

function expectedUses(name: string, overloads: readonly Overload[]): string {
  const uses = overloads.map(({ parameters }) => {
    const [first = '', second = '', third = ''] = parameters;
    if (name === '?:') return `${first} ? ${second} : ${third}`;
    if (/^[a-z]/i.test(name) && name !== 'negate') return `${name}(${parameters.join(', ')})`;
    const sign = name === 'negate' ? '-' : name;
    return parameters.length === 1 ? `${sign}${first}` : `${first} ${sign} ${second}`;
  });
  return uses.length === 1 ? (uses[0] ?? '') : `one of ${uses.join('; ')}`;
}
