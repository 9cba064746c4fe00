import { concatMap, map, of, type Observable, type OperatorFunction } from 'rxjs';
import type { Emitted, SectionStep } from '../../../engine/execution/section.ts';
import type { RecordBatch } from '../../../engine/record/record-batch.ts';

/** What emits, with further operators over what it gives: their inputs are no records that were read, so what they leave out is in no count. */
export function behindEmit(
  emit: OperatorFunction<RecordBatch, Emitted>,
  steps: readonly SectionStep[],
): OperatorFunction<RecordBatch, Emitted> {
  return (batches) =>
    batches.pipe(
      emit,
      concatMap((emitted) => {
        let records$: Observable<RecordBatch> = of(emitted.records);
        for (const { operator } of steps) records$ = records$.pipe(operator);
        return records$.pipe(map((records) => ({ ...emitted, records })));
      }),
    );
}
