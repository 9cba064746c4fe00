import { concatMap, type OperatorFunction } from 'rxjs';
import type { Emitted } from '../../engine/execution/section.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { JoinLogic } from './join-logic.ts';

/** The RxJS form of a join: records of both inputs in, results out. One batch at a time, in order, as `applyLogic` has it. */
export function emitJoin(logic: JoinLogic, state: StateReader): OperatorFunction<RecordBatch, Emitted> {
  return concatMap(async (batch) => {
    await logic.prefetch(batch, state);
    return logic.emit(batch);
  });
}
