import { concatMap, map, of, type Observable } from 'rxjs';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { Emitted, Section, SectionStep } from '../../engine/execution/section.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { Arrivals } from './arrivals.ts';
import type { PlannedStep } from './stream-plan.ts';

/**
 * Builds planned operators as one section: those up to the one that gives records of its own as steps, that one as what emits, and those behind it over what it gives. What those behind
 * it leave out is in no count of records that were read, since their inputs are none; what they fail on is.
 *
 * @param reject makes a place for records that functions fail on: one for the records that were read, one for results.
 */
export function openSection(
  planned: readonly PlannedStep[],
  start: SectionStart,
  state: StateReader,
  reject: () => RejectedRecords,
  arrivals: Arrivals,
): Section {
  const rejected = reject();
  const spoiled = reject();
  const steps: SectionStep[] = [];
  const behind: SectionStep[] = [];
  const logics: StatefulLogic[] = [];
  let emit: Section['emit'];
  for (const step of planned) {
    const opened = step.open({ start, state, arrivals, rejected: emit === undefined ? rejected : spoiled });
    logics.push(...opened.logics);
    if (opened.kind === 'emit') emit = opened.operator;
    else if (emit === undefined) steps.push(opened.step);
    else behind.push(opened.step);
  }
  if (emit === undefined) return { steps, logics, rejected };
  const first = emit;
  return {
    steps,
    logics,
    rejected,
    emit: (batches) =>
      batches.pipe(
        first,
        concatMap((emitted) => go(emitted, behind, spoiled)),
      ),
  };
}

function go(emitted: Emitted, behind: readonly SectionStep[], spoiled: RejectedRecords): Observable<Emitted> {
  let results$: Observable<RecordBatch> = of(emitted.records);
  for (const { operator } of behind) results$ = results$.pipe(operator);
  return results$.pipe(map((records) => ({ ...emitted, records, spoiled: spoiled.take() })));
}
