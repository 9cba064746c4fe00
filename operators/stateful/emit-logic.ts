import { concatMap, type OperatorFunction } from 'rxjs';
import type { Emitted } from '../../engine/execution/section.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { StateReader } from '../../engine/state/state-store.ts';

/** A logic whose outputs are records of their own. */
export interface EmittingLogic extends StatefulLogic {
  /** Takes a batch in and gives what came out, and what became of its records. */
  emit(batch: RecordBatch): Emitted;
}

/** The RxJS form of such a logic: records in, outputs out. One batch at a time, in order, as `applyLogic` has it. */
export function emitWith(logic: EmittingLogic, state: StateReader): OperatorFunction<RecordBatch, Emitted> {
  return concatMap(async (batch) => {
    await logic.prefetch(batch, state);
    return logic.emit(batch);
  });
}
