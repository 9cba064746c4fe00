import { concatMap, type OperatorFunction } from 'rxjs';
import type { Emitted } from '../../engine/execution/section.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { WindowLogic } from './window-logic.ts';

/** The RxJS form of windows: records in, results out. One batch at a time, in order, as `applyLogic` has it. */
export function emitWindows(logic: WindowLogic, state: StateReader): OperatorFunction<RecordBatch, Emitted> {
  return concatMap(async (batch) => {
    await logic.prefetch(batch, state);
    return logic.emit(batch);
  });
}
