import type { FeaturePlan } from '../feature-plan.ts';

/** What SQL calls a column of the plan. */
export type SqlNameOf = (column: string) => string;

/**
 * Names for all columns of a plan: an ordinary name stays as it is; an argument that is an expression, which has brackets in its name, a
 * field with blanks and the like become `_column_1` and so on, since elements of a ClickHouse tuple cannot be called otherwise.
 */
export function sqlNames(plan: FeaturePlan): SqlNameOf {
  const others = plan.outputSchema.fields.map(({ name }) => name).filter((name) => !isOrdinary(name));
  return (column) => (isOrdinary(column) ? column : `_column_${others.indexOf(column) + 1}`);
}

/** Any name as ClickHouse reads it, in backticks where it must be. For the columns of other people's tables, and of the answer. */
export function quoted(name: string): string {
  return isOrdinary(name) ? name : `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}

/** Words that ClickHouse does not take for a name everywhere. */
const sqlWords = new Set(
  'and as between by case cast distinct else end extract from having in interval is join like limit not null on or order select then union when where with'.split(
    ' ',
  ),
);

/** Names with an underscore at the front are kept for the query's own columns. */
function isOrdinary(name: string): boolean {
  return /^[A-Za-z][A-Za-z0-9_]*$/.test(name) && !sqlWords.has(name.toLowerCase());
}
