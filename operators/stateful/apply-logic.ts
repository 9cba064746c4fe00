import { concatMap, type OperatorFunction } from 'rxjs';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { StateReader } from '../../engine/state/state-store.ts';

/**
 * The RxJS form of a stateful logic: for each batch, reads the keys that are not in memory, then answers it. One batch at a time, in
 * order; the source must not push a batch before it has room for its result, since RxJS has no back-pressure (the batch loop bounds what is in flight).
 */
export function applyLogic(logic: StatefulLogic, state: StateReader): OperatorFunction<RecordBatch, RecordBatch> {
  return concatMap(async (batch) => {
    await logic.prefetch(batch, state);
    return logic.apply(batch);
  });
}
