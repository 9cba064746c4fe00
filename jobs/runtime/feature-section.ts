import { passWatermarks, passedSchema } from '../../engine/exchange/pass-watermarks.ts';
import type { Section, SectionStep } from '../../engine/execution/section.ts';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { FeatureStep } from '../../features/feature-plan.ts';
import { DedupeLogic } from '../../operators/dedupe/dedupe-logic.ts';
import { derive, derivedSchema } from '../../operators/derive/derive.ts';
import { RollingLogic } from '../../operators/rolling/rolling-logic.ts';
import { applyLogic } from '../../operators/stateful/apply-logic.ts';
import { SessionLogic } from '../../operators/sessionise/session-logic.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { SessionsPlan } from '../pattern-plan.ts';

/** Which records repeat others, as the job's source says. */
export interface Duplicates {
  readonly by: string;
  readonly withinMs: number;
}

/** What the operators of a job, or of a stage of it, are made of. */
export interface SectionPlan {
  /** The schema of the batches that come in. */
  readonly inputSchema: Schema;
  readonly duplicates: Duplicates | null;
  /** Absent for none. */
  readonly sessions?: SessionsPlan | null;
  readonly steps: readonly FeatureStep[];
  /** Whether records carry on what the writers to this task have passed; see `passWatermarks`. */
  readonly watermarks: 'kept' | 'passed-on';
}

/** A whole job in one section, as where one process has all of its partitions. */
export function jobSection({ features, schema, sessions, source }: CheckedJob): SectionPlan {
  const { steps } = features;
  return { inputSchema: schema, duplicates: source.duplicates, sessions, steps, watermarks: 'kept' };
}

/**
 * The operators of a job in order: duplicates out first, then each step of the feature plan. Built anew for each acquisition of a task, and for each
 * replay; the same for both, which is why a replay gives the same bits.
 */
export function featureSection(plan: SectionPlan, start: SectionStart, state: StateReader): Section {
  const steps: SectionStep[] = [];
  const logics: StatefulLogic[] = [];
  let schema = plan.inputSchema;
  if (plan.watermarks === 'passed-on') {
    steps.push({ operator: passWatermarks(schema, start.watermarks.copy()), fate: 'keeps' });
    schema = passedSchema(schema);
  }
  if (plan.duplicates !== null) {
    const { by, withinMs } = plan.duplicates;
    const logic = new DedupeLogic({ operatorId: 'duplicates', by: [by], withinMs }, start);
    logics.push(logic);
    steps.push({ operator: applyLogic(logic, state), fate: 'duplicate' });
  }
  const rolling = plan.steps.filter(({ kind }) => kind === 'rolling').length;
  // Each has its own part of the bound, so that none crowds another out.
  const workingSetBytes = (start.workingSetBytes ?? Infinity) / Math.max(1, rolling);
  if (plan.sessions !== undefined && plan.sessions !== null) {
    const logic = new SessionLogic(plan.sessions.definition, schema, start);
    logics.push(logic);
    steps.push({ operator: applyLogic(logic, state), fate: 'keeps' });
    schema = plan.sessions.outputSchema;
  }
  for (const step of plan.steps) {
    if (step.kind === 'derive') {
      steps.push({ operator: derive(step.columns, schema), fate: 'keeps' });
      schema = derivedSchema(step.columns, schema);
    } else {
      const logic = new RollingLogic(step.definition, schema, { ...start, workingSetBytes });
      logics.push(logic);
      steps.push({ operator: applyLogic(logic, state), fate: 'keeps' });
      schema = logic.outputSchema;
    }
  }
  return { steps, logics };
}
