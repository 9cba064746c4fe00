import { RejectedRecords } from '../../../engine/execution/rejected-records.ts';
import type { SectionStart } from '../../../engine/execution/query-definition.ts';
import type { Section } from '../../../engine/execution/section.ts';
import type { AvroRecordName } from '../../../engine/serde/avro-of-outputs.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import { expressionRules } from '../../../operators/pattern/expression-rules.ts';
import { PatternLogic } from '../../../operators/pattern/pattern-logic.ts';
import { emitWith } from '../../../operators/stateful/emit-logic.ts';
import type { PatternPlan } from '../../plan/pattern-plan.ts';
import { featureSection, type SectionPlan } from './feature-section.ts';

/** The results of a pattern, in Avro. */
export const matchRecord: AvroRecordName = {
  name: 'Match',
  namespace: 'sluice',
  doc: 'What was selected of a record and a later one of its key.',
};

/**
 * The operators of a job with a pattern: duplicates out, sessions, the pattern. Built anew for each acquisition of a task, as `featureSection` is.
 *
 * @param operators what comes before the pattern.
 */
export function patternSection(
  operators: SectionPlan,
  { definition, rules, inputSchema }: PatternPlan,
  start: SectionStart,
  state: StateReader,
): Section {
  const before = featureSection(operators, start, state);
  // Expressions throw on no record: nothing is ever rejected.
  const rejected = new RejectedRecords('');
  const logic = new PatternLogic(definition, expressionRules(rules, inputSchema), start, rejected);
  return { steps: before.steps, logics: [...before.logics, logic], emit: emitWith(logic, state) };
}
