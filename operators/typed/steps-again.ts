import type { Schema } from '../../engine/record/schema.ts';
import type { AmendStep } from '../amend/amend-definition.ts';

/**
 * How the columns of a stream's records were computed, from its first rolling features on, so that they can be computed again of records that are kept; or what stands among them that cannot be, by
 * its name.
 */
export type StepsAgain =
  { readonly input: Schema; readonly steps: readonly AmendStep[] } | { readonly notAgain: string };

/**
 * What an operator is to that: a step of its own; nothing, `anywhere`; or one that leaves records out, or makes fields that only the live stream knows, which may stand before the first rolling
 * features: what is kept of a record has been through it.
 */
export type Again = AmendStep | 'anywhere' | 'before windows';

/** The steps of a stream that begins with records of these fields. */
export function noSteps(input: Schema): StepsAgain {
  return { input, steps: [] };
}

/** The steps behind an operator; absent `again`: results of other kinds, or state that is not of single records. */
export function stepsBehind(
  before: StepsAgain,
  { again, meaning, plan }: { readonly again?: Again; readonly meaning: unknown; readonly plan: { schema: Schema } },
): StepsAgain {
  if ('notAgain' in before || again === 'anywhere') return before;
  if (again !== undefined && again !== 'before windows') return { ...before, steps: [...before.steps, again] };
  const hasWindows = before.steps.some(({ kind }) => kind === 'rolling');
  if (again === 'before windows' && !hasWindows) return noSteps(plan.schema);
  const [name]: unknown[] = [meaning].flat();
  return { notAgain: String(name) };
}
