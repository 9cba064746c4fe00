import type { SectionStart } from '../../../engine/execution/query-definition.ts';
import type { SectionStep } from '../../../engine/execution/section.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../../engine/state/stateful-logic.ts';
import { DedupeLogic } from '../../../operators/dedupe/dedupe-logic.ts';
import { applyLogic } from '../../../operators/stateful/apply-logic.ts';
import type { InputsPlan } from '../../plan/inputs-plan.ts';
import type { ChainPart } from './join-chain.ts';

/**
 * What drops the repeated records of each input that has such.
 *
 * @param part which of the job's joins the records are for; absent where all inputs are read.
 */
export function duplicateSteps(
  { inputs, duplicates, join }: InputsPlan,
  start: SectionStart,
  state: StateReader,
  part?: ChainPart,
): { readonly steps: readonly SectionStep[]; readonly logics: readonly StatefulLogic[] } {
  const steps: SectionStep[] = [];
  const logics: StatefulLogic[] = [];
  for (const [index, { name, source }] of inputs.entries()) {
    const column = duplicates[index] ?? null;
    if (source.duplicates === null || column === null) continue;
    // Results of joins have the columns of the inputs that they are of, and may well repeat those.
    const place = join?.order.indexOf(name) ?? 0;
    const isRead = part === undefined || join === null || (place <= part.to && (place > part.from || part.from === 0));
    if (!isRead) continue;
    const { withinMs } = source.duplicates;
    // Of records of other inputs the column is null, and so they are nobody's duplicates.
    const logic = new DedupeLogic({ operatorId: `duplicates-${name}`, by: [column], withinMs }, start);
    logics.push(logic);
    steps.push({ operator: applyLogic(logic, state), fate: 'duplicate' });
  }
  return { steps, logics };
}
