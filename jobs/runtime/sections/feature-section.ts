import { map as mapBatches } from 'rxjs';
import { PassedWatermark, passedSchema } from '../../../engine/exchange/pass-watermarks.ts';
import type { Section, SectionStep } from '../../../engine/execution/section.ts';
import type { SectionStart } from '../../../engine/execution/query-definition.ts';
import type { Schema } from '../../../engine/record/schema.ts';
import type { StatefulLogic } from '../../../engine/state/stateful-logic.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import type { FeatureStep } from '../../../features/feature-plan.ts';
import { RejectedRecords } from '../../../engine/execution/rejected-records.ts';
import { filter } from '../../../operators/filter/filter.ts';
import { explodedField, explodeRows } from '../../../operators/select/explode.ts';
import { DedupeLogic } from '../../../operators/dedupe/dedupe-logic.ts';
import { derive, derivedSchema } from '../../../operators/derive/derive.ts';
import { RollingLogic } from '../../../operators/rolling/rolling-logic.ts';
import { applyLogic } from '../../../operators/stateful/apply-logic.ts';
import { sessionFields, SessionLogic } from '../../../operators/sessionise/session-logic.ts';
import type { CheckedJob } from '../../checked-job.ts';
import type { RecordsPlan } from '../../plan/records-plan.ts';
import type { SessionsPlan } from '../../plan/pattern-plan.ts';
import { behindEmit } from './behind-emit.ts';

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
  /** What is read, as dead letters of `records` name it. */
  readonly input?: string;
  /** Absent for nothing. */
  readonly records?: RecordsPlan | null;
  /** Absent for none. */
  readonly sessions?: SessionsPlan | null;
  readonly steps: readonly FeatureStep[];
  /** Whether records carry on what the writers to this task have passed. */
  readonly watermarks: 'kept' | 'passed-on';
  /** What notes that, of this acquisition of the task; absent where nothing of the clock goes on with it. */
  readonly passed?: PassedWatermark;
}

/** A whole job in one section, as where one process has all of its partitions. */
export function jobSection({ features, schema, records, sessions, source }: CheckedJob): SectionPlan {
  const { steps } = features;
  const input = source.kind === 'topic' ? source.topic : 'path' in source ? source.path : source.kind;
  return { inputSchema: schema, input, duplicates: source.duplicates, records, sessions, steps, watermarks: 'kept' };
}

/**
 * The operators of a job in order: duplicates out first, then each step of the feature plan. Built anew for each acquisition of a task, and for each
 * replay; the same for both, which is why a replay gives the same bits.
 */
export function featureSection(plan: SectionPlan, start: SectionStart, state: StateReader): Section {
  let steps: SectionStep[] = [];
  const logics: StatefulLogic[] = [];
  let schema = plan.inputSchema;
  if (plan.watermarks === 'passed-on') {
    const passed = plan.passed ?? new PassedWatermark(start.watermarks.copy(), 'waited for');
    steps.push({ operator: passed.note(schema), fate: 'keeps' });
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
  const { where = null, explode = null } = plan.records ?? {};
  if (where !== null) steps.push({ operator: filter(where), fate: 'filtered' });
  const rejected = new RejectedRecords(plan.input ?? '');
  const emit = explode === null ? null : mapBatches(explodeRows(explode, schema, rejected));
  const before = steps;
  if (explode !== null) {
    steps = [];
    schema = schema.with(explodedField(explode));
  }
  if (plan.sessions !== undefined && plan.sessions !== null) {
    const logic = new SessionLogic(plan.sessions.definition, schema, start);
    logics.push(logic);
    steps.push({ operator: applyLogic(logic, state), fate: 'keeps' });
    schema = schema.with(...sessionFields);
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
  return emit === null ? { steps, logics } : { steps: before, emit: behindEmit(emit, steps), logics, rejected };
}
