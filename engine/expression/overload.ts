import type { FieldType } from '../record/schema.ts';
import type { ExpressionProblem } from './expression-problem.ts';
import type { Evaluate, TypedNode } from './typed-node.ts';

/**
 * What an argument may be. `number` is a long or a double, which are one type to whoever writes expressions. `null` is the literal;
 * `text` is a string known at plan time.
 */
export type ParameterKind = 'number' | 'boolean' | 'timestamp' | 'string' | 'text' | 'null' | 'any';

/** One way in which a function or an operator may be used. The table of all of them is `function-table.ts`. */
export interface Overload {
  readonly parameters: readonly ParameterKind[];
  /** The type it gives, which may depend on its arguments'. */
  readonly result: FieldType | ((nodes: readonly TypedNode[]) => FieldType);
  /** A further check of arguments that are known at plan time, such as a pattern's syntax; `null` when all is well. */
  readonly refuse?: (nodes: readonly TypedNode[]) => ExpressionProblem | null;
  /** Makes the loop over columns, once, at plan time. */
  readonly build: (nodes: readonly TypedNode[]) => Evaluate;
  /** The same in ClickHouse SQL, given each argument's SQL. */
  readonly sql: (operands: readonly string[], nodes: readonly TypedNode[]) => string;
}

/** Whether a node fits a parameter. */
export function fits(node: TypedNode, parameter: ParameterKind): boolean {
  switch (parameter) {
    case 'number':
      return node.type === 'double' || node.type === 'long';
    case 'text':
      return node.type === 'string' && typeof node.constant?.value === 'string';
    case 'any':
      return true;
    case 'boolean':
    case 'timestamp':
    case 'string':
    case 'null':
      return node.type === parameter;
  }
}

/** The argument at `index`; the checker has counted them. */
export function argument(nodes: readonly TypedNode[], index: number): TypedNode {
  const node = nodes[index];
  if (node === undefined) throw new RangeError(`an overload reads argument ${index} of ${nodes.length}`);
  return node;
}
