import { meaningOf } from '../check/check-inputs.ts';
import type { InputsPlan } from '../plan/inputs-plan.ts';

/** What is said of the inputs of a job, and of how they are brought together, as the job's digest has it, to be compared as text. */
export function inputsMeaning(plan: InputsPlan): unknown {
  const inputs = plan.inputs.map((input) => {
    const { source } = input;
    const origin = [source.kind, source.kind === 'topic' ? source.topic : source.path] as const;
    return { ...input, origin };
  });
  return meaningOf(inputs, plan);
}
