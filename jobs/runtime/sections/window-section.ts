import { map } from 'rxjs';
import type { SectionStart } from '../../../engine/execution/query-definition.ts';
import type { Section } from '../../../engine/execution/section.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import { filterRows } from '../../../operators/filter/filter.ts';
import { emitWith } from '../../../operators/stateful/emit-logic.ts';
import { WindowLogic } from '../../../operators/window/window-logic.ts';
import type { WindowPlan } from '../../plan/window-plan.ts';
import { featureSection, type SectionPlan } from './feature-section.ts';

/**
 * The operators of a job with windows: duplicates out, arguments that are expressions, the windows, and what is let through of their results. Built anew for
 * each acquisition of a task, as `featureSection` is.
 *
 * @param operators what comes before the windows, the plan's own steps among it.
 */
export function windowSection(
  operators: SectionPlan,
  { inputSchema, definition, having }: Pick<WindowPlan, 'inputSchema' | 'definition' | 'having'>,
  start: SectionStart,
  state: StateReader,
): Section {
  const before = featureSection(operators, start, state);
  const logic = new WindowLogic(definition, inputSchema, start);
  const emit = emitWith(logic, state);
  const letThrough = having === null ? null : filterRows(having);
  return {
    steps: before.steps,
    logics: [...before.logics, logic],
    emit: (batches) => {
      const emitted = batches.pipe(emit);
      if (letThrough === null) return emitted;
      return emitted.pipe(map((result) => ({ ...result, records: letThrough(result.records) })));
    },
  };
}
