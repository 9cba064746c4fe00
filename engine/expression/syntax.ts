import { Environment, ParseError, type ASTNode } from '@marcbachmann/cel-js';
import { UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import type { ExpressionProblem, Span } from './expression-problem.ts';

/**
 * An expression as a tree of three shapes. Operators are calls by their sign (`+`, `?:`, `!`, `in`; unary minus is `negate`), and a
 * receiver is a first argument (`s.startsWith("x")` is `startsWith(s, "x")`), so that everything behind the parser has one case for all.
 */
export type SyntaxNode =
  | { readonly kind: 'literal'; readonly value: LiteralValue; readonly type: LiteralType; readonly span: Span }
  | { readonly kind: 'name'; readonly name: string; readonly span: Span }
  | { readonly kind: 'list'; readonly items: readonly SyntaxNode[]; readonly span: Span }
  | { readonly kind: 'call'; readonly name: string; readonly arguments: readonly SyntaxNode[]; readonly span: Span };

/** What a literal holds. */
export type LiteralValue = number | string | boolean | null;

/** What a literal is written as. */
export type LiteralType = 'long' | 'double' | 'string' | 'boolean' | 'null';

/** A parsed expression, or what is wrong with its syntax. */
export type Parsed =
  { readonly root: SyntaxNode; readonly problems: null } | { readonly problems: readonly ExpressionProblem[] };

/** Bounds on what a job file may ask of the parser and of the loops behind it. */
const limits = { maxAstNodes: 2_000, maxDepth: 64, maxListElements: 1_000, maxMapEntries: 0, maxCallArguments: 8 };

const environment = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false, limits });

/**
 * Reads an expression in the Common Expression Language's grammar (github.com/google/cel-spec). Only the grammar is taken from there:
 * what names, operators and functions mean is the checker's affair (`check-expression.ts`). Called while job files are checked.
 */
export function parseExpression(text: string): Parsed {
  let ast: ASTNode;
  try {
    ast = environment.parse(text).ast;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const start = error.range?.start ?? 0;
    const span = { start, end: Math.max(error.range?.end ?? start, start) };
    const atEnd = error.summary.includes('EOF');
    const message = atEnd ? 'the expression ends too early' : sentence(error.summary);
    return { problems: [{ span, message, expected: atEnd ? 'an operand' : 'an expression', nearest: null }] };
  }
  const problems: ExpressionProblem[] = [];
  const root = convert(ast, problems);
  return problems.length === 0 ? { root, problems: null } : { problems };
}

/** The names of columns that an expression reads, each once, in order of appearance. */
export function namesIn(root: SyntaxNode): readonly string[] {
  const names = new Set<string>();
  const visit = (node: SyntaxNode): void => {
    if (node.kind === 'name') names.add(node.name);
    if (node.kind === 'list') node.items.forEach(visit);
    if (node.kind === 'call') node.arguments.forEach(visit);
  };
  visit(root);
  return [...names];
}

function sentence(summary: string): string {
  return summary.charAt(0).toLowerCase() + summary.slice(1).replace(/\.$/, '');
}

function convert(ast: ASTNode, problems: ExpressionProblem[]): SyntaxNode {
  const span: Span = { start: ast.start, end: ast.end };
  const call = (name: string, args: readonly ASTNode[]): SyntaxNode => ({
    kind: 'call',
    name,
    arguments: args.map((argument) => convert(argument, problems)),
    span,
  });
  const refuse = (message: string, expected: string): SyntaxNode => {
    problems.push({ span, message, expected, nearest: null });
    return { kind: 'literal', value: null, type: 'null', span };
  };
  switch (ast.op) {
    case 'value':
      return literal(ast.args, span, refuse);
    case 'id':
      return { kind: 'name', name: ast.args, span };
    case 'list':
      return { kind: 'list', items: ast.args.map((item) => convert(item, problems)), span };
    case 'call':
      return call(ast.args[0], ast.args[1]);
    case 'rcall':
      return call(ast.args[0], [ast.args[1], ...ast.args[2]]);
    case '!_':
      return call('!', [ast.args]);
    case '-_':
      return call('negate', [ast.args]);
    case '.':
      // Fields may have a dot in their names: a member of an object, or a field of one of several inputs.
      if (ast.args[0].op === 'id') return { kind: 'name', name: `${ast.args[0].args}.${ast.args[1]}`, span };
      return refuse('only a field may be before a "."', 'the name of a field or feature');
    case '.?':
      return refuse('records are flat, so there is nothing to select with "."', 'the name of a field or feature');
    case '[]':
    case '[?]':
      return refuse('there is nothing to index: every field is a single value', 'the name of a field or feature');
    case 'map':
      return refuse('maps have no use here', 'a number, a string, true, false, null or a list after "in"');
    case '?:':
    case '||':
    case '&&':
    case '!=':
    case '==':
    case 'in':
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
    case '<':
    case '<=':
    case '>':
    case '>=':
      return call(ast.op, ast.args);
  }
}

function literal(value: unknown, span: Span, refuse: (message: string, expected: string) => SyntaxNode): SyntaxNode {
  if (value === null) return { kind: 'literal', value, type: 'null', span };
  if (typeof value === 'boolean') return { kind: 'literal', value, type: 'boolean', span };
  if (typeof value === 'string') return { kind: 'literal', value, type: 'string', span };
  if (typeof value === 'number') return { kind: 'literal', value, type: 'double', span };
  if (value instanceof UnsignedInt) return literal(value.valueOf(), span, refuse);
  if (typeof value === 'bigint') {
    const asNumber = Number(value);
    if (Number.isSafeInteger(asNumber)) return { kind: 'literal', value: asNumber, type: 'long', span };
    return refuse('a whole number must be at most 2^53 in magnitude', 'a smaller number, or one with a decimal point');
  }
  return refuse('bytes have no use here', 'a number, a string, true, false or null');
}
