import { concatMap, map, of, tap, type Observable, type OperatorFunction } from 'rxjs';
import type { RecordBatch } from '../record/record-batch.ts';
import type { StatefulLogic } from '../state/stateful-logic.ts';
import type { StateWrite } from '../state/state-store.ts';

/** What an operator's missing rows mean in the ledger; `keeps` for one that passes every row on. */
export type RowFate = 'keeps' | 'filtered' | 'duplicate';

/** One operator of a query: ④ on a record's way. */
export interface SectionStep {
  readonly operator: OperatorFunction<RecordBatch, RecordBatch>;
  readonly fate: RowFate;
}

/** The operators of a query in order, with the logics whose state they move. Built anew for each acquisition of the task. */
export interface Section {
  readonly steps: readonly SectionStep[];
  readonly logics: readonly StatefulLogic[];
}

/** What came out of a section for one batch. */
export interface SectionResult {
  readonly records: RecordBatch;
  readonly filtered: number;
  readonly duplicate: number;
}

/**
 * The section as one operator: a batch has left the last step before the next one enters the first, so that state taken between two
 * batches is the state of all logics at the same offset.
 */
export function runSection(section: Section): OperatorFunction<RecordBatch, SectionResult> {
  return concatMap((input) => {
    const counts = { filtered: 0, duplicate: 0 };
    let batch$: Observable<RecordBatch> = of(input);
    for (const { operator, fate } of section.steps) {
      if (fate === 'keeps') {
        batch$ = batch$.pipe(operator);
        continue;
      }
      let before = 0;
      batch$ = batch$.pipe(
        tap((batch) => (before = batch.rowCount)),
        operator,
        tap((batch) => (counts[fate] += before - batch.rowCount)),
      );
    }
    return batch$.pipe(map((records) => ({ records, ...counts })));
  });
}

/** The state of all logics that changed since it was last taken. */
export function takeState(section: Section): readonly StateWrite[] {
  return section.logics.flatMap((logic) => logic.takeChanges());
}
