import { AmendedRecords } from '../../../engine/execution/amended-records.ts';
import { arrivedSchema } from '../../../engine/exchange/arrivals.ts';
import type { SectionStart } from '../../../engine/execution/query-definition.ts';
import type { Section } from '../../../engine/execution/section.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import { AmendLogic } from '../../../operators/amend/amend-logic.ts';
import { applyLogic } from '../../../operators/stateful/apply-logic.ts';
import type { AmendPlan } from '../../plan/amend-plan.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { featureSection, jobSection } from './feature-section.ts';

/**
 * The operators of a job that amends its decisions: those of its features, over records with their arrivals, and behind them the one that is given every record with its features, passes it on,
 * and tells by the side what late ones change. Built anew for each acquisition of a task, as `featureSection` is.
 */
export function amendSection(
  job: CheckedJob,
  { definition }: AmendPlan,
  start: SectionStart,
  state: StateReader,
): Section {
  const { inputSchema, outputSchema } = job.features;
  const section = featureSection({ ...jobSection(job), inputSchema: arrivedSchema(job.schema) }, start, state);
  const amended = new AmendedRecords();
  const logic = new AmendLogic(definition, inputSchema, arrivedSchema(outputSchema), start, amended);
  return {
    ...section,
    steps: [...section.steps, { operator: applyLogic(logic, state), fate: 'keeps' }],
    logics: [...section.logics, logic],
    amended,
  };
}
