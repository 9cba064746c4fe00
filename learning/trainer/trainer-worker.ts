import { parentPort, workerData } from 'node:worker_threads';
import { type ErrorFields, SluiceError } from '../../engine/error.ts';
import { type TrainedTrees, type TrainingOptions, type TrainingProgress, trainTrees } from './train.ts';
import type { TrainingMatrix } from './training-matrix.ts';

/** What the thread is started with. */
export interface TrainerTask extends Omit<TrainingOptions, 'onTree'> {
  readonly matrix: TrainingMatrix;
}

/** What the thread says: one `tree` after each tree, then one `trained` or one `refused`. Errors lose their class on the way, hence the parts. */
export type TrainerReport =
  | { readonly kind: 'tree'; readonly progress: TrainingProgress }
  | { readonly kind: 'trained'; readonly trained: TrainedTrees }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string; readonly fields: ErrorFields };

/** The thread's whole life: `trainInWorker` starts it with one task, it reports, and it is ended. */
function runTask({ matrix, ...options }: TrainerTask, report: (message: TrainerReport) => void): void {
  try {
    const trained = trainTrees(matrix, { ...options, onTree: (progress) => report({ kind: 'tree', progress }) });
    report({ kind: 'trained', trained });
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown;
    report({ kind: 'refused', code: thrown.code, message: thrown.message, fields: thrown.fields });
  }
}

const port = parentPort;
if (port !== null) runTask(workerData as TrainerTask, (message) => port.postMessage(message));
