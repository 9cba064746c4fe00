import type { CompiledExpression } from '../engine/expression/compile-expression.ts';

/**
 * The column that holds an argument of a rolling feature: the field or feature itself where the argument is just its name, otherwise a
 * column that is derived for it, named by its text in parentheses, which no field or feature can be called. Features with the same
 * argument share the column, and so its place in the operator's state.
 */
export function argumentColumn(argument: CompiledExpression): string {
  return isName(argument) ? argument.canonical : `(${argument.canonical})`;
}

/** Whether an argument has to be derived first. */
export function isName(argument: CompiledExpression): boolean {
  return argument.reads[0] === argument.canonical;
}
