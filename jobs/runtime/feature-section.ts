import type { Section, SectionStep } from '../../engine/execution/section.ts';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { FeaturePlan } from '../../features/feature-plan.ts';
import { DedupeLogic } from '../../operators/dedupe/dedupe-logic.ts';
import { derive } from '../../operators/derive/derive.ts';
import { RollingLogic } from '../../operators/rolling/rolling-logic.ts';
import { applyLogic } from '../../operators/stateful/apply-logic.ts';

/** Which records repeat others, as the job's source says. */
export interface Duplicates {
  readonly by: string;
  readonly withinMs: number;
}

/**
 * The operators of a job in order: duplicates out first, then each step of the feature plan. Built anew for each acquisition of a task, and for each
 * replay; the same for both, which is why a replay gives the same bits.
 */
export function featureSection(
  plan: Pick<FeaturePlan, 'inputSchema' | 'steps'>,
  duplicates: Duplicates | null,
  start: SectionStart,
  state: StateReader,
): Section {
  const steps: SectionStep[] = [];
  const logics: StatefulLogic[] = [];
  if (duplicates !== null) {
    const logic = new DedupeLogic(
      { operatorId: 'duplicates', by: [duplicates.by], withinMs: duplicates.withinMs },
      start,
    );
    logics.push(logic);
    steps.push({ operator: applyLogic(logic, state), fate: 'duplicate' });
  }
  let schema = plan.inputSchema;
  for (const step of plan.steps) {
    if (step.kind === 'derive') {
      steps.push({ operator: derive(step.columns, schema), fate: 'keeps' });
    } else {
      const logic = new RollingLogic(step.definition, schema, start);
      logics.push(logic);
      steps.push({ operator: applyLogic(logic, state), fate: 'keeps' });
    }
    schema = step.output;
  }
  return { steps, logics };
}
