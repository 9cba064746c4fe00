import type { Column } from '../record/column.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { FieldType, Schema } from '../record/schema.ts';
import { canonicalText } from './canonical-text.ts';
import { checkExpression, type NameHints } from './check-expression.ts';
import { expressionError, type ExpressionProblem } from './expression-problem.ts';
import { namesIn, parseExpression } from './syntax.ts';

/**
 * An expression of a job file, ready to run over batches. Made once, when the plan is; then `evaluate` is called a batch at a time.
 *
 * The language is CEL's grammar over the record's fields and the features, with these meanings:
 *
 * - Numbers are one type: `amount / 2` and `count > 3` need no conversion, `1 / 2` is a half, arithmetic gives a double.
 * - Any null operand of arithmetic, comparison or a function gives null; so does a result that is not finite (`x / 0`, `log(0)`).
 *   `&&` and `||` are three-valued. `x == null`, `has(x)` and `coalesce(x, y)` are how null is asked for and replaced.
 * - There is no `eval` behind it: each part of the expression is one loop over typed arrays, and constant parts are computed at plan time.
 */
export interface CompiledExpression {
  /** As it was written. */
  readonly text: string;
  /** Independent of spaces, quotes and brackets; what digests and the names of anonymous columns are made of. */
  readonly canonical: string;
  readonly type: FieldType;
  /** The columns it reads, each once. */
  readonly reads: readonly string[];
  /** The expression's value for each row. The column may be the batch's own, so it must not be changed. */
  evaluate(batch: RecordBatch): Column;
  /**
   * The same in ClickHouse SQL, for a query whose `WITH` begins with `clickHousePrelude`. `nameOf` gives the SQL of a column: Float64 for
   * numbers and instants (milliseconds), UInt8 for booleans, String for strings, each Nullable or not.
   */
  toClickHouseSql(nameOf: (column: string) => string): string;
}

/** An expression compiled, or all that is wrong with it. */
export type CompileOutcome =
  | { readonly expression: CompiledExpression; readonly problems: null }
  | { readonly problems: readonly ExpressionProblem[] };

/**
 * Compiles an expression for records of `schema`, giving problems as data, for a caller that can point into a file. With `names`, an
 * expression that reads a pending name comes back with no expression, and perhaps without any problem of its own.
 */
export function tryCompileExpression(text: string, schema: Schema, names?: NameHints): CompileOutcome {
  const parsed = parseExpression(text);
  if (parsed.problems !== null) return parsed;
  const checked = checkExpression(parsed.root, schema, names);
  if (checked.problems !== null) return checked;
  const { node } = checked;
  if (node.type === 'null') throw new TypeError('the checker refuses an expression that is always null');
  const expression: CompiledExpression = Object.freeze({
    text,
    canonical: canonicalText(parsed.root),
    type: node.type,
    reads: namesIn(parsed.root),
    evaluate: node.evaluate,
    toClickHouseSql: node.sql,
  });
  return { expression, problems: null };
}

/**
 * Compiles an expression for records of `schema`.
 *
 * @throws {SluiceError} `EXPRESSION_INVALID`, with the column in the text, what was expected, and the nearest valid name.
 */
export function compileExpression(text: string, schema: Schema): CompiledExpression {
  const outcome = tryCompileExpression(text, schema);
  if (outcome.problems !== null) throw expressionError(text, outcome.problems);
  return outcome.expression;
}
