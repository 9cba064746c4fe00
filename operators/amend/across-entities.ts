import type { AmendStep } from './amend-definition.ts';

/**
 * The first rolling feature whose windows hold values that windows of another key have answered, such as how many payments at a terminal were large for their cards; `null` where there is none. Its
 * decisions depend on records of keys that are not their own.
 */
export function acrossEntities(steps: readonly AmendStep[]): string | null {
  const keysOf = new Map<string, ReadonlySet<string>>();
  const behind = (names: readonly (string | null)[]): ReadonlySet<string> =>
    new Set(names.flatMap((name) => (name === null ? [] : [...(keysOf.get(name) ?? [])])));
  for (const step of steps) {
    if (step.kind === 'derive') {
      for (const { name, expression } of step.columns) keysOf.set(name, behind(expression.reads));
      continue;
    }
    const own = step.definition.key.join();
    for (const { name, input, where, n } of step.definition.aggregates) {
      if ([...behind([input, where])].some((key) => key !== own)) return name;
      const columns = n === null ? [name] : Array.from({ length: n }, (_, index) => `${name}_${index + 1}`);
      for (const column of columns) keysOf.set(column, new Set([own]));
    }
  }
  return null;
}
